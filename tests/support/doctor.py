# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a real stack in every way of tests/doctor, and write what the doctor said of each into docs/doctor.md.

doctor.py [WORDS]: only the cases that ``pytest -k WORDS`` chooses, and then no table is written.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Iterator, Sequence
from xml.etree import ElementTree

import matrix
from matrix import ROOT

BEGIN, END = "<!-- make doctor writes this table -->\n", "<!-- end -->\n"
HEAD = """| Broken | First finding | Findings that follow | Mended by | Seconds of the look | Result |
| --- | --- | --- | --- | --- | --- |
"""
DOCUMENT = ROOT / "docs/doctor.md"
RESULTS = ROOT / ".cache/times/doctor.xml"


def rows() -> Iterator[str]:
    """Yield a row for each case."""
    for case in ElementTree.parse(RESULTS).iter("testcase"):
        name = re.search(r"\[(.*)\]", case.attrib["name"])
        if name:
            seen = {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}
            failed = case.find("failure") is not None or case.find("error") is not None
            by = re.sub(r"\S*/(?=\S)", "…/", seen.get("command", "")).replace("|", "\\|")
            cells = (
                name[1],
                f"`{seen.get('cause', '-')}`",
                seen.get("follow", "-"),
                f"`{by}`" if by else "by hand",
                seen.get("seconds", "-"),
                "FAILED" if failed else "passed",
            )
            yield f"| {' | '.join(cells)} |\n"


def write(table: str) -> None:
    """Put a table into its place in the document."""
    before, _unused, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\nRun: {matrix.this_run()}\n\n{END}{rest.partition(END)[2]}")


def main(words: Sequence[str]) -> int:
    """Run the cases, and return what pytest returned."""
    RESULTS.unlink(missing_ok=True)
    chosen = ["-k", words[0]] if words else []
    command = [sys.executable, "-m", "pytest", "tests/doctor", "--junitxml", str(RESULTS), *chosen]
    code = subprocess.run(command, check=False, cwd=ROOT).returncode
    if RESULTS.exists() and not words:  # it was not killed
        write(HEAD + "".join(rows()))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
