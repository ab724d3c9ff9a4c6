# SPDX-License-Identifier: GPL-3.0-or-later
"""What is needed of clocks."""

from __future__ import annotations

from datetime import datetime
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
