# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree in the order in which it is archived, cut into runs; see _core.archive_index.

The order is that of GNU tar with ``--sort=name``: a directory, and then what is in it, by the bytes of the names.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, replace
from typing import BinaryIO, Callable, Collection, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from .._core.archive_index import RunLength
from .folders import GONE, LONGEST

FRESH = 3
"""Seconds: what changed so shortly before it was checked may change again without another time."""


@dataclass(frozen=True)
class Planned:
    """A run: its key (see ``archive_index.Run``), and where its names begin and end in the file of all names.

    ``linked`` are the inodes in it that have several names, each with a digest of that name.
    """

    key: str
    start: int
    end: int
    linked: Tuple[Tuple[int, bytes], ...] = ()


def planned(
    root: str,
    leave_out: Collection[str],
    names: BinaryIO,
    directories: BinaryIO,
    now: float,
    wanted: Set[str],
    mount: Callable[[str], object],
) -> List[Planned]:
    """Return the runs of a tree, but for the root itself, and write the names of all members into a file.

    A name is ``./PATH`` and a zero byte; see ``exchanged`` for the file of directories. Links are not followed and
    other file systems not entered. What vanishes meanwhile is left out.

    Args:
        root: the directory.
        leave_out: paths in it that are left out, with all below them.
        names: an empty file.
        directories: another one.
        now: the time, in seconds since the epoch.
        wanted: paths of which those of regular files that are there are taken out.
        mount: is called with the path of each directory on another file system, which is a member all the same.

    Raises:
        OSError: a directory cannot be read.
    """
    plan = _Plan(names, directories, now - FRESH)
    plan.note_directory(b"", os.stat(root))
    plan.begin_run()
    left_out = {os.fsencode(path) for path in leave_out}
    looked_for = {os.fsencode(path): path for path in wanted}
    for folder, entries in _folders(root, left_out, mount):
        plan.begin_folder(folder)
        for name, facts in entries:
            plan.add(name, facts)
            if looked_for and stat.S_ISREG(facts.st_mode):
                wanted.discard(looked_for.get(folder + name, ""))
    plan.end_run()
    return _with_first_names(plan.runs)


def _with_first_names(runs: Sequence[Planned]) -> List[Planned]:
    """Return runs whose keys tell under which name each file of several names is archived.

    That is the first of those in the tree. The others are links to it, also when it is in another run; and when it
    goes, nothing else tells that they have to be archived again.
    """
    first: Dict[int, bytes] = {}
    for inode, name in (pair for run in runs for pair in run.linked):
        first.setdefault(inode, name)
    return [
        replace(run, key=_digest([run.key.encode(), *(first[inode] for inode, _name in run.linked)]))
        if run.key and run.linked
        else run
        for run in runs
    ]


def _digest(parts: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:32]


def exchanged(root: str, directories: bytes) -> bool:
    """Return whether directories may have been exchanged for others since a tree was planned.

    Then what was read may be that of others, though all is as it was afterwards. A directory that was renamed has
    another change time, and so has the one above it.

    Args:
        directories: what ``planned`` wrote down of them: inode, change time, path, and a zero byte.
    """
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        changed: Set[bytes] = set()
        for line in directories.split(b"\0")[:-1]:
            inode, time, path = line.split(b" ", 2)
            try:
                facts = os.stat(path or b".", dir_fd=top, follow_symlinks=False)
            except OSError:
                return True
            if facts.st_ino != int(inode):
                return True
            if facts.st_ctime_ns != int(time):
                if path and path.rpartition(b"/")[0] in changed:
                    return True
                changed.add(path)
        return False
    finally:
        os.close(top)


def linked_to(runs: Sequence[Planned], changed: Collection[int]) -> Set[int]:
    """Return the numbers of runs that cannot stay when some are changed, and these.

    One of several names of a file is archived as a link to the first of them, so all of them belong together.
    """
    holding: Dict[int, List[int]] = {}
    for number, run in enumerate(runs):
        for inode, _name in run.linked:
            holding.setdefault(inode, []).append(number)
    found, pending = set(changed), list(changed)
    while pending:
        for inode, _name in runs[pending.pop()].linked:
            more = [number for number in holding.pop(inode, ()) if number not in found]
            found.update(more)
            pending += more
    return found


class _Plan:
    def __init__(self, names: BinaryIO, directories: BinaryIO, fresh: float) -> None:
        self.runs: List[Planned] = []
        self._names = names
        self._directories = directories
        self._fresh = fresh
        self._length = RunLength()
        self._folder = b""
        self._written = 0
        self._start = 0
        self._linked: List[Tuple[int, bytes]] = []
        self._reliable = True
        self._digest = hashlib.sha256()

    def begin_folder(self, folder: bytes) -> None:
        """Go on in a directory, of which this is the path with a slash at its end."""
        self._folder = folder
        self._digest.update(b"\0%b\0" % folder)

    def note_directory(self, path: bytes, facts: os.stat_result) -> None:
        """Write down what a directory is."""
        self._directories.write(b"%d %d %b\0" % (facts.st_ino, facts.st_ctime_ns, path))

    def add(self, name: bytes, facts: os.stat_result) -> None:
        """Add what is in the directory, in the right order."""
        regular = stat.S_ISREG(facts.st_mode)
        size = facts.st_size if regular else 0
        if self._length.stands_alone(size):
            self.end_run()
        # A change of content, owner, mode, attributes or number of names changes at least the last of the times.
        self._digest.update(
            b"%b\0%d %d %d %d %d %d %d\0"
            % (
                name,
                facts.st_mode,
                facts.st_uid,
                facts.st_gid,
                facts.st_size,
                facts.st_ino,
                facts.st_mtime_ns,
                facts.st_ctime_ns,
            )
        )
        if facts.st_ctime > self._fresh or facts.st_mtime > self._fresh:
            self._reliable = False
        if facts.st_nlink > 1 and not stat.S_ISDIR(facts.st_mode):
            self._linked.append((facts.st_ino, hashlib.sha256(self._folder + name).digest()))
        self._written += self._names.write(b"./%b%b\0" % (self._folder, name))
        if stat.S_ISDIR(facts.st_mode):
            self.note_directory(self._folder + name, facts)
        if self._length.ends_after(name, size):
            self.end_run()

    def end_run(self) -> None:
        """End a run, unless it is empty."""
        if self._written > self._start:
            key = self._digest.hexdigest()[:32] if self._reliable else ""
            self.runs.append(Planned(key, self._start, self._written, tuple(self._linked)))
        self.begin_run()

    def begin_run(self) -> None:
        """Begin a run with what is added next."""
        self._length.begin()
        self._start = self._written
        self._linked = []
        self._reliable = True
        self._digest = hashlib.sha256(b"%b\0" % self._folder)


def _folders(
    root: str, left_out: Collection[bytes], mount: Callable[[str], object]
) -> Iterator[Tuple[bytes, Iterator[Tuple[bytes, os.stat_result]]]]:
    """Yield a directory, and what is to be archived next of it; again where one below it was yielded meanwhile."""
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        device = os.fstat(top).st_dev
        above = [_Folder(top, b"", device, left_out, mount)]
        while above:
            folder = above[-1]
            yield folder.path, folder.entries()
            if folder.below:
                above.append(_Folder(top, folder.below, device, left_out, mount))
            else:
                above.pop()
    finally:
        os.close(top)


class _Folder:
    """A directory in a tree. ``path`` ends with a slash; ``below`` is a directory in it that comes next, if one does.

    It is open only while its entries are checked: a tree may be deeper than a process may have open files.
    """

    def __init__(
        self, top: int, path: bytes, device: int, left_out: Collection[bytes], mount: Callable[[str], object]
    ) -> None:
        self.path = path
        self.below = b""
        self._top = top
        self._device = device
        self._left_out = left_out
        self._mount = mount
        self._names: Optional[List[bytes]] = None

    def entries(self) -> Iterator[Tuple[bytes, os.stat_result]]:
        """Give names and what the file system says of them, up to the next directory."""
        self.below = b""
        try:
            descriptor = os.open(self.path[:-1] or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._top)
        except OSError as error:
            if error.errno not in GONE:
                raise
            return
        try:
            if self._names is None:
                self._names = self._sorted(descriptor)
            while self._names:
                name = self._names.pop()
                try:
                    facts = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                except OSError as error:
                    if error.errno not in GONE:
                        raise
                    continue
                yield name, facts
                if stat.S_ISDIR(facts.st_mode):
                    if facts.st_dev == self._device:
                        self.below = self.path + name + b"/"
                        return
                    self._mount(os.fsdecode(self.path + name))
        finally:
            os.close(descriptor)

    def _sorted(self, descriptor: int) -> List[bytes]:
        """Return the names of what is to be archived, the last one first."""
        with os.scandir(descriptor) as entries:
            names = [os.fsencode(entry.name) for entry in entries]
        return sorted((name for name in names if not self._is_left_out(self.path + name)), reverse=True)

    def _is_left_out(self, path: bytes) -> bool:
        return path in self._left_out or len(path) > LONGEST
