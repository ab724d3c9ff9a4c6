# SPDX-License-Identifier: GPL-3.0-or-later
"""The module container_health: every outcome with a fake engine, and its exits over a real socket."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineUnreachable,
    InvalidInput,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import (
    ContainerSnapshot,
    HealthRules,
    WantedHealth,
)
from ansible_collections.ptnextjs.docker_vps.plugins.modules.container_health import Params, main, params_of, run
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer, frame
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FakeClock, FakeEngine, inspected, seen

DEFAULTS = {"state": "healthy", "timeout": 60.0, "tolerate_unhealthy": False, "max_restarts": 0, "log_lines": 50}


def app(captured: str, **changes: Any) -> ContainerSnapshot:
    return seen(captured, name="app", **changes)


def db(captured: str, **changes: Any) -> ContainerSnapshot:
    return seen(captured, name="db", **changes)


def ran(
    *timelines: Sequence[tuple[float, ContainerSnapshot]], check_mode: bool = False, outages: Any = (), **given: Any
) -> dict[str, Any]:
    clock = FakeClock()
    names = [timeline[0][1].name for timeline in timelines]
    lines = {"app": ["one", "two", "three"], "db": ["ready"]}
    engine = FakeEngine(clock, dict(zip(names, timelines)), outages=outages, lines=lines)
    return run(params_of({"containers": names, **DEFAULTS, **given}), engine, clock, check_mode)


def failed(*timelines: Sequence[tuple[float, ContainerSnapshot]], **given: Any) -> tuple[str, Mapping[str, Any]]:
    with pytest.raises(DockerVpsError) as caught:
        ran(*timelines, **given)
    return caught.value.message, caught.value.evidence


def test_params_are_read() -> None:
    given = {"containers": [" app ", "/db"], **DEFAULTS, "state": "running", "max_restarts": 2, "timeout": 0}
    assert params_of(given) == Params(("app", "db"), HealthRules(WantedHealth.RUNNING, False, 2), 0, 50)


@pytest.mark.parametrize("names", [[], [""], ["app", " "], ["/"]])
def test_no_name_is_refused(names: list[str]) -> None:
    with pytest.raises(InvalidInput, match="at least one container, and no name may be empty"):
        params_of({"containers": names, **DEFAULTS})


@pytest.mark.parametrize("key", ["timeout", "max_restarts", "log_lines"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_numbers_below_zero_are_refused(key: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=f"^{key} must not be below 0, but is {value}"):
        params_of({"containers": ["app"], **DEFAULTS, key: value})


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


Serve = Callable[..., EngineServer]


def test_main_succeeds(exit_of: Any, serve_engine: Serve) -> None:
    server = serve_engine({"/containers/app/json": (200, inspected("healthy"))})
    ended = exit_of(main, name="app", docker_host=server.url)
    assert ended.code == 0
    assert ended.result["containers"][0]["message"].startswith("Container app is running (healthy) after 0.")
    assert ended.result["invocation"]["module_args"]["containers"] == ["app"]


@pytest.mark.parametrize("check", [False, True])
def test_main_fails_unless_it_only_looks(exit_of: Any, serve_engine: Serve, check: bool) -> None:
    server = serve_engine(
        {
            "/containers/app/json": (200, {**inspected("exited-3"), "Config": {"Tty": False, "Image": "app:1"}}),
            "/containers/app/logs": (200, frame("last words\n")),
        }
    )
    ended = exit_of(main, check=check, containers=["app"], docker_host=server.url)
    assert ended.code == (0 if check else 1)
    assert ended.result.get("failed", False) is not check
    assert ended.result["reached"] is False
    assert ended.result["containers"][0]["logs"] == ["last words"]
    if not check:
        assert ended.result["msg"] == "Container app exited with code 3.\nIts last 1 log line:\nlast words"


def test_main_without_an_engine(exit_of: Any) -> None:
    ended = exit_of(main, containers=["app"], docker_host="unix:///nowhere.sock")
    assert ended.code == 1
    assert ended.result["msg"].startswith("No Docker engine answers at unix:///nowhere.sock")


def test_main_refuses_wrong_parameters_before_it_connects(exit_of: Any) -> None:
    ended = exit_of(main, containers=["app"], timeout=-1, docker_host="unix:///nowhere.sock")
    assert ended.result["msg"] == "timeout must not be below 0, but is -1.0."
