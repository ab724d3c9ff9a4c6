# SPDX-License-Identifier: GPL-3.0-or-later
"""A restic repository in memory, and a program that stands in for restic."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.restic import ResticSnapshot
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import SET_ID, archive_of, manifest_of


class FakeRepository:
    """A repository that keeps whole files, and counts only new ones as added.

    It does what the real one does (tests/integration/test_offsite.py): whatever is tagged, rewritten or copied gets a
    new id, and a server that removes nothing lets a removal seem to succeed.

    Attributes:
        there: whether it exists.
        kept: the snapshots with their data and time, oldest first.
        checks: how much of the data each check was to read.
        refuses: why nothing is removed; empty when it is.
        prunes: how often data was removed.
    """

    name = "memory:shop"

    def __init__(self, there: bool = True) -> None:
        self.there = there
        self.kept: dict[str, tuple[ResticSnapshot, bytes, datetime]] = {}
        self.checks: list[str] = []
        self.refuses = ""
        self.prunes = 0
        self._made = 0

    def exists(self) -> bool:
        return self.there

    def create(self) -> None:
        assert not self.there
        self.there = True

    def snapshots(self) -> Sequence[ResticSnapshot]:
        assert self.there
        return [one for one, _unused, _unused in self.kept.values()]

    def save(self, name: str, blocks: Iterable[bytes], host: str, time: datetime, tags: Sequence[str]) -> int:
        assert self.there
        data = b"".join(blocks)
        known = any(data == other for _unused, other, _unused in self.kept.values())
        self._keep(ResticSnapshot("", name, host, tuple(tags)), data, time)
        return 0 if known else len(data)

    def load(self, snapshot: ResticSnapshot) -> Iterator[bytes]:
        data = self.kept[snapshot.id][1]
        yield data[:5]
        yield data[5:]

    def forget(self, snapshots: Sequence[ResticSnapshot]) -> str:
        for one in snapshots:
            if not self.refuses:
                del self.kept[one.id]
        return self.refuses

    def prune(self) -> None:
        self.prunes += 1

    def check(self, read_data: str) -> None:
        self.checks.append(read_data)

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        return sorted(one.name for one, _unused, _unused in self.kept.values())

    def change(self, only: str = "", add: Sequence[str] = (), **changes: Any) -> None:
        """Do what ``restic tag`` and ``restic rewrite --forget`` do, to all snapshots or to those of one file."""
        for one, data, time in list(self.kept.values()):
            if only in ("", one.name):
                del self.kept[one.id]
                self._keep(replace(one, **{"touched": True, "tags": (*one.tags, *add), **changes}), data, time)

    def copy_to(self, other: FakeRepository) -> None:
        """Do what ``restic copy`` does."""
        for one, data, time in list(self.kept.values()):
            other._keep(replace(one, touched=True), data, time)

    def _keep(self, one: ResticSnapshot, data: bytes, time: datetime) -> None:
        self._made += 1
        one = replace(one, id=hashlib.sha256(f"{id(self)} {self._made}".encode()).hexdigest())
        self.kept[one.id] = (one, data, time)


PROGRAM = """#!{python}
import json, os, pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_DFL)  # as restic hears it, also in a test run that was started to ignore it
here = pathlib.Path(__file__).parent
asked = next(one for one in sys.argv[1:] if not one.startswith("--option="))
answers = json.loads((here / "answers.json").read_text())
answer = answers.get(asked, {{}})
if "unlocks" in answer:
    del answers[answer["unlocks"]]
    (here / "answers.json").write_text(json.dumps(answers))
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
        """Answer each command by its ``out``, ``err`` and ``code`` from now on; ``unlocks`` ends another answer."""
        (self.place / "answers.json").write_text(json.dumps(answers))

    def calls(self) -> list[tuple[list[str], dict[str, str], str, bool]]:
        """Return arguments, environment and input of each call, and whether it had a session of its own."""
        path = self.place / "calls.jsonl"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def publish_packed(
    sets: Sets, set_id: str = SET_ID, after: str = "", consistency: str = "", **data: bytes
) -> BackupSet:
    """Put a set on disk whose archives hold these bytes, compressed and described as they are."""
    changes = {"after": after, "consistency": consistency or "online"}
    sets.prepare()
    folder = sets.begin(set_id)
    archives = []
    for name, plain in data.items():
        packed = gzip.compress(plain)
        facts = {"sha256": hashlib.sha256(packed).hexdigest(), "bytes": len(packed), "plain_bytes": len(plain)}
        archives.append(archive_of(name, set_id, **facts))
        (Path(folder) / archives[-1].file).write_bytes(packed)
    return sets.publish(folder, manifest_of(set_id, app=sets.app, archives=tuple(archives), **changes))
