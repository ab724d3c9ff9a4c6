# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.idle import LULL, quiet
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FakeClock


class Writing(FakeClock):
    """A clock in whose pauses an application writes, so many times."""

    def __init__(self, path: Path, times: int) -> None:
        super().__init__()
        self.path, self.times = path, times

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.times:
            self.times -= 1
            with self.path.open("ab") as file:
                file.write(b"x")


@pytest.fixture
def live(tmp_path: Path) -> Path:
    path = tmp_path / "payload.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (n)")
    return path


def test_one_that_was_not_written_for_a_while_is_not_waited_for(live: Path) -> None:
    os.utime(live, (time.time() - 1, time.time() - 1))
    clock = FakeClock()
    assert quiet(str(live), clock.now(), clock)
    assert clock.slept == []


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
@pytest.mark.parametrize("times", [0, 3])
def test_a_lull_is_waited_for(live: Path, suffix: str, times: int) -> None:
    os.utime(live, (time.time() - 1, time.time() - 1))
    written = Path(f"{live}{suffix}")
    with written.open("ab") as file:
        file.write(b"x")
    clock = Writing(written, times)
    assert quiet(str(live), clock.now() + 5, clock)
    assert len(clock.slept) == times + 1
    assert max(clock.slept) <= LULL


def test_the_wait_is_bounded(live: Path) -> None:
    clock = Writing(live, 1000)
    began = clock.now()
    assert not quiet(str(live), began + 5, clock)
    assert 4 < clock.now() - began <= 5


def test_a_time_that_is_yet_to_come_tells_nothing(live: Path) -> None:
    os.utime(live, (time.time() + 900, time.time() + 900))
    clock = FakeClock()
    assert quiet(str(live), clock.now() + 5, clock)
    assert clock.slept == [LULL]


WRITER = """
import sqlite3, sys, time
live = sqlite3.connect(sys.argv[1], isolation_level=None)
live.execute("PRAGMA journal_mode = WAL")
began = time.monotonic()
while time.monotonic() - began < float(sys.argv[2]):
    live.execute("INSERT INTO t VALUES (1)")
    print("x", flush=True)
    time.sleep(0.005)
"""


class Real(FakeClock):
    """The time of the machine; the pauses are real."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def test_a_fast_writer_has_no_lull_and_is_not_kept_waiting(live: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(live), "1.5"], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        clock = Real()
        assert not quiet(str(live), clock.now() + 0.4, clock)
        assert quiet(str(live), clock.now() + 30, clock)
        assert writer.wait(timeout=0.05) == 0  # the lull came when it had ended
