# SPDX-License-Identifier: GPL-3.0-or-later
"""Where what long runs found is written down: one section each, with when and on what."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from platform import python_version
from time import gmtime, strftime
from typing import Sequence

FILE = Path(__file__).with_name("results.md")
ORDER = ("volumes", "writers", "backups", "restores", "updates", "firewall")
TITLE = """\
# What the long runs found

Written by `make properties`, `make kills` and `make firewall-kills`; each section by the last run of its kind. A number
that is not as it should be is in bold, and the run has failed.
"""


def table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """Return a table whose first column is text and whose others are numbers."""
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def bad(number: int) -> str:
    """Return a number that should be 0."""
    return f"**{number}**" if number else "0"


def environment(*more: str) -> str:
    """Return when and on what it ran, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    when = strftime("%Y-%m-%d %H:%M UTC", gmtime())
    here = f"{os.cpu_count()} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f} at the end"
    return ", ".join([when, here, f"Python {python_version()} with SQLite {sqlite3.sqlite_version}", *more])


def record(name: str, *paragraphs: str) -> None:
    """Write a section in place of the one of the last run."""
    old = FILE.read_text() if FILE.exists() else ""
    sections = {part.split()[1]: part for part in re.split(r"^(?=## )", old, flags=re.MULTILINE)[1:]}
    sections[name] = "\n\n".join([f"## {name}", *paragraphs])
    FILE.write_text("\n".join([TITLE, *(sections[one].strip() + "\n" for one in ORDER if one in sections)]))
