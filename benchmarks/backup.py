# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure backups and restores of real volumes against what people do with tar; as root, with 15 GiB of disk."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from io import BytesIO
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import correlation, linear_regression
from tempfile import TemporaryDirectory
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Sequence
from uuid import uuid4

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import restore as restore_job
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine import sdk
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import archive, runs, tree
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from lab import SUPPORT, docker, image_of, run
from one_set import engine, make_set
from report import Row, Section, grown, judged, ratio, rows

MIB, GIB = 1 << 20, 1 << 30
ROUNDS = 3
SMALL_FILES = 100_000
MOST_FILES = 400_000
DATABASE = "payload.db"
ATTRIBUTES = "--format=posix --sparse --sort=name --xattrs --xattrs-include=*"
WARM = "All files are in the page cache, and the disk has nothing left to write when a measurement begins."


class Volume(NamedTuple):
    """A volume of the engine, and its directory on this host."""

    name: str
    root: Path


class Done(NamedTuple):
    """What one of our procedures took, in seconds and in MB beyond the interpreter's memory, and what it returned."""

    seconds: float
    memory: float
    result: Any


def mixed(size: int) -> Iterator[int]:
    """Give the sizes of files from 0.1 to 16 MiB, most of them small, that have so many bytes together."""
    random = Random(size)
    while size > 0:
        one = min(size, int(0.1 * MIB * 160 ** random.random()))
        size -= one
        yield one


def fill(root: Path, sizes: Iterable[int]) -> None:
    """Write files, 70 % of their bytes random like pictures and the rest words, and a small database."""
    random = Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(random.choices(letters, k=random.randint(2, 12))) for _turn in range(5000)]
    text = " ".join(random.choices(words, k=3 * MIB)).encode()
    written = pictures = 0
    for number, size in enumerate(sizes):
        folder = root / f"{number // 1000:03}"
        folder.mkdir(exist_ok=True)
        picture = pictures <= 0.7 * written
        start = random.randrange(len(text) - size)
        data = random.randbytes(size) if picture else text[start : start + size]
        (folder / f"{number:06}.{'jpg' if picture else 'txt'}").write_bytes(data)
        written += size
        pictures += size if picture else 0
    with closing(sqlite3.connect(root / DATABASE)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE pages (id INTEGER PRIMARY KEY, text)")
        database.executemany(
            "INSERT INTO pages (text) VALUES (?)", ((f"{random.random()}" * 20,) for _turn in range(5000))
        )
        database.commit()


@contextmanager
def filled(sizes: Iterable[int]) -> Iterator[Volume]:
    """Make a volume with such files, all in the page cache; it is removed in the end."""
    name = f"bench-{uuid4().hex[:12]}"
    docker("volume", "create", name)
    try:
        root = Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", name))
        fill(root, sizes)
        for path in root.rglob("*"):
            if path.is_file():
                path.read_bytes()
        yield Volume(name, root)
    finally:
        docker("volume", "rm", "--force", name)


@contextmanager
def on_disk() -> Iterator[Path]:
    """Give a directory that is not in memory, as /tmp may be, and usually on the disk of the engine."""
    with TemporaryDirectory(prefix="bench-", dir="/var/tmp") as path:
        yield Path(path)


def seconds(action: Callable[[], object]) -> float:
    """Return how long something takes, once the disk has nothing left to write."""
    os.sync()
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def in_new_process(action: Callable[..., Any], *arguments: Any) -> Done:
    """Do something in a new interpreter, once the disk has nothing left to write; its start does not count."""
    os.sync()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measured, action, *arguments).result()


def measured(action: Callable[..., Any], *arguments: Any) -> Done:
    """Do something and tell what it took."""
    before, began = memory("VmRSS"), time.perf_counter()
    result = action(*arguments)
    took = time.perf_counter() - began
    return Done(took, memory("VmHWM") - before, result)


def memory(which: str) -> float:
    """Return this process's memory in MB, as VmRSS that of now and as VmHWM the peak."""
    # Not getrusage, for which a process begins with the peak of the one that started it.
    found = re.search(rf"^{which}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / 1e6


def ours(volume: Volume, kind: str, without: Sequence[str] = ()) -> Done:
    """Back up a volume into a directory that is thrown away."""
    with on_disk() as directory:
        return in_new_process(make_set, volume.name, str(directory), kind, without)


def container(image: str, volume: Volume) -> float:
    """Return how many seconds the specification's way to back up a volume takes."""
    with on_disk() as directory:
        mounts = ("--volume", f"{volume.name}:/data", "--volume", f"{directory}:/backup")
        tar = ("tar", "czf", "/backup/x.tar.gz", "-C", "/data", ".")
        return seconds(lambda: docker("run", "--rm", *mounts, image, *tar))


def shell(command: str, source: Path) -> float:
    """Return how many seconds a shell command takes that reads $1 and writes into the directory $2."""
    with on_disk() as directory:
        return seconds(lambda: run("sh", "-ec", command, "sh", str(source), str(directory)))


@contextmanager
def committing(database: Path) -> Iterator[list[float]]:
    """Commit to a database all the time, as a busy application does; gives how many ms each commit took."""
    done, took = threading.Event(), []

    def application() -> None:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            while not done.wait(0.005):
                took.append(1e3 * measured(commit, connection).seconds)

    def commit(connection: sqlite3.Connection) -> None:
        with connection:
            connection.execute("UPDATE pages SET text = random() WHERE id = 1")

    thread = threading.Thread(target=application)
    thread.start()
    try:
        yield took
    finally:
        done.set()
        thread.join()


def at_least(times: float, wanted: str, found: Row) -> str:
    """Say whether the median of a ratio is large enough."""
    return judged(wanted, f"{found.median:.1f}", found.median >= times)


def at_most(limit: float, wanted: str, found: Sequence[Row]) -> str:
    """Say whether all medians of some ratios are small enough."""
    medians = [row.median for row in found]
    return judged(wanted, ", ".join(f"{one:.2f}" for one in medians), max(medians) <= limit)


def backup(scratch: Path) -> Section:
    """Compare a backup with tar in a container, which is the specification's way."""
    run(str(SUPPORT / "packages.sh"), "pigz")
    image = image_of("base_image.sh")
    ways = {"gzip": ("gzip",), "zstd": ("zstd",), "none": ("none",), "gzip without isal": ("gzip", ("isal",))}
    sets, commits = [], []
    with filled(mixed(GIB)) as volume:
        theirs = container(image, volume)  # once, since it takes half a minute
        for _turn in range(ROUNDS):
            sets.append([ours(volume, *way) for way in ways.values()])
            with committing(volume.root / DATABASE) as took:
                ours(volume, "gzip")
            commits.append(max(took))
        pigz = shell('tar c -C "$1" . | pigz >"$2/x"; sync "$2/x"', volume.root)
    tar = Row("`docker run ... tar czf`", [theirs], "s")
    gzip, zstd, none, plain = rows([f"ours, {way}" for way in ways], [[one.seconds for one in of] for of in sets], "s")
    times = [ratio(f"`docker run ... tar czf` / {one.what}", tar, one) for one in (gzip, zstd, plain)]
    cost = ratio("ours, zstd / none", zstd, none)
    still = Row("the application stands still, ours", [of[0].result["downtime"] for of in sets], "s")
    wait = Row("its longest commit during ours, gzip", commits, "ms")
    peaks = rows(("peak memory, gzip", "peak memory, zstd"), [[one.memory for one in of] for of in sets], "MB")
    found = [tar, Row("`tar c`, `pigz` and `sync` on the host", [pigz], "s"), gzip, zstd, none, plain]
    return Section(
        f"A backup of a volume with 1 GiB: files of 0.1 to 16 MiB, 70 % of it random like pictures and the rest words, "
        f"and a SQLite database. {WARM} Ours is a whole set by the procedure of `volume_backup`, in a process of its "
        "own and safe on the disk at its end, which tar's is not. With tar, the application has to be stopped all the "
        "while, or its database may be inconsistent. With ours it stands still as long as the manifest says; another "
        "thread commits to the database every 5 ms meanwhile, in backups of their own. Memory is what comes on top of "
        "the interpreter's, without GNU tar's few MB.",
        [*found, *times, cost, still, wait, *peaks],
        "\n\n".join(
            [
                at_least(4, "gzip is at least 4 times as fast as tar in a container", times[0]),
                at_least(8, "zstd is at least 8 times as fast", times[1]),
                at_most(1.4, "zstd takes at most 1.4 times as long as no compression", [cost]),
                at_most(0, "the application stands still for 0 s", [still]),
            ]
        ),
    )


def backup_small_files(scratch: Path) -> Section:
    """Compare a backup of very many small files with GNU tar and the same kind of compression."""
    run(str(SUPPORT / "packages.sh"), "zstd", "pigz")
    theirs = {
        f"`tar c`, `{program}`": f'tar c {ATTRIBUTES} -C "$1" . | {program} -c >"$2/x"; sync "$2/x"'
        for program in ("pigz -1 -p2", "zstd -q -1 -T2")
    }
    found, ratios = [], []
    for size in (2048, 2047):
        rounds, parts = [], []
        with filled(repeat(size, SMALL_FILES)) as volume:
            for _turn in range(ROUNDS):
                by_theirs = (shell(command, volume.root) for command in theirs.values())
                rounds.append([*by_theirs, *(ours(volume, kind).seconds for kind in ("gzip", "zstd"))])
                parts.append([in_new_process(part, str(volume.root)).seconds for part in (tree.survey, plan)])
        took = rows([f"{size} bytes: {what}" for what in (*theirs, "ours, gzip", "ours, zstd")], rounds, "s")
        found += took
        found += rows([f"{size} bytes: {part}" for part in ("ours, of it the survey", "and the plan")], parts, "s")
        ratios += [ratio(f"{one.what} / {what}", one, tar) for tar, one, what in zip(took[:2], took[2:], theirs)]
    return Section(
        "A backup of a volume with 100,000 small files, by the whole procedure of `volume_backup` and by GNU tar on "
        f"the host, each until it is safe on the disk. {WARM} Ours looks through the volume first, and opens each file "
        "whose size a SQLite database may have, a multiple of 512 bytes: of those with 2048 bytes all, and of those "
        f"with 2047, as nearly all files are, none. With `{ATTRIBUTES}` GNU tar keeps what ours does, except that "
        "files may change meanwhile. GNU tar alone, on one of the two processors, reads for three quarters of the time "
        "that it takes with zstd. Ours looks at each file twice in Python before that, one after the other: the survey "
        "finds the databases, which are copied first; and only then the plan may be made, or the media of a page that "
        "was saved meanwhile would be missing.",
        [*found, *ratios],
        "\n\n".join(at_most(0.8, f"{row.what} is at most 0.8", [row]) for row in ratios),
    )


def plan(root: str) -> None:
    """Do what ``archive.write`` does before GNU tar begins."""
    runs.planned(root, (), BytesIO(), BytesIO(), time.time(), set(), lambda _mount: None)


def backup_memory(scratch: Path) -> Section:
    """Measure the memory for very many files."""
    with filled(repeat(4 * GIB // MOST_FILES, MOST_FILES)) as volume, on_disk() as place:
        found = {}
        for what, store in (("first set", "files"), ("one more", "files"), ("first set", "shared")):
            done = in_new_process(make_set, volume.name, str(place), "zstd", (), store)
            found[f"{what}, {store}"] = done
    memory = [Row(f"{what}, memory", [done.memory], "MB") for what, done in found.items()]
    return Section(
        f"Sets of a volume with 4 GiB in {MOST_FILES:,} files. The memory is the peak beyond the interpreter's.",
        [*(Row(what, [done.seconds], "s") for what, done in found.items()), *memory],
        judged(
            "at most 64 MiB",
            ", ".join(f"{row.median:.0f} MB" for row in memory),
            max(row.median for row in memory) <= 67.1,
        ),
    )


def backup_restore(scratch: Path) -> Section:
    """Compare a restore with unpacking the same archives by GNU tar."""
    theirs = {"gzip": 'tar xzf "$1" -C "$2"; sync -f "$2"', "zstd": 'tar -I zstd -xf "$1" -C "$2"; sync -f "$2"'}
    run(str(SUPPORT / "packages.sh"), "zstd")
    rounds = []
    with filled(mixed(GIB)) as volume, ExitStack() as places:
        made = {}
        for kind in theirs:
            directory = places.enter_context(on_disk())
            made[kind] = in_new_process(make_set, volume.name, str(directory), kind).result
        for _turn in range(ROUNDS):
            rounds.append([took for kind, one in made.items() for took in restores(one, kind, theirs[kind])])
    what = ("`tar x` and `sync`", "unpacking", "restore of the volume")
    found = rows([f"{one}, {kind}" for kind in theirs for one in what], rounds, "s")
    ratios = [ratio(f"{one.what} / tar", one, tar) for tar, *both in (found[:3], found[3:]) for one in both]
    return Section(
        "1 GiB as above, from archives of ours. Unpacking is `archive.extract`, which checks members and the digest; "
        "the restore is the whole procedure of `volume_restore`, which also proves the database and "
        f"exchanges the data of the volume. {WARM} Each way ends when all is safe on the disk.",
        [*found, *ratios],
        "\n\n".join(at_most(1, f"{row.what} is at most 1", [row]) for row in ratios),
    )


def restores(made: dict[str, Any], kind: str, command: str) -> list[float]:
    """Return how many seconds each way takes to restore a set."""
    (part,) = made["archives"]
    path = Path(made["directory"], part["file"])
    with on_disk() as into:
        unpacked = in_new_process(partial(archive.extract, sha256=part["sha256"]), str(path), kind, str(into))
    return [shell(command, path), unpacked.seconds, in_new_process(restore_set, made["directory"]).seconds]


def restore_set(directory: str) -> dict[str, Any]:
    """Restore the newest set in a directory into its volume."""
    params = restore_job.Params("bench")
    return restore_job.run(params, Sets(directory, "bench"), engine, sdk.SystemClock(), False)


def backup_sizes(scratch: Path) -> Section:
    """Compare backups of volumes of several sizes."""
    sizes = (0.1, 1, 4)
    with ExitStack() as volumes:
        each = [volumes.enter_context(filled(mixed(int(size * GIB)))) for size in sizes]
        rounds = [[ours(volume, "zstd") for volume in each] for _turn in range(ROUNDS)]
    found = rows([f"{size} GiB" for size in sizes], [[one.seconds for one in of] for of in rounds], "s")
    per = [Row(f"{row.what}, per GiB", [one / size for one in row.values], "s") for row, size in zip(found, sizes)]
    peaks = rows([f"{size} GiB, memory" for size in sizes], [[one.memory for one in of] for of in rounds], "MB")
    medians = [row.median for row in found]
    slope, start = linear_regression(sizes, medians)
    return Section(
        f"Backups with zstd of volumes of several sizes. {WARM} A straight line through the medians: {start:.2f} s and "
        f"{slope:.2f} s per GiB; the square of the correlation is {correlation(sizes, medians) ** 2:.4f}. The memory "
        "is the peak beyond the interpreter's.",
        [*found, *per, ratio("4 GiB / 1 GiB, per GiB", per[2], per[1]), *peaks],
        growths=[
            grown("backup", "The first set of a volume, zstd", "GiB", "seconds", dict(zip(sizes, found))),
            grown("memory", "Memory for a set, beyond the interpreter's", "GiB", "MB", dict(zip(sizes, peaks))),
        ],
    )
