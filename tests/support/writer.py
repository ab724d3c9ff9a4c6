# SPDX-License-Identifier: GPL-3.0-or-later
"""Insert the rows 1, 2, 3, … into a SQLite database, one a transaction, until told to stop by SIGTERM.

    writer.py DATABASE JOURNAL_MODE

Ends with 0 and says how many there are; with a trace as soon as anything fails.
"""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from itertools import count

stopped = False


def stop(*_: object) -> None:
    """End after the row at hand."""
    global stopped
    stopped = True


def write(path: str, mode: str) -> int:
    """Write until told to stop, and return the last row."""
    database = sqlite3.connect(path, timeout=5, isolation_level=None)
    database.execute(f"PRAGMA journal_mode = {mode}")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("CREATE TABLE IF NOT EXISTS written (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    for number in count(1):
        if stopped:
            database.close()
            return number - 1
        database.execute("INSERT INTO written VALUES (?, ?)", (number, "x" * (number % 700)))
        time.sleep(0.0005)  # an application is not always inside a transaction
    raise AssertionError("unreachable")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    sys.stdout.write(f"{write(*sys.argv[1:])}\n")
