# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that are followed: what is shown of them and when, and the process that shows it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module import following
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.following import Following, beside
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.terminal import Shown
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.progress_file import PLACE

WORK = {"step": "db.tar.gz is written", "done": 2048, "total": 4096, "since": 2.0}


class Host:
    """An action whose host takes so many seconds for its work, and answers with what was written down."""

    def __init__(self, *answers: Any, seconds: int, word: str, transport: str = "ssh") -> None:
        self.answers, self.seconds, self.passed = list(answers), seconds, 0.0
        self.asked: list[tuple[str, float]] = []
        self.printed: list[str] = []
        self._connection = SimpleNamespace(transport=transport)
        self.shown = Shown(SimpleNamespace(display=lambda text, **_how: self.printed.append(text)), word, "vps")

    def _low_level_execute_command(self, command: str) -> dict[str, Any]:
        self.asked.append((command, self.passed))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"stdout": answer if isinstance(answer, str) else json.dumps(answer)}

    def ended(self, seconds: float) -> bool:
        self.passed += seconds
        return self.passed >= self.seconds

    def followed(self) -> list[str]:
        Following(self, "module", "the backup begins").follow("x y", self.shown, self.ended, lambda: self.passed)
        return self.printed


def test_short_work_shows_seconds_at_a_terminal_and_the_host_is_asked_nothing() -> None:
    host = Host(WORK, seconds=4, word="live")
    seconds = [f"vps | the backup begins, {second} s\x1b[K\r" for second in (1, 2, 3)]
    assert host.followed() == [*seconds, "\x1b[K"]
    assert host.asked == []
    assert Host(WORK, seconds=1, word="live").followed() == []


def test_long_work_is_asked_after_5_seconds_and_then_every_3() -> None:
    host = Host({**WORK, "step": "sn\x1b[31meaky\n"}, WORK, seconds=10, word="live")
    printed = host.followed()
    assert host.asked == [(f"cat '{PLACE}/x y'", 5.0), (f"cat '{PLACE}/x y'", 8.0)]
    assert printed[4:] == [
        *(f"vps | sneaky, 2 KiB of 4 KiB (50 %), 1 KiB/s, {second} s\x1b[K\r" for second in (5, 6, 7)),
        *(f"vps | db.tar.gz is written, 2 KiB of 4 KiB (50 %), 1 KiB/s, {second} s\x1b[K\r" for second in (8, 9)),
        "\x1b[K",
    ]


def test_without_a_terminal_a_line_every_15_seconds_and_no_other_question() -> None:
    host = Host(WORK, seconds=35, word="lines")
    assert host.followed() == [
        "vps | db.tar.gz is written, 2 KiB of 4 KiB (50 %), 1 KiB/s, 15 s",
        "vps | db.tar.gz is written, 2 KiB of 4 KiB (50 %), 1 KiB/s, 30 s",
    ]
    assert [at for _command, at in host.asked] == [15, 30]


@pytest.mark.parametrize("answer", ["", "cat: no such file", "[]", RuntimeError("broken pipe"), OSError()])
def test_what_cannot_be_read_leaves_the_last_that_was_known(answer: Any) -> None:
    assert Host(answer, WORK, answer, seconds=46, word="lines").followed() == [
        "vps | the backup begins, 15 s",
        "vps | db.tar.gz is written, 2 KiB of 4 KiB (50 %), 1 KiB/s, 30 s",
        "vps | db.tar.gz is written, 2 KiB of 4 KiB (50 %), 1 KiB/s, 45 s",
    ]


def test_a_connection_that_is_one_socket_is_not_used_twice() -> None:
    host = Host(WORK, seconds=20, word="lines", transport="paramiko")
    assert (host.followed(), host.asked) == (["vps | the backup begins, 15 s"], [])


@pytest.fixture
def printed(tmp_path: Path) -> Path:
    return tmp_path / "printed"


def waits(into: Path) -> Callable[[Callable[[float], bool]], None]:
    def wait(ended: Callable[[float], bool]) -> None:
        into.write_text("begins")
        ended(60)
        into.write_text("ended")

    return wait


def test_it_ends_with_the_block_also_when_that_fails(printed: Path) -> None:
    with pytest.raises(RuntimeError), beside(waits(printed)):
        raise RuntimeError
    assert printed.read_text() == "ended"


def test_no_signal_of_a_terminal_ends_it_amid_its_work(printed: Path) -> None:
    def work(ended: Callable[[float], bool]) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        waits(printed)(ended)

    with beside(work):
        pass
    assert printed.read_text() == "ended"


def test_what_breaks_it_breaks_nothing_else(printed: Path) -> None:
    def work(ended: Callable[[float], bool]) -> None:
        raise RuntimeError

    with beside(work):
        printed.write_text("done")
    assert printed.read_text() == "done"


def test_one_that_hangs_is_ended(printed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_LAST", 0.2)
    began = time.monotonic()
    with beside(lambda _ended: time.sleep(60)):
        pass
    assert time.monotonic() - began < 10


def until(true: Callable[[], bool]) -> bool:
    return any(true() or time.sleep(0.05) for _turn in range(200))


def test_it_ends_when_who_began_it_is_killed(printed: Path) -> None:
    code = f"""
import pathlib, sys, time
from {beside.__module__} import beside
def work(ended):
    pathlib.Path(sys.argv[1]).write_text("begins")
    ended(60)
    pathlib.Path(sys.argv[1]).write_text("ended")
with beside(work):
    time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", code, str(printed)], env=environment)
    assert until(lambda: printed.exists() and printed.read_text() == "begins")
    process.kill()
    process.wait()
    assert until(lambda: printed.read_text() == "ended")
