# SPDX-License-Identifier: GPL-3.0-or-later
"""One at a time: a lock file that says who holds it, and that cannot outlive its holder.

The kernel's flock is the lock, so it ends with the last process that holds it, however that
ends; the content of the file only tells people who it is. A file without a flock is stale.

While nobody holds it, the file keeps a little space on its disk, which whoever takes it gets: so a restore, which
writes down what it does before it does it, works on a full disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from dataclasses import asdict, dataclass
from typing import Iterator, Optional

from .._core.errors import DockerVpsError
from .files import refused

ROOM = 1 << 16
"""Bytes that a free lock keeps for its next holder: a folder and a few small files."""
LOCK, PARTIAL, RESTORE, JOURNAL = ".lock", ".partial-", ".restore-", "journal.json"
"""In a backup directory: the lock of its sets; how the folder of a set that is being made, or restored, begins; and the
file in there that says what was stopped or moved for it."""
_MOST = 4096  # bytes of what it says


class Locked(DockerVpsError):
    """Somebody else is running."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: what it does, as in "a backup of shop", and since when (seconds since 1970)."""

    what: str
    pid: int
    since: float

    def __str__(self) -> str:
        return f"{self.what} (process {self.pid})"


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
        _say(descriptor, json.dumps(asdict(Holder(what, os.getpid(), int(time.time())))))
        try:
            yield
        finally:
            _say(descriptor, "")
            with contextlib.suppress(OSError):
                os.posix_fallocate(descriptor, 0, ROOM)
    finally:
        os.close(descriptor)


def holder(path: str) -> Optional[Holder]:
    """Return what is running, None when that is not known.

    Nobody is kept from taking the lock meanwhile. Who holds it without saying so is not seen: whoever has to be sure
    takes the lock.
    """
    try:
        with open(path, "rb") as file:
            held = _read(file.read(_MOST))
        if held:
            os.kill(held.pid, 0)
        return held
    except (OSError, OverflowError):
        return None


def _read(content: bytes) -> Optional[Holder]:
    """Return whom a lock file names; None when it makes no sense, as when somebody is just writing it."""
    try:
        held = json.loads(content.decode("utf-8", "replace"))
        return Holder(str(held["what"]), int(held["pid"]), float(held["since"]))
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _opened(path: str, what: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise refused(f"Cannot begin {what}: the lock {path} cannot be made", error, path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DockerVpsError(f"Cannot begin {what}: {path} is not a regular file, so it is not a lock. Remove it.")
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
    """Tell people who holds the lock, and give up its space; a courtesy, which a full disk may refuse."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _holder(descriptor: int, path: str, what: str) -> str:
    held = _read(os.pread(descriptor, _MOST, 0))
    age = max(0, int(time.time() - held.since)) if held else 0
    who = f"{held} has been running for {age} s" if held else "another process is running"
    return f"Cannot begin {what}: {who} and holds {path}. Wait for it, or end that process."
