# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the lock of a play, when no backup or restore has the application halted, and look at the host."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from .._core.deploy_lock import LockRules, Owner
from .._core.errors import DockerVpsError
from .._store import deploy_lock
from .._store.lock import JOURNAL, LOCK, PARTIAL, RESTORE, locked
from .._store.releases import Releases

Look = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class Params:
    """Whose lock it is, and what to wait for, in seconds."""

    path: str
    owner: Owner
    rules: LockRules
    backups: str = ""
    wait: float = 0.0


def run(params: Params, now: float, check_mode: bool, look: Optional[Look] = None) -> dict[str, Any]:
    """Take the lock, or in check mode look who has it, and then look at the host.

    Where a release was interrupted, that has to be set right first, so the host is not checked.

    Args:
        now: seconds since 1970.
        look: what looks at the host.

    Raises:
        Held: another play has it.
        Locked: a backup or restore that has halted the application does not end.
        DockerVpsError: it cannot be written, or the look failed; ``held`` in the evidence is whether it is held now.
    """
    result = _taken(params, now, check_mode)
    if look is None or (result["interrupted"] and not check_mode):
        return result
    try:
        return {**result, "host": dict(look())}
    except DockerVpsError as error:
        error.evidence = {**error.evidence, **result}
        raise


def _taken(params: Params, now: float, check_mode: bool) -> dict[str, Any]:
    directory = os.path.dirname(params.path)
    interrupted = Releases(directory, "").unfinished()
    if check_mode:
        existing = deploy_lock.look(params.path)
        other = existing is not None and existing.owner.key != params.owner.key
        message = f"{existing.description(now)}, and holds {params.path}." if existing and other else ""
        return {"changed": False, "held": False, "message": message, "interrupted": interrupted}
    if params.backups and _is_halted(params.backups):
        # So that nobody takes for their own doing that containers do not run.
        with locked(os.path.join(params.backups, LOCK), params.owner.purpose or "this play", params.wait):
            pass
    message = deploy_lock.take(params.path, params.owner, params.rules, now)[1]
    return {"changed": False, "held": True, "message": message, "interrupted": interrupted}


def _is_halted(backups: str) -> bool:
    """Return whether a backup or a restore has stopped or paused containers, as far as that can be read.

    That is what _backup.journal reads. Every play takes the lock, and a host compiles again what this file imports.
    """
    try:
        folders = [name for name in os.listdir(backups) if name.startswith((PARTIAL, RESTORE))]
    except OSError:  # whoever needs the sets says so
        return False
    return any(_has_containers(os.path.join(backups, name, JOURNAL)) for name in folders)


def _has_containers(journal: str) -> bool:
    try:
        with open(journal, encoding="utf-8") as file:
            return bool(json.load(file)["containers"])
    except (OSError, ValueError, LookupError, TypeError):  # whoever recovers it says so
        return False
