# SPDX-License-Identifier: GPL-3.0-or-later
"""The databases in the volumes of a backup: which are the application's, and what becomes of the others."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Iterator, Mapping, Sequence

from .._core.clock import Clock
from .._core.databases import (
    DAMAGED,
    LONGEST,
    MAGIC,
    NOT_CHECKED,
    SAMPLE,
    SIDECARS,
    belongs,
    holds_changes,
    is_own,
    looks_random,
)
from .._core.errors import DockerVpsError
from .._core.manifest import Archive, Database, Foreign
from .._core.remedies import setting
from .._core.text import short, shown
from .._store import sqlite, tree
from .._store.examiner import FOREIGN, ExaminationLimits, Examiner

FOREIGN_SECONDS = 60.0
"""For which time a backup examines databases that are none of the application's; the others are not checked."""
_NAMED = 10  # databases that a warning names; the manifest has all
_START = 32  # bytes of a sidecar that tell what it is


@dataclass(frozen=True)
class WantedDatabase:
    """What is known about the application.

    Attributes:
        first: the name of the archive of its database volume.
        database: what DATABASE_URI names, as archive/path; empty when that is not known.
        consistency: online, pause or stop.
    """

    first: str
    database: str
    consistency: str


@dataclass(frozen=True)
class FoundDatabases:
    """The databases in one volume; paths are relative to its directory.

    Attributes:
        own: the application's, to be copied by SQLite.
        sealed: the application's that SQLite cannot read, since they are encrypted.
        distant: the application's whose paths are too long for SQLite; they are in ``foreign`` as well.
        spoilt: the application's that do not begin as a database does, and neither as an encrypted one.
        foreign: those that somebody put there.
        names: other names of files in ``own``, and which name that is.
        beside: what is beside those in ``own`` and is part of them, or would be if it were there.
        lookalikes: what is there, has the name of such a file, and is something else.
    """

    own: tuple[str, ...]
    sealed: tuple[str, ...]
    distant: tuple[str, ...]
    spoilt: tuple[str, ...]
    foreign: tuple[str, ...]
    names: Mapping[str, str]
    beside: tuple[str, ...]
    lookalikes: tuple[str, ...]


def found(archive: str, root: str, survey: tree.Survey, wanted: WantedDatabase) -> FoundDatabases:
    """Return the databases in a volume.

    Args:
        archive: the name of its archive.
        root: its directory.
        survey: what is in it.
        wanted: what is known about the application.
    """

    def mine(path: str) -> bool:
        return is_own(archive, shown(path), wanted.first, wanted.database)

    named = named_by(archive, wanted.database)
    closed = {path for path in (*survey.sealed, named) if mine(path) and size_of(root, path)} - {*survey.databases}
    encrypted = {path for path in closed if looks_random(sqlite.beginning(os.path.join(root, path), SAMPLE))}
    applications = {survey.same.get(path, path) for path in survey.databases if mine(path)}
    own = {path for path in applications if sqlite.fits(os.path.join(root, path))}
    names = {path: used for path, used in survey.same.items() if used in own}
    # Also those that were not there when we looked: a journal lives as long as a transaction, and one that is restored
    # beside a copy of another time would damage it.
    beside = {path + suffix for path in (*own, *names) for suffix in SIDECARS}
    return FoundDatabases(
        own=tuple(sorted(own)),
        sealed=tuple(sorted(encrypted)),
        distant=tuple(sorted(applications - own)),
        spoilt=tuple(sorted(closed - encrypted)),
        foreign=tuple(path for path in survey.databases if path not in own and path not in names),
        names=names,
        beside=tuple(sorted(beside - {*survey.lookalikes})),
        lookalikes=tuple(sorted(beside & {*survey.lookalikes})),
    )


def named_by(archive: str, database: str) -> str:
    """Return the path of the database that DATABASE_URI names when it is in an archive, else nothing."""
    where, _slash, path = database.partition("/")
    return os.fsdecode(path.encode()) if where == archive else ""


def size_of(root: str, path: str) -> int:
    """Return the bytes of a file; 0 when there is none."""
    try:
        facts = os.lstat(os.path.join(root, path))
    except OSError:
        return 0
    return facts.st_size if stat.S_ISREG(facts.st_mode) else 0


def schemas(root: str) -> dict[str, str]:
    """Return the fingerprints of the schemas of the SQLite databases in a directory, by their paths.

    One that cannot be read has the reason instead of a fingerprint.
    """
    fingerprints = {}
    for path in tree.survey(root).databases:
        try:
            fingerprints[path] = sqlite.schema(os.path.join(root, path))
        except DockerVpsError as error:
            fingerprints[path] = error.message
    return fingerprints


def why_unused(root: str, path: str, schemas: Mapping[str, str]) -> str:
    """Return why a database holds nothing yet; empty when it holds something, or nobody but its application can say.

    Args:
        root: the directory of its volume.
        path: its path there.
        schemas: the fingerprints of the databases that can be read in that directory, by their paths.
    """
    top = os.path.realpath(root)
    place = os.path.relpath(os.path.realpath(os.path.join(top, path)), top)
    if place.startswith(os.pardir):
        return ""  # a link, which the container follows to elsewhere
    if not os.path.lexists(os.path.join(top, place)):
        return "it is not there"
    if place not in schemas:
        return "" if size_of(top, place) else "it is empty"
    return "it has no table" if schemas[place] == sqlite.NO_SCHEMA else ""


def refuse_closed(volume: str, root: str, databases: FoundDatabases, wanted: WantedDatabase) -> None:
    """Refuse a database of the application that SQLite cannot read, but for an encrypted one that nobody writes.

    Raises:
        DockerVpsError: which one.
    """
    for path in databases.spoilt:
        raise DockerVpsError(f"The database {shown(path)} in the volume {volume} {_why_spoilt(root, path)}")
    if databases.sealed and wanted.consistency == "online":
        raise DockerVpsError(
            f"The database {shown(databases.sealed[0])} in the volume {volume} does not begin as a SQLite database "
            "does, so it is encrypted, and SQLite cannot copy it while its application runs. "
            f"Set {setting('backup_consistency')} to stop or pause, so that it is archived as it is."
        )


def _why_spoilt(root: str, path: str) -> str:
    place = os.path.join(root, path)
    if sqlite.beginning(place, len(MAGIC)) == MAGIC:
        return "was created or repaired while it was being read. Try again."
    if holds_changes(sqlite.beginning(place + "-journal", _START)):
        return (
            "is half-written: it does not begin as a SQLite database does, and beside it is the journal of a write "
            "that is under way or was interrupted. Try again; after a crash, start its application once, so that "
            "SQLite repairs it."
        )
    return (
        "is damaged, so it was not backed up as if it were good. Found: it does not begin as a SQLite database does, "
        "nor with noise as an encrypted one does. Restore the last good set, or repair it with sqlite3's .recover."
    )


def sealed(root: str, path: str) -> Database:
    """Return what is known about a database that is archived as it is."""
    return Database(
        path=shown(path),
        journal_mode="",
        sqlite_version="",
        bytes=size_of(root, path),
        check=NOT_CHECKED,
        schema="",
        tables={},
        lock_seconds=0.0,
        warning="",
        why="it is encrypted, so only its application can read it",
    )


def refuse_journals(root: str, databases: FoundDatabases) -> None:
    """Refuse an archive in which a file is a database's that was something else when we looked.

    Raises:
        DockerVpsError: which one.
    """
    for path in databases.lookalikes:
        start = sqlite.beginning(os.path.join(root, path), _START)
        if start and belongs(path, start):
            raise DockerVpsError(f"{shown(path)} became part of a database while it was archived. Try again.")


def examined(root: str, paths: Sequence[str], examiner: Examiner, clock: Clock, until: float) -> Iterator[Foreign]:
    """Look at databases that are none of the application's, within limits; nothing changes beside them.

    Args:
        until: when the time for that is over, by the clock.
    """
    for path in paths:
        place = os.path.join(root, path)
        left = min(FOREIGN.seconds, until - clock.now())
        try:
            size = os.lstat(place).st_size
            if left <= 0:
                check, why = NOT_CHECKED, f"{FOREIGN_SECONDS:g} seconds did not suffice for so many databases"
            elif any(holds_changes(sqlite.beginning(place + suffix, _START)) for suffix in ("-wal", "-journal")):
                check, why = NOT_CHECKED, "a part of it is in the file of SQLite beside it"
            else:
                facts = examiner.facts(place, limits=ExaminationLimits(left, FOREIGN.memory))
                check, why = facts.check, facts.why
        except DockerVpsError as error:
            check, why = NOT_CHECKED, error.message
        except OSError:
            continue  # it is gone
        yield Foreign(shown(path), size, check, why)


def warnings(archive: Archive) -> Iterator[str]:
    """Yield what whoever relies on an archive should know about the databases in it."""
    for database in archive.databases:
        if database.check == NOT_CHECKED:
            yield f"{archive.name}: the database {database.path} was not checked: {database.why}"
        elif database.why:
            yield f"{archive.name}: the database {database.path} is {database.check}, but {database.why}"
        if not database.quiet:
            yield (
                f"{archive.name}: the database {database.path} was written all the time, so the set may hold a part "
                "of what its application changes in several transactions"
            )
        if database.warning:
            yield f"{archive.name}: {database.path}: {database.warning}"
    for check in (DAMAGED, NOT_CHECKED):
        wrong = [f"{short(foreign.path)} ({foreign.why})" for foreign in archive.foreign if foreign.check == check]
        if wrong:
            more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
            yield (
                f"{archive.name}: archived as they are, databases that are none of the application's, {check}: "
                f"{', '.join(wrong[:_NAMED])}{more}"
            )


def cautions(archive: str, databases: FoundDatabases, survey: tree.Survey, wanted: WantedDatabase) -> Iterator[str]:
    """Yield what may be wrong with the databases in a volume, before anything is copied."""
    named = named_by(archive, wanted.database)
    if named in databases.distant:
        yield (
            f"{archive}: the path of {shown(named)}, which DATABASE_URI names, has more than {LONGEST} bytes on this "
            "host, which SQLite does not open, so it is archived as it is, and may be inconsistent if its "
            f"application runs; set {setting('backup_consistency')} to stop, and have shorter names of directories"
        )
    elif named and named not in {*databases.own, *databases.names, *databases.sealed}:
        yield f"{archive}: there is no database {named}, or an empty one, and DATABASE_URI names it"
    if archive == wanted.first and wanted.consistency == "online":
        for path in survey.noise:
            if path not in databases.sealed:
                yield (
                    f"{archive}: {shown(path)} looks like an encrypted database, and may be inconsistent in a backup "
                    f"of a running application; set {setting('backup_consistency')} to stop or pause"
                )
