# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a container's own health check more often than the engine does, while it starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

from .._core import hardening
from .._core.clock import Clock
from .._core.errors import DockerVpsError, EngineError, EngineUnreachable
from .._core.health import ContainerSnapshot
from .._core.health_check import command_of, needs_of, places_of
from .._core.health_wait import Feed
from .._core.remedies import setting
from .._engine.port import EnginePort

ASK_EVERY = 0.15  # seconds; users wait for the answer


class Probed:
    """An engine whose containers count as healthy as soon as their own health check succeeds.

    The engine runs the check only every few seconds (``start_interval``, on old engines ``interval``), and users
    wait until its verdict. Its other verdicts stay.
    """

    def __init__(self, engine: EnginePort, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._asked: dict[str, str] = {}

    def look(self, name: str) -> ContainerSnapshot:
        """Return the container as it is now."""
        seen = self._engine.look(name)
        if seen.state != "running" or seen.health != "starting":
            return seen
        return replace(seen, health="healthy") if self._answers(name) else seen

    def listen(self, names: Sequence[str]) -> Feed:
        """Begin to listen; the news come at least as often as the check is to be asked."""
        return _Impatient(self._engine.listen(names))

    def answer_of(self, name: str) -> str:
        """Return what the application says to its health check."""
        return self._engine.answer_of(name)

    def _answers(self, name: str) -> bool:
        """Whether the check that was begun at an earlier check has succeeded; begins the next one if not."""
        try:
            if name not in self._asked:
                self._begin(name)
                self._clock.sleep(ASK_EVERY / 3)
            code = self._engine.ended(self._asked[name]) if name in self._asked else None
        except EngineUnreachable:
            raise
        except EngineError:  # it ended just now, or started again, and the command with it
            code = 1
        if code is not None:
            self._asked.pop(name, None)
        return code == 0

    def _begin(self, name: str) -> None:
        container = self._engine.container(name) or {}
        command = command_of(container.get("Config") or {})
        if command:
            self._asked[name] = self._engine.begin(name, command)


class _Impatient:
    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def wait(self, seconds: float) -> bool:
        """Return True at the next event, False after a short time."""
        return self._feed.wait(min(seconds, ASK_EVERY))

    def ran_out_of_memory(self, name: str) -> bool:
        """Whether a process in a container has run out of memory since."""
        return self._feed.ran_out_of_memory(name)

    def close(self) -> None:
        """Stop listening."""
        self._feed.close()


def refuse_unfit(engine: EnginePort, container: str) -> None:
    """Refuse a container, which need not have run, that has no health check or not what that needs, or no use for init.

    Raises:
        DockerVpsError: which one, and what helps.
    """
    found = engine.container(container) or {}
    config = found.get("Config") or {}
    image = config.get("Image")
    why_no_init = hardening.why_no_init(found)
    if why_no_init:
        raise DockerVpsError(f"The image {image} {why_no_init}. Name init in {setting('hardening_off')}.")
    if not command_of(config):
        raise DockerVpsError(
            f"The image {image} has no HEALTHCHECK, so nothing could tell when it is healthy. Set "
            f"{setting('health', 'probe')}, or add one to its Dockerfile; Podman leaves it out unless it builds with "
            "--format docker."
        )
    for programs in needs_of(config):
        paths = (path for program in programs for path in places_of(program, config))
        if not any(engine.has(container, path) for path in paths):
            raise DockerVpsError(
                f"The image {image} has no {' or '.join(programs)}, which its health check needs. Set "
                f"{setting('health', 'image')} if it has a HEALTHCHECK that works there, or name a command that it has "
                f"in {setting('health_command')}."
            )
