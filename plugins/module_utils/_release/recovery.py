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
from .._core.clock import WallClock
from .._core.errors import DockerVpsError, EngineError, EngineUnreachable
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
    """Return a text without the secrets in the environments of releases; nothing of it if those cannot be read."""
    for path in [releases.path(one, ENVIRONMENT) for one in release_ids if one]:
        try:
            environment = files.read(path)
            text = Mask(secrets_of(dotenv.parse(environment.text)))(text) if environment else text
        except DockerVpsError as error:
            return f"(not shown, since its secrets cannot be told: {path}, {error.message})"
    return text


@dataclass(frozen=True)
class Recovered:
    """A cutover that was finished or undone, and the last lines of what failed."""

    release: Release
    evidence: str = ""

    @property
    def told(self) -> str:
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
    one = under_way
    for path in (one.copy, *(one.live + what + one.id for what in (SPOILT, STAGED) if one.live)):
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
    told = {one: files.remove_tree(os.path.join(folder, one)) for one in os.listdir(folder) if left.fullmatch(one)}
    return [
        f"{os.path.join(folder, one)} is not needed any more, and cannot be removed: {told[one]}. Remove it."
        for one in sorted(told)
        if told[one]
    ]


class _WayBack:
    """From a failed version back to what was before."""

    def __init__(self, world: CutoverWorld, engine: EnginePort, under_way: UnderWay, why: str) -> None:
        self.world, self.engine, self.under_way, self.why = world, engine, under_way, sentence(why)
        self.reached = under_way.reachable
        self.new: Optional[Mapping[str, Any]] = None

    def go(self) -> Recovered:
        """Return to what was before, unless that would lose data and was not allowed to."""
        self._find_new()
        evidence, log = self._evidence()
        lost = self._would_lose()
        if lost:
            return Recovered(self._stay(lost, log), evidence)
        told = self._remove_new()
        told += self._put_data_back()
        files_told = self._put_files_back()
        told = f"{self._start_old()}{told}{files_told}{self._let_others_go_on()}{log}"
        if self.under_way.proxy_reload_command:
            with contextlib.suppress(DockerVpsError):
                self.world.commands.here(self.under_way.proxy_reload_command, self.under_way.health_timeout)
        self._record(FAILED, f"{self.why} {told}")
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
        one = self.under_way
        named = self.engine.container(one.container)
        if not one.new or not named or named["Id"] in (one.old, one.new):
            return None
        self.engine.remove_container(one.container + NEXT)
        return named

    def _evidence(self) -> tuple[str, str]:
        """Keep what the failed version wrote, without secrets, and return its last lines and where all of it is."""
        self.why = self._masked(self.why)
        if not self.new:
            return "", ""
        lines = self.engine.logs(self.new["Id"], 0)
        if not lines:
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
        one = self.under_way
        return one.copied and (one.durable or one.boot == boot()) and os.path.isdir(one.copy)

    def _has_to_be_put_back(self) -> bool:
        """Whether the old version cannot do with the data as it is now."""
        one = self.under_way
        if not self._usable() or self._is_back():
            return False
        if not self.reached or not os.path.isdir(one.live):  # it was about to be
            return True
        return one.exchanged or (one.data != KEEP and (one.shrunk or schemas(one.live) != schemas(one.copy)))

    def _is_back(self) -> bool:
        """Whether somebody has started the old version since, so that the data is its own again."""
        old = self.engine.container(self.under_way.old) if self.under_way.old else None
        return bool(old and old["State"]["Running"])

    def _would_lose(self) -> str:
        """Return what the way back would lose that nobody allowed to be lost, empty for nothing."""
        one = self.under_way
        if not self.reached or one.data != AUTO or not os.path.isdir(one.live):
            return ""
        if self._usable() and not self._is_back():
            self._stop_new()  # or it would take more, which nobody counts
            for path in tree.survey(one.live).databases:
                sqlite.recover_crash(os.path.join(one.live, path))
        if not self._has_to_be_put_back():
            return ""
        live = contents({one.volume: one.live})
        lost = losses(live, one.rows or contents({one.volume: one.copy}).tables, self.world.clock.utc())
        if live.unreadable:
            return f"What would be lost cannot be told: {' '.join(live.unreadable)}"
        return str(lost["summary"]) if lost["tables"] else ""

    def _stay(self, lost: str, log: str) -> Release:
        """Leave the failed version in place, since its users' data would be lost with it."""
        self.world.releases.put_live(self.under_way.id, instead_of=self.under_way.previous)
        message = (
            f"{self.why} It had changed the database and taken requests, so it was left in place instead of going back."
            f"{log} {lost} To go back and lose that, run {play('rollback')} with {setting('rollback_data', 'restore')}"
            f"; otherwise mend the application and run {play('update')}."
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
        one = self.under_way
        if not self.new:
            return ""
        alone = not one.old and not one.previous
        if alone and self.new["State"]["Status"] != "created":
            # There is nothing else, so it stays for people to look at, under its proper name.
            if self.new["Name"].lstrip("/") != one.container:
                rename(self.engine, self.new["Id"], one.container)
            if not self._has_to_be_put_back():
                return ""
            self._stop_new()
            return f" {one.container} was stopped, and is there to be looked at."
        self._stop_new()
        self.engine.remove_container(self.new["Id"])
        left = self.engine.container(one.container)
        if left and left["Id"] != one.old:  # somebody has brought the new version up by hand meanwhile
            self.engine.remove_container(left["Id"])
        return f" {one.container} had never run, and was removed." if alone else ""

    def _stop_new(self) -> None:
        if self.new:
            with contextlib.suppress(EngineError):
                self.engine.stop(self.new["Id"])

    def _put_data_back(self) -> str:
        """Exchange the data for the copy, unless the users' newer data fits the old version."""
        one = self.under_way
        if not self._has_to_be_put_back():
            return ""
        others = tuple(sorted({*one.others, *(user["Id"] for user in running(self.engine, [one.volume]))}))
        one = self.under_way = one.write(self.world.releases, others=others)
        for container in others:
            if self.engine.container(container):
                self.engine.stop(container)
        at = self.world.clock.utc().isoformat()
        carry_through([Swap(one.volume, one.live, one.copy, one.live + SPOILT + one.id, one.id, at)])
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
        except DockerVpsError as error:  # its container still knows what they said
            return f" {error.message}"
        return ""

    def _start_old(self) -> str:
        """Start what was before and return a sentence about it."""
        one, releases = self.under_way, self.world.releases
        name = one.called or one.container
        there = self.engine.container(one.old) if one.old else None
        if there is None and not one.previous:
            return "There is no earlier healthy version to put back."
        if there and there["Name"].lstrip("/") != name:
            rename(self.engine, one.old, name)
        if there and not one.ran:
            return "What was there before did not run either, and is as it was."
        try:
            if there:
                if one.retired:
                    finish_stopping(self.engine, [one.old])
                self.engine.start(one.old)
            else:
                self.world.commands.up(one.project, releases.home, releases.live[DEFINITION])
            probed = Probed(self.engine, self.world.clock)
            seconds = wait_until_healthy(probed, self.world.clock, name, one.health_timeout)
        except EngineUnreachable:
            raise  # it is tried again
        except DockerVpsError as error:
            lines = last_lines(self.engine, name, one.log_lines)
            return self._masked(f"The version before could not be put back either: {error.message}{lines}")
        image = self.engine.look(name).image
        if there and not one.retired:
            return f"The version before, {image}, runs on and is healthy."
        return f"The version before, {image}, was put back and is healthy after {seconds:.1f} s."

    def _record(self, result: str, message: str) -> None:
        self.world.releases.record(replace(self._recorded(), result=result, message=message))

    def _recorded(self) -> Release:
        found = self.world.releases.read(self.under_way.id)
        if found is None:
            raise DockerVpsError(f"The record of the release {self.under_way.id} is gone. Run {play('deploy')}.")
        return found
