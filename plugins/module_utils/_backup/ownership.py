# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a volume is: what a manifest says must not put one application's data into the volumes of another."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from .._core.errors import DockerVpsError
from .._core.host import PROJECT_LABEL
from .._core.remedies import setting
from .._engine.port import EnginePort
from .users import users

APP = "ptnextjs.docker_vps.app"
"""The label of what serves an application from a Compose project of its own, as its replica does."""


def refuse_foreign(app: str, engine: EnginePort, volumes: Iterable[str]) -> None:
    """Refuse volumes that nobody but a manifest named, when they belong to another application.

    A volume belongs to the applications of the containers that use it, and to the Compose project in its labels. One
    that is not there, or of which neither is known, is nobody else's.

    Raises:
        DockerVpsError: which volume, and whose it is.
    """
    for volume in volumes:
        owner = _owner(engine, volume, app)
        if owner:
            raise DockerVpsError(
                f"The set names the volume {volume}, which belongs to {owner}, not to {app}, so nothing was restored. "
                "Restore a set of this application; or name the volumes for it if that is what you want "
                f"({setting('restore_volumes')}, volumes of the module volume_restore)."
            )


def _owner(engine: EnginePort, volume: str, app: str) -> Optional[str]:
    """Return which other application a volume belongs to; None when it is this one's or nobody's."""
    found = engine.volume(volume)
    if found is None:
        return None
    theirs = sorted({app_of(container["Config"].get("Labels")) for container in users(engine, volume)} - {""})
    owners = [*theirs, app_of(found.get("Labels"))]
    return None if app in owners else owners[0] or None


def app_of(labels: Optional[Mapping[str, Any]]) -> str:
    """Return the application of a container or volume, which is its Compose project unless it says otherwise."""
    return str((labels or {}).get(APP) or (labels or {}).get(PROJECT_LABEL, ""))
