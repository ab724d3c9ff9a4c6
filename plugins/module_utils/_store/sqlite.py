# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy and read SQLite databases while their application writes them.

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
import os
import sqlite3
import stat
import threading
import time
from dataclasses import dataclass
from typing import Callable, Dict, FrozenSet, Iterator, List, Optional, Set, Tuple
from urllib.parse import quote

from .._core.databases import HEADER, LONGEST, MAGIC, belongs, brief
from .._core.errors import DockerVpsError
from .._core.remedies import setting
from .files import open_regular, refused

_STEP = 512  # pages; 2 MiB with the usual page size, a few milliseconds
_PAUSE = 0.001  # seconds between steps, in which the application may commit
_RETRY = 0.01  # seconds until a lock is tried again
_RESTARTS = 3  # after so many the copy is finished in one step
_WAL_MAGIC = b"\x37\x7f\x06"
_PAGE_SIZES = frozenset(1 << power for power in range(9, 17))
_FRAMES = 1 << 16  # of a WAL that are checked, a fraction of a second
_WRITER = 96  # where a header has the number of the library that last wrote it
_BUSY, _LOCKED = 5, 6  # https://www.sqlite.org/rescode.html; the names are new in Python 3.11
# PENDING, RESERVED and SHARED bytes: whoever has them all is alone. https://www.sqlite.org/lockingv3.html
_LOCK_START, _LOCK_LENGTH = 0x40000000, 512


FAILURES = (sqlite3.Error, UnicodeError)
"""What Python raises when SQLite fails; the second where a name in a database, or in what SQLite says, is not UTF-8."""
NAMES_BYTES = 256 * 1024**2
"""Bytes of memory for what a query names; millions of paths."""
_EACH = 64  # bytes that a string needs beside its characters

KEPT_BACK = "its reason names something that is not UTF-8"
"""What SQLite says is this where Python tells nothing of it."""
_CAUSES = (
    (
        "locked",
        "another process has kept it locked for {wait:g} seconds; an application with PRAGMA locking_mode = EXCLUSIVE "
        f"never releases it, so set {setting('backup_consistency')} to stop for it, and otherwise try again when the "
        "application is less busy",
    ),
    ("readonly", "a crash interrupted a write to it; start its application once, so that SQLite repairs it"),
    ("full", "there is no space for the copy; free some or name another directory"),
    ("not a database", "it is encrypted or damaged; restore it, or leave it out"),
    ("malformed", "it is damaged; restore it, or leave it out"),
    ("interrupted", "counting its rows takes too long"),
)


@dataclass(frozen=True)
class Copied:
    """What is known about a copy; for ``lock_seconds`` the application could not commit because of it."""

    wal: bool
    version: int  # of the library that last wrote the original's first page, such as 3045001; 0 when unknown
    lock_seconds: float  # the longest time; 0.0 in WAL mode


@dataclass(frozen=True)
class Header:
    """What the first 100 bytes of a database say."""

    wal: bool
    version: int
    stat: os.stat_result


def copy(live: str, target: str, *, wait: float = 5.0, pause: Callable[[float], None] = time.sleep) -> Copied:
    """Copy a database that may be in use.

    The copy is one state of the database between two commits, whatever its schema says, with the owner, mode and
    modification time of the original, and with its number of the library that last wrote it, instead of the one of
    this host's library. In WAL mode readers block nobody, so it is made in one step. Otherwise a step keeps commits
    waiting, so steps are small; a database that changes too often for them is finished in one.

    Args:
        live: path of the database; neither it nor its sidecars change.
        target: path of the copy; nothing may be there.
        wait: seconds to wait for a lock of another process.
        pause: lets seconds pass.

    Raises:
        DockerVpsError: it cannot be copied; the target is not there then.
    """
    about = header(live)
    wrote = writer(live, about)
    with _made(target, about) as descriptor:
        steps = _Steps(wait, pause, time.monotonic())
        with opened(live, about, wait) as source, connected(target, "mode=rw") as copied:
            if not about.wal:
                source.execute("PRAGMA busy_timeout = 0")  # the steps wait, or waiting would be taken for holding
            copied.execute("PRAGMA synchronous = OFF")  # a flush would prolong the lock
            copied.execute("PRAGMA journal_mode = MEMORY")  # or a failure may leave a journal
            try:
                source.backup(copied, pages=-1 if about.wal else _STEP, progress=steps, sleep=0)
            except _Unrecovered:
                source.backup(copied, pages=-1, progress=steps, sleep=0)
        # Nothing in SQLite depends on it: https://www.sqlite.org/fileformat2.html#write_library_version_number
        os.pwrite(descriptor, wrote.to_bytes(4, "big"), _WRITER)
    return Copied(about.wal, wrote, 0.0 if about.wal else steps.lock_seconds)


def recover_crash(path: str) -> None:
    """Roll back what a crashed application has left half-written, as it would do itself at its next start.

    Nothing may be using the database. What cannot be opened is left as it is; whoever reads it says why.
    """
    with contextlib.suppress(*FAILURES), connected(path, "mode=rw", 1.0) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def schema(path: str, *, wait: float = 5.0) -> str:
    """Return the fingerprint of a database's schema; the database may be in use and large.

    Raises:
        DockerVpsError: it cannot be read.
    """
    with opened(path, header(path), wait) as connection:
        bear(connection)
        return schema_fingerprint(connection)


def rows(path: str, *, wait: float = 5.0, within: float = 3600.0) -> Dict[str, int]:
    """Return the rows by ordinary table of a database, in use or not, as far as they can be counted.

    Raises:
        DockerVpsError: it cannot be read, or counting takes longer than ``within`` seconds.
    """
    return counted(path, wait=wait, within=within)[0]


def counted(path: str, *, wait: float = 5.0, within: float = 3600.0) -> Tuple[Dict[str, int], List[str]]:
    """Return the rows by ordinary table of a database, in use or not, and the tables that cannot be counted.

    Raises:
        DockerVpsError: it cannot be read, or counting takes longer than ``within`` seconds.
    """
    with opened(path, header(path), wait) as connection, limited(connection, within):
        bear(connection)
        return count(connection, time.monotonic() + within)


def names(path: str, query: str, *, wait: float = 5.0, within: float = 60.0) -> FrozenSet[str]:
    """Return the first column of a query as strings, without NULLs. The query can only read.

    Raises:
        DockerVpsError: there is no readable database, or the query fails, takes longer than ``within`` seconds (one at
            least), or names too much.
    """
    with opened(path, header(path), wait) as connection:
        connection.execute("PRAGMA query_only = ON")
        bear(connection)
        try:
            with limited(connection, within):
                found = _first_column(connection.execute(query))
        except (*FAILURES, sqlite3.Warning) as error:
            if "locked" in str(error):
                raise
            ended = str(error) == "interrupted"  # what it reads may be a view, and need no end
            why = f"takes longer than {within:.0f} s" if ended else f"failed: {brief(message_of(error)).rstrip('.')}"
            step = "Correct the query, or what it reads." if ended else "Correct the query."
            raise DockerVpsError(f"The query {query!r} on {path} {why}. {step}") from error
    if found is None:
        raise DockerVpsError(
            f"The query {query!r} on {path} names more than {NAMES_BYTES // 1024**2} MiB of paths. "
            "Correct the query, or what it reads."
        )
    return frozenset(found)


def _first_column(rows: sqlite3.Cursor) -> Optional[Set[str]]:
    """Return the first values of rows as strings; None when they are too much to keep."""
    found: Set[str] = set()
    size = 0
    for value in (row[0] for row in rows if row[0] is not None):
        text = _decoded(value) if isinstance(value, bytes) else str(value)
        if text not in found:
            found.add(text)
            size += len(text) + _EACH
        if size > NAMES_BYTES:
            return None
    return found


def bear(connection: sqlite3.Connection) -> None:
    """Pass over what this library does not understand of the schema, a view in newer SQL for example.

    For a connection that cannot write: https://www.sqlite.org/pragma.html#pragma_writable_schema.
    """
    connection.execute("PRAGMA writable_schema = ON")


def schema_fingerprint(connection: sqlite3.Connection) -> str:
    """Return a sha256 in hex over tables, indices, views and triggers, whatever their order and white space."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    schema = sorted([kind, name, table, " ".join((sql or "").split())] for kind, name, table, sql in rows if ours(name))
    return hashlib.sha256(json.dumps(schema).encode()).hexdigest()


NO_SCHEMA = hashlib.sha256(json.dumps([]).encode()).hexdigest()
"""The fingerprint of a database without a table."""


class _Unrecovered(Exception):
    """The database changed in each pause between steps."""


class _Steps:
    """Follows a copy from step to step; no lock is held while it is called."""

    def __init__(self, wait: float, pause: Callable[[float], None], began: float) -> None:
        self.lock_seconds = 0.0
        self._wait = wait
        self._pause = pause
        self._restarts = 0
        self._remaining: Optional[int] = None
        self._began = self._moved = began

    def __call__(self, status: int, remaining: int, total: int) -> None:
        now = time.monotonic()
        if status in (_BUSY, _LOCKED):
            if now - self._moved >= self._wait:
                raise sqlite3.OperationalError("database is locked")
            self._pause(_RETRY)
        else:
            self.lock_seconds = max(self.lock_seconds, now - self._began)
            if self._remaining is not None and remaining >= self._remaining:
                self._restarts += 1  # SQLite started over, because another process committed
            self._remaining = remaining
            self._moved = now
            if self._restarts > _RESTARTS:
                self._remaining, self._restarts, self._began = None, 0, time.monotonic()
                raise _Unrecovered
            if remaining:
                self._pause(_PAUSE)
        self._began = time.monotonic()


def header(path: str) -> Header:
    """Read what the first 100 bytes say: https://www.sqlite.org/fileformat2.html#the_database_header.

    Raises:
        DockerVpsError: it cannot be read, or does not begin as a database does.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status, start = os.fstat(descriptor), os.pread(descriptor, HEADER, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise refused(f"The database {path} cannot be read", error, path) from error
    if len(start) < HEADER or not start.startswith(MAGIC):
        raise DockerVpsError(
            f"{path} does not begin as an SQLite 3 database does: it is empty, encrypted or damaged. "
            "Restore it, or leave it out."
        )
    return Header(wal=start[19] == 2, version=int.from_bytes(start[_WRITER : _WRITER + 4], "big"), stat=status)


def writer(path: str, about: Header) -> int:
    """Return the number of the library that last wrote the first page, be that in the WAL; 0 when it is unknown."""
    return (_writer_in_wal(path + "-wal") if about.wal else 0) or about.version


def _writer_in_wal(path: str) -> int:
    """Return the number in the first page as the last commit in a WAL has it; 0 when it does not have that page.

    https://www.sqlite.org/fileformat2.html#walformat: 32 bytes, and before each page 24, all of which have the salts of
    the WAL as it is used now. A WAL that is no such thing, is very long, or is begun again meanwhile, tells nothing.
    """
    with contextlib.suppress(OSError), open_regular(path) as wal:

        def read(size: int, at: int) -> bytes:
            return os.pread(wal.fileno(), size, at)

        start = read(32, 0)
        size, salts, at = int.from_bytes(start[8:12], "big"), start[16:24], len(start)
        if start[:3] != _WAL_MAGIC or size not in _PAGE_SIZES:
            return 0
        seen, committed = (0, b""), (0, b"")
        for _number in range(_FRAMES):
            frame = read(24, at)
            page, commits = (int.from_bytes(frame[place : place + 4], "big") for place in (0, 4))
            if len(frame) < 24 or frame[8:16] != salts or not page:
                break
            seen = (at, frame) if page == 1 else seen
            committed = seen if commits else committed
            at += len(frame) + size
        else:
            return 0
        at, frame = committed
        number = int.from_bytes(read(4, at + len(frame) + _WRITER), "big")
        if at and (read(len(start), 0), read(len(frame), at)) == (start, frame):
            return number
    return 0


@contextlib.contextmanager
def opened(path: str, about: Header, wait: float) -> Iterator[sqlite3.Connection]:
    """Open a database that others may be using, and leave its folder as it was.

    Raises:
        DockerVpsError: it cannot be opened, or SQLite fails at reading it.
    """
    if _has_no_journal(path):
        _see_that_nobody_changes(path)
        with at_rest(path) as connection:
            yield connection
        _see_that_nothing_changed(path, about)
        return
    missing = [path + suffix for suffix in ("-wal", "-shm") if about.wal and not os.path.lexists(path + suffix)]
    if path + "-shm" in missing and os.statvfs(path).f_flag & os.ST_RDONLY:
        with _unwritable(path) as connection:
            yield connection
        return
    folder = os.stat(os.path.dirname(path) or ".")
    options = "mode=ro"
    if about.wal and path + "-shm" not in missing:
        options += "&readonly_shm=1"  # or SQLite would rebuild it when the application is stopped
    try:
        with _explained(path, wait), connected(path, options, wait) as connection:
            yield connection
    finally:
        if missing:
            _tidy(path, missing, folder)


@contextlib.contextmanager
def at_rest(path: str) -> Iterator[sqlite3.Connection]:
    """Open a database that nobody is writing, without a lock and without a look at what is beside it.

    Raises:
        DockerVpsError: it cannot be opened, or SQLite fails at reading it.
    """
    with _explained(path, 0.0), connected(path, "mode=ro&immutable=1") as connection:
        yield connection


@contextlib.contextmanager
def _unwritable(path: str) -> Iterator[sqlite3.Connection]:
    """Open a database in WAL mode that nobody uses, where SQLite cannot make the files that it needs to read it."""
    if beginning(path + "-wal", 1):
        raise DockerVpsError(
            f"The last changes of {path} are in {path}-wal, which SQLite cannot read where nothing can be written: "
            "that file system is mounted read-only. See why with dmesg, and mount it for writing."
        )
    with at_rest(path) as connection:
        yield connection


def _has_no_journal(path: str) -> bool:
    """Return whether what is beside a database under the name of its journal is something else.

    Whoever opens the database for writing removes it, so nobody does. SQLite would refuse to open it for reading.
    """
    start = beginning(path + "-journal", 8)
    return not belongs("-journal", start) and start[:1] != b"\0"


def fits(path: str) -> bool:
    """Return whether SQLite takes the path of a database, which it looks at without its links."""
    return len(os.fsencode(os.path.realpath(path))) <= LONGEST


def beginning(path: str, length: int) -> bytes:
    """Return the first bytes of a file; none when it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, length, 0)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _see_that_nobody_changes(path: str) -> None:
    """Refuse a database that others may be using, while what is beside it keeps SQLite from reading along."""
    wal = beginning(path + "-wal", 8)
    if wal and belongs("-wal", wal):
        raise DockerVpsError(
            f"Beside the database {path} is {path}-journal, which is no journal of SQLite: it keeps others from "
            "reading the database, and SQLite removes it when the database is opened next. Move it elsewhere."
        )


def _see_that_nothing_changed(path: str, about: Header) -> None:
    now = header(path).stat
    if (now.st_mtime_ns, now.st_size) != (about.stat.st_mtime_ns, about.stat.st_size) or not _has_no_journal(path):
        raise DockerVpsError(f"The database {path} changed while it was read. Try again.")


@contextlib.contextmanager
def _made(path: str, original: Header) -> Iterator[int]:
    """Make an empty file for the copy; at the end give it what the original has, or remove it after a failure."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise refused(f"The copy {path} cannot be made", error, path) from error
    try:
        yield descriptor
        os.fchown(descriptor, original.stat.st_uid, original.stat.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(original.stat.st_mode))
        os.utime(descriptor, ns=(original.stat.st_mtime_ns, original.stat.st_mtime_ns))
    except BaseException as error:
        os.unlink(path)
        if isinstance(error, OSError):
            raise refused(f"The copy {path} cannot be completed", error, path) from error
        raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def connected(path: str, options: str, wait: float = 0.0) -> Iterator[sqlite3.Connection]:
    """Connect to a database with options of a URI."""
    uri = f"file://{quote(os.fsencode(os.path.abspath(path)))}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None)
    connection.text_factory = _decoded
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def _explained(path: str, wait: float) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        message = message_of(error)
        why = next((cause.format(wait=wait) for sign, cause in _CAUSES if sign in message), "is it damaged or in use?")
        raise DockerVpsError(f"SQLite cannot read {path} ({brief(message)}): {why}.") from error


def message_of(error: Exception) -> str:
    """Return what SQLite says, also when it names something that is not UTF-8, which Python before 3.11 keeps back."""
    return _decoded(error.object) if isinstance(error, UnicodeDecodeError) else str(error) or KEPT_BACK


def quoted(name: str) -> str:
    """Return the name of a table or column as it stands in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _tidy(path: str, ours: List[str], folder: os.stat_result) -> None:
    """Remove the sidecars that reading a database in WAL mode had to make, unless it is in use.

    Its folder then has the time that it had before, so that the archive of an unchanged volume is the same again.
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
            os.utime(os.path.dirname(path) or ".", ns=(folder.st_atime_ns, folder.st_mtime_ns))
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def limited(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Interrupt what a connection does when the time is over; a statement that begins later is not noticed."""
    # Counting and looking at pages are one instruction each, in which only an interrupt is noticed.
    limit = threading.Timer(seconds, connection.interrupt)
    limit.start()
    try:
        yield
    finally:
        limit.cancel()
        limit.join()


def tables(connection: sqlite3.Connection) -> List[str]:
    """Return the names of the ordinary tables of the application."""
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL %' ORDER BY name"
    ).fetchall()
    return [name for (name,) in found if ours(name)]


def count(connection: sqlite3.Connection, until: float) -> Tuple[Dict[str, int], List[str]]:
    """Return the rows by ordinary table, and the tables that cannot be counted.

    Raises:
        sqlite3.OperationalError: the monotonic time ``until`` has come.
    """
    counts, uncounted = {}, []
    for name in tables(connection):
        if time.monotonic() >= until:
            raise sqlite3.OperationalError("interrupted")
        try:
            counts[name] = connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0]  # noqa: S608
        except FAILURES as error:  # damaged, in newer SQL, not UTF-8, or an index needs a function of the application
            if "interrupted" in str(error):
                raise
            uncounted.append(name)
    return counts, uncounted


def ours(name: str) -> bool:
    """Return whether a table is the application's; Litestream keeps what it needs in the database it replicates."""
    return not name.lower().startswith(("sqlite_", "_litestream_"))


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
