# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the data of a volume lies on this host, and who uses it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional, Protocol, Sequence

from .._core.catalog import Release
from .._core.errors import DockerVpsError
from .journal import Containers


class VolumeEngine(Containers, Protocol):
    """What backup and restore need of an engine."""

    def info(self) -> Mapping[str, Any]:
        """Return facts about the engine."""
        raise NotImplementedError

    def volume(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return a volume."""
        raise NotImplementedError

    def users(self, volume: str) -> Sequence[Mapping[str, Any]]:
        """Return the containers that mount a volume."""
        raise NotImplementedError

    def create_volume(self, name: str, driver: str, labels: Mapping[str, str]) -> None:
        """Create a volume."""
        raise NotImplementedError


@dataclass(frozen=True)
class Volume:
    """A volume that exists; ``root`` is its directory on this host."""

    name: str
    root: str
    driver: str
    labels: Mapping[str, str]


def volume_of(engine: VolumeEngine, name: str) -> Optional[Volume]:
    """Return a volume whose data this host can reach, or None when there is no such volume.

    Raises:
        DockerVpsError: its data is elsewhere, or only mounted while a container uses it.
    """
    found = engine.volume(name)
    if found is None:
        return None
    options = found.get("Options") or {}
    root = found["Mountpoint"]
    if "bind" in options.get("o", "").split(","):
        root = options["device"]
    elif found["Driver"] != "local" or options:
        raise DockerVpsError(
            f"The volume {name} cannot be read from this host's file system: its driver is {found['Driver']} with "
            f"options {dict(options) or 'none'}. Only local volumes can be backed up and restored; "
            "use the storage's own backup for this one."
        )
    if not os.path.isdir(root):
        raise DockerVpsError(
            f"The directory {root} of the volume {name} is not on this host, or may not be read. "
            "Run on the host of the engine, with become: true."
        )
    return Volume(name, os.path.realpath(root), found["Driver"], found.get("Labels") or {})


def running(engine: VolumeEngine, volumes: Iterable[str]) -> list[Mapping[str, Any]]:
    """Return the running containers that mount any of the volumes, each once, in the order of their names."""
    found = {one["Id"]: one for volume in volumes for one in engine.users(volume) if one["State"]["Running"]}
    return sorted(found.values(), key=lambda one: str(one["Name"]))


def release_of(engine: VolumeEngine, volumes: Iterable[str]) -> Release:
    """Return what runs, or ran last, on the volumes; the first container by name speaks for all."""
    users = sorted((one for volume in volumes for one in engine.users(volume)), key=lambda one: str(one["Name"]))
    users.sort(key=lambda one: not one["State"]["Running"])
    if not users:
        return Release("", "", "", "", "")
    labels = users[0]["Config"].get("Labels") or {}
    return Release(
        users[0]["Name"].lstrip("/"),
        users[0]["Config"]["Image"],
        users[0]["Image"],
        labels.get("org.opencontainers.image.revision", ""),
        labels.get("org.opencontainers.image.version", ""),
    )
