# SPDX-License-Identifier: GPL-3.0-or-later
"""A restic repository in memory, and a program that stands in for restic."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.restic import Saved, Snapshot
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import STAMP, archive_of, manifest_of


class FakeRepository:
    """A repository that keeps whole files, and counts only new ones as added.

    Attributes:
        there: whether it exists.
        kept: the snapshots with their data and time, oldest first.
        checks: how much of the data each check was to read.
    """

    name = "memory:shop"

    def __init__(self, there: bool = True) -> None:
        self.there = there
        self.kept: dict[str, tuple[Snapshot, bytes, datetime]] = {}
        self.checks: list[str] = []
        self._made = 0

    def exists(self) -> bool:
        return self.there

    def create(self) -> None:
        assert not self.there
        self.there = True

    def snapshots(self, app: str) -> Sequence[Snapshot]:
        assert self.there
        return [one for one, _unused, _unused in self.kept.values() if f"app={app}" in one.tags]

    def save(self, name: str, blocks: Iterable[bytes], app: str, time: datetime, tags: Sequence[str]) -> Saved:
        assert self.there
        data = b"".join(blocks)
        known = any(data == other for _unused, other, _unused in self.kept.values())
        self._made += 1
        one = Snapshot(f"{self._made:08x}" * 8, name, (f"app={app}", *tags))
        self.kept[one.id] = (one, data, time)
        return Saved(one.id[:8], 0 if known else len(data))

    def load(self, snapshot: Snapshot) -> Iterator[bytes]:
        data = self.kept[snapshot.id][1]
        yield data[:5]
        yield data[5:]

    def forget(self, snapshots: Sequence[Snapshot]) -> None:
        for one in snapshots:
            del self.kept[one.id]

    def check(self, read_data: str) -> None:
        self.checks.append(read_data)

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        return sorted(one.name for one, _unused, _unused in self.kept.values())


PROGRAM = """#!{python}
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
asked = next(one for one in sys.argv[1:] if not one.startswith("--option="))
answer = json.loads((here / "answers.json").read_text()).get(asked, {{}})
sys.stderr.write(answer.get("err", ""))
sys.stderr.flush()
given = sys.stdin.buffer.read(answer.get("reads", -1))
time.sleep(answer.get("sleeps", 0))
with (here / "calls.jsonl").open("a") as calls:
    terminal = os.getsid(0) == os.getpid()
    calls.write(json.dumps([sys.argv[1:], dict(os.environ), given.decode(), terminal]) + "\\n")
sys.stdout.write(answer.get("out", ""))
sys.exit(answer.get("code", 0))
"""


class FakeProgram:
    """A program that answers each command of restic as it was told, and remembers how it was called."""

    def __init__(self, place: Path, **answers: Mapping[str, Any]) -> None:
        self.place, self.path = place, str(place / "restic")
        Path(self.path).write_text(PROGRAM.format(python=sys.executable))
        Path(self.path).chmod(0o755)
        self.answer(**answers)

    def answer(self, **answers: Mapping[str, Any]) -> None:
        """Answer each command by its ``out``, ``err`` and ``code`` from now on."""
        (self.place / "answers.json").write_text(json.dumps(answers))

    def calls(self) -> list[tuple[list[str], dict[str, str], str, bool]]:
        """Return arguments, environment and input of each call, and whether it had a session of its own."""
        path = self.place / "calls.jsonl"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def publish_packed(sets: Sets, stamp: str = STAMP, **data: bytes) -> BackupSet:
    """Put a set on disk whose archives hold these bytes, compressed and described as they are."""
    sets.prepare()
    folder = sets.begin(stamp)
    archives = []
    for name, plain in data.items():
        packed = gzip.compress(plain)
        facts = {"sha256": hashlib.sha256(packed).hexdigest(), "bytes": len(packed), "plain_bytes": len(plain)}
        archives.append(archive_of(name, stamp, **facts))
        (Path(folder) / archives[-1].file).write_bytes(packed)
    return sets.publish(folder, manifest_of(stamp, app=sets.app, archives=tuple(archives)))
