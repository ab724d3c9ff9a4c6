# SPDX-License-Identifier: GPL-3.0-or-later
"""What long work shows, and when."""

from __future__ import annotations

import re

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.progress import (
    ERASE,
    EVERY,
    LINES,
    LIVE,
    OFF,
    Progress,
    Work,
    way_of,
    work_of,
)
from hypothesis import given
from hypothesis import strategies as st

SHELL = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("word", "terminal", "environment", "way"),
    [
        ("auto", True, SHELL, LIVE),
        ("auto", False, SHELL, LINES),
        ("auto", True, {"TERM": "dumb"}, LINES),
        ("auto", True, {}, LINES),
        ("auto", True, {**SHELL, "AWX_ISOLATED_DATA_DIR": "/runner"}, LINES),
        ("live", False, {}, LIVE),
        ("lines", True, SHELL, LINES),
        ("off", True, SHELL, OFF),
    ],
)
def test_a_live_line_needs_somebody_at_a_terminal_unless_it_is_asked_for(
    word: str, terminal: bool, environment: dict[str, str], way: str
) -> None:
    assert way_of(word, terminal, environment) == way


def test_a_line_every_15_seconds() -> None:
    progress = Progress(LINES, "vps", 80)
    shown = {second: progress.shown(float(second), Work("[build 2/3] RUN make")) for second in range(0, 50, 3)}
    assert {second: line for second, line in shown.items() if line} == {
        15: "vps | [build 2/3] RUN make, 15 s",
        30: "vps | [build 2/3] RUN make, 30 s",
        45: "vps | [build 2/3] RUN make, 45 s",
    }
    assert not progress.due(45 + EVERY - 1)
    assert progress.cleared() is None


def test_a_live_line_each_time_and_taken_away_once() -> None:
    progress = Progress(LIVE, "vps", 30)
    assert progress.cleared() is None
    assert progress.shown(1, Work("begins")) == f"vps | begins, 1 s{ERASE}\r"
    assert progress.shown(2, Work("[build 2/3] RUN npm run build")) == f"vps | [build 2/3] RUN n…, 2 s{ERASE}\r"
    assert (progress.cleared(), progress.cleared()) == (ERASE, None)


def test_nothing_is_shown_when_it_is_off() -> None:
    progress = Progress(OFF, "vps", 80)
    assert not progress.due(1000)
    assert progress.shown(1000, Work("x")) is None


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (Work("x"), ""),
        (Work("x", done=2048), ", 2 KiB"),
        (Work("x", done=2048, since=2), ", 2 KiB, 1 KiB/s"),
        (Work("x", done=2048, total=4096), ", 2 KiB of 4 KiB (50 %)"),
        (Work("x", done=5000, total=4096, since=0.5), ", 5 KiB of 5 KiB (100 %)"),
    ],
)
def test_how_much_and_how_fast(work: Work, said: str) -> None:
    assert work.amount == said


@given(st.text(), st.text(max_size=80), st.integers(1, 200), st.sampled_from([LIVE, LINES]))
def test_a_line_is_one_line_and_holds_nothing_else_for_a_terminal(step: str, host: str, columns: int, way: str) -> None:
    line = Progress(way, re.sub(r"\W", "", host), columns).shown(100.0, Work(step, 1, 2, 3)) or ""
    if way == LIVE:
        assert line.endswith(f"{ERASE}\r")
        line = line[: -len(f"{ERASE}\r")]
        assert len(line) < columns
    assert "\x1b" not in line
    assert line.splitlines() in ([line], [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "null",
        '{"step": "x", "done": 1, "total": 2}',
        '{"step": "x", "done": -1, "total": 2, "since": 1}',
        '{"step": "x", "done": "many", "total": 2, "since": 1}',
        '{"step": "x", "done": null, "total": 2, "since": 1}',
        '{"step": "x", "done": 1, "total": 2, "since": 1e999}',
        '{"step": "x", "done": Infinity, "total": 2, "since": 1}',
        '{"step": "x", "done": 1, "total": 2, "since": NaN}',
    ],
)
def test_what_a_host_says_and_is_no_work(text: str) -> None:
    assert work_of(text) is None


def test_what_a_host_has_written_down() -> None:
    assert work_of('{"step": "x", "done": 1, "total": 2, "since": 0.5}   \n') == Work("x", 1, 2, 0.5)
