# SPDX-License-Identifier: GPL-3.0-or-later
"""How far long work is, in a file that whoever started it may look at meanwhile.

Work tells of it by ``begin_step`` and ``count_bytes`` wherever it is, as code logs, and nothing happens unless somebody
has asked for a file. That is in memory, and is locked as long as its process lives, so whoever makes the next one
removes what killed processes have left.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import time
from contextvars import ContextVar
from dataclasses import asdict
from typing import Callable, Iterator, Optional

from .._core.progress import Work

EVERY = 1.0
"""Seconds between two writes."""
PLACE = "/run/docker-vps"
_NAME = re.compile(r"progress-[0-9a-f]{16}")
_ROOM = 4096  # bytes of the file, always, so that what is read is of one write
_LONGEST = 200  # characters of a step


def new_name() -> str:
    """Return a name for a file that nobody else has."""
    return f"progress-{secrets.token_hex(8)}"


class ProgressFile:
    """Writes how far work is into an open file."""

    def __init__(self, descriptor: int, now: Callable[[], float] = time.monotonic) -> None:
        self.descriptor, self.now = descriptor, now
        self._work = Work("")
        self._began = self._next = 0.0

    def begin(self, name: str, total: int) -> None:
        """Begin a step, of so many bytes as far as that is known."""
        self._work, self._began, self._next = Work(name[:_LONGEST], total=total), self.now(), 0.0
        self.count(0)

    def count(self, number: int) -> None:
        """Count bytes of the step, and write it down now and then."""
        now, work = self.now(), self._work
        self._work = work = Work(work.step, work.done + number, work.total, round(now - self._began, 3))
        if now >= self._next:
            self._next = now + EVERY
            with contextlib.suppress(OSError):  # nothing fails because it cannot be inspected
                os.pwrite(self.descriptor, json.dumps(asdict(work)).encode().ljust(_ROOM - 1) + b"\n", 0)


_ASKED: ContextVar[Optional[ProgressFile]] = ContextVar("progress", default=None)


def begin_step(name: str, total: int = 0) -> None:
    """Tell that a step begins.

    Args:
        name: what is done, without anything secret.
        total: its bytes; 0 when that is not known.
    """
    asked = _ASKED.get()
    if asked:
        asked.begin(name, total)


def count_bytes(number: int) -> None:
    """Tell that so many bytes more of the step are done."""
    asked = _ASKED.get()
    if asked:
        asked.count(number)


@contextlib.contextmanager
def reported(name: str, directory: str = PLACE) -> Iterator[None]:
    """Have what is reported in the block written into a file (0600), which is removed in the end.

    Without a name, or where no file can be made, nobody is told.

    Args:
        name: see ``new_name``.
    """
    path = os.path.join(directory, name)
    descriptor = _made(path) if _NAME.fullmatch(name) else None
    if descriptor is None:
        yield
        return
    token = _ASKED.set(ProgressFile(descriptor))
    try:
        yield
    finally:
        _ASKED.reset(token)
        _remove(path)
        os.close(descriptor)


def _made(path: str) -> Optional[int]:
    """Make and lock the file, in a directory for its owner only, and remove there what killed processes have left."""
    directory = os.path.dirname(path)
    with contextlib.suppress(OSError):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _clear(directory)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(BlockingIOError):  # somebody clears at this moment
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    return None


def _clear(directory: str) -> None:
    for path in (os.path.join(directory, name) for name in os.listdir(directory) if _NAME.fullmatch(name)):
        with contextlib.suppress(OSError):  # its process lives, or somebody else has removed it
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(descriptor)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
