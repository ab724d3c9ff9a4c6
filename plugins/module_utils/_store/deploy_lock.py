# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that says which play is running on an app.

A play is many processes, one after the other, so the kernel cannot hold its lock: the content of the file does. The
kernel's flock only keeps two from exchanging that content at once. Who writes has the flock, so content that makes no
sense is not half written, but what a crash left. The action deploy_lock releases it with a shell
command.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Iterator, Optional

from .._core.deploy_lock import Lock, LockRules, Owner, parse, taken, text_of
from .._core.errors import DockerVpsError
from . import files
from .lock import flocked

EXCHANGED_WITHIN = 5.0  # seconds
_MOST = 65536  # bytes


def take(path: str, owner: Owner, rules: LockRules, now: float) -> tuple[Lock, str]:
    """Take the lock, and return it with what is worth telling.

    Raises:
        Held: another play holds it.
        DockerVpsError: the file cannot be written.
    """
    directory = os.path.dirname(path)
    made = not os.path.isdir(directory)
    files.make_directory(directory)
    try:
        with _exchange(path) as descriptor:
            lock, notice = taken(_text(descriptor), Lock(owner, int(now), made), rules, path)
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text_of(lock).encode(), 0)
            os.fsync(descriptor)
    except OSError as error:
        raise files.refused(f"The lock {path} cannot be written", error, path) from error
    return lock, notice


def look(path: str) -> Optional[Lock]:
    """Return who holds the lock, None when nobody does."""
    try:
        with open(path, "rb") as file:
            return parse(file.read(_MOST).decode("utf-8", "replace"))
    except OSError:
        return None


def give_back(path: str, owner: Owner) -> None:
    """Remove the lock, if it is still its owner's; what cannot be removed goes with its age."""
    with contextlib.suppress(OSError, DockerVpsError), _exchange(path) as descriptor:
        lock = parse(_text(descriptor))
        if lock is None or lock.owner.key == owner.key:
            os.unlink(path)


@contextlib.contextmanager
def _exchange(path: str) -> Iterator[int]:
    """Open the file for one at a time, and make sure that it is still the one at this path."""
    until = time.monotonic() + EXCHANGED_WITHIN
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if flocked(descriptor) and _is_at(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)
        if time.monotonic() > until:
            raise DockerVpsError(f"Another process has {path} open and locked for {EXCHANGED_WITHIN:g} s. Try again.")
        time.sleep(0.02)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _text(descriptor: int) -> str:
    return os.pread(descriptor, _MOST, 0).decode("utf-8", "replace")
