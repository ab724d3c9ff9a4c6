#!/usr/bin/env python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the ten slowest tests, with the seconds that each took together with its fixtures: slowest.py DIRECTORY

There the targets of make leave a JUnit file of pytest each, and molecule.sh a line "SECONDS NAME" for each scenario.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator
from xml.etree import ElementTree

COUNT = 10


def taken(directory: Path) -> Iterator[tuple[float, str]]:
    """Return the seconds and the name of each test."""
    for path in directory.glob("*.xml"):
        for case in ElementTree.parse(path).iter("testcase"):
            where = case.get("classname", "").replace("tests.", "", 1)
            yield float(case.get("time", 0)), f"{where}.{case.get('name')}"
    for path in directory.glob("*.txt"):
        for line in path.read_text().splitlines():
            seconds, _blank, name = line.partition(" ")
            yield float(seconds), name


if __name__ == "__main__":
    for seconds, name in sorted(taken(Path(sys.argv[1])), reverse=True)[:COUNT]:
        sys.stdout.write(f"{seconds:7.1f} s  {name}\n")
