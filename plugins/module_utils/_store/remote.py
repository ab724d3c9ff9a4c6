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
from .files import open_regular
from .restic import ResticSnapshot
from .sets import RESTORE, BackupSet, Sets

MANIFEST = "manifest.json"
SUFFIX = ".tar"
FETCHED = "-fetched"
_TAGS = ("app", "set", "copy", "part", "bytes", "facts", "after", "consistency")
_READ = 1 << 20


class Repository(Protocol):
    """What is needed of a repository; see restic.py."""

    name: str

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
        """Ask for the removal of snapshots, and return what is said against it."""
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
    for one in repository.snapshots():
        key = _sending(one, app)
        if key:
            sendings.setdefault(key, []).append(one)
        elif _may_be_of(one, app):
            unknown.append(one)
    whole: Dict[Tuple[str, str, str], Remote] = {}
    leftovers: List[Leftover] = []
    for (host, stamp, _unused), ours in sendings.items():
        found = _whole(host, stamp, ours)
        if found:
            same = whole.get((stamp, host, found.facts))  # sent twice, or to two repositories of which one was copied
            joined = replace(found, snapshots=(*same.snapshots, *ours)) if same else found
            whole[(stamp, host, found.facts)] = joined
        elif any(_changed(one) for one in ours):
            unknown += ours
        else:
            leftovers.append(Leftover(host, stamp, tuple(ours)))
    last_first = sorted(whole.values(), key=lambda one: (one.made, one.host, one.facts), reverse=True)
    return FoundSets(last_first, leftovers, unknown)


def _sending(one: ResticSnapshot, app: str) -> Optional[Tuple[str, str, str]]:
    """Return which sending a snapshot belongs to, by host, timestamp and its random tag; None when it does not say."""
    stamps, copies = _tags(one, "set"), _tags(one, "copy")
    if _tags(one, "app") != [app] or len(stamps) != 1 or len(copies) != 1 or not _has_our_name(one):
        return None
    try:
        time_of(stamps[0])
    except InvalidInput:
        return None
    return one.host, stamps[0], copies[0]


def _may_be_of(one: ResticSnapshot, app: str) -> bool:
    """Return whether a snapshot may be of a set whose tags were changed; a repository also holds what is nobody's."""
    apps = _tags(one, "app")
    return _has_our_name(one) and (app in apps or (one.touched and not apps))


def _has_our_name(one: ResticSnapshot) -> bool:
    return one.name == MANIFEST or one.name.endswith(SUFFIX)


def _changed(one: ResticSnapshot) -> bool:
    return one.touched or any(tag.partition("=")[0] not in _TAGS for tag in one.tags)


def _whole(host: str, stamp: str, ours: Sequence[ResticSnapshot]) -> Optional[Remote]:
    """Return the set that snapshots of one sending make; rewritten ones may lie beside those that they come from."""
    files = {one.name: one for one in ours}
    manifest = files.get(MANIFEST)
    if not manifest:
        return None
    names, total, facts = _tags(manifest, "part"), _tags(manifest, "bytes"), _tags(manifest, "facts")
    parts = {name: files[name + SUFFIX] for name in names if name + SUFFIX in files}
    after = (_tags(manifest, "after") or [""])[0]
    if len(parts) != len(names) or len(facts) != 1 or len(total) != 1 or not total[0].isdecimal():
        return None
    imported = IMPORTED in _tags(manifest, "consistency")
    return Remote(host, stamp, facts[0], manifest, parts, int(total[0]), tuple(ours), after, imported)


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
    archives = sorted(f"{one.name} {one.volume} {one.plain_bytes} {one.files}" for one in manifest.archives)
    facts = [*of_all, *archives]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def plain_bytes(one: BackupSet) -> int:
    """Return how many bytes of a set are sent before deduplication."""
    return sum(archive.plain_bytes for archive in one.manifest.archives)


def send(one: BackupSet, repository: Repository, app: str, host: str) -> int:
    """Send a set, and return how many bytes the repository did not have yet.

    Raises:
        DockerVpsError: a file is missing or damaged, or cannot be stored; then the set is not there.
    """
    tags = [f"app={app}", f"set={one.manifest.id}", f"copy={secrets.token_hex(8)}"]
    with contextlib.ExitStack() as stack:
        # All are open before the first is sent, so that a prune meanwhile takes nothing away.
        files = [stack.enter_context(_opened(one, archive)) for archive in one.manifest.archives]
        added = sum(
            repository.save(archive.name + SUFFIX, _plain(one, archive, file), host, one.time, tags)
            for archive, file in zip(one.manifest.archives, files)
        )
    tags += [f"bytes={plain_bytes(one)}", f"facts={fingerprint(one.manifest)}"]
    tags += [f"part={archive.name}" for archive in one.manifest.archives]
    tags += [f"consistency={one.manifest.consistency}"]
    tags += [f"after={one.manifest.after}"] if one.manifest.after else []
    return added + repository.save(MANIFEST, [write(one.manifest).encode()], host, one.time, tags)


def _opened(one: BackupSet, archive: Archive) -> BinaryIO:
    try:
        return open_regular(one.path(archive))
    except OSError as error:
        raise DockerVpsError(
            f"{one.path(archive)} cannot be read: {error.strerror}, so nothing of set {one.manifest.id} was sent. "
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
            f"{one.path(archive)} is damaged, so set {one.manifest.id} was not sent: {error.message} "
            "Make a new backup, and copy that."
        ) from error


def fetch(one: Remote, repository: Repository, sets: Sets) -> BackupSet:
    """Bring a set back, with its archives not compressed, in the place of a broken one; under the lock of the sets.

    Raises:
        DockerVpsError: it cannot be read, or is not what its manifest says; then everything is as before.
    """
    folder = os.path.join(sets.directory, RESTORE + one.id + FETCHED)
    if os.path.isdir(folder):  # a killed fetch left it
        sets.discard(folder)
    sets.begin(one.id + FETCHED, RESTORE)
    try:
        manifest = _manifest(one, repository)
        if fingerprint(manifest) != one.facts or {archive.name for archive in manifest.archives} != set(one.archives):
            raise Damaged(
                f"Set {one.id} in {repository.name} is not what its manifest describes: somebody has changed its "
                "snapshots. Fetch another set."
            )
        archives = tuple(_brought(folder, one, archive, repository) for archive in manifest.archives)
    except BaseException:
        sets.discard(folder)
        raise
    published = sets.publish(folder, replace(manifest, archives=archives))
    for archive in manifest.archives:  # what is left of it in another compression belongs to no manifest now
        if archive.file != archive_file(archive.name, one.id, "none"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(published.path(archive))
    return published


def _manifest(one: Remote, repository: Repository) -> Manifest:
    """Return the manifest of a set.

    Raises:
        DockerVpsError: it cannot be read, or is none; of an endless one little is read beyond what a manifest may have.
    """
    text = bytearray()
    for block in repository.load(one.manifest):
        text += block
        if len(text) > LARGEST:
            raise Damaged(
                f"The manifest of set {one.id} in {repository.name} has more than {LARGEST} bytes, so it is none. "
                "Fetch another set."
            )
    return parse(text.decode("utf-8", "replace"), manifest_file(one.id))


def _brought(folder: str, one: Remote, archive: Archive, repository: Repository) -> Archive:
    """Write an archive into a folder, durably, and return what its manifest has to say now."""
    file = archive_file(archive.name, one.id, "none")
    digest, count = hashlib.sha256(), 0
    with open(os.path.join(folder, file), "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        for block in repository.load(one.archives[archive.name]):
            count += len(block)
            if count > archive.plain_bytes:
                break  # it would fill the disk with what nobody looked for room for
            out.write(block)
            digest.update(block)
        out.flush()
        os.fsync(out.fileno())
    if count != archive.plain_bytes:
        raise Damaged(
            f"The archive {archive.name} of set {one.id} in {repository.name} does not have the "
            f"{archive.plain_bytes} bytes that its manifest says. Fetch another set."
        )
    return replace(archive, file=file, compression="none", sha256=digest.hexdigest(), bytes=count)
