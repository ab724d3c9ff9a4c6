# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tests of a folder, and write what ran and how long it took into docs/compatibility.md.

timed.py FOLDER [WORDS]: only the tests that ``pytest -k WORDS`` chooses; the rows of others stay.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Iterator, Sequence
from xml.etree import ElementTree

from matrix import DOCUMENT, END, ROOT, this_run, write

HEAD = """| Test | Seconds | Run |
| --- | --- | --- |
"""


def rows(results: Path) -> Iterator[tuple[str, str]]:
    """Yield the name of each test that ran, with its row."""
    for case in ElementTree.parse(results).iter("testcase"):
        name = case.attrib["name"].removeprefix("test_").replace("_", " ").replace("[", " (").replace("]", ")")
        failed = case.find("failure") is not None or case.find("error") is not None
        took = "FAILED" if failed else format(float(case.attrib["time"]), ".0f")
        yield name, f"| {name} | {took} | {this_run()} |\n"


def before(begin: str) -> dict[str, str]:
    """Return the rows of earlier runs by their tests."""
    table = DOCUMENT.read_text().partition(begin)[2].partition(END)[0].partition(HEAD)[2]
    return {line.split(" | ")[0][2:]: line for line in table.splitlines(keepends=True) if line.startswith("| ")}


def main(folder: str, words: Sequence[str]) -> int:
    """Run the tests, and return what pytest returned."""
    results, begin = ROOT / f".cache/times/{folder}.xml", f"<!-- make {folder} writes this table -->\n"
    results.unlink(missing_ok=True)
    chosen = ["-k", words[0]] if words else []
    command = [sys.executable, "-m", "pytest", f"tests/{folder}", "--junitxml", str(results), *chosen]
    code = subprocess.run(command, check=False, cwd=ROOT).returncode
    if results.exists():  # it was not killed
        table = {**(before(begin) if words else {}), **dict(rows(results))}
        write(HEAD + "".join(table.values()), begin)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
