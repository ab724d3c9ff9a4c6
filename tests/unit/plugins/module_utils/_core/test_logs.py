# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of a log: whole, once, and the right ones, whatever way the engine cuts and orders its entries."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.logs import (
    LONGEST,
    FoundLines,
    Line,
    WantedLines,
    after,
    choose,
    entries,
    lines,
    parse_time,
    place,
    unix,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import frame
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 1, 31, 12, 0, 0, 5000, tzinfo=timezone.utc)
ALL = {"stdout": "", "stderr": ""}


def at(second: float) -> str:
    return f"2026-01-31T12:{int(second) // 60:02}:{int(second) % 60:02}.{round(second % 1 * 10**9):09}Z"


def line(second: float, text: str = "x", stream: str = "stdout") -> Line:
    return Line(at(second), stream, text)


def entry(second: float, text: str, stream: int = 1) -> bytes:
    return frame(f"{at(second)} {text}", stream)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, begin = [], 0
    for size in sizes:
        pieces.append(data[begin : begin + size])
        begin += size
    return [*pieces, data[begin:]]


@given(st.lists(st.integers(1, 60), max_size=20))
def test_entries_are_found_however_the_bytes_arrive(sizes: list[int]) -> None:
    data = entry(1, "one\n") + entry(2, "t\u00e4wo\n", 2) + entry(3, "three\n", 7)
    found = list(lines(entries(cut(data, sizes), tty=False), ended=False))
    assert found == [line(1, "one"), line(2, "t\u00e4wo", "stderr"), line(3, "three")]


def test_an_entry_that_the_engine_did_not_finish_is_none() -> None:
    assert list(entries([entry(1, "one\n") + frame("cut off")[:-1]], tty=False)) == [
        ("stdout", f"{at(1)} one\n".encode())
    ]


def test_a_terminal_has_no_frames_and_one_stream() -> None:
    pieces = [f"{at(1)} one\r\n".encode(), f"{at(2)} two\r\n{at(3)} th".encode(), b"ree\r\n"]
    found = choose(lines(entries(pieces, tty=True), ended=False), WantedLines(0, ALL), whole=True)
    assert found.lines == (line(1, "one"), line(2, "two"), line(3, "three"))


@pytest.mark.parametrize("tty", [False, True])
def test_a_long_line_comes_in_several_entries_of_one_time(tty: bool) -> None:
    parts = ["\u00e4" * 8190, "b" * 16384, "end\n"]
    pieces = [f"{at(1)} {part}".encode() if tty else entry(1, part) for part in parts]
    between = [] if tty else [entry(0.5, "other\n", 2)]
    found = list(lines(entries([pieces[0], *between, *pieces[1:]], tty), ended=False))
    assert found[-1] == line(1, "".join(parts)[:-1])
    assert len(found) == len(between) + 1


def test_a_character_that_is_cut_is_whole_again() -> None:
    stamp, euro = f"{at(1)} ".encode(), "\u20ac".encode()
    pieces = [("stdout", stamp + euro[:1]), ("stdout", stamp + euro[1:] + b"\n")]
    assert list(lines(pieces, ended=False)) == [line(1, "\u20ac")]


def test_what_is_no_text_is_no_trouble() -> None:
    found = list(lines([("stdout", f"{at(1)} ".encode() + b"\xff\n"), ("stdout", f"{at(2)} \n".encode())], False))
    assert found == [line(1, "\ufffd"), line(2, "")]


def test_a_line_without_its_end_is_left_until_the_container_writes_no_more() -> None:
    pieces = [entry(1, "one\n"), entry(2, "tw")]
    assert list(lines(entries(pieces, False), ended=False)) == [line(1, "one")]
    assert list(lines(entries(pieces, False), ended=True)) == [line(1, "one"), line(2, "tw")]


@pytest.mark.parametrize("tty", [False, True])
def test_what_the_engine_says_itself_is_no_line(tty: bool) -> None:
    damage = "Error grabbing logs: invalid character\n\n"
    pieces = [entry(1, "one\n") if not tty else b"", damage.encode() if tty else frame(damage)]
    assert not choose(lines(entries(pieces, tty), ended=False), WantedLines(1, ALL), whole=False).enough
    found = choose(lines(entries(pieces, tty), ended=False), WantedLines(1, ALL), whole=True)
    assert (found.damage, found.enough) == ("Error grabbing logs: invalid character", True)
    assert [one.text for one in found.lines] == ([] if tty else ["one"])


@pytest.mark.parametrize("tty", [True, False])
def test_the_last_line_of_a_run_is_apart_from_the_first_of_the_next(tty: bool) -> None:
    pieces = [f"{at(n)} {text}".encode() if tty else entry(n, text) for n, text in ((1, "bye"), (2, "hello\n"))]
    assert list(lines(entries(pieces, tty), ended=False)) == [line(1, "bye"), line(2, "hello")]


def test_a_line_without_end_is_kept_up_to_a_limit() -> None:
    (found,) = lines((("stdout", f"{at(1)} ".encode() + b"x" * 16384) for _turn in range(100)), ended=True)
    assert LONGEST < len(found.text) <= 2 * LONGEST
    assert set(found.text) == {"x"}


def chosen(*found: Line, whole: bool = True, **wanted: Any) -> FoundLines:
    return choose(found, WantedLines(**{"tail": 0, "after": ALL, **wanted}), whole)


TEN = [line(n, f"line {n}") for n in range(10, 20)]


def test_all_of_a_whole_log() -> None:
    found = chosen(*TEN)
    assert (found.lines, found.truncated, found.enough) == (tuple(TEN), False, True)
    assert found.last == {"stdout": at(19), "stderr": at(9)}


def test_the_last_ones_of_those_that_match() -> None:
    found = chosen(*TEN, tail=2, pattern=re.compile("[357]"))
    assert [one.text for one in found.lines] == ["line 15", "line 17"]
    assert found.truncated is True
    assert chosen(*TEN, tail=3, pattern=re.compile("[357]")).truncated is False


def test_between_two_times() -> None:
    found = chosen(*TEN, after={"stdout": at(12), "stderr": at(12)}, until=at(15))
    assert found.lines == tuple(TEN[3:6])
    assert found.last == {"stdout": at(15), "stderr": at(12)}


def test_the_streams_have_times_of_their_own() -> None:
    late = line(5, "late", "stderr")
    first = chosen(line(5.5), whole=True, after={"stdout": at(4), "stderr": at(4)})
    assert first.last == {"stdout": at(5.5), "stderr": at(4)}
    assert chosen(line(5.5), late, after=first.last).lines == (late,)


def test_nothing_at_all() -> None:
    assert chosen() == FoundLines((), False, ALL, True)
    assert chosen(whole=False).enough is False


def test_control_characters_are_left_out() -> None:
    found = chosen(line(1, "\x1b[31mred\x1b[0m\ttab\x07 \x1b]0;title\x9bend\r"), pattern=re.compile("^red\ttab"))
    assert [one.text for one in found.lines] == ["red\ttab ]0;titleend"]


def test_the_end_of_a_log_is_enough_when_it_has_one_line_more() -> None:
    assert chosen(*TEN, whole=False, tail=8).enough is True
    assert chosen(*TEN, whole=False, tail=8).lines == tuple(TEN[2:])
    # The first one may lack its beginning.
    assert chosen(*TEN, whole=False, tail=9).enough is False


def test_the_end_of_a_log_is_enough_when_it_reaches_back_far_enough() -> None:
    place = {"stdout": at(12), "stderr": at(10)}
    found = chosen(*TEN, whole=False, after=place)
    assert (found.enough, found.lines) == (True, tuple(TEN[3:]))
    assert chosen(*TEN, whole=False, after={**place, "stderr": at(9)}).enough is False


def test_the_end_of_a_log_after_the_times_that_are_wanted_is_not_enough() -> None:
    assert chosen(*TEN, whole=False, tail=1, until=at(5)).enough is False


STEPS = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.integers(0, 3)), max_size=40)


@given(STEPS, st.lists(st.integers(0, 40)), st.integers(1, 50))
def test_whoever_continues_gets_every_line_once(steps: list[tuple[str, int]], looks: list[int], end: int) -> None:
    """Lines of two streams, up to 3 s out of order; looks at the log while it grows; at its end or the whole."""
    newest: Mapping[str, float] = {"stdout": 100, "stderr": 100}
    log = []
    for number, (stream, delay) in enumerate(steps):
        newest = {**newest, stream: max(newest[stream] + 0.001, 100 + number - delay)}
        log.append(line(newest[stream], str(number), stream))
    got: list[Line] = []
    last: Mapping[str, str] = ALL
    for size in [*sorted(min(look, len(log)) for look in looks), len(log)]:
        found = choose(log[:size][-end:], WantedLines(0, last), whole=False)
        if not found.enough:
            found = choose(log[:size], WantedLines(0, last), whole=True)
        got += found.lines
        last = found.last
    assert sorted(got) == sorted(log)


def test_a_place_is_read_as_it_was_written() -> None:
    last = {"stdout": at(1.5), "stderr": at(2)}
    assert after(place(last), NOW) == last
    assert place(ALL) == ""
    assert after("", NOW) == ALL
    assert after(place({**last, "stderr": ""}), NOW) == {"stdout": at(1.5), "stderr": at(1.5)}


def test_one_time_is_for_both_streams() -> None:
    assert after("10m", NOW) == dict.fromkeys(ALL, "2026-01-31T11:50:00.005000000Z")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("", ""),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000000Z"),
        ("2026-01-31 12:00:00", "2026-01-31T12:00:00.000000000Z"),
        ("2026-01-31t12:00:00.5z", "2026-01-31T12:00:00.500000000Z"),
        ("2026-01-31T12:00:00.123456789+01:30", "2026-01-31T10:30:00.123456789Z"),
        ("2026-01-31T22:00:00-03:00", "2026-02-01T01:00:00.000000000Z"),
        ("0931-01-31T22:00:00Z", "0931-01-31T22:00:00.000000000Z"),
        ("0s", "2026-01-31T12:00:00.005000000Z"),
        ("1h30m", "2026-01-31T10:30:00.005000000Z"),
        ("1.5s", "2026-01-31T11:59:58.505000000Z"),
        ("2d5ms", "2026-01-29T12:00:00.000000000Z"),
        ("400000d", "0930-12-03T12:00:00.005000000Z"),
    ],
)
def test_times(text: str, time: str) -> None:
    assert parse_time("since", text, NOW) == time


@pytest.mark.parametrize(
    "text",
    ["yesterday", "10", "10 m", "5x", "2026-02-30T12:00:00Z", "2026-01-31", "9999999999d", "0001-01-01T00:00:00+01:00"],
)
def test_no_times(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_time("until", text, NOW)
    assert caught.value.message == (
        f"until must be a time such as 2026-01-31T12:00:00Z, or how long ago, such as 10m or 1h30m, but is '{text}'."
    )


@pytest.mark.parametrize("text", ["now", f"{at(1)},x", f"{at(1)},{at(2)},{at(3)}", "x,"])
def test_no_place(text: str) -> None:
    with pytest.raises(InvalidInput, match="^since must be a time"):
        after(text, NOW)


def test_the_engine_is_asked_in_unix_seconds() -> None:
    assert unix("2026-01-31T12:00:00.123456789Z") == "1769860800.123456789"
    assert unix("0931-01-31T12:00:00.000000000Z") == "0.000000000"
    assert unix("") == ""
