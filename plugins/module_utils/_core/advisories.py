# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry of npm knows of vulnerabilities of packages, which of them count, and how that is said.

The answer is that of ``POST /-/npm/v1/security/advisories/bulk``, which ``npm audit`` asks as well: per package a list
of advisories, each with ``id``, ``url``, ``title``, ``severity`` and ``vulnerable_versions``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from .text import listed, short

SEVERITIES = ("critical", "high", "moderate", "low", "info")
NEVER = "never"
_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")
_COMPARATOR = re.compile(r"(>=|<=|>|<|=|)\s*([^\s<>=,][^\s,]*)")
_NAMED = 5  # advisories in one sentence


@dataclass(frozen=True)
class Advisory:
    """A known vulnerability of a package in an image.

    Attributes:
        id: such as GHSA-35jh-r3h4-6jhm.
        fixed: the first version without it, empty when that is not known.
    """

    package: str
    version: str
    severity: str
    id: str
    title: str
    fixed: str

    def __str__(self) -> str:
        step = f"fixed in {self.fixed}" if self.fixed else "no fixed version is known"
        return f"{short(self.package)} {short(self.version)} ({self.severity}, {short(self.id)}, {step})"


def advisories(answer: Any, asked: Mapping[str, Sequence[str]]) -> list[Advisory]:
    """Return what an answer says of the versions that were asked for, the most severe first.

    Raises:
        ValueError: it is no such answer.
    """
    if not isinstance(answer, Mapping):
        raise ValueError("it is not an object")
    found = []
    for package, entries in answer.items():
        for entry in entries if isinstance(entries, list) else ():
            found += _of(str(package), entry, asked.get(package, ())) if isinstance(entry, Mapping) else []
    return sorted(
        set(found), key=lambda advisory: (_rank(advisory.severity), advisory.package, advisory.version, advisory.id)
    )


def _of(package: str, entry: Mapping[str, Any], versions: Sequence[str]) -> list[Advisory]:
    vulnerable = str(entry.get("vulnerable_versions") or "*")
    url = str(entry.get("url") or "")
    name = url.rstrip("/").rpartition("/")[2] or str(entry.get("id") or "unknown")
    severity, title = str(entry.get("severity") or "unknown"), str(entry.get("title") or "")
    hit = [(version, _alternative(version, vulnerable)) for version in versions]
    return [
        Advisory(package, version, severity, name, title, _fixed(match)) for version, match in hit if match is not None
    ]


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def _alternative(version: str, vulnerable: str) -> Optional[str]:
    """Return which alternative of a range has a version, None when none has it.

    What is no range that can be read has every version: the registry named the package for a reason.
    """
    wanted = _parsed(version)
    for alternative in vulnerable.split("||"):
        comparators = _COMPARATOR.findall(alternative.strip())
        bounds = [(how, _parsed(bound)) for how, bound in comparators]
        if wanted is None or all(bound is None or _holds(how, wanted, bound) for how, bound in bounds):
            return alternative
    return None


def _parsed(version: str) -> Optional[tuple[Any, ...]]:
    """Return what orders a version as semver does, None when it is none."""
    match = _VERSION.fullmatch(version)
    if not match:
        return None
    before = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in (match[4] or "").split(".") if part
    )
    return (*(int(match[place] or 0) for place in (1, 2, 3)), not before, before)


def _holds(how: str, version: tuple[Any, ...], bound: tuple[Any, ...]) -> bool:
    if how in (">", ">="):
        return version > bound or (how == ">=" and version == bound)
    if how in ("<", "<="):
        return version < bound or (how == "<=" and version == bound)
    return version == bound


def _fixed(alternative: str) -> str:
    """Return the first version that an alternative of a range leaves out, empty when it does not name it."""
    return next((bound for how, bound in _COMPARATOR.findall(alternative.strip()) if how == "<"), "")


def counts(found: Sequence[Advisory]) -> dict[str, int]:
    """Return how many advisories there are by severity, the most severe first."""
    return {severity: sum(advisory.severity == severity for advisory in found) for severity in SEVERITIES}


def caution(image: str, found: Sequence[Advisory]) -> str:
    """Return what to tell of known vulnerabilities, empty when there are none."""
    if not found:
        return ""
    known = [*SEVERITIES, *sorted({advisory.severity for advisory in found} - set(SEVERITIES))]
    numbers = [(severity, sum(advisory.severity == severity for advisory in found)) for severity in known]
    shares = ", ".join(f"{number} {severity}" for severity, number in numbers if number)
    return f"npm packages of {image} have {number(found)} ({shares}): {named(found)}."


def refused(found: Sequence[Advisory], limit: str) -> list[Advisory]:
    """Return the advisories that are as severe as a limit, or more; with ``never`` none."""
    return [] if limit == NEVER else [advisory for advisory in found if _rank(advisory.severity) <= _rank(limit)]


def number(found: Sequence[Advisory]) -> str:
    """Return how many advisories there are, as a sentence has it."""
    return f"{len(found)} known {'vulnerability' if len(found) == 1 else 'vulnerabilities'}"


def named(found: Sequence[Advisory]) -> str:
    """Return advisories as a sentence has them, with the number of those that are too many."""
    return listed([str(advisory) for advisory in found], _NAMED)
