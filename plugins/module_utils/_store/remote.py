# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of backup sets in a restic repository, where unchanged data is sent and kept once.

A set belongs to a host and an application: it bears the host as restic's own hostname and the application as a tag.
Each archive is one snapshot, and the manifest another one, sent last. All of one sending bear the same random tag
(``copy``), and the manifest names the archives (``part``). So a set is there as a whole or not at all, also where
nothing may be removed (a server in append-only mode). Ids would not do: ``restic tag``, ``copy`` and ``rewrite`` give
new ones, and ``original`` names the one before, which need not be the first.

Compressed data cannot be deduplicated, so plain tar is sent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import BinaryIO, Dict, Iterable, Iterator, List, Mapping, Optional, Protocol, Sequence, Tuple

from .._core.errors import DockerVpsError, InvalidInput
from .._core.manifest import (
    IMPORTED,
    LARGEST,
    Archive,
    Manifest,
    archive_file,
    made,
    manifest_file,
    parse,
    time_of,
    write,
)
from .._core.tar_members import Damaged
from .compression import Decompressed
from .lock import RESTORE
from .packed import Source, opened
from .progress_file import begin_step, count_bytes
from .restic import ResticSnapshot
from .sets import BackupSet, Sets

MANIFEST = "manifest.json"
SUFFIX = ".tar"
FETCHED = "-fetched"
_TAGS = ("app", "set", "copy", "part", "bytes", "facts", "after", "consistency")
_READ = 1 << 20


class Repository(Protocol):
    """What is needed of a repository; see restic.py."""

    @property
    def name(self) -> str:
        """What may be shown of its address."""
        raise NotImplementedError

    def snapshots(self) -> Sequence[ResticSnapshot]:
        """Return all that is there."""
        raise NotImplementedError

    def save(self, name: str, blocks: Iterable[bytes], host: str, time: datetime, tags: Sequence[str]) -> int:
        """Send a file, and return how many bytes were new."""
        raise NotImplementedError

    def load(self, snapshot: ResticSnapshot) -> Iterator[bytes]:
        """Yield the blocks of a file."""
        raise NotImplementedError

    def forget(self, snapshots: Sequence[ResticSnapshot]) -> str:
        """Ask for the removal of snapshots, and return what the storage says against it."""
        raise NotImplementedError

    def prune(self) -> None:
        """Remove the data that no snapshot needs."""
        raise NotImplementedError

    def exists(self) -> bool:
        """Return whether it is there."""
        raise NotImplementedError

    def create(self) -> None:
        """Make it."""
        raise NotImplementedError

    def check(self, read_data: str) -> None:
        """Verify everything."""
        raise NotImplementedError


@dataclass(frozen=True)
class Remote:
    """A whole set in a repository.

    Attributes:
        facts: what tells it from a set that another host made in the same second; see fingerprint.
        archives: their snapshots, by name.
        bytes: of the archives, unpacked.
        snapshots: all that is kept or removed together.
    """

    host: str
    id: str
    facts: str
    manifest: ResticSnapshot
    archives: Mapping[str, ResticSnapshot]
    bytes: int
    snapshots: Tuple[ResticSnapshot, ...]
    after: str
    imported: bool

    @property
    def time(self) -> datetime:
        """When it was begun (UTC)."""
        return time_of(self.id)

    @property
    def made(self) -> Tuple[str, bool, str]:
        """See Manifest.made."""
        return made(self.id, self.after)


@dataclass(frozen=True)
class Leftover:
    """What an interrupted copy or removal left: parts of a set, just as they were sent."""

    host: str
    id: str
    snapshots: Tuple[ResticSnapshot, ...]


@dataclass(frozen=True)
class FoundSets:
    """What is there of an application, of all hosts, the last made set first.

    ``unknown`` are snapshots that may be of its sets, but make no whole one and were changed by somebody.
    """

    sets: Sequence[Remote] = ()
    leftovers: Sequence[Leftover] = ()
    unknown: Sequence[ResticSnapshot] = ()


def look(repository: Repository, app: str) -> FoundSets:
    """Return what is there of an application.

    Raises:
        DockerVpsError: the repository cannot be read.
    """
    sendings: Dict[Tuple[str, str, str], List[ResticSnapshot]] = {}
    unknown: List[ResticSnapshot] = []
    for snapshot in repository.snapshots():
        key = _sending(snapshot, app)
        if key:
            sendings.setdefault(key, []).append(snapshot)
        elif _may_be_of(snapshot, app):
            unknown.append(snapshot)
    whole: Dict[Tuple[str, str, str], Remote] = {}
    leftovers: List[Leftover] = []
    for (host, set_id, _unused), ours in sendings.items():
        remote_set = _whole(host, set_id, ours)
        if remote_set:
            same = whole.get(
                (set_id, host, remote_set.facts)
            )  # sent twice, or to two repositories of which one was copied
            joined = replace(remote_set, snapshots=(*same.snapshots, *ours)) if same else remote_set
            whole[(set_id, host, remote_set.facts)] = joined
        elif any(_changed(snapshot) for snapshot in ours):
            unknown += ours
        else:
            leftovers.append(Leftover(host, set_id, tuple(ours)))
    last_first = sorted(
        whole.values(), key=lambda remote_set: (remote_set.made, remote_set.host, remote_set.facts), reverse=True
    )
    return FoundSets(last_first, leftovers, unknown)


def _sending(snapshot: ResticSnapshot, app: str) -> Optional[Tuple[str, str, str]]:
    """Return which sending a snapshot belongs to, by host, timestamp and its random tag; None when it does not say."""
    set_ids, copies = _tags(snapshot, "set"), _tags(snapshot, "copy")
    if _tags(snapshot, "app") != [app] or len(set_ids) != 1 or len(copies) != 1 or not _has_our_name(snapshot):
        return None
    try:
        time_of(set_ids[0])
    except InvalidInput:
        return None
    return snapshot.host, set_ids[0], copies[0]


def _may_be_of(snapshot: ResticSnapshot, app: str) -> bool:
    """Return whether a snapshot may be of a set whose tags were changed; a repository also holds what is nobody's."""
    apps = _tags(snapshot, "app")
    return _has_our_name(snapshot) and (app in apps or (snapshot.touched and not apps))


def _has_our_name(snapshot: ResticSnapshot) -> bool:
    return snapshot.name == MANIFEST or snapshot.name.endswith(SUFFIX)


def _changed(snapshot: ResticSnapshot) -> bool:
    return snapshot.touched or any(tag.partition("=")[0] not in _TAGS for tag in snapshot.tags)


def _whole(host: str, set_id: str, ours: Sequence[ResticSnapshot]) -> Optional[Remote]:
    """Return the set that snapshots of one sending make; rewritten ones may be beside those that they come from."""
    files = {snapshot.name: snapshot for snapshot in ours}
    manifest = files.get(MANIFEST)
    if not manifest:
        return None
    names, total, facts = _tags(manifest, "part"), _tags(manifest, "bytes"), _tags(manifest, "facts")
    parts = {name: files[name + SUFFIX] for name in names if name + SUFFIX in files}
    after = (_tags(manifest, "after") or [""])[0]
    if len(parts) != len(names) or len(facts) != 1 or len(total) != 1 or not total[0].isdecimal():
        return None
    imported = IMPORTED in _tags(manifest, "consistency")
    return Remote(host, set_id, facts[0], manifest, parts, int(total[0]), tuple(ours), after, imported)


def _tags(snapshot: ResticSnapshot, name: str) -> list[str]:
    return [tag[len(name) + 1 :] for tag in snapshot.tags if tag.startswith(f"{name}=")]


def fingerprint(manifest: Manifest) -> str:
    """Return what two sets of the same second differ in, and what no fetch and no drill changes."""
    of_all = (
        manifest.app,
        manifest.id,
        manifest.started,
        manifest.finished,
        manifest.host,
        manifest.release.image_id,
    )
    archives = sorted(
        f"{archive.name} {archive.volume} {archive.plain_bytes} {archive.files}" for archive in manifest.archives
    )
    facts = [*of_all, *archives]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def plain_bytes(backup_set: BackupSet) -> int:
    """Return how many bytes of a set are sent before deduplication."""
    return sum(archive.plain_bytes for archive in backup_set.manifest.archives)


def send(backup_set: BackupSet, repository: Repository, app: str, host: str) -> int:
    """Send a set, and return how many bytes the repository did not have yet.

    Raises:
        DockerVpsError: a file is missing or damaged, or cannot be stored; then the set is not there.
    """
    tags = [f"app={app}", f"set={backup_set.manifest.id}", f"copy={secrets.token_hex(8)}"]
    with contextlib.ExitStack() as stack:
        # All are open before the first is sent, so that a prune meanwhile takes nothing away.
        files = [_opened(backup_set, archive, stack) for archive in backup_set.manifest.archives]
        added = sum(
            repository.save(archive.name + SUFFIX, _plain(backup_set, archive, file), host, backup_set.time, tags)
            for archive, file in zip(backup_set.manifest.archives, files)
        )
    tags += [f"bytes={plain_bytes(backup_set)}", f"facts={fingerprint(backup_set.manifest)}"]
    tags += [f"part={archive.name}" for archive in backup_set.manifest.archives]
    tags += [f"consistency={backup_set.manifest.consistency}"]
    tags += [f"after={backup_set.manifest.after}"] if backup_set.manifest.after else []
    return added + repository.save(MANIFEST, [write(backup_set.manifest).encode()], host, backup_set.time, tags)


def _opened(backup_set: BackupSet, archive: Archive, stack: contextlib.ExitStack) -> Source:
    try:
        return stack.enter_context(opened(backup_set.path(archive)))
    except OSError as error:
        raise DockerVpsError(
            f"{backup_set.path(archive)} cannot be read: {error.strerror}, so nothing of set "
            f"{backup_set.manifest.id} was sent. Make a new backup, and copy that."
        ) from error


def _plain(backup_set: BackupSet, archive: Archive, source: Source) -> Iterator[bytes]:
    """Yield an archive's plain bytes; a damaged one ends with an exception, so that no copy of it is kept."""
    stream = Decompressed(source, archive.compression)
    begin_step(f"{archive.file} is sent", archive.plain_bytes)
    try:
        yield from iter(lambda: stream.read(_READ), b"")
        if source.sha256 != archive.sha256:
            raise Damaged("Its sha256 is not that of the manifest.")
    except Damaged as error:
        if archive.shared and not os.path.exists(
            os.path.join(backup_set.directory, manifest_file(backup_set.manifest.id))
        ):
            raise DockerVpsError(
                f"Set {backup_set.manifest.id} was removed while it was sent, so no copy of it is kept. Run it again, "
                "which sends what is there now."
            ) from error
        raise Damaged(
            f"{backup_set.path(archive)} is damaged, so set {backup_set.manifest.id} was not sent: {error.message} "
            "Make a new backup, and copy that."
        ) from error


def fetch(remote_set: Remote, repository: Repository, sets: Sets) -> BackupSet:
    """Bring a set back, with its archives not compressed, instead of a broken one; under the lock of the sets.

    Raises:
        DockerVpsError: it cannot be read, or is not what its manifest says; then everything is as before.
    """
    folder = os.path.join(sets.directory, RESTORE + remote_set.id + FETCHED)
    if os.path.isdir(folder):  # a killed fetch left it
        sets.discard(folder)
    sets.begin(remote_set.id + FETCHED, RESTORE)
    try:
        manifest = _manifest(remote_set, repository)
        names = {archive.name for archive in manifest.archives}
        if fingerprint(manifest) != remote_set.facts or names != set(remote_set.archives):
            raise Damaged(
                f"Set {remote_set.id} in {repository.name} is not what its manifest describes: somebody has changed "
                "its snapshots. Fetch another set."
            )
        archives = tuple(_brought(folder, remote_set, archive, repository) for archive in manifest.archives)
    except BaseException:
        sets.discard(folder)
        raise
    published = sets.publish(folder, replace(manifest, archives=archives))
    for archive in manifest.archives:  # what is left of it in another compression belongs to no manifest now
        for file in BackupSet(sets.directory, manifest).files(archive):
            if file != archive_file(archive.name, remote_set.id, "none"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(sets.directory, file))
    return published


def _manifest(remote_set: Remote, repository: Repository) -> Manifest:
    """Return the manifest of a set.

    Raises:
        DockerVpsError: it cannot be read, or is none; of an endless one little is read beyond what a manifest may have.
    """
    text = bytearray()
    for block in repository.load(remote_set.manifest):
        text += block
        if len(text) > LARGEST:
            raise Damaged(
                f"The manifest of set {remote_set.id} in {repository.name} has more than {LARGEST} bytes, "
                "so it is not a manifest. Fetch another set."
            )
    return parse(text.decode("utf-8", "replace"), manifest_file(remote_set.id))


def copied(blocks: Iterable[bytes], out: BinaryIO, most: int) -> Tuple[str, int]:
    """Write bytes into a file, and return their digest (hexadecimal) and number; not much beyond so many are read."""
    digest, count = hashlib.sha256(), 0
    for block in blocks:
        count += len(block)
        if count > most:
            break  # it would fill the disk with what nobody looked for space for
        out.write(block)
        digest.update(block)
        count_bytes(len(block))
    return digest.hexdigest(), count


def _brought(folder: str, remote_set: Remote, archive: Archive, repository: Repository) -> Archive:
    """Write an archive into a folder, durably, and return what its manifest has to say now."""
    file = archive_file(archive.name, remote_set.id, "none")
    begin_step(f"{file} is fetched", archive.plain_bytes)
    with open(os.path.join(folder, file), "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        sha256, count = copied(repository.load(remote_set.archives[archive.name]), out, archive.plain_bytes)
        out.flush()
        os.fsync(out.fileno())
    if count != archive.plain_bytes:
        raise Damaged(
            f"The archive {archive.name} of set {remote_set.id} in {repository.name} does not have the "
            f"{archive.plain_bytes} bytes that its manifest says. Fetch another set."
        )
    return replace(archive, file=file, compression="none", sha256=sha256, bytes=count, index="")
