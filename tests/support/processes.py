# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a play or of a procedure, and how to end some of them at once."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Iterable


def parents() -> dict[int, int]:
    """Return the parents of all processes."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    return found


def command_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def session_of(process: int) -> int:
    try:
        return os.getsid(process)
    except OSError:
        return 0


class Family:
    """A process with all that it started: a controller's own, the watchers of the work, and the work itself."""

    def __init__(self, top: int) -> None:
        above = parents()
        self.all = [top]
        for one in self.all:
            self.all += [child for child, parent in above.items() if parent == one]
        self.controller = [one for one in self.all if b"ansible-playbook" in command_of(one)]
        # One forks off into a session of its own and goes on with the same program.
        self.watchers = [
            one
            for one in self.all
            if one not in self.controller and session_of(one) == one and command_of(one) == command_of(above[one])
        ]
        self.work = [one for one in self.all if one not in (*self.controller, *self.watchers)]


def kill(processes: Iterable[int]) -> None:
    """End processes at once, before any of them can look what became of another."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for one in processes:
            try:
                os.kill(one, number)
            except ProcessLookupError:
                continue


def kill_family(top: int) -> None:
    """End a process with all that it started, also what it starts at this very moment, and wait until they are gone."""
    known: set[int] = set()
    while True:
        more = {*Family(top).all} - known
        if not more:
            break
        for one in more:  # what has stopped starts nothing
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGSTOP)
        known |= more
    kill(known)
    while any(map(alive, known)):
        time.sleep(0.01)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
