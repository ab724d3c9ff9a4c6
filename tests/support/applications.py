# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tests of real applications and of package managers, and write how each went into docs/compatibility.md.

applications.py [NAME…]: all of them, unless some are named; the others keep their rows.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Iterator, Sequence
from xml.etree import ElementTree

from matrix import DOCUMENT, END, ROOT, this_run, write

BEGIN = "<!-- make applications writes this table -->\n"
HEAD = """| Application | Made of | Dockerfile | Seconds | Run |
| --- | --- | --- | --- | --- |
"""
TESTS = ("tests/applications", "tests/integration/test_package_managers.py", "-m", "matrix or not matrix")
RESULTS = ROOT / ".cache/times/applications.xml"


def rows() -> Iterator[tuple[str, str]]:
    """Yield the name of each application that ran, with its row."""
    for case in ElementTree.parse(RESULTS).iter("testcase"):
        facts = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
        name = case.attrib["name"].partition("[")[2].rstrip("]") or facts.get("name", "")
        if not name:
            continue
        failed = case.find("failure") is not None or case.find("error") is not None
        took = "FAILED" if failed else f"{float(case.attrib['time']):.0f}"
        yield (
            name,
            f"| {name} | {facts.get('versions', '')} | {facts.get('dockerfile', '')} | {took} | {this_run()} |\n",
        )


def main(names: Sequence[str]) -> int:
    """Run the tests, and return what pytest returned."""
    chosen = ["-k", " or ".join(names)] if names else []
    how = ["-o", "junit_family=xunit1", "--junitxml", str(RESULTS)]  # of a family that has properties
    command = [sys.executable, "-m", "pytest", *TESTS, *how, *chosen]
    RESULTS.unlink(missing_ok=True)
    code = subprocess.run(command, check=False, cwd=ROOT).returncode
    if not RESULTS.exists():
        return code  # killed; earlier results are not those of this run
    table = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    kept = [row for row in table.splitlines(keepends=True) if row.startswith("| ") and row not in HEAD]
    found = {**{row.split(" | ")[0][2:]: row for row in kept}, **dict(rows())}
    write(HEAD + "".join(found.values()), BEGIN)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
