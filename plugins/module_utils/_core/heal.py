# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an application that is not well is restarted, and why it is left alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Sequence, Tuple, Union

from .audit import Unseen
from .remedies import play
from .text import counted
from .watch import CRITICAL, HOUR, WARNING, AppFacts, Finding

# What SQLite, Node.js and the kernel say of a disk or of data that no restart fixes, in small letters.
_CAUSES: Sequence[Tuple[str, str]] = (
    ("database disk image is malformed", "the database is damaged"),
    ("sqlite_corrupt", "the database is damaged"),
    ("sqlite_notadb", "the database is damaged"),
    ("file is not a database", "the database is damaged"),
    ("database or disk is full", "the disk is full"),
    ("sqlite_full", "the disk is full"),
    ("enospc", "the disk is full"),
    ("no space left on device", "the disk is full"),
    ("disk i/o error", "the disk has errors"),
    ("sqlite_ioerr", "the disk has errors"),
    ("readonly database", "the database cannot be written"),
    ("sqlite_readonly", "the database cannot be written"),
    ("read-only file system", "the disk cannot be written"),
    ("erofs", "the disk cannot be written"),
)
_FAILED_PROBES = 3
"""So many health checks in a row: fewer fail also after a container was paused, since those under way had no answer."""


@dataclass(frozen=True)
class HealRules:
    """When to restart.

    Attributes:
        looks: failed checks in a row before that.
        back_off: seconds until the next restart; they double with each that did not help.
        most: restarts within an hour, and in vain until it is given up.
    """

    looks: int = 2
    back_off: float = 600.0
    most: int = 3


@dataclass(frozen=True)
class HealState:
    """What is remembered: failed checks in a row, when restarts were, and how many since it was last healthy.

    The times are in seconds that have passed between checks; see alerts.State.
    """

    bad: int = 0
    restarts: Tuple[float, ...] = ()
    vain: int = 0


@dataclass(frozen=True)
class Case:
    """What is to be judged.

    Attributes:
        ours: whether the container bears the labels of the application.
        healthy: the id of the container that was last seen healthy.
        at_work: who releases, backs up or restores just now.
        broken: what is known of disk or data that no restart fixes.
        passed: the time, as HealState has it.
    """

    app: Union[AppFacts, Unseen]
    ours: bool
    healthy: str
    at_work: str
    broken: str
    passed: float


@dataclass(frozen=True)
class Decision:
    """Whether to restart, the reason, and whether it was given up."""

    restart: bool
    why: str
    gave_up: bool = False


def well(app: AppFacts) -> bool:
    """Return whether the application runs, and is healthy if it has a health check."""
    return app.seen.state == "running" and app.seen.health in ("healthy", None)


def looked(state: HealState, app: Union[AppFacts, Unseen], passed: float) -> HealState:
    """Return what is remembered after a look."""
    restarts = tuple(at for at in state.restarts if passed - at < HOUR)
    if isinstance(app, Unseen):
        return replace(state, restarts=restarts)
    if well(app):
        return HealState(0, restarts, 0)
    return replace(state, bad=state.bad + 1 if not _spared(app) else 0, restarts=restarts)


def decide(case: Case, state: HealState, rules: HealRules) -> Decision:
    """Return whether to restart the application now.

    Args:
        state: as ``looked`` left it.
    """
    if isinstance(case.app, Unseen):
        return Decision(False, case.app.reason)
    spared = _spared(case.app) or _not_now(case, case.app)
    if spared:
        return Decision(False, spared)
    if state.bad < rules.looks:
        return Decision(False, f"this is failed check {state.bad} of {rules.looks}")
    if state.vain >= rules.most:
        return Decision(False, f"{counted(state.vain, 'restart')} did not help", gave_up=True)
    if len(state.restarts) >= rules.most:
        return Decision(False, f"it was restarted {counted(len(state.restarts), 'time')} within an hour")
    waits = rules.back_off * 2 ** (state.vain - 1) if state.vain else 0.0
    if state.restarts and case.passed - state.restarts[-1] < waits:
        return Decision(False, f"the restart before did not help, and {waits:.0f} s are waited until the next")
    return Decision(True, f"it is {case.app.seen.status} at {counted(state.bad, 'check')} in a row")


def _spared(app: AppFacts) -> str:
    """Return why what a container does is nothing that a restart would fix; empty when it may be."""
    seen = app.seen
    if not seen.exists:
        return "there is no container"
    if seen.state == "exited":
        unknown = "the engine does not know any more what ended it" if app.stopped is None else ""
        return "somebody stopped it" if app.stopped else unknown
    if seen.state != "running":
        return f"it is {seen.state}"
    if seen.health != "unhealthy":
        return f"it is {seen.status}"
    if seen.failing_streak < _FAILED_PROBES:
        return f"{counted(seen.failing_streak, 'health check')} failed, and may have been asked while it was paused"
    return ""


def _not_now(case: Case, app: AppFacts) -> str:
    """Return why nobody may restart it now."""
    if not case.ours:
        return "the container is not ours"
    if case.at_work:
        return case.at_work
    if case.healthy != app.seen.id:
        return "this version was not healthy yet; a migration may be running"
    return case.broken or cause_in(app.log)


def cause_in(log: Sequence[str]) -> str:
    """Return what in a log tells of a disk or of data that no restart fixes; empty when nothing does."""
    for line in log:
        for words, cause in _CAUSES:
            if words in line.lower():
                return f"{cause}, which no restart fixes"
    return ""


def restarted(state: HealState, passed: float) -> HealState:
    """Return what is remembered after a restart."""
    return HealState(0, (*state.restarts, passed), state.vain + 1)


def findings_of(state: HealState, decision: Optional[Decision]) -> list[Finding]:
    """Return what people are notified of restarts."""
    found = []
    if state.restarts:
        number = f"restarted {counted(len(state.restarts), 'time')} within an hour"
        remedy = f"See by {play('logs')} what it wrote before."
        found.append(Finding("heal-restart", WARNING, "the application", number, "no restart", remedy))
    if decision and decision.gave_up:
        remedy = f"See by {play('logs')} why, or put the version before live by {play('rollback')}."
        found.append(Finding("heal-end", CRITICAL, "the application", decision.why, "a restart that helps", remedy))
    return found
