# SPDX-License-Identifier: GPL-3.0-or-later
"""Which content is gone: since an earlier backup set, or by the migrations of a new version.

What is counted are the rows of tables and the files of volumes. Where nothing was counted, nothing is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Collection, Iterable, Iterator, Mapping, Optional, Sequence

from .manifest import IMPORTED, Archive, Database, Manifest
from .remedies import once, play
from .text import counted, listed, short

IGNORED = ("payload_locked_documents*", "payload_jobs*", "payload_kv", "users_sessions")
"""What Payload itself writes and deletes from hour to hour."""
COUNTS_FROM = 10  # rows or files; of fewer, half is soon gone
NEXT_STEP = (
    f"{play('restore')} brings the data back; if it is meant to be gone, make one backup with accept_loss "
    f"({once('backup_accept_loss', 'true')})."
)

Rows = Mapping[str, Mapping[str, int]]
"""Rows by table by database."""


@dataclass(frozen=True)
class LossLimits:
    """From where on it is a loss: more than so many percent of the rows of a table, or of the files of a volume.

    Nobody can lose more than 100 percent, so 100 switches a limit off. ``ignore`` are patterns of the names of tables,
    or of the paths of databases, that come and go by themselves.
    """

    rows: float = 50
    files: float = 50
    ignore: tuple[str, ...] = IGNORED


def holders(archive: str, sets: Iterable[Manifest]) -> Iterator[tuple[Manifest, Archive]]:
    """Yield the sets that have an archive of this name, with that archive.

    A set that was imported is passed over: it holds the data of another place or time.
    """
    for manifest in sets:
        if manifest.consistency != IMPORTED:
            yield from ((manifest, each) for each in manifest.archives if each.name == archive)


def lost(now: Sequence[Archive], earlier: Sequence[Manifest], limits: LossLimits) -> dict[str, str]:
    """Return by the timestamps of sets what they have and a new one has not, each in one sentence.

    Each archive is compared with the last one of its name, and with those before a loss that nobody has accepted. So a
    loss stays one until it is accepted, or the content is back.

    Args:
        now: the archives of the new set.
        earlier: sets that are not dated later than now, newest first.
    """
    set_by_id = {manifest.id: manifest for manifest in earlier}
    gone: dict[str, list[str]] = {}
    for archive in now:
        last = next((manifest for manifest, _unused in holders(archive.name, earlier)), None)
        set_ids = (*last.lost_since, last.id) if last else ()
        bases = (set_by_id[set_id] for set_id in set_ids if set_id in set_by_id)
        for manifest, before in holders(archive.name, bases):
            gone.setdefault(manifest.id, []).extend(_gone(before, archive, limits))
    return {set_id: f"Gone since set {set_id}: {listed(what)}." for set_id, what in sorted(gone.items()) if what}


def unaccepted(sets: Iterable[Manifest]) -> list[Manifest]:
    """Return the sets that tell of a loss which nobody has accepted; for each archive the last set speaks.

    Args:
        sets: those that are not dated later than now, newest first.
    """
    found = []
    seen: set[str] = set()
    for manifest in sets:
        names = {archive.name for archive in manifest.archives}
        if manifest.consistency != IMPORTED and not names <= seen:
            seen |= names
            found += [manifest] if manifest.lost_since else []
    return found


def held_back(sets: Iterable[Manifest]) -> dict[str, str]:
    """Return by the timestamps of sets why they have to stay; see unaccepted."""
    return {
        set_id: f"the last before a loss that set {manifest.id} tells of"
        for manifest in unaccepted(sets)
        for set_id in manifest.lost_since
    }


def loss_sentences(manifest: Manifest) -> list[str]:
    """Return what a set has lost, and what to do, as sentences."""
    if not manifest.lost_since:
        return [*manifest.losses, "That was accepted."] if manifest.losses else []
    since = manifest.lost_since
    stays = f"Set {since[0]} stays" if len(since) == 1 else f"Sets {listed(since)} stay"
    return [*manifest.losses, f"{stays} until this is fixed or accepted: {NEXT_STEP}"]


def shrunk(before: Rows, after: Rows, ignore: Collection[str]) -> list[str]:
    """Return which tables have fewer rows, as in ``3 of 12 rows of vendors``; a table that is gone has none."""
    found = []
    for database, tables in sorted(before.items()):
        for table, had in sorted(tables.items()):
            fewer = had - after.get(database, {}).get(table, 0)
            if fewer > 0 and not _ignored(ignore, database, table):
                found.append(f"{fewer} of {counted(had, 'row')} of {table}")
    return found


def _gone(before: Archive, now: Archive, limits: LossLimits) -> Iterator[str]:
    by_path = {database.path: database for database in now.databases}
    for database in before.databases:
        yield from _rows_gone(database, by_path.get(database.path), limits)
    had, has = (archive.files - archive.replica_files for archive in (before, now))
    if _is_loss(had, has, limits.files):
        yield f"{had - has} of {counted(had, 'file')} of {now.name}"


def _rows_gone(before: Database, now: Optional[Database], limits: LossLimits) -> Iterator[str]:
    for table, had in sorted(before.tables.items()):
        known = now is None or table in now.tables or _is_gone(now, table)
        has = now.tables.get(table, 0) if now else 0
        if known and _is_loss(had, has, limits.rows) and not _ignored(limits.ignore, before.path, table):
            yield f"{had - has} of {counted(had, 'row')} of {short(table)} in {short(before.path)}"


def _is_gone(database: Database, table: str) -> bool:
    """Whether a table that was not counted is not there; of an encrypted database nobody knows."""
    return bool(database.schema) and table not in database.uncounted


def _is_loss(had: int, has: int, percent: float) -> bool:
    return had >= COUNTS_FROM and (had - has) * 100 > percent * had


def _ignored(patterns: Collection[str], database: str, table: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in (database, table))
