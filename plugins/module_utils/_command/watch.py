# SPDX-License-Identifier: GPL-3.0-or-later
"""Look, and notify people of what has changed: one message a run to each channel, and again what it does not take."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Type

from .._core import metrics, watch
from .._core.alerts import AlertRules, News, due, kept, step
from .._core.errors import DockerVpsError, InvalidInput
from .._core.message_bodies import of_watch
from .._core.remedies import setting
from .._core.text import counted, listed
from .._core.watch import INFO, Finding
from .._release.watch import Params, Seen, WatchWorld, look
from .._store import files, watch_state
from .._store.lock import locked
from .._store.watch_state import Remembered
from .notify import Notify, ping, ways
from .wording import worded

LOCK = ".watch.lock"
JOB = "watch"
NEVER = "never"
ONCE_WAITS = 60.0  # seconds for the watch of a timer to end
COMMAND_WITHIN = 20.0  # seconds for a command that is told


@dataclass(frozen=True)
class Watch:
    """What to do.

    Attributes:
        metrics: the directory of node_exporter's textfile collector; empty for no metrics.
        host: what this host is called in messages.
    """

    params: Params
    rules: AlertRules
    channels: Notify
    metrics: str
    host: str


def look_and_tell(wanted: Watch, world: WatchWorld) -> Mapping[str, Any]:
    """Look once and tell of changes; the ping is the last.

    Raises:
        Locked: another watch of the application is running.
    """
    home = world.releases.home
    files.make_directory(home)
    with locked(os.path.join(home, LOCK), f"a watch of {wanted.params.app}"):
        return _watched(wanted, world, os.path.join(home, watch_state.STATE))


def _watched(wanted: Watch, world: WatchWorld, path: str) -> Mapping[str, Any]:
    now = world.clock.utc()
    before, problem = watch_state.read(path, now.timestamp())
    seen = look(wanted.params, world, before, before.state.passed, check_mode=False)
    news, state = step(before.state, seen.findings, seen.unseen, now.timestamp(), wanted.rules)
    # What people are about to be told is kept first: if they cannot be told any more, that is made up for.
    after = replace(
        seen.remembered, state=kept(state, {name: due(state, news, name) for name in ways(wanted.channels)})
    )
    problems = [*filter(None, [problem]), *_kept(path, after), *_tell(wanted, path, after, now)]
    problems = list(dict.fromkeys(problems))
    problems += _measured(wanted, seen, now, bool(problems))
    problems += filter(None, [ping(wanted.channels, JOB, not problems)])
    return _result(wanted, seen, len(news), problems)


def run(params: Params, world: WatchWorld, fail_at: str, check_mode: bool) -> Dict[str, Any]:
    """Look once, without telling anybody, and return the result; what is remembered changes only by a restart.

    Raises:
        Locked: the watch of the timer is running, and so might restart the application as well.
        DockerVpsError: a finding is as severe as ``fail_at``; it carries the result.
    """
    home = world.releases.home
    with contextlib.ExitStack() as stack:
        if params.heal and not check_mode:
            files.make_directory(home)
            stack.enter_context(locked(os.path.join(home, LOCK), f"a watch of {params.app}", ONCE_WAITS))
        path = os.path.join(home, watch_state.STATE)
        before, problem = watch_state.read(path, world.clock.utc().timestamp())
        seen = look(params, world, before, before.state.passed, check_mode)
        if seen.restarted and not check_mode:
            watch_state.write(path, replace(before, heal=seen.remembered.heal))
    result = {"changed": seen.restarted, **_seen(seen, [problem] if problem else [])}
    severe = [finding.id for finding in seen.findings if _as_severe(finding, fail_at)]
    if severe:
        raise DockerVpsError(
            f"{params.app} has {counted(len(severe), 'finding')} of severity {fail_at} or higher: {listed(severe)}. "
            "Each is listed with its fix.",
            **result,
        )
    return result


def _as_severe(finding: Finding, fail_at: str) -> bool:
    return fail_at != NEVER and watch.SEVERITIES.index(finding.severity) >= watch.SEVERITIES.index(fail_at)


def thresholds_of(given: Mapping[str, Any]) -> watch.Thresholds:
    """Read thresholds by their names.

    Raises:
        InvalidInput: one is unknown or no number.
    """
    try:
        return watch.Thresholds(**numbers(watch.Thresholds, given))
    except TypeError as error:
        names = ", ".join(each.name for each in fields(watch.Thresholds))
        raise InvalidInput(f"thresholds is invalid: {error}; it may have numbers for {names}.") from error


def numbers(kind: Type[Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return numbers of a configuration, some of which Ansible may have written as strings.

    Raises:
        TypeError: one is no number.
    """
    whole = {each.name for each in fields(kind) if isinstance(each.default, int)}
    try:
        return {name: int(value) if name in whole else float(value) for name, value in given.items()}
    except ValueError as error:
        raise TypeError(f"a number of watch is none ({error})") from error


def _kept(path: str, remembered: Remembered) -> List[str]:
    """Keep what is remembered, and return why not; people are notified all the same, if need be twice."""
    try:
        watch_state.write(path, remembered)
    except DockerVpsError as error:
        return [error.message]
    return []


def _tell(wanted: Watch, path: str, after: Remembered, now: datetime) -> List[str]:
    """Tell each channel what it is owed, and keep what it does not take."""
    problems, owed = [], dict(after.state.owed)
    for name, tell in ways(wanted.channels, COMMAND_WITHIN).items():
        pieces = owed.get(name)
        problem = tell(_message(wanted, pieces, now)) if pieces else ""
        if problem:
            problems.append(f"{problem} It is told at the next run.")
        else:
            owed.pop(name, None)
    if owed != after.state.owed:
        problems += _kept(path, replace(after, state=kept(after.state, owed)))
    return problems


def _message(wanted: Watch, pieces: Any, now: datetime) -> Mapping[str, Any]:
    message: Mapping[str, Any] = worded(of_watch(wanted.params.app, wanted.host, _iso(now), pieces))
    return message


def _measured(wanted: Watch, seen: Seen, now: datetime, failed: bool) -> List[str]:
    if not wanted.metrics:
        return []
    name = f"dockervps_{wanted.params.app}.prom"
    text = metrics.text_of(wanted.params.app, seen.facts, seen.findings, seen.unseen, now.timestamp(), failed)
    try:
        if not os.path.isdir(wanted.metrics):
            raise DockerVpsError(
                f"The directory of metrics {wanted.metrics} is not there. Install node_exporter, which reads it, or "
                f"fix {setting('metrics_directory')}."
            )
        files.replace(os.path.join(wanted.metrics, name), files.own(text, 0o644))
    except DockerVpsError as error:
        return [error.message]
    return []


def _result(wanted: Watch, seen: Seen, news: int, problems: List[str]) -> Mapping[str, Any]:
    return {"news": news, "problems": problems, **_seen(seen, problems)}


def _seen(seen: Seen, problems: List[str]) -> Dict[str, Any]:
    lines = watch.summary(seen.findings, seen.unseen)
    return {
        "findings": [row(finding) for finding in seen.findings],
        "not_looked_at": dict(seen.unseen),
        "healed": seen.healed,
        "restarted": seen.restarted,
        "summary": [*lines[:-1], *filter(None, [seen.healed]), lines[-1], *problems],
    }


def row(finding: Finding) -> Mapping[str, Any]:
    """Return a finding as data."""
    return {**{name: getattr(finding, name) for name in _ROW}, "log": list(finding.log)}


_ROW = ("id", "severity", "looked_at", "found", "wanted", "remedy")


def test(wanted: Watch, now: datetime) -> Mapping[str, Any]:
    """Send a test through every channel, and return what became of it.

    Raises:
        DockerVpsError: there is no channel, or one did not take it.
    """
    channels = ways(wanted.channels, COMMAND_WITHIN)
    if not channels and JOB not in wanted.channels.pings:
        raise DockerVpsError(f"There is no channel to test. Set {setting('notify_webhook')} or another one.")
    finding = Finding("test-message", INFO, "this channel", "a test that somebody asked for", "nothing", "All is well.")
    news = _message(wanted, [News("began", finding, now.timestamp())], now)
    problems = {name: tell(news) for name, tell in channels.items()}
    if JOB in wanted.channels.pings:
        problems["ping"] = ping(wanted.channels, JOB, True)
    failed = [problem for problem in problems.values() if problem]
    if failed:
        raise DockerVpsError(" ".join(failed))
    return {"channels": sorted(problems), "summary": f"Sent by {', '.join(sorted(problems))}."}


def _iso(at: datetime) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
