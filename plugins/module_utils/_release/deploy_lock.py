# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the lock of a play, when no backup or restore has the application halted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from .._backup.journal import wait_while_halted
from .._core.deploy_lock import LockRules, Owner
from .._store import deploy_lock
from .._store.releases import Releases
from .._store.sets import Sets


@dataclass(frozen=True)
class Params:
    """Whose lock it is, and what to wait for, in seconds."""

    path: str
    owner: Owner
    rules: LockRules
    backups: str = ""
    wait: float = 0.0


def run(params: Params, now: float, check_mode: bool) -> dict[str, Any]:
    """Take the lock, or in check mode look who has it.

    Args:
        now: seconds since 1970.

    Raises:
        Held: another play has it.
        Locked: a backup or restore that has halted the application does not end.
        DockerVpsError: it cannot be written.
    """
    directory = os.path.dirname(params.path)
    interrupted = Releases(directory, "").unfinished()
    if check_mode:
        existing = deploy_lock.look(params.path)
        other = existing is not None and existing.owner.key != params.owner.key
        message = f"{existing.description(now)}, and holds {params.path}." if existing and other else ""
        return {"changed": False, "held": False, "message": message, "interrupted": interrupted}
    if params.backups:
        wait_while_halted(Sets(params.backups, ""), params.owner.purpose or "this play", params.wait)
    message = deploy_lock.take(params.path, params.owner, params.rules, now)[1]
    return {"changed": False, "held": True, "message": message, "interrupted": interrupted}
