# SPDX-License-Identifier: GPL-3.0-or-later
"""What was begun on the host, written down before it is done, so that anyone can finish or undo it.

A backup may have stopped containers; a restore may have moved directories. The journal is in the folder of the
unfinished work. Whoever comes after a crash calls ``recover``: the watcher of the process, or the next run.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Optional, Sequence

from .._core.clock import Clock
from .._core.errors import DockerVpsError, EngineError, EngineUnreachable
from .._core.health import ended_by_engine
from .._core.remedies import again
from .._engine.port import EnginePort
from .._engine.systemd import engine_start
from .._store import files
from .._store.lock import JOURNAL
from .._store.sets import Sets
from .._store.watchdog import guarded
from .users import users

RECORD = "last-restore.json"
STAGED, BEFORE = ".restoring-", ".before-"
BEFORE_LIKE = f"_data{BEFORE}… beside the volumes"
AT = "%Y-%m-%dT%H:%M:%S%z"
ENGINE_BACK_WITHIN = 120  # seconds; an engine with many containers takes its time to restart
REMOVED_WITHIN = 5  # seconds; a killed run's tar may write into what is removed until it notices


class NotRunning(DockerVpsError):
    """A container could not be let go on; everything else is set right."""


@dataclass(frozen=True)
class Swap:
    """A directory that takes the place of another: ``live`` becomes ``before``, and ``staged`` becomes ``live``.

    ``set`` is the timestamp of the backup set that it belongs to, and ``at`` when it was made (UTC). ``inode`` is
    that of the staged directory, by which it is known again when it is live. ``own`` is whether the databases in it are
    the application's, and not somebody's files.
    """

    volume: str
    live: str
    staged: str
    safety_copy: str
    set: str
    at: str
    inode: int = 0
    own: bool = True  # old records do not say

    @property
    def has_copy(self) -> bool:
        """Whether the safety copy is there."""
        return os.path.isdir(self.safety_copy) and not os.path.islink(self.safety_copy)

    @property
    def made(self) -> datetime:
        """When it was made (aware)."""
        return datetime.strptime(self.at, AT)


@dataclass(frozen=True)
class Journal:
    """What has to be set right: containers to start or unpause, and directories to swap.

    Until ``decided``, what was prepared is thrown away, with the volumes ``created`` for it; from then on the swaps are
    carried through, and what was there before is removed in the end unless it is to be kept. The containers were
    stopped, or ``frozen``. ``notices`` is what somebody has yet to hear.
    """

    folder: str
    containers: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    swaps: tuple[Swap, ...] = ()
    safety_copy: bool = True
    decided: bool = False
    frozen: bool = False
    notices: tuple[str, ...] = ()

    def write(self, **changes: Any) -> Journal:
        """Change the journal durably and return it."""
        changed = replace(self, **changes)
        _write(os.path.join(self.folder, JOURNAL), asdict(changed))
        return changed


def read(folder: str) -> Journal:
    """Return the journal in a folder of unfinished work, an empty one when nothing was written down yet.

    Raises:
        DockerVpsError: it cannot be read or is damaged.
    """
    path = os.path.join(folder, JOURNAL)
    given = _read(path)
    if given is None:
        return Journal(folder)
    with _sound(path):
        swaps = _swaps(given)
        if not all(_is_beside(swap.live, swap.staged, STAGED, BEFORE) for swap in swaps):
            raise ValueError
        return Journal(
            folder,
            _names(given["containers"]),
            _names(given["created"]),
            swaps,
            given["safety_copy"],
            given["decided"],
            given["frozen"],
            _names(given.get("notices", [])),
        )


def remembered(sets: Sets) -> tuple[Swap, ...]:
    """Return the last swap of every volume; the safety copies may be gone."""
    return _swaps(_record(sets))


def superseded(sets: Sets) -> tuple[Swap, ...]:
    """Return earlier swaps whose safety copies are not needed any more, and could not be removed so far."""
    return tuple(swap for swap in _swaps(_record(sets), "superseded") if swap.has_copy)


def left_behind(sets: Sets) -> dict[str, str]:
    """Return the safety copies that are not needed any more and cannot be removed, and why; under the lock."""
    tried = {swap.safety_copy: files.remove_tree(swap.safety_copy) for swap in superseded(sets)}
    return {path: why for path, why in tried.items() if why}


def cannot_be_removed(left: Mapping[str, str]) -> list[str]:
    """Return sentences about safety copies that stay, given why."""
    sentences = [
        f"The safety copy {path} is not needed any more, and cannot be removed: {why}."
        for path, why in sorted(left.items())
    ]
    step = "It is tried again each time; chattr -R -i and -a take away attributes that forbid it."
    return [*sentences, step] if sentences else []


def recover(sets: Sets, folder: str, connect: Callable[[], EnginePort], clock: Clock) -> list[str]:
    """Finish or undo what a journal says, let the containers go on, and remove the folder.

    Returns:
        What somebody stopped meanwhile and so stays stopped, as sentences.

    Raises:
        NotRunning: the engine refused to let a container go on; nothing else is left to do.
        DockerVpsError: it cannot be done now; the journal stays for the next one who tries.
    """
    if not os.path.isdir(folder):
        return []
    journal = read(folder)
    sentences = list(journal.notices)
    lost = _finish(journal, connect, clock) if journal.decided else ()
    refused: Optional[NotRunning] = None
    undone = () if journal.decided else journal.created
    engine = patiently(connect, clock) if journal.containers or undone else None
    if engine:
        try:
            if not journal.frozen:
                finish_stopping(engine, journal.containers)
            sentences += go_on(engine, journal.containers, journal.frozen).stopped
        except NotRunning as error:
            refused = error
    if journal.decided:
        _remember(sets, journal)
    else:
        _throw_away([swap.staged for swap in journal.swaps], clock)
    if engine:
        _remove_volumes(engine, undone)
    sets.discard(folder)
    if lost:
        do = "does" if len(lost) == 1 else "do"
        raise DockerVpsError(
            f"{', '.join(swap.volume for swap in lost)} {do} not hold set {lost[0].set}, whose restore was "
            "interrupted: what was prepared is gone. Restore that set again."
        )
    if refused:
        raise refused
    return sentences


def recover_unheard(sets: Sets, folder: str, connect: Callable[[], EnginePort], clock: Clock) -> None:
    """Recover where nobody hears what there is to tell, and leave that to the next one who recovers.

    Raises:
        DockerVpsError: as recover does.
    """
    sentences = recover(sets, folder, connect, clock)
    if sentences:
        os.mkdir(folder, 0o700)
        Journal(folder).write(notices=tuple(sentences))


@contextlib.contextmanager
def recovering(sets: Sets, folder: str, connect: Callable[[], EnginePort], clock: Clock) -> Iterator[None]:
    """Have what was begun in the block undone or finished when it fails, or is killed.

    Raises:
        DockerVpsError: as recover does.
    """
    with guarded(lambda: recover_unheard(sets, folder, connect, clock)):
        try:
            yield
        except DockerVpsError as error:
            error.also(*recover(sets, folder, connect, clock))
            raise
        except BaseException:
            recover_unheard(sets, folder, connect, clock)
            raise


def recover_all(sets: Sets, connect: Callable[[], EnginePort], clock: Clock) -> list[str]:
    """Recover what killed runs have left, and return what there is to tell; under the lock.

    Raises:
        DockerVpsError: as recover does.
    """
    return [sentence for folder in sets.leftovers() for sentence in recover(sets, folder, connect, clock)]


def carry_through(swaps: Sequence[Swap]) -> None:
    """Put what is staged in place, from wherever an earlier attempt stopped.

    Raises:
        DockerVpsError: the file system refuses.
    """
    for swap in swaps:
        if not os.path.lexists(swap.staged):
            continue
        try:
            if os.path.lexists(swap.live):
                os.rename(swap.live, swap.safety_copy)
            os.rename(swap.staged, swap.live)
            files.sync_directory(os.path.dirname(swap.live))
        except OSError as error:
            raise DockerVpsError(
                f"{swap.live} cannot be exchanged for {swap.staged}: {error.strerror}. What "
                f"was stopped for it stays stopped, because other volumes may be exchanged already; "
                f"fix the cause and {again()}."
            ) from error


def _finish(journal: Journal, connect: Callable[[], EnginePort], clock: Clock) -> Sequence[Swap]:
    """Carry a decided exchange through, and return the swaps for which nothing is left to do it with.

    Raises:
        DockerVpsError: a container was started meanwhile and writes to what would be taken away from it.
    """
    pending = [swap for swap in journal.swaps if os.path.lexists(swap.staged)]
    if pending:
        _refuse_users(patiently(connect, clock), pending)
    carry_through(journal.swaps)
    return [swap for swap in journal.swaps if not _is_live(swap)]


def _is_live(swap: Swap) -> bool:
    return os.path.isdir(swap.live) and swap.inode in (0, os.stat(swap.live).st_ino)


def _refuse_users(engine: EnginePort, swaps: Sequence[Swap]) -> None:
    running = {
        container["Name"].lstrip("/")
        for swap in swaps
        for container in users(engine, swap.volume)
        if container["State"]["Running"]
    }
    if running:
        names, were = ", ".join(sorted(running)), "was" if len(running) == 1 else "were"
        raise DockerVpsError(
            f"A restore of set {swaps[0].set} was interrupted before its exchange, and {names} {were} started "
            f"since, on the data from before. To finish the restore, stop {names} and run the same again; to keep the "
            f"data that is live, remove {', '.join(swap.staged for swap in swaps)} and run the same again."
        )


def finish_stopping(engine: EnginePort, containers: Sequence[str]) -> None:
    """Wait for stops that are under way.

    An engine goes on stopping a container after whoever asked for it was killed, and until that is done, starting it
    has no effect.
    """
    for name in containers:
        container = engine.container(name)
        if container and container["State"]["Running"]:
            with contextlib.suppress(EngineError):  # what counts is whether it can be started
                engine.stop(name)


class Meanwhile(NamedTuple):
    """What somebody did to containers while they were halted, as sentences: stopped them, or let them run."""

    stopped: list[str]
    let_run: list[str]


def go_on(engine: EnginePort, containers: Sequence[str], frozen: bool = False) -> Meanwhile:
    """Let containers run that ran before, and return what somebody did to them meanwhile.

    One that is gone needs nothing. One that was frozen and was stopped since stays so, as whoever did that wants it.

    Raises:
        NotRunning: the engine refused for some; the others run.
    """
    refused, meanwhile = [], Meanwhile([], [])
    for name in containers:
        container = engine.container(name)
        if container is None:
            continue
        try:
            _go_on(engine, container, frozen, meanwhile)
        except EngineUnreachable:
            raise
        except EngineError as error:
            refused.append(f"{container['Name'].lstrip('/')} does not run again: {error.message}")
    if refused:
        what = "it" if len(refused) == 1 else "them"
        raise NotRunning(" ".join(refused) + f" Fix that, and start {what} with docker start.")
    return meanwhile


def _go_on(engine: EnginePort, container: Mapping[str, Any], frozen: bool, meanwhile: Meanwhile) -> None:
    name, state = container["Name"].lstrip("/"), container["State"]
    if state["Paused"]:
        engine.unpause(container["Id"])
    elif frozen and not state["Running"] and not ended_by_engine(container, engine_start()):
        meanwhile.stopped.append(
            f"Somebody stopped {name} while it was paused, so it stays stopped; docker start {name} starts it."
        )
    else:
        engine.start(container["Id"])
        if state["Running"]:
            meanwhile.let_run.append(
                f"Somebody let {name} run meanwhile, so the data may be of different points in time."
            )


def patiently(connect: Callable[[], EnginePort], clock: Clock) -> EnginePort:
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
                    f"{error.message} Something was left half-done meanwhile; {again()} when it answers."
                ) from error
            clock.sleep(1)


def _throw_away(staged: Sequence[str], clock: Clock) -> None:
    until = clock.now() + REMOVED_WITHIN
    for path in staged:
        while files.remove_tree(path) and clock.now() < until:
            clock.sleep(0.1)


def _remove_volumes(engine: EnginePort, created: Sequence[str]) -> None:
    for name in created:
        try:
            if engine.volume(name) is not None:
                engine.remove_volume(name)
        except EngineUnreachable:
            raise
        except EngineError:
            pass  # somebody uses it meanwhile, so it is theirs now


def _remember(sets: Sets, journal: Journal) -> None:
    """Write down what an undo needs, after removing the safety copies that are superseded."""
    lives = {swap.live for swap in journal.swaps}
    last = [swap for swap in remembered(sets) if swap.has_copy]
    due = [*superseded(sets), *(swap for swap in last if swap.live in lives)]
    needed = {swap.safety_copy for swap in journal.swaps} if journal.safety_copy else set()
    if not journal.safety_copy:
        due += journal.swaps
    copies = {swap.safety_copy: swap for swap in due if swap.safety_copy not in needed}
    stay = [copies[path] for path in copies if files.remove_tree(path)]
    kept = [*(swap for swap in last if swap.live not in lives), *journal.swaps]
    record = {"swaps": [asdict(swap) for swap in kept], "superseded": [asdict(swap) for swap in stay]}
    _write(os.path.join(sets.directory, RECORD), record)


def damage_of_record(sets: Sets) -> list[str]:
    """Return what is wrong with the record of restores; no job is stopped by it."""
    try:
        _checked_record(sets)
    except DockerVpsError as error:
        return [error.message]
    return []


def _record(sets: Sets) -> Mapping[str, Any]:
    try:
        return _checked_record(sets)
    except DockerVpsError:
        return {}


def _checked_record(sets: Sets) -> Mapping[str, Any]:
    path = os.path.join(sets.directory, RECORD)
    with _sound(path):
        given = _read(path) or {}
        for key in ("swaps", "superseded"):
            _swaps(given, key)
    return given


@contextlib.contextmanager
def _sound(path: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DockerVpsError(
            f"{path} is damaged, so nobody knows which directories ({BEFORE_LIKE}) and containers it is about. "
            "Look for them, set them right, and remove it."
        ) from error


def _swaps(given: Mapping[str, Any], key: str = "swaps") -> tuple[Swap, ...]:
    """Return what was written down, which is believed only as far as kinds and names go that a restore gives.

    Raises:
        ValueError, TypeError: it is not that.
    """
    swaps = tuple(Swap(**row) for row in given.get(key, ()))
    for swap in swaps:
        if any(type(getattr(swap, each.name)).__name__ != each.type for each in fields(swap)):
            raise TypeError
        if not swap.made or not _is_beside(swap.live, swap.safety_copy, BEFORE):
            raise ValueError
    return swaps


def _is_beside(live: str, path: str, *kinds: str) -> bool:
    """Return whether a path is ``<live><kind><timestamp>``."""
    kind = "|".join(map(re.escape, kinds))
    return os.path.isabs(live) and bool(re.fullmatch(f"{re.escape(live)}({kind})[0-9]{{8}}-[0-9]{{6}}", path))


def _names(given: Sequence[Any]) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise TypeError
    return tuple(given)


def _read(path: str) -> Optional[Mapping[str, Any]]:
    kept = files.read(path, links=False)
    if kept is None:
        return None
    with _sound(path):
        given = json.loads(kept.text)
        return {**given}


def _write(path: str, given: Mapping[str, Any]) -> None:
    files.replace(path, files.own(json.dumps(given)))
