# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose database a file is, what a check of it can say, and what may stop a backup.

The rule: only the application's own database, when it is damaged, and a volume that cannot be read stop a backup. Its
own are the databases in the first volume, and the one that DATABASE_URI names wherever it is. Whatever else is in a
volume is somebody's bytes: it is archived as it is, and warned about by name.
"""

from __future__ import annotations

import math
from typing import Dict, Iterable, Mapping, Protocol, Sequence, Tuple

from .sqlite_versions import dotted

SOUND, DAMAGED, NOT_CHECKED = "sound", "damaged", "not checked"
CHECKS = (SOUND, DAMAGED, NOT_CHECKED)
"""What a check says: it looked and found nothing; it found something; it could not look."""

MAGIC = b"SQLite format 3\0"
SIDECARS = ("-wal", "-shm", "-journal")
LONGEST = 504
"""Bytes of a path on this host that SQLite opens: MAX_PATHNAME in https://sqlite.org/src/file/src/os_unix.c, with space
for ``-journal``."""
HEADER = 100  # bytes: https://www.sqlite.org/fileformat2.html#the_database_header

_WAL = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")  # https://www.sqlite.org/fileformat2.html#the_write_ahead_log
_JOURNAL = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"  # https://www.sqlite.org/fileformat2.html#the_rollback_journal
SAMPLE = 4096  # bytes that are enough to tell noise from anything else
_RANDOM = 7.8  # bits a byte; so much of noise has 7.95, and of tables and text less than 6.5

_LONGEST_LINE, _LONGEST_WHY = 300, 2000  # characters

# Lines of an integrity check about rows that break a rule of their table. The pages that hold them are whole.
_BROKEN_RULES = ("NULL value in ", "CHECK constraint failed in ")
_MISTYPED = ("NUMERIC value in ", "TEXT value in ", "non-INT value in ", "non-REAL value in ", "non-BLOB value in ")
# Lines that say that something could not be looked into: an index of words whose tokenizer the application brings.
_UNABLE = ("unable to validate ", "unable to check ")
# What SQLite raises about content that it has read.
_FOUND = ("database disk image is malformed", "file is not a database", "file is encrypted or is not a database")


def is_own(archive: str, path: str, first: str, database: str) -> bool:
    """Return whether a database is the application's.

    Args:
        archive: the archive of the volume in which it is.
        path: its path there.
        first: the first of the archives.
        database: what DATABASE_URI names, as archive/path; empty when that is not known.
    """
    return archive == first or f"{archive}/{path}" == database


def stops(own: bool, check: str) -> bool:
    """Return whether a database of which this is known stops a backup."""
    return own and check == DAMAGED


def belongs(sidecar: str, start: bytes) -> bool:
    """Return whether SQLite would take a file with a sidecar's name for one, by its first bytes.

    A text file called ``report.db-journal`` is none: SQLite finds no header in it and restores nothing.
    """
    if not start[: len(_JOURNAL)].strip(b"\0"):
        # Empty, cleared when its last transaction ended, or a journal that was not flushed yet: only then it gets its
        # magic number, writeJournalHdr in https://sqlite.org/src/file/src/pager.c.
        return True
    if sidecar.endswith("-wal"):
        return start.startswith(_WAL)
    return not sidecar.endswith("-journal") or start.startswith(_JOURNAL)


def holds_changes(start: bytes) -> bool:
    """Return whether a sidecar that begins like this is of a database that SQLite itself has written."""
    return start.startswith((*_WAL, _JOURNAL))


def looks_random(start: bytes) -> bool:
    """Return whether the first SAMPLE bytes of a file look like noise, as those of an encrypted database do."""
    if len(start) < SAMPLE:
        return False
    shares = [start.count(value) / len(start) for value in set(start)]
    return -sum(share * math.log2(share) for share in shares) >= _RANDOM


def judged(lines: Sequence[str]) -> Tuple[str, str]:
    """Return what an integrity check says, and what it found, or why it could not look."""
    unable = [line for line in lines if line.startswith(_UNABLE)]
    rules = [line for line in lines if line.startswith((*_BROKEN_RULES, *_MISTYPED))]
    found = [line for line in lines if line not in ("ok", *unable, *rules)]
    if found:
        return DAMAGED, "; ".join(found)
    if unable:
        return NOT_CHECKED, "; ".join(unable)
    return SOUND, f"some rows break rules of their tables: {'; '.join(rules)}" if rules else ""


def brief(why: str) -> str:
    """Return what was found as people read it: somebody's database may repeat a name of a million letters."""
    lines = (line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…" for line in why.split("; "))
    whole = "; ".join(lines)
    return whole if len(whole) <= _LONGEST_WHY else f"{whole[:_LONGEST_WHY]}…"


def is_finding(error: str) -> bool:
    """Return whether what SQLite raised is about the content, and not about what SQLite can do."""
    return any(sign in error for sign in _FOUND)


def unable(error: str, host: int, writer: int) -> str:
    """Return why a database could not be checked.

    Args:
        error: what SQLite raised.
        host: the number of this host's SQLite library.
        writer: that of the library that last wrote the database; 0 when that is not known.
    """
    wrote = f"SQLite {dotted(writer)} last wrote it" if writer else "which SQLite last wrote it is not known"
    return f"SQLite {dotted(host)} of this host says: {error}; {wrote}"


class Counted(Protocol):
    """The tables of a database, as far as they are known."""

    @property
    def schema(self) -> str:
        """Its fingerprint; empty when nothing is known, as of an encrypted one, or where a check came to no end."""
        raise NotImplementedError

    @property
    def tables(self) -> Mapping[str, int]:
        """Rows by table."""
        raise NotImplementedError

    @property
    def uncounted(self) -> Sequence[str]:
        """Tables that are there as well."""
        raise NotImplementedError


def comparable(recorded: Counted, found: Counted) -> Tuple[Dict[str, int], Dict[str, int]]:
    """Return the rows by table of a database as they were and as they are; what was or is not counted says nothing."""
    if not recorded.schema or not found.schema:
        return {}, {}
    passed_over = {*recorded.uncounted, *found.uncounted}
    before, now = (
        {table: rows for table, rows in database.tables.items() if table not in passed_over}
        for database in (recorded, found)
    )
    return before, now


def other_rows(recorded: Counted, found: Counted) -> Tuple[str, ...]:
    """Return the tables whose rows are not as they were, as far as that is known."""
    before, now = comparable(recorded, found)
    return tuple(table for table in sorted({*before, *now}) if before.get(table) != now.get(table))


def tally(checks: Iterable[str]) -> str:
    """Return how many databases are what, as in "2 databases sound, 1 not checked"."""
    found = list(checks)
    counts = [(found.count(check), check) for check in CHECKS if check in found]
    if not counts:
        return "0 databases"
    number, check = counts[0]
    first = f"{number} database {check}" if number == 1 else f"{number} databases {check}"
    return ", ".join([first, *(f"{number} {check}" for number, check in counts[1:])])
