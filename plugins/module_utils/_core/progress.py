# SPDX-License-Identifier: GPL-3.0-or-later
"""What long work shows while it is under way: a live line at a terminal, elsewhere a whole line now and then.

A live line is written over itself. It is followed by EL, which erases the rest of the line, and by a carriage return,
so that whatever is printed next begins where it began; see ECMA-48, 8.3.41.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from .logs import CONTROL
from .text import size

AUTO, LIVE, LINES, OFF = WORDS = ("auto", "live", "lines", "off")
PROGRESS: Mapping[str, Any] = {"type": "str", "choices": [*WORDS], "default": AUTO}
"""The option ``progress``, as an argument spec has it."""
EVERY = 15.0
"""Seconds between two whole lines."""

ERASE = "\x1b[K"
_LONGEST = 120  # characters of what is running, in a whole line


def way_of(word: str, terminal: bool, environment: Mapping[str, str]) -> str:
    """Return how progress is shown: as the word says, and with ``auto`` live only where somebody looks at a terminal.

    Args:
        terminal: whether what is printed goes to a terminal.
        environment: that of the play. AWX gives it a terminal and keeps what is printed; its runner sets
            AWX_ISOLATED_DATA_DIR.
    """
    if word != AUTO:
        return word
    somebody = terminal and environment.get("TERM", "") not in ("", "dumb")
    return LIVE if somebody and "AWX_ISOLATED_DATA_DIR" not in environment else LINES


@dataclass(frozen=True)
class Work:
    """What is known of work under way.

    Attributes:
        step: what is done now.
        done: bytes that are done.
        total: bytes that there are; 0 when that is not known, or nothing is counted.
        since: seconds for which those that are done took.
    """

    step: str
    done: int = 0
    total: int = 0
    since: float = 0.0

    @property
    def amount(self) -> str:
        """How much is done and how fast, as a sentence goes on with it."""
        if not self.done:
            return ""
        total = max(self.total, self.done)  # it may be an estimate
        share = f" of {size(total)} ({self.done * 100 // total} %)" if self.total else ""
        rate = f", {size(self.done / self.since)}/s" if self.since >= 1 else ""
        return f", {size(self.done)}{share}{rate}"


def work_of(text: str) -> Optional[Work]:
    """Return what a host has written down of its work as JSON; None when that is nothing, or something else."""
    try:
        given = json.loads(text)
        numbers = int(given["done"]), int(given["total"]), float(given["since"])
        return Work(str(given["step"]), *numbers) if all(0 <= number < 1 << 63 for number in numbers) else None
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


class Progress:
    """Decides when something is shown of the work of a host, and what; all times are seconds since it began."""

    def __init__(self, way: str, host: str, columns: int) -> None:
        self.way, self.host, self.columns = way, host, columns
        self._last = 0.0
        self._drawn = False

    def due(self, elapsed: float) -> bool:
        """Return whether something is shown now, for which one has to look at the work."""
        return self.way == LIVE or (self.way == LINES and elapsed >= self._last + EVERY)

    def shown(self, elapsed: float, work: Work) -> Optional[str]:
        """Return the line for now, if it is time for one: a live line with what follows it, or a whole line."""
        if not self.due(elapsed):
            return None
        end = f"{work.amount}, {elapsed:.0f} s"
        if self.way == LIVE:
            self._drawn = True
            return f"{self._line(work.step, end, self.columns - 1)}{ERASE}\r"
        self._last = elapsed
        return self._line(work.step, end, len(self.host) + _LONGEST)

    def cleared(self) -> Optional[str]:
        """Return what takes a live line away, if there is one."""
        drawn, self._drawn = self._drawn, False
        return ERASE if drawn else None

    def _line(self, step: str, end: str, most: int) -> str:
        """Return host, step and how far it is, of which the step is shortened."""
        begin = f"{self.host} | "
        space = max(most - len(begin) - len(end), 0)
        step = " ".join(CONTROL.sub("", step).split())
        return f"{begin}{step if len(step) <= space else f'{step[: max(space - 1, 0)]}…'}{end}"[:most]
