# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Molecule scenarios and tests of updates with other engines, and write what ran where into docs/compatibility.md.

matrix.py [SCENARIO…]: lifecycle, image and stack, and the tests, unless some scenarios are named. An instance is
Debian 13 with the engine, Compose and Buildx of a Debian suite, or a Compose of PyPI, and either of the engine's image
stores; see instance_image.sh. For the tests the same programs are this machine's engine for a while, but for runc,
which wants the libc of its suite. The table is written after each cell, so that a run that is broken off leaves what it
has shown.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Iterator, Mapping, Optional, Sequence

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/compatibility.md"
BEGIN, END = "<!-- make engines writes this table -->\n", "<!-- end -->\n"
SCENARIOS = ("lifecycle", "image", "stack")
TESTS = "tests/integration/test_update.py"
PROGRAMS = ("sbin/dockerd", "sbin/docker-proxy", "bin/docker", "bin/containerd", "bin/containerd-shim-runc-v2")
PLUGINS = ("libexec/docker/cli-plugins/docker-compose", "libexec/docker/cli-plugins/docker-buildx")
HEAD = """| Engine | Compose | Buildx | Image store | Architecture | Scenarios and tests | Run |
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


def said(*command: str, environment: Optional[Mapping[str, str]] = None) -> str:
    """Return what a command prints; fail when it fails."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    return done.stdout.strip()


def script(name: str, *arguments: str, environment: Optional[Mapping[str, str]] = None) -> str:
    """Return what a script of ours prints; fail when it fails."""
    return said(str(ROOT / "tests/support" / name), *arguments, environment=environment)


def version(image: str, *command: str) -> str:
    """Return the first version in what a command of an image prints."""
    found = re.search(r"\d+\.\d+\.\d+", said("docker", "run", "--rm", image, *command))
    return found[0] if found else "unknown"


def row(cell: Cell, scenarios: Sequence[str], tests: bool) -> str:
    """Run the scenarios, and the tests, in a cell and return its row of the table."""
    image = script("instance_image.sh", "trixie", environment=cell.environment)
    commands = (("dockerd", "--version"), ("docker", "compose", "version"), ("docker", "buildx", "version"))
    versions = [version(image, *command) for command in commands]
    run = [str(ROOT / "tests/support/molecule.sh"), *scenarios]
    failed = [", ".join(scenarios)] * bool(
        subprocess.run(run, check=False, cwd=ROOT, env={**os.environ, "MOLECULE_IMAGE": image}).returncode
    )
    if tests:
        with engine_of(cell, image) as environment:
            command = [sys.executable, "-m", "pytest", TESTS]
            failed += [TESTS] * bool(subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode)
    result = ", ".join([*scenarios, *[TESTS] * tests]) + "".join(f"; {one} FAILED" for one in failed)
    return f"| {' | '.join(versions)} | {cell.store} | {platform.machine()} | {result} | {this_run()} |\n"


@contextmanager
def engine_of(cell: Cell, image: str) -> Iterator[Mapping[str, str]]:
    """Have the engine of a cell instead of this machine's for a while; yield the environment in which it is used."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        programs, plugins = place / "programs", place / "config/cli-plugins"
        container = said("docker", "create", image)
        for directory, paths in ((programs, PROGRAMS), (plugins, PLUGINS)):
            directory.mkdir(parents=True)
            for path in paths:
                said("docker", "cp", "--quiet", f"{container}:/usr/{path}", str(directory))
        said("docker", "rm", container)
        if cell.compose:
            script("compose.sh", cell.compose, str(plugins))
        client = (programs / "docker").rename(place / "docker")
        (programs / "docker").write_text(f'#!/bin/sh\nDOCKER_CONFIG={place}/config exec {client} "$@"\n')
        (programs / "docker").chmod(0o755)
        config = {"features": {"containerd-snapshotter": cell.store == "containerd"}}
        (place / "daemon.json").write_text(json.dumps(config))
        said("docker", "save", "--output", str(place / "base.tar"), script("base_image.sh"))
        environment = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "ENGINE_OPTIONS": f"--data-root={place}/data --config-file={place}/daemon.json",
        }
        record = str(place / "engine.pid")
        script("engine.sh", "stop")
        try:
            script("engine.sh", "start", record, environment=environment)
            root = said("docker", "info", "--format", "{{.DockerRootDir}}", environment=environment)
            assert root == f"{place}/data", f"the engine of {root} answers, which was not started from here"
            said("docker", "load", "--input", str(place / "base.tar"), environment=environment)
            yield environment
        finally:
            script("engine.sh", "stop", record)
            script("engine.sh", "start")


def this_run() -> str:
    """Return the day and the commit."""
    return f"{datetime.now(timezone.utc):%Y-%m-%d}, {said('git', 'rev-parse', '--short', 'HEAD')}"


def write(table: str, begin: str = BEGIN) -> None:
    """Put a table into its place in the document."""
    before, _unused, rest = DOCUMENT.read_text().partition(begin)
    DOCUMENT.write_text(f"{before}{begin}\n{table}\n{END}{rest.partition(END)[2]}")


def main(scenarios: Sequence[str]) -> int:
    """Run all cells and return 1 when one failed."""
    rows = []
    for cell in CELLS:
        rows.append(row(cell, scenarios or SCENARIOS, not scenarios))
        sys.stdout.write(rows[-1])
        sys.stdout.flush()
        write(HEAD + "".join(rows) + UNTESTED)
    return int(any("FAILED" in one for one in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
