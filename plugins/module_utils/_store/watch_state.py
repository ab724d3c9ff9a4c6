# SPDX-License-Identifier: GPL-3.0-or-later
"""What a watch remembers from one look to the next, in one small file: alerts, the last checks, a series of samples.

Nothing depends on it but what people are notified of twice, so one that cannot be used is reported and
replaced by an empty one.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple, TypeVar

from .._core.alerts import MOST_OWED, Alert, News, State
from .._core.errors import DockerVpsError
from .._core.heal import HealState
from .._core.watch import DAY, RECENT, SERIES, SEVERITIES, Finding, History, Look, Sample
from . import files

STATE = "watch.json"
"""Its name in the directory of the application."""
LARGEST = 4 << 20  # bytes
FORMAT = 1

T = TypeVar("T")


@dataclass(frozen=True)
class Remembered:
    """All that is kept."""

    state: State = field(default_factory=State)
    history: History = field(default_factory=History)
    heal: HealState = field(default_factory=HealState)


def read(path: str, now: float) -> tuple[Remembered, str]:
    """Return what is remembered, and a sentence when that is not all; empty when it is.

    Args:
        now: seconds since 1970.
    """
    try:
        kept = files.read(path, links=False, limit=LARGEST)
    except DockerVpsError as error:
        return Remembered(), f"{error.message} Until then each look is the first."
    if kept is None:
        return Remembered(), ""
    try:
        remembered = _parsed(json.loads(kept.text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return Remembered(), f"{path} is damaged, so an empty one was begun; findings that persist are reported again."
    ahead = remembered.state.at - now
    if ahead > DAY:
        series = tuple(sample for sample in remembered.history.series if sample.at <= now)
        history = replace(remembered.history, series=series, looks=())
        return replace(remembered, history=history), (
            f"{path} is dated {ahead / DAY:.0f} days later than now, so the clock was or is wrong (see timedatectl); "
            "what it says of later times was forgotten."
        )
    return remembered, ""


def write(path: str, remembered: Remembered) -> None:
    """Keep it.

    Raises:
        DockerVpsError: it cannot be written; what was there before is untouched.
    """
    text = json.dumps({"format": FORMAT, **asdict(remembered)}, separators=(",", ":")) + "\n"
    files.replace(path, files.own(text))


def _parsed(given: Mapping[str, Any]) -> Remembered:
    if given["format"] != FORMAT:
        raise ValueError(given["format"])
    state, history, heal = given["state"], given["history"], given["heal"]
    return Remembered(
        State(
            _number(state["at"]),
            _count(state["look"]),
            _number(state["passed"]),
            {_text(key): _alert(alert) for key, alert in state["alerts"].items()},
            {_text(name): _each(_news, news)[-MOST_OWED:] for name, news in state["owed"].items()},
        ),
        History(
            _each(_look, history["looks"])[-RECENT:],
            _each(_sample, history["series"])[-SERIES:],
            _text(history["healthy"]),
            _text(history["stopped"]),
            _text(history["died"]),
        ),
        HealState(_count(heal["bad"]), _each(_number, heal["restarts"]), _count(heal["vain"])),
    )


def _alert(given: Mapping[str, Any]) -> Alert:
    return Alert(
        _finding(given["finding"]),
        _number(given["since"]),
        given["bad"] is True,
        _count(given["good"]),
        _each(_count, given["began"]),
        _count(given["changed"]),
        given["flapping"] is True,
        _severity(given["known"]) if given["known"] else "",
        _number(given["reminded"]),
    )


def _news(given: Mapping[str, Any]) -> News:
    finding = _finding(given["finding"])
    return News(_text(given["kind"]), finding, _number(given["since"]), _number(given["until"]))


def _finding(given: Mapping[str, Any]) -> Finding:
    looked_at, found, wanted, remedy = (_text(given[name]) for name in ("looked_at", "found", "wanted", "remedy"))
    log = _each(_text, given["log"])
    return Finding(_text(given["id"]), _severity(given["severity"]), looked_at, found, wanted, remedy, log)


def _look(given: Mapping[str, Any]) -> Look:
    return Look(
        _number(given["at"]),
        _text(given["boot"]),
        _number(given["uptime"]),
        _text(given["container"]),
        _perhaps(_count, given["restarts"]),
        _perhaps(_count, given["kills"]),
        _perhaps(_number, given["cpu"]),
        _perhaps(_count, given["busy"]),
        _perhaps(_count, given.get("connections")),
        _perhaps(_number, given["skew"]),
    )


def _sample(given: Mapping[str, Any]) -> Sample:
    free = {_text(place): _count(size) for place, size in given["free"].items()}
    return Sample(_number(given["at"]), free, _perhaps(_count, given["database"]), _perhaps(_count, given["media"]))


def _each(build: Callable[[Any], T], given: Sequence[Any]) -> Tuple[T, ...]:
    if not isinstance(given, list):
        raise TypeError(given)
    return tuple(map(build, given))


def _perhaps(build: Callable[[Any], T], given: Any) -> Optional[T]:
    return None if given is None else build(given)


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(given)
    return given


def _severity(given: Any) -> str:
    if given not in SEVERITIES:
        raise ValueError(given)
    return str(given)


def _number(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not math.isfinite(given):
        raise TypeError(given)
    return float(given)


def _count(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise TypeError(given)
    return int(given)
