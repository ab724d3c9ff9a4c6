# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a backup set of a database file that came from elsewhere, so that it is restored as any other set."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import asdict, dataclass, replace
from typing import Any

from .._core.clock import WallClock
from .._core.databases import DAMAGED
from .._core.errors import DockerVpsError, InvalidInput
from .._core.manifest import (
    FORMAT,
    IMPORTED,
    TOOL_VERSION,
    Archive,
    Database,
    Manifest,
    ReleaseOfSet,
    Uploads,
    archive_file,
    check_names,
    time_of,
)
from .._store import archive
from .._store.database_checker import DatabaseChecker, DatabaseFacts, facts
from .._store.sets import Sets
from .backup import BUSY_TIMEOUT, result_of, summary
from .databases import warnings

ROOT = "root"
KIND = "gzip"


@dataclass(frozen=True)
class Params:
    """The database file, and where it belongs: ``path`` in the ``volume``, which is archived as ``archive``."""

    file: str
    archive: str
    path: str
    volume: str
    reason: str


def run(params: Params, sets: Sets, clock: WallClock, check_mode: bool) -> dict[str, Any]:
    """Make the set and return it.

    Raises:
        DockerVpsError: the file is no whole database, or the set cannot be written; then nothing of it is left.
    """
    check_names([params.archive])
    if os.path.isabs(params.path) or os.path.normpath(params.path) != params.path or params.path.startswith(".."):
        raise InvalidInput(f"path must be a path in the volume, such as payload.db, but is {params.path!r}.")
    if check_mode:
        _whole(params, facts(params.file, live=True))
        sentence = f"A set of {params.file} as {params.archive} of {sets.app} would be made in {sets.directory}."
        return {"changed": True, "set": {}, "summary": sentence}
    sets.prepare()
    with sets.lock("an import"):
        set_id = sets.next_id(clock)
        folder = sets.begin(set_id)
        try:
            manifest = replace(_made(params, sets.app, set_id, folder), after=sets.listing().after(set_id))
            made = sets.publish(folder, manifest)
        except BaseException:
            sets.discard(folder)
            raise
    return {"changed": True, **result_of(made), "summary": summary(made)}


def _whole(params: Params, found: DatabaseFacts) -> DatabaseFacts:
    if found.check == DAMAGED:
        raise DockerVpsError(f"{params.file} is damaged, so no set was made of it. Found: {found.why}.")
    return found


def _archived(params: Params, set_id: str, folder: str) -> Archive:
    """Make the archive of the database, as the only file of a volume."""
    root = os.path.join(folder, ROOT)
    path = os.path.join(root, params.path)
    os.makedirs(os.path.dirname(path), mode=0o755)
    with DatabaseChecker() as examiner:
        copied = _whole(params, examiner.copy(params.file, path, wait=BUSY_TIMEOUT))
    owner = os.stat(path)
    for place, _unused, _unused in os.walk(root):  # whoever owns the database also makes files beside it
        os.chown(place, owner.st_uid, owner.st_gid)
        os.chmod(place, 0o755)  # noqa: S103, as Docker makes the directory of a volume
    file = archive_file(params.archive, set_id, KIND)
    written = archive.write(os.path.join(folder, file), root, KIND, instead={}, leave_out=[])
    shutil.rmtree(root)
    return Archive(
        name=params.archive,
        volume=params.volume,
        file=file,
        compression=KIND,
        sha256=written.sha256,
        bytes=written.bytes,
        plain_bytes=written.plain_bytes,
        files=written.files,
        driver="local",
        labels={},
        databases=(Database(path=params.path, **asdict(copied)),),
        inconsistent=(),
        vanished=(),
        skipped=(),
        outside_links=0,
    )


def _made(params: Params, app: str, set_id: str, folder: str) -> Manifest:
    made = _archived(params, set_id, folder)
    at = time_of(set_id).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Manifest(
        format=FORMAT,
        app=app,
        id=set_id,
        started=at,
        finished=at,
        reason=params.reason,
        consistency=IMPORTED,
        busy_timeout=BUSY_TIMEOUT,
        downtime=0.0,
        release=ReleaseOfSet("", "", "", "", ""),
        engine="",
        host=socket.gethostname(),
        tool_version=TOOL_VERSION,
        archives=(made,),
        uploads=Uploads(0, (), ""),
        warnings=(
            f"Only the archive {params.archive} is in this set, made of {os.path.basename(params.file)}",
            *warnings(made),
        ),
    )
