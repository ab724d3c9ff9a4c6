# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the engine says about a container to a verdict.

A container has a state (created, running, paused, restarting, removing, exited, dead) and,
if it has a health check, a health (starting, healthy, unhealthy). Neither alone is enough:
a stopped container has some health all the same, and a running one without a health check has
none. https://docs.docker.com/reference/api/engine/ (ContainerInspect, State)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple

from .clock import instant
from .errors import InvalidInput
from .logs import parse_time
from .remedies import setting
from .text import counted, short

_OWN_ADDRESS = re.compile(r"http://(?:127\.0\.0\.1|localhost|\[::1\])((?::\d+)?(?:/[^\s'\"|;)]*)?)")
ALIVE = ("running", "paused", "restarting")
"""The states of a container that has not ended; of all others the engine keeps the last health."""
_SHOWN = 300  # characters
_KILLED = 128 + 9  # the code of a process that SIGKILL ended, as the kernel's OOM killer does


class WantedHealth(str, Enum):
    """What is waited for."""

    HEALTHY = "healthy"
    RUNNING = "running"
    STOPPED = "stopped"
    UNHEALTHY = "unhealthy"


class Reason(str, Enum):
    """Why a wait is over, or why it is not."""

    REACHED = "reached"
    WAITING = "waiting"
    TIMEOUT = "timeout"
    UNHEALTHY = "unhealthy"
    EXITED = "exited"
    OUT_OF_MEMORY = "out_of_memory"
    RESTARTING = "restarting"
    PAUSED = "paused"
    DEAD = "dead"
    NO_HEALTH_CHECK = "no_health_check"
    NOT_FOUND = "not_found"
    ENGINE_LOST = "engine_lost"

    @property
    def final(self) -> bool:
        """Whether waiting longer cannot change the outcome."""
        return self is not Reason.WAITING


@dataclass(frozen=True)
class Probe:
    """One run of the health check. Times are RFC 3339 strings as the engine gives them."""

    start: str
    end: str
    exit_code: int
    output: str


@dataclass(frozen=True)
class ContainerSnapshot:
    """A container at one point in time.

    Attributes:
        answer: what its application said when it was asked what its health check asks, see ``asked_at``.
    """

    name: str
    exists: bool = True
    id: str = ""
    image: str = ""
    state: str = ""
    health: Optional[str] = None
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    restart_count: int = 0
    restart_policy: str = ""
    failing_streak: int = 0
    probes: tuple[Probe, ...] = field(default=())
    answer: str = ""

    @property
    def status(self) -> str:
        """State and health, as in ``running (healthy)``, for people."""
        if not self.exists:
            return "absent"
        return f"{self.state} ({self.health})" if self.health else self.state


def snapshot(name: str, inspected: Optional[Mapping[str, Any]]) -> ContainerSnapshot:
    """Read the engine's answer to "inspect container"; None means there is no such container."""
    if inspected is None:
        return ContainerSnapshot(name=name, exists=False)
    state = inspected["State"]
    health = state.get("Health") or {}
    status = health.get("Status")
    streak = int(health.get("FailingStreak") or 0)
    if status == "unhealthy" and not streak:
        # The engine says so of a container that was paused, until it asks again; but no check has failed.
        status = "starting"
    if state["Status"] not in ALIVE or status in ("", "none"):
        status = None  # "none" or an empty string is what Podman and old engines say where there is no health check
    return ContainerSnapshot(
        name=name,
        id=inspected["Id"],
        image=(inspected.get("Config") or {}).get("Image", ""),
        state=state["Status"],
        health=status,
        exit_code=int(state.get("ExitCode") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        restart_count=int(inspected.get("RestartCount") or 0),
        restart_policy=((inspected.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name", ""),
        failing_streak=streak,
        probes=tuple(
            Probe(p.get("Start", ""), p.get("End", ""), int(p.get("ExitCode", 0)), (p.get("Output") or "").strip())
            for p in health.get("Log") or ()
            if _utc(p.get("Start")) >= _utc(state.get("StartedAt"))  # the engine keeps those of runs before this one
        ),
    )


def succeeded_at(seen: ContainerSnapshot) -> Optional[datetime]:
    """Return when its last health check ended (UTC), if that succeeded.

    That of a container which still starts has not: it is starting only since it was paused.
    """
    last = seen.probes[-1] if seen.probes else None
    ended = _utc(last.end) if last and last.exit_code == 0 else ""
    return instant(ended) if ended else None


def succeeded_since(seen: ContainerSnapshot, start: datetime) -> bool:
    """Return whether a health check succeeded that ended after a time (UTC), as far as the engine remembers them."""
    ends = [_utc(probe.end) for probe in seen.probes if probe.exit_code == 0]
    return any(instant(end) >= start for end in ends if end)


def asked_at(inspected: Mapping[str, Any]) -> str:
    """Return the address at which this host gets what a container's health check gets, empty when none is known.

    Some commands, such as GNU's ``wget --quiet`` and ``curl --fail``, do not tell what the application answered.
    """
    check = (inspected.get("Config") or {}).get("Healthcheck") or {}
    found = _OWN_ADDRESS.search(" ".join(check.get("Test") or ()))
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    places = [network["IPAddress"] for network in networks.values() if network.get("IPAddress")]
    return f"http://{places[0]}{found[1]}" if found and places else ""


def _utc(time: Optional[str]) -> str:
    """Return a time of the engine's (RFC 3339) so that times compare as strings; the beginning of time for none."""
    try:
        return parse_time("time", time or "", datetime.min)
    except InvalidInput:
        return ""


Start = Optional[Tuple[str, str]]
"""From when on the engine's process ran and when it answered (RFC 3339, whole seconds of UTC without the zone)."""


def ended_by_engine(inspected: Mapping[str, Any], start: Start) -> bool:
    """Return whether the engine ended a container while it came back after a crash, and leaves it so.

    An engine that was killed ends, when it comes back, what ran on without it. EnginePort with the restart policy
    always or on-failure it starts again; of those with unless-stopped it believes that a person had stopped them (seen
    with moby 26.1). Only time tells the two apart: nobody can stop a container before the engine answers.
    """
    state, policy = inspected["State"], inspected["HostConfig"].get("RestartPolicy") or {}
    if start is None or state["Running"] or policy.get("Name") != "unless-stopped":
        return False
    return start[0] <= str(state.get("FinishedAt", ""))[: len(start[0])] <= start[1]


@dataclass(frozen=True)
class HealthRules:
    """How strict a wait is.

    Attributes:
        wanted: what is waited for.
        tolerate_unhealthy: keep waiting when the engine says unhealthy; it may recover.
        max_restarts: restarts by the engine that are tolerated before it counts as a loop.
    """

    wanted: WantedHealth
    tolerate_unhealthy: bool = False
    max_restarts: int = 0


def judge(now: ContainerSnapshot, rules: HealthRules, restarts_before: int) -> Reason:
    """Return whether the wait is over for one container, and why.

    Args:
        restarts_before: the engine's restart count when the wait began; what happened
            before is not held against the container.
    """
    if rules.wanted is WantedHealth.STOPPED:
        return Reason.REACHED if not now.exists or now.state in ("exited", "dead", "created") else Reason.WAITING
    if not now.exists:
        return Reason.NOT_FOUND
    ended = _ended(now, rules, restarts_before)
    if ended:
        return ended
    if now.state != "running":
        return Reason.WAITING  # created, removing, or a restart that is tolerated
    if rules.wanted is WantedHealth.RUNNING:
        return Reason.REACHED
    return _judge_health(now, rules)


def _ended(now: ContainerSnapshot, rules: HealthRules, restarts_before: int) -> Optional[Reason]:
    """Return why a container that should run does not, or keeps failing to."""
    # The engine remembers that some process in the container ran out of memory. What ended it is known from its code.
    cause = Reason.OUT_OF_MEMORY if now.oom_killed and now.exit_code == _KILLED else None
    if now.state == "dead":
        return Reason.DEAD
    if now.state == "exited":
        return cause or Reason.EXITED
    if now.state == "paused":
        return Reason.PAUSED
    restarts = now.restart_count - restarts_before
    # The engine counts a restart when it decides on it: "restarting" is one that is already counted.
    if restarts > rules.max_restarts or (now.state == "restarting" and not rules.max_restarts):
        return cause or Reason.RESTARTING
    return None


def _judge_health(now: ContainerSnapshot, rules: HealthRules) -> Reason:
    if now.health is None:
        return Reason.NO_HEALTH_CHECK
    if now.health == rules.wanted.value:
        return Reason.REACHED
    if now.health == "unhealthy" and not rules.tolerate_unhealthy:
        return Reason.UNHEALTHY
    return Reason.WAITING


def explain(now: ContainerSnapshot, reason: Reason, wanted: WantedHealth, waited: float) -> str:
    """Return one sentence that says what happened to the container and what to do next."""
    tell: Mapping[Reason, Callable[[], str]] = {
        Reason.REACHED: lambda: f"is {now.status} after {waited:.1f} s",
        Reason.WAITING: lambda: f"is {now.status}, not yet {wanted.value}, after {waited:.1f} s",
        Reason.TIMEOUT: lambda: f"is {now.status} and was not {wanted.value} within {waited:.0f} s{_last_probe(now)}",
        Reason.UNHEALTHY: lambda: f"is unhealthy: {_failed_checks(now.failing_streak)}{_last_probe(now)}",
        Reason.EXITED: lambda: f"exited with code {now.exit_code}{_not_run(now)}{_error(now)}{_memory(now)}",
        Reason.OUT_OF_MEMORY: lambda: (
            f"was killed, most likely because it ran out of memory (exit code {now.exit_code}); "
            "raise its memory limit or find what needs so much"
        ),
        Reason.RESTARTING: lambda: (
            f"keeps exiting{_last_exit(now)} and being restarted by the engine "
            f"(restart {now.restart_count}){_error(now)}{_memory(now)}"
        ),
        Reason.PAUSED: lambda: f"is paused; resume it with: docker unpause {now.name}",
        Reason.DEAD: lambda: (
            f"is dead: the engine could not remove it{_error(now)}; remove it with: docker rm -f {now.name}"
        ),
        Reason.NO_HEALTH_CHECK: lambda: (
            "runs but has no health check, so nobody can say whether it is healthy; "
            "define a healthcheck for it or wait for state running"
        ),
        Reason.NOT_FOUND: lambda: "does not exist; see which containers do with: docker ps --all",
        Reason.ENGINE_LOST: lambda: (
            f"could not be watched any longer: the engine stopped answering and did not come back within {waited:.0f} s"
        ),
    }
    return f"Container {now.name} {tell[reason]()}."


def log_lines(lines: Sequence[str]) -> str:
    """Return what a container wrote last, as an appendix to a sentence; nothing when it wrote nothing."""
    return f"\nIts last {counted(len(lines), 'log line')}:\n" + "\n".join(lines) if lines else ""


def _last_probe(now: ContainerSnapshot) -> str:
    if not now.probes:
        return f"; its health check has not run yet{_answer(now)}" if now.health else ""
    last = now.probes[-1]
    output = f" and said: {last.output[:_SHOWN]}" if last.output else "" if now.answer else " and no output"
    return f"; the last health check ended with code {last.exit_code}{_unfit(last)}{output}{_answer(now)}"


def _unfit(last: Probe) -> str:
    """Return what the codes mean with which a shell says that a command is not there, or cannot be run."""
    means = f" (a command that it needs cannot be run in the image; name another in {setting('health_command')})"
    return means if last.exit_code in (126, 127) else ""


def _answer(now: ContainerSnapshot) -> str:
    answer = short(" ".join(now.answer.split()), _SHOWN)
    return f"; asked the same, the application answers {answer}" if answer else ""


def _last_exit(now: ContainerSnapshot) -> str:
    # The engine forgets the code when it starts the container again.
    return f" with code {now.exit_code}{_not_run(now)}" if now.state == "restarting" else ""


def _not_run(now: ContainerSnapshot) -> str:
    """Return what the codes mean with which a shell, or the engine's init, says that it could not begin a command."""
    if now.exit_code == 127:
        return " (what it is to run is not there)"
    return " (what it is to run cannot be run)" if now.exit_code == 126 else ""


def _failed_checks(streak: int) -> str:
    return "a health check failed" if streak == 1 else f"{streak} health checks in a row failed"


def _memory(now: ContainerSnapshot) -> str:
    return "; a process in it ran out of memory at some time" if now.oom_killed else ""


def _error(now: ContainerSnapshot) -> str:
    return f" ({now.error})" if now.error else ""
