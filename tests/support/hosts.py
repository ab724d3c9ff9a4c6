# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tests of setup on bare hosts, and write what ran and how long it took into docs/compatibility.md."""

from __future__ import annotations

import subprocess
import sys
from typing import Iterator
from xml.etree import ElementTree

from matrix import ROOT, this_run, write

BEGIN = "<!-- make hosts writes this table -->\n"
HEAD = """| Test | Seconds | Run |
| --- | --- | --- |
"""
RESULTS = ROOT / ".cache/times/hosts.xml"


def rows() -> Iterator[str]:
    """Yield a row for each test."""
    for case in ElementTree.parse(RESULTS).iter("testcase"):
        name = case.attrib["name"].removeprefix("test_").replace("_", " ").replace("[", " (").replace("]", ")")
        failed = case.find("failure") is not None or case.find("error") is not None
        yield f"| {name} | {'FAILED' if failed else format(float(case.attrib['time']), '.0f')} | {this_run()} |\n"


def main() -> int:
    """Run the tests, and return what pytest returned."""
    RESULTS.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "tests/hosts", "--junitxml", str(RESULTS)]
    code = subprocess.run(command, check=False, cwd=ROOT).returncode
    if RESULTS.exists():  # it was not killed
        write(HEAD + "".join(rows()), BEGIN)
    return code


if __name__ == "__main__":
    sys.exit(main())
