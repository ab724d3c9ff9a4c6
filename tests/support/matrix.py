# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Molecule scenarios on instances with other engines, and write what ran where into docs/compatibility.md.

matrix.py [SCENARIO…]: lifecycle, image and stack unless others are named. An instance is Debian 13 with the engine,
Compose and Buildx of a Debian suite, or a Compose of PyPI, and either of the engine's image stores; see
instance_image.sh. The table is written after each cell, so that a run that is broken off leaves what it has shown.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Sequence

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/compatibility.md"
BEGIN, END = "<!-- make engines writes this table -->\n", "<!-- end -->\n"
SCENARIOS = ("lifecycle", "image", "stack")
HEAD = """| Engine | Compose | Buildx | Image store | Architecture | Molecule scenarios | Run |
| --- | --- | --- | --- | --- | --- | --- |
"""
UNTESTED = "| any | any | any | any | arm64 | untested | |\n"


@dataclass(frozen=True)
class Cell:
    """The Debian suite that the engine comes from, its image store, and Compose's version, empty for the suite's."""

    engine: str
    store: str
    compose: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """What instance_image.sh reads."""
        store = "containerd" if self.store == "containerd" else ""
        engine = "" if self.engine == "trixie" else self.engine
        return {**os.environ, "INSTANCE_ENGINE": engine, "INSTANCE_STORE": store, "INSTANCE_COMPOSE": self.compose}


CELLS = (
    Cell("trixie", "overlay2"),
    Cell("trixie", "containerd"),
    Cell("forky", "overlay2"),
    Cell("forky", "containerd"),
    Cell("forky", "overlay2", "5.6.1"),
    Cell("forky", "containerd", "5.6.1"),
)


def said(*command: str, **options: str) -> str:
    """Return what a command prints; fail when it fails."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=options or None).stdout


def version(image: str, *command: str) -> str:
    """Return the first version in what a command of an image prints."""
    found = re.search(r"\d+\.\d+\.\d+", said("docker", "run", "--rm", image, *command))
    return found[0] if found else "unknown"


def row(cell: Cell, scenarios: Sequence[str]) -> str:
    """Run the scenarios in a cell and return its row of the table."""
    image = said(str(ROOT / "tests/support/instance_image.sh"), "trixie", **cell.environment).strip()
    run = [str(ROOT / "tests/support/molecule.sh"), *scenarios]
    code = subprocess.run(run, check=False, cwd=ROOT, env={**os.environ, "MOLECULE_IMAGE": image}).returncode
    commands = (("dockerd", "--version"), ("docker", "compose", "version"), ("docker", "buildx", "version"))
    versions = " | ".join(version(image, *command) for command in commands)
    result = ", ".join(scenarios) + ("" if code == 0 else ": FAILED")
    return f"| {versions} | {cell.store} | {platform.machine()} | {result} | {this_run()} |\n"


def this_run() -> str:
    """Return the day and the commit."""
    return f"{datetime.now(timezone.utc):%Y-%m-%d}, {said('git', 'rev-parse', '--short', 'HEAD').strip()}"


def write(table: str, begin: str = BEGIN) -> None:
    """Put a table into its place in the document."""
    before, _unused, rest = DOCUMENT.read_text().partition(begin)
    DOCUMENT.write_text(f"{before}{begin}\n{table}\n{END}{rest.partition(END)[2]}")


def main(scenarios: Sequence[str]) -> int:
    """Run all cells and return 1 when one failed."""
    rows = []
    for cell in CELLS:
        rows.append(row(cell, scenarios))
        sys.stdout.write(rows[-1])
        sys.stdout.flush()
        write(HEAD + "".join(rows) + UNTESTED)
    return int(any("FAILED" in one for one in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or SCENARIOS))
