# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at trees and databases without the product's code, to tell whether what came back is what was there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any, Iterator, Mapping, NamedTuple, Optional

from kinds import prepared

SIDECARS = ("-wal", "-journal")


class Entry(NamedTuple):
    """All that is to be seen of one name in a tree."""

    kind: int
    mode: int
    owner: tuple[int, int]
    modified: int
    inside: Any
    notes: Mapping[str, bytes]
    space: int
    identity: tuple[int, int]


def entries(root: str) -> dict[str, Entry]:
    """Return everything in a tree by its path, the tree itself as "."; paths may be of any length."""
    found: dict[str, Entry] = {}
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found["."] = _entry(top, ".")
        found.update(_below(top, ""))
    finally:
        os.close(top)
    return found


def _below(folder: int, above: str) -> Iterator[tuple[str, Entry]]:
    for name in os.listdir(folder):
        path, entry = above + name, _entry(folder, name)
        yield path, entry
        if entry.kind == stat.S_IFDIR:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            try:
                yield from _below(below, f"{path}/")
            finally:
                os.close(below)


def _entry(folder: int, name: str) -> Entry:
    facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    kind = stat.S_IFMT(facts.st_mode)
    here = f"/proc/self/fd/{folder}/{name}"
    inside: Any = None
    if kind == stat.S_IFREG:
        inside = (facts.st_size, _digest(here, facts))
    elif kind == stat.S_IFLNK:
        inside = os.readlink(name, dir_fd=folder)
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        inside = facts.st_rdev
    notes = {one: os.getxattr(here, one, follow_symlinks=False) for one in os.listxattr(here, follow_symlinks=False)}
    return Entry(
        kind,
        stat.S_IMODE(facts.st_mode),
        (facts.st_uid, facts.st_gid),
        facts.st_mtime_ns,
        inside,
        notes,
        facts.st_blocks * 512,
        (facts.st_dev, facts.st_ino),
    )


def _digest(path: str, facts: os.stat_result) -> str:
    """Return a digest of a file's content; holes are passed over."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        at = 0
        while True:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # no data behind
                return digest.hexdigest()
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            for start in range(at - at % 65536, end, 65536):
                block = os.pread(file.fileno(), 65536, start)
                if block.strip(b"\0"):
                    digest.update(b"%d:" % start + hashlib.sha256(block).digest())
            at = end + -end % 65536


def chunks(index: str) -> list[str]:
    """Return the digests of the chunks that the index of an archive names."""
    runs = json.loads(Path(index).read_text(encoding="utf-8"))["runs"]
    return [sha256 for _key, _files, _members, chunks in runs for sha256, _packed, _plain in chunks]


def archive(path: str) -> bytes:
    """Return the bytes of an archive; of an index, those of its chunks, one after the other."""
    if not path.endswith(".index"):
        return Path(path).read_bytes()
    return b"".join((Path(path).parent / "chunks" / sha256).read_bytes() for sha256 in chunks(path))


def links(tree: Mapping[str, Entry]) -> dict[str, frozenset[str]]:
    """Return for each name of a file with several names in the tree all of them."""
    names: dict[tuple[int, int], set[str]] = {}
    for path, entry in tree.items():
        if entry.kind == stat.S_IFREG:
            names.setdefault(entry.identity, set()).add(path)
    return {path: frozenset(one) for one in names.values() for path in one}


def copy_of(path: str, scratch: Path, sidecars: bool = True) -> Path:
    """Copy a database that nobody is writing, with its log and journal, to where it may be opened for writing."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for suffix in ("", *SIDECARS) if sidecars else ("",):
        if os.path.exists(path + suffix):
            shutil.copyfile(path + suffix, scratch / f"database{suffix}")
            os.chmod(scratch / f"database{suffix}", 0o600)
    return scratch / "database"


def content(path: str, scratch: Path, sidecars: bool = True) -> dict[str, Any]:
    """Return everything in a database that an application can see, as Python's SQLite reads it."""
    copied = copy_of(path, scratch, sidecars)
    found: dict[str, Any] = {}
    with closing(prepared(sqlite3.connect(copied, isolation_level=None))) as connection:
        connection.text_factory = bytes
        connection.execute("PRAGMA writable_schema = ON")  # passes over what this SQLite cannot parse
        for name in ("user_version", "application_id", "encoding", "page_size", "auto_vacuum", "page_count"):
            found[name] = connection.execute(f"PRAGMA {name}").fetchall()
        found["schema"] = connection.execute("SELECT * FROM sqlite_master ORDER BY rowid").fetchall()
        for kind, name, _table, _root, _sql in found["schema"]:
            if kind == b"table":
                quoted = name.decode(errors="surrogateescape").replace('"', '""')
                found[f"rows of {quoted}"] = _rows(connection, f'SELECT * FROM "{quoted}"')
        found["check"] = _rows(connection, "PRAGMA integrity_check")
    found["journal"] = Path(path).read_bytes()[18:20]
    return found


def _rows(connection: sqlite3.Connection, query: str) -> Optional[str]:
    try:
        return hashlib.sha256(repr(connection.execute(query).fetchall()).encode()).hexdigest()
    except sqlite3.Error as error:
        return str(error)


def is_sound(path: str, scratch: Path) -> bool:
    """Return whether SQLite itself finds nothing wrong with a database."""
    try:
        with closing(prepared(sqlite3.connect(copy_of(path, scratch)))) as connection:
            return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    except sqlite3.Error:
        return False
