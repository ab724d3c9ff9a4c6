# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the lock of a play, when no backup or restore has the application halted, and look at the host."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from .._core.deploy_lock import LockRules, Owner
from .._core.errors import DockerVpsError
from .._store import deploy_lock
from .._store.releases import Releases

BEGUN = (".partial-", ".restore-")
"""How the folders of backups and restores begin that are at work, or were killed; those of _store/sets.py."""
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

    Where a release was interrupted, that has to be set right first, so it is not looked at the host.

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
    if params.backups and _is_anything_begun(params.backups):
        # Rarely needed, and more than all the rest to compile, which every play would wait for.
        from .._backup.journal import wait_while_halted
        from .._store.sets import Sets

        wait_while_halted(Sets(params.backups, ""), params.owner.purpose or "this play", params.wait)
    message = deploy_lock.take(params.path, params.owner, params.rules, now)[1]
    return {"changed": False, "held": True, "message": message, "interrupted": interrupted}


def _is_anything_begun(directory: str) -> bool:
    try:
        return any(name.startswith(BEGUN) for name in os.listdir(directory))
    except OSError:  # whoever needs the sets says so
        return False
