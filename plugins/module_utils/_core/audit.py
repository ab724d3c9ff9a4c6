# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit of a host: what a rule is, how facts are judged, and what people and machines are given of it.

What could not be checked is never ok: neither a fact that could not be had, nor one that lacks what a rule reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence, Tuple

from .errors import DockerVpsError
from .text import counted, listed

SEVERITIES = ("low", "medium", "high", "critical")
NEVER = "never"
OK, FINDING, NOT_LOOKED_AT = "ok", "finding", "not_looked_at"

Verdict = Tuple[bool, str]
"""Whether it is as wanted, and what was found."""


class CannotTell(Exception):
    """What was read does not answer the question; the reason is its argument."""


@dataclass(frozen=True)
class Unseen:
    """A fact that could not be had, and why."""

    reason: str


@dataclass(frozen=True)
class Rule:
    """Something that is checked.

    Attributes:
        id: what it is called for good; its first word is the area.
        severity: how much a finding matters, one of SEVERITIES.
        source: the section of the specification, the number in the CIS Docker Benchmark 1.6.0, or "ours".
        looked_at: where the answer is.
        wanted: what it should be.
        needs: the names of the facts that ``judge`` is given.
        judge: says what the facts mean. It raises CannotTell when they do not tell, and may fail on what it does not
            find in them, which is the same.
    """

    id: str
    severity: str
    source: str
    looked_at: str
    wanted: str
    needs: Tuple[str, ...]
    judge: Callable[..., Verdict]

    @property
    def area(self) -> str:
        """What the rule is about: app, others, engine, file, host or backup."""
        return self.id.partition("-")[0]


def audited(rules: Sequence[Rule], facts: Mapping[str, Any], remedies: Mapping[str, str]) -> list[dict[str, str]]:
    """Return one row for each rule, the worst first.

    Args:
        facts: by name; Unseen for what could not be had.
        remedies: what fixes a finding, by the id of its rule.
    """
    rows = [_row(rule, facts, remedies) for rule in rules]
    results = (FINDING, NOT_LOOKED_AT, OK)
    return sorted(rows, key=lambda row: (results.index(row["result"]), -SEVERITIES.index(row["severity"])))


def _row(rule: Rule, facts: Mapping[str, Any], remedies: Mapping[str, str]) -> dict[str, str]:
    result, found = _judged(rule, facts)
    return {
        "id": rule.id,
        "severity": rule.severity,
        "area": rule.area,
        "result": result,
        "looked_at": rule.looked_at,
        "found": found,
        "wanted": rule.wanted,
        "remedy": remedies[rule.id] if result == FINDING else "",
        "source": rule.source,
    }


def _judged(rule: Rule, facts: Mapping[str, Any]) -> tuple[str, str]:
    given = [facts[name] for name in rule.needs]
    unseen = [fact.reason for fact in given if isinstance(fact, Unseen)]
    if unseen:
        return NOT_LOOKED_AT, unseen[0]
    try:
        good, found = rule.judge(*given)
    except CannotTell as error:
        return NOT_LOOKED_AT, str(error)
    except DockerVpsError as error:
        return NOT_LOOKED_AT, error.message
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return NOT_LOOKED_AT, f"what was read is not as expected: {type(error).__name__} {error}"
    return (OK if good else FINDING), found


def counts(rows: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """Return how many rules were ok, found something, and were not checked; and the findings of each severity."""
    severities = [row["severity"] for row in rows if row["result"] == FINDING]
    results = [row["result"] for row in rows]
    return {
        **{result: results.count(result) for result in (OK, FINDING, NOT_LOOKED_AT)},
        **{severity: severities.count(severity) for severity in SEVERITIES},
    }


def table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return what people read: findings, the worst first, then what was not checked, then the numbers."""
    width = max((len(row["id"]) for row in rows if row["result"] != OK), default=0)
    found = [
        f"{row['severity']:<8}  {row['id']:<{width}}  {row['found']}; wanted: {row['wanted']}. {row['remedy']}"
        for row in rows
        if row["result"] == FINDING
    ]
    unseen = [f"{'unseen':<8}  {row['id']:<{width}}  {row['found']}" for row in rows if row["result"] == NOT_LOOKED_AT]
    return [*found, *unseen, _numbers(counts(rows))]


def _numbers(number: Mapping[str, int]) -> str:
    severities = ", ".join(f"{number[severity]} {severity}" for severity in reversed(SEVERITIES) if number[severity])
    findings = counted(number[FINDING], "finding") + (f" ({severities})" if severities else "")
    return f"{findings}, {number[NOT_LOOKED_AT]} not checked, {number[OK]} ok."


def too_severe(rows: Sequence[Mapping[str, str]], fail_at: str) -> str:
    """Return why an audit fails, empty when it does not.

    Args:
        fail_at: the severity from which on a finding is a failure, or NEVER.
    """
    severe = () if fail_at == NEVER else SEVERITIES[SEVERITIES.index(fail_at) :]
    ids = [row["id"] for row in rows if row["result"] == FINDING and row["severity"] in severe]
    if not ids:
        return ""
    return (
        f"The audit has {counted(len(ids), 'finding')} of severity {fail_at} or higher: {listed(ids)}. "
        "The report says how to fix each of them."
    )
