# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a directory: one quick look, while others may be writing there."""

from __future__ import annotations

import math
import os
import re
import stat
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Set, Tuple

from .._core.databases import MAGIC, SAMPLE, SIDECARS, belongs, holds_changes, looks_random
from .._core.errors import DockerVpsError, next_step
from .folders import GONE, LONGEST, folders, is_too_long

# A damaged database may have any size, and must not be taken for an ordinary file: these are looked into as well.
_ENDINGS = (".db", ".db3", ".sqlite", ".sqlite3")
_BLOCK = 512  # bytes, whatever the file system: https://www.man7.org/linux/man-pages/man3/stat.3type.html
# Where Litestream keeps what it has yet to send: ``.payload.db-litestream/`` beside ``payload.db``.
_REPLICA = re.compile(r"(^|/)\.[^/]+-litestream/")
_SURELY_SHORT = LONGEST // 4  # characters, of which none has more bytes in UTF-8
_SMALLEST_PAGE = 512  # bytes; a database is a whole number of pages: https://www.sqlite.org/fileformat2.html#pages


@dataclass(frozen=True)
class Survey:
    """What a walk found. Paths are relative to its root, sorted; bytes that are not UTF-8 are surrogate escapes."""

    bytes: int  # apparent size of all regular files; one with several names counts once
    files: int  # names of regular files
    directories: int  # without the root
    sockets: Tuple[str, ...]
    devices: Tuple[str, ...]
    outside_links: int  # symbolic links whose target is absolute or climbs above the root
    databases: Tuple[str, ...]  # SQLite 3
    sidecars: Tuple[str, ...]  # -wal, -shm and -journal files of these databases
    newest: float  # latest modification of a regular file, seconds since the epoch; 0.0 when there is none
    newer: int  # regular files modified after the time that was asked for, but for those of a replica
    changed_disk: int = 0  # what those occupy of which anything changed after that time, in bytes
    disk: int = 0  # what the regular files occupy on the disk, in bytes: holes of sparse ones take nothing
    mounts: Tuple[str, ...] = ()  # directories on other file systems
    too_long: Tuple[str, ...] = ()  # paths of more than LONGEST bytes; what is below them is not checked
    replica: int = 0  # regular files that Litestream keeps beside a database
    lookalikes: Tuple[str, ...] = ()  # files beside databases with a sidecar's name that are something else
    sealed: Tuple[str, ...] = ()  # files that do not begin as a database, but have a sidecar that SQLite wrote
    noise: Tuple[str, ...] = ()  # files with a database's ending and size that look encrypted, without a sidecar
    same: Mapping[str, str] = field(default_factory=dict)  # further names of a database, and the name in use

    @property
    def left_out(self) -> Tuple[str, ...]:
        """What no archive can hold."""
        return (*self.sockets, *self.devices, *self.mounts, *self.too_long)


def survey(root: str, since: float = math.inf) -> Survey:
    """Walk a directory without following links or entering other file systems.

    Entries that vanish meanwhile are left out. Only files that may be databases by their size are opened, and closed
    again: a process that has one of them open through SQLite must not call this, because closing any descriptor of
    a file drops the process's locks on it (https://www.sqlite.org/howtocorrupt.html section 2.2).

    Args:
        root: an existing directory.
        since: seconds since the epoch; files modified later count as newer.

    Raises:
        DockerVpsError: the root is not a directory, or something below it may not be read.
    """
    walk = _Walk(since)
    try:
        for folder, descriptor in folders(root, walk.mount):
            walk.look_into(folder, descriptor)
    except OSError as error:
        raise DockerVpsError(
            f"The directory {root} cannot be searched: {error.strerror} ({error.filename!r}). {next_step(error)}"
        ) from error
    return walk.result(root)


class _Walk:
    def __init__(self, since: float) -> None:
        self._since = since
        self._bytes = self._files = self._directories = self._outside = self._newer = self._disk = self._replica = 0
        self._changed_disk = 0
        self._newest = 0.0
        self._sockets: List[str] = []
        self._devices: List[str] = []
        self._databases: Dict[str, Tuple[int, int]] = {}
        self._noise: Set[str] = set()
        self._mounts: List[str] = []
        self._too_long: List[str] = []
        self._beside: Dict[str, bytes] = {}
        self._linked: Set[Tuple[int, int]] = set()

    def mount(self, path: str) -> None:
        """Take note of a directory on another file system."""
        self._mounts.append(path)

    def look_into(self, folder: str, descriptor: int) -> None:
        """Count what is in one directory."""
        above = f"{folder}/" if folder else ""
        replica = bool(_REPLICA.search(above))
        with os.scandir(descriptor) as entries:
            for entry in entries:
                path = above + entry.name
                if len(path) > _SURELY_SHORT and is_too_long(path):
                    self._too_long.append(path)
                else:
                    self._count(entry, path, descriptor, replica)

    def _count(self, entry: os.DirEntry[str], path: str, folder: int, replica: bool) -> None:
        try:
            facts = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(facts.st_mode):
                self._file(facts, entry.name, path, folder, replica)
            elif stat.S_ISDIR(facts.st_mode):
                self._directories += 1
            elif stat.S_ISLNK(facts.st_mode):
                self._outside += _leads_out(path, os.readlink(entry.name, dir_fd=folder))
            elif stat.S_ISSOCK(facts.st_mode):
                self._sockets.append(path)
            elif stat.S_ISBLK(facts.st_mode) or stat.S_ISCHR(facts.st_mode):
                self._devices.append(path)
        except OSError as error:
            if error.errno not in GONE:
                raise

    def _file(self, facts: os.stat_result, name: str, path: str, folder: int, replica: bool) -> None:
        self._files += 1
        self._replica += replica
        if facts.st_mtime > self._newest:
            self._newest = facts.st_mtime
        self._newer += facts.st_mtime > self._since and not replica
        if facts.st_nlink == 1 or (facts.st_dev, facts.st_ino) not in self._linked:
            self._bytes += facts.st_size
            self._disk += facts.st_blocks * _BLOCK
            self._changed_disk += facts.st_blocks * _BLOCK * (facts.st_ctime > self._since)
        if facts.st_nlink > 1:
            self._linked.add((facts.st_dev, facts.st_ino))
        if name.endswith(SIDECARS):
            self._beside[path] = _begins(name, folder, len(MAGIC)) if facts.st_size else b""
        named = name.lower().endswith(_ENDINGS)
        if not facts.st_size or (facts.st_size % _SMALLEST_PAGE and not named):
            return
        start = _begins(name, folder, SAMPLE if named else len(MAGIC))
        if start.startswith(MAGIC):
            self._databases[path] = (facts.st_dev, facts.st_ino)
        elif not facts.st_size % _SMALLEST_PAGE and looks_random(start):
            self._noise.add(path)

    def result(self, root: str) -> Survey:
        beside = {path + suffix for path in self._databases for suffix in SIDECARS} & self._beside.keys()
        sidecars = {path for path in beside if belongs(path, self._beside[path])}
        sealed = {_base(path) for path, start in self._beside.items() if holds_changes(start)} - self._databases.keys()
        sealed = {path for path in sealed if os.path.isfile(os.path.join(root, path))}
        return Survey(
            bytes=self._bytes,
            files=self._files,
            directories=self._directories,
            sockets=tuple(sorted(self._sockets)),
            devices=tuple(sorted(self._devices)),
            outside_links=self._outside,
            databases=tuple(sorted(self._databases)),
            sidecars=tuple(sorted(sidecars)),
            lookalikes=tuple(sorted(beside - sidecars)),
            sealed=tuple(sorted(sealed)),
            noise=tuple(sorted(self._noise - sealed)),
            same=self._same(sidecars),
            newest=self._newest,
            newer=self._newer,
            changed_disk=self._changed_disk,
            disk=self._disk,
            mounts=tuple(sorted(self._mounts)),
            too_long=tuple(sorted(self._too_long)),
            replica=self._replica,
        )

    def _same(self, sidecars: Set[str]) -> Mapping[str, str]:
        """Return the names that are left of a file when the one beside which SQLite keeps its files is chosen."""
        names: Dict[Tuple[int, int], List[str]] = {}
        for path, identity in sorted(self._databases.items()):
            names.setdefault(identity, []).append(path)
        others = {}
        for paths in names.values():
            used = max(paths, key=lambda path: sum(path + suffix in sidecars for suffix in SIDECARS))
            others.update({path: used for path in paths if path != used})
        return others


def _base(sidecar: str) -> str:
    return next(sidecar[: -len(suffix)] for suffix in SIDECARS if sidecar.endswith(suffix))


def _begins(name: str, folder: int, length: int) -> bytes:
    # Not blocking: what was a file a moment ago may be a pipe now.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        return os.pread(descriptor, length, 0)
    finally:
        os.close(descriptor)


def _leads_out(path: str, target: str) -> bool:
    if os.path.isabs(target):
        return True
    reached = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return reached == ".." or reached.startswith("../")
