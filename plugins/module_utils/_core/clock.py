# SPDX-License-Identifier: GPL-3.0-or-later
"""What is needed of clocks, and of the times that others write."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """Monotonic time in seconds."""

    def now(self) -> float:
        """Return the time."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        raise NotImplementedError


class WallClock(Clock, Protocol):
    """Monotonic time, and the calendar's."""

    def utc(self) -> datetime:
        """Return the time (UTC)."""
        raise NotImplementedError


def instant(text: str) -> datetime:
    """Return a time of an engine or a record (RFC 3339, UTC) without parts of a second, which may have nine digits.

    Raises:
        ValueError: it is none.
    """
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
