# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd of the host. Without the Docker SDK, since the lock of each play imports it and the SDK takes its time."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Callable, Sequence

from .._core.errors import DockerVpsError
from .._core.health import Start
from .compose import run

WITHIN = 120.0  # seconds for one command; a start waits for other jobs
BOOTED = "/run/systemd/system"
"""There while systemd runs the host; see sd_booted(3)."""
_RFC_3339 = "%Y-%m-%dT%H:%M:%S"


def systemctl(*arguments: str) -> str:
    """Run systemctl and return its output, with times in UTC.

    Raises:
        DockerVpsError: it fails.
    """
    return run(["systemctl", *arguments], WITHIN, {**os.environ, "TZ": "UTC", "LC_ALL": "C"})


def later(unit: str, seconds: float, command: Sequence[str]) -> None:
    """Have systemd run a command once, after so many seconds; a reboot forgets it.

    Args:
        unit: the name of the timer and its service, without the ending.

    Raises:
        DockerVpsError: it refuses, such as when there is a unit of that name.
    """
    options = [f"--unit={unit}", "--collect", "--quiet", f"--on-active={seconds:g}"]
    run(["systemd-run", *options, "--timer-property=AccuracySec=100ms", "--", *command], WITHIN)


def engine_start() -> Start:
    """Return when the engine of this host was started last; None where systemd does not run it."""
    names = ("ExecMainStartTimestamp", "ActiveEnterTimestamp")
    try:
        shown = systemctl("show", "docker.service", *(f"--property={name}" for name in names))
        properties = dict(line.split("=", 1) for line in shown.splitlines())
        begun, ready = (time.strptime(properties[name], "%a %Y-%m-%d %H:%M:%S UTC") for name in names)
    except (DockerVpsError, KeyError, ValueError):
        return None
    return time.strftime(_RFC_3339, begun), time.strftime(_RFC_3339, ready)


def timers(app: str, booted: str = BOOTED) -> dict[str, str]:
    """Return when the timers of an application run next (UTC, ISO 8601), by their names; empty for one that will not.

    Args:
        booted: what is there while systemd runs the host.

    Raises:
        DockerVpsError: systemd does not run this host, or does not tell.
    """
    if not os.path.isdir(booted):
        raise DockerVpsError(
            "systemd does not run this host, and cron does not tell when it runs what. Look into /etc/cron.d."
        )
    own = re.compile(rf"{re.escape(app)}-[a-z]+\.timer")  # shop-*.timer is also what shop-blog has
    return {unit: at for unit, at in next_runs(systemctl, [f"{app}-*.timer"]).items() if own.fullmatch(unit)}


def next_runs(command: Callable[..., str], patterns: Sequence[str]) -> dict[str, str]:
    """Return when timers run next (UTC, ISO 8601), by their names; empty for one that will not.

    Args:
        command: runs systemctl with its arguments.

    Raises:
        DockerVpsError: systemd does not tell.
    """
    try:
        rows = json.loads(command("list-timers", "--all", "--output=json", *patterns))
        found = {str(row["unit"]): int(row["next"] or 0) / 1e6 for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise DockerVpsError(
            "systemctl does not list timers as JSON on this host. Run systemctl list-timers there."
        ) from error
    return {unit: time.strftime(f"{_RFC_3339}Z", time.gmtime(at)) if at else "" for unit, at in sorted(found.items())}
