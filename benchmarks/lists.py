# SPDX-License-Identifier: GPL-3.0-or-later
"""List, verify by existence and prune directories of many backup sets, each in a process of its own.

python benchmarks/lists.py DIRECTORY COUNT     measure once, and print it as JSON
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Callable, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests/support"), str(HERE.parent / ".ansible/collections")]

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import prune, verify
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import manifest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.retention import Policy
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import DATABASE, archive_of, manifest_of
from lab import run
from report import Row, Section, judged

COUNTS = (100, 500, 1000, 2000, 5000)
SECONDS, MEBIBYTES = 5, 100
TABLES = {f"table_{number}_of_the_application": number for number in range(40)}


class Measured(NamedTuple):
    """What one directory took: seconds of list and of prune, by the clock and of the processor, and the peak in MiB."""

    list_seconds: float
    list_processor: float
    list_peak: float
    prune_seconds: float
    prune_processor: float
    prune_peak: float


def backup_lists(scratch: Path) -> Section:
    """Measure directories of several sizes."""
    rounds = [[_alone(scratch / f"{turn}-{count}", count) for count in COUNTS] for turn in range(3)]
    found = []
    for column, what, unit in (
        ("list_seconds", "list and verify", "s"),
        ("list_processor", "list and verify, processor", "s"),
        ("list_peak", "list and verify, peak memory", "MiB"),
        ("prune_seconds", "prune", "s"),
        ("prune_processor", "prune, processor", "s"),
        ("prune_peak", "prune, peak memory", "MiB"),
    ):
        for place, count in enumerate(COUNTS):
            found.append(Row(f"{count} sets: {what}", [getattr(one[place], column) for one in rounds], unit))
    most = [one[-1] for one in rounds]
    seconds = sorted(one.list_seconds + one.prune_seconds for one in most)[1]
    processor = sorted(one.list_processor + one.prune_processor for one in most)[1]
    peak = max(max(one.list_peak, one.prune_peak) for one in most)
    return Section(
        "A directory of daily sets, each with two archives and a database of 40 tables: all are listed, with the sizes "
        "of their files compared with the manifests (`backup_info`), and then pruned (`backup_prune` with its "
        "defaults), which removes all but a few. The memory is the peak of the whole process, with the interpreter.",
        found,
        "\n\n".join(
            [
                judged(
                    f"listing, verifying by existence and pruning {COUNTS[-1]} sets takes at most {SECONDS} s",
                    f"{seconds:.2f} s, {processor:.2f} s of the processor",
                    seconds <= SECONDS,
                ),
                judged(f"and at most {MEBIBYTES} MiB", f"{peak:.0f} MiB", peak <= MEBIBYTES),
            ]
        ),
    )


def _alone(directory: Path, count: int) -> Measured:
    return Measured(**json.loads(run(sys.executable, __file__, str(directory), str(count)).stdout))


def fill(directory: str, count: int) -> None:
    """Make so many sets of one day each, up to yesterday; their archives hold their names only."""
    os.makedirs(directory)
    now = datetime.now(timezone.utc)
    database = asdict(DATABASE)
    for number in range(count):
        set_id = (now - timedelta(days=number + 1)).strftime(manifest.ID_FORMAT)
        held = (type(DATABASE)(**{**database, "tables": TABLES}),)
        archives = (archive_of("db", set_id, databases=held), archive_of("media", set_id))
        for archive in archives:
            Path(directory, archive.file).write_text(archive.name)
        Path(directory, manifest.manifest_file(set_id)).write_text(
            manifest.write(manifest_of(set_id, archives=archives))
        )


def measure(directory: str, count: int) -> Measured:
    """List and prune; the directory is filled by another process, whose memory would count otherwise."""
    child = os.fork()
    if child == 0:
        fill(directory, count)
        os._exit(0)
    os.waitpid(child, 0)
    os.sync()
    sets, clock = Sets(directory, "shop"), SystemClock()
    listed, *looked = _timed(lambda: verify.run(verify.Params(), sets, clock))
    assert len(listed["sets"]) == count
    assert not any(row["problems"] for row in listed["sets"])
    del listed
    pruned, *removed = _timed(lambda: prune.run(prune.Params(Policy()), sets, _no_engine, clock, False))
    assert len(pruned["removed"]) + len(pruned["kept"]) == count
    assert len(os.listdir(directory)) == 1 + 3 * len(pruned["kept"])
    return Measured(*looked, *removed)


def _no_engine() -> None:
    raise AssertionError("nothing here needs an engine")


def _timed(action: Callable[[], dict]) -> tuple:
    began, processor = time.perf_counter(), time.process_time()
    result = action()
    took, worked = time.perf_counter() - began, time.process_time() - processor
    (peak,) = [int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
    return result, took, worked, peak / 1024


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))._asdict()))
