# SPDX-License-Identifier: GPL-3.0-or-later
"""How findings are ranked and told: causes first, and what follows from them behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import watch
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit import CannotTell, Unseen
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.doctor import (
    COMMANDS,
    CONSEQUENCES,
    Finding,
    Found,
    Rule,
    anonymous,
    as_severe,
    judged,
    of_watch,
    ranked,
    summary,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.watching import WELL, History, app


def finding(finding_id: str, severity: str = "critical") -> Finding:
    return Finding(finding_id, severity, "a place", "something", "Fix it.", "true")


def told(*found: Finding) -> list[tuple[str, str]]:
    return [(row.id, row.cause) for row in ranked(found)]


def rule(judge: Any, *needs: str) -> Rule:
    return Rule("app-paused", "critical", "the container", needs, judge)


def test_a_rule_is_judged() -> None:
    found, unseen = judged([rule(lambda seen: Found(f"{seen}", "Fix it.", "true"), "a")], {"a": 1})
    assert found == [Finding("app-paused", "critical", "the container", "1", "Fix it.", "true")]
    assert unseen == {}
    found, _unseen = judged([rule(lambda seen: Found("x", "Fix it.", "", "elsewhere"), "a")], {"a": 1})
    assert found[0].looked_at == "elsewhere"
    assert judged([rule(lambda seen: None, "a")], {"a": 1}) == ([], {})


def _cannot(_seen: Any) -> Optional[Found]:
    raise CannotTell("nobody knows")


@pytest.mark.parametrize(
    ("judge", "fact", "reason"),
    [
        (lambda seen: None, Unseen("it did not end"), "it did not end"),
        (_cannot, 1, "nobody knows"),
        (lambda seen: seen["x"], {}, "what was read is not as expected: KeyError 'x'"),
    ],
)
def test_what_cannot_be_judged_is_no_finding_and_not_well(judge: Any, fact: Any, reason: str) -> None:
    assert judged([rule(judge, "a")], {"a": fact}) == ([], {"app-paused": reason})


def test_the_cause_comes_first_and_what_follows_names_it() -> None:
    full, state = finding("disk-full:/var/lib/docker"), finding("app-state")
    assert told(state, finding("database-damaged"), full) == [
        ("disk-full:/var/lib/docker", ""),
        ("database-damaged", "disk-full:/var/lib/docker"),
        ("app-state", "disk-full:/var/lib/docker"),
    ]


def test_of_several_causes_the_worst_counts() -> None:
    rows = [finding("build-failed", "warning"), finding("app-stopped"), finding("app-state", "warning")]
    assert told(*rows) == [("app-stopped", ""), ("app-state", "app-stopped"), ("build-failed", "")]


def test_a_chain_names_the_first_cause() -> None:
    rows = [finding("request-served"), finding("app-state"), finding("env-wrong"), finding("proxy-stale")]
    assert told(*rows) == [
        ("env-wrong", ""),
        ("app-state", "env-wrong"),
        ("proxy-stale", "env-wrong"),
        ("request-served", "env-wrong"),
    ]


def test_causes_of_their_own_are_ranked_by_severity() -> None:
    rows = [
        finding("lock-stale", "warning"),
        finding("backup-age"),
        finding("health-pause", "info"),
        finding("odd", "info"),
    ]
    assert told(*rows) == [("backup-age", ""), ("lock-stale", ""), ("health-pause", ""), ("odd", "")]


def test_rows_that_cannot_be_read_follow_from_damage() -> None:
    rows = [finding("data-lost"), finding("database-damaged")]
    assert told(*rows) == [("database-damaged", ""), ("data-lost", "database-damaged")]


def test_what_is_less_severe_is_no_cause() -> None:
    assert told(finding("disk-inodes:/", "warning"), finding("app-state")) == [("app-state", ""), ("disk-inodes:/", "")]
    assert told(finding("disk-inodes:/", "critical"), finding("app-state"))[1] == ("app-state", "disk-inodes:/")


def test_consequences_name_what_there_is_and_point_down() -> None:
    order = list(CONSEQUENCES)
    for number, (cause, prefixes) in enumerate(CONSEQUENCES.items()):
        later = [*order[number + 1 :], "database-wal", "disk-low"]
        unknown = [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in later)]
        assert unknown == [], cause
    assert set(COMMANDS) <= {*CONSEQUENCES, "database-wal"}


def test_findings_of_a_watch_are_those_that_are_trouble_now() -> None:
    facts = replace(WELL, app=app(state="exited", exit_code=7, log=()), unfinished=("r1",), boot="b2")
    known = History(looks=(watch.Look(WELL.at - 300, "b1", 1.0),))
    found = of_watch(watch.findings(facts, known, watch.Thresholds()), runs=False)
    assert [(row.id, row.command) for row in found] == [
        ("app-state", "⟦play start⟧"),
        ("release-unfinished", "⟦play start⟧"),
    ]
    assert found[0].found == "exited with code 7; wanted: running and healthy"
    low = watch.findings(replace(WELL, disks=(watch.DiskFacts("/", 100, 5, 10, 9),)), known, watch.Thresholds())
    assert [(row.id, row.command) for row in of_watch(low, runs=True)] == [("disk-low:/", "")]


def test_a_container_that_runs_is_not_mended_by_a_start() -> None:
    found = watch.findings(replace(WELL, app=app(health="unhealthy")), History(), watch.Thresholds())
    (row,) = of_watch(found, runs=True)
    assert (row.id, row.command) == ("app-state", "⟦play restart⟧")
    assert row.remedy.startswith("Run ⟦play restart⟧, ")


def test_a_line_for_each_and_reasons_together() -> None:
    rows = ranked([finding("env-wrong"), replace(finding("app-state"), command="")])
    assert summary(rows, {"clock": "no server", "memory": "version 1", "cpu": "version 1"}, 50) == [
        "critical: a place: something. Fix it. Command: true (env-wrong)",
        "follows from env-wrong: a place: something. Fix it. (app-state)",
        "not checked: clock, because no server",
        "not checked: memory, cpu, because version 1",
        "2 findings, 50 checks made, 3 not checked.",
    ]


@pytest.mark.parametrize(
    ("severity", "least", "fails"),
    [
        ("info", "info", True),
        ("warning", "critical", False),
        ("critical", "warning", True),
        ("critical", "never", False),
    ],
)
def test_when_it_fails(severity: str, least: str, fails: bool) -> None:
    assert as_severe([finding("app-state", severity)], least) is fails
    assert as_severe([], least) is False


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://shop.example.com/x is not served", "https://<host>/x is not served"),
        ("web-1.internal, not web-10", "<host>.internal, not web-10"),
        ("at 192.0.2.17:3000. Next", "at <address>:3000. Next"),
        ("on 0.0.0.0:80, 127.0.0.1", "on 0.0.0.0:80, 127.0.0.1"),
        ("from 2001:db8::1:2 and fe80:1:2:3", "from <address> and <address>"),
        ("version 26.1.5, at 12:30:45, older than 1.2.3", "version 26.1.5, at 12:30:45, older than 1.2.3"),
        ("my-shop.example.com", "my-shop.example.com"),
    ],
)
def test_a_report_for_strangers_has_no_names_and_addresses(text: str, shown: str) -> None:
    assert anonymous(text, ["web-1", "shop.example.com", ""]) == shown
