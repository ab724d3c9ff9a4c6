# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as an audit sees it: files, processes, sockets and commands that only look. Nothing is changed."""

from __future__ import annotations

import ctypes
import fnmatch
import glob
import os
import shutil
import stat
from typing import Callable, Iterator, Sequence

from .._core.audit_host import Place
from .compose import run
from .this_host import ThisHost

_WITHIN = 60.0  # seconds for one command
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_TIMEX = 256  # bytes, more than struct timex has anywhere
_UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)


class AuditedHost:
    """The host that the module runs on; every failure to look is an OSError or a DockerVpsError."""

    def text(self, path: str) -> str:
        """Return the content of a text file.

        Raises:
            OSError: it is not there, or must not be read.
        """
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def exists(self, path: str) -> bool:
        """Return whether there is something."""
        return os.path.exists(path)

    def places(self, patterns: Sequence[str]) -> list[Place]:
        """Return what patterns match, each thing once, with owner and mode.

        Raises:
            OSError: a directory on the way must not be read.
        """
        found = dict.fromkeys(os.path.realpath(path) for pattern in patterns for path in _matches(pattern))
        return [_place(path) for path in found]

    def output(self, command: Sequence[str]) -> str:
        """Return what a command prints.

        Raises:
            DockerVpsError: it is not there, or fails.
        """
        path = f"{os.environ.get('PATH', '')}:{_SBIN}"
        program = shutil.which(command[0], path=path) or command[0]  # sshd wants to be called by its path
        return run([program, *command[1:]], _WITHIN, {**os.environ, "LC_ALL": "C"})

    def statuses(self) -> list[str]:
        """Return the status of each process, as /proc has it."""
        return [text for pid in _pids() for text in _of_process(pid, "status", self.text)]

    def command_lines(self, name: str) -> list[list[str]]:
        """Return the arguments of each process of a program; what runs in containers is not among them.

        Raises:
            OSError: the processes of others must not be checked.
        """
        here = os.readlink("/proc/self/ns/pid")
        texts = [(pid, text) for pid in _pids() for text in _of_process(pid, "cmdline", self.text)]
        lines = [(pid, text.rstrip("\0").split("\0")) for pid, text in texts]
        named = [(pid, line) for pid, line in lines if os.path.basename(line[0]) == name]
        return [line for pid, line in named if _of_process(pid, "ns/pid", os.readlink) == [here]]

    def kernel(self) -> str:
        """Return the release of the kernel that runs."""
        return os.uname().release

    def synchronised(self) -> bool:
        """Return whether the kernel's clock is kept by somebody; see adjtimex(2)."""
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX))) != _UNSYNCHRONISED

    def compose_version(self) -> str:
        """Return the version of the Compose plugin, empty when there is none."""
        return ThisHost().plugin_versions(["compose"])[0]


def _matches(pattern: str) -> list[str]:
    """Return what a pattern matches as glob does, which takes a directory that it may not read for an empty one."""
    found = ["/"]
    for part in pattern.strip("/").split("/"):
        found = [os.path.join(folder, name) for folder in found for name in _names(folder, part)]
    return found


def _names(folder: str, part: str) -> list[str]:
    try:
        if glob.has_magic(part):
            return sorted(name for name in fnmatch.filter(os.listdir(folder), part) if not name.startswith("."))
        os.stat(os.path.join(folder, part))
        return [part]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _place(path: str) -> Place:
    facts = os.stat(path)
    return Place(path, stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid)


def _pids() -> Iterator[str]:
    return (name for name in os.listdir("/proc") if name.isdigit())


def _of_process(pid: str, file: str, read: Callable[[str], str]) -> list[str]:
    """Return what is read from a file of a process; nothing when the process has ended."""
    try:
        return [read(f"/proc/{pid}/{file}")]
    except (FileNotFoundError, ProcessLookupError):
        return []
