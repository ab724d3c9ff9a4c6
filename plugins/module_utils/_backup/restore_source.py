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
from .._store.progress_file import begin_step
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

    def prepare(self, journal: Journal, set_id: str, at: str) -> tuple[Journal, Sequence[Swap]]:
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

    def __init__(self, params: Params, backup_set: BackupSet, directory: str, engine: EnginePort) -> None:
        self.params, self.backup_set, self.directory, self.engine = params, backup_set, directory, engine
        self.set = backup_set.manifest.id
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
        self.volumes = [target.volume for target in self.targets]
        self.roots = [place for place in map(self._place, self.targets) if place]
        self.created = [target.volume for target in self.targets if not target.root]

    def look(self) -> None:
        """Refuse places in which the data cannot be exchanged."""
        places = {target.volume: self._place(target) for target in self.targets if self._place(target)}
        for volume in places:
            if volume in self.created:
                refuse_new_place(volume, places[volume])
        refuse_places(places, self.directory, self.engine)

    def _refuse_wrong_set(self) -> None:
        manifest = self.backup_set.manifest
        if manifest.app != self.params.app and not self.params.force:
            raise DockerVpsError(
                f"The set {self.set} in {self.backup_set.directory} is of {manifest.app}, not of {self.params.app}. "
                f"Name another set, or set {setting('restore_force', 'true')} if that is what you want."
            )

    def _targets(self) -> list[Target]:
        archives = {archive.name: archive for archive in self.backup_set.manifest.archives}
        wanted = self.params.volumes or {archive.name: archive.volume for archive in archives.values()}
        unknown = [name for name in wanted if name not in archives]
        if unknown:
            raise InvalidInput(
                f"The set {self.set} has no archive {', '.join(unknown)}; it has {', '.join(archives) or 'none'}."
            )
        if len(set(wanted.values())) != len(wanted):
            raise InvalidInput(f"Each archive must have its own volume, but they are {', '.join(wanted.values())}.")
        if not self.params.volumes and not self.params.force:
            refuse_foreign(self.params.app, self.engine, wanted.values())
        absent = [
            sentence
            for sentence in self.backup_set.absent()
            if any(sentence.startswith(archives[name].file) for name in wanted)
        ]
        if absent:
            raise DockerVpsError(
                f"The set {self.set} in {self.backup_set.directory} is not whole: {'; '.join(absent)}. "
                "Bring the files back from another copy of the set, or name another set."
            )
        return [Target(archives[name], volume, self._root(volume)) for name, volume in wanted.items()]

    def _place(self, target: Target) -> str:
        """Return the directory that is to be exchanged; empty for that of a volume which the engine is yet to make."""
        return target.root or bound_to(self._options(target))

    def _options(self, target: Target) -> Mapping[str, str]:
        """Return the driver's options for a volume that is missing; another volume than it was is a plain one."""
        return target.archive.options if target.volume == target.archive.volume else {}

    def _root(self, volume: str) -> Optional[str]:
        found = volume_of(self.engine, volume)
        return found.root if found else None

    def _check_room(self) -> None:
        """Add up what is needed on each file system."""
        needed: dict[int, int] = {}
        for target in self.targets:
            place = (
                os.path.dirname(self._place(target))
                if self._place(target)
                else str(self.engine.info()["DockerRootDir"])
            )
            if not os.path.isdir(place):
                continue  # of another host; volume_of will say so
            device, facts = os.stat(place).st_dev, os.statvfs(place)
            needed[device] = needed.get(device, RESERVE) + target.archive.space
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
        for target in self.targets:
            self._count(
                archive.examine(
                    self.backup_set.path(target.archive), target.archive.compression, **self._conditions(target)
                )
            )

    def _is_own(self, target: Target) -> bool:
        """Return whether the databases in a volume are the application's."""
        return bool(target.archive.databases) or target.archive in self.backup_set.manifest.archives[:1]

    def would_lose(self) -> dict[str, Any]:
        """Compare the live data with what the manifest says."""
        since = self.backup_set.time
        own = {target.volume for target in self.targets if self._is_own(target)}
        live = contents({target.volume: target.root for target in self.targets if target.root}, since.timestamp(), own)
        kept = {
            f"{target.volume}/{database.path}": database.tables
            for target in self.targets
            for database in target.archive.databases
        }
        lost, asked = losses(live, kept, since), self.params.uploads
        from_it = [target for target in self.targets if target.archive.databases]
        if not asked or not from_it or asked.volume in self.volumes:
            return lost
        return with_gone(
            lost, asked, self._root(asked.volume), sum(target.archive.space for target in from_it), self._unpack
        )

    def _unpack(self, into: str) -> None:
        """Lay what has databases into a directory, where it is checked."""
        for target in self.targets:
            if target.archive.databases:
                place = os.path.join(into, target.archive.name)
                os.mkdir(place, mode=0o700)
                archive.extract(
                    self.backup_set.path(target.archive), target.archive.compression, place, **self._conditions(target)
                )

    def prepare(self, journal: Journal, set_id: str, at: str) -> tuple[Journal, Sequence[Swap]]:
        """Make missing volumes, and extract and prove the archives beside the live data."""
        journal = journal.write(created=tuple(self.created))
        for target in self.targets:
            if not target.root:
                # Labels as Compose set them, so that it takes the volume for its own; another volume is not.
                labels = target.archive.labels if target.volume == target.archive.volume else {}
                self.engine.create_volume(target.volume, target.archive.driver, labels, self._options(target))
        swaps = []
        for target in self.targets:
            live = target.root or self._root(target.volume)
            if not live:
                raise DockerVpsError(f"The volume {target.volume} was removed as soon as it was made. Try again.")
            staged, before = live + STAGED + set_id, live + BEFORE + set_id
            swaps.append(Swap(target.volume, live, staged, before, self.set, at, own=self._is_own(target)))
        journal = journal.write(swaps=tuple(swaps))
        for target, swap in zip(self.targets, swaps):
            self.stage(target, swap.staged)
        return journal, swaps

    def stage(self, target: Target, staged: str) -> None:
        """Extract an archive into a new directory and prove what came out."""
        try:
            os.mkdir(staged, mode=0o700)
        except OSError as error:
            raise DockerVpsError(
                f"{staged} cannot be made: {error.strerror}. The data of a volume is prepared beside it; "
                "fix that and try again. Nothing was changed."
            ) from error
        path = self.backup_set.path(target.archive)
        try:
            self._count(archive.extract(path, target.archive.compression, staged, **self._conditions(target)))
        except Damaged as error:
            step = "Bring that file back from another copy of the set, or name another set; nothing was changed."
            raise Damaged(f"{error.message} {step}") from error
        begin_step(f"the databases of {target.archive.file} are checked")
        found = {shown(name): name for name in tree.survey(staged).databases}
        with Examiner() as examiner:
            for database in target.archive.databases:
                if database.path in found:
                    place = os.path.join(staged, found[database.path])
                    self.notes = (*self.notes, *_refuse_other(path, database, place, examiner))
                elif database.journal_mode:  # others are encrypted
                    raise DockerVpsError(
                        f"{path} has no database {database.path}, which its manifest names. Name another set; "
                        "nothing was changed."
                    )

    def _conditions(self, target: Target) -> dict[str, Any]:
        return {
            "sha256": target.archive.sha256,
            "plain_bytes": target.archive.plain_bytes,
            "allow_outside_links": self.params.allow_outside_links,
        }

    def _count(self, examined: Examined) -> None:
        self.files += examined.files
        self.bytes += examined.plain_bytes


def _refuse_other(archived: str, recorded: Database, path: str, examiner: Examiner) -> list[str]:
    """Refuse a database that is not as it was backed up, and return why that is not known."""
    facts = examiner.facts(path)
    rows = other_rows(recorded, facts)
    if facts.check == DAMAGED or rows:
        why = facts.why if facts.check == DAMAGED else "other numbers of rows than its manifest says"
        raise DockerVpsError(
            f"The database {recorded.path} in {archived} is not as it was backed up: {why}. Name another set; "
            "nothing was changed."
        )
    return [f"The database {recorded.path} was not checked: {facts.why}."] if facts.check == NOT_CHECKED else []


class SafetyCopies:
    """The safety copies of the last restore."""

    def __init__(self, swaps: Sequence[Swap], directory: str, engine: EnginePort) -> None:
        self.swaps, self.directory, self.engine = swaps, directory, engine
        self.set = swaps[0].set
        self.volumes: Sequence[str] = [swap.volume for swap in swaps]
        self.roots: Sequence[str] = [swap.live for swap in swaps]
        self.created: Sequence[str] = []
        self.files = self.bytes = 0
        self.notes: Sequence[str] = ()

    @classmethod
    def find(cls, params: Params, sets: Sets, engine: EnginePort) -> SafetyCopies:
        """Find what the last restore has left, and refuse what cannot be put back."""
        last, wanted = remembered(sets), set(params.volumes.values())
        newest = max((swap.at for swap in last), default="")
        swaps = [swap for swap in last if (swap.volume in wanted if wanted else swap.at == newest)]
        kept = {swap.volume for swap in swaps if swap.has_copy}
        if not kept or kept != (wanted or {swap.volume for swap in swaps}):
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
        places = {swap.volume: swap.live for swap in self.swaps if os.path.isdir(swap.live)}
        refuse_places(places, self.directory, self.engine)
        refuse_places({swap.volume: swap.safety_copy for swap in self.swaps}, self.directory, self.engine)

    def examine(self) -> None:
        """Count."""
        surveys = [tree.survey(swap.safety_copy) for swap in self.swaps]
        self.files, self.bytes = sum(survey.files for survey in surveys), sum(survey.bytes for survey in surveys)

    def would_lose(self) -> dict[str, Any]:
        """Compare the live data with the safety copies."""
        since, own = min(swap.made for swap in self.swaps), {swap.volume for swap in self.swaps if swap.own}
        live = contents({swap.volume: swap.live for swap in self.swaps}, since.timestamp(), own)
        return losses(live, contents({swap.volume: swap.safety_copy for swap in self.swaps}, own=own).tables, since)

    def prepare(self, journal: Journal, set_id: str, at: str) -> tuple[Journal, Sequence[Swap]]:
        """Write nothing down yet: what is staged in an undecided journal is thrown away, and this is all there is."""
        self.examine()
        return journal, [
            Swap(swap.volume, swap.live, swap.safety_copy, swap.live + BEFORE + set_id, swap.set, at, own=swap.own)
            for swap in self.swaps
        ]


def ids_beside(roots: Iterable[str]) -> Iterator[str]:
    """Yield the timestamps of all safety copies, also of forgotten ones."""
    for root in roots:
        folder, name = os.path.split(root + BEFORE)
        yield from (entry[len(name) :] for entry in os.listdir(folder) if entry.startswith(name))
