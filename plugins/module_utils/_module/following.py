# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that may work for long, followed while they do: for actions, which hand themselves over.

The module runs as any other does, so short work takes no longer than without this. Beside it, another process shows the
seconds, and after some of them begins to ask the host for what the module writes down (_store/progress_file.py). It is
a process, since a connection and what becomes another user there serve one command at a time.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import time
from typing import Any, Callable, Dict, Iterator, Mapping, Optional

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._core.progress import PROGRESS, Work, work_of
from .._store.progress_file import PLACE, new_name
from .terminal import Shown

OPTIONS: Mapping[str, Mapping[str, Any]] = {"progress": PROGRESS}
"""What the action keeps for itself."""
TICK = 1.0
"""Seconds between two live lines."""
PATIENCE = 5.0
"""Seconds of work before the host is asked, which takes it a moment."""
POLL = 3.0
"""Seconds between two questions."""
PROCESSES = ("local", "ssh", "community.docker.docker", "containers.podman.podman")
"""Connections that start a program for each command. Others have one socket, which two processes cannot share."""
_LAST = 10.0  # seconds for an answer that is on its way when the work has ended

Ended = Callable[[float], bool]


class Following:
    """Runs a module for an action; ``begins`` is shown until more is known."""

    def __init__(self, action: Any, module: str, begins: str, place: str = PLACE) -> None:
        self.action, self.module, self.begins, self.place = action, module, begins, place

    def result(self, variables: Mapping[str, Any]) -> Dict[str, Any]:
        """Return the module's result."""
        task, connection = self.action._task, self.action._connection
        own = ArgumentSpecValidator(OPTIONS).validate({name: task.args[name] for name in OPTIONS if name in task.args})
        if own.error_messages:
            return {"failed": True, "msg": " ".join(own.error_messages)}
        given = {name: value for name, value in task.args.items() if name not in OPTIONS}
        shown = Shown(self.action._display, own.validated_parameters["progress"], variables["inventory_hostname"])
        in_background = bool(task.async_val and not connection.has_native_async)
        if in_background or not shown.wanted:
            result = self._run(given, variables, in_background)
        else:
            name = new_name()
            with beside(lambda ended: self.follow(name, shown, ended)):
                result = self._run({**given, "progress_id": name}, variables)
        if not in_background:
            self.action._remove_tmp_path(connection._shell.tmpdir)
        return result

    def follow(self, name: str, shown: Shown, ended: Ended, now: Callable[[], float] = time.monotonic) -> None:
        """Show how far the module is until it has ended; ``ended`` waits for that for so many seconds."""
        work, began, look = Work(self.begins), now(), PATIENCE
        try:
            while not ended(TICK):
                elapsed = now() - began
                if elapsed >= look and shown.due(elapsed):
                    look = elapsed + POLL
                    work = self._seen(name) or work
                shown.show(elapsed, work)
        finally:
            shown.clear()

    def _seen(self, name: str) -> Optional[Work]:
        """Return what the module has written down, if it can be read."""
        if self.action._connection.transport not in PROCESSES:
            return None
        path = shlex.quote(os.path.join(self.place, name))
        with contextlib.suppress(Exception):  # as when the network breaks; that is for the module to say
            return work_of(self.action._low_level_execute_command(f"cat {path}")["stdout"])
        return None

    def _run(
        self, given: Mapping[str, Any], variables: Mapping[str, Any], in_background: bool = False
    ) -> Dict[str, Any]:
        result: Dict[str, Any] = self.action._execute_module(
            module_name=self.module, module_args=dict(given), task_vars=variables, wrap_async=in_background
        )
        return result


@contextlib.contextmanager
def beside(work: Callable[[Ended], None]) -> Iterator[None]:
    """Have work done by another process until the block ends, which waits for its end.

    Nothing that it does has an effect here. It ends by itself when this process is killed.
    """
    ear, mouth = os.pipe()
    last_ear, last_mouth = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(mouth)
        _work(work, lambda seconds: bool(select.select([ear], [], [], seconds)[0]))
    os.close(ear)
    os.close(last_mouth)
    try:
        yield
    finally:
        os.close(mouth)
        if not select.select([last_ear], [], [], _LAST)[0]:
            os.kill(worker, signal.SIGKILL)
        os.close(last_ear)
        os.waitpid(worker, 0)


def _work(work: Callable[[Ended], None], ended: Ended) -> None:
    """Do the work as its process. Never returns."""
    try:
        # The signals of the terminal are for who works; not ignored, since that would pass on to programs.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: None)
        work(ended)
    finally:
        os._exit(0)
