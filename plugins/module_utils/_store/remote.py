# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of backup sets in a restic repository, where unchanged data is sent and kept once.

Each archive is one snapshot, and the manifest another one, sent last, whose tags name the archives' snapshots. So a set
is there as a whole or not at all, also where nothing may be removed (a server in append-only mode): a snapshot that no
manifest names is what an interrupted copy left. Compressed data cannot be deduplicated, so plain tar is sent.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass, replace
from datetime import datetime
from typing import BinaryIO, Iterable, Iterator, Mapping, Optional, Protocol, Sequence

from .._core.catalog import Archive, archive_file, manifest_file, parse, write
from .._core.errors import DockerVpsError
from .._core.members import Damaged
from .compression import Decompressed
from .restic import Saved, Snapshot
from .sets import RESTORE, BackupSet, Sets

MANIFEST = "manifest.json"
SUFFIX = ".tar"
FETCHED = "-fetched"
_READ = 1 << 20


class Repository(Protocol):
    """What is needed of a repository; see restic.py."""

    name: str

    def snapshots(self, app: str) -> Sequence[Snapshot]:
        """Return what is there of an application."""
        raise NotImplementedError

    def save(self, name: str, blocks: Iterable[bytes], app: str, time: datetime, tags: Sequence[str]) -> Saved:
        """Send a file."""
        raise NotImplementedError

    def load(self, snapshot: Snapshot) -> Iterator[bytes]:
        """Yield the blocks of a file."""
        raise NotImplementedError


@dataclass(frozen=True)
class Remote:
    """A set in a repository: the snapshots of its manifest and, by name, of its archives; ``bytes`` are plain."""

    stamp: str
    manifest: Snapshot
    archives: Mapping[str, Snapshot]
    bytes: int

    @property
    def snapshots(self) -> Sequence[Snapshot]:
        """All that is kept or removed together."""
        return [self.manifest, *self.archives.values()]


def sets_in(repository: Repository, app: str) -> tuple[Sequence[Remote], Sequence[Snapshot]]:
    """Return the whole sets of an application, newest first, and the snapshots that belong to none of them.

    Raises:
        DockerVpsError: the repository cannot be read.
    """
    by_stamp: dict[str, list[Snapshot]] = {}
    for one in repository.snapshots(app):
        for stamp in _tags(one, "set"):  # a snapshot without this tag is somebody else's
            by_stamp.setdefault(stamp, []).append(one)
    found: list[Remote] = []
    strays: list[Snapshot] = []
    for stamp, ours in sorted(by_stamp.items(), reverse=True):
        whole = next(filter(None, (_whole(stamp, one, ours) for one in ours)), None)
        found += [whole] if whole else []
        strays += [one for one in ours if not whole or one not in whole.snapshots]
    return found, strays


def _whole(stamp: str, manifest: Snapshot, ours: Sequence[Snapshot]) -> Optional[Remote]:
    if manifest.name != MANIFEST:
        return None
    ids = tuple(_tags(manifest, "part"))
    parts = {one.name[: -len(SUFFIX)]: one for one in ours if one.id.startswith(ids)}
    return Remote(stamp, manifest, parts, int(_tags(manifest, "bytes")[0])) if len(parts) == len(ids) else None


def _tags(snapshot: Snapshot, name: str) -> list[str]:
    return [tag[len(name) + 1 :] for tag in snapshot.tags if tag.startswith(f"{name}=")]


def plain_bytes(one: BackupSet) -> int:
    """Return how many bytes of a set are sent before deduplication."""
    return sum(archive.plain_bytes for archive in one.manifest.archives)


def send(one: BackupSet, repository: Repository, app: str) -> int:
    """Send a set, and return how many bytes the repository did not have yet.

    Raises:
        DockerVpsError: a file is missing or damaged, or cannot be stored; then the set is not there.
    """
    tag = f"set={one.manifest.stamp}"
    with contextlib.ExitStack() as stack:
        # All are open before the first is sent, so that a prune meanwhile takes nothing away.
        files = [stack.enter_context(_opened(one, archive)) for archive in one.manifest.archives]
        saved = [
            repository.save(archive.name + SUFFIX, _plain(one, archive, file), app, one.time, [tag])
            for archive, file in zip(one.manifest.archives, files)
        ]
    tags = [tag, f"bytes={plain_bytes(one)}", *(f"part={part.id}" for part in saved)]
    saved.append(repository.save(MANIFEST, [write(one.manifest).encode()], app, one.time, tags))
    return sum(part.added for part in saved)


def _opened(one: BackupSet, archive: Archive) -> BinaryIO:
    try:
        return open(one.path(archive), "rb")
    except OSError as error:
        raise DockerVpsError(
            f"{one.path(archive)} cannot be read: {error.strerror}, so nothing of set {one.manifest.stamp} was sent. "
            "Make a new backup, and copy that."
        ) from error


def _plain(one: BackupSet, archive: Archive, file: BinaryIO) -> Iterator[bytes]:
    """Yield an archive's plain bytes; a damaged one ends with an exception, so that no copy of it is kept."""
    stream = Decompressed(file, archive.compression)
    try:
        yield from iter(lambda: stream.read(_READ), b"")
        if stream.sha256 != archive.sha256:
            raise Damaged("Its sha256 is not that of the manifest.")
    except Damaged as error:
        raise Damaged(
            f"{one.path(archive)} is damaged, so set {one.manifest.stamp} was not sent: {error.message} "
            "Make a new backup, and copy that."
        ) from error


def fetch(one: Remote, repository: Repository, sets: Sets) -> BackupSet:
    """Bring a set back, with its archives not compressed, in the place of a broken one; under the lock of the sets.

    Raises:
        DockerVpsError: it cannot be read, or is not what its manifest says; then everything is as before.
    """
    folder = os.path.join(sets.directory, RESTORE + one.stamp + FETCHED)
    if os.path.isdir(folder):  # a killed fetch left it
        sets.discard(folder)
    sets.begin(one.stamp + FETCHED, RESTORE)
    try:
        text = b"".join(repository.load(one.manifest)).decode("utf-8", "replace")
        manifest = parse(text, manifest_file(one.stamp))
        if sorted(archive.name for archive in manifest.archives) != sorted(one.archives):
            raise Damaged(f"Set {one.stamp} in {repository.name} has other archives than its manifest says.")
        archives = tuple(_brought(folder, one, archive, repository) for archive in manifest.archives)
    except BaseException:
        sets.discard(folder)
        raise
    published = sets.publish(folder, replace(manifest, archives=archives))
    for archive in manifest.archives:  # what is left of it in another compression belongs to no manifest now
        if archive.file != archive_file(archive.name, one.stamp, "none"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(published.path(archive))
    return published


def _brought(folder: str, one: Remote, archive: Archive, repository: Repository) -> Archive:
    """Write an archive into a folder, durably, and return what its manifest has to say now."""
    file = archive_file(archive.name, one.stamp, "none")
    digest, count = hashlib.sha256(), 0
    with open(os.path.join(folder, file), "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        for block in repository.load(one.archives[archive.name]):
            out.write(block)
            digest.update(block)
            count += len(block)
        out.flush()
        os.fsync(out.fileno())
    if count != archive.plain_bytes:
        raise Damaged(
            f"The archive {archive.name} of set {one.stamp} in {repository.name} has {count} bytes, and its manifest "
            f"says {archive.plain_bytes}. Fetch another set."
        )
    return replace(archive, file=file, compression="none", sha256=digest.hexdigest(), bytes=count)
