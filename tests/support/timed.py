# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tests of a folder, and write what ran and how long it took into docs/compatibility.md: timed.py hosts"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Iterator
from xml.etree import ElementTree

from matrix import ROOT, this_run, write

HEAD = """| Test | Seconds | Run |
| --- | --- | --- |
"""


def rows(results: Path) -> Iterator[str]:
    """Yield a row for each test."""
    for case in ElementTree.parse(results).iter("testcase"):
        name = case.attrib["name"].removeprefix("test_").replace("_", " ").replace("[", " (").replace("]", ")")
        failed = case.find("failure") is not None or case.find("error") is not None
        yield f"| {name} | {'FAILED' if failed else format(float(case.attrib['time']), '.0f')} | {this_run()} |\n"


def main(folder: str) -> int:
    """Run the tests, and return what pytest returned."""
    results = ROOT / f".cache/times/{folder}.xml"
    results.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", f"tests/{folder}", "--junitxml", str(results)]
    code = subprocess.run(command, check=False, cwd=ROOT).returncode
    if results.exists():  # it was not killed
        write(HEAD + "".join(rows(results)), f"<!-- make {folder} writes this table -->\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
