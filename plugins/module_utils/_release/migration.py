# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the rows that were there before a new version started are there when it is healthy.

A version of Payload migrates its database by itself, before it answers for the first time. A migration that SQLite
runs in a transaction cannot switch foreign keys off, so one that recreates a table deletes what refers to it.
"""

from __future__ import annotations

import os
import time
from typing import Collection, Mapping, Optional, Sequence

from .._core.data_loss import shrunk
from .._core.errors import DockerVpsError
from .._core.text import shown
from .._store import sqlite, tree

COUNTED_WITHIN = 2.0  # seconds; users wait for it when the new version has written something
UNLIMITED = 86400.0  # seconds, while nobody waits


class Comparison:
    """The rows of a volume before and after, as far as they were counted in time; else there are none."""

    def __init__(self, ignore: Collection[str], within: float = COUNTED_WITHIN) -> None:
        self.ignore, self.within = ignore, within
        self.volume = self.problem = ""
        self.before: Mapping[str, Mapping[str, int]] = {}
        self.after: Mapping[str, Mapping[str, int]] = {}
        self.written: Mapping[str, tuple[int, int]] = {}

    @property
    def latest(self) -> Mapping[str, Mapping[str, int]]:
        """What was counted last."""
        return self.after or self.before

    def begin(self, volume: str, root: str, within: Optional[float] = None) -> None:
        """Count what is in the directory of a volume, or in a copy of it, to which nobody writes."""
        self.volume = volume
        try:
            self.written = _written(root)
            self.before, _unused = counted(volume, root, self.within if within is None else within)
        except DockerVpsError as error:
            self.problem = error.message

    def end(self, live: str) -> tuple[Sequence[str], str]:
        """Return what is gone from the live directory, and why that is not known; both empty when nothing is."""
        try:
            if _written(live) == self.written:
                return (), ""
            if self.problem:
                return (), self.problem
            self.after, uncounted = counted(self.volume, live, self.within)
        except DockerVpsError as error:
            return (), error.message
        before = {
            name: {table: had for table, had in tables.items() if table not in uncounted.get(name, ())}
            for name, tables in self.before.items()
        }
        return shrunk(before, self.after, self.ignore), ""


def counted(volume: str, root: str, within: float) -> tuple[dict[str, Mapping[str, int]], dict[str, Sequence[str]]]:
    """Return the rows by table by database in the directory of a volume, and by database the tables not counted.

    Their integrity is not checked.

    Raises:
        DockerVpsError: one cannot be read, or counting takes longer than ``within`` seconds.
    """
    until = time.monotonic() + within
    found: dict[str, Mapping[str, int]] = {}
    uncounted: dict[str, Sequence[str]] = {}
    for path in tree.survey(root).databases:
        name, left = f"{volume}/{shown(path)}", max(until - time.monotonic(), 0.0)
        found[name], uncounted[name] = sqlite.counted(os.path.join(root, path), within=left)
    return found, uncounted


def _written(root: str) -> dict[str, tuple[int, int]]:
    """Return the sizes of the databases in a directory, with their logs and journals, and when they were written.

    A copy and a rename keep both, so what is equal was not written to since. An empty log is as good as none.
    """
    survey = tree.survey(root)
    found = {}
    for path in (*survey.databases, *survey.sidecars):
        try:
            facts = os.stat(os.path.join(root, path))
        except FileNotFoundError:
            continue  # a journal that has had its day
        if facts.st_size and not path.endswith("-shm"):
            found[path] = (facts.st_size, facts.st_mtime_ns)
    return found
