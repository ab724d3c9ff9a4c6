# SPDX-License-Identifier: GPL-3.0-or-later
"""A wait for containers: every outcome with a fake engine."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineUnreachable,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import (
    ContainerSnapshot,
    HealthRules,
    WantedHealth,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.container_health import Params, run
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FakeClock, FakeEngine, inspected, seen


def app(captured: str, **changes: Any) -> ContainerSnapshot:
    return seen(captured, name="app", **changes)


def db(captured: str, **changes: Any) -> ContainerSnapshot:
    return seen(captured, name="db", **changes)


def ran(
    *timelines: Sequence[tuple[float, ContainerSnapshot]],
    check_mode: bool = False,
    outages: Any = (),
    state: str = "healthy",
    timeout: float = 60,
    log_lines: int = 50,
) -> dict[str, Any]:
    clock = FakeClock()
    names = [timeline[0][1].name for timeline in timelines]
    lines = {"app": ["one", "two", "three"], "db": ["ready"]}
    engine = FakeEngine(clock, dict(zip(names, timelines)), outages=outages, lines=lines)
    params = Params(tuple(names), HealthRules(WantedHealth(state)), timeout, log_lines)
    return run(params, engine, clock, check_mode)


def failed(*timelines: Sequence[tuple[float, ContainerSnapshot]], **given: Any) -> tuple[str, Mapping[str, Any]]:
    with pytest.raises(DockerVpsError) as caught:
        ran(*timelines, **given)
    return caught.value.message, caught.value.evidence


def test_healthy() -> None:
    result = ran([(0, app("starting")), (2.1239, app("healthy"))])
    (row,) = result.pop("containers")
    assert result == {"changed": False, "reached": True, "waited": 2.124, "engine_losses": 0}
    raw = inspected("healthy")
    probes = row.pop("health_log")
    assert row == {
        "name": "app",
        "id": raw["Id"],
        "image": raw["Config"]["Image"],
        "state": "running",
        "health": "healthy",
        "reason": "reached",
        "message": "Container app is running (healthy) after 2.1 s.",
        "waited": 2.124,
        "exit_code": 0,
        "oom_killed": False,
        "restart_count": 0,
        "logs": [],
    }
    log = raw["State"]["Health"]["Log"]
    assert len(probes) == len(log) > 0
    assert probes[0] == {
        "start": log[0]["Start"],
        "end": log[0]["End"],
        "exit_code": log[0]["ExitCode"],
        "output": "fine",
    }


@pytest.mark.parametrize(
    ("timeline", "reason", "waited"),
    [
        ([(0, app("unhealthy"))], "unhealthy", 0),
        ([(0, app("starting")), (3, app("exited-3"))], "exited", 3),
        ([(0, app("starting")), (3, app("out-of-memory"))], "out_of_memory", 3),
        ([(0, app("starting")), (3, app("restarting"))], "restarting", 3),
        ([(0, app("healthy", state="dead"))], "dead", 0),
        ([(0, app("paused"))], "paused", 0),
        ([(0, app("running"))], "no_health_check", 0),
        ([(0, app("starting"))], "timeout", 60),
    ],
)
def test_a_failure_comes_with_its_reason_and_the_last_lines(
    timeline: list[tuple[float, ContainerSnapshot]], reason: str, waited: float
) -> None:
    message, evidence = failed(timeline, log_lines=2)
    (row,) = evidence["containers"]
    assert (row["reason"], row["waited"], row["logs"]) == (reason, waited, ["two", "three"])
    assert message == f"{row['message']}\nIts last 2 log lines:\ntwo\nthree"
    assert {key: evidence[key] for key in ("changed", "reached", "waited", "engine_losses")} == {
        "changed": False,
        "reached": False,
        "waited": waited,
        "engine_losses": 0,
    }


def test_no_lines_are_asked_for_when_none_are_wanted() -> None:
    message, evidence = failed([(0, app("exited-3"))], log_lines=0)
    assert evidence["containers"][0]["logs"] == []
    assert message == "Container app exited with code 3."


def test_what_is_not_there_has_no_lines() -> None:
    message, evidence = failed([(0, app("absent"))])
    (row,) = evidence["containers"]
    assert message == "Container app does not exist; see which containers do with: docker ps --all."
    assert (row["state"], row["health"], row["reason"], row["logs"]) == ("absent", None, "not_found", [])


def test_an_engine_that_stays_away_is_the_reason() -> None:
    message, evidence = failed([(0, app("starting"))], outages=[(5, 99)], timeout=20)
    assert message.startswith("Container app could not be watched any longer")
    assert evidence["containers"][0]["reason"] == "engine_lost"
    assert (evidence["engine_losses"], evidence["containers"][0]["logs"]) == (1, [])


def test_an_engine_that_is_not_there_is_no_verdict() -> None:
    with pytest.raises(EngineUnreachable):
        ran([(0, app("healthy"))], outages=[(0, 99)])


def test_only_what_failed_is_told_and_the_order_is_kept() -> None:
    message, evidence = failed([(0, app("starting")), (9, app("healthy"))], [(0, db("starting")), (3, db("exited-3"))])
    assert [(row["name"], row["reason"]) for row in evidence["containers"]] == [("app", "waiting"), ("db", "exited")]
    assert message == "Container db exited with code 3.\nIts last 1 log line:\nready"
    message, evidence = failed([(0, app("healthy"))], [(0, db("starting"))], timeout=5)
    assert [row["reason"] for row in evidence["containers"]] == ["reached", "timeout"]
    assert (evidence["waited"], evidence["containers"][0]["waited"]) == (5, 0)
    assert message.startswith("Container db is running (starting) and was not healthy within 5 s")


@pytest.mark.parametrize(
    ("state", "captured"), [("running", "running"), ("stopped", "exited-3"), ("stopped", "absent"), ("unhealthy",) * 2]
)
def test_other_wishes_come_true(state: str, captured: str) -> None:
    assert ran([(0, app(captured))], state=state)["reached"] is True


@pytest.mark.parametrize("captured", ["starting", "exited-3", "absent", "unhealthy"])
def test_check_mode_looks_once_and_never_fails(captured: str) -> None:
    result = ran([(0, app(captured)), (1, app("healthy"))], check_mode=True)
    assert (result["reached"], result["changed"], result["waited"]) == (False, False, 0)
    assert ran([(0, app("healthy"))], check_mode=True)["reached"] is True
