# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of a volume that changes little, or not at all, in both stores, against restic, borg and GNU tar."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import Callable, Iterator, Mapping, NamedTuple

import one_set
from backup import ATTRIBUTES, GIB, MIB, Volume, at_most, filled, mixed, on_disk, seconds
from lab import SUPPORT, run
from report import Row, Section, judged, ratio

ROUNDS = 3
SETS = 14
STORES = ("files", "shared")
FIRST, SAME, CHANGED = "first set", "nothing changed", "1 % changed"
KINDS = {FIRST: 1.0, SAME: 1.0, CHANGED: 1.5}
"""What is measured, and how long it may take at most against the fastest of the others."""
SETTLED = "4"
"""Seconds: what is younger is read again, since its time might not tell of the next change."""


class Way(NamedTuple):
    """A way to make a set of a volume in a directory; ``begin`` prepares that, and its time does not count."""

    begin: Callable[[Path], object]
    make: Callable[[Volume, Path], object]


def command(text: str) -> Callable[[Volume, Path], object]:
    """Return what makes a set by a shell command, which reads $1 and writes into the directory $2."""
    environment = {**os.environ, "RESTIC_PASSWORD": "bench", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
    return lambda volume, place: run("sh", "-ec", text, "sh", str(volume.root), str(place), env=environment)


def ours(store: str, kind: str = "zstd") -> Callable[[Volume, Path], object]:
    """Return what makes a set of ours, in a process whose start counts as well."""
    return lambda volume, place: run(sys.executable, one_set.__file__, volume.name, str(place), kind, store)


TAR = "`tar c`, `zstd -1 -T2`"
WAYS: Mapping[str, Way] = {
    "ours, files": Way(lambda _place: None, ours("files")),
    "ours, shared": Way(lambda _place: None, ours("shared")),
    "restic": Way(
        lambda place: command('restic -q init -r "$2"')(Volume("", place), place),
        command('restic -q backup -r "$2" "$1"; sync -f "$2"'),
    ),
    "borg": Way(
        lambda place: command('borg init -e none "$2"')(Volume("", place), place),
        command('borg create -C lz4 "$2::$(date +%s.%N)" "$1"; sync -f "$2"'),
    ),
    TAR: Way(
        lambda _place: None,
        command(f'to="$2/$(date +%s.%N)"; tar c {ATTRIBUTES} -C "$1" . | zstd -q -1 -T2 -o "$to"; sync "$to"'),
    ),
}


def change(root: Path, by: Random) -> None:
    """Write files again that have 1 % of the bytes of a directory, and wait until they are no longer fresh."""
    files = sorted(path for path in root.rglob("*.[jt][px][gt]"))
    left = sum(path.stat().st_size for path in files) / 100
    while left > 0:
        path = by.choice(files)
        data = bytearray(path.read_bytes())
        size = min(len(data), int(left) + 1)
        data[:size] = by.randbytes(size)
        path.write_bytes(data)
        left -= size
    run("sleep", SETTLED)


def space(place: Path) -> int:
    """Return how many bytes a directory occupies on the disk."""
    (kibibytes,) = run("du", "--summarize", "--block-size=1024", str(place)).stdout.split()[:1]
    return int(kibibytes) * 1024


@contextmanager
def places() -> Iterator[dict[str, Path]]:
    """Give a directory for each way."""
    with ExitStack() as stack:
        found = {name: stack.enter_context(on_disk()) for name in WAYS}
        for name, place in found.items():
            WAYS[name].begin(place)
        yield found


def backup_series(_scratch: Path) -> Section:
    """Compare the first set, one of what did not change, one of what changed a little, and many of these."""
    run(str(SUPPORT / "packages.sh"), "zstd", "restic", "borgbackup")
    by = Random(3)
    took: dict[tuple[str, str], list[float]] = {}
    grew: dict[tuple[str, str], list[float]] = {}
    with filled(mixed(GIB)) as volume:
        run("sleep", SETTLED)
        for turn in range(ROUNDS):
            with places() as at:
                for what in KINDS:
                    if what == CHANGED:
                        change(volume.root, by)
                    for name in [*WAYS][:: 1 if turn % 2 else -1]:
                        before = space(at[name])
                        took.setdefault((what, name), []).append(seconds(partial(WAYS[name].make, volume, at[name])))
                        grew.setdefault((what, name), []).append((space(at[name]) - before) / MIB)
        growth = many_sets(volume, by)
    times = {key: Row(f"{key[0]}: {key[1]}", values, "s") for key, values in took.items()}
    disk = {key: Row(f"{key[0]}, on disk: {key[1]}", values, "MiB") for key, values in grew.items()}
    ratios = {(what, store): to_the_fastest(what, store, times) for what, store in product(KINDS, STORES)}
    verdicts = [
        at_most(limit, f"{what}, {store}: at most {limit} of the fastest of the others", [ratios[what, store]])
        for (what, limit), store in product(KINDS.items(), STORES)
    ]
    for what, store, limit in ((SAME, "files", 0.01), (SAME, "shared", 0.01), (CHANGED, "shared", 0.05)):
        share = disk[what, f"ours, {store}"].median / disk[FIRST, f"ours, {store}"].median
        verdicts.append(
            judged(f"{what}, {store}: at most {limit} of a full set on disk", f"{share:.4f}", share <= limit)
        )
    shared = next(row for row in growth if "shared" in row.what)
    return Section(
        "Sets of a volume with 1 GiB as above, one after the other: the first; one more; and one after files with 1 % "
        "of the bytes were rewritten. Each way is a process of its own whose start counts, and ends when all is "
        "safe on the disk. restic and borg (`-C lz4`) rely on size, time and inode of a file as ours does; tar reads "
        f"everything. Then {SETS} sets, each after a change of 1 %.",
        [*times.values(), *ratios.values(), *disk.values(), *growth],
        "\n\n".join([*verdicts, at_most(1.3, f"{SETS} sets, shared: at most 1.3 of one on disk", [shared])]),
    )


def to_the_fastest(what: str, store: str, times: Mapping[tuple[str, str], Row]) -> Row:
    """Return how long one of our stores takes against the fastest of the others."""
    rivals = [times[what, name] for name in WAYS if not name.startswith("ours") and (what == FIRST or name != TAR)]
    fastest = min(rivals, key=lambda row: row.median)
    return ratio(f"{what}: ours, {store} / {fastest.what.partition(': ')[2]}", times[what, f"ours, {store}"], fastest)


def many_sets(volume: Volume, by: Random) -> list[Row]:
    """Make as many sets as are usually kept, a little changed each time, and return how they grow."""
    with places() as at:
        sizes: dict[str, list[float]] = {name: [] for name in WAYS if name != TAR}
        for _day in range(SETS):
            for name, found in sizes.items():
                WAYS[name].make(volume, at[name])
                found.append(space(at[name]))
            change(volume.root, by)
    return [
        Row(f"{SETS} sets / the first, on disk: {name}", [found[-1] / found[0]], "") for name, found in sizes.items()
    ]
