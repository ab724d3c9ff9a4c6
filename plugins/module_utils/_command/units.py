# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd units of an application: written, started and removed in one go."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence

from .._core.errors import DockerVpsError, InvalidInput
from .._engine.systemd import next_runs
from .._store import files

Systemctl = Callable[..., str]
"""Runs systemctl with these arguments and returns its output."""


@dataclass(frozen=True)
class Params:
    """Units by file name, the names of those that are removed unless they are among them, and the directory."""

    units: Mapping[str, str]
    owned: Sequence[str]
    directory: str


def run(params: Params, systemctl: Systemctl, check_mode: bool) -> dict[str, Any]:
    """Bring the units to what is asked for, and return what was done.

    Raises:
        InvalidInput: a name is not that of a file.
        DockerVpsError: a file cannot be written, or systemd refuses.
    """
    wrong = [name for name in (*params.units, *params.owned) if not name or "/" in name]
    if wrong:
        raise InvalidInput(f"Units must have names of files such as shop-backup.timer, but one has {wrong[0]!r}.")
    existing = {name: _text(params, name) for name in {*params.units, *params.owned}}
    written = sorted(name for name, text in params.units.items() if existing[name] != text)
    removed = sorted(name for name in params.owned if name not in params.units and existing[name] is not None)
    timers = [name for name in params.units if name.endswith(".timer")]
    enabled, active = _enabled_and_active(systemctl, [name for name in timers if existing[name] is not None])
    linked = [name for name in timers if name in written or name not in enabled]
    started = [name for name in timers if name not in active]
    if not check_mode:
        _remove(params, systemctl, removed)
        for name in written:
            files.replace(os.path.join(params.directory, name), files.own(params.units[name], 0o644))
        _let_know(systemctl, bool(written or removed), linked, started)
    return {
        "changed": bool(written or removed or linked or started),
        "written": written,
        "removed": removed,
        "started": started,
        "next": _next(systemctl, [name for name in timers if not check_mode or name not in {*linked, *started}]),
        "diff": [_diff(params, name, existing[name]) for name in (*written, *removed)],
    }


def _text(params: Params, name: str) -> Optional[str]:
    kept = files.read(os.path.join(params.directory, name))
    return kept.text if kept else None


def _enabled_and_active(systemctl: Systemctl, timers: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return which of the timers are enabled, and which are active."""
    if not timers:
        return set(), set()
    shown = systemctl("show", "--property=Id,UnitFileState,ActiveState", *timers)
    states = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.strip().split("\n\n")]
    enabled = {state["Id"] for state in states if state["UnitFileState"] == "enabled"}
    return enabled, {state["Id"] for state in states if state["ActiveState"] == "active"}


def _remove(params: Params, systemctl: Systemctl, names: Sequence[str]) -> None:
    timers = [name for name in names if name.endswith(".timer")]
    if timers:
        systemctl("disable", "--now", *timers)
    for name in names:
        os.unlink(os.path.join(params.directory, name))


def _let_know(systemctl: Systemctl, reload: bool, linked: Sequence[str], started: Sequence[str]) -> None:
    if reload:
        systemctl("daemon-reload")
    if linked:
        systemctl("reenable", *linked)  # so that other units than before may want it
    if started:
        systemctl("start", *started)


def _next(systemctl: Systemctl, timers: Sequence[str]) -> Mapping[str, str]:
    """Return when timers run next, as far as systemd tells."""
    with contextlib.suppress(DockerVpsError):
        return next_runs(systemctl, timers) if timers else {}
    return {}


def _diff(params: Params, name: str, before: Optional[str]) -> Mapping[str, str]:
    path = os.path.join(params.directory, name)
    after = params.units.get(name, "")
    return {"before": before or "", "after": after, "before_header": path, "after_header": path}
