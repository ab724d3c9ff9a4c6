# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark found, and how it is written down."""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from statistics import median
from time import gmtime, strftime
from typing import Mapping, NamedTuple, Sequence

from growth import Growth, Point
from lab import docker

TITLE = """\
# Benchmarks

Written by `make bench`. What is compared was measured in one run on one machine, in turn: the ratios tell more than the
seconds. `python benchmarks/run.py NAME ...` measures only some and replaces their sections.
"""


class Row(NamedTuple):
    """One thing that was measured, once or several times."""

    what: str
    values: Sequence[float]
    unit: str

    @property
    def median(self) -> float:
        """The median of what was measured."""
        return median(self.values)

    def line(self) -> str:
        """Return the row of a table; what was measured once has no spread."""
        spread = [shown(limit(self.values), self.unit) if len(self.values) > 1 else "" for limit in (min, max)]
        return f"| {' | '.join([self.what, shown(self.median, self.unit), *spread, str(len(self.values))])} |"


class Section(NamedTuple):
    """One benchmark's part of the report; without rows it was not run."""

    about: str
    rows: Sequence[Row] = ()
    verdict: str = ""
    growths: Sequence[Growth] = ()

    def text(self, name: str, where: str) -> str:
        """Return the section as Markdown."""
        head = ["| | median | min | max | n |", "| --- | ---: | ---: | ---: | ---: |"]
        found = ["\n".join([*head, *(row.line() for row in self.rows)]), self.verdict, where] if self.rows else []
        pictures = [f"![{growth.title}](growth/{growth.name}.svg)" for growth in self.growths]
        return "\n\n".join(filter(None, [f"## {name}", self.about, *found, *pictures])) + "\n"


def shown(value: float, unit: str) -> str:
    """Return a number with three digits that matter."""
    digits = next((digits for limit, digits in ((100, 0), (10, 1), (1, 2), (0.1, 3)) if value >= limit or not value), 4)
    return f"{value:.{digits}f} {unit}".rstrip()


def grown(name: str, title: str, across: str, up: str, points: Mapping[float, Row]) -> Growth:
    """Return how something grows, by what was measured at each place."""
    found = [
        Point(x, row.median, min(row.values), max(row.values), len(row.values)) for x, row in sorted(points.items())
    ]
    return Growth(name, title, across, up, environment(), found)


def rows(names: Sequence[str], rounds: Sequence[Sequence[float]], unit: str) -> list[Row]:
    """Return a row for each of the things that every round measured in turn."""
    return [Row(what, values, unit) for what, values in zip(names, zip(*rounds))]


def ratio(what: str, over: Row, under: Row) -> Row:
    """Return the ratios of two things that were measured in turn, pair by pair."""
    return Row(what, [a / b for a, b in zip(over.values, under.values)], "")


def judged(wanted: str, found: str, reached: bool) -> str:
    """Say whether a bar was reached."""
    return f"Bar: {wanted}: **{'reached' if reached else 'missed'}** ({found})."


def environment() -> str:
    """Return when and on what it is measured, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    when = f"{strftime('%Y-%m-%d %H:%M UTC', gmtime())}, {os.cpu_count()} cores, {memory:.0f} GiB"
    engine = f"engine {docker('version', '--format', '{{.Server.Version}}')}"
    engine += f", Compose {docker('compose', 'version', '--short')}"
    ansible = f"ansible-core {version('ansible-core')}, Python {python_version()}"
    return f"{when}, load {os.getloadavg()[0]:.1f} before; {engine}, {ansible}"


def save(path: Path, order: Sequence[str], new: Mapping[str, str]) -> None:
    """Write the report; what was not measured this time stays as it is."""
    old = path.read_text() if path.exists() else ""
    sections = {part.split()[1]: part for part in re.split(r"^(?=## )", old, flags=re.MULTILINE)[1:]}
    sections.update({name: text for name, text in new.items() if "| median |" in text or name not in sections})
    path.write_text("\n".join([TITLE, *(sections[name].rstrip() + "\n" for name in order if name in sections)]))
