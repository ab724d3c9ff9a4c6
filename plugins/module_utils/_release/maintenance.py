# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what nobody needs any more, tend the databases, and say what is due.

What one part cannot do keeps no other part; it is a caution then. What is removed is chosen first, by id, and in check
mode only told, with the same numbers.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import AbstractSet, Any, Callable, Dict, Iterator, List, Mapping, Optional, Protocol, Sequence

from .._backup import database_upkeep, job_history
from .._backup.database_upkeep import Tended
from .._backup.journal import recover_all
from .._core import images
from .._core.clock import WallClock, instant
from .._core.errors import DockerVpsError
from .._core.maintenance import (
    Ages,
    CacheRecord,
    DueAfter,
    Unnamed,
    cache_record,
    cached_bytes,
    due,
    long_ago,
    shortened,
    stale,
    unneeded,
)
from .._core.text import counted, listed, sentence, size
from .._engine.port import EnginePort
from .._store import files
from .._store.lock import locked
from .._store.releases import LOG, Releases
from .._store.sets import Sets
from .alone import MAINTENANCE, alone, working

Json = Mapping[str, Any]

LOCK = ".maintenance.lock"
_WHAT = "maintenance"
_ROUNDS = 100  # an image may be based on one that has no name either


class MaintenanceEngine(EnginePort, Protocol):
    """What is needed of an engine besides what backups and releases need."""

    def unnamed(self) -> Sequence[Json]:
        """Return the images without a name in short, with SharedSize."""
        raise NotImplementedError

    def remove_unnamed(self, image: str) -> None:
        """Remove one, and none that it is based on."""
        raise NotImplementedError

    def build_cache(self) -> Sequence[Json]:
        """Return the pieces of the build cache."""
        raise NotImplementedError

    def prune_build_cache(self, before: int) -> None:
        """Remove those that were last used before a time."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """What to do.

    Attributes:
        container: of the application.
        prune: whether to remove images without a name, and build cache.
        cache_days: days for which build cache may be unused.
        logs: the paths of logs besides those of releases that failed.
        log_bytes: how long a log may be; of a longer one the last half of that stays.
        databases: what to tend.
        after: when what is due.
        lock_max_age: seconds from which on the lock of a play that is gone counts no more.
    """

    app: str
    container: str
    databases: database_upkeep.Params
    prune: bool = True
    cache_days: float = 7.0
    logs: Sequence[str] = ()
    log_bytes: int = 10 << 20
    after: DueAfter = field(default_factory=DueAfter)
    lock_max_age: float = 3600.0


@dataclass(frozen=True)
class MaintenanceWorld:
    """Where it takes place."""

    connect: Callable[[], MaintenanceEngine]
    clock: WallClock
    sets: Sets
    releases: Releases


def run_alone(params: Params, world: MaintenanceWorld) -> Dict[str, Any]:
    """Do it by a timer, under the lock of plays.

    Raises:
        Locked, Held: another job is running.
        DockerVpsError: the engine does not answer, or the application does not go on after a pause.
    """
    files.make_directory(world.releases.home)
    world.sets.prepare()
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(os.path.join(world.releases.home, LOCK), f"{_WHAT} of {params.app}"))
        stack.enter_context(alone(MAINTENANCE, _WHAT, _WHAT, params.lock_max_age, world))
        return _Upkeep(params, world, check_mode=False).result()


def run(params: Params, world: MaintenanceWorld, check_mode: bool) -> Dict[str, Any]:
    """Do it in a play, which holds its own lock; in check mode tell what would be done.

    Raises:
        Locked: another job is running.
        DockerVpsError: the engine does not answer, or the application does not go on after a pause.
    """
    if check_mode:
        return _Upkeep(params, world, check_mode).result()
    world.sets.prepare()
    with working(_WHAT, world):
        return _Upkeep(params, world, check_mode).result()


class _Upkeep:
    """One maintenance, and what it has done so far."""

    def __init__(self, params: Params, world: MaintenanceWorld, check_mode: bool) -> None:
        self.params, self.world, self.check_mode = params, world, check_mode
        self.cautions: List[str] = []
        self.gone: List[Dict[str, Any]] = []
        self.cache: Dict[str, Any] = {"records": 0, "bytes": 0}
        self.logs: List[Dict[str, Any]] = []
        self.tended: List[Tended] = []
        self.owed: List[str] = []

    def result(self) -> Dict[str, Any]:
        """Do everything, and return what became of it."""
        world = self.world
        began = world.clock.now()
        engine = world.connect()
        if not self.check_mode:
            self.cautions += recover_all(world.sets, world.connect, world.clock)
        if self.params.prune:
            self.part("The build cache was left alone", lambda: self.prune_cache(engine))
            self.part("Images without a name were left alone", lambda: self.remove_images(engine))
        self.part("Logs were left alone", self.cut_logs)
        self.tend()
        self.part("What is due is not known", lambda: self.look_what_is_due(engine))
        return self.summed_up(round(world.clock.now() - began, 1))

    def summed_up(self, seconds: float) -> Dict[str, Any]:
        """Return what was done."""
        freed = self.cache["bytes"] + sum(row["bytes"] for row in self.gone)
        freed += sum(row["freed"] for row in self.logs) + sum(each.freed for each in self.tended)
        lines = [*_of_images(self.gone, self.verb), *_of_cache(self.cache, self.params.cache_days, self.verb)]
        lines += _of_logs(self.logs, self.verb)
        lines += [line for each in self.tended for line in _of_database(each, self.check_mode)]
        total = f"{size(freed)} {'would be ' if self.check_mode else ''}freed in {seconds:g} s."
        tended = any(each.changed for each in self.tended)
        return {
            "changed": bool(self.gone or self.cache["records"] or self.logs or tended),
            "images": self.gone,
            "build_cache": self.cache,
            "logs": self.logs,
            "databases": [{**vars(each), "optimized": list(each.optimized)} for each in self.tended],
            "freed": freed,
            "seconds": seconds,
            "due": self.owed,
            "cautions": self.cautions,
            "summary": [*lines, total, *self.owed, *self.cautions],
        }

    @property
    def verb(self) -> str:
        """What becomes of things."""
        return "would be" if self.check_mode else "was"

    def part(self, without: str, do: Callable[[], None]) -> None:
        """Do a part; one that fails is a caution."""
        try:
            do()
        except DockerVpsError as error:
            self.cautions.append(f"{without}: {error.message}")
        except OSError as error:
            self.cautions.append(f"{without}: {files.unforeseen(_WHAT, error).message}")

    def remove_images(self, engine: MaintenanceEngine) -> None:
        """Remove the images that nobody needs; the releases are read first, and nothing goes when one is unreadable."""
        released = {release.image_id for release in self.world.releases.listing()}
        refused: Dict[str, str] = {}
        for _round in range(1 if self.check_mode else _ROUNDS):
            doomed = [each for each in _doomed(engine, released) if each.id not in refused]
            for image in doomed:
                why = "" if self.check_mode else _refusal(engine, image)
                if why:
                    refused[image.id] = why
                else:
                    self.gone.append({"id": image.id, "bytes": image.bytes})
            if not doomed:
                break
        if refused:
            stayed = f"{counted(len(refused), 'image')} without a name stayed"
            self.cautions.append(f"{stayed}: {next(iter(refused.values()))}")

    def prune_cache(self, engine: MaintenanceEngine) -> None:
        """Remove build cache that was not used for long; what it shares with an image counts as that one's."""
        now = self.world.clock.utc().replace(microsecond=0)  # what the engine is asked for are whole seconds
        limit = long_ago(now, self.params.cache_days)
        old = stale([cache_record(row) for row in engine.build_cache()], limit)
        self.cache = _cache(old)
        if old and not self.check_mode:
            engine.prune_build_cache(int(limit.timestamp()))
            left = {cache_record(row).id for row in engine.build_cache()}
            self.cache = _cache([record for record in old if record.id not in left])

    def cut_logs(self) -> None:
        """Cut our own logs; those of containers are the engine's, which rotates them."""
        kept = [self.world.releases.path(release.id, LOG) for release in self.world.releases.listing()]
        found = [_cut(path, self.params.log_bytes, self.check_mode) for path in (*self.params.logs, *kept)]
        self.logs = [row for row in found if row]

    def tend(self) -> None:
        """Tend the databases."""
        world = self.world
        self.tended = database_upkeep.run(
            self.params.databases, world.sets, world.connect, world.clock, self.check_mode
        )
        self.cautions += [f"{each.name}: {sentence(each.problem)}" for each in self.tended if each.problem]

    def look_what_is_due(self, engine: MaintenanceEngine) -> None:
        """Look what is due."""
        now = self.world.clock.utc()
        kept = [each for each in self.world.sets.listing().sets if each.time <= now and not each.imported]
        runs = {job: run.at for job, run in job_history.read(self.world.sets.directory).items() if run.success}
        drills = [drill.at for each in kept for drill in each.manifest.drills if drill.passed]
        container = engine.container(self.params.container)
        image = engine.image(container["Image"]) if container else None
        ages = Ages(
            backup=(now - kept[0].time).total_seconds() if kept else None,
            proof=_age(now, *drills, runs.get("drill")),
            read=_age(now, runs.get("verify")),
            image=_age(now, (image or {}).get("Created")),
        )
        self.owed = due(ages, self.params.after)


def _doomed(engine: MaintenanceEngine, released: AbstractSet[str]) -> List[Unnamed]:
    """Return the images that may go, in an order that does not depend on the engine's."""
    used = {str(container["ImageID"]) for container in engine.all_containers()}
    found = unneeded([_unnamed(row, engine.image(row["Id"])) for row in engine.unnamed()], used, released)
    return sorted(found, key=lambda image: image.id)


def _unnamed(row: Json, inspected: Optional[Json]) -> Unnamed:
    shared = max(int(row.get("SharedSize") or 0), 0)  # -1 is unknown
    return Unnamed(str(row["Id"]), images.identity(inspected), max(int(row.get("Size") or 0) - shared, 0))


def _age(now: datetime, *times: Optional[str]) -> Optional[float]:
    """Return how many seconds ago the last of some times was, as records and engines write them."""
    known = [time for time in times if time]
    return (now - instant(max(known))).total_seconds() if known else None


def _refusal(engine: MaintenanceEngine, image: Unnamed) -> str:
    try:
        engine.remove_unnamed(image.id)
    except DockerVpsError as error:
        return error.message
    return ""


def _cache(records: Sequence[CacheRecord]) -> Dict[str, Any]:
    return {"records": len(records), "bytes": cached_bytes(records)}


def _cut(path: str, most: int, check_mode: bool) -> Optional[Dict[str, Any]]:
    """Cut a log that is too long to its last half, and return what went."""
    try:
        with files.open_regular(path) as file:
            facts = os.fstat(file.fileno())
            if facts.st_size <= most:
                return None
            gone = file.seek(facts.st_size - most // 2)
            text = shortened(file.read(most // 2), gone)
    except FileNotFoundError:
        return None
    if not check_mode:
        files.replace(path, files.Kept(text, facts.st_mode & 0o7777, facts.st_uid, facts.st_gid))
    return {"path": path, "freed": facts.st_size - len(text.encode())}


def _of_images(gone: Sequence[Json], verb: str) -> Iterator[str]:
    if gone:
        freed = size(sum(row["bytes"] for row in gone))
        what = f"{counted(len(gone), 'image')} without a name and without a user"
        yield f"{what} {_plural(verb, len(gone))} removed, which alone had {freed}."


def _of_cache(cache: Json, days: float, verb: str) -> Iterator[str]:
    number = cache["records"]
    if number:
        what = f"{counted(number, 'piece')} of build cache, not used for {days:g} days,"
        yield f"{what} {_plural(verb, number)} removed: {size(cache['bytes'])}."


def _plural(verb: str, number: int) -> str:
    return "were" if verb == "was" and number != 1 else verb


def _of_logs(logs: Sequence[Json], verb: str) -> Iterator[str]:
    for row in logs:
        yield f"{row['path']} {verb} cut by {size(row['freed'])}."


def _of_database(tended: Tended, check_mode: bool) -> Iterator[str]:
    parts = []
    if tended.optimized:
        verb = "would be" if check_mode else "were"
        parts.append(f"the statistics of {listed(tended.optimized)} {verb} brought up to date")
    if tended.vacuumed:
        parts.append(f"a VACUUM {'would give' if check_mode else 'gave'} {size(tended.freed)} back")
    parts += [tended.note] if tended.note else []
    if parts:
        paused = f"; the application was paused for {tended.paused:g} s" if tended.paused else ""
        yield f"{tended.name}: {', and '.join(parts)}{paused}."
