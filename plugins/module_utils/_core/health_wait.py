# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for containers within one deadline, woken by the engine's events.

An event only says "look again": every verdict comes from a fresh look. So a lost, late or
duplicate event can delay a verdict (at most until the next routine look) but never falsify
it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Protocol, Sequence

from .clock import Clock
from .errors import EngineUnreachable
from .health import ContainerSnapshot, HealthRules, Reason, WantedHealth, judge

ROUTINE_LOOK = 5.0  # seconds; what a lost event can cost at most
RECONNECT_PAUSE = 0.25  # seconds between attempts to reach an engine that went away


class Feed(Protocol):
    """News from the engine about containers."""

    def wait(self, seconds: float) -> bool:
        """Return True as soon as something happened, or False after ``seconds``.

        Raises:
            EngineUnreachable: the engine ended the feed.
        """
        raise NotImplementedError

    def ran_out_of_memory(self, name: str) -> bool:
        """Whether a process in a container has run out of memory since; a restart makes the engine forget it."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop listening."""
        raise NotImplementedError


class Watched(Protocol):
    """What waiting needs from an engine."""

    def look(self, name: str) -> ContainerSnapshot:
        """Return the container as it is now."""
        raise NotImplementedError

    def listen(self, names: Sequence[str]) -> Feed:
        """Begin to listen; whatever happens after this call is not missed."""
        raise NotImplementedError

    def answer_of(self, name: str) -> str:
        """Return what the application says to its health check, without secrets; empty when that is not known."""
        raise NotImplementedError


def asked(engine: Watched, seen: ContainerSnapshot, reason: Reason) -> ContainerSnapshot:
    """Return a container with what its application answers, where that tells why it is not healthy."""
    if reason in (Reason.UNHEALTHY, Reason.TIMEOUT) and seen.state == "running" and seen.health:
        return replace(seen, answer=engine.answer_of(seen.name))
    return seen


@dataclass(frozen=True)
class Waited:
    """How the wait ended for one container; ``seconds`` since the wait began."""

    snapshot: ContainerSnapshot
    reason: Reason
    seconds: float


@dataclass(frozen=True)
class Ending:
    """How the whole wait ended."""

    containers: tuple[Waited, ...]
    engine_losses: int

    @property
    def reached(self) -> bool:
        """Whether every container is what was wanted."""
        return all(waited.reason is Reason.REACHED for waited in self.containers)


class Wait:
    """One wait for several containers; ``run`` it once."""

    def __init__(self, engine: Watched, clock: Clock, names: Sequence[str], rules: HealthRules, timeout: float) -> None:
        self._engine, self._clock = engine, clock
        self._names, self._rules = list(dict.fromkeys(names)), rules
        self._start = clock.now()
        self._deadline = self._start + timeout
        self._restarts: dict[str, int] = {}
        self._done: dict[str, Waited] = {}
        self._last: dict[str, ContainerSnapshot] = {}
        self._losses = 0

    def run(self) -> Ending:
        """Wait until every container is as wanted, one cannot become so, or time is up.

        Raises:
            EngineError: the engine did not answer at the first look. Later losses are
                waited out until the deadline.
        """
        feed: Optional[Feed] = None
        try:
            while True:
                try:
                    feed = feed or self._engine.listen(self._names)
                    if self._look_at_all(feed):
                        return self._ending()
                    left = self._left()
                    if left <= 0:
                        return self._ending(Reason.TIMEOUT)
                    feed.wait(min(left, ROUTINE_LOOK))
                except EngineUnreachable:
                    if len(self._last) < len(self._names):
                        raise
                    feed = self._drop(feed)
                    self._losses += 1
                    if not self._wait_for_engine():
                        return self._ending(Reason.ENGINE_LOST)
        finally:
            self._drop(feed)

    def _left(self) -> float:
        return self._deadline - self._clock.now()

    def _look_at_all(self, feed: Feed) -> bool:
        """Look at each undecided container; True when the wait is over."""
        for name in self._names:
            if name in self._done:
                continue
            seen = self._engine.look(name)
            if feed.ran_out_of_memory(name):
                seen = replace(seen, oom_killed=True)
            self._last[name] = seen
            # A restarted engine starts counting restarts again.
            before = self._restarts[name] = min(self._restarts.get(name, seen.restart_count), seen.restart_count)
            reason = judge(seen, self._rules, before)
            if reason.final:
                self._done[name] = Waited(seen, reason, self._clock.now() - self._start)
        failed = any(waited.reason is not Reason.REACHED for waited in self._done.values())
        return failed or len(self._done) == len(self._names)

    def _wait_for_engine(self) -> bool:
        """Try until the engine answers again; False when the deadline comes first."""
        while self._left() > 0:
            self._clock.sleep(min(RECONNECT_PAUSE, self._left()))
            try:
                self._engine.look(self._names[0])
            except EngineUnreachable:
                continue
            return True
        return False

    def _ending(self, why: Reason = Reason.WAITING) -> Ending:
        """Return what is known; containers still undecided end for the reason given."""
        seconds = self._clock.now() - self._start
        undecided = {name: Waited(seen, why, seconds) for name, seen in self._last.items()}
        ended = [{**undecided, **self._done}[name] for name in self._names]
        if self._rules.wanted is WantedHealth.HEALTHY:
            ended = [replace(waited, snapshot=asked(self._engine, waited.snapshot, waited.reason)) for waited in ended]
        return Ending(tuple(ended), self._losses)

    @staticmethod
    def _drop(feed: Optional[Feed]) -> None:
        if feed:
            feed.close()
