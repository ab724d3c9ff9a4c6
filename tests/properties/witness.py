# SPDX-License-Identifier: GPL-3.0-or-later
"""The libraries with which applications in Node.js read and write SQLite; they are not Python's SQLite."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Mapping

LIBRARIES: Mapping[str, str] = {"libsql": "0.5.29", "better-sqlite3": "12.11.1"}
SCRIPT = Path(__file__).with_name("witness.cjs")
PLACE = SCRIPT.parents[2] / ".cache/witness"


def ensure() -> None:
    """Install the libraries below .cache, once; better-sqlite3 may have to be compiled, which takes minutes."""
    wanted = [f"{name}@{version}" for name, version in LIBRARIES.items()]
    installed = PLACE / "installed"
    if not installed.exists() or installed.read_text() != " ".join(wanted):
        if not shutil.which("npm"):
            raise SystemExit("npm is not installed; make properties needs Node.js 20 or newer with it.")
        PLACE.mkdir(parents=True, exist_ok=True)
        (PLACE / "package.json").write_text("{}")
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(PLACE), *wanted], check=True)
        installed.write_text(" ".join(wanted))


def command(library: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a library at a task."""
    return subprocess.Popen(
        ["node", str(SCRIPT), library, *arguments],
        env={**os.environ, "NODE_PATH": str(PLACE / "node_modules")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class Reader:
    """A library that says what is in databases."""

    def __init__(self, library: str) -> None:
        self.process = command(library, "read")

    def content(self, path: Path) -> str:
        """Return a digest of what is in a database that nobody else has open."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(str(path)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the witness ended"
        return str(json.loads(line))


@contextmanager
def readers() -> Iterator[Mapping[str, Reader]]:
    """Start all libraries as readers."""
    started = {library: Reader(library) for library in LIBRARIES}
    try:
        yield started
    finally:
        for one in started.values():
            one.process.kill()
            one.process.wait()
