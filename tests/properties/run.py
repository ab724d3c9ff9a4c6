# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up many random volumes, and databases that libraries of Node.js are writing; write down what came of it.

    run.py [--volumes N] [--sets N] [--seed N] [--jobs N]

A volume that is invalid is made again without the ingredients that have no part in it, and its recipe is shown.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sqlite3
import sys
import tarfile
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Sequence

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / ".ansible/collections")]

import results
import trial
import witness
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine, FakeWallClock

SHARE = 10  # volumes that a process takes at once
KEY = "a key that only the application has"


def many(place: str, seeds: Sequence[int]) -> list[tuple[trial.Recipe, trial.Outcome, str]]:
    """Run the trials of some seeds, in a process of its own; return with each the smallest recipe that goes wrong."""
    done = []
    with witness.readers() as readers:
        for seed in seeds:
            made = trial.recipe(seed)
            outcome = trial.judged(made, Path(place) / str(seed), readers)
            less = trial.smallest(made, Path(place) / f"{seed}-less", readers) if outcome.problems else ""
            done.append((made, outcome, str(less)))
    return done


def volumes(place: Path, count: int, seed: int, jobs: int) -> int:
    """Run so many trials, write down what came of them, and return how many were not right."""
    began = time.monotonic()
    seeds = [seed + number for number in range(count)]
    shares = [seeds[at : at + SHARE] for at in range(0, count, SHARE)]
    with ProcessPoolExecutor(jobs) as pool:
        done = [one for share in pool.map(many, [str(place)] * len(shares), shares) for one in share]
    wrong = [(outcome, less) for _made, outcome, less in done if outcome.problems]
    for outcome, less in wrong:
        sys.stdout.write(f"{less}\n" + "".join(f"    {trial.one_line(one)}\n" for one in outcome.problems[:5]))
    kinds = Counter(one.kind for made, _outcome, _less in done for one in made.ingredients)
    head = ("", "volumes", "sets made", "refused, as they should be", "files", "databases compared", "not right")
    outcomes = [outcome for _made, outcome, _less in done]
    line = (
        "two volumes each",
        count,
        sum(1 for one in outcomes if not one.refused and not one.problems),
        sum(1 for one in outcomes if one.refused and not one.problems),
        sum(one.files for one in outcomes),
        sum(one.databases for one in outcomes),
        results.bad(len(wrong)),
    )
    libraries = " and ".join(f"{name} {version}" for name, version in witness.LIBRARIES.items())
    results.record(
        "volumes",
        "Random volumes, backed up, restored elsewhere and compared: files byte for byte with all that belongs to "
        f"them, the application's databases by content, as Python's SQLite, {libraries} read it. Seeds from {seed}. "
        f"Each set was made twice with the same bytes, opened by plain tar, and left the volumes as they were.",
        results.table(head, [line]),
        f"Kinds: {', '.join(f'{name} {number}' for name, number in sorted(kinds.items()))}.",
        results.environment(f"{time.monotonic() - began:.0f} s with {jobs} processes"),
    )
    return len(wrong)


class Written:
    """A volume whose database a library is writing, and its sets."""

    def __init__(self, place: Path, library: str, key: str = "") -> None:
        self.engine, self.clock = FakeVolumeEngine(place / "docker"), FakeWallClock()
        self.root, self.sets = self.engine.add_volume("shop-db"), Sets(str(place / "backups"), "shop")
        self.engine.add_container("app", "shop-db")
        self.scratch = place / "scratch.db"
        self.writer = witness.command(library, "write", str(self.root / "payload.db"), *([key] if key else []))

    def back_up(self, consistency: str = "online") -> Path:
        """Make a set, and return its database."""
        params = backup.Params("shop", {"db": "shop-db"}, consistency=consistency)
        backup.run(params, self.sets, lambda: self.engine, self.clock, False)
        self.clock.passed += 60
        one = self.sets.listing().sets[0]
        with tarfile.open(one.path(one.manifest.archives[0])) as opened:
            found = opened.extractfile("./payload.db")
            assert found
            self.scratch.write_bytes(found.read())
        return self.scratch

    def rows(self, wanted: int) -> None:
        """Wait until the log or the database has some size."""
        deadline = time.monotonic() + 60
        while sum(path.stat().st_size for path in self.root.glob("payload.db*")) < wanted:
            assert self.writer.poll() is None, self.writer.communicate()[0]
            assert time.monotonic() < deadline, "the writer does not write"
            time.sleep(0.05)

    def end(self) -> str:
        """Let the writer end, and return what it says."""
        self.writer.terminate()
        output, _unused = self.writer.communicate(timeout=60)
        return output.strip() if self.writer.returncode == 0 else f"failed: {output[-300:]}"


def writers(place: Path, count: int) -> int:
    """Make sets while libraries write, write down what came of it, and return how much was not right."""
    lines, wrong = [], 0
    for library in witness.LIBRARIES:
        one = Written(place / library, library)
        half = inconsistent = back = last = 0
        with witness.readers() as readers:
            one.rows(50_000)
            for _turn in range(count):
                copied = one.back_up()
                with closing(sqlite3.connect(copied)) as connection:
                    inconsistent += connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]
                    documents, newest = connection.execute("SELECT count(*), max(id) FROM documents").fetchone()
                    parts = connection.execute("SELECT count(*) FROM parts").fetchone()[0]
                half += parts != 3 * documents or documents != newest
                back += newest < last
                last = newest
                inconsistent += "2 objects" not in readers[library].content(copied)
        output = one.end()
        failed = 0 if output.isdigit() else 1
        wrong += half + inconsistent + back + failed
        lines.append(
            (library, count, output if not failed else "", *map(results.bad, (half, inconsistent, back, failed)))
        )
        if failed:
            sys.stdout.write(f"{library}: {output}\n")
    head = ("writer", "sets", "transactions", "half transactions", "not sound", "older than the one before", "errors")
    sealed, message = encrypted(place)
    wrong += bool(sealed)
    results.record(
        "writers",
        "Sets made while a library writes documents of four rows, a transaction each, in WAL mode with its own locks.",
        results.table(head, lines),
        sealed or message,
        results.environment(*(f"{name} {version}" for name, version in witness.LIBRARIES.items())),
    )
    return wrong


def encrypted(place: Path) -> tuple[str, str]:
    """Back up a database that libsql encrypts, and return what is invalid, and what came of it."""
    one = Written(place / "encrypted", "libsql", KEY)
    one.rows(50_000)
    output: list[str] = []
    one.engine.on[("stop", "APP")] = lambda: output.append(one.end())
    refusal = "none"
    try:
        one.back_up()
    except DockerVpsError as error:
        refusal = error.message
    if "setting backup_consistency" not in refusal:
        one.end()
        return f"**A database that libsql encrypts was not refused online with the way out: {refusal}.**", ""
    copied = one.back_up("stop")
    if copied.read_bytes() != (one.root / "payload.db").read_bytes() or not output[0].isdigit():
        return f"**The set of the encrypted database is not what was there ({output[0]}).**", ""
    message = "A database that libsql encrypts: refused online with the way out, and identical with consistency stop"
    return "", f"{message} ({output[0]} transactions)."


def main() -> int:
    """Run both, and return the code to end with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--volumes", type=int, default=500)
    parser.add_argument("--sets", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    witness.ensure()
    place = Path(tempfile.mkdtemp(prefix="properties-"))
    try:
        wrong = writers(place, given.sets) if given.sets else 0
        wrong += volumes(place, given.volumes, given.seed, given.jobs) if given.volumes else 0
    finally:
        shutil.rmtree(place, ignore_errors=True)
    sys.stdout.write(f"{wrong} not right; see {results.FILE}\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
