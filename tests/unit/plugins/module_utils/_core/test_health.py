# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts over what real engines say, and the sentences that explain them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.clock import instant
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import (
    ContainerSnapshot,
    HealthRules,
    Probe,
    Reason,
    WantedHealth,
    asked_at,
    ended_by_engine,
    explain,
    judge,
    snapshot,
    succeeded_since,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ENGINES, FIXTURES, STATES, inspected, seen
from hypothesis import given
from hypothesis import strategies as st

# Per captured state: the verdict when healthy, running, stopped and unhealthy is wanted.
VERDICTS = {
    "created": ("waiting", "waiting", "reached", "waiting"),
    "running": ("no_health_check", "reached", "waiting", "no_health_check"),
    "starting": ("waiting", "reached", "waiting", "waiting"),
    "healthy": ("reached", "reached", "waiting", "waiting"),
    "unhealthy": ("unhealthy", "reached", "waiting", "reached"),
    "paused": ("paused", "paused", "waiting", "paused"),
    "exited-3": ("exited", "exited", "reached", "exited"),
    "exited-healthy": ("exited", "exited", "reached", "exited"),
    "out-of-memory": ("out_of_memory", "out_of_memory", "reached", "out_of_memory"),
    "restarting": ("restarting", "restarting", "waiting", "restarting"),
}
WANTED = (WantedHealth.HEALTHY, WantedHealth.RUNNING, WantedHealth.STOPPED, WantedHealth.UNHEALTHY)
CASES = [
    pytest.param(engine, state, wanted, Reason(verdict), id=f"{engine}-{state}-{wanted.value}")
    for engine in ENGINES
    for state in STATES
    for wanted, verdict in zip(WANTED, VERDICTS[state])
]


@pytest.mark.parametrize(("engine", "state", "wanted", "verdict"), CASES)
def test_verdict_on_a_captured_state(engine: str, state: str, wanted: WantedHealth, verdict: Reason) -> None:
    now = snapshot("app", inspected(state, engine))
    assert judge(now, HealthRules(wanted), now.restart_count) is verdict


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_has_every_state(engine: str) -> None:
    assert {path.stem for path in (FIXTURES / "inspect" / engine).iterdir()} == set(VERDICTS)


def test_an_absent_container_is_stopped_and_nothing_else() -> None:
    verdicts = [judge(seen("absent"), HealthRules(wanted), 0) for wanted in WANTED]
    assert verdicts == [Reason.NOT_FOUND, Reason.NOT_FOUND, Reason.REACHED, Reason.NOT_FOUND]


def test_snapshot_reads_everything_of_a_captured_state() -> None:
    raw = inspected("unhealthy")
    now = snapshot("given-name", raw)
    first = raw["State"]["Health"]["Log"][0]
    assert first["Output"] == "it will not do\n"
    assert now == ContainerSnapshot(
        name="given-name",
        id=raw["Id"],
        image="docker-vps/debian:bookworm",
        state="running",
        health="unhealthy",
        restart_policy="no",
        failing_streak=now.failing_streak,
        probes=now.probes,
    )
    assert now.failing_streak >= 2
    assert now.probes[0] == Probe(first["Start"], first["End"], 1, "it will not do")


def test_snapshot_of_an_end() -> None:
    assert (seen("exited-3").exit_code, seen("exited-3").oom_killed) == (3, False)
    assert (seen("out-of-memory").exit_code, seen("out-of-memory").oom_killed) == (137, True)
    assert (seen("restarting").restart_policy, seen("restarting").exit_code) == ("always", 4)
    assert seen("restarting").restart_count >= 1
    assert snapshot("gone", None) == ContainerSnapshot(name="gone", exists=False)


@pytest.mark.parametrize(
    ("state", "health"),
    [
        ({"Status": "running"}, None),
        ({"Status": "running", "Health": None}, None),
        ({"Status": "running", "Health": {"Status": "none"}}, None),
        ({"Status": "running", "Health": {"Status": ""}}, None),
        ({"Status": "running", "Health": {"Status": "starting", "FailingStreak": None, "Log": None}}, "starting"),
        ({"Status": "running", "ExitCode": None, "Error": None, "OOMKilled": None}, None),
    ],
)
def test_snapshot_of_an_engine_that_says_little(state: dict[str, Any], health: str | None) -> None:
    spare = snapshot("app", {"Id": "1", "State": state})
    assert spare == ContainerSnapshot(name="app", id="1", state="running", health=health)
    nulls = {"Id": "1", "State": state, "Config": None, "HostConfig": {"RestartPolicy": None}, "RestartCount": None}
    assert snapshot("app", nulls) == spare


def test_snapshot_keeps_an_error_and_a_probe_without_words() -> None:
    log = [{"Output": None}]
    now = snapshot("app", {"Id": "1", "State": {"Status": "dead", "Error": "no such file", "Health": {"Log": log}}})
    assert (now.error, now.probes) == ("no such file", (Probe("", "", 0, ""),))


@pytest.mark.parametrize(
    ("now", "status"),
    [
        (seen("healthy"), "running (healthy)"),
        (seen("running"), "running"),
        (seen("exited-3"), "exited"),
        (seen("absent"), "absent"),
    ],
)
def test_status_in_words(now: ContainerSnapshot, status: str) -> None:
    assert now.status == status


def test_only_waiting_is_not_final() -> None:
    assert [reason for reason in Reason if not reason.final] == [Reason.WAITING]


def test_an_unhealthy_one_may_be_tolerated() -> None:
    tolerant = HealthRules(WantedHealth.HEALTHY, tolerate_unhealthy=True)
    assert judge(seen("unhealthy"), tolerant, 0) is Reason.WAITING
    assert judge(seen("exited-healthy"), tolerant, 0) is Reason.EXITED


@pytest.mark.parametrize(
    ("state", "wanted", "verdict"),
    [
        ("dead", WantedHealth.HEALTHY, Reason.DEAD),
        ("dead", WantedHealth.STOPPED, Reason.REACHED),
        ("removing", WantedHealth.HEALTHY, Reason.WAITING),
        ("removing", WantedHealth.STOPPED, Reason.WAITING),
    ],
)
def test_states_that_cannot_be_captured(state: str, wanted: WantedHealth, verdict: Reason) -> None:
    assert judge(seen("healthy", state=state), HealthRules(wanted), 0) is verdict


@pytest.mark.parametrize(
    ("state", "count", "allowed", "verdict"),
    [
        # The engine counts a restart when it decides on it, so "restarting, 1" is the first one, still to come.
        ("restarting", 7, 0, Reason.RESTARTING),
        ("restarting", 8, 0, Reason.RESTARTING),
        ("restarting", 8, 1, Reason.WAITING),
        ("restarting", 9, 1, Reason.RESTARTING),
        ("restarting", 9, 2, Reason.WAITING),
        ("restarting", 10, 2, Reason.RESTARTING),
        ("healthy", 7, 0, Reason.REACHED),
        ("healthy", 8, 0, Reason.RESTARTING),
        ("healthy", 8, 1, Reason.REACHED),
        ("starting", 9, 1, Reason.RESTARTING),
        ("starting", 9, 2, Reason.WAITING),
    ],
)
def test_restarts_since_the_wait_began_are_counted(state: str, count: int, allowed: int, verdict: Reason) -> None:
    now = seen(state, restart_count=count)
    assert judge(now, HealthRules(WantedHealth.HEALTHY, max_restarts=allowed), 7) is verdict


def test_a_restart_loop_for_lack_of_memory_is_named_so() -> None:
    killed = seen("restarting", oom_killed=True, exit_code=137)
    assert judge(killed, HealthRules(WantedHealth.RUNNING), 0) is Reason.OUT_OF_MEMORY


@pytest.mark.parametrize(("name", "reason"), [("exited-3", Reason.EXITED), ("restarting", Reason.RESTARTING)])
def test_the_end_of_a_child_process_is_not_the_end_of_the_container(name: str, reason: Reason) -> None:
    now = seen(name, oom_killed=True)
    assert judge(now, HealthRules(WantedHealth.RUNNING), 0) is reason
    assert explain(now, reason, WantedHealth.RUNNING, 2.1).endswith("; a process in it ran out of memory at some time.")


def test_a_container_that_was_unpaused_has_not_been_asked_yet() -> None:
    raw = inspected("healthy")
    raw["State"]["Health"]["Status"] = "unhealthy"  # as engine 26.1 says after "docker unpause"
    now = snapshot("app", raw)
    assert now.health == "starting"
    assert judge(now, HealthRules(WantedHealth.HEALTHY), 0) is Reason.WAITING
    raw["State"]["Health"]["FailingStreak"] = 1
    assert judge(snapshot("app", raw), HealthRules(WantedHealth.HEALTHY), 0) is Reason.UNHEALTHY


@pytest.mark.parametrize("state", ["created", "exited", "dead", "removing"])
@pytest.mark.parametrize("streak", [0, 3])
def test_a_container_that_does_not_run_has_no_health(state: str, streak: int) -> None:
    raw = inspected("healthy")
    raw["State"].update(Status=state, Health={"Status": "unhealthy", "FailingStreak": streak})  # kept by the engine
    now = snapshot("app", raw)
    assert (now.health, now.status) == (None, state)


def test_checks_of_an_earlier_run_are_not_held_against_this_one() -> None:
    raw = inspected("unhealthy")
    raw["State"]["StartedAt"] = "2026-01-31T12:00:00.5Z"
    raw["State"]["Health"]["Log"] = [
        {"Start": "2026-01-31T13:00:00.4+01:00", "ExitCode": 1, "Output": "the run before"},
        {"Start": "2026-01-31T13:00:00.500000001+01:00", "ExitCode": 2, "Output": "this run"},
    ]
    assert [probe.output for probe in snapshot("app", raw).probes] == ["this run"]


@given(
    state=st.sampled_from(["created", "running", "paused", "restarting", "removing", "exited", "dead", "unheard-of"]),
    health=st.sampled_from([None, "starting", "healthy", "unhealthy"]),
    oom=st.booleans(),
    restarts=st.integers(0, 5),
    rules=st.builds(HealthRules, st.sampled_from(WantedHealth), st.booleans(), st.integers(0, 5)),
)
def test_reached_is_never_said_by_accident(
    state: str, health: str | None, oom: bool, restarts: int, rules: HealthRules
) -> None:
    now = ContainerSnapshot("app", state=state, health=health, oom_killed=oom, restart_count=restarts)
    if judge(now, rules, 0) is Reason.REACHED:
        ends = {"stopped": ("created", "exited", "dead")}
        assert state in ends.get(rules.wanted.value, ("running",))
        assert rules.wanted is WantedHealth.STOPPED or restarts <= rules.max_restarts
        assert rules.wanted not in (WantedHealth.HEALTHY, WantedHealth.UNHEALTHY) or health == rules.wanted.value


SAID = "Container app "
SENTENCES = [
    ("healthy", {}, Reason.REACHED, "is running (healthy) after 2.1 s."),
    ("starting", {}, Reason.WAITING, "is running (starting), not yet healthy, after 2.1 s."),
    (
        "starting",
        {"probes": ()},
        Reason.TIMEOUT,
        "is running (starting) and was not healthy within 2 s; its health check has not run yet.",
    ),
    ("created", {}, Reason.TIMEOUT, "is created and was not healthy within 2 s."),
    (
        "unhealthy",
        {"failing_streak": 3},
        Reason.UNHEALTHY,
        "is unhealthy: 3 health checks in a row failed; "
        "the last health check ended with code 1 and said: it will not do.",
    ),
    (
        "unhealthy",
        {"failing_streak": 1, "probes": (Probe("", "", 7, ""),)},
        Reason.UNHEALTHY,
        "is unhealthy: a health check failed; the last health check ended with code 7 and no output.",
    ),
    (
        "unhealthy",
        {"failing_streak": 3, "probes": (Probe("", "", 7, ""),)},
        Reason.UNHEALTHY,
        "is unhealthy: 3 health checks in a row failed; the last health check ended with code 7 and no output.",
    ),
    (
        "unhealthy",
        {"failing_streak": 1, "probes": (Probe("", "", 127, "sh: 1: curl: not found"),)},
        Reason.UNHEALTHY,
        "is unhealthy: a health check failed; the last health check ended with code 127 (a command that it needs "
        "cannot be run in the image; name another in ⟦setting health_command⟧) and said: sh: 1: curl: not found.",
    ),
    ("exited-3", {}, Reason.EXITED, "exited with code 3."),
    ("exited-3", {"exit_code": 126}, Reason.EXITED, "exited with code 126 (what it is to run cannot be run)."),
    (
        "restarting",
        {"restart_count": 1, "exit_code": 127},
        Reason.RESTARTING,
        "keeps exiting with code 127 (what it is to run is not there) and being restarted by the engine (restart 1).",
    ),
    ("exited-3", {"error": "no such file"}, Reason.EXITED, "exited with code 3 (no such file)."),
    (
        "out-of-memory",
        {},
        Reason.OUT_OF_MEMORY,
        "was killed, most likely because it ran out of memory (exit code 137); "
        "raise its memory limit or find what needs so much.",
    ),
    (
        "restarting",
        {"restart_count": 5},
        Reason.RESTARTING,
        "keeps exiting with code 4 and being restarted by the engine (restart 5).",
    ),
    (
        "running",
        {"restart_count": 5, "error": "broken"},
        Reason.RESTARTING,
        "keeps exiting and being restarted by the engine (restart 5) (broken).",
    ),
    ("paused", {}, Reason.PAUSED, "is paused; resume it with: docker unpause app."),
    (
        "exited-3",
        {"state": "dead", "error": "device busy"},
        Reason.DEAD,
        "is dead: the engine could not remove it (device busy); remove it with: docker rm -f app.",
    ),
    (
        "running",
        {},
        Reason.NO_HEALTH_CHECK,
        "runs but has no health check, so nobody can say whether it is healthy; "
        "define a healthcheck for it or wait for state running.",
    ),
    ("absent", {}, Reason.NOT_FOUND, "does not exist; see which containers do with: docker ps --all."),
    (
        "starting",
        {},
        Reason.ENGINE_LOST,
        "could not be watched any longer: the engine stopped answering and did not come back within 2 s.",
    ),
]


@pytest.mark.parametrize(("state", "changes", "reason", "sentence"), SENTENCES)
def test_every_verdict_is_a_sentence(state: str, changes: dict[str, Any], reason: Reason, sentence: str) -> None:
    assert explain(seen(state, **changes), reason, WantedHealth.HEALTHY, 2.14) == SAID + sentence


def test_no_verdict_is_without_a_sentence() -> None:
    assert {reason for _unused, _unused, reason, _unused in SENTENCES} == set(Reason)


def test_a_long_answer_of_a_health_check_is_cut() -> None:
    now = seen("unhealthy", probes=(Probe("", "", 1, "x" * 5000),))
    assert explain(now, Reason.UNHEALTHY, WantedHealth.HEALTHY, 1).count("x") == 300


@pytest.mark.parametrize(
    ("finished", "policy", "running", "ended"),
    [
        ("2026-02-01T02:00:05.9Z", "unless-stopped", False, True),
        ("2026-02-01T02:00:10.2Z", "unless-stopped", False, True),
        ("2026-02-01T02:00:04.9Z", "unless-stopped", False, False),  # a person, before
        ("2026-02-01T02:00:11.0Z", "unless-stopped", False, False),  # a person, afterwards
        ("2026-02-01T02:00:07.0Z", "no", False, False),
        ("2026-02-01T02:00:07.0Z", None, False, False),
        ("2026-02-01T02:00:07.0Z", "unless-stopped", True, False),
        (None, "unless-stopped", False, False),
    ],
)
def test_what_the_engine_ended_is_told_by_the_time(finished: Any, policy: Any, running: bool, ended: bool) -> None:
    state = {"Running": running, **({"FinishedAt": finished} if finished else {})}
    there = {"State": state, "HostConfig": {"RestartPolicy": {"Name": policy} if policy else None}}
    assert ended_by_engine(there, ("2026-02-01T02:00:05", "2026-02-01T02:00:10")) is ended
    assert not ended_by_engine(there, None)


def asked(test: Any, **networks: str) -> Any:
    return {
        "Config": {"Healthcheck": {"Test": test}},
        "NetworkSettings": {"Networks": {name: {"IPAddress": address} for name, address in networks.items()}},
    }


@pytest.mark.parametrize(
    ("inspected", "address"),
    [
        (asked(["CMD", "wget", "--spider", "http://127.0.0.1:3000/api/health"], proxy="172.18.0.2"),
         "http://172.18.0.2:3000/api/health"),
        (asked(["CMD-SHELL", "curl -f 'http://localhost/h?deep=1' || exit 1"], none="", proxy="172.18.0.2"),
         "http://172.18.0.2/h?deep=1"),
        (asked(["CMD-SHELL", "curl -f http://localhost:80||exit 1"], proxy="172.18.0.2"), "http://172.18.0.2:80"),
        (asked(["CMD", "wget", "http://example.com/"], proxy="172.18.0.2"), ""),
        (asked(["CMD", "wget", "http://127.0.0.1/"], host=""), ""),
        (asked(None, proxy="172.18.0.2"), ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_where_a_health_check_asks(inspected: Any, address: str) -> None:
    assert asked_at(inspected) == address


def test_what_the_application_answers_is_told() -> None:
    sick = replace(seen("unhealthy"), answer="503: {\n  " + "x" * 400, failing_streak=1)
    silent = replace(sick, probes=(Probe("", "", 8, ""),))
    message = explain(silent, Reason.UNHEALTHY, WantedHealth.HEALTHY, 1.0)
    shown = f"asked the same, the application answers 503: {{ {'x' * 293}…."
    assert message.endswith(f"; the last health check ended with code 8; {shown}")
    speaking = replace(sick, probes=(Probe("", "", 8, "503"),))
    assert f"ended with code 8 and said: 503; {shown}" in explain(speaking, Reason.UNHEALTHY, WantedHealth.HEALTHY, 1.0)
    unasked = replace(seen("starting"), answer="500: no", probes=())
    message = explain(unasked, Reason.TIMEOUT, WantedHealth.HEALTHY, 1.0)
    assert message.endswith("its health check has not run yet; asked the same, the application answers 500: no.")


def test_whether_a_check_has_succeeded_since_a_time() -> None:
    well, failed = Probe("", "2027-01-15T09:00:10+01:00", 0, ""), Probe("", "2027-01-15T09:00:00Z", 1, "")
    found = seen("unhealthy", probes=(Probe("", "", 0, ""), well, failed))
    assert succeeded_since(found, instant("2027-01-15T08:00:10Z"))
    assert not succeeded_since(found, instant("2027-01-15T08:00:11Z"))
