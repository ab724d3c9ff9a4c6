# SPDX-License-Identifier: GPL-3.0-or-later
"""Which uploads the rows of a set name that are not there any more; asked when it brings back the database alone."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from .._core.catalog import shown
from .._core.errors import DockerVpsError
from .._core.losses import counted, listed
from .._store import sqlite, tree
from .._store.files import SCRATCH


@dataclass(frozen=True)
class Asked:
    """A query whose first column is the path of an upload, and the volume that has the uploads."""

    query: str
    volume: str


def with_gone(
    would_lose: Mapping[str, Any],
    asked: Asked,
    root: Optional[str],
    needed: int,
    unpack: Callable[[str], None],
) -> dict[str, Any]:
    """Return what would be lost, with the uploads that rows would name and that are gone.

    Args:
        root: the directory of the volume with the uploads; None when there is none.
        needed: how many bytes the databases need.
        unpack: lays the databases of the set into a new directory.
    """
    try:
        gone = sorted(name for name in _named(asked.query, needed, unpack) if not _is_there(root, name))
    except DockerVpsError as error:
        told = f"Which uploads its rows name that are gone cannot be told: {error.message}"
        return {**would_lose, "summary": f"{would_lose['summary']} {told}"}
    if not gone:
        return dict(would_lose)
    number = f"{counted(len(gone), 'upload')} that its rows name {'is' if len(gone) == 1 else 'are'}"
    told = f"{number} not in {asked.volume}: {listed(list(map(shown, gone)))}."
    return {**would_lose, "uploads_gone": len(gone), "summary": f"{would_lose['summary']} {told}"}


def _named(query: str, needed: int, unpack: Callable[[str], None]) -> frozenset[str]:
    """Return the uploads that the first database which can answer names."""
    free = shutil.disk_usage(SCRATCH).free
    if free < needed:
        raise DockerVpsError(f"{SCRATCH} has {free // 1024**2} MiB free, and it needs {needed // 1024**2} MiB.")
    problem = DockerVpsError("there is no database.")
    with tempfile.TemporaryDirectory(prefix="docker-vps-uploads-", dir=SCRATCH) as scratch:
        place = os.path.join(scratch, "set")
        os.mkdir(place, mode=0o700)
        unpack(place)
        for path in tree.survey(place).databases:
            try:
                return sqlite.names(os.path.join(place, path), query)
            except DockerVpsError as error:
                problem = error
    raise problem


def _is_there(root: Optional[str], name: str) -> bool:
    path = os.path.normpath(name)
    inside = root is not None and not os.path.isabs(path) and path.split(os.sep)[0] != os.pardir and "\0" not in path
    return inside and os.path.lexists(os.path.join(str(root), path))
