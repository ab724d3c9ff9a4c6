# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the data of a volume is on this host, and who uses it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional

from .._core.errors import DockerVpsError
from .._core.manifest import ReleaseOfSet
from .._core.remedies import as_root
from .._engine.port import EnginePort
from .users import place_of, users


@dataclass(frozen=True)
class Volume:
    """A volume that exists; ``root`` is its directory on this host."""

    name: str
    root: str
    driver: str
    labels: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)


def volume_of(engine: EnginePort, name: str) -> Optional[Volume]:
    """Return a volume whose data this host can reach, or None when there is no such volume.

    Raises:
        DockerVpsError: its data is elsewhere, or only mounted while a container uses it.
    """
    found = engine.volume(name)
    if found is None:
        return None
    options = found.get("Options") or {}
    root = place_of(found)
    if not root:
        raise DockerVpsError(
            f"The volume {name} cannot be read from this host's file system: its driver is {found['Driver']} with "
            f"options {dict(options) or 'none'}. Only local volumes can be backed up and restored; "
            "use the storage's own backup for this one."
        )
    if not os.path.isdir(root):
        raise DockerVpsError(
            f"The directory {root} of the volume {name} is not on this host, or may not be read. "
            f"Run on the host of the engine, {as_root()}."
        )
    return Volume(name, root, found["Driver"], found.get("Labels") or {}, options)


def running(engine: EnginePort, volumes: Iterable[str]) -> list[Mapping[str, Any]]:
    """Return the running containers that use any of the volumes, each once, in the order of their names."""
    containers = {
        container["Id"]: container
        for volume in volumes
        for container in users(engine, volume)
        if container["State"]["Running"]
    }
    return sorted(containers.values(), key=lambda container: str(container["Name"]))


def refuse_vanishing(containers: Iterable[Mapping[str, Any]]) -> None:
    """Refuse to stop containers that the engine removes when they are stopped.

    Raises:
        DockerVpsError: one is such.
    """
    names = [
        container["Name"].lstrip("/")
        for container in containers
        if (container.get("HostConfig") or {}).get("AutoRemove")
    ]
    if names:
        was, it, them = ("was", "it", "it") if len(names) == 1 else ("were", "they", "them")
        raise DockerVpsError(
            f"{', '.join(names)} {was} started with --rm: once stopped for this, {it} would be removed and could not "
            f"be started again, so nothing was changed. Stop {them} yourself (docker stop), or run {them} without --rm."
        )


def release_of(engine: EnginePort, volumes: Iterable[str]) -> ReleaseOfSet:
    """Return what runs, or ran last, on the volumes; the first container by name speaks for all.

    One that uses their data by a path does so only when nobody mounts them.
    """
    names = list(volumes)
    containers = sorted(
        (container for name in names for container in users(engine, name)), key=lambda container: str(container["Name"])
    )
    containers.sort(key=lambda container: not container["State"]["Running"])
    containers.sort(key=lambda container: not any(mount.get("Name") in names for mount in container["Mounts"]))
    if not containers:
        return ReleaseOfSet("", "", "", "", "")
    labels = containers[0]["Config"].get("Labels") or {}
    return ReleaseOfSet(
        containers[0]["Name"].lstrip("/"),
        containers[0]["Config"]["Image"],
        containers[0]["Image"],
        labels.get("org.opencontainers.image.revision", ""),
        labels.get("org.opencontainers.image.version", ""),
    )
