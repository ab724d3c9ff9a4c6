# SPDX-License-Identifier: GPL-3.0-or-later
"""What was begun on the host, written down before it is done, so that anyone can finish or undo it.

A backup may have stopped containers; a restore may have moved directories. The journal lies in the folder of the
unfinished work. Whoever comes after a crash calls ``recover``: the watcher of the process, or the next run.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from typing import Any, Callable, Mapping, Optional, Protocol, Sequence

from .._core.errors import DockerVpsError, EngineUnreachable
from .._core.waiting import Clock
from .._store import files
from .._store.sets import Sets

FILE = "journal.json"
ENGINE_BACK_WITHIN = 120  # seconds; an engine with many containers takes its time to restart


class Containers(Protocol):
    """What is needed of an engine to let containers go on."""

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about a container."""
        raise NotImplementedError

    def start(self, container: str) -> None:
        """Start one."""
        raise NotImplementedError

    def stop(self, container: str) -> None:
        """Stop one."""
        raise NotImplementedError

    def pause(self, container: str) -> None:
        """Freeze one."""
        raise NotImplementedError

    def unpause(self, container: str) -> None:
        """Let a frozen one go on."""
        raise NotImplementedError

    def remove_volume(self, name: str) -> None:
        """Remove a volume."""
        raise NotImplementedError


@dataclass(frozen=True)
class Swap:
    """A directory that takes the place of another: ``live`` becomes ``before``, and ``staged`` becomes ``live``.

    ``created`` says that the volume was made for this.
    """

    volume: str
    live: str
    staged: str
    before: str
    created: bool = False


@dataclass(frozen=True)
class Journal:
    """What has to be set right: containers to start or unpause, and directories to swap.

    Until ``decided``, what was prepared is thrown away; from then on the swaps are carried through.
    """

    folder: str
    containers: tuple[str, ...] = ()
    swaps: tuple[Swap, ...] = ()
    decided: bool = False

    def write(self, **changes: Any) -> Journal:
        """Change the journal durably and return it."""
        changed = replace(self, **changes)
        text = json.dumps(asdict(changed))
        files.replace(os.path.join(self.folder, FILE), files.Kept(text, 0o600, os.geteuid(), os.getegid()))
        return changed


def read(folder: str) -> Journal:
    """Return the journal in a folder of unfinished work, an empty one when nothing was written down yet."""
    kept = files.read(os.path.join(folder, FILE))
    if kept is None:
        return Journal(folder)
    given = json.loads(kept.text)
    return Journal(folder, tuple(given["containers"]), tuple(Swap(**one) for one in given["swaps"]), given["decided"])


def recover(sets: Sets, folder: str, connect: Callable[[], Containers], clock: Clock) -> None:
    """Finish or undo what a journal says, let the containers go on, and remove the folder.

    Raises:
        DockerVpsError: it cannot be done now; the journal stays for the next one who tries.
    """
    journal = read(folder)
    if journal.decided:
        carry_through(journal.swaps)
    if journal.containers or any(swap.created for swap in journal.swaps):
        engine = patiently(connect, clock)
        if not journal.decided:
            give_up(journal.swaps, engine)
        go_on(engine, journal.containers)
    elif not journal.decided:
        give_up(journal.swaps, None)
    sets.discard(folder)


def carry_through(swaps: Sequence[Swap]) -> None:
    """Put what is staged in place, from wherever an earlier attempt stopped."""
    for swap in swaps:
        if os.path.lexists(swap.staged):
            if os.path.lexists(swap.live):
                os.rename(swap.live, swap.before)
            os.rename(swap.staged, swap.live)
            files.sync_directory(os.path.dirname(swap.live))


def give_up(swaps: Sequence[Swap], engine: Optional[Containers]) -> None:
    """Throw away what was staged, and the volumes that were made for it."""
    for swap in swaps:
        shutil.rmtree(swap.staged, ignore_errors=True)
        if swap.created and engine is not None:
            engine.remove_volume(swap.volume)


def go_on(engine: Containers, containers: Sequence[str]) -> None:
    """Let containers run that ran before; one that is gone meanwhile needs nothing."""
    for name in containers:
        there = engine.container(name)
        if there is None:
            continue
        if there["State"]["Paused"]:
            engine.unpause(name)
        else:
            engine.start(name)


def patiently(connect: Callable[[], Containers], clock: Clock) -> Containers:
    """Return a connection to an engine that may be restarting.

    Raises:
        DockerVpsError: it does not come back in time.
    """
    until = clock.now() + ENGINE_BACK_WITHIN
    while True:
        try:
            return connect()
        except EngineUnreachable as error:
            if clock.now() >= until:
                raise DockerVpsError(
                    f"{error.message} Something was left half-done meanwhile; run the same play again when it answers."
                ) from error
            clock.sleep(1)
