# SPDX-License-Identifier: GPL-3.0-or-later
"""Tend the application's databases while nobody writes to them.

The statistics are brought up to date where SQLite finds that due, and a VACUUM is made where that was asked for and
pays. Whoever uses the volume is paused for it, so that requests are late and none fails: an application without a busy
timeout would otherwise meet a locked database. A pause that catches somebody with a lock ends at once, and another
one follows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Callable, List, Mapping, Sequence, Tuple

from .._core.clock import WallClock
from .._core.errors import DockerVpsError
from .._core.maintenance import Pages, Room, why_no_room
from .._core.text import shown, size
from .._engine.port import EnginePort
from .._store import sqlite_upkeep, tree
from .._store.sets import Sets
from .._store.sqlite_upkeep import CHECKPOINT, OPTIMIZE, VACUUM
from .databases import WantedDatabase, found
from .journal import Journal, go_on, recovering
from .volumes import Volume, running, volume_of

PAUSES = 20
"""How often it is tried while somebody has a lock."""
_BETWEEN = 0.2  # seconds in which the application goes on


@dataclass(frozen=True)
class Params:
    """What to tend.

    Attributes:
        volumes: by the names of their archives; the first is that of the databases.
        database: what DATABASE_URI names, as archive/path; empty when that is not known.
        vacuum: whether to give free pages back where that pays.
        within: seconds for which the application may be paused at once.
    """

    volumes: Mapping[str, str]
    database: str = ""
    vacuum: bool = False
    within: float = 30.0


@dataclass(frozen=True)
class Tended:
    """What became of a database.

    Attributes:
        name: the volume and the path in it.
        optimized: the tables whose statistics were brought up to date.
        freed: bytes that a VACUUM gave back.
        paused: for how many seconds the application was paused at most.
        note: why there was no VACUUM, though asked for; no failure.
        problem: what could not be done.
    """

    name: str
    bytes: int = 0
    optimized: Sequence[str] = ()
    vacuumed: bool = False
    freed: int = 0
    paused: float = 0.0
    note: str = ""
    problem: str = ""

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.optimized) or self.vacuumed


def run(
    params: Params, sets: Sets, connect: Callable[[], EnginePort], clock: WallClock, check_mode: bool
) -> List[Tended]:
    """Tend them all; the lock of the sets is held.

    Raises:
        DockerVpsError: the application does not go on after a pause, or the engine does not answer.
    """
    engine = connect()
    volumes = ((archive, volume_of(engine, name)) for archive, name in params.volumes.items())
    pairs = [(volume, path) for archive, volume in volumes if volume for path in _own(params, archive, volume)]
    return [_Tending(params, sets, connect, clock, volume, path).tended(check_mode) for volume, path in pairs]


def _own(params: Params, archive: str, volume: Volume) -> Sequence[str]:
    wanted = WantedDatabase(next(iter(params.volumes)), params.database, "online")
    return found(archive, volume.root, tree.survey(volume.root), wanted).own


class _Tending:
    """One database, to be tended."""

    def __init__(
        self,
        params: Params,
        sets: Sets,
        connect: Callable[[], EnginePort],
        clock: WallClock,
        volume: Volume,
        path: str,
    ) -> None:
        self.params, self.sets, self.connect, self.clock = params, sets, connect, clock
        self.volume, self.path = volume, path
        self.paused = 0.0
        self.problem = ""

    @property
    def file(self) -> str:
        """The path of the database on this host."""
        return os.path.join(self.volume.root, self.path)

    def tended(self, check_mode: bool) -> Tended:
        """Tend it, or say what would be done."""
        name = f"{self.volume.name}/{shown(self.path)}"
        try:
            statements, pages = sqlite_upkeep.look(self.file)
            size_before = sqlite_upkeep.bytes_of(self.file)
            space = sqlite_upkeep.space(self.file)
        except DockerVpsError as error:
            return Tended(name, problem=error.message.rstrip("."))
        tables = tuple(map(_table, statements))
        note, why_not = _why_no_vacuum(self.params, pages, space)
        vacuum = self.params.vacuum and not note and not why_not
        wanted = {OPTIMIZE: bool(tables), VACUUM: vacuum, CHECKPOINT: vacuum and pages.wal}
        steps = [step for step, due in wanted.items() if due]
        tended = Tended(name, size_before, tables, vacuum, note=note, problem=why_not)
        if check_mode or not steps:
            return replace(tended, freed=pages.free_bytes if vacuum else 0)
        left = self.take(steps)
        size_after = sqlite_upkeep.bytes_of(self.file)
        return replace(
            tended,
            bytes=size_after,
            optimized=() if OPTIMIZE in left else tables,
            vacuumed=vacuum and VACUUM not in left,
            freed=max(size_before - size_after, 0) if vacuum else 0,
            paused=self.paused,
            problem=self.problem or _why_left(left) or why_not,
        )

    def take(self, steps: Sequence[str]) -> Sequence[str]:
        """Take steps while whoever uses the volume is paused, and return those that are left."""
        set_id = self.sets.next_id(self.clock)
        folder = self.sets.workspace(set_id)
        left = steps
        with recovering(self.sets, folder, self.connect, self.clock):
            self.sets.begin(set_id)
            engine, journal = self.connect(), Journal(folder)
            for _pause in range(PAUSES):
                journal, left = self.take_paused(engine, journal, left)
                if not left or self.problem:
                    break
                self.clock.sleep(_BETWEEN)
            self.sets.discard(folder)
        return left

    def take_paused(self, engine: EnginePort, journal: Journal, steps: Sequence[str]) -> Tuple[Journal, Sequence[str]]:
        """Take steps in one pause."""
        users = running(engine, [self.volume.name])
        containers = tuple(user["Id"] for user in users if not user["State"]["Paused"])
        journal = journal.write(containers=containers, frozen=True)
        began = self.clock.now()
        for container in containers:
            engine.pause(container)
        try:
            left: Sequence[str] = sqlite_upkeep.tend(self.file, steps, self.params.within)
        except sqlite_upkeep.Gave as error:
            self.problem, left = error.message, error.left
        go_on(engine, containers, True)
        self.paused = max(self.paused, round(self.clock.now() - began, 3)) if containers else 0.0
        return journal.write(containers=()), left


def _why_no_vacuum(params: Params, pages: Pages, space: Room) -> Tuple[str, str]:
    """Return why a VACUUM does not pay, and why it cannot be; both empty when nobody asked for one."""
    if not params.vacuum:
        return "", ""
    if not pages.worth:
        return f"no VACUUM, since only {size(pages.free_bytes)} of {size(pages.bytes)} are free", ""
    why = why_no_room(pages, space)
    return "", f"no VACUUM, since {why}: make space there first" if why else ""


def _why_left(left: Sequence[str]) -> str:
    """Return why steps were not taken; empty when all were."""
    if not left:
        return ""
    if left[0] == CHECKPOINT:
        return "its file is shortened when whoever reads it lets go"
    return f"no {sqlite_upkeep.TITLES[left[0]]}, since another process keeps it locked; the next run tries again"


def _table(statement: str) -> str:
    """Return the table of ``ANALYZE "main"."posts"``."""
    return statement.rpartition(".")[2].strip('"').replace('""', '"')
