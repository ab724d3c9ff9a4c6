# SPDX-License-Identifier: GPL-3.0-or-later
"""One at a time: a lock file that says who holds it, and that cannot outlive its holder.

The kernel's flock is the lock, so it ends with the last process that holds it, however that
ends; the text in the file only tells people who it is. A file without a flock is stale.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import Iterator

from .._core.errors import DockerVpsError


class Locked(DockerVpsError):
    """Somebody else is at work."""


@contextlib.contextmanager
def locked(path: str, what: str) -> Iterator[None]:
    """Hold the lock at a path while doing something.

    Args:
        what: what is done, as in "a backup of ptnextjs".

    Raises:
        Locked: another process holds it; the message names it, its process id and its age.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Locked(_holder(descriptor, path, what)) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"what": what, "pid": os.getpid(), "since": int(time.time())}).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _holder(descriptor: int, path: str, what: str) -> str:
    try:
        held = json.loads(os.pread(descriptor, 4096, 0))
        age = max(0, int(time.time()) - held["since"])
        who = f"{held['what']} (process {held['pid']}) has been at work for {age} s"
    except (ValueError, KeyError, TypeError):
        who = "another process is at work"
    return f"Cannot begin {what}: {who} and holds {path}. Wait for it, or end that process."
