# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes of rules and facts, for people and for machines."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit import (
    CannotTell,
    Rule,
    Unseen,
    Verdict,
    audited,
    counts,
    table,
    too_severe,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError


def rule(rule_id: str, severity: str, judge: Any = lambda fact: (fact, str(fact))) -> Rule:
    return Rule(rule_id, severity, "ours", "a fact", "True", ("fact",), judge)


def raising(error: Exception) -> Any:
    def judge(_fact: Any) -> Verdict:
        raise error

    return judge


REMEDIES = {"app-a": "Fix it.", "app-long": "Fix that.", "host-b": "Fix this."}


def test_a_row_says_all_of_a_rule() -> None:
    assert audited([rule("app-a", "low")], {"fact": False}, REMEDIES) == [
        {
            "id": "app-a",
            "severity": "low",
            "area": "app",
            "result": "finding",
            "looked_at": "a fact",
            "found": "False",
            "wanted": "True",
            "remedy": "Fix it.",
            "source": "ours",
        }
    ]


@pytest.mark.parametrize(
    ("judge", "fact", "result", "found"),
    [
        (lambda fact: (fact, "x"), True, "ok", "x"),
        (lambda fact: (fact, "x"), False, "finding", "x"),
        (lambda fact: (fact, "x"), Unseen("no nft"), "not_looked_at", "no nft"),
        (raising(CannotTell("there is none")), True, "not_looked_at", "there is none"),
        (raising(DockerVpsError("It is not JSON.")), True, "not_looked_at", "It is not JSON."),
        (lambda fact: fact["Memory"], {}, "not_looked_at", "what was read is not as expected: KeyError 'Memory'"),
    ],
)
def test_what_is_not_known_is_not_ok(judge: Any, fact: Any, result: str, found: str) -> None:
    row = audited([rule("app-a", "low", judge)], {"fact": fact}, REMEDIES)[0]
    assert (row["result"], row["found"]) == (result, found)
    assert bool(row["remedy"]) is (result == "finding")


def rows() -> list[dict[str, str]]:
    broken = rule("host-b", "critical", raising(CannotTell("not seen")))
    good = rule("app-a", "critical", lambda _fact: (True, "fine"))
    bad = [rule("app-a", "low"), rule("app-long", "high")]
    return audited([good, bad[0], broken, bad[1]], {"fact": False}, REMEDIES)


def test_people_read_the_worst_first() -> None:
    assert table(rows()) == [
        "high      app-long  False; wanted: True. Fix that.",
        "low       app-a     False; wanted: True. Fix it.",
        "unseen    host-b    not seen",
        "2 findings (1 high, 1 low), 1 not checked, 1 ok.",
    ]
    assert table([]) == ["0 findings, 0 not checked, 0 ok."]


def test_results_and_severities_are_counted() -> None:
    assert counts(rows()) == {
        "ok": 1,
        "finding": 2,
        "not_looked_at": 1,
        "low": 1,
        "medium": 0,
        "high": 1,
        "critical": 0,
    }


@pytest.mark.parametrize(
    ("fail_at", "named"),
    [("never", ""), ("critical", ""), ("high", "1 finding of severity high or higher: app-long"), ("low", "app-a")],
)
def test_an_audit_fails_at_a_severity(fail_at: str, named: str) -> None:
    message = too_severe(rows(), fail_at)
    assert bool(message) is bool(named)
    assert named in message
