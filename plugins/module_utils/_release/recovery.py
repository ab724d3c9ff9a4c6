# SPDX-License-Identifier: GPL-3.0-or-later
"""Finish a cutover that was decided, and undo any other one.

The cutover itself does that when a step fails, the watcher of its process when that is killed, or the next run.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional

from .._backup.data_loss import contents, losses
from .._backup.databases import schemas
from .._backup.journal import (
    ENGINE_BACK_WITHIN,
    STAGED,
    NotRunning,
    Swap,
    carry_through,
    finish_stopping,
    go_on,
    patiently,
)
from .._backup.volumes import running
from .._core import dotenv
from .._core.clock import WallClock, instant
from .._core.errors import DockerVpsError, EngineError, EngineUnreachable
from .._core.hardening import likely_cause
from .._core.health import HealthRules, Reason, WantedHealth, explain, log_lines
from .._core.health_wait import Wait, Watched
from .._core.releases import DEGRADED, FAILED, Release
from .._core.remedies import play, setting
from .._core.secrets import Mask, secrets_of
from .._core.text import sentence
from .._engine.port import EnginePort
from .._store import files, sqlite, tree
from .._store.releases import DEFINITION, ENVIRONMENT, JOURNAL, Releases
from .cutover_state import AUTO, COPY, KEEP, NEXT, SPOILT, CutoverWorld, UnderWay, boot, read
from .health_probe import Probed


def wait_until_healthy(engine: Watched, clock: WallClock, container: str, within: float) -> float:
    """Wait until a container is healthy and return for how many seconds that was.

    Args:
        engine: one that is Probed answers sooner than the engine itself.

    Raises:
        DockerVpsError: it is not, and will not be; the message says why.
    """
    ended = Wait(engine, clock, [container], HealthRules(WantedHealth.HEALTHY), within).run()
    (seen,) = ended.containers
    if seen.reason is not Reason.REACHED:
        raise DockerVpsError(explain(seen.snapshot, seen.reason, WantedHealth.HEALTHY, seen.seconds))
    return seen.seconds


def rename(engine: EnginePort, container: str, name: str) -> None:
    """Rename a container; one that keeps being restarted, whose place on the network comes and goes, is stopped for it.

    Raises:
        EngineError: the engine refuses.
    """
    try:
        engine.rename(container, name)
    except EngineUnreachable:
        raise
    except EngineError:
        engine.stop(container)
        engine.rename(container, name)


def last_lines(engine: EnginePort, container: str, number: int) -> str:
    """Return what a container wrote last, as an appendix to a sentence."""
    return log_lines(list(engine.logs(container, number)) if number > 0 else [])


def masked(releases: Releases, text: str, *release_ids: str) -> str:
    """Return a string without the secrets in the environments of releases; nothing of it if those cannot be read."""
    for path in [releases.path(release_id, ENVIRONMENT) for release_id in release_ids if release_id]:
        try:
            environment = files.read(path)
            text = Mask(secrets_of(dotenv.parse(environment.text)))(text) if environment else text
        except DockerVpsError as error:
            return f"(not shown, since its secrets are not known: {path}, {error.message})"
    return text


@dataclass(frozen=True)
class Recovered:
    """A cutover that was finished or undone, and the last lines of what failed."""

    release: Release
    evidence: str = ""

    @property
    def summary(self) -> str:
        """What became of it, for people."""
        return f"Release {self.release.id}: {self.release.result}. {self.release.message}".rstrip()


def recover(world: CutoverWorld, release_id: str, why: str) -> Optional[Recovered]:
    """Finish a cutover that was decided, undo any other one, and return its record; None when there is nothing to do.

    Args:
        why: what went wrong, as sentences.

    Raises:
        DockerVpsError: the engine does not answer; the next run tries again.
    """
    until = world.clock.now() + ENGINE_BACK_WITHIN
    while True:
        try:
            return _recover(world, release_id, why)
        except EngineUnreachable:
            if world.clock.now() >= until:
                raise
            world.clock.sleep(1)


def _recover(world: CutoverWorld, release_id: str, why: str) -> Optional[Recovered]:
    under_way = read(world.releases, release_id)
    if under_way is None:
        return None
    engine = patiently(world.connect, world.clock)
    if world.releases.current() == release_id:
        finish(world, engine, under_way)
        found = world.releases.read(release_id)
        return Recovered(found) if found else None
    return _WayBack(world, engine, under_way, why).go()


def finish(world: CutoverWorld, engine: EnginePort, under_way: UnderWay) -> None:
    """Remove what a decided cutover leaves."""
    gone = True
    try:
        if under_way.old:
            engine.remove_container(under_way.old)
    except EngineError:  # it has no name any more that anyone finds, and the next run tries again
        gone = False
    _clear(world, under_way, ended=gone)


def _clear(world: CutoverWorld, under_way: UnderWay, ended: bool = True) -> None:
    beside = [under_way.live + what + under_way.id for what in (SPOILT, STAGED) if under_way.live]
    for path in (under_way.copy, *beside):
        if path:
            files.remove_tree(path)
    if ended:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(world.releases.path(under_way.id, JOURNAL))


def left_beside(live: str) -> list[str]:
    """Remove what earlier cutovers could not remove beside a directory, and return sentences about what stays.

    Nobody may be at a cutover, and none be unfinished.
    """
    folder, name = os.path.split(live)
    left = re.compile(re.escape(name) + f"({re.escape(COPY)}|{re.escape(SPOILT)})" + r"\d{8}-\d{6}")
    problems = {
        entry: files.remove_tree(os.path.join(folder, entry)) for entry in os.listdir(folder) if left.fullmatch(entry)
    }
    return [
        f"{os.path.join(folder, entry)} is not needed any more, and cannot be removed: {problems[entry]}. Remove it."
        for entry in sorted(problems)
        if problems[entry]
    ]


class _WayBack:
    """From a failed version back to what was before."""

    def __init__(self, world: CutoverWorld, engine: EnginePort, under_way: UnderWay, why: str) -> None:
        self.world, self.engine, self.under_way, self.why = world, engine, under_way, sentence(why)
        self.reached = under_way.reachable
        self.new: Optional[Mapping[str, Any]] = None
        self.away = 0.0

    def go(self) -> Recovered:
        """Return to what was before, unless that would lose data and was not allowed to."""
        self._find_new()
        evidence, log = self._evidence()
        lost = self._would_lose()
        if lost:
            return Recovered(self._stay(lost, log), evidence)
        outcome = self._remove_new()
        outcome += self._put_data_back()
        files_outcome = self._put_files_back()
        outcome = f"{self._start_old()}{outcome}{files_outcome}{self._let_others_go_on()}{log}"
        if self.under_way.proxy_reload_command:
            with contextlib.suppress(DockerVpsError):
                self.world.commands.here(self.under_way.proxy_reload_command, self.under_way.health_timeout)
        self._record(FAILED, f"{self.why} {outcome}", downtime=round(self.away, 3))
        _clear(self.world, self.under_way)
        return Recovered(self._recorded(), evidence)

    def _find_new(self) -> None:
        """Find the failed version's container, and whether users may have reached it."""
        stranger = self._stranger()
        self.reached = self.reached or stranger is not None
        self.new = stranger or self._new()

    def _new(self) -> Optional[Mapping[str, Any]]:
        """Return the container of the failed version: the one that waits for the name, or has it already."""
        waiting = self.engine.container(self.under_way.container + NEXT)
        named = self.engine.container(self.under_way.container)
        return waiting or (named if named and named["Id"] != self.under_way.old else None)

    def _stranger(self) -> Optional[Mapping[str, Any]]:
        """Return what somebody has brought up under the name since, which users may have reached."""
        cutover = self.under_way
        named = self.engine.container(cutover.container)
        if not cutover.new or not named or named["Id"] in (cutover.old, cutover.new):
            return None
        self.engine.remove_container(cutover.container + NEXT)
        return named

    def _evidence(self) -> tuple[str, str]:
        """Keep what the failed version wrote, without secrets, and return its last lines and where all of it is."""
        lines = self.engine.logs(self.new["Id"], 0) if self.new else ()
        self.why = self._masked(f"{self.why} {likely_cause(self.new or {}, lines)}".rstrip())
        if not self.new or not lines:
            return "", ""
        last = self._masked(last_lines(self.engine, self.new["Id"], self.under_way.log_lines))
        try:
            path = self.world.releases.keep_log(self.under_way.id, self._masked("\n".join(lines)) + "\n")
        except DockerVpsError as error:  # a full disk must not be in the way of going back
            return last, f" The log of the failed version is lost: {error.message}"
        return last, f" The log of the failed version is {path}."

    def _masked(self, text: str) -> str:
        return masked(self.world.releases, text, self.under_way.id, self.under_way.previous)

    def _usable(self) -> bool:
        """Whether the copy of the data is there and whole."""
        cutover = self.under_way
        return cutover.copied and (cutover.durable or cutover.boot == boot()) and os.path.isdir(cutover.copy)

    def _has_to_be_put_back(self) -> bool:
        """Whether the old version cannot do with the data as it is now."""
        cutover = self.under_way
        if not self._usable() or self._is_back():
            return False
        if not self.reached or not os.path.isdir(cutover.live):  # it was about to be
            return True
        return cutover.exchanged or (
            cutover.data != KEEP and (cutover.shrunk or schemas(cutover.live) != schemas(cutover.copy))
        )

    def _is_back(self) -> bool:
        """Whether somebody has started the old version since, so that the data is its own again."""
        old = self.engine.container(self.under_way.old) if self.under_way.old else None
        return bool(old and old["State"]["Running"])

    def _would_lose(self) -> str:
        """Return what the way back would lose that nobody allowed to be lost, empty for nothing."""
        cutover = self.under_way
        if not self.reached or cutover.data != AUTO or not os.path.isdir(cutover.live):
            return ""
        if self._usable() and not self._is_back():
            self._stop_new()  # or it would take more, which nobody counts
            for path in tree.survey(cutover.live).databases:
                sqlite.recover_crash(os.path.join(cutover.live, path))
        if not self._has_to_be_put_back():
            return ""
        live = contents({cutover.volume: cutover.live})
        lost = losses(live, cutover.rows or contents({cutover.volume: cutover.copy}).tables, self.world.clock.utc())
        if live.unreadable:
            return f"What would be lost cannot be determined: {' '.join(live.unreadable)}"
        return str(lost["summary"]) if lost["tables"] else ""

    def _stay(self, lost: str, log: str) -> Release:
        """Leave the failed version in place, since its users' data would be lost with it."""
        self.world.releases.put_live(self.under_way.id, instead_of=self.under_way.previous)
        message = (
            f"{self.why} It had changed the database and taken requests, so it was left in place instead of going back."
            f"{log} {lost} To go back and lose that, run {play('rollback')} with {setting('rollback_data', 'restore')}"
            f"; otherwise fix the application and run {play('update')}."
        )
        if self.new and self.new["Name"].lstrip("/") != self.under_way.container:
            rename(self.engine, self.new["Id"], self.under_way.container)
        try:
            if self.new:
                go_on(self.engine, [self.new["Id"]])
            else:
                self.world.commands.up(
                    self.under_way.project, self.world.releases.home, self.world.releases.live[DEFINITION]
                )
        except EngineUnreachable:
            raise  # it is tried again
        except DockerVpsError as error:
            message += f" {error.message}"
        self._record(DEGRADED, message)
        self.world.releases.make_current(self.under_way.id)
        finish(self.world, self.engine, self.under_way)
        return self._recorded()

    def _remove_new(self) -> str:
        cutover = self.under_way
        if not self.new:
            return ""
        alone = not cutover.old and not cutover.previous
        if alone and self.new["State"]["Status"] != "created":
            # There is nothing else, so it stays for people to look at, under its proper name.
            if self.new["Name"].lstrip("/") != cutover.container:
                rename(self.engine, self.new["Id"], cutover.container)
            if not self._has_to_be_put_back():
                return ""
            self._stop_new()
            return f" {cutover.container} was stopped, and is kept for inspection."
        self._stop_new()
        self.engine.remove_container(self.new["Id"])
        left = self.engine.container(cutover.container)
        if left and left["Id"] != cutover.old:  # somebody has brought the new version up by hand meanwhile
            self.engine.remove_container(left["Id"])
        return f" {cutover.container} had never run, and was removed." if alone else ""

    def _stop_new(self) -> None:
        if self.new:
            with contextlib.suppress(EngineError):
                self.engine.stop(self.new["Id"])

    def _put_data_back(self) -> str:
        """Exchange the data for the copy, unless the users' newer data fits the old version."""
        cutover = self.under_way
        if not self._has_to_be_put_back():
            return ""
        others = tuple(sorted({*cutover.others, *(user["Id"] for user in running(self.engine, [cutover.volume]))}))
        cutover = self.under_way = cutover.write(self.world.releases, others=others)
        for container in others:
            if self.engine.container(container):
                self.engine.stop(container)
        at = self.world.clock.utc().isoformat()
        carry_through(
            [Swap(cutover.volume, cutover.live, cutover.copy, cutover.live + SPOILT + cutover.id, cutover.id, at)]
        )
        return " The data is as it was before."

    def _let_others_go_on(self) -> str:
        try:
            go_on(self.engine, self.under_way.others)
        except NotRunning as error:  # what was before does not need it
            return f" {error.message}"
        return ""

    def _put_files_back(self) -> str:
        try:
            if self.under_way.previous:
                self.world.releases.put_live(self.under_way.previous, instead_of=self.under_way.id)
        except DockerVpsError as error:  # its container still has them
            return f" {error.message}"
        return ""

    def _start_old(self) -> str:
        """Start what was before and return a sentence about it."""
        cutover, releases = self.under_way, self.world.releases
        name = cutover.called or cutover.container
        old = self.engine.container(cutover.old) if cutover.old else None
        if old is None and not cutover.previous:
            return "There is no earlier healthy version to put back."
        if old and old["Name"].lstrip("/") != name:
            rename(self.engine, cutover.old, name)
        if old and not cutover.ran:
            return "What was there before did not run either, and is as it was."
        try:
            if old:
                if cutover.retired:
                    finish_stopping(self.engine, [cutover.old])
                self.engine.start(cutover.old)
            else:
                self.world.commands.up(cutover.project, releases.home, releases.live[DEFINITION])
            probed = Probed(self.engine, self.world.clock)
            seconds = wait_until_healthy(probed, self.world.clock, name, cutover.health_timeout)
        except EngineUnreachable:
            raise  # it is tried again
        except DockerVpsError as error:
            lines = last_lines(self.engine, name, cutover.log_lines)
            return self._masked(f"The version before could not be put back either: {error.message}{lines}")
        image = self.engine.look(name).image
        if old and not cutover.retired:
            return f"The version before, {image}, runs on and is healthy."
        if cutover.retired_at:
            self.away = max(0.0, self.world.clock.utc().timestamp() - cutover.retired_at)
        away = f"; it was away for {self.away:.1f} s" if self.away else ""
        return f"The version before, {image}, was put back and is healthy after {seconds:.1f} s{away}."

    def _record(self, result: str, message: str, downtime: float = 0.0) -> None:
        release = replace(self._recorded(), result=result, message=message, downtime=downtime)
        with contextlib.suppress(ValueError):  # the way back is not held up by a time
            took = (self.world.clock.utc() - instant(release.at)).total_seconds()
            release = replace(release, seconds=round(max(0.0, took), 3))
        self.world.releases.record(release)

    def _recorded(self) -> Release:
        found = self.world.releases.read(self.under_way.id)
        if found is None:
            raise DockerVpsError(f"The record of the release {self.under_way.id} is gone. Run {play('deploy')}.")
        return found
