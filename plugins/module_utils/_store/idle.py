# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until an application does not write its database.

An application may write one change of its content in several transactions, and a copy between two of them holds half of
it. Whoever is in the middle of such a change writes again within milliseconds. That shows in the times of the files, so
nobody is kept waiting by a look at them, and no lock is needed.
"""

from __future__ import annotations

import os
import time
from typing import Tuple

from .._core.clock import Clock

LULL = 0.15  # seconds without a write
_FILES = ("", "-wal", "-journal")


def quiet(path: str, until: float, clock: Clock) -> bool:
    """Wait until a database has not been written for LULL seconds, and return whether that was to be had in time.

    Args:
        path: of the database.
        until: when to wait no longer, by the clock.
    """
    seen = _looks(path)
    while True:
        age = time.time() - max(written for written, _size in seen) / 1e9
        if age >= LULL:
            return True
        rest = LULL - max(age, 0.0)  # a time that is yet to come tells nothing
        if clock.now() + rest > until:
            return False
        clock.sleep(rest)
        before, seen = seen, _looks(path)
        if seen == before:
            return True


def _looks(path: str) -> Tuple[Tuple[int, int], ...]:
    """Return when the files of a database were written last (nanoseconds), and their sizes."""
    return tuple(_look(path + suffix) for suffix in _FILES)


def _look(path: str) -> Tuple[int, int]:
    try:
        facts = os.lstat(path)
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size
