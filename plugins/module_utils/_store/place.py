# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a directory can be exchanged for another one beside it: found out by looking, before anybody is stopped."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import struct
from typing import Iterator, Sequence

from .._core.errors import next_step
from .._core.text import listed
from .folders import folders

LOOK = ".docker-vps-look"
"""The name of the empty directory that is tried where a file system knows no files without a name."""

_SHOWN = 5
_ADDED = len(".restoring-20260131-020000")
_STRANGER = 1  # a user and a group of every system that nobody's data belongs to
# As in linux/fs.h; the number of the question holds the size of a C long: https://www.man7.org/linux/man-pages/man2/FS_IOC_GETFLAGS.2const.html
_GET_FLAGS = 2 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 1
_IMMUTABLE, _APPEND = 0x10, 0x20
# How a file system answers that knows no files without a name: https://www.man7.org/linux/man-pages/man2/open.2.html
_NO_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)


def hindrance(root: str) -> str:
    """Return why a directory cannot be exchanged for one that is made beside it, as sentences; empty when it can.

    Mounts and attributes are checked. Then something empty is made in the directory that holds it, given to another
    user and taken away again: a file without a name, which nobody sees and which nothing outlives, or where there is
    no such thing a directory ``LOOK``, which is also renamed forth and back.
    """
    folder, name = os.path.split(root)
    if len(os.fsencode(name)) + _ADDED > os.pathconf(folder, "PC_NAME_MAX"):
        return f"The name of {root} is too long: what is prepared beside it bears that name and {_ADDED} bytes more."
    return _mounted(root) or _fixed(root, "it") or _fixed(folder, "what is in it") or _tried(folder)


def _mounted(root: str) -> str:
    points = list(_mount_points())
    if root in points:
        return (
            f"{root} is a mount point, so it cannot be exchanged for a directory beside it. Let the volume use a "
            "directory of that file system instead of its top, or restore into another volume with volumes."
        )
    below = {point for point in points if point.startswith(root + "/")}
    try:
        for _folder, _descriptor in folders(root, lambda path: below.add(os.path.join(root, path))):
            pass
    except OSError as error:
        return f"{root} cannot be searched: {error.strerror}. {next_step(error)}"
    if below:
        what, is_not, it = (
            ("Another file system is", "is", "it") if len(below) == 1 else ("Other file systems are", "are", "them")
        )
        return (
            f"{what} mounted at {few(sorted(below))}, which {is_not} not in the set, and would be moved "
            f"aside with {root}. Unmount {it} first, or restore into another volume with volumes."
        )
    return ""


def few(paths: Sequence[str]) -> str:
    """Return paths for people: some of many, and the beginning of long ones."""
    return listed(paths, _SHOWN)


def _mount_points() -> Iterator[str]:
    # The fifth field, with white space in octal: https://www.man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            yield re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), line.split(" ")[4])


def _fixed(path: str, what: str) -> str:
    """Return whether an attribute (chattr) forbids that something is renamed."""
    flags = bytearray(8)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        return f"{path} cannot be opened: {error.strerror}. {next_step(error)}"
    try:
        with contextlib.suppress(OSError):  # a file system without attributes
            fcntl.ioctl(descriptor, _GET_FLAGS, flags)
    finally:
        os.close(descriptor)
    for flag, letter, name in ((_IMMUTABLE, "i", "immutable"), (_APPEND, "a", "append-only")):
        if struct.unpack_from("i", flags)[0] & flag:
            return f"{path} has the attribute {name}, so {what} cannot be renamed. Run chattr -{letter} {path} first."
    return ""


def _tried(folder: str) -> str:
    """Return what a file system refuses of all that an exchange needs."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
    except OSError as error:
        return _tried_by_name(folder) if error.errno in _NO_UNNAMED else _refused(folder, "made", error)
    try:
        return _given_away(folder, descriptor)
    finally:
        os.close(descriptor)


def _tried_by_name(folder: str) -> str:
    first, second = os.path.join(folder, LOOK), os.path.join(folder, LOOK + "-2")
    _remove(first, second)  # what somebody left who was killed
    try:
        os.mkdir(first, mode=0o700)
        descriptor = os.open(first, os.O_RDONLY | os.O_DIRECTORY)
        try:
            refusal = _given_away(folder, descriptor)
        finally:
            os.close(descriptor)
        os.rename(first, second)
        os.rename(second, first)
        os.rmdir(first)
    except OSError as error:
        return _refused(folder, "made, renamed and removed", error)
    finally:
        _remove(first, second)
    return refusal


def _remove(*paths: str) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.rmdir(path)


def _given_away(folder: str, descriptor: int) -> str:
    if os.geteuid() != 0:
        return ""  # then nothing is given away
    try:
        os.fchown(descriptor, _STRANGER, _STRANGER)
    except OSError as error:
        return (
            f"The file system of {folder} gives nothing to another user ({error.strerror}), so the owners of files "
            "cannot be restored there. Let the volume use a directory on another one, or restore into another volume "
            "with volumes."
        )
    return ""


def _refused(folder: str, what: str, error: OSError) -> str:
    return (
        f"Nothing can be {what} in {folder}: {error.strerror}. The data of a volume is prepared beside it. "
        f"{next_step(error)}"
    )


def holds(folder: str, path: str) -> bool:
    """Whether a path is a directory, or in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
