# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a play prints: terminals, pipes, and what Ansible's display is handed."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import signal
import struct
import termios
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.progress import ERASE, Work
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module import terminal
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.terminal import (
    Shown,
    columns_of,
    display,
    print_at_once,
)


def test_printed_lines_leave_at_once() -> None:
    pipe = io.BytesIO()
    stream = io.TextIOWrapper(io.BufferedWriter(pipe))  # type: ignore[type-var]
    stream.write("one\n")
    assert pipe.getvalue() == b""
    print_at_once(stream)
    stream.write("two\n")
    assert pipe.getvalue() == b"one\ntwo\n"
    stream.write("three\r")
    assert pipe.getvalue().endswith(b"three\r")
    print_at_once(io.StringIO())


def test_nothing_interrupts_while_it_prints() -> None:
    masks = []
    display(SimpleNamespace(display=lambda text: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))), "x")
    assert masks == [{signal.SIGINT, signal.SIGTERM}]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


@pytest.mark.parametrize(("set_to", "columns"), [(132, 132), (0, 80)])
def test_a_terminal_has_columns(set_to: int, columns: int) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, set_to, 0, 0))
    with os.fdopen(theirs, "w") as stream:
        assert columns_of(stream) == columns
    os.close(ours)


def test_what_is_no_terminal_has_none() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        assert columns_of(stream) == 0
    assert columns_of(io.StringIO()) == 0
    assert columns_of(stream) == 0  # closed


@pytest.fixture
def printed() -> list[tuple[str, dict[str, Any]]]:
    return []


def shown(printed: list[tuple[str, dict[str, Any]]], word: str) -> Shown:
    return Shown(SimpleNamespace(display=lambda text, **how: printed.append((text, how))), word, "vps")


def test_live_lines_are_for_the_screen_and_others_for_a_log_too(printed: list[tuple[str, dict[str, Any]]]) -> None:
    live = shown(printed, "live")
    live.clear()
    live.show(1, Work("x"))
    live.clear()
    live.line("said")
    screen = {"newline": False, "screen_only": True}
    assert printed == [(f"vps | x, 1 s{ERASE}\r", screen), (ERASE, screen), ("vps | said", {})]


def test_lines_hold_nothing_for_a_terminal(
    printed: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.COLUMNS == 0
    lines = shown(printed, "auto")
    assert (lines.due(14), lines.due(15)) == (False, True)
    lines.show(15, Work("x"))
    lines.clear()
    assert printed == [("vps | x, 15 s", {})]
