# SPDX-License-Identifier: GPL-3.0-or-later
"""What can take the place of the data of volumes: a backup set, or the safety copies of the last restore."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator, Mapping, Optional, Protocol, Sequence

from .._core.clock import WallClock
from .._core.databases import DAMAGED, NOT_CHECKED, other_rows
from .._core.errors import DockerVpsError, InvalidInput
from .._core.manifest import Archive, Database
from .._core.remedies import setting
from .._core.tar_members import Damaged, Examined
from .._core.text import shown
from .._engine.port import EnginePort
from .._store import archive, tree
from .._store.examiner import Examiner
from .._store.sets import BackupSet, Sets
from .backup import RESERVE
from .data_loss import contents, losses
from .journal import BEFORE, STAGED, Journal, Swap, remembered
from .ownership import refuse_foreign
from .places import refuse_new_place, refuse_places
from .uploads import UploadsQuery, with_gone
from .users import bound_to
from .volumes import volume_of


@dataclass(frozen=True)
class Params:
    """What to restore; ``volumes`` maps names of archives to volumes, all to where they came from when empty.

    ``uploads`` is how to ask for the uploads that the rows of a set name; None for not at all.
    """

    app: str
    set: str = "latest"
    volumes: Mapping[str, str] = field(default_factory=dict)
    stop_app: bool = False
    force: bool = False
    allow_outside_links: bool = False
    undo: bool = False
    safety_copy: bool = True
    uploads: Optional[UploadsQuery] = None


class Source(Protocol):
    """Where the data comes from: the volumes, their directories as far as they are known, and what is found there.

    ``notes`` say of what was prepared what could not be checked.
    """

    set: str
    volumes: Sequence[str]
    roots: Sequence[str]
    created: Sequence[str]
    files: int
    bytes: int
    notes: Sequence[str]

    def look(self) -> None:
        """Refuse places in which the data cannot be exchanged; called again before anybody is stopped."""
        raise NotImplementedError

    def examine(self) -> None:
        """Read everything, and write nothing."""
        raise NotImplementedError

    def would_lose(self) -> dict[str, Any]:
        """Compare what is there with what would come."""
        raise NotImplementedError

    def prepare(self, journal: Journal, stamp: str, at: str) -> tuple[Journal, Sequence[Swap]]:
        """Lay everything ready beside the live data, and return the journal and the swaps to decide on."""
        raise NotImplementedError


@dataclass(frozen=True)
class Target:
    """An archive, and the volume for it; ``root`` is None when the volume is yet to be made."""

    archive: Archive
    volume: str
    root: Optional[str]


class FromSet:
    """The archives of a set."""

    def __init__(self, params: Params, one: BackupSet, directory: str, engine: EnginePort) -> None:
        self.params, self.one, self.directory, self.engine = params, one, directory, engine
        self.set = one.manifest.id
        self.targets: Sequence[Target] = ()
        self.volumes: Sequence[str] = ()
        self.roots: Sequence[str] = ()
        self.created: Sequence[str] = ()
        self.files = self.bytes = 0
        self.notes: Sequence[str] = ()

    @classmethod
    def find(cls, params: Params, sets: Sets, engine: EnginePort, clock: WallClock) -> FromSet:
        """Find the set and the volumes for it, and refuse what cannot be restored."""
        source = cls(params, sets.find(params.set, clock.utc()), sets.directory, engine)
        source._refuse_wrong_set()
        source._aim()
        source.look()
        source._check_room()
        return source

    def _aim(self) -> None:
        """Find out which volume each archive is for."""
        self.targets = self._targets()
        self.volumes = [one.volume for one in self.targets]
        self.roots = [place for place in map(self._place, self.targets) if place]
        self.created = [one.volume for one in self.targets if not one.root]

    def look(self) -> None:
        """Refuse places in which the data cannot be exchanged."""
        places = {one.volume: self._place(one) for one in self.targets if self._place(one)}
        for volume in places:
            if volume in self.created:
                refuse_new_place(volume, places[volume])
        refuse_places(places, self.directory, self.engine)

    def _refuse_wrong_set(self) -> None:
        manifest = self.one.manifest
        if manifest.app != self.params.app and not self.params.force:
            raise DockerVpsError(
                f"The set {self.set} in {self.one.directory} is of {manifest.app}, not of {self.params.app}. "
                f"Name another set, or set {setting('restore_force', 'true')} if that is what you want."
            )

    def _targets(self) -> list[Target]:
        archives = {one.name: one for one in self.one.manifest.archives}
        wanted = self.params.volumes or {one.name: one.volume for one in archives.values()}
        unknown = [name for name in wanted if name not in archives]
        if unknown:
            raise InvalidInput(
                f"The set {self.set} has no archive {', '.join(unknown)}; it has {', '.join(archives) or 'none'}."
            )
        if len(set(wanted.values())) != len(wanted):
            raise InvalidInput(f"Each archive must have its own volume, but they are {', '.join(wanted.values())}.")
        if not self.params.volumes and not self.params.force:
            refuse_foreign(self.params.app, self.engine, wanted.values())
        absent = [one for one in self.one.absent() if any(one.startswith(archives[name].file) for name in wanted)]
        if absent:
            raise DockerVpsError(
                f"The set {self.set} in {self.one.directory} is not whole: {'; '.join(absent)}. "
                "Bring the files back from another copy of the set, or name another set."
            )
        return [Target(archives[name], volume, self._root(volume)) for name, volume in wanted.items()]

    def _place(self, one: Target) -> str:
        """Return the directory that is to be exchanged; empty for that of a volume which the engine is yet to make."""
        return one.root or bound_to(self._options(one))

    def _options(self, one: Target) -> Mapping[str, str]:
        """Return the driver's options for a volume that is missing; another volume than it was is a plain one."""
        return one.archive.options if one.volume == one.archive.volume else {}

    def _root(self, volume: str) -> Optional[str]:
        found = volume_of(self.engine, volume)
        return found.root if found else None

    def _check_room(self) -> None:
        """Add up what is needed on each file system."""
        needed: dict[int, int] = {}
        for one in self.targets:
            place = os.path.dirname(self._place(one)) if self._place(one) else str(self.engine.info()["DockerRootDir"])
            if not os.path.isdir(place):
                continue  # of another host; volume_of will say so
            device, facts = os.stat(place).st_dev, os.statvfs(place)
            needed[device] = needed.get(device, RESERVE) + one.archive.room
            free = facts.f_bavail * facts.f_frsize
            if free < needed[device]:
                raise DockerVpsError(
                    f"{place} has {free // 1024**2} MiB free, and the restore needs {needed[device] // 1024**2} MiB "
                    "beside what is in use. Free some space first; nothing was changed.",
                    free_bytes=free,
                    needed_bytes=needed[device],
                )

    def examine(self) -> None:
        """Read the archives to their ends."""
        for one in self.targets:
            self._count(archive.examine(self.one.path(one.archive), one.archive.compression, **self._conditions(one)))

    def _is_own(self, one: Target) -> bool:
        """Return whether the databases in a volume are the application's."""
        return bool(one.archive.databases) or one.archive in self.one.manifest.archives[:1]

    def would_lose(self) -> dict[str, Any]:
        """Compare the live data with what the manifest says."""
        since = self.one.time
        own = {one.volume for one in self.targets if self._is_own(one)}
        live = contents({one.volume: one.root for one in self.targets if one.root}, since.timestamp(), own)
        kept = {
            f"{one.volume}/{database.path}": database.tables
            for one in self.targets
            for database in one.archive.databases
        }
        lost, asked = losses(live, kept, since), self.params.uploads
        from_it = [one for one in self.targets if one.archive.databases]
        if not asked or not from_it or asked.volume in self.volumes:
            return lost
        return with_gone(lost, asked, self._root(asked.volume), sum(one.archive.room for one in from_it), self._unpack)

    def _unpack(self, into: str) -> None:
        """Lay what has databases into a directory, to be looked at."""
        for one in self.targets:
            if one.archive.databases:
                place = os.path.join(into, one.archive.name)
                os.mkdir(place, mode=0o700)
                archive.extract(self.one.path(one.archive), one.archive.compression, place, **self._conditions(one))

    def prepare(self, journal: Journal, stamp: str, at: str) -> tuple[Journal, Sequence[Swap]]:
        """Make missing volumes, and extract and prove the archives beside the live data."""
        journal = journal.write(created=tuple(self.created))
        for one in self.targets:
            if not one.root:
                # Labels as Compose set them, so that it takes the volume for its own; another volume is not.
                labels = one.archive.labels if one.volume == one.archive.volume else {}
                self.engine.create_volume(one.volume, one.archive.driver, labels, self._options(one))
        swaps = []
        for one in self.targets:
            live = one.root or self._root(one.volume)
            if not live:
                raise DockerVpsError(f"The volume {one.volume} was removed as soon as it was made. Try again.")
            staged, before = live + STAGED + stamp, live + BEFORE + stamp
            swaps.append(Swap(one.volume, live, staged, before, self.set, at, own=self._is_own(one)))
        journal = journal.write(swaps=tuple(swaps))
        for one, swap in zip(self.targets, swaps):
            self.stage(one, swap.staged)
        return journal, swaps

    def stage(self, one: Target, staged: str) -> None:
        """Extract an archive into a new directory and prove what came out."""
        try:
            os.mkdir(staged, mode=0o700)
        except OSError as error:
            raise DockerVpsError(
                f"{staged} cannot be made: {error.strerror}. The data of a volume is prepared beside it; "
                "mend that and try again. Nothing was changed."
            ) from error
        path = self.one.path(one.archive)
        try:
            self._count(archive.extract(path, one.archive.compression, staged, **self._conditions(one)))
        except Damaged as error:
            step = "Bring that file back from another copy of the set, or name another set; nothing was changed."
            raise Damaged(f"{error.message} {step}") from error
        found = {shown(one): one for one in tree.survey(staged).databases}
        with Examiner() as examiner:
            for database in one.archive.databases:
                if database.path in found:
                    place = os.path.join(staged, found[database.path])
                    self.notes = (*self.notes, *_refuse_other(path, database, place, examiner))
                elif database.journal_mode:  # others are encrypted
                    raise DockerVpsError(
                        f"{path} has no database {database.path}, which its manifest names. Name another set; "
                        "nothing was changed."
                    )

    def _conditions(self, one: Target) -> dict[str, Any]:
        return {
            "sha256": one.archive.sha256,
            "plain_bytes": one.archive.plain_bytes,
            "allow_outside_links": self.params.allow_outside_links,
        }

    def _count(self, examined: Examined) -> None:
        self.files += examined.files
        self.bytes += examined.plain_bytes


def _refuse_other(archived: str, told: Database, path: str, examiner: Examiner) -> list[str]:
    """Refuse a database that is not as it was backed up, and return why that is not known."""
    facts = examiner.facts(path)
    rows = other_rows(told, facts)
    if facts.check == DAMAGED or rows:
        why = facts.why if facts.check == DAMAGED else "other numbers of rows than its manifest says"
        raise DockerVpsError(
            f"The database {told.path} in {archived} is not as it was backed up: {why}. Name another set; "
            "nothing was changed."
        )
    return [f"The database {told.path} was not checked: {facts.why}."] if facts.check == NOT_CHECKED else []


class SafetyCopies:
    """The safety copies of the last restore."""

    def __init__(self, swaps: Sequence[Swap], directory: str, engine: EnginePort) -> None:
        self.swaps, self.directory, self.engine = swaps, directory, engine
        self.set = swaps[0].set
        self.volumes: Sequence[str] = [one.volume for one in swaps]
        self.roots: Sequence[str] = [one.live for one in swaps]
        self.created: Sequence[str] = []
        self.files = self.bytes = 0
        self.notes: Sequence[str] = ()

    @classmethod
    def find(cls, params: Params, sets: Sets, engine: EnginePort) -> SafetyCopies:
        """Find what the last restore has left, and refuse what cannot be put back."""
        last, wanted = remembered(sets), set(params.volumes.values())
        newest = max((one.at for one in last), default="")
        swaps = [one for one in last if (one.volume in wanted if wanted else one.at == newest)]
        kept = {one.volume for one in swaps if one.has_copy}
        if not kept or kept != (wanted or {one.volume for one in swaps}):
            raise DockerVpsError(
                f"No restore from {sets.directory} has left safety copies of "
                f"{', '.join(sorted(wanted)) or params.app}, or they are gone, so there is nothing to undo. "
                "Restore a set instead."
            )
        source = cls(swaps, sets.directory, engine)
        source.look()
        return source

    def look(self) -> None:
        """Refuse places in which the data cannot be exchanged."""
        there = {one.volume: one.live for one in self.swaps if os.path.isdir(one.live)}
        refuse_places(there, self.directory, self.engine)
        refuse_places({one.volume: one.safety_copy for one in self.swaps}, self.directory, self.engine)

    def examine(self) -> None:
        """Count."""
        surveys = [tree.survey(one.safety_copy) for one in self.swaps]
        self.files, self.bytes = sum(one.files for one in surveys), sum(one.bytes for one in surveys)

    def would_lose(self) -> dict[str, Any]:
        """Compare the live data with the safety copies."""
        since, own = min(one.made for one in self.swaps), {one.volume for one in self.swaps if one.own}
        live = contents({one.volume: one.live for one in self.swaps}, since.timestamp(), own)
        return losses(live, contents({one.volume: one.safety_copy for one in self.swaps}, own=own).tables, since)

    def prepare(self, journal: Journal, stamp: str, at: str) -> tuple[Journal, Sequence[Swap]]:
        """Write nothing down yet: what is staged in an undecided journal is thrown away, and this is all there is."""
        self.examine()
        return journal, [
            Swap(one.volume, one.live, one.safety_copy, one.live + BEFORE + stamp, one.set, at, own=one.own)
            for one in self.swaps
        ]


def stamps_beside(roots: Iterable[str]) -> Iterator[str]:
    """Yield the timestamps of all safety copies, also of forgotten ones."""
    for root in roots:
        folder, name = os.path.split(root + BEFORE)
        yield from (one[len(name) :] for one in os.listdir(folder) if one.startswith(name))
