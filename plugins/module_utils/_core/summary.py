# SPDX-License-Identifier: GPL-3.0-or-later
"""What a play says in the end of what its modules have done."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .secrets import shown
from .text import counted

_UNCHANGED = "nothing, since without --check nothing would be changed either"
_KILLED = 137  # 128 + SIGKILL, as an exit code


def release(
    released: Mapping[str, Any],
    image: Mapping[str, Any],
    *,
    container: str,
    network: str,
    port: object,
    server_url: str,
    directory: str,
    phases: Sequence[Mapping[str, Any]],
    ended: float,
    other_values: Sequence[str],
    then: str,
    check_mode: bool,
) -> list[str]:
    """Return the lines of a play that has put a release live, or found that there was nothing to do.

    Args:
        released: the result of module release_cutover, empty when it was not needed.
        image: ``reference``, ``revision``, ``release`` and ``cautions`` of the image; empty when it was not looked for.
        port: on which the application listens in its container.
        phases: the ``name`` of each phase, and ``at``, when it began (seconds since 1970).
        ended: when the last phase ended (seconds since 1970).
        other_values: the variables that are compiled into code for browsers, where that was done with values that may
            be others.
        then: a play or a command, and what it does, which is useful when something was put live.
    """
    nothing = not released.get("changed")
    cautions = [*image.get("cautions", ()), *released.get("cautions", ())]
    if other_values and not nothing:
        cautions.insert(
            0,
            f"Code for browsers keeps the values of {', '.join(other_values)} with which its image was built, since "
            "Next.js compiles them in.",
        )
    lines = [
        f"Nothing to do: what is live is what was asked for, and {container} is healthy." if nothing else "",
        "This was a dry run; nothing was changed." if check_mode and not nothing else "",
        released.get("summary", "") if not nothing else "",
        f"{container} is healthy. The reverse proxy reaches it on the network {network} at http://{container}:{port}"
        if not check_mode
        else "",
        f"Public address: {server_url}",
        f"Image: {image['reference']}" if image else "",
        f"Revision: {image['revision']}, release {image['release']}" if image else "",
        f"Seconds: {', '.join(_seconds(phases, ended))}",
        f"Logs: docker logs --tail 50 {container}; files: {directory}" if not check_mode else "",
        _next("" if nothing else then, check_mode and not nothing),
    ]
    return [*filter(None, lines), *(f"Warning: {caution}" for caution in cautions)]


def closing(
    lines: Sequence[str],
    phases: Sequence[Mapping[str, Any]],
    ended: float,
    then: str,
    check_mode: bool,
    changes: bool = True,
) -> list[str]:
    """Return the lines that a play ends with: what it did, how long that took, and what is useful next.

    Args:
        lines: what it did; empty ones are left out.
        phases: the ``name`` of each phase, and ``at``, when it began (seconds since 1970).
        ended: when the last phase ended (seconds since 1970).
        then: a play or a command, and what it does.
        changes: whether it changed anything, or would, as far as it is known.
    """
    seconds = f"Seconds: {', '.join(_seconds(phases, ended))}"
    then = then if changes or not check_mode else _UNCHANGED
    return [*filter(None, lines), seconds, *filter(None, [_next(then, check_mode and changes)])]


def schedule(
    jobs: Mapping[str, str],
    *,
    by: str,
    changed: Sequence[str],
    next_runs: Mapping[str, str],
    keep: Mapping[str, int],
    repository: str,
    check_mode: bool,
) -> list[str]:
    """Return the lines about what a host does by itself.

    Args:
        jobs: when each of them runs, as systemd or cron has it; empty or ``@reboot`` for one that runs at each start.
        by: what runs them.
        changed: what is another one than before.
        next_runs: when jobs run next, as far as that is known.
        keep: how many sets the rules of the retention keep: ``last``, ``daily``, ``weekly``, ``monthly``, ``yearly``.
        repository: where copies of the sets go; empty for nowhere.
    """
    what = "Would be changed" if check_mode else "Changed"
    return [
        f"{what}: {', '.join(changed)}." if changed else "Nothing had to be changed.",
        *(f"{by} runs {job} {_when(when, next_runs.get(job, ''))}." for job, when in jobs.items()),
        *(() if jobs else ("Nothing of this application is scheduled on this host.",)),
        *((_kept(keep), _copied(repository)) if "backup" in jobs else ()),
    ]


def _when(when: str, next_run: str) -> str:
    if when in ("", "@reboot"):
        return "when the host starts" if when else "when the host or the engine starts"
    return f"at {when}{f', next at {next_run}' if next_run else ''}"


def _kept(keep: Mapping[str, int]) -> str:
    """Return the retention as a sentence; the same set may be kept by several rules."""
    periods = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}
    newest = [counted(keep[rule], period) for rule, period in periods.items() if keep.get(rule)]
    rules = [
        *([f"the last {counted(keep['last'], 'set')}"] if keep.get("last") else ()),
        *([f"the newest set of each of {', '.join(newest)}"] if newest else ()),
    ]
    return f"Retention: {' and '.join(rules)}."


def _copied(repository: str) -> str:
    if not repository:
        return "Off-site: nothing is copied, so the sets are lost with this host."
    return f"Off-site: copies go to {shown(repository)}."


def _next(then: str, check_mode: bool) -> str:
    """Return the sentence about what is useful next; empty when nothing is."""
    then = "the same without --check does it" if check_mode else then
    return f"Next: {then}." if then else ""


def _seconds(phases: Sequence[Mapping[str, Any]], ended: float) -> list[str]:
    ends = [*(phase["at"] for phase in phases[1:]), ended]
    # Two that begin at the same time may be a few microseconds apart, either way.
    return [f"{phase['name']} {max(0.0, until - phase['at']):.1f}" for phase, until in zip(phases, ends)]


def stop(before: Mapping[str, Any], stopped: Mapping[str, Any], container: str, grace: float, check_mode: bool) -> str:
    """Return what stopping a container came to.

    Args:
        before: the container as the engine described it, empty when there is none.
        stopped: the result of the task that stopped it: ``changed``, and ``container`` as it is now.
        grace: the seconds between SIGTERM and SIGKILL.
    """
    if not before:
        return f"There is no container {container}, so there is nothing to stop."
    if stopped.get("changed") and check_mode:
        return f"{container} would be stopped, with {grace} s to end after SIGTERM."
    code = (stopped.get("container") or before)["State"]["ExitCode"]
    if not stopped.get("changed"):
        return f"{container} does not run; its last exit code is {code}."
    if code == _KILLED:
        return (
            f"Warning: {container} did not end within {grace} s of SIGTERM and was killed (exit code {code}), so its "
            "last work may be lost. Let it handle SIGTERM, or deploy it with a longer stop grace period."
        )
    return f"{container} was stopped and ended by itself with exit code {code}."
