# SPDX-License-Identifier: GPL-3.0-or-later
"""The only code that touches a backup directory: list, find, lock, publish, remove.

A set is made in ``.partial-<timestamp>`` and its manifest is moved out last, so it is there as a whole or not at all.
A set is removed the other way round: its manifest becomes ``.removed-<timestamp>``, which needs no space on a full
disk, and goes after the archives. Whatever a killed run left is in such a folder, or bears its timestamp; whoever takes
the lock next finishes what was being removed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import (
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    TypeVar,
)

from .._core.archive_index import Index
from .._core.archive_index import parse as parse_index
from .._core.clock import WallClock
from .._core.data_loss import held_back
from .._core.errors import DockerVpsError, InvalidInput
from .._core.manifest import (
    IMPORTED,
    LARGEST,
    Archive,
    BadManifest,
    Manifest,
    id_of,
    index_file,
    is_index,
    manifest_file,
    new_id,
    parse,
    time_of,
    write,
)
from .._core.remedies import play, setting
from .._core.text import counted
from .archive_file import Earlier
from .files import FULL, make_directory, nearest, own, read, refused, replace, sync_directory
from .lock import LOCK, PARTIAL, RESTORE, locked
from .packed import CHUNKS, LARGEST_INDEX
from .references import References

REMOVED = ".removed-"
HOLDS = ".holds-{}.json"  # by application
FEW = 3
"""How many of many chunks are named."""
PATIENCE = timedelta(seconds=10)
"""How long a new set waits for a second that no other one has."""


class SetLike(Protocol):
    """A set, wherever it is."""

    @property
    def time(self) -> datetime:
        """When it was begun (UTC)."""
        raise NotImplementedError

    @property
    def imported(self) -> bool:
        """Whether it was made of a database from elsewhere."""
        raise NotImplementedError


Dated = TypeVar("Dated", bound=SetLike)


@dataclass(frozen=True)
class BackupSet:
    """A set in a directory."""

    directory: str
    manifest: Manifest

    @property
    def time(self) -> datetime:
        """When it was begun (UTC)."""
        return time_of(self.manifest.id)

    @property
    def imported(self) -> bool:
        """Whether it was made of a database from elsewhere."""
        return self.manifest.consistency == IMPORTED

    @property
    def holds(self) -> str:
        """The names of its archives: a set with others cannot stand for it."""
        return " ".join(sorted(archive.name for archive in self.manifest.archives))

    def path(self, archive: Archive) -> str:
        """Return where an archive is."""
        return os.path.join(self.directory, archive.file)

    def files(self, archive: Archive) -> list[str]:
        """Return the names of the files of an archive: its own, and that of its index."""
        return [
            archive.file,
            *([index_file(archive.name, self.manifest.id)] if archive.index and not archive.shared else []),
        ]

    def index(self, archive: Archive) -> Optional[Index]:
        """Return the index of an archive; None when it is not there, or not what was written."""
        path = os.path.join(self.directory, index_file(archive.name, self.manifest.id))
        with contextlib.suppress(DockerVpsError):
            kept = read(path, links=False, limit=LARGEST_INDEX) if archive.index else None
            if kept and hashlib.sha256(kept.text.encode()).hexdigest() == archive.index:
                return parse_index(kept.text)
        return None

    def absent(self, references: Optional[References] = None) -> list[str]:
        """Return what is wrong with its files at a glance: missing, or of another size than the manifest says.

        Args:
            references: what is known of the sets in its directory already, to which this one is added.
        """
        references = references or References()
        found = []
        for archive in self.manifest.archives:
            try:
                facts = os.lstat(self.path(archive))
            except OSError as error:
                found.append(f"{archive.file}: {error.strerror}")
                continue
            if not stat.S_ISREG(facts.st_mode):
                found.append(f"{archive.file} is not a regular file")
            elif archive.shared:
                bit = references.bit(self.path(archive), archive.sha256)
                wrong = references.wrong(bit) if bit else ["it is not what was written"]
                found += [f"{archive.file}: {why}" for why in wrong[:FEW]]
                found += [f"{archive.file}: and {len(wrong) - FEW} more chunks"] if len(wrong) > FEW else []
            elif facts.st_size != archive.bytes:
                has = counted(facts.st_size, "byte")
                found.append(f"{archive.file} has {has}, and the manifest says {archive.bytes}")
        return found


@dataclass(frozen=True)
class Listing:
    """What is in a directory: sets of the app, why other manifests were passed over, and orphaned archives.

    The set that was made last is the first, also when the clock was wrong; see Manifest.made.
    """

    sets: Sequence[BackupSet]
    unreadable: Sequence[str]
    orphaned: Sequence[str]

    def earlier(self, now: datetime) -> list[Manifest]:
        """Return the manifests of what is whole at a glance and not dated later than ``now``, newest first."""
        references = References()
        return [
            backup_set.manifest
            for backup_set in self.sets
            if backup_set.time <= now and not backup_set.absent(references)
        ]

    def after(self, set_id: str) -> str:
        """Return what a new set's manifest says of sets that are there and dated later; see Manifest.after."""
        manifests = [backup_set.manifest for backup_set in self.sets]
        latest = max((max(manifest.id, manifest.after) for manifest in manifests), default="")
        return latest if latest > set_id else ""

    def last_archive(self, name: str, volume: str, compression: str, shared: bool) -> Optional[Earlier]:
        """Return the archive that was made last of a volume under this name, when it has an index and seems whole."""
        for backup_set in self.sets:
            for archive in backup_set.manifest.archives:
                kind = (archive.name, archive.volume, archive.compression, archive.shared)
                if kind == (name, volume, compression, shared):
                    index = None if backup_set.absent() else backup_set.index(archive)
                    if index:
                        return Earlier(backup_set.path(archive), archive.sha256, archive.bytes, index, archive.unread)
        return None


@dataclass(frozen=True)
class Unused:
    """The names of chunks that no set needs, and their bytes; ``kept`` is why none can be removed, in sentences."""

    chunks: Sequence[str] = ()
    bytes: int = 0
    kept: Sequence[str] = ()


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
            raise refused(f"The backup directory {self.directory} cannot be written", error, self.directory) from error

    def refuse_read_only(self) -> None:
        """Refuse a directory in which nothing can be written any more.

        Raises:
            DockerVpsError: its file system is mounted read-only.
        """
        if os.path.isdir(self.directory) and os.statvfs(self.directory).f_flag & os.ST_RDONLY:
            error = OSError(errno.EROFS, os.strerror(errno.EROFS))
            raise refused(f"No backup can be made in {self.directory}", error)

    @contextlib.contextmanager
    def lock(self, what: str, wait: float = 0.0) -> Iterator[None]:
        """Hold the lock of this app's backups, and finish what was being removed; see lock.locked."""
        with locked(os.path.join(self.directory, LOCK), f"{what} of {self.app}", wait):
            files = self._files()
            self._finish_removal([file[len(REMOVED) :] for file in files if file.startswith(REMOVED)], files)
            yield

    def listing(self) -> Listing:
        """Return what is there. Unfinished sets are invisible."""
        files = self._files()
        sets, unreadable = [], []
        known: set[str] = set()
        for file in files:
            if id_of(file) is None:
                continue
            try:
                backup_set = self._load(os.path.join(self.directory, file))
            except DockerVpsError as error:
                unreadable.append(error.message)
                continue
            known.update(file for archive in backup_set.manifest.archives for file in backup_set.files(archive))
            if backup_set.manifest.app == self.app:
                sets.append(backup_set)
        at_work = {set_id for set_id in map(_id_at_work, files) if set_id}
        orphaned = [f for f in files if f not in known and id_of(f, "archive") not in (None, *at_work)]
        return Listing(
            sorted(sets, key=lambda backup_set: backup_set.manifest.made, reverse=True), unreadable, orphaned
        )

    @property
    def chunks(self) -> str:
        """Where the chunks are that archives share."""
        return os.path.join(self.directory, CHUNKS)

    def hold(self, reasons: Mapping[str, str]) -> None:
        """Let sets stay whatever the rules of retention say, and no others any more.

        Args:
            reasons: by the timestamps of the sets, as in "the data before release 20260131-020000".
        """
        if os.path.isdir(self.directory) and reasons != self.holds():
            replace(self._holds, own(json.dumps(reasons, sort_keys=True) + "\n"))

    def holds(self) -> Dict[str, str]:
        """Return what ``hold`` was told last; nothing when that cannot be read."""
        with contextlib.suppress(DockerVpsError, ValueError):
            kept = read(self._holds, links=False, limit=LARGEST)
            found = json.loads(kept.text) if kept else {}
            if isinstance(found, dict):
                return {set_id: why for set_id, why in found.items() if isinstance(why, str)}
        return {}

    def held(self, manifests: Iterable[Manifest]) -> Dict[str, str]:
        """Return by the timestamps of sets why they stay whatever the rules say: for a loss, or for a rollback."""
        return {**self.holds(), **held_back(manifests)}

    @property
    def _holds(self) -> str:
        return os.path.join(self.directory, HOLDS.format(self.app))

    def find(self, which: str, now: datetime) -> BackupSet:
        """Return a set by ``latest``, its timestamp, or the path of its manifest or of one of its archives.

        Latest is the last one made, and passes over sets dated later than ``now``: the clock had been wrong.

        Raises:
            DockerVpsError: there is no such set, or it cannot be used.
        """
        if os.sep in which:
            folder, file = os.path.split(which)
            set_id = id_of(file) or id_of(file, "archive")
            if set_id is None:
                raise InvalidInput(
                    f"{which} is neither a manifest nor an archive of a backup set; {play('backup_list')} shows them."
                )
            return self._load(os.path.join(folder, manifest_file(set_id)))
        if which != "latest":
            time_of(which)
            return self._load(os.path.join(self.directory, manifest_file(which)))
        here = self.listing()
        found = latest_of(here.sets, now)
        if found:
            return found
        more = f" These could not be read: {'; '.join(here.unreadable)}" if here.unreadable else ""
        if here.sets:
            raise DockerVpsError(
                f"Every backup set of {self.app} in {self.directory} is dated later than now, the last one "
                f"{here.sets[0].manifest.id}: is the clock right? Name it to use it.{more}"
            )
        raise DockerVpsError(
            f"There is no backup set of {self.app} in {self.directory}. Make one with {play('backup')}, or correct "
            f"{setting('backup_directory')}.{more}"
        )

    def taken(self) -> list[str]:
        """Return the timestamps that are in use, by finished sets or by others' files."""
        files = self._files()
        set_ids = [id_of(file) or id_of(file, "archive") or _id_at_work(file) for file in files]
        return [set_id for set_id in set_ids if set_id]

    def next_id(self, clock: WallClock) -> str:
        """Return the timestamp for a set that is made now, when its second has come: later sets are dated later.

        So two sets of one second are a second apart, and the first is not the latest any more when this returns.
        """
        began = clock.utc()
        set_id = new_id(began, self.taken())
        while clock.utc() < min(time_of(set_id), began + PATIENCE):
            clock.sleep(0.05)
        return set_id

    def leftovers(self) -> list[str]:
        """Return the folders in which work was begun and not finished; under the lock they are a killed run's."""
        names = (name for name in self._files() if name.startswith((PARTIAL, RESTORE)))
        folders = (os.path.join(self.directory, name) for name in names)
        return [folder for folder in folders if os.path.isdir(folder) and not os.path.islink(folder)]

    def begin(self, set_id: str, kind: str = PARTIAL) -> str:
        """Make the folder in which a set is prepared, and return it."""
        folder = self.workspace(set_id, kind)
        try:
            os.mkdir(folder, mode=0o700)
        except OSError as error:
            raise refused(f"{folder} cannot be made", error, self.directory) from error
        return folder

    def workspace(self, set_id: str, kind: str = PARTIAL) -> str:
        """Return the folder that begin makes."""
        return os.path.join(self.directory, kind + set_id)

    def publish(self, folder: str, manifest: Manifest) -> BackupSet:
        """Make a prepared set visible. Its archives are in the folder and are synced already."""
        file, made = manifest_file(manifest.id), BackupSet(self.directory, manifest)
        _write(os.path.join(folder, file), manifest)
        try:
            self._share(os.path.join(folder, CHUNKS))
            names = [name for archive in manifest.archives for name in made.files(archive)]
            for name in (*names, file):
                sync_directory(self.directory)
                os.rename(os.path.join(folder, name), os.path.join(self.directory, name))
            sync_directory(self.directory)
            shutil.rmtree(folder)
        except OSError as error:
            raise refused(f"Set {manifest.id} cannot be put into {self.directory}", error, folder) from error
        return made

    def freed_by(self, doomed: Sequence[BackupSet]) -> int:
        """Return how many bytes the removal of sets frees, but for shared chunks: what others have as well stays."""
        names: Dict[Tuple[int, int], int] = {}
        freed = 0
        for backup_set in doomed:
            for archive in backup_set.manifest.archives:
                with contextlib.suppress(OSError):
                    facts = os.lstat(backup_set.path(archive))
                    inode = facts.st_dev, facts.st_ino
                    names[inode] = names.get(inode, 0) + 1
                    freed += facts.st_size if names[inode] == facts.st_nlink else 0
        return freed

    def unused(self, without: Sequence[BackupSet] = (), references: Optional[References] = None) -> Unused:
        """Return the chunks that no set has, but for some sets; none while it is not known what all others need.

        An index without a manifest counts: that may come back from another copy of the set.

        Args:
            references: what is known already. Indexes that are not there any more do not count, and new ones do.
        """
        if not os.path.isdir(self.chunks):
            return Unused()
        references, files = references or References(), self._files()
        doomed = {backup_set.manifest.id for backup_set in without}
        removed = {file[len(REMOVED) :] for file in files if file.startswith(REMOVED)}
        indexes: Dict[str, Optional[str]] = {
            file: "" for file in files if is_index(file) and id_of(file, "archive") not in {None, *doomed, *removed}
        }
        for file in files:
            set_id = id_of(file)
            if set_id and set_id not in doomed:
                with contextlib.suppress(DockerVpsError):
                    for archive in self._load(os.path.join(self.directory, file)).manifest.archives:
                        indexes[index_file(archive.name, set_id)] = archive.sha256 if archive.shared else None
        bits = {
            file: references.bit(os.path.join(self.directory, file), sha256)
            for file, sha256 in indexes.items()
            if sha256 is not None
        }
        kept = [
            f"No shared chunk can be removed, since {file} in {self.directory} cannot be read, and only it says what "
            "its set needs. Bring it back from another copy, or remove that set."
            for file, bit in bits.items()
            if not bit
        ]
        if kept:
            return Unused(kept=kept)
        return Unused(*references.unused(self.chunks, sum(bits.values())))

    def sweep(self, unused: Unused) -> list[DockerVpsError]:
        """Remove the chunks that no set has, under the lock, and return why some could not be."""
        found = (self._unlinked(os.path.join(CHUNKS, name)) for name in unused.chunks)
        return [problem for problem in found if problem]

    def _share(self, folder: str) -> None:
        """Put new chunks beside those that archives share already; one that is there was found damaged."""
        if not os.path.isdir(folder):
            return
        os.makedirs(self.chunks, mode=0o700, exist_ok=True)
        for name in os.listdir(folder):
            os.rename(os.path.join(folder, name), os.path.join(self.chunks, name))
        sync_directory(self.chunks)

    def record(self, manifest: Manifest) -> None:
        """Write a manifest in one step, over the one that is there."""
        _write(os.path.join(self.directory, manifest_file(manifest.id)), manifest)

    def remove(self, doomed: Iterable[BackupSet]) -> list[DockerVpsError]:
        """Remove sets under the lock, and return why some could not be; when this is interrupted, lock finishes it.

        It waits for the disk twice in all, however many there are.
        """
        set_ids, problems = [], []
        for backup_set in doomed:
            set_id = backup_set.manifest.id
            try:
                _hide(
                    os.path.join(self.directory, manifest_file(set_id)), os.path.join(self.directory, REMOVED + set_id)
                )
                set_ids.append(set_id)
            except OSError as error:
                problems.append(refused(f"Set {set_id} cannot be removed", error, self.directory))
        return problems + self._finish_removal(set_ids, self._files())

    def _finish_removal(self, set_ids: Sequence[str], files: Sequence[str]) -> list[DockerVpsError]:
        """Remove the archives of sets whose manifests are out of the way already, then those manifests."""
        problems: List[DockerVpsError] = []
        if not set_ids:
            return problems
        of: Dict[str, List[str]] = {}
        for file in files:
            set_id = id_of(file, "archive")
            if set_id:
                of.setdefault(set_id, []).append(file)
        published = {file for file in files if id_of(file)}
        gone = []
        try:
            sync_directory(self.directory)
            for set_id in set_ids:
                archives = [] if manifest_file(set_id) in published else of.get(set_id, [])
                found = [problem for problem in (self._unlinked(file) for file in archives) if problem]
                problems += found
                gone += [] if found else [set_id]
            sync_directory(self.directory)
        except OSError as error:
            problems.append(refused(f"What was removed from {self.directory} may come back", error, self.directory))
        return problems + [problem for problem in (self._unlinked(REMOVED + set_id) for set_id in gone) if problem]

    def _unlinked(self, file: str) -> Optional[DockerVpsError]:
        path = os.path.join(self.directory, file)
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            return refused(f"{path} cannot be removed", error, path)
        return None

    def discard(self, folder: str) -> None:
        """Remove a folder of unfinished work, and what it had moved out already."""
        name = os.path.basename(folder)
        try:
            if name.startswith(PARTIAL):
                set_id = name[len(PARTIAL) :]
                published = os.path.lexists(os.path.join(self.directory, manifest_file(set_id)))
                for file in self._files():
                    if id_of(file, "archive") == set_id and not published:
                        os.unlink(os.path.join(self.directory, file))
            shutil.rmtree(folder)
        except OSError as error:
            raise refused(f"{folder}, which is not finished, cannot be removed", error, folder) from error

    def free(self) -> int:
        """Return how many bytes are free for a set, also before the directory is made."""
        facts = os.statvfs(nearest(self.directory))
        return facts.f_bavail * facts.f_frsize

    def _files(self) -> list[str]:
        try:
            return sorted(os.listdir(self.directory))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise refused(f"The backup directory {self.directory} cannot be read", error) from error

    def _load(self, path: str) -> BackupSet:
        kept = read(path, links=False, limit=LARGEST)
        folder, file = os.path.split(path)
        if kept is None:
            orphaned = [name for name in _names(folder) if id_of(name, "archive") == id_of(file)]
            if orphaned:
                raise BadManifest(
                    f"{', '.join(orphaned)} in {folder}: the manifest {file} is missing, so nothing can be verified. "
                    "Bring it back from another copy of the set, or unpack the archives by hand."
                )
            raise DockerVpsError(f"There is no backup set {id_of(file)} in {folder}; {play('backup_list')} shows them.")
        return BackupSet(folder, parse(kept.text, file))


def _hide(manifest: str, hidden: str) -> None:
    """Take a manifest out of the way; one that is gone already leaves a name for what is to be removed, if it can."""
    try:
        os.rename(manifest, hidden)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in FULL:  # not even space for a name: then the archives are all that a kill would leave
            raise
        os.unlink(manifest)


def _id_at_work(name: str) -> Optional[str]:
    """Return the timestamp in the name of what is being made, restored or removed."""
    for kind in (PARTIAL, RESTORE, REMOVED):
        if name.startswith(kind):
            return name[len(kind) :]
    return None


def _write(path: str, manifest: Manifest) -> None:
    replace(path, own(write(manifest)))


def _names(folder: str) -> Iterator[str]:
    with contextlib.suppress(OSError):
        yield from sorted(os.listdir(folder))


def latest_of(sets: Sequence[Dated], now: datetime) -> Optional[Dated]:
    """Return the last one made of a listing's sets, passing over those dated later than now.

    This is what "the last set" means wherever something is compared with it. A set that was imported
    from elsewhere is only the latest when there is no other, since it does not hold everything.
    """
    past = [backup_set for backup_set in sets if backup_set.time <= now]
    return next((backup_set for backup_set in past if not backup_set.imported), past[0] if past else None)
