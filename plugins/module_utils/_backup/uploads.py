# SPDX-License-Identifier: GPL-3.0-or-later
"""Which uploads rows name; and which of them are not there any more, when a set brings back the database alone."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Optional, Tuple

from .._core.errors import DockerVpsError
from .._core.manifest import upload_path
from .._core.text import counted, listed, shown
from .._store import sqlite, tree
from .._store.files import SCRATCH, refused

WITHIN = 60.0
"""Seconds that queries of uploads may take in all."""
WITHIN_STOPPED = 10.0
"""The same while the application is stopped or paused for it."""


@dataclass(frozen=True)
class UploadsQuery:
    """A query whose first column is the path of an upload, and the volume that has the uploads."""

    query: str
    volume: str


def with_gone(
    would_lose: Mapping[str, Any],
    asked: UploadsQuery,
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
        gone = sorted(name for name in _named_by_set(asked.query, needed, unpack) if not _is_there(root, name))
    except DockerVpsError as error:
        sentence = f"Which uploads its rows name that are gone cannot be determined: {error.message.rstrip('.')}."
        return {**would_lose, "summary": f"{would_lose['summary']} {sentence}"}
    if not gone:
        return dict(would_lose)
    number = f"{counted(len(gone), 'upload')} that its rows name {'is' if len(gone) == 1 else 'are'}"
    sentence = f"{number} not in {asked.volume}: {listed(list(map(shown, gone)))}."
    return {**would_lose, "uploads_gone": len(gone), "summary": f"{would_lose['summary']} {sentence}"}


def uploads_named(query: str, databases: Iterable[Tuple[str, str]], within: float = WITHIN) -> frozenset[str]:
    """Return the paths of the uploads that the first database which can answer names.

    Args:
        query: its first column is the path of an upload.
        databases: what each is called, and where it is.
        within: seconds that all may take together.

    Raises:
        DockerVpsError: none can answer.
    """
    until, problem = time.monotonic() + within, DockerVpsError("there is no database")
    for name, path in databases:
        left = until - time.monotonic()
        if left < 1:
            break
        try:
            return frozenset(map(upload_path, sqlite.names(path, query, within=left))) - {""}
        except DockerVpsError as error:
            problem = DockerVpsError(error.message.replace(path, name))
    raise problem


def _named_by_set(query: str, needed: int, unpack: Callable[[str], None]) -> frozenset[str]:
    """Return the paths of the uploads that the databases of a set name."""
    try:
        free = shutil.disk_usage(SCRATCH).free
        if free < needed:
            has, needs = free // 1024**2, needed // 1024**2
            raise DockerVpsError(f"{SCRATCH} has {has} MiB free, and it needs {needs} MiB. Free some there.")
        with tempfile.TemporaryDirectory(prefix="docker-vps-uploads-", dir=SCRATCH) as scratch:
            place = os.path.join(scratch, "set")
            os.mkdir(place, mode=0o700)
            unpack(place)
            return uploads_named(
                query, [(shown(path), os.path.join(place, path)) for path in tree.survey(place).databases]
            )
    except OSError as error:
        raise refused(f"{SCRATCH} cannot take the databases of the set", error, SCRATCH) from error


def _is_there(root: Optional[str], path: str) -> bool:
    inside = root is not None and not os.path.isabs(path) and path.split(os.sep)[0] != os.pardir and "\0" not in path
    return inside and os.path.lexists(os.path.join(str(root), path))
