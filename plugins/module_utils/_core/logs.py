# SPDX-License-Identifier: GPL-3.0-or-later
"""From the stream of a container's log to its lines: each exactly once, in bounded memory.

The engine sends entries, each behind a header of 8 bytes (stream, size), or bare when the container has a TTY:
https://docs.docker.com/reference/api/engine/ (ContainerAttach, "Stream format"). An entry begins with its time, RFC
3339 in UTC with nine digits, so times compare as strings. A line beyond 16 KiB comes in several entries, all with
the time of the first; the last line of a run may lack its end.

Within a stream times only grow, but stdout and stderr are stamped before they are queued, so their entries can be in
the wrong order. Therefore the place to continue from is a time for each of the two.
"""

from __future__ import annotations

import calendar
import re
import struct
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Deque, Dict, Iterable, Iterator, Mapping, NamedTuple, Optional, Pattern, Tuple

from .errors import InvalidInput

LONGEST = 64 * 1024
"""Characters of a line that are kept."""

_BUFFERED = 2 * LONGEST  # bytes of an unfinished line, so that a secret at the end of what is kept is still whole
_HEADER = struct.Struct(">BxxxL")
_STREAMS = {1: "stdout", 2: "stderr"}
_LATE = timedelta(seconds=10)  # what no entry needs from its timestamp into the log
_SECONDS = "%Y-%m-%dT%H:%M:%S"
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))?",
    re.ASCII,
)
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII)
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_TIME_LENGTH = len("2026-01-31T12:00:00.123456789Z ")
_STAMPED = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ")
CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0a-\x1f\x7f-\x9f]")
"""Colours, and whatever else could make a terminal do something; lines are shown without them."""


class Line(NamedTuple):
    """A line of a log; the time is RFC 3339 in UTC with nine digits, and empty for what the engine says itself."""

    time: str
    stream: str
    text: str


@dataclass(frozen=True)
class WantedLines:
    """Which lines are wanted.

    Attributes:
        tail: how many of the last ones; 0 is all.
        after: per stream, the time after which; empty is from the beginning.
        until: the last time; empty is up to now.
        pattern: what must be found in a line.
    """

    tail: int
    after: Mapping[str, str]
    until: str = ""
    pattern: Optional[Pattern[str]] = None


@dataclass(frozen=True)
class FoundLines:
    """What was found.

    Attributes:
        lines: the lines, without control characters.
        truncated: whether earlier ones were left out because of ``tail``.
        last: per stream, the time to continue after.
        enough: whether what was read of the log is enough to say all this.
        damage: what the engine says of a place that it cannot read, beyond which it shows nothing; mostly empty.
    """

    lines: Tuple[Line, ...]
    truncated: bool
    last: Mapping[str, str]
    enough: bool
    damage: str = ""


def entries(pieces: Iterable[bytes], tty: bool) -> Iterator[Tuple[str, bytes]]:
    """Yield the entries of a log, each with its stream, from the bytes that the engine sends."""
    if tty:
        for piece in pieces:
            yield "stdout", piece
        return
    rest = b""
    for piece in pieces:
        rest += piece
        begin = 0
        while len(rest) - begin >= _HEADER.size:
            stream, size = _HEADER.unpack_from(rest, begin)
            end = begin + _HEADER.size + size
            if end > len(rest):
                break
            yield _STREAMS.get(stream, "stdout"), rest[begin + _HEADER.size : end]
            begin = end
        rest = rest[begin:]


def lines(found: Iterable[Tuple[str, bytes]], ended: bool) -> Iterator[Line]:
    """Yield the lines of the entries.

    Args:
        ended: whether the container writes no more. Otherwise a line without its end is left for the next time.
    """
    unfinished: Dict[str, bytes] = {}
    for stream, data in found:
        begun = unfinished.pop(stream, b"")
        # A run of the container ended without an end of line, and this is the next one's.
        if begun and _STAMPED.match(data) and data[:_TIME_LENGTH] != begun[:_TIME_LENGTH]:
            yield _line(stream, begun)
            begun = b""
        *whole, rest = (begun + data).split(b"\n")
        for raw in whole:
            yield _line(stream, raw)
        if rest:
            unfinished[stream] = rest[:_BUFFERED]
    if ended:
        for stream, rest in unfinished.items():
            yield _line(stream, rest)


def _line(stream: str, raw: bytes) -> Line:
    if not _STAMPED.match(raw):
        return Line("", stream, raw.decode("utf-8", "replace"))
    time, text = raw[:_TIME_LENGTH], raw[_TIME_LENGTH:]
    text = text.replace(time, b"")  # of the further entries of a long line
    return Line(time.decode("ascii", "replace").rstrip(), stream, text.decode("utf-8", "replace"))


def choose(found: Iterable[Line], wanted: WantedLines, whole: bool) -> FoundLines:
    """Return what is wanted of the lines.

    Args:
        whole: whether these are all lines after ``wanted.after``, and not only an end of the log, in which the first
            lines may lack their beginning.
    """
    kept: Deque[Line] = deque(maxlen=wanted.tail or None)
    last, matching = dict(wanted.after), 0
    first, after, damage = "", dict(wanted.after), ""
    for line in found:
        if not line.time:
            damage = damage or CONTROL.sub("", line.text).strip()
            continue
        if wanted.until and line.time > wanted.until:
            continue
        if not first:
            first = line.time
            after = after if whole else {stream: max(time, first) for stream, time in after.items()}
        if line.time <= after[line.stream]:
            continue
        last[line.stream] = line.time
        text = CONTROL.sub("", line.text)
        if wanted.pattern and not wanted.pattern.search(text):
            continue
        matching += 1
        kept.append(Line(line.time, line.stream, text))
    truncated = 0 < wanted.tail < matching
    enough = whole or (not damage and (truncated or "" < first <= min(wanted.after.values())))
    newest = max(last.values())
    # So that the place of a silent stream does not stay far behind.
    late = newest and _earlier(newest, _LATE)
    return FoundLines(
        tuple(kept), truncated, {stream: max(time, late) for stream, time in last.items()}, enough, damage
    )


def place(after: Mapping[str, str]) -> str:
    """Return the times to continue after as one string, which ``after`` reads."""
    return f"{after['stdout']},{after['stderr']}" if any(after.values()) else ""


def after(since: str, now: datetime) -> Dict[str, str]:
    """Read ``since``: nothing, a time for both streams, or a place.

    Raises:
        InvalidInput: it is none of them.
    """
    stdout, _unused, stderr = since.partition(",")
    return {"stdout": parse_time("since", stdout, now), "stderr": parse_time("since", stderr or stdout, now)}


def parse_time(option: str, value: str, now: datetime) -> str:
    """Return a time as the engine writes it; an empty string stays empty.

    Args:
        option: the option that has this value, for the message.
        value: RFC 3339, in UTC unless it says otherwise, or how long ago, such as 1h30m.
        now: UTC.

    Raises:
        InvalidInput: the value is neither.
    """
    if not value:
        return ""
    try:
        if _DURATION.fullmatch(value):
            return (now - _duration(value)).replace(tzinfo=None).isoformat(timespec="microseconds") + "000Z"
        found = _TIME.fullmatch(value)
        if found:
            date, time, digits, sign, hours, minutes = found.groups()
            offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
            local = datetime.strptime(f"{date}T{time}", _SECONDS)
            utc = local + offset if sign == "-" else local - offset
            return f"{utc.isoformat()}.{(digits or '').ljust(9, '0')}Z"
    except (ValueError, OverflowError):
        pass  # no such day, or one that no calendar reaches
    raise InvalidInput(
        f"{option} must be a time such as 2026-01-31T12:00:00Z, or how long ago, such as 10m or 1h30m, "
        f"but is {value!r}."
    )


def _duration(value: str) -> timedelta:
    parts = re.findall(r"([\d.]+)([a-z]+)", value)
    return sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta())


def unix(time: str) -> str:
    """Return a time of ours in Unix seconds with nine digits, as the engine is asked; an empty string stays empty."""
    if not time:
        return ""
    return f"{max(0, calendar.timegm(datetime.strptime(time[:19], _SECONDS).timetuple()))}{time[19:29]}"


def _earlier(time: str, by: timedelta) -> str:
    return (datetime.strptime(time[:19], _SECONDS) - by).isoformat() + time[19:]
