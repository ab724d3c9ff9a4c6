# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a volume is: what a manifest says must not put one application's data into the volumes of another."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from .._core.errors import DockerVpsError
from .users import users
from .volumes import VolumeEngine

PROJECT = "com.docker.compose.project"


def refuse_foreign(app: str, engine: VolumeEngine, volumes: Iterable[str]) -> None:
    """Refuse volumes that nobody but a manifest named, when they belong to another application.

    A volume belongs to the Compose projects of the containers that use it, and to that in its labels when none does.
    One that is not there, or of which neither is known, is nobody else's.

    Raises:
        DockerVpsError: which volume, and whose it is.
    """
    for volume in volumes:
        owner = _owner(engine, volume, app)
        if owner:
            raise DockerVpsError(
                f"The set names the volume {volume}, which belongs to {owner}, not to {app}, so nothing was restored. "
                "Restore a set of this application; or name the volumes for it if that is what you want "
                "(docker_vps_restore_volumes, volumes of the module volume_restore)."
            )


def _owner(engine: VolumeEngine, volume: str, app: str) -> Optional[str]:
    """Return which other application a volume belongs to; None when it is this one's or nobody's."""
    found = engine.volume(volume)
    if found is None:
        return None
    projects = sorted({_project(one["Config"].get("Labels")) for one in users(engine, volume)} - {""})
    projects = projects or [_project(found.get("Labels")) or app]
    return None if app in projects else projects[0]


def _project(labels: Optional[Mapping[str, Any]]) -> str:
    return str((labels or {}).get(PROJECT, ""))
