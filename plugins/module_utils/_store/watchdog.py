# SPDX-License-Identifier: GPL-3.0-or-later
"""Someone who finishes the work when this process is killed."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Callable, Iterator


@contextlib.contextmanager
def guarded(recover: Callable[[], None]) -> Iterator[None]:
    """Have ``recover`` called by a watching process if this one dies inside the block, by SIGKILL for example.

    When the block ends by itself, also by an exception, the watcher ends without doing anything: cleaning up is then
    this process's own affair. The watcher keeps what this process has open, its locks among it, until it is done.
    Begin before any thread does; ``recover`` must open its own connections.
    """
    ear, mouth = os.pipe()
    ready_ear, ready_mouth = os.pipe()
    watcher = os.fork()
    if watcher == 0:
        os.close(mouth)
        _watch(ear, ready_mouth, recover)
    os.close(ear)
    os.close(ready_mouth)
    os.read(ready_ear, 1)  # until then it could be killed together with us
    os.close(ready_ear)
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            os.write(mouth, b".")
        os.close(mouth)
        os.waitpid(watcher, 0)


def _watch(ear: int, ready: int, recover: Callable[[], None]) -> None:
    """Wait until the other process says that all is well or is gone. Never returns."""
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):  # Ansible waits until everyone has closed the module's output
            os.dup2(nowhere, stream)
        os.close(ready)
        if not os.read(ear, 1):
            recover()
        code = 0
    finally:
        os._exit(code)
