# SPDX-License-Identifier: GPL-3.0-or-later
"""Known vulnerabilities, as a registry of npm answers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.advisories import (
    Advisory,
    advisories,
    caution,
    counts,
    named,
    refused,
)


def entry(**more: Any) -> dict[str, Any]:
    return {
        "id": 1106913,
        "url": "https://github.com/advisories/GHSA-35jh-r3h4-6jhm",
        "title": "Command Injection in lodash",
        "severity": "high",
        "vulnerable_versions": "<4.17.21",
        "cwe": ["CWE-77", "CWE-94"],
        "cvss": {"score": 7.2, "vectorString": "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"},
        **more,
    }


ONE = Advisory("lodash", "4.17.15", "high", "GHSA-35jh-r3h4-6jhm", "Command Injection in lodash", "4.17.21")


def test_only_versions_that_are_vulnerable_are_told() -> None:
    assert advisories({"lodash": [entry()]}, {"lodash": ["4.17.15", "4.17.21"]}) == [ONE]
    assert advisories({"lodash": [entry()], "other": [entry()]}, {"lodash": ["4.17.15"]}) == [ONE]
    assert advisories({"lodash": [entry(), entry()]}, {"lodash": ["4.17.15"]}) == [ONE]
    assert advisories({}, {"lodash": ["4.17.15"]}) == []


@pytest.mark.parametrize(
    ("vulnerable", "version", "hit", "fixed"),
    [
        ("<1.2.3", "1.2.2", True, "1.2.3"),
        ("<1.2.3", "1.2.3", False, ""),
        ("<1.2.3", "1.2.3-rc.1", True, "1.2.3"),
        ("<=1.2.3", "1.2.3", True, ""),
        ("<=1.2.3", "1.2.4", False, ""),
        ("<= 1.2.3", "1.10.0", False, ""),
        (">=1.0.0 <1.2.3", "0.9.0", False, ""),
        (">=1.0.0 <1.2.3", "1.0.0", True, "1.2.3"),
        (">1.0.0 <1.2.3", "1.0.0", False, ""),
        (">1.0.0 <1.2.3", "1.0.1", True, "1.2.3"),
        (">=1.0.0 <1.2.3 || >=2.0.0 <2.4.0", "2.3.9", True, "2.4.0"),
        (">=1.0.0 <1.2.3 || >=2.0.0 <2.4.0", "1.5.0", False, ""),
        ("=1.2.3", "1.2.3", True, ""),
        ("1.2.3", "1.2.3+build", True, ""),
        ("1.2.3", "1.2.4", False, ""),
        ("<3.0.0-beta.10", "3.0.0-beta.9", True, "3.0.0-beta.10"),
        ("<3.0.0-beta.10", "3.0.0-beta.x", False, ""),
        ("<3.0.0-beta.10", "3.0.0-beta.10.1", False, ""),
        ("<2", "1.9.9", True, "2"),
        (">= 1.0.0, < 1.2.3", "1.1.0", True, "1.2.3"),
        (">= 1.0.0, < 1.2.3", "1.2.3", False, ""),
        ("*", "9.9.9", True, ""),
        (">=0.0.0", "9.9.9", True, ""),
        ("^1.0.0", "9.9.9", True, ""),
        ("<1.0.0", "next", True, "1.0.0"),
        ("", "1.0.0", True, ""),
    ],
)
def test_ranges(vulnerable: str, version: str, hit: bool, fixed: str) -> None:
    found = advisories({"a": [entry(vulnerable_versions=vulnerable)]}, {"a": [version]})
    assert [one.fixed for one in found] == ([fixed] if hit else [])


def test_what_an_answer_leaves_out() -> None:
    (bare,) = advisories({"a": [{}]}, {"a": ["1.0.0"]})
    assert bare == Advisory("a", "1.0.0", "unknown", "unknown", "", "")
    (numbered,) = advisories({"a": [{"id": 12, "url": None}]}, {"a": ["1.0.0"]})
    assert numbered.id == "12"
    assert advisories({"a": "no list", "b": ["no object"]}, {"a": ["1"], "b": ["1"]}) == []
    with pytest.raises(ValueError, match="it is not an object"):
        advisories([], {})


def found(*severities: str) -> list[Advisory]:
    return [
        Advisory(f"p{number}", "1.0.0", severity, f"GHSA-{number}", "", "")
        for number, severity in enumerate(severities)
    ]


def test_the_most_severe_come_first() -> None:
    answer = {"a": [entry(severity=one) for one in ("odd", "low", "critical", "info", "moderate", "high")]}
    found = advisories(answer, {"a": ["1.0.0"]})
    assert [one.severity for one in found] == ["critical", "high", "moderate", "low", "info", "odd"]
    assert counts(found) == {"critical": 1, "high": 1, "moderate": 1, "low": 1, "info": 1}


def test_what_is_told() -> None:
    assert caution("shop:1", []) == ""
    assert caution("shop:1", [ONE]) == (
        "npm packages of shop:1 have 1 known vulnerability (1 high): "
        "lodash 4.17.15 (high, GHSA-35jh-r3h4-6jhm, fixed in 4.17.21)."
    )
    text = caution("shop:1", found("critical", "low", "low", "low", "low", "low", "odd"))
    assert text.startswith(
        "npm packages of shop:1 have 7 known vulnerabilities (1 critical, 5 low, 1 odd): p0 1.0.0 (critical, "
    )
    assert text.endswith("p4 1.0.0 (low, GHSA-4, no fixed version is known) and 2 more.")
    assert named([ONE]) == "lodash 4.17.15 (high, GHSA-35jh-r3h4-6jhm, fixed in 4.17.21)"


@pytest.mark.parametrize(("limit", "severe"), [("never", 0), ("critical", 1), ("high", 2)])
def test_which_are_too_severe(limit: str, severe: int) -> None:
    given = found("critical", "high", "moderate", "odd")
    assert refused(given, limit) == given[:severe]
