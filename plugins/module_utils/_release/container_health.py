# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until containers are as wanted, and say why when they are not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Mapping, Protocol

from .._core.clock import Clock
from .._core.errors import DockerVpsError
from .._core.health import HealthRules, Reason, explain, log_lines
from .._core.health_wait import Ending, Wait, Waited, Watched


class HealthEngine(Watched, Protocol):
    """What is needed of an engine."""

    def logs(self, name: str, lines: int) -> list[str]:
        """Return the last lines a container wrote."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """Which containers, how they shall be, and for how long to wait, in seconds."""

    containers: tuple[str, ...]
    rules: HealthRules
    timeout: float
    log_lines: int


def run(params: Params, engine: HealthEngine, clock: Clock, check_mode: bool) -> dict[str, Any]:
    """Wait and return the result.

    Raises:
        DockerVpsError: a container is not as wanted and cannot become so in time.
        EngineError: the engine does not answer.
    """
    ending = Wait(engine, clock, params.containers, params.rules, 0 if check_mode else params.timeout).run()
    result = _result(params, engine, ending)
    if ending.reached or check_mode:
        return result
    raise DockerVpsError(_sentence(params, result), **result)


def _result(params: Params, engine: HealthEngine, ending: Ending) -> dict[str, Any]:
    return {
        "changed": False,
        "reached": ending.reached,
        "waited": round(max(waited.seconds for waited in ending.containers), 3),
        "engine_losses": ending.engine_losses,
        "containers": [_row(params, engine, waited) for waited in ending.containers],
    }


def _row(params: Params, engine: HealthEngine, waited: Waited) -> dict[str, Any]:
    now = waited.snapshot
    failed = waited.reason not in (Reason.REACHED, Reason.WAITING, Reason.NOT_FOUND, Reason.ENGINE_LOST)
    return {
        "name": now.name,
        "id": now.id,
        "image": now.image,
        "state": now.state or "absent",
        "health": now.health,
        "reason": waited.reason.value,
        "message": explain(now, waited.reason, params.rules.wanted, waited.seconds),
        "waited": round(waited.seconds, 3),
        "exit_code": now.exit_code,
        "oom_killed": now.oom_killed,
        "restart_count": now.restart_count,
        "health_log": [asdict(probe) for probe in now.probes],
        "logs": engine.logs(now.name, params.log_lines) if failed and params.log_lines else [],
    }


def _sentence(params: Params, result: Mapping[str, Any]) -> str:
    messages = []
    for row in result["containers"]:
        if row["reason"] in (Reason.REACHED.value, Reason.WAITING.value):
            continue
        messages.append(row["message"] + log_lines(row["logs"]))
    return "\n".join(messages)
