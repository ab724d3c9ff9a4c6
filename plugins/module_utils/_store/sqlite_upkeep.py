# SPDX-License-Identifier: GPL-3.0-or-later
"""Tend an SQLite database: bring the statistics of its query planner up to date, and give free pages back.

Looking at it changes nothing. Whoever changes it waits for nobody, since who has a lock may be
paused for this. Nor may the application be committing meanwhile: a library with the WAL-reset bug, as
many hosts have, loses commits only to a checkpoint beside a writer.
"""

from __future__ import annotations

import os
import sqlite3
import time
from functools import partial
from typing import List, Sequence, Tuple

from .._core.databases import brief
from .._core.maintenance import Pages, Room
from .._core.remedies import setting
from . import sqlite

OPTIMIZE, VACUUM, CHECKPOINT = "optimize", "vacuum", "checkpoint"
ROWS = 400
"""Rows of each index that statistics are made of at most: https://www.sqlite.org/pragma.html#pragma_analysis_limit."""
INSTRUCTIONS = 1000
"""After so many of its virtual machine, SQLite looks whether the time is over."""
TITLES = {OPTIMIZE: "PRAGMA optimize", VACUUM: "VACUUM", CHECKPOINT: "The checkpoint"}
_DRY = 0x03  # of PRAGMA optimize: return the statements, and run none
_SCRATCH = ("SQLITE_TMPDIR", "TMPDIR")
_USUAL = ("/var/tmp", "/usr/tmp", "/tmp")  # noqa: S108  # where SQLite looks for a place, in this order


class Gave(Exception):
    """SQLite gave a step up; what it had done is undone. ``left`` are the steps that were not taken."""

    def __init__(self, message: str, left: Sequence[str]) -> None:
        super().__init__(message)
        self.message = message
        self.left = tuple(left)


def look(path: str, *, wait: float = 5.0) -> Tuple[List[str], Pages]:
    """Return the statements that PRAGMA optimize would run, and the pages of a database that others may be using.

    Raises:
        DockerVpsError: SQLite cannot read it.
    """
    about = sqlite.header(path)
    with sqlite.opened(path, about, wait) as connection:
        sqlite.bear(connection)
        _touch_indexes(connection)
        statements = [str(row[0]) for row in connection.execute(f"PRAGMA optimize({_DRY})").fetchall()]
        numbers = [_number(connection, name) for name in ("page_size", "page_count", "freelist_count")]
    return statements, Pages(about.wal, *numbers)


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _touch_indexes(connection: sqlite3.Connection) -> None:
    """Plan a query by an index of each table, since PRAGMA optimize looks only at tables of which that was done."""
    for table in sqlite.tables(connection):
        names = connection.execute(
            "SELECT i.name FROM pragma_index_list(?) l, pragma_index_info(l.name) i WHERE i.seqno = 0 AND i.name > ''",
            (table,),
        )
        for (column,) in names.fetchall():
            query = f"EXPLAIN SELECT 1 FROM {sqlite.quoted(table)} WHERE {sqlite.quoted(column)} = 1"  # noqa: S608
            connection.execute(query).fetchall()


def tend(path: str, steps: Sequence[str], within: float) -> List[str]:
    """Take steps one after the other, and return those that are still to be taken, since somebody has a lock.

    Args:
        within: seconds for each, after which it is undone.

    Raises:
        Gave: SQLite cannot, or a step takes too long; what it did is undone.
    """
    left = list(steps)
    try:
        with sqlite.connected(path, "mode=rw") as connection:
            while left:
                until = time.monotonic() + within
                connection.set_progress_handler(partial(_is_over, until), INSTRUCTIONS)
                if not _step(connection, left[0]):
                    break
                left.pop(0)
    except sqlite.FAILURES as error:
        message = sqlite.message_of(error)
        if "locked" in message:
            return left
        took_long = f"took longer than {within:g} s, and was undone; {setting('maintenance_pause')} allows more"
        why = took_long if message == "interrupted" else f"failed: {brief(message).rstrip('.')}"
        raise Gave(f"{TITLES[left[0]]} {why}", left) from error
    return left


def _is_over(until: float) -> bool:
    return time.monotonic() >= until


def _step(connection: sqlite3.Connection, step: str) -> bool:
    """Take a step, and return whether that was possible."""
    if step == CHECKPOINT:
        return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if step == VACUUM:
        connection.execute("VACUUM")
        return True
    _touch_indexes(connection)
    connection.execute(f"PRAGMA analysis_limit = {ROWS}")
    connection.execute("PRAGMA optimize").fetchall()
    return True


def space(path: str) -> Room:
    """Return what is free for a VACUUM."""
    place, scratch = os.path.dirname(path) or ".", _scratch()
    free = [facts.f_bavail * facts.f_frsize for facts in map(os.statvfs, (place, scratch))]
    same = os.stat(place).st_dev == os.stat(scratch).st_dev
    return Room(place, free[0], scratch, free[1], same)


def _scratch() -> str:
    """Return where SQLite makes its temporary files: https://www.sqlite.org/tempfiles.html, section 5."""
    named = [os.environ.get(name, "") for name in _SCRATCH]
    places = [place for place in (*named, *_USUAL) if os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)]
    return places[0] if places else "."


def bytes_of(path: str) -> int:
    """Return the size of a database with its write-ahead log."""
    return sum(os.stat(each).st_size for each in (path, path + "-wal") if os.path.exists(each))
