# SPDX-License-Identifier: GPL-3.0-or-later
"""Break a real stack in every way of tests/doctor, and write what the doctor said of each into docs/doctor.md.

doctor.py [WORDS]: only the cases that ``pytest -k WORDS`` chooses; the rows of others stay.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Iterator, Mapping, Sequence
from xml.etree import ElementTree

import matrix
from matrix import ROOT

BEGIN, END = "<!-- make doctor writes this table -->\n", "<!-- end -->\n"
HEAD = """| Broken | First finding | Findings that follow | Fixed by | Commands | Seconds of the check | Result |
| --- | --- | --- | --- | --- | --- | --- |
"""
DOCUMENT = ROOT / "docs/doctor.md"
RESULTS = ROOT / ".cache/times/doctor.xml"


def rows() -> Iterator[tuple[str, str]]:
    """Yield name and row of each case that was run."""
    for case in ElementTree.parse(RESULTS).iter("testcase"):
        name = re.search(r"\[(.*)\]", case.attrib["name"])
        if name:
            seen = {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}
            failed = case.find("failure") is not None or case.find("error") is not None
            cells = (
                name[1],
                f"`{seen.get('cause', '-')}`",
                seen.get("follow", "-"),
                fixed(**{word: seen.get(word, "") for word in ("command", "words", "by_hand")}),
                seen.get("commands", "-"),
                seen.get("seconds", "-"),
                "FAILED" if failed else "passed",
            )
            yield name[1], f"| {' | '.join(cells)} |\n"


def fixed(command: str, words: str, by_hand: str) -> str:
    """Return what fixed it: the command that the finding names, or what was done before it or in its place."""
    named = re.sub(r"(?<!\S)/\S*/(?=\S)", "…/", command).replace("|", "\\|")
    if by_hand:
        return f"by hand: {words}; " + (f"`{named}` is not run here" if named else "no command is named")
    return f"{words}, then `{named}`" if words else f"`{named}`"


def before() -> dict[str, str]:
    """Return the rows of earlier runs by their cases."""
    table = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    return {line.split(" | ")[0][2:]: line for line in table.splitlines(keepends=True)[3:] if line.startswith("| ")}


def write(table: Mapping[str, str]) -> None:
    """Put a table into its place in the document."""
    head, _unused, rest = DOCUMENT.read_text().partition(BEGIN)
    text = f"{HEAD}{''.join(table.values())}\nLast run: {matrix.this_run()}\n\n"
    DOCUMENT.write_text(f"{head}{BEGIN}\n{text}{END}{rest.partition(END)[2]}")


def main(words: Sequence[str]) -> int:
    """Run the cases, and return what pytest returned."""
    RESULTS.unlink(missing_ok=True)
    chosen = ["-k", words[0]] if words else []
    command = [sys.executable, "-m", "pytest", "tests/doctor", "--junitxml", str(RESULTS), *chosen]
    code = subprocess.run(command, check=False, cwd=ROOT).returncode
    if RESULTS.exists():  # it was not killed
        write({**(before() if words else {}), **dict(rows())})
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
