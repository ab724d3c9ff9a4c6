# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a host now, ranked: causes first, and behind each what follows from it.

Rules make findings of facts. Whether one finding is the cause of another is decided by CONSEQUENCES alone, which is in
the order in which things depend on each other: the host before the engine, that before data, then the application, the
proxy, and visitors last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from . import watch
from .audit import CannotTell, Unseen
from .remedies import play
from .text import counted, listed
from .watch import SEVERITIES

Json = Mapping[str, Any]

_SERVED = ("app-", "health-", "proxy-", "request-")
_RUNS = ("app-", "health-", "request-")
_STORED = ("database-", *_SERVED)
_DATA = ("data-", *_STORED)

CONSEQUENCES: Mapping[str, Tuple[str, ...]] = {
    "engine-answer": ("engine-version", "network-", "volume-", "image-", "backup-", "release-", *_DATA),
    "disk-full": ("release-", "build-", "backup-", "disk-", "lock-", "memory-", *_DATA),
    "disk-inodes": ("release-", "build-", "backup-", "disk-", "lock-", *_DATA),
    "disk-readonly": ("release-", "backup-", *_DATA),
    "memory-killed": ("memory-limit", "memory-oom", "app-state", "app-start", "health-", "request-"),
    "memory-limit": (),
    "memory-oom": ("app-", "health-", "request-"),
    "clock-skew": ("certificate-", "request-"),
    "dns-resolver": ("build-", "request-"),
    "lock-held": ("release-", "network-", "image-", *_SERVED),
    "release-unfinished": ("lock-", *_SERVED),
    "lock-stale": (),
    "engine-version": (),
    "build-failed": ("image-missing", "app-state", "request-"),
    "image-missing": ("app-", "health-", "request-"),
    "image-architecture": ("app-", "health-", "request-"),
    "network-missing": ("network-", "app-", "health-", "proxy-", "request-"),
    "network-new": ("network-", "app-", "health-", "proxy-", "request-"),
    "network-app": ("app-drift", "proxy-", "request-"),
    "network-alias": ("proxy-", "request-"),
    "volume-missing": ("volume-", *_DATA),
    "volume-unmounted": ("volume-", *_DATA),
    "volume-elsewhere": ("volume-", *_DATA),
    "volume-other": _DATA,
    "volume-readonly": _DATA,
    "env-wrong": ("env-drift", *_DATA),
    "env-port": ("env-drift", *_SERVED),
    "data-gone": _STORED,
    "database-damaged": ("data-lost", *_STORED),  # whose rows cannot be read
    "data-lost": (),
    "database-modes": _STORED,
    "volume-modes": (),
    "database-locked": ("database-", "app-", "health-", "request-"),
    "database-schema": ("app-", "health-", "request-"),
    "database-journal": (),
    "database-busy": (),
    "database-library": (),
    "app-pids": _RUNS,
    "app-paused": _RUNS,
    "app-stopped": _RUNS,
    "app-port": _RUNS,
    "health-pause": _RUNS,
    "health-command": _RUNS,
    "health-route": _RUNS,
    "health-start": ("app-", "request-"),
    "app-state": ("app-start", "app-drift", "proxy-", "request-"),
    "app-start": ("proxy-", "request-"),
    "app-published": ("app-drift",),
    "app-drift": (),
    "env-modes": ("env-drift",),
    "env-drift": (),
    "proxy-stopped": ("proxy-", "request-"),
    "proxy-network": ("proxy-", "request-"),
    "proxy-page": ("proxy-", "request-"),
    "proxy-upstream": ("proxy-", "request-"),
    "proxy-stale": ("request-",),
    "certificate-invalid": ("certificate-", "request-"),
    "certificate-ends": ("request-",),
    "request-served": (),
    "backup-failed": ("backup-age", "backup-proof"),
    "backup-age": ("backup-proof",),
    "backup-proof": (),
}
"""By the id of a finding, in causal order, the ids, or how they begin, of what may follow from it."""
_TRIFLES = ("host-restart", "images-dangling", "images-cache", "database-size", "disk-forecast", "app-log", "cpu-limit")
"""What a watch tells and is no trouble now."""
COMMANDS: Mapping[str, str] = {
    "engine-answer": "systemctl restart docker",
    "memory-killed": play("restart"),
    "memory-limit": play("restart"),
    "clock-skew": "timedatectl set-ntp true",
    "release-unfinished": play("start"),
    "app-state": play("start"),
    "database-wal": play("restart"),
    "backup-age": play("backup"),
    "backup-proof": play("restore_drill"),
}
"""What fixes the findings of a watch."""


@dataclass(frozen=True)
class Found:
    """What a rule found.

    Attributes:
        remedy: what fixes it, as sentences.
        command: the one command, or playbook, that does; empty when no single one can.
        looked_at: where the answer is, if the rule does not say so.
        severity: how much it matters, if the rule does not say so.
        log: what was written last, if that can tell more.
    """

    found: str
    remedy: str
    command: str = ""
    looked_at: str = ""
    severity: str = ""
    log: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """Something that may be wrong.

    Attributes:
        id: what it is called for good, a key of CONSEQUENCES; its first word is the area.
        needs: the names of the facts that ``judge`` is given.
        judge: returns what is wrong, or None. What facts do not tell is CannotTell.
    """

    id: str
    severity: str
    looked_at: str
    needs: Tuple[str, ...]
    judge: Callable[..., Optional[Found]]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        cause: the id of the finding from which it follows; empty for one that is a cause itself.
        log: what the application, or a build, wrote last, if that can tell more.
    """

    id: str
    severity: str
    looked_at: str
    found: str
    remedy: str
    command: str
    cause: str = ""
    log: Tuple[str, ...] = ()


def judged(rules: Sequence[Rule], facts: Json) -> Tuple[List[Finding], Dict[str, str]]:
    """Return what rules find, and by their ids why some could not be judged.

    Args:
        facts: by name; Unseen for what could not be had.
    """
    found, unseen = [], {}
    for rule in rules:
        given = [facts[name] for name in rule.needs]
        missing = [fact.reason for fact in given if isinstance(fact, Unseen)]
        try:
            if missing:
                raise CannotTell(missing[0])
            result = rule.judge(*given)
        except CannotTell as error:
            unseen[rule.id] = str(error)
            continue
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            unseen[rule.id] = f"what was read is not as expected: {type(error).__name__} {error}"
            continue
        if result:
            severity, looked_at = result.severity or rule.severity, result.looked_at or rule.looked_at
            what = (result.found, result.remedy, result.command)
            found.append(Finding(rule.id, severity, looked_at, *what, log=result.log))
    return found, unseen


def of_watch(found: Sequence[watch.Finding], runs: bool) -> List[Finding]:
    """Return the findings of a watch that are trouble now.

    Args:
        runs: whether the container runs, so that to start it would change nothing.
    """
    commands = {**COMMANDS, "app-state": play("restart")} if runs else COMMANDS
    return [
        Finding(
            each.id,
            each.severity,
            each.looked_at,
            f"{each.found}; wanted: {each.wanted}",
            each.remedy,
            commands.get(_kind(each.id), ""),
            log=each.log,
        )
        for each in found
        if _kind(each.id) not in _TRIFLES
    ]


def ranked(found: Sequence[Finding]) -> List[Finding]:
    """Return findings with their causes: the worst cause first, and behind each what follows from it.

    What is less severe is no cause of what is worse. Of several causes the worst counts, and of those the first.
    """
    ordered = sorted(found, key=_place)
    causes: Dict[str, str] = {}
    for finding in ordered:
        possible = [each for each in ordered if _causes(each, finding)]
        cause = max(possible, key=lambda each: SEVERITIES.index(each.severity), default=None)
        causes[finding.id] = causes.get(cause.id, "") or cause.id if cause else ""
    severities = {finding.id: finding.severity for finding in ordered}
    rows = [replace(finding, cause=causes[finding.id]) for finding in ordered]

    def rank(finding: Finding) -> Tuple[int, int, str, bool]:
        root = finding.cause or finding.id
        first = next(number for number, each in enumerate(ordered) if each.id == root)
        return -SEVERITIES.index(severities[root]), first, root, bool(finding.cause)

    return sorted(rows, key=rank)


def _kind(finding_id: str) -> str:
    return finding_id.partition(":")[0]


def _place(finding: Finding) -> int:
    known = list(CONSEQUENCES)
    return known.index(_kind(finding.id)) if _kind(finding.id) in known else len(known)


def _causes(cause: Finding, finding: Finding) -> bool:
    return (
        cause.id != finding.id
        and _place(cause) < _place(finding)
        and SEVERITIES.index(cause.severity) >= SEVERITIES.index(finding.severity)
        and finding.id.startswith(CONSEQUENCES.get(_kind(cause.id), ()) or ("\0",))
    )


def summary(found: Sequence[Finding], unseen: Mapping[str, str], looked_at: int) -> List[str]:
    """Return what people read.

    That is a line for each finding, below a cause what was written last, what was not checked, and the numbers.
    """
    lines = [text for finding in found for text in (line(finding), *_written(finding))]
    reasons: Dict[str, List[str]] = {}
    for name, reason in unseen.items():
        reasons.setdefault(reason, []).append(name)
    lines += [f"not checked: {listed(names)}, because {reason}" for reason, names in reasons.items()]
    numbers = f"{counted(len(found), 'finding')}, {counted(looked_at, 'check')} made, {len(unseen)} not checked."
    return [*lines, numbers]


def _written(finding: Finding) -> List[str]:
    return [f"    | {text}" for text in finding.log] if not finding.cause else []


def line(finding: Finding) -> str:
    """Return a finding in one line."""
    what = f"follows from {finding.cause}" if finding.cause else finding.severity
    command = f" Command: {finding.command}" if finding.command else ""
    return f"{what}: {finding.looked_at}: {finding.found}. {finding.remedy}{command} ({finding.id})"


def as_severe(found: Sequence[Finding], fail_at: str) -> bool:
    """Return whether a finding is as severe as that, or worse; never when it is no severity."""
    most = SEVERITIES.index(fail_at) if fail_at in SEVERITIES else len(SEVERITIES)
    return any(SEVERITIES.index(finding.severity) >= most for finding in found)


_ADDRESS = re.compile(
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)|(?<![\w:])(?:[0-9a-fA-F]{1,4}:{1,2}){3,7}[0-9a-fA-F]{1,4}"
)
_LOOPBACK = re.compile(r"127\.|0\.0\.0\.0$")


def anonymous(text: str, names: Sequence[str]) -> str:
    """Return a text for strangers: without the names of hosts that are given, and without addresses of machines."""
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "<host>", text)
    return _ADDRESS.sub(lambda found: found[0] if _LOOPBACK.match(found[0]) else "<address>", text)
