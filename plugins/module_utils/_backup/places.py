# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the data of volumes can be exchanged where it is, and takes nothing along that is not its own."""

from __future__ import annotations

import os
from typing import Mapping

from .._core.errors import DockerVpsError
from .._core.remedies import setting
from .._engine.port import EnginePort
from .._store.place import hindrance, holds
from .users import place_of

_SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr")


def refuse_places(places: Mapping[str, str], sets: str, engine: EnginePort) -> None:
    """Refuse what would fail, or take more along than it should, when directories are exchanged for others.

    Args:
        places: by the names of volumes.
        sets: where the backup sets are.

    Raises:
        DockerVpsError: which directory, why, and what to do.
    """
    for volume in places:
        why = why_not(volume, places, sets, engine)
        if why:
            raise DockerVpsError(f"{why} Nothing was changed.")


def why_not(volume: str, places: Mapping[str, str], sets: str, engine: EnginePort) -> str:
    """Return why the data of one of these volumes cannot be exchanged, as sentences; empty when it can."""
    place = places[volume]
    return holding_sets(volume, place, sets) or _holding_others(volume, places, engine) or hindrance(place)


def holding_sets(volume: str, place: str, sets: str) -> str:
    """Return a sentence when the backup sets are in the data of a volume."""
    if not holds(place, os.path.realpath(sets)):
        return ""
    return (
        f"The backup sets are in {sets}, which is in the directory {place} of the volume {volume}: each set would hold "
        "the ones before, and a restore would move all of them away. Move the sets to a directory outside."
    )


def _holding_others(volume: str, places: Mapping[str, str], engine: EnginePort) -> str:
    place = places[volume]
    for name, other in {**{entry["Name"]: place_of(entry) for entry in engine.all_volumes()}, **places}.items():
        # Another name of the same directory means no harm, unless both are to be exchanged.
        if name != volume and other and holds(place, other) and (other != place or name in places):
            return (
                f"The directory {other} of the volume {name} is in the directory {place} of the volume {volume}: what "
                f"takes the place of {volume} takes that of {name}, too. Give each volume a directory of its own."
            )
    return ""


def refuse_new_place(volume: str, place: str) -> None:
    """Refuse a directory for a volume that is yet to be made, unless it is there, and is meant for nothing else.

    Raises:
        DockerVpsError: which directory, why, and what to do.
    """
    if not os.path.isdir(place):
        raise DockerVpsError(
            f"The volume {volume} was bound to the directory {place}, which is not on this host. Make it on the disk "
            f"that is meant for it (mkdir -p {place}), or restore into another volume ({setting('restore_volumes')}). "
            "Nothing was changed."
        )
    if os.listdir(place) or any(holds(directory, place) for directory in _SYSTEM):
        raise DockerVpsError(
            f"The volume {volume} was bound to the directory {place}, in which something else is on this host. Empty "
            "it, or make the volume yourself (docker volume create) if that may be replaced. Nothing was changed."
        )
