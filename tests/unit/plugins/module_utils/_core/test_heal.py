# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an application is restarted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit import Unseen
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.heal import (
    Case,
    HealRules,
    HealState,
    cause_in,
    decide,
    findings_of,
    looked,
    restarted,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import AppFacts
from ansible_collections.ptnextjs.docker_vps.tests.unit.watching import PERIOD, app

PAUSED = " may have been asked while it was paused"
RULES = HealRules()
HANGS = app(health="unhealthy", failing_streak=3)
ENDED = app(state="exited", exit_code=137, health="unhealthy")
CASE = Case(HANGS, True, "A1", "", "", 0.0)


def run(facts: Any, looks: int = 2, **case: Any) -> Any:
    """Return what is decided after so many looks at the same."""
    state = HealState()
    for _turn in range(looks):
        state = looked(state, facts, 0.0)
    return decide(replace(CASE, app=facts, **case), state, RULES)


@pytest.mark.parametrize("facts", [HANGS, ENDED])
def test_what_hangs_or_has_ended_is_restarted_at_the_second_failed_look(facts: AppFacts) -> None:
    assert not run(facts, looks=1).restart
    assert run(facts, looks=1).why == "this is failed check 1 of 2"
    assert run(facts).restart


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (app(), "it is running (healthy)"),
        (app(health=None), "it is running"),
        (app(exists=False), "there is no container"),
        (app(state="paused", health="unhealthy"), "it is paused"),
        (app(state="created", health=None), "it is created"),
        (app(state="restarting", health="unhealthy"), "it is restarting"),
        (app(state="removing", health="unhealthy"), "it is removing"),
        (app(state="dead", health="unhealthy"), "it is dead"),
        (app(health="starting", failing_streak=9), "it is running (starting)"),
        (app(state="exited", stopped=True), "somebody stopped it"),
        (app(state="exited", stopped=None), "the engine does not know any more what ended it"),
        (
            app(health="unhealthy", failing_streak=1),
            "1 health check failed, and may have been asked while it was paused",
        ),
        (
            app(health="unhealthy", failing_streak=2),
            "2 health checks failed, and may have been asked while it was paused",
        ),
        (Unseen("the engine is silent"), "the engine is silent"),
    ],
)
def test_what_is_left_alone(facts: Any, why: str) -> None:
    assert run(facts, looks=9) == decide(replace(CASE, app=facts), HealState(9), RULES)
    assert not run(facts, looks=9).restart
    assert run(facts, looks=9).why == why


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ({"ours": False}, "the container is not ours"),
        ({"at_work": "a backup of shop is running"}, "a backup of shop is running"),
        ({"healthy": "OLD"}, "this version was not healthy yet; a migration may be running"),
        ({"healthy": ""}, "this version was not healthy yet; a migration may be running"),
        ({"broken": "the disk at / is full"}, "the disk at / is full"),
    ],
)
def test_when_nobody_may_restart_it(case: Any, why: str) -> None:
    for facts in (HANGS, ENDED):
        assert run(facts, looks=9, **case).why == why
        assert not run(facts, looks=9, **case).restart


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("Error: database disk image is malformed", "the database is damaged, which no restart fixes"),
        ("SqliteError: SQLITE_FULL: database or disk is full", "the disk is full, which no restart fixes"),
        ("write failed: ENOSPC: no space left on device", "the disk is full, which no restart fixes"),
        ("attempt to write a readonly database", "the database cannot be written, which no restart fixes"),
        ("code: 'SQLITE_IOERR_WRITE'", "the disk has errors, which no restart fixes"),
        ("EROFS: open '/data/x'", "the disk cannot be written, which no restart fixes"),
        ("heap out of memory", ""),
    ],
)
def test_a_cause_that_no_restart_mends(line: str, cause: str) -> None:
    assert cause_in(["started", line]) == cause
    assert run(app(state="exited", log=("started", line))).restart is not bool(cause)


def simulated(good: Any = None) -> list[int]:
    """Return at which of 60 looks an application is restarted that hangs always, or but at these looks."""
    state, at = HealState(), []
    for number in range(60):
        facts = app() if good and good(number) else HANGS
        passed = number * PERIOD
        state = looked(state, facts, passed)
        if decide(replace(CASE, app=facts, passed=passed), state, RULES).restart:
            at.append(number)
            state = restarted(state, passed)
    return at


def test_restarts_that_do_not_help_come_more_seldom_and_end() -> None:
    assert simulated() == [1, 3, 7]


def test_restarts_that_help_for_a_moment_are_not_more_than_three_within_an_hour() -> None:
    numbers = simulated(lambda number: number % 3 == 0)
    assert len(numbers) > 10
    assert all(later - earlier >= 12 for earlier, later in zip(numbers, numbers[3:]))


def test_what_was_not_looked_at_counts_neither_as_good_nor_as_bad() -> None:
    assert looked(HealState(1, (0.0,), 2), Unseen("no"), 10.0) == HealState(1, (0.0,), 2)
    assert looked(HealState(1, (0.0,), 2), Unseen("no"), 4000.0) == HealState(1, (), 2)


def test_people_are_told() -> None:
    assert findings_of(HealState(), None) == []
    state = restarted(restarted(restarted(HealState(), 1.0), 2.0), 3.0)
    (again,) = findings_of(state, decide(CASE, state, RULES))
    assert again.found == "restarted 3 times within an hour"
    ended = decide(replace(CASE, passed=9999.0), looked(looked(state, HANGS, 9999.0), HANGS, 9999.0), RULES)
    (end,) = findings_of(HealState(), ended)
    assert (end.id, end.severity, end.found) == ("heal-end", "critical", "3 restarts did not help")


def test_it_says_why_it_waits() -> None:
    state = HealState(2, (0.0,), 1)
    assert decide(replace(CASE, passed=300.0), state, RULES).why.endswith("600 s are waited until the next")
    assert decide(replace(CASE, passed=300.0), HealState(2, (0.0, 1.0, 2.0)), RULES).why == (
        "it was restarted 3 times within an hour"
    )
