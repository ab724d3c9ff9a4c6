# SPDX-License-Identifier: GPL-3.0-or-later
"""Someone who finishes the work when a process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked, locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.watchdog import guarded
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT


def within(seconds: float, path: Path) -> bool:
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    return path.exists()


def test_nothing_is_done_when_the_work_ends_by_itself(tmp_path: Path) -> None:
    done = tmp_path / "done"
    with guarded(done.touch):
        pass
    with pytest.raises(RuntimeError), guarded(done.touch):
        raise RuntimeError
    assert not done.exists()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_watcher_does_it_when_the_process_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    done, lock = tmp_path / "done", str(tmp_path / ".lock")
    child = os.fork()
    if child == 0:

        def recover() -> None:
            with pytest.raises(Locked), locked(lock, "another"):
                pass
            done.touch()

        os.setsid()
        with locked(lock, "a restore"), guarded(recover):
            os.kill(0, number)  # the whole group; the watcher has left it
            time.sleep(60)
    os.waitpid(child, 0)
    assert within(10, done)


PROGRAM = """
import sys, time
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.watchdog import guarded
with guarded(lambda: time.sleep(5)):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_nobody_waits_for_the_watchers_output() -> None:
    path = os.pathsep.join([str(ROOT / ".ansible/collections"), *sys.path])
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, env={"PYTHONPATH": path})
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    began = time.monotonic()
    process.communicate()
    assert time.monotonic() - began < 4


def test_a_watcher_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    with guarded((tmp_path / "done").touch):
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        os.kill(int(children[-1]), signal.SIGKILL)
        time.sleep(0.05)
