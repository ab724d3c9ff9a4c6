# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the data of a backup set instead of what is there, or put back what was there before.

Everything is prepared beside the live data. The application is stopped for a few renames only, which are written down
in a journal before, so that whoever comes after a crash can carry them through.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Callable, Iterable, Mapping, Sequence

from .._core.clock import WallClock
from .._core.errors import DockerVpsError
from .._core.manifest import new_id
from .._core.remedies import once, setting
from .._core.text import counted, size
from .._engine.port import EnginePort
from .._store.lock import RESTORE
from .._store.progress_file import begin_step
from .._store.sets import Sets
from .journal import (
    AT,
    Journal,
    Swap,
    cannot_be_removed,
    carry_through,
    go_on,
    left_behind,
    recover,
    recover_all,
    recovering,
)
from .restore_source import FromSet, Params, SafetyCopies, Source, ids_beside
from .volumes import refuse_vanishing, running


def run(
    params: Params, sets: Sets, connect: Callable[[], EnginePort], clock: WallClock, check_mode: bool
) -> dict[str, Any]:
    """Restore a set, or undo the last restore, and return what was done.

    In check mode nothing is written, but the archives are examined to their ends.

    Raises:
        DockerVpsError: nothing changed; or, if so it says, the data is exchanged and a container does not run on it.
    """
    engine = connect()
    if check_mode:
        source = _source(params, sets, engine, clock)
        source.examine()
        users = running(engine, source.volumes)
        refuse_vanishing(users)
        stopped = _names(users)
        return _result(params, source, source.would_lose(), stopped=stopped, downtime=0.0, before=[], check_mode=True)
    sets.prepare()
    with sets.lock("a restore"):
        heard = recover_all(sets, connect, clock)
        source = _source(params, sets, engine, clock)
        would_lose = source.would_lose()
        _users(params, engine, source, would_lose)
        now = clock.utc()
        set_id = new_id(now, [*sets.taken(), *ids_beside(source.roots)])
        folder = sets.workspace(set_id, RESTORE)
        with recovering(sets, folder, connect, clock):
            sets.begin(set_id, RESTORE)
            ready = source.prepare(Journal(folder, safety_copy=params.safety_copy), set_id, now.strftime(AT))
            containers = _users(params, engine, source, would_lose)
            source.look()
            downtime = _exchange(engine, clock, *ready, containers)
            recover(sets, folder, lambda: engine, clock)  # what is left to do: the record, old copies, the folder
        left = left_behind(sets)
    before = [swap.safety_copy for swap in ready[1]] if params.safety_copy else []
    result = _result(params, source, would_lose, stopped=_names(containers), downtime=downtime, before=before)
    return {**result, "left": sorted(left), "summary": " ".join([result["summary"], *heard, *cannot_be_removed(left)])}


def _source(params: Params, sets: Sets, engine: EnginePort, clock: WallClock) -> Source:
    return SafetyCopies.find(params, sets, engine) if params.undo else FromSet.find(params, sets, engine, clock)


def _exchange(
    engine: EnginePort,
    clock: WallClock,
    journal: Journal,
    swaps: Sequence[Swap],
    users: Sequence[Mapping[str, Any]],
) -> float:
    """Stop who uses the volumes, exchange the data, start them again; return for how many seconds they were away."""
    began = clock.now()
    begin_step("the data is exchanged")
    journal = journal.write(containers=tuple(container["Id"] for container in users))
    for container_id in journal.containers:
        engine.stop(container_id)
    known = tuple(replace(swap, inode=os.stat(swap.staged).st_ino) for swap in swaps)
    journal = journal.write(swaps=known, decided=True)
    carry_through(journal.swaps)
    go_on(engine, journal.containers)
    journal.write(containers=())
    return round(clock.now() - began, 3) if users else 0.0


def _users(
    params: Params, engine: EnginePort, source: Source, would_lose: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    """Return the running containers that use the volumes, after refusing them unless they may be stopped."""
    containers = running(engine, source.volumes)
    if containers and not params.stop_app:
        runs, it, they_are = ("runs", "it", "it is") if len(containers) == 1 else ("run", "them", "they are")
        raise DockerVpsError(
            f"{', '.join(_names(containers))} {runs} on {', '.join(source.volumes)}, so nothing was restored. "
            f"{would_lose['summary']} Stop {it} first, or allow that with {once('restore_stop_app', 'true')}: "
            f"{they_are} stopped for a moment, when everything is prepared.",
            containers=_names(containers),
            would_lose=would_lose,
        )
    refuse_vanishing(containers)
    return containers


def _names(containers: Iterable[Mapping[str, Any]]) -> list[str]:
    return [container["Name"].lstrip("/") for container in containers]


def _result(
    params: Params,
    source: Source,
    would_lose: Mapping[str, Any],
    *,
    stopped: Sequence[str],
    downtime: float,
    before: Sequence[str],
    check_mode: bool = False,
) -> dict[str, Any]:
    return {
        "changed": True,
        "set": source.set,
        "volumes": list(source.volumes),
        "created": list(source.created),
        "files": source.files,
        "bytes": source.bytes,
        "would_lose": would_lose,
        "stopped": stopped,
        "downtime": downtime,
        "safety_copies": before,
        "left": [],
        "notes": list(source.notes),
        "summary": _summary(params, source, would_lose, stopped, downtime, check_mode),
    }


def _summary(
    params: Params,
    source: Source,
    would_lose: Mapping[str, Any],
    stopped: Sequence[str],
    downtime: float,
    check_mode: bool,
) -> str:
    what = f"What was there before set {source.set}" if params.undo else f"Set {source.set} of {params.app}"
    amount = f"{counted(source.files, 'file')}, {size(source.bytes)}"
    if check_mode:
        users = f" To be stopped for it: {', '.join(stopped)}." if stopped else ""
        return f"{what} can be restored into {', '.join(source.volumes)}: {amount}.{users} {would_lose['summary']}"
    away = f" Stopped for {downtime:g} s: {', '.join(stopped)}." if stopped else ""
    kept = _kept(source) if params.safety_copy else ""
    return " ".join([f"{what} is in {', '.join(source.volumes)}: {amount}.{away}{kept}", *source.notes])


def _kept(source: Source) -> str:
    """Return what undo could bring back; nothing was in a volume that this restore has made."""
    kept = f"is kept; {setting('restore_undo', 'true')} brings it back."
    if not source.created:
        return f" The data from before {kept}"
    were = "was" if len(source.created) == 1 else "were"
    made = f" {', '.join(source.created)} {were} not there before, so there is no older data to go back to."
    others = [volume for volume in source.volumes if volume not in source.created]
    return f" The data from before of {', '.join(others)} {kept}{made}" if others else made
