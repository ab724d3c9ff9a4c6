# SPDX-License-Identifier: GPL-3.0-or-later
"""What would be lost if other data took the place of what is there."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Collection, Dict, Mapping, Optional

from .._core.errors import DockerVpsError
from .._core.text import counted, shown
from .._store import sqlite, tree


@dataclass(frozen=True)
class Contents:
    """What is in some volumes: rows by table by database, what could not be read, and how many files are newer."""

    tables: Mapping[str, Mapping[str, int]]
    unreadable: tuple[str, ...]
    newer: int


def contents(roots: Mapping[str, str], since: float = math.inf, own: Optional[Collection[str]] = None) -> Contents:
    """Look into the directories of volumes; a database that cannot be read is no failure.

    Args:
        roots: the directories by the names of their volumes; databases are named ``<volume>/<path>``.
        since: seconds since the epoch; files modified later count as newer.
        own: the volumes whose databases are the application's, and not somebody's files; None for all.
    """
    tables: Dict[str, Mapping[str, int]] = {}
    unreadable = []
    newer = 0
    for volume, root in roots.items():
        survey = tree.survey(root, since)
        newer += survey.newer
        for path in survey.databases if own is None or volume in own else ():
            name = f"{volume}/{shown(path)}"
            try:
                counts, uncounted = sqlite.counted(os.path.join(root, path))
            except DockerVpsError as error:
                unreadable.append(error.message)
                continue
            tables[name] = counts
            if uncounted:
                unreadable.append(f"The rows of {', '.join(map(shown, uncounted))} in {name} cannot be counted.")
    return Contents(tables, tuple(unreadable), newer)


def losses(live: Contents, kept: Mapping[str, Mapping[str, int]], since: datetime) -> dict[str, Any]:
    """Return which rows and newer files would be lost, as data and as a sentence.

    Args:
        live: what is there.
        kept: rows by table by database of what would come.
        since: when that was made (UTC).
    """
    tables: Dict[str, int] = {}
    for database, rows in live.tables.items():
        for table, number in rows.items():
            lost = number - kept.get(database, {}).get(table, 0)
            if lost > 0:
                tables[table] = tables.get(table, 0) + lost
    parts = [f"{counted(number, 'row')} of {table}" for table, number in sorted(tables.items())]
    if live.newer:
        parts.append(f"what changed in {counted(live.newer, 'file')} since {since:%Y-%m-%d %H:%M:%S} UTC")
    sentence = f"Would be lost: {', '.join(parts)}." if parts else "Nothing would be lost."
    summary = " ".join([sentence, *live.unreadable])
    return {"tables": tables, "newer_files": live.newer, "uploads_gone": 0, "summary": summary}
