# SPDX-License-Identifier: GPL-3.0-or-later
"""What maintenance may remove, when a database is worth a VACUUM, and what is due.

Only what has no name and no user is removed, and never an image of a release on record, also of one that has lost its
name: a rollback needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import AbstractSet, Any, List, Mapping, Optional, Sequence

from .clock import instant
from .remedies import play, setting
from .text import counted, size

WORTH_PERCENT = 20
"""Percent of its pages that have to be free before a database is worth a VACUUM, and so many bytes:"""
WORTH_BYTES = 1 << 20
MARGIN = 64 << 20
"""Bytes that stay free beside what a VACUUM needs."""
_DAY = 86400.0
_HOUR = 3600.0


@dataclass(frozen=True)
class Unnamed:
    """An image without a name; ``bytes`` is what no other image shares."""

    id: str
    identity: str
    bytes: int


def unneeded(images: Sequence[Unnamed], used: AbstractSet[str], released: AbstractSet[str]) -> List[Unnamed]:
    """Return the images that may go.

    Args:
        used: the ids of the images of containers, also of those that do not run.
        released: the identities of the images of the releases on record; see images.identity.
    """
    return [image for image in images if image.id not in used and image.identity not in released]


@dataclass(frozen=True)
class CacheRecord:
    """A piece of build cache; of a shared one an image keeps the bytes."""

    id: str
    bytes: int
    used: datetime
    in_use: bool = False
    shared: bool = False


def cache_record(row: Mapping[str, Any]) -> CacheRecord:
    """Read a piece of build cache as the engine tells of it (GET /system/df)."""
    used = str(row.get("LastUsedAt") or row["CreatedAt"])
    return CacheRecord(
        str(row["ID"]), int(row.get("Size") or 0), instant(used), bool(row.get("InUse")), bool(row.get("Shared"))
    )


def stale(records: Sequence[CacheRecord], before: datetime) -> List[CacheRecord]:
    """Return the build cache that nobody uses and that was last used before a time."""
    return [record for record in records if not record.in_use and record.used <= before]


def cached_bytes(records: Sequence[CacheRecord]) -> int:
    """Return how many bytes of disk the removal of build cache gives back."""
    return sum(record.bytes for record in records if not record.shared)


@dataclass(frozen=True)
class Pages:
    """The pages of a database: whether in WAL mode, bytes of each, how many there are, how many of them are free."""

    wal: bool
    each: int
    count: int
    free: int

    @property
    def bytes(self) -> int:
        """The size of the database."""
        return self.each * self.count

    @property
    def free_bytes(self) -> int:
        """What a VACUUM gives back."""
        return self.each * self.free

    @property
    def worth(self) -> bool:
        """Whether that pays for writing all of the database again."""
        return self.free_bytes >= WORTH_BYTES and self.free * 100 >= self.count * WORTH_PERCENT


@dataclass(frozen=True)
class Room:
    """What is free where a database is, and where SQLite makes its temporary files, in bytes."""

    place: str
    free: int
    scratch: str
    scratch_free: int
    same: bool = True
    """Whether both are one file system."""


def why_no_room(pages: Pages, space: Room) -> str:
    """Return why there is no space for a VACUUM; empty when there is.

    It writes a copy of what is in use to a temporary file, and then all pages through the journal or the write-ahead
    log beside the database: https://www.sqlite.org/lang_vacuum.html#how_vacuum_works.
    """
    here, scratch = pages.bytes + MARGIN, pages.bytes - pages.free_bytes + MARGIN
    if space.same:
        here, scratch = 2 * pages.bytes + MARGIN, 0
    for place, needed, free in ((space.place, here, space.free), (space.scratch, scratch, space.scratch_free)):
        if free < needed:
            return f"it needs {size(needed)} at {place}, and {size(free)} are free"
    return ""


@dataclass(frozen=True)
class Ages:
    """Seconds since the newest backup set, since a restore proved one, since all were read, and of the live image.

    None is never, or unknown for an image.
    """

    backup: Optional[float]
    proof: Optional[float]
    read: Optional[float]
    image: Optional[float]


@dataclass(frozen=True)
class DueAfter:
    """Seconds after which each of ``Ages`` is due again; 0 is never."""

    backup: float = 26 * _HOUR
    proof: float = 35 * _DAY
    read: float = 8 * _DAY
    image: float = 90 * _DAY


def due(ages: Ages, after: DueAfter) -> List[str]:
    """Return what is due, one sentence each."""
    fresh = f"{play('update')} with {setting('base_refresh', 'always')}"
    rows = (
        ("The newest backup set is {} old", "There is no backup set", ages.backup, after.backup, play("backup")),
        (
            "A restore last proved a set {} ago",
            "No restore has proved a set",
            ages.proof,
            after.proof,
            play("restore_drill"),
        ),
        ("All sets were last read {} ago", "The sets were never read in full", ages.read, after.read, play("verify")),
        ("The image of the application is {} old", "", ages.image, after.image, fresh),
    )
    found = []
    for old, never, age, limit, remedy in rows:
        if limit and (age is None or age > limit):
            sentence = never if age is None else old.format(_passed(age))
            found += [f"{sentence}: {remedy} is due."] if sentence else []
    return found


def _passed(seconds: float) -> str:
    return counted(int(seconds // _DAY), "day") if seconds >= 2 * _DAY else counted(int(seconds // _HOUR), "hour")


def shortened(tail: bytes, gone: int) -> str:
    """Return the end of a log from the beginning of a line on, and how much is not there any more.

    Args:
        tail: what is kept of it.
        gone: the bytes before that.
    """
    first = tail.find(b"\n") + 1
    return f"[{size(gone + first)} before this were cut off]\n" + tail[first:].decode("utf-8", "replace")


def long_ago(now: datetime, days: float) -> datetime:
    """Return the time so many days before now."""
    return now - timedelta(days=days)
