# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses the data of a volume: by the volume's name, or by the path of its directory."""

from __future__ import annotations

import os
from typing import Any, Mapping

from .._engine.port import EnginePort
from .._store.place import holds


def bound_to(options: Mapping[str, str]) -> str:
    """Return the directory to which a driver's options bind a volume; empty when they do not."""
    flags = {flag.strip() for flag in options.get("o", "").split(",")}
    return os.path.realpath(options["device"]) if {"bind", "rbind"} & flags and options.get("device") else ""


def place_of(volume: Mapping[str, Any]) -> str:
    """Return the directory on this host in which the data of a volume always is; empty when there is none."""
    options = volume.get("Options") or {}
    if volume["Driver"] != "local":
        return ""
    mounted_when_used = options.get("type") or options.get("device")
    return bound_to(options) or ("" if mounted_when_used else os.path.realpath(volume["Mountpoint"]))


def users(engine: EnginePort, volume: str) -> list[Mapping[str, Any]]:
    """Return what the engine knows about the containers, also stopped ones, that use the data of a volume.

    That is by its name, by another volume of the same directory, or by a path: of the directory itself, of one below
    it, or of one above it that they may write to. What mounts the directory of all volumes, or one above that, is a
    tool for the whole host and no user of one volume.
    """
    volumes = {entry["Name"]: entry for entry in engine.all_volumes()}
    places = {name: place_of(entry) for name, entry in volumes.items()}
    place = places.get(volume, "")
    shelf = os.path.dirname(os.path.dirname(os.path.realpath(volumes[volume]["Mountpoint"]))) if place else ""

    def uses(mount: Mapping[str, Any]) -> bool:
        if mount.get("Name") == volume:
            return True
        path = places.get(mount["Name"], "") if mount.get("Name") else os.path.realpath(mount.get("Source") or "/")
        if not path or not place:
            return False
        return holds(place, path) or (holds(path, place) and not holds(path, shelf) and bool(mount.get("RW", True)))

    ids = [
        container["Id"]
        for container in engine.all_containers()
        if any(uses(mount) for mount in container.get("Mounts") or ())
    ]
    return [container for container in map(engine.container, ids) if container]
