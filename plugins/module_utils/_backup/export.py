# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a set into another directory as plain archives, so that any tar opens them and a restore works from there.

The chunks of an archive, one after the other, are its compressed file; so nothing is decompressed.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Optional

from .._core.clock import WallClock
from .._core.errors import DockerVpsError, InvalidInput
from .._core.manifest import Archive, archive_file, manifest_file
from .._core.remedies import once, play, setting
from .._core.tar_members import Damaged
from .._core.text import size
from .._store.files import refused
from .._store.packed import opened
from .._store.progress_file import begin_step
from .._store.remote import copied, fingerprint
from .._store.sets import BackupSet, Sets
from .backup import RESERVE, result_of
from .verify import problems

_BLOCK = 1 << 20  # bytes
_OTHERS_WRITE = 0o022


@dataclass(frozen=True)
class Params:
    """Which set, and the directory for it, which is made when it is missing."""

    set: str
    directory: str


def run(params: Params, sets: Sets, clock: WallClock, check_mode: bool) -> dict[str, Any]:
    """Export a set, unless it is there and whole already; in check mode only read it.

    Raises:
        DockerVpsError: it is damaged, or cannot be written; then nothing of it is left.
    """
    if not os.path.isabs(params.directory):
        raise InvalidInput(
            f"{setting('export_directory')} must be an absolute path on the host, but is {params.directory!r}. Name "
            "the directory for the export, such as /mnt/usb/shop."
        )
    place = os.path.realpath(params.directory)
    with ExitStack() as locks:
        if not check_mode and os.path.isdir(sets.directory):
            locks.enter_context(sets.lock("an export"))
        backup_set = sets.find(params.set, clock.utc())
        target = Sets(place, backup_set.manifest.app)
        _refuse_place(backup_set, place)
        existing = _existing(backup_set, target)
        if existing and _is_plain(existing) and not problems(existing, "checksum"):
            return {"changed": False, **result_of(existing), "summary": f"{_sentence(existing, 'is already', place)}."}
        _refuse_wrong(backup_set, target)
        if check_mode:
            for archive in backup_set.manifest.archives:
                _written(backup_set, archive, None)
            return {"changed": True, "set": {}, "summary": f"{_sentence(backup_set, 'would be written', place)}."}
        if not os.path.isdir(place):
            target.prepare()
        if place != os.path.realpath(sets.directory):
            locks.enter_context(target.lock("an export"))
        made = _exported(backup_set, target, existing)
    manifest = os.path.join(place, manifest_file(made.manifest.id))
    summary = f"{_sentence(made, 'was written', place)}. A restore takes {manifest} as its set."
    return {"changed": True, **result_of(made), "summary": summary}


def _sentence(backup_set: BackupSet, what: str, place: str) -> str:
    manifest = backup_set.manifest
    files = ", ".join(_file(backup_set, archive) for archive in manifest.archives)
    total = size(sum(archive.bytes for archive in manifest.archives))
    where = "in" if what == "is already" else "into"
    return f"Set {manifest.id} of {manifest.app} {what} {where} {place}: {files}, {total}"


def _file(backup_set: BackupSet, archive: Archive) -> str:
    return archive_file(archive.name, backup_set.manifest.id, archive.compression)


def _refuse_place(backup_set: BackupSet, place: str) -> None:
    source = os.path.realpath(backup_set.directory)
    if os.path.commonpath([source, place]) == source:
        raise InvalidInput(
            f"The set {backup_set.manifest.id} is in {source}, so it cannot be exported into {place}. "
            "Name a directory elsewhere, on another disk for example."
        )
    try:
        mode = os.stat(place).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise refused(f"{place} cannot be inspected", error, place) from error
    if not os.path.isdir(place):
        raise InvalidInput(f"{place} is not a directory, so nothing can be exported into it. Name another path.")
    if mode & _OTHERS_WRITE:
        raise InvalidInput(
            f"Others than its owner may write into {place}, and could exchange what is exported there. Name a "
            "directory in it, which will be made for its owner only."
        )


def _existing(backup_set: BackupSet, target: Sets) -> Optional[BackupSet]:
    """Return what is there of the set already, whole or not.

    Raises:
        DockerVpsError: what is there is another set of the same second, or has a manifest that cannot be read.
    """
    manifest = backup_set.manifest
    path = os.path.join(target.directory, manifest_file(manifest.id))
    if not os.path.lexists(path):
        return None
    try:
        existing = target.find(path, backup_set.time)
    except DockerVpsError as error:
        error.also("Remove it if nobody needs it, or export into another directory.")
        raise
    if fingerprint(existing.manifest) != fingerprint(manifest):
        raise DockerVpsError(
            f"{target.directory} has another set of the second {manifest.id}, of {existing.manifest.app} on "
            f"{existing.manifest.host}. Export into another directory."
        )
    return existing


def _is_plain(backup_set: BackupSet) -> bool:
    return not any(archive.shared for archive in backup_set.manifest.archives)


def _refuse_wrong(backup_set: BackupSet, target: Sets) -> None:
    """Refuse a set that is not whole at a glance, and a disk without space for it."""
    absent = backup_set.absent()
    if absent:
        raise DockerVpsError(
            f"The set {backup_set.manifest.id} in {backup_set.directory} is not whole: {'; '.join(absent)}. "
            f"Export another set; {play('backup_list')} shows them.{_healing(backup_set)}"
        )
    needed = sum(archive.bytes for archive in backup_set.manifest.archives) + RESERVE
    free = target.free()
    if free < needed:
        raise DockerVpsError(
            f"{target.directory} has {free // 1024**2} MiB free, and the export needs {needed // 1024**2} MiB. Free "
            "some space there, or name a directory on a larger disk.",
            free_bytes=free,
            needed_bytes=needed,
        )


def _healing(backup_set: BackupSet) -> str:
    if _is_plain(backup_set):
        return ""
    return (
        f" Where the data of the application is still the same, a backup with {once('backup_reread', '1')} makes "
        "damaged chunks again."
    )


def _exported(backup_set: BackupSet, target: Sets, broken: Optional[BackupSet]) -> BackupSet:
    """Write a set, instead of a broken export of it; under the lock of the target."""
    manifest = backup_set.manifest
    folder = target.workspace(manifest.id)
    if os.path.isdir(folder):  # a killed export left it
        target.discard(folder)
    target.begin(manifest.id)
    try:
        archives = tuple(_written(backup_set, archive, folder) for archive in manifest.archives)
        for problem in target.remove([broken] if broken else []):
            raise problem
        return target.publish(folder, replace(manifest, archives=archives))
    except BaseException:
        target.discard(folder)
        raise


def _written(backup_set: BackupSet, archive: Archive, folder: Optional[str]) -> Archive:
    """Write an archive into a folder, durably, and return what its manifest has to say; None only reads it.

    Raises:
        Damaged: it is not what its manifest says.
        DockerVpsError: it cannot be read, or not be written.
    """
    file, path, set_id = _file(backup_set, archive), backup_set.path(archive), backup_set.manifest.id
    begin_step(f"{file} is {'written' if folder else 'read'}", archive.bytes)
    target = os.path.join(folder, file) if folder else os.devnull
    try:
        with open(target, "wb", opener=_private) as out:
            sha256 = _copied(path, archive, out)
            if folder:
                out.flush()
                os.fsync(out.fileno())
    except Damaged as error:
        raise Damaged(
            f"{path} is damaged, so set {set_id} was not exported: {error.message} Export another set; "
            f"{play('backup_list')} shows them.{_healing(backup_set)}"
        ) from error
    except OSError as error:
        doing = f"exported into {folder}" if folder else "read"
        raise refused(f"{path} cannot be {doing}", error, folder or path) from error
    return replace(archive, file=file, sha256=sha256, index="")


def _copied(path: str, archive: Archive, out: BinaryIO) -> str:
    """Copy the compressed bytes of an archive, and return their digest (hexadecimal)."""
    with opened(path) as source:
        sha256, count = copied(iter(lambda: source.read(_BLOCK), b""), out, archive.bytes)
    if (source.sha256, count) != (archive.sha256, archive.bytes):
        raise Damaged("Its sha256 is not that of the manifest.")
    return sha256


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
