# SPDX-License-Identifier: GPL-3.0-or-later
"""One at a time: a lock file that says who holds it, and that cannot outlive its holder.

The kernel's flock is the lock, so it ends with the last process that holds it, however that
ends; the content of the file only tells people who it is. A file without a flock is stale.

While nobody holds it, the file keeps a little room on its disk, which whoever takes it gets: so a restore, which writes
down what it does before it does it, works on a full disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from typing import Iterator

from .._core.errors import DockerVpsError
from .files import refused

ROOM = 1 << 16
"""Bytes that a free lock keeps for its next holder: a folder and a few small files."""


class Locked(DockerVpsError):
    """Somebody else is at work."""


@contextlib.contextmanager
def locked(path: str, what: str, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock at a path while doing something.

    Args:
        what: what is done, as in "a backup of ptnextjs".
        wait: for how many seconds to wait for whoever holds it.

    Raises:
        Locked: another process holds it; the message names it, its process id and its age.
        DockerVpsError: the file system gives no such file or no lock.
    """
    descriptor = _opened(path, what)
    try:
        until = time.monotonic() + wait
        while not _taken(descriptor, path, what):
            if time.monotonic() >= until:
                raise Locked(_holder(descriptor, path, what))
            time.sleep(0.2)
        _say(descriptor, json.dumps({"what": what, "pid": os.getpid(), "since": int(time.time())}))
        try:
            yield
        finally:
            _say(descriptor, "")
            with contextlib.suppress(OSError):
                os.posix_fallocate(descriptor, 0, ROOM)
    finally:
        os.close(descriptor)


def holder(path: str) -> str:
    """Return who is at work, as in "a backup of shop (process 12)", empty when nobody says that they are.

    Nobody is kept from taking the lock meanwhile. Who holds it without saying so is not seen: whoever has to be sure
    takes the lock.
    """
    try:
        with open(path, "rb") as file:
            held = json.loads(file.read(4096).decode("utf-8", "replace"))
        os.kill(held["pid"], 0)
        return f"{held['what']} (process {held['pid']})"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return ""


def _opened(path: str, what: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise refused(f"Cannot begin {what}: the lock {path} cannot be made", error, path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DockerVpsError(f"Cannot begin {what}: {path} is not a regular file, so it is no lock. Remove it.")
    return descriptor


def _taken(descriptor: int, path: str, what: str) -> bool:
    try:
        return flocked(descriptor)
    except OSError as error:
        raise refused(f"Cannot begin {what}: the lock {path} cannot be taken", error, path) from error


def flocked(descriptor: int, mode: int = fcntl.LOCK_EX) -> bool:
    """Take the kernel's lock of an open file unless another process has it, and return whether it was taken.

    Raises:
        OSError: the file system gives no locks.
    """
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _say(descriptor: int, text: str) -> None:
    """Tell people who holds the lock, and give up its room; a courtesy, which a full disk may refuse."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _holder(descriptor: int, path: str, what: str) -> str:
    try:
        held = json.loads(os.pread(descriptor, 4096, 0))
        age = max(0, int(time.time()) - held["since"])
        who = f"{held['what']} (process {held['pid']}) has been at work for {age} s"
    except (ValueError, KeyError, TypeError):
        who = "another process is at work"
    return f"Cannot begin {what}: {who} and holds {path}. Wait for it, or end that process."
