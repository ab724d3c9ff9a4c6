# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules of others keep closed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.nft_rules import Rules

PLACE = ("inet", "filter", "input")
WANTED = [("tcp", 80), ("udp", 443)]
ACCEPT: dict[str, Any] = {"accept": None}
DROP: dict[str, Any] = {"drop": None}
ANSWERS = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}


def chain(name: str = "input", policy: str = "drop", table: str = "filter", hook: str = "") -> dict[str, Any]:
    return {"chain": {"family": "inet", "table": table, "name": name, "hook": hook or name, "policy": policy}}


def rule(*statements: dict[str, Any], of: str = "input") -> dict[str, Any]:
    return {"rule": {"family": "inet", "table": "filter", "chain": of, "expr": [*statements]}}


def port(number: Any, protocol: str = "tcp") -> dict[str, Any]:
    left = {"payload": {"protocol": protocol, "field": "dport"}}
    return {"match": {"op": "==", "left": left, "right": number}}


def mapped(key: dict[str, Any], *entries: list[Any]) -> dict[str, Any]:
    return {"vmap": {"key": key, "data": {"set": [*entries]}}}


def closed(*elements: dict[str, Any]) -> list[tuple[str, int]]:
    """Return what the chain input, which has the policy drop, keeps closed."""
    found = Rules([chain(), *elements], "docker_vps").closed(WANTED)
    assert [place for place, _names in found] == [PLACE] * len(found)
    return [key for _place, names in found for key in names]


WEB = {"payload": {"protocol": "tcp", "field": "dport"}}
LOCAL = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}
SET = {"set": {"family": "inet", "table": "filter", "name": "web", "elem": [22, {"elem": {"val": 80, "comment": "x"}}]}}


@pytest.mark.parametrize(
    "elements",
    [
        [],
        [rule(ANSWERS, ACCEPT), rule(LOCAL, ACCEPT), rule(port(22), ACCEPT), rule(port(80), DROP)],
        [
            rule(port({"set": [22, {"range": [81, 90]}]}), ACCEPT),
            rule(port("@none"), ACCEPT),
            rule(port(80, "udp"), ACCEPT),
        ],
        [rule(mapped(WEB, [22, ACCEPT], [25, {"jump": {"target": "x"}}])), rule({"vmap": {"key": WEB, "data": "@m"}})],
        [rule({"match": {"op": "==", "left": {"&": ["x", 1]}, "right": 1}}, ACCEPT)],
        [rule({"jump": {"target": "loop"}}), rule({"goto": {"target": "loop"}}, of="loop")],
        [rule(LOCAL, {"jump": {"target": "x"}}), rule(ACCEPT, of="x"), rule({"match": {"left": "x"}}, ACCEPT)],
    ],
)
def test_what_no_rule_names_stays_closed(elements: list[dict[str, Any]]) -> None:
    assert closed(*elements) == WANTED


@pytest.mark.parametrize(
    "elements",
    [
        [rule(port(80), {"counter": {}}, ACCEPT)],
        [rule(port({"set": [22, {"range": [79, 90]}]}), ACCEPT)],
        [SET, rule(port("@web"), ACCEPT)],
        [rule(mapped(WEB, [80, ACCEPT]))],
        [
            rule(port(80), {"jump": {"target": "web"}}),
            rule({"xt": {"type": "match", "name": "limit"}}, ACCEPT, of="web"),
        ],
    ],
)
def test_what_a_rule_names_may_be_open(elements: list[dict[str, Any]]) -> None:
    assert closed(*elements) == [("udp", 443)]


@pytest.mark.parametrize(
    "elements",
    [
        [rule(port({"set": [80, 443]}, "th"), ACCEPT)],
        [rule({"counter": {}}, ACCEPT)],
        [rule({"xt": {"type": "match", "name": "multiport"}}, ACCEPT)],
        [rule({"jump": {"target": "x"}}), rule({"xt": {"type": "match", "name": "comment"}}, ACCEPT, of="x")],
    ],
)
def test_where_nothing_is_known_to_be_closed(elements: list[dict[str, Any]]) -> None:
    assert closed(*elements) == []


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ([{"counter": {}}, DROP], True),
        ([{"reject": {"type": "tcp reset"}}], True),
        ([{"xt": {"type": "target", "name": "REJECT"}}], True),
        ([{"xt": None}], False),
        ([port(25), DROP], False),
    ],
)
def test_a_last_rule_closes_as_a_policy_does(last: list[dict[str, Any]], expected: bool) -> None:
    elements = [chain(policy="accept"), rule(port(22), ACCEPT), rule(*last)]
    assert bool(Rules(elements, "docker_vps").closed(WANTED)) is expected


def test_chains_that_close_nothing() -> None:
    elements = [chain(policy="accept"), chain(table="docker_vps"), chain("x", hook="output")]
    assert Rules(elements, "docker_vps").closed(WANTED) == []


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([], True),
        ([ANSWERS, ACCEPT], True),
        ([mapped({"ct": {"key": "state"}}, ["established", ACCEPT])], True),
        ([{"xt": {"type": "match", "name": "conntrack"}}, ACCEPT], True),
        ([LOCAL, ACCEPT], False),
        ([{"match": {"left": "x"}}, ACCEPT], False),
    ],
)
def test_what_lets_nothing_through_to_containers(statements: list[dict[str, Any]], expected: bool) -> None:
    rules = [rule(*statements, of="forward")] if statements else []
    engine = chain("filter-FORWARD", table="docker-bridges", hook="forward")
    found = Rules([chain("forward"), engine, *rules], "docker_vps").severed()
    assert found == ([("inet", "filter", "forward")] if expected else [])
