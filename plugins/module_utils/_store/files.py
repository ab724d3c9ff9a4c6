# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import stat
import subprocess
from dataclasses import dataclass
from typing import BinaryIO, Optional, Sequence, Union

from .._core.errors import DockerVpsError, next_step
from .folders import folders

SCRATCH = "/var/tmp"  # noqa: S108  # a private directory is made in it; /tmp may be memory
PARTIAL = ".partial"
FULL = (errno.ENOSPC, errno.EDQUOT)
_ODD = {errno.ELOOP: "it is a symbolic link", errno.ENXIO: "it is a socket"}


@dataclass(frozen=True)
class Kept:
    """A text file with its owner (numeric ids) and mode (permission bits)."""

    text: str
    mode: int
    uid: int
    gid: int


def own(text: str, mode: int = 0o600) -> Kept:
    """Return a file that belongs to whoever runs this; nobody else reads it unless its mode says so."""
    return Kept(text, mode, os.geteuid(), os.getegid())


def refused(doing: str, error: OSError, path: str = "") -> DockerVpsError:
    """Return what the system refused in one sentence: the object, the cause, and the next step.

    Args:
        doing: the object and what cannot be done with it, as in "/opt/shop/x cannot be written".
        path: it, or what it is in; of a full disk its place and what is free there are named.
    """
    cause = error.strerror or str(error) or type(error).__name__
    full = _full(path) if path and error.errno in FULL else ""
    return DockerVpsError(f"{doing}: {cause}{full}. {next_step(error)}")


def unstarted(command: str, error: OSError, package: str) -> DockerVpsError:
    """Return why a command could not be started, with the package to install when it is not there."""
    absent = isinstance(error, FileNotFoundError)
    step = f"Install it: apt-get install {package}." if absent else next_step(error)
    return DockerVpsError(f"{command} cannot be started: {error.strerror or error}. {step}")


def unforeseen(what: str, error: OSError) -> DockerVpsError:
    """Return a refusal that nobody expected, by the path that the system names."""
    path = error.filename if isinstance(error.filename, str) else ""
    return refused(f"{what} failed at {path}" if path else f"{what} failed", error, path)


def _full(path: str) -> str:
    """Return which disk is full, and of what: a disk without inodes has bytes, and takes no file all the same."""
    place = nearest(path)
    facts = os.statvfs(place)
    while not os.path.ismount(place):
        place = os.path.dirname(place)
    inodes = " and no inode" if facts.f_files and not facts.f_favail else ""
    return f" (the disk at {place} has {facts.f_bavail * facts.f_frsize // 1024} KiB{inodes} free)"


def nearest(path: str) -> str:
    """Return a path, or the nearest one above it that is there."""
    place = os.path.abspath(path)
    while not os.path.exists(place):
        place = os.path.dirname(place)
    return place


def open_regular(path: Union[str, bytes], links: bool = False, folder: Optional[int] = None) -> BinaryIO:
    """Open a regular file for reading; nothing that stands in its place can make this wait.

    Args:
        links: a symbolic link is followed.
        folder: the descriptor of the directory that a relative path begins in.

    Raises:
        OSError: it cannot be opened, or is a pipe, a device, a socket or a directory; or a symbolic link.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags, dir_fd=folder)
    except OSError as error:
        if error.errno in _ODD:
            raise OSError(error.errno, _ODD[error.errno], path) from error
        raise
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "it is a pipe or a device", path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read(path: str, links: bool = True, limit: Optional[int] = None) -> Optional[Kept]:
    """Return a file, or None when there is none.

    Args:
        links: a symbolic link is followed.
        limit: bytes that it may have at most.

    Raises:
        DockerVpsError: something else than a readable UTF-8 file is there.
    """
    try:
        with open_regular(path, links) as file:
            facts = os.fstat(file.fileno())
            if limit is not None and facts.st_size > limit:
                raise OSError(errno.EFBIG, f"it has {facts.st_size} bytes, and {limit} are the most", path)
            text = file.read().decode("utf-8")
            return Kept(text, stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DockerVpsError(f"{path} cannot be read: {_why(error)}. Move it away or fix it.") from error


def replace(path: str, kept: Kept) -> None:
    """Put a file in place in one step, durable when this returns.

    Raises:
        DockerVpsError: it cannot be written; whatever was there before is untouched.
    """
    partial = path + PARTIAL
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(kept.text)
                os.fchown(file.fileno(), kept.uid, kept.gid)
                os.fchmod(file.fileno(), kept.mode)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
        sync_directory(os.path.dirname(path) or ".")
    except OSError as error:
        raise refused(f"{path} cannot be written", error, path) from error


def rewrite(path: str, text: str, before: Optional[Kept]) -> None:
    """Put a text in place in one step, with owner and mode of the file before; a new one is ours, with mode 0644.

    Raises:
        DockerVpsError: it cannot be written; whatever was there before is untouched.
    """
    replace(path, dataclasses.replace(before, text=text) if before else own(text, 0o644))


def put_back(path: str, before: Optional[Kept]) -> None:
    """Have a file as it was before, or none when there was none.

    Raises:
        DockerVpsError: it cannot be written.
    """
    if before:
        replace(path, before)
    elif os.path.exists(path):
        os.unlink(path)


def make_directory(path: str) -> None:
    """Make a directory (mode 0750) with its parents, when it is missing; empty is the working directory.

    Raises:
        DockerVpsError: it cannot be made.
    """
    try:
        os.makedirs(path or ".", mode=0o750, exist_ok=True)
    except OSError as error:
        raise refused(f"The directory {path} cannot be created", error, path) from error


def copy_tree(source: str, target: str) -> None:
    """Copy a directory that nobody writes to, with owners, modes, times, links, holes and extended attributes.

    It is done by GNU cp, which shares the blocks on file systems that can. It works from inside both directories, so
    that their own names do not count in what the kernel takes of a path. It is not durable yet; see sync_tree.

    Raises:
        DockerVpsError: it cannot be copied; a part of the target may be there.
    """
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.mkdir(target, mode=0o700)
            command = ("cp", "--archive", "--reflink=auto", "-T", "--", f"/dev/fd/{descriptor}/.", ".")
            done = _run(*command, cwd=target, opened=(descriptor,))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise refused(f"{source} cannot be copied to {target}", error, os.path.dirname(target)) from error
    if done.returncode:
        reason = _first_line(done).replace(f"/dev/fd/{descriptor}/.", source)
        raise DockerVpsError(f"{source} cannot be copied to {target}: {reason}. Fix that, and run it again.")


def remove_tree(path: str) -> str:
    """Remove a directory with all below it, if it is there, and return why some of it stays; empty when nothing does.

    It is done by GNU rm, which goes down as far as it goes, and enters no other file system.
    """
    if not os.path.lexists(path):
        return ""
    done = _run("rm", "--recursive", "--force", "--one-file-system", "--", path)
    return _first_line(done) if done.returncode else ""


def _run(*command: str, cwd: Optional[str] = None, opened: Sequence[int] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command of GNU coreutils, which has these descriptors of ours as well."""
    try:
        # pylint: disable-next=ansible-bad-function
        return subprocess.run(
            command,
            cwd=cwd,
            pass_fds=opened,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise unstarted(f"GNU {command[0]}", error, "coreutils") from error


def _first_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or [f"{done.args[0]} was stopped with no output"])[0].rstrip(".")


def sync_tree(path: str) -> None:
    """Make a directory that nobody writes to durable, with its files.

    Raises:
        DockerVpsError: the disk refuses.
    """
    try:
        for _folder, descriptor in folders(path):
            with os.scandir(descriptor) as entries:
                for name in [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]:
                    _sync(name, os.O_RDONLY | os.O_NOFOLLOW, descriptor)
            _sync(".", os.O_RDONLY | os.O_DIRECTORY, descriptor)
        sync_directory(os.path.dirname(path) or ".")
    except OSError as error:
        raise refused(f"{path} cannot be made durable", error, path) from error


def sync_file_system(path: str) -> None:
    """Make all that was written into the file system of a directory durable; unlike os.sync, only that.

    Raises:
        OSError: the disk refuses.
    """
    done = _run("sync", "--file-system", path)
    if done.returncode:
        raise OSError(errno.EIO, _first_line(done), path)


def sync_directory(path: str) -> None:
    """Make renames in a directory durable, as far as its file system does that; some on a network do not.

    Raises:
        OSError: the disk refuses.
    """
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: str, flags: int, folder: Optional[int] = None) -> None:
    descriptor = os.open(path, flags, dir_fd=folder)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not flags & os.O_DIRECTORY or error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(descriptor)


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8 text"
