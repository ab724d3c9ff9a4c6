# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error family of the collection."""

from __future__ import annotations

import errno
import os
import re
from typing import Mapping

from .remedies import is_it_root
from .text import tidy

_BECOME = is_it_root()
_NEXT_STEPS: Mapping[int, str] = {
    errno.EACCES: _BECOME,
    errno.EPERM: _BECOME,
    errno.ENOSPC: "Free some space on that disk, or choose another one.",
    errno.EDQUOT: "The quota of that disk is used up: raise it, or free some space.",
    errno.EFBIG: "Choose a disk that takes larger files.",
    errno.EROFS: "That file system is mounted read-only; the kernel does so by itself after an error of the disk. "
    "Look at dmesg, fix the cause, and mount it writable again.",
    errno.EIO: "The disk has errors: look at dmesg, and move its data to another one.",
    errno.ENAMETOOLONG: "Choose a shorter path.",
    errno.E2BIG: "More names were given to it at once than the kernel takes; please report that.",
    errno.ENOLCK: "That file system has no locks to give: choose a directory on a disk of this host.",
}

# Why the kernel does not start a program.
_NO_START: Mapping[int, str] = {
    errno.ENOENT: "there is no such file on the host, or the interpreter that its first line names is not there",
    errno.ENOEXEC: "it is no program of this host, and a script needs a first line such as #!/bin/sh",
    errno.EACCES: "it may not be executed: its mode forbids it (ls -l), or its file system is mounted noexec (findmnt)",
    errno.E2BIG: "its arguments are too long: the kernel takes 131071 bytes for one, and about 2 MB for all",
}


class DockerVpsError(Exception):
    """A failure that a person can act on.

    The message is one clear sentence: the object, what was expected, what was found and
    the next step. Evidence (log lines, findings) travels beside it as data.
    """

    def __init__(self, message: str, **evidence: object) -> None:
        # Names of files may hold bytes that are not UTF-8, and a message must not: see text.shown.
        self.message = tidy(re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", message))
        super().__init__(self.message)
        self.evidence = evidence

    def also(self, *sentences: str) -> None:
        """Say more."""
        self.message = " ".join([self.message, *sentences])
        self.args = (self.message,)


class InvalidInput(DockerVpsError):
    """What the user asked for cannot be right."""


class EngineError(DockerVpsError):
    """The Docker engine did not do what was asked."""


class EngineUnreachable(EngineError):
    """No engine answers at the address."""


class EngineForbidden(EngineError):
    """The engine's socket may not be used by this user."""


class EngineRefused(EngineError):
    """The engine answered, but not with what was asked for.

    ``status`` is that of HTTP, or 0 when it failed after a beginning that was good; ``why`` is what the engine says.
    """

    def __init__(self, message: str, why: str, status: int) -> None:
        super().__init__(message)
        self.why, self.status = why, status


def next_step(error: OSError) -> str:
    """Return what to do about a refusal of the file system, as a sentence."""
    return _NEXT_STEPS.get(error.errno or 0, "See with ls -l what is there, and with findmnt on which file system.")


def why_unstarted(number: int) -> str:
    """Return why the kernel has not started a program, by the number of its error."""
    return _NO_START.get(number, f"the host says: {os.strerror(number)}")
