# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy and examine SQLite databases while their application writes them.

SQLite does the reading: on its own terms with the locks that the application respects, never through a plain copy of
files. A database is opened read-only, so closing it as the last one neither checkpoints nor deletes its WAL.

Closing any descriptor of a file drops this process's locks on it (https://www.sqlite.org/howtocorrupt.html section
2.2). So nothing here has a descriptor of a live database while SQLite has it open, nor may other code of the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import sqlite3
import stat
import threading
import time
from dataclasses import dataclass, replace
from typing import Callable, Dict, FrozenSet, Iterator, List, Optional
from urllib.parse import quote

from .._core.errors import DockerVpsError
from .._core.sqlite_versions import known_data_loss, text

MAGIC = b"SQLite format 3\0"
SIDECARS = ("-wal", "-shm", "-journal")

_STEP = 512  # pages; 2 MiB with the usual page size, a few milliseconds
_PAUSE = 0.001  # seconds between steps, in which the application may commit
_RETRY = 0.01  # seconds until a lock is tried again
_RESTARTS = 3  # after so many the copy is finished in one step
_BUSY, _LOCKED = 5, 6  # https://www.sqlite.org/rescode.html; the names are new in Python 3.11
_FINDINGS = 10  # lines kept of an integrity check that found something
# PENDING, RESERVED and SHARED bytes: whoever has them all is alone. https://www.sqlite.org/lockingv3.html
_LOCK_START, _LOCK_LENGTH = 0x40000000, 512


_CAUSES = (
    ("locked", "another process has kept it locked for {wait:g} seconds; try again when the application is less busy"),
    ("readonly", "a crash interrupted a write to it; start its application once, so that SQLite repairs it"),
    ("full", "there is no room for the copy; free some or name another place"),
    ("not a database", "it is encrypted or damaged; restore it, or leave it out"),
    ("malformed", "it is damaged; restore it, or leave it out"),
    ("interrupted", "counting its rows takes too long"),
)


@dataclass(frozen=True)
class Facts:
    """What is known about a database."""

    journal_mode: str  # "wal" or "rollback"
    sqlite_version: str  # of the library that last wrote its first page, such as "3.45.1"; empty when unknown
    bytes: int
    check: str  # "ok", or the first lines that the integrity check said
    schema: str  # fingerprint, sha256 in hex
    tables: Dict[str, int]  # rows by ordinary table
    held: float  # longest time that the application could not commit because of us, seconds; 0.0 in WAL mode
    warning: str  # a known bug of that library that loses data, in one sentence; or empty


@dataclass(frozen=True)
class _Header:
    wal: bool
    version: int
    stat: os.stat_result


def copy(live: str, target: str, *, wait: float = 5.0, pause: Callable[[float], None] = time.sleep) -> Facts:
    """Copy a database that may be in use, check the copy, and return its facts.

    The copy is one state of the database between two commits. It is durable when this returns, with the owner, mode
    and modification time of the original. In WAL mode readers block nobody, so it is made in one step. Otherwise a
    step keeps commits waiting, so steps are small; a database that changes too often for them is finished in one.

    Args:
        live: path of the database; neither it nor its sidecars change.
        target: path of the copy; nothing may be there.
        wait: seconds to wait for a lock of another process.
        pause: lets seconds pass.

    Raises:
        DockerVpsError: it cannot be copied; the target is not there then.
    """
    header = _header(live)
    with _made(target, header.stat):
        steps = _Steps(wait, pause)
        with _opened(live, header, wait) as source, _connected(target, "mode=rw") as copied:
            if not header.wal:
                source.execute("PRAGMA busy_timeout = 0")  # the steps wait, or waiting would be taken for holding
            copied.execute("PRAGMA synchronous = OFF")  # a flush would prolong the lock; one follows at the end
            copied.execute("PRAGMA journal_mode = MEMORY")  # or a failure may leave a journal
            try:
                source.backup(copied, pages=-1 if header.wal else _STEP, progress=steps, sleep=0)
            except _Unsettled:
                source.backup(copied, pages=-1, progress=steps, sleep=0)
        with _said(target, wait), _connected(target, "mode=ro&immutable=1") as copied:
            return _examine(copied, header, 0.0 if header.wal else steps.held)


def facts(path: str, *, wait: float = 5.0) -> Facts:
    """Return the facts about a database, in use or not, after a full integrity check.

    Raises:
        DockerVpsError: it is no readable database, or locked for longer than ``wait`` seconds.
    """
    header = _header(path)
    with _opened(path, header, wait) as connection:
        started = time.monotonic()
        found = _examine(connection, header, 0.0)
        return found if header.wal else replace(found, held=time.monotonic() - started)


def settle_crash(path: str) -> None:
    """Roll back what a crashed application has left half-written, as it would do itself at its next start.

    Nothing may be using the database. What cannot be opened is left as it is; whoever reads it says why.
    """
    with contextlib.suppress(sqlite3.Error), _connected(path, "mode=rw", 1.0) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def schema(path: str, *, wait: float = 5.0) -> str:
    """Return the fingerprint of a database's schema; the database may be in use and large.

    Raises:
        DockerVpsError: it cannot be read.
    """
    with _opened(path, _header(path), wait) as connection:
        return schema_fingerprint(connection)


def rows(path: str, *, wait: float = 5.0, within: float = 3600.0) -> Dict[str, int]:
    """Return the rows by ordinary table of a database, in use or not; sooner than facts, since nothing is checked.

    Raises:
        DockerVpsError: it cannot be read, or counting takes longer than ``within`` seconds.
    """
    with _opened(path, _header(path), wait) as connection:
        # Counting is one instruction of SQLite, in which only an interrupt is noticed.
        limit = threading.Timer(within, connection.interrupt)
        limit.start()
        try:
            return _rows(connection, time.monotonic() + within)
        finally:
            limit.cancel()
            limit.join()


def names(path: str, query: str, *, wait: float = 5.0) -> FrozenSet[str]:
    """Return the first column of a query as text, without NULLs. The query can only read.

    Raises:
        DockerVpsError: there is no readable database, or the query fails.
    """
    with _opened(path, _header(path), wait) as connection:
        connection.execute("PRAGMA query_only = ON")
        try:
            values = [row[0] for row in connection.execute(query)]
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise DockerVpsError(f"The query {query!r} on {path} failed: {error}. Correct the query.") from error
    return frozenset(
        _decoded(value) if isinstance(value, bytes) else str(value) for value in values if value is not None
    )


def schema_fingerprint(connection: sqlite3.Connection) -> str:
    """Return a sha256 in hex over tables, indices, views and triggers, whatever their order and white space."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    schema = sorted(
        [kind, name, table, " ".join((sql or "").split())] for kind, name, table, sql in rows if _ours(name)
    )
    return hashlib.sha256(json.dumps(schema).encode()).hexdigest()


class _Unsettled(Exception):
    """The database changed in each pause between steps."""


class _Steps:
    """Follows a copy from step to step; no lock is held while it is called."""

    def __init__(self, wait: float, pause: Callable[[float], None]) -> None:
        self.held = 0.0
        self._wait = wait
        self._pause = pause
        self._restarts = 0
        self._remaining: Optional[int] = None
        self._began = self._moved = time.monotonic()

    def __call__(self, status: int, remaining: int, total: int) -> None:
        now = time.monotonic()
        if status in (_BUSY, _LOCKED):
            if now - self._moved >= self._wait:
                raise sqlite3.OperationalError("database is locked")
            self._pause(_RETRY)
        else:
            self.held = max(self.held, now - self._began)
            if self._remaining is not None and remaining >= self._remaining:
                self._restarts += 1  # SQLite began anew, because another process committed
            self._remaining = remaining
            self._moved = now
            if self._restarts > _RESTARTS:
                self._remaining, self._restarts, self._began = None, 0, time.monotonic()
                raise _Unsettled
            if remaining:
                self._pause(_PAUSE)
        self._began = time.monotonic()


def _header(path: str) -> _Header:
    """Read what the first 100 bytes say: https://www.sqlite.org/fileformat2.html#the_database_header."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status, start = os.fstat(descriptor), os.pread(descriptor, 100, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DockerVpsError(f"The database {path} cannot be read: {error.strerror}.") from error
    if len(start) < 100 or not start.startswith(MAGIC):
        raise DockerVpsError(
            f"{path} does not begin as an SQLite 3 database does: it is empty, encrypted or damaged. "
            "Restore it, or leave it out."
        )
    return _Header(wal=start[19] == 2, version=int.from_bytes(start[96:100], "big"), stat=status)


@contextlib.contextmanager
def _opened(path: str, header: _Header, wait: float) -> Iterator[sqlite3.Connection]:
    """Open a database that others may be using, and leave its folder as it was."""
    missing = [path + suffix for suffix in ("-wal", "-shm") if header.wal and not os.path.lexists(path + suffix)]
    options = "mode=ro"
    if header.wal and path + "-shm" not in missing:
        options += "&readonly_shm=1"  # or SQLite would rebuild it when the application is stopped
    try:
        with _said(path, wait), _connected(path, options, wait) as connection:
            yield connection
    finally:
        if missing:
            _tidy(path, missing)


@contextlib.contextmanager
def _made(path: str, original: os.stat_result) -> Iterator[None]:
    """Make an empty file for the copy; at the end give it what the original has, or remove it after a failure."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise DockerVpsError(f"The copy {path} cannot be made: {error.strerror}.") from error
    try:
        yield
        os.fchown(descriptor, original.st_uid, original.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(original.st_mode))
        os.utime(descriptor, ns=(original.st_mtime_ns, original.st_mtime_ns))
        os.fsync(descriptor)
    except BaseException as error:
        os.unlink(path)
        if isinstance(error, OSError):
            raise DockerVpsError(f"The copy {path} cannot be completed: {error.strerror}.") from error
        raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _connected(path: str, options: str, wait: float = 0.0) -> Iterator[sqlite3.Connection]:
    uri = f"file://{quote(os.fsencode(os.path.abspath(path)))}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None)
    connection.text_factory = _decoded
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def _said(path: str, wait: float) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        said = str(error)
        why = next((cause.format(wait=wait) for sign, cause in _CAUSES if sign in said), "is it damaged or in use?")
        raise DockerVpsError(f"SQLite cannot read {path} ({said}): {why}.") from error


def _tidy(path: str, ours: List[str]) -> None:
    """Remove the sidecars that reading a database in WAL mode had to make, unless it is in use.

    As SQLite itself does it: with all its locks, which exclude every other connection, because one in WAL mode holds
    a shared lock as long as it is open. Whoever opens the database within these microseconds waits as for a commit.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCK_LENGTH, _LOCK_START)
            for sidecar in ours:
                if sidecar.endswith("-shm") or os.lstat(sidecar).st_size == 0:
                    os.unlink(sidecar)
        finally:
            os.close(descriptor)


def _examine(connection: sqlite3.Connection, header: _Header, held: float) -> Facts:
    connection.execute("BEGIN")  # one state for all questions
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return Facts(
        journal_mode="wal" if header.wal else "rollback",
        sqlite_version=text(header.version),
        bytes=pages * size,
        check=_integrity(connection),
        schema=schema_fingerprint(connection),
        tables=_rows(connection),
        held=held,
        warning=known_data_loss(header.version, header.wal) or "",
    )


def _integrity(connection: sqlite3.Connection) -> str:
    try:
        return "\n".join(line for (line,) in connection.execute(f"PRAGMA integrity_check({_FINDINGS})"))
    except sqlite3.DatabaseError as error:
        return str(error)


def _rows(connection: sqlite3.Connection, until: float = math.inf) -> Dict[str, int]:
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL %' ORDER BY name"
    ).fetchall()
    rows = {}
    for name in (name for (name,) in tables if _ours(name)):
        quoted = name.replace('"', '""')
        if time.monotonic() >= until:  # an interrupt between two statements is not noticed
            raise sqlite3.OperationalError("interrupted")
        try:
            rows[name] = connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]  # noqa: S608
        except sqlite3.DatabaseError as error:  # damaged, or an index needs a function of the application
            if "interrupted" in str(error):
                raise
    return rows


def _ours(name: str) -> bool:
    # Litestream keeps what it needs in the database that it replicates.
    return not name.lower().startswith(("sqlite_", "_litestream_"))


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
