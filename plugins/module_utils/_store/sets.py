# SPDX-License-Identifier: GPL-3.0-or-later
"""The only code that touches a backup directory: list, find, lock, publish, remove.

A set is made in ``.partial-<timestamp>`` and its manifest is moved out last, so it is there as a whole or not at all.
A set is removed the other way round. Whatever a killed run left lies in such a folder, or bears its timestamp.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import ContextManager, Iterator, Optional, Sequence

from .._core.catalog import (
    ADOPTED,
    Archive,
    BadManifest,
    Manifest,
    manifest_file,
    parse,
    stamp_of,
    time_of,
    write,
)
from .._core.errors import DockerVpsError, InvalidInput
from .files import Kept, make_directory, read, replace, sync_directory
from .lock import locked

PARTIAL = ".partial-"
RESTORE = ".restore-"


@dataclass(frozen=True)
class BackupSet:
    """A set in a directory."""

    directory: str
    manifest: Manifest

    @property
    def time(self) -> datetime:
        """When it was begun (UTC)."""
        return time_of(self.manifest.stamp)

    @property
    def holds(self) -> str:
        """The names of its archives: a set with others cannot stand for it."""
        return " ".join(sorted(archive.name for archive in self.manifest.archives))

    def path(self, archive: Archive) -> str:
        """Return where an archive lies."""
        return os.path.join(self.directory, archive.file)

    def absent(self) -> list[str]:
        """Return what is wrong with its files at a glance: missing, or of another size than the manifest says."""
        found = []
        for archive in self.manifest.archives:
            try:
                size = os.stat(self.path(archive)).st_size
            except OSError as error:
                found.append(f"{archive.file}: {error.strerror}")
                continue
            if size != archive.bytes:
                found.append(f"{archive.file} has {size} bytes, and the manifest says {archive.bytes}")
        return found


@dataclass(frozen=True)
class Listing:
    """What is in a directory: sets of the app, newest first; why other manifests were passed over; lone archives."""

    sets: Sequence[BackupSet]
    unreadable: Sequence[str]
    lone: Sequence[str]


class Sets:
    """The backup sets of one app in one directory."""

    def __init__(self, directory: str, app: str) -> None:
        self.directory, self.app = directory, app

    def prepare(self) -> None:
        """Make the directory, for its owner only.

        Raises:
            DockerVpsError: it cannot be made or not be written, for example on a read-only file system.
        """
        if not os.path.isdir(self.directory):
            make_directory(os.path.dirname(self.directory))
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            os.chmod(self.directory, 0o700)
        except OSError as error:
            raise DockerVpsError(
                f"The backup directory {self.directory} cannot be written: {error.strerror}. "
                "Choose a directory on a disk that is mounted for writing, and run with become: true."
            ) from error

    def lock(self, what: str, wait: float = 0.0) -> ContextManager[None]:
        """Hold the lock of this app's backups; see lock.locked."""
        return locked(os.path.join(self.directory, ".lock"), f"{what} of {self.app}", wait)

    def listing(self) -> Listing:
        """Return what is there. Unfinished sets are invisible."""
        files = self._files()
        sets, unreadable = [], []
        known: set[str] = set()
        for file in files:
            if stamp_of(file) is None:
                continue
            try:
                one = self._load(os.path.join(self.directory, file))
            except DockerVpsError as error:
                unreadable.append(error.message)
                continue
            known.update(archive.file for archive in one.manifest.archives)
            if one.manifest.app == self.app:
                sets.append(one)
        at_work = {os.path.basename(folder).partition("-")[2] for folder in self.leftovers()}
        lone = [f for f in files if f not in known and stamp_of(f, "archive") not in (None, *at_work)]
        return Listing(sorted(sets, key=lambda one: one.manifest.stamp, reverse=True), unreadable, lone)

    def find(self, which: str, now: datetime) -> BackupSet:
        """Return a set by ``latest``, its timestamp, or the path of its manifest or of one of its archives.

        Latest passes over sets dated later than ``now``: the clock had been wrong when they were made.

        Raises:
            DockerVpsError: there is no such set, or it cannot be used.
        """
        if os.sep in which:
            folder, file = os.path.split(which)
            stamp = stamp_of(file) or stamp_of(file, "archive")
            if stamp is None:
                raise InvalidInput(f"{which} is neither a manifest nor an archive of a backup set.")
            return self._load(os.path.join(folder, manifest_file(stamp)))
        if which != "latest":
            time_of(which)
            return self._load(os.path.join(self.directory, manifest_file(which)))
        here = self.listing()
        found = latest_of(here.sets, now)
        if found:
            return found
        more = f" These could not be read: {'; '.join(here.unreadable)}" if here.unreadable else ""
        raise DockerVpsError(f"There is no backup set of {self.app} in {self.directory}.{more}")

    def taken(self) -> list[str]:
        """Return the timestamps that are in use, by finished sets or by others' files."""
        stamps = [stamp_of(file) or stamp_of(file, "archive") for file in self._files()]
        return [stamp for stamp in stamps if stamp] + [one.rpartition(PARTIAL)[2] for one in self.leftovers()]

    def leftovers(self) -> list[str]:
        """Return the folders in which work was begun and not finished; under the lock they are a killed run's."""
        return [os.path.join(self.directory, name) for name in self._files() if name.startswith((PARTIAL, RESTORE))]

    def begin(self, stamp: str, kind: str = PARTIAL) -> str:
        """Make the folder in which a set is prepared, and return it."""
        folder = self.workspace(stamp, kind)
        os.mkdir(folder, mode=0o700)
        return folder

    def workspace(self, stamp: str, kind: str = PARTIAL) -> str:
        """Return the folder that begin makes."""
        return os.path.join(self.directory, kind + stamp)

    def publish(self, folder: str, manifest: Manifest) -> BackupSet:
        """Make a prepared set visible. Its archives lie in the folder and are synced already."""
        file = manifest_file(manifest.stamp)
        _write(os.path.join(folder, file), manifest)
        for name in (*(archive.file for archive in manifest.archives), file):
            sync_directory(self.directory)
            os.rename(os.path.join(folder, name), os.path.join(self.directory, name))
        sync_directory(self.directory)
        shutil.rmtree(folder)
        return BackupSet(self.directory, manifest)

    def record(self, manifest: Manifest) -> None:
        """Write a manifest in one step, over the one that is there."""
        _write(os.path.join(self.directory, manifest_file(manifest.stamp)), manifest)

    def remove(self, one: BackupSet) -> None:
        """Remove a set; when this is interrupted, discard finishes it."""
        folder = self.begin(one.manifest.stamp)
        with contextlib.suppress(FileNotFoundError):
            path = os.path.join(self.directory, manifest_file(one.manifest.stamp))
            os.rename(path, os.path.join(folder, "manifest"))
        sync_directory(self.directory)
        self.discard(folder)

    def discard(self, folder: str) -> None:
        """Remove a folder of unfinished work, and what it had moved out already."""
        name = os.path.basename(folder)
        if name.startswith(PARTIAL):
            stamp = name[len(PARTIAL) :]
            published = os.path.exists(os.path.join(self.directory, manifest_file(stamp)))
            for file in self._files():
                if stamp_of(file, "archive") == stamp and not published:
                    os.unlink(os.path.join(self.directory, file))
        shutil.rmtree(folder)

    def free(self) -> int:
        """Return how many bytes are free for a set."""
        facts = os.statvfs(self.directory)
        return facts.f_bavail * facts.f_frsize

    def _files(self) -> list[str]:
        try:
            return sorted(os.listdir(self.directory))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DockerVpsError(
                f"The backup directory {self.directory} cannot be read: {error.strerror}. "
                "Does the play need become: true?"
            ) from error

    def _load(self, path: str) -> BackupSet:
        kept = read(path)
        folder, file = os.path.split(path)
        if kept is None:
            lone = [one for one in _names(folder) if stamp_of(one, "archive") == stamp_of(file)]
            if lone:
                raise BadManifest(
                    f"{', '.join(lone)} in {folder}: the manifest {file} is missing, so nothing can be verified. "
                    "Bring it back from another copy of the set, or unpack the archives by hand."
                )
            raise DockerVpsError(f"There is no backup set {stamp_of(file)} in {folder}; backup_list.yml shows them.")
        return BackupSet(folder, parse(kept.text, file))


def _write(path: str, manifest: Manifest) -> None:
    replace(path, Kept(write(manifest), 0o600, os.geteuid(), os.getegid()))


def _names(folder: str) -> Iterator[str]:
    with contextlib.suppress(OSError):
        yield from sorted(os.listdir(folder))


def latest_of(sets: Sequence[BackupSet], now: datetime) -> Optional[BackupSet]:
    """Return the newest of sets that lie newest first, passing over those dated later than now.

    A set that was adopted from elsewhere is only the latest when there is no other, since it does not hold everything.
    """
    past = [one for one in sets if one.time <= now]
    return next((one for one in past if one.manifest.consistency != ADOPTED), past[0] if past else None)
