# SPDX-License-Identifier: GPL-3.0-or-later
"""When people are notified of findings: of changes only, with one reminder a day, and of what flaps once.

State, findings and time give news and a new state. Intervals are counted in looks and in time that has passed between
them, a look at a time, so that a clock that jumps neither hurries nor silences anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Collection, Dict, List, Mapping, Optional, Sequence, Tuple

from .watch import DAY, SEVERITIES, WARNING, Finding, area

BEGAN, WORSE, ENDED, REMINDER, FLAPS = "began", "worse", "ended", "reminder", "flaps"
WAS = "was"
_LONGEST_STEP = 1800.0
"""Seconds that count between two checks at most; a host that was off has not watched anything."""


@dataclass(frozen=True)
class AlertRules:
    """When to tell.

    Attributes:
        least: the lowest severity that is reported.
        good: looks in a row without a finding until it is over.
        flaps: how often a finding begins within ``window`` looks until it flaps.
        calm: looks in a row without a change until it does so no more.
        remind: seconds.
    """

    least: str = WARNING
    good: int = 2
    flaps: int = 3
    window: int = 12
    calm: int = 6
    remind: float = DAY


@dataclass(frozen=True)
class Alert:
    """What is remembered of a finding.

    Attributes:
        since: when it began (seconds since 1970, as the clock was then).
        bad: whether it was found at the last check that looked there.
        good: looks in a row at which it was not found.
        began: the numbers of the looks at which it began.
        changed: the number of the look at which it last began or ended.
        flapping: whether that was told, and its end was not seen yet.
        known: the severity that people know of, empty when for them it is over.
        reminded: when they were last told, in seconds that passed for State.passed.
    """

    finding: Finding
    since: float
    bad: bool = True
    good: int = 0
    began: Tuple[int, ...] = ()
    changed: int = 0
    flapping: bool = False
    known: str = ""
    reminded: float = 0.0


@dataclass(frozen=True)
class State:
    """What is remembered from one look to the next.

    Attributes:
        at: when the last check was (seconds since 1970).
        look: its number.
        passed: seconds between all looks.
        owed: news that a channel has not taken yet, by the name of the channel.
    """

    at: float = 0.0
    look: int = 0
    passed: float = 0.0
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    owed: Mapping[str, Tuple[News, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class News:
    """Something to tell of a finding; ``until`` is when it was over, or 0."""

    kind: str
    finding: Finding
    since: float
    until: float = 0.0


def step(
    state: State, findings: Sequence[Finding], unseen: Collection[str], now: float, rules: AlertRules
) -> Tuple[List[News], State]:
    """Return what is to be told after a look, and what is remembered.

    Args:
        unseen: the areas that were not checked; what is known of them stays.
    """
    passed = state.passed + min(max(now - state.at, 0.0), _LONGEST_STEP) if state.look else 0.0
    state = replace(state, at=now, look=state.look + 1, passed=passed)
    least = SEVERITIES.index(rules.least)
    found = {finding.id: finding for finding in findings if SEVERITIES.index(finding.severity) >= least}
    news: List[News] = []
    alerts: Dict[str, Alert] = {}
    for finding_id, finding in found.items():
        pieces, alerts[finding_id] = _announced(state, _found(state, state.alerts.get(finding_id), finding), rules)
        news += pieces
    for finding_id, alert in state.alerts.items():
        if finding_id in found:
            continue
        if area(finding_id) not in unseen:
            pieces, alert = _announced(state, _missed(state, alert), rules)
            news += pieces
        if alert.bad or alert.known or alert.flapping or alert.began:
            alerts[finding_id] = alert
    reminders, alerts = _reminded(state, alerts, rules)
    return [*news, *reminders], replace(state, alerts=alerts)


def _found(state: State, alert: Optional[Alert], finding: Finding) -> Alert:
    """Return what is known of a finding after it was found."""
    if alert is None:
        return Alert(finding, state.at, began=(state.look,), changed=state.look)
    if alert.bad:
        return replace(alert, finding=finding)
    since = alert.since if alert.known else state.at
    began = (*alert.began, state.look)
    return replace(alert, finding=finding, since=since, bad=True, good=0, began=began, changed=state.look)


def _missed(state: State, alert: Alert) -> Alert:
    """Return what is known of a finding after it was looked for, and not found."""
    return replace(alert, bad=False, good=alert.good + 1, changed=state.look if alert.bad else alert.changed)


def _announced(state: State, alert: Alert, rules: AlertRules) -> Tuple[List[News], Alert]:
    """Return what is to be told of a finding, and what is known of it then."""
    alert = replace(alert, began=tuple(look for look in alert.began if state.look - look < rules.window))
    if alert.flapping:
        if state.look - alert.changed < rules.calm:
            return [], alert
        alert = replace(alert, flapping=False, began=())
    elif len(alert.began) >= rules.flaps:
        return [News(FLAPS, alert.finding, alert.since)], replace(alert, flapping=True, reminded=state.passed)
    if alert.bad:
        return _bad(state, alert)
    if alert.known and alert.good >= rules.good:
        return [News(ENDED, alert.finding, alert.since, state.at)], replace(alert, known="")
    return [], alert


def _bad(state: State, alert: Alert) -> Tuple[List[News], Alert]:
    severity = alert.finding.severity
    if alert.known and SEVERITIES.index(severity) <= SEVERITIES.index(alert.known):
        return [], alert
    kind = WORSE if alert.known else BEGAN
    return [News(kind, alert.finding, alert.since)], replace(alert, known=severity, reminded=state.passed)


def _reminded(state: State, alerts: Mapping[str, Alert], rules: AlertRules) -> Tuple[List[News], Dict[str, Alert]]:
    """Return reminders of all that goes on when one of them is due; together, so that there is one a day."""
    lasting = {key: alert for key, alert in alerts.items() if alert.known and alert.bad and not alert.flapping}
    if not any(state.passed - alert.reminded >= rules.remind for alert in lasting.values()):
        return [], dict(alerts)
    old = {key: alert for key, alert in lasting.items() if alert.reminded < state.passed}
    news = [News(REMINDER, alert.finding, alert.since) for alert in old.values()]
    return news, {**alerts, **{key: replace(alert, reminded=state.passed) for key, alert in old.items()}}


MOST_OWED = 50
"""News that are kept for a channel that takes none."""


def due(state: State, news: Sequence[News], channel: str) -> List[News]:
    """Return what a channel is to be told: what it is owed and the news, and of what has ended meanwhile one piece."""
    pieces: List[News] = []
    for piece in [*state.owed.get(channel, ()), *news]:
        same = [number for number, before in enumerate(pieces) if before.finding.id == piece.finding.id]
        last = pieces[same[-1]] if same else None
        if last and last.kind in _MERGED and piece.kind in _MERGED[last.kind]:
            pieces[same[-1]] = replace(piece, kind=_MERGED[last.kind][piece.kind], since=last.since)
        else:
            pieces.append(piece)
    return pieces


# What is told instead of two pieces of news of a finding of which the first was not told in time.
_MERGED: Mapping[str, Mapping[str, str]] = {
    BEGAN: {WORSE: BEGAN, REMINDER: BEGAN, ENDED: WAS},
    WORSE: {WORSE: WORSE, REMINDER: WORSE, ENDED: ENDED},
    REMINDER: {WORSE: WORSE, REMINDER: REMINDER, ENDED: ENDED},
}


def kept(state: State, owed: Mapping[str, Sequence[News]]) -> State:
    """Return the state with what each channel has not taken, the newest of it."""
    return replace(state, owed={name: tuple(news)[-MOST_OWED:] for name, news in owed.items() if news})
