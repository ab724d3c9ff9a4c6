# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of real volumes while everything goes wrong: writers, kills, full disks, a restarted engine."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import tarfile
import time
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.journal import Journal
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.retention import Candidate, Policy, decide
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine, SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import archive
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.integration.test_small_engine import engine as small_engine
from engines import SecondEngine
from lab import ROOT, SUPPORT, MakeApp, docker, image_of, until
from lab import run as command

__all__ = ["small_engine"]

MEBIBYTE = 2**20
KILLS = 50
SEED = 20260131

MakeVolume = Callable[[str], Path]


@pytest.fixture
def make_volume() -> Iterator[MakeVolume]:
    """Make volumes, and return where they are."""
    made: list[str] = []

    def make(name: str) -> Path:
        docker("volume", "rm", "--force", name)
        docker("volume", "create", name)
        made.append(name)
        return Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", name))

    yield make
    for name in made:
        users = docker("ps", "-aq", "--filter", f"volume={name}").split()
        if users:
            docker("rm", "--force", *users)
        docker("volume", "rm", name)


@pytest.fixture
def sets(tmp_path: Path) -> Sets:
    return Sets(str(tmp_path / "backups"), "shop")


def user_of(volume: str, *engine: str) -> str:
    """Start a container that uses a volume, and takes a moment to stop; return its name."""
    name = f"{volume}-user"
    script = "sleep infinity & trap 'kill $!; sleep 0.2' TERM; wait"
    options = ("--detach", "--network=none", f"--name={name}", f"--volume={volume}:/data")
    docker(*engine, "run", *options, image_of("base_image.sh"), "sh", "-c", script)
    return name


def state(name: str, *engine: str) -> str:
    """Return the status of a container, such as running or paused."""
    return docker(*engine, "inspect", "--format", "{{.State.Status}}", name)


class Clock(SystemClock):
    """The machine's clocks, with a calendar that is wrong by some time."""

    def __init__(self, wrong: timedelta = timedelta()) -> None:
        self.wrong = wrong

    def utc(self) -> datetime:
        return super().utc() + self.wrong


class Hurried(Clock):
    """A clock by which ten seconds pass in one, so that nobody waits long for what does not come."""

    def now(self) -> float:
        return super().now() * 10

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / 10)


def made(sets: Sets, volumes: Mapping[str, str], clock: Optional[Clock] = None, **given: Any) -> dict[str, Any]:
    """Make a set in this process."""
    params = backup.Params(app="shop", volumes=volumes, **given)
    return backup.run(params, sets, lambda: Engine.connect(Address()), clock or Clock(), False)


def begun(directory: str, volumes: Mapping[str, str], **given: Any) -> subprocess.Popen[str]:
    """Begin to make a set in a process of its own; returns when it is about to."""
    scratch = Path(directory).with_name("scratch")
    scratch.mkdir(exist_ok=True)
    argument = json.dumps({"directory": directory, "volumes": volumes, **given})
    process = subprocess.Popen(
        [sys.executable, str(SUPPORT / "make_backup.py"), argument],
        env={**os.environ, "PYTHONPATH": str(ROOT / ".ansible/collections"), "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what the process said at its end."""
    output, _unused = process.communicate(timeout=60)
    assert process.returncode == 0, output
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def content(sets: Sets, result: Mapping[str, Any], name: str) -> tarfile.TarFile:
    """Open an archive of a set."""
    file = next(one["file"] for one in result["set"]["archives"] if one["name"] == name)
    return tarfile.open(Path(sets.directory) / file)


def whole(sets: Sets) -> int:
    """Check that nothing but whole sets is in the directory, and return how many they are."""
    here = sets.listing()
    assert (here.unreadable, here.orphaned) == ([], [])
    files = {".lock"}
    for one in here.sets:
        assert one.absent() == []
        files |= {f"manifest-{one.manifest.id}.json"}
        files |= {name for archive in one.manifest.archives for name in one.files(archive)}
    assert set(os.listdir(sets.directory)) == files
    assert {stat.S_IMODE(path.stat().st_mode) for path in Path(sets.directory).iterdir()} == {0o600}
    assert stat.S_IMODE(os.stat(sets.directory).st_mode) == 0o700
    return len(here.sets)


def is_free(sets: Sets) -> bool:
    """Return whether nothing is running in the directory."""
    try:
        with sets.lock("a look"):
            return True
    except Locked:
        return False


def noise(path: Path, mebibytes: int) -> None:
    """Write what cannot be compressed."""
    with path.open("wb") as file:
        for _turn in range(mebibytes):
            file.write(os.urandom(MEBIBYTE))


@contextmanager
def disk(place: Path, mebibytes: int) -> Iterator[Path]:
    """Mount a small file system."""
    place.mkdir()
    command("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "tmpfs", str(place))
    try:
        yield place
    finally:
        command("umount", str(place))


def newest(database: Path) -> int:
    """Return the row that the writer wrote last, 0 before its first."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'written'").fetchone():
            return 0
        return int(connection.execute("SELECT coalesce(max(id), 0) FROM written").fetchone()[0])


@contextmanager
def writer(database: Path, mode: str) -> Iterator[None]:
    """Let rows be written all the time; no write may fail."""
    process = subprocess.Popen(
        [sys.executable, str(SUPPORT / "writer.py"), str(database), mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        until(lambda: database.exists() and newest(database), 10, "a first row")
        yield
        assert process.poll() is None
    finally:
        process.terminate()
        output, _unused = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert int(output) > 100


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_writer_is_neither_disturbed_nor_cut_in_two(
    mode: str, make_volume: MakeVolume, sets: Sets, tmp_path: Path
) -> None:
    place = make_volume("it-backup-db")
    rows = [0]
    with writer(place / "payload.db", mode):
        for number in range(20):
            until(lambda: newest(place / "payload.db") > rows[-1], 10, "another row")
            result = made(sets, {"db": "it-backup-db"}, Hurried())  # since there is no quiet moment
            assert result["set"]["downtime"] == 0
            with content(sets, result, "db") as opened:
                assert {os.path.normpath(name) for name in opened.getnames()} == {".", "payload.db"}
                archived = opened.extractfile("./payload.db")
                assert archived
                (tmp_path / f"{number}.db").write_bytes(archived.read())
            with sqlite3.connect(tmp_path / f"{number}.db") as copied:
                assert copied.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                count, last, total = copied.execute("SELECT count(*), max(id), sum(id) FROM written").fetchone()
            assert (count, total) == (last, last * (last + 1) // 2)
            assert result["set"]["archives"][0]["databases"][0]["tables"] == {"written": last}
            assert last > rows[-1]
            rows.append(last)
    assert whole(sets) == 20


def test_a_kill_at_any_moment_leaves_whole_sets_and_running_containers(make_volume: MakeVolume, sets: Sets) -> None:
    place = make_volume("it-backup-kill")
    noise(place / "noise", 12)
    with sqlite3.connect(place / "payload.db") as database:
        database.execute("CREATE TABLE x (text)")
        database.executemany("INSERT INTO x VALUES (?)", [("x" * 1000,)] * 2000)
    container = user_of("it-backup-kill")
    chance = random.Random(SEED)
    volumes = {"db": "it-backup-kill"}
    took = {}
    for consistency in ("online", "pause", "stop"):
        took[consistency] = ended(begun(sets.directory, volumes, consistency=consistency))["seconds"]
    alone = 0
    for number in range(KILLS):
        consistency = ("online", "pause", "stop")[number % 3]
        process = begun(sets.directory, volumes, consistency=consistency)
        time.sleep(chance.uniform(0, took[consistency] * 1.1))
        process.kill()
        process.communicate()
        until(lambda: is_free(sets), 15, "the end of the watcher")
        if sets.leftovers():  # killed before its watcher was there; nothing had been done yet
            assert [os.listdir(folder) for folder in sets.leftovers()] == [[]]
            alone += 1
            os.rmdir(sets.leftovers()[0])
        whole(sets)
        if consistency == "stop":
            time.sleep(0.3)  # longer than its container takes to stop
        assert state(container) == "running", f"kill {number} with {consistency}"
    assert alone < 5
    assert os.listdir(Path(sets.directory).with_name("scratch")) == []
    made(sets, volumes)
    for one in sets.listing().sets:
        found = one.manifest.archives[0]
        archive.examine(one.path(found), "gzip", sha256=found.sha256)


@pytest.mark.parametrize("consistency", ["pause", "stop"])
def test_a_failure_in_the_middle_lets_the_containers_go_on(
    consistency: str, make_volume: MakeVolume, sets: Sets
) -> None:
    place = make_volume("it-backup-bad")
    container = user_of("it-backup-bad")
    (place / "payload.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 32 + bytes(496))
    with pytest.raises(DockerVpsError, match="payload.db"):
        made(sets, {"db": "it-backup-bad"}, consistency=consistency)
    assert state(container) == "running"
    assert whole(sets) == 0
    (place / "payload.db").unlink()
    (place / "file").write_text("x")
    result = made(sets, {"db": "it-backup-bad"}, consistency=consistency)
    assert state(container) == "running"
    assert 0 < result["set"]["downtime"] < 5
    assert result["set"]["release"]["container"] == container


def test_the_next_backup_sets_right_what_a_power_failure_left(make_volume: MakeVolume, sets: Sets) -> None:
    place = make_volume("it-backup-power")
    (place / "file").write_text("x")
    container = user_of("it-backup-power")
    sets.prepare()
    folder = sets.begin("20260131-020000")
    Journal(folder).write(containers=(container,))
    docker("stop", container)
    (Path(folder) / "db-20260131-020000.tar.gz").write_text("half of it")
    (Path(sets.directory) / "media-20260131-020000.tar.gz").write_text("moved out already")
    made(sets, {"db": "it-backup-power"})
    assert state(container) == "running"
    assert whole(sets) == 1


def test_a_disk_that_is_full_before(make_volume: MakeVolume, tmp_path: Path) -> None:
    noise(make_volume("it-backup-full") / "noise", 8)
    with disk(tmp_path / "disk", 40) as place:
        sets = Sets(str(place), "shop")
        with pytest.raises(DockerVpsError) as caught:
            made(sets, {"media": "it-backup-full"})
        assert caught.value.message == (
            f"{place} has 39 MiB free, and the backup needs about 72 MiB. "
            "Remove old sets (⟦play prune⟧), or choose a directory on a larger disk."
        )
        assert whole(sets) == 0


def test_a_disk_that_fills_up_meanwhile(make_volume: MakeVolume, tmp_path: Path) -> None:
    volume = make_volume("it-backup-full")
    (volume / "file").write_bytes(bytes(150 * MEBIBYTE))
    container = user_of("it-backup-full")
    with disk(tmp_path / "disk", 300) as place:
        sets = Sets(str(place), "shop")
        made(sets, {"media": "it-backup-full"})
        command("mount", "-o", "remount,size=100m", str(place))
        free = sets.free()
        noise(volume / "file", 150)  # as large as before, but not as small in an archive
        with pytest.raises(DockerVpsError, match=f"{place}.*No space left on device") as caught:
            made(sets, {"media": "it-backup-full"}, consistency="stop")
        assert "Free some space" in caught.value.message
        assert whole(sets) == 1
        assert free - sets.free() < MEBIBYTE
    assert state(container) == "running"


def test_a_directory_that_cannot_be_written(make_volume: MakeVolume, tmp_path: Path) -> None:
    (make_volume("it-backup-ro") / "file").write_text("x")
    with disk(tmp_path / "disk", 100) as place:
        command("mount", "-o", "remount,ro", str(place))
        for directory in (place, place / "deeper"):
            with pytest.raises(DockerVpsError) as caught:
                made(Sets(str(directory), "shop"), {"media": "it-backup-ro"})
            assert caught.value.message == (
                f"The backup directory {directory} cannot be written: Read-only file system. "
                "That file system is mounted read-only; the kernel does so by itself after an error of the disk. "
                "Look at dmesg, fix the cause, and mount it writable again."
            )


def test_an_engine_that_is_restarted_meanwhile(small_engine: SecondEngine, tmp_path: Path) -> None:
    engine = ("--host", small_engine.url)
    docker(*engine, "volume", "create", "data")
    container = user_of("data", *engine)
    noise(Path(docker(*engine, "volume", "inspect", "--format", "{{.Mountpoint}}", "data")) / "noise", 100)
    sets = Sets(str(tmp_path / "backups"), "shop")

    def restarted(consistency: str, seconds: float) -> dict[str, Any]:
        process = begun(sets.directory, {"media": "data"}, consistency=consistency, url=small_engine.url)
        try:
            until(lambda: list(Path(sets.directory).glob(".partial-*/media-*")), 20, "an archive in the making")
            process.send_signal(signal.SIGSTOP)
            assert state(container, *engine) == ("exited" if consistency == "stop" else "running")
            small_engine.stop()
            if seconds:  # it goes on meanwhile, without an engine
                process.send_signal(signal.SIGCONT)
                time.sleep(seconds)
            small_engine.start()
        finally:
            process.send_signal(signal.SIGCONT)
        result = ended(process)
        assert state(container, *engine) == "running"
        return result

    assert "set" in restarted("stop", 0)
    assert "No Docker engine answers" in restarted("stop", 3)["error"]
    assert whole(sets) == 1
    assert "set" in restarted("online", 3)
    assert whole(sets) == 2


def test_two_at_once(make_volume: MakeVolume, sets: Sets) -> None:
    noise(make_volume("it-backup-two") / "noise", 300)  # a second or so, in which it is seen and halted
    first = begun(sets.directory, {"media": "it-backup-two"})
    try:
        until(sets.leftovers, 20, "the beginning of a set")
        first.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(Locked) as caught:
            made(sets, {"media": "it-backup-two"})
        assert time.monotonic() - began < 5
    finally:
        first.send_signal(signal.SIGCONT)
    result = ended(first)
    assert f"Cannot begin a backup of shop: a backup of shop (process {first.pid}) has been running for" in str(
        caught.value
    )
    assert [one.manifest.id for one in sets.listing().sets] == [result["set"]["id"]]
    assert whole(sets) == 1


def test_a_clock_that_steps_back(make_volume: MakeVolume, sets: Sets) -> None:
    (make_volume("it-backup-clock") / "file").write_text("x")
    volumes = {"media": "it-backup-clock"}
    ahead = made(sets, volumes, Clock(timedelta(days=1)))
    right = made(sets, volumes)
    same_second = made(sets, volumes)
    for result in (right, same_second):
        assert result["set"]["warnings"] == (
            f"The newest set is dated {ahead['set']['id']}, later than now: did the clock step back?",
        )
    now = datetime.now(timezone.utc) + timedelta(seconds=2)
    assert sets.find("latest", now).manifest.id == same_second["set"]["id"] > right["set"]["id"]
    candidates = [Candidate(one.manifest.id, one.time) for one in sets.listing().sets]
    kept = {one.name for one in decide(candidates, Policy(last=1, daily=0, weekly=0, monthly=0), now) if one.keep}
    assert kept == {ahead["set"]["id"], same_second["set"]["id"]}
    assert whole(sets) == 3


def test_nothing_to_back_up(make_volume: MakeVolume, sets: Sets) -> None:
    make_volume("it-backup-empty")
    full = make_volume("it-backup-some")
    with pytest.raises(DockerVpsError, match="The volume it-backup-none does not exist, so there is nothing to back"):
        made(sets, {"db": "it-backup-none"})
    volumes = {"db": "it-backup-empty", "media": "it-backup-some"}
    with pytest.raises(DockerVpsError, match="There is not one file in it-backup-empty, it-backup-some: an empty set"):
        made(sets, volumes)
    assert whole(sets) == 0
    (full / "file").write_text("x")
    assert [one["files"] for one in made(sets, volumes)["set"]["archives"]] == [0, 1]
    assert whole(sets) == 1


def furnish(place: Path) -> None:
    """Put everything special into a directory."""
    odd = [
        b"new\nline",
        b"back\\slash",
        b"\xff\xfe not UTF-8",
        "Grüße".encode(),
        b" spaces ",
        b"-dash",
        b"*?[a]",
        b"n" * 255,
    ]
    for number, name in enumerate(odd):
        Path(os.fsdecode(os.fsencode(place) + b"/" + name)).write_text(str(number))
    deep = place.joinpath(*["d" * 100] * 5)
    deep.mkdir(parents=True)
    (deep / "deep").write_text("deep")
    (place / "empty").mkdir(mode=0o2755)
    (place / "setuid").write_text("x")
    (place / "one").write_text("linked")
    os.link(place / "one", deep / "other")
    for name, target in {"to": "one", "dangling": "nowhere", "outside": "/etc/passwd", "up": "../x"}.items():
        (place / name).symlink_to(target)
    os.mkfifo(place / "fifo")
    with (place / "sparse").open("wb") as file:
        file.truncate(64 * MEBIBYTE)
        file.seek(10 * MEBIBYTE)
        file.write(b"island")
    os.setxattr(place / "one", "user.note", b"\0\xff")
    os.setxattr(place / "empty", "user.note", b"of a directory")
    for number, path in enumerate(sorted(place.rglob("*"))):
        os.chown(path, 1000 + number, 2000 + number, follow_symlinks=False)
        os.utime(path, ns=(1, 10**18 + number), follow_symlinks=False)
    os.chmod(place / "setuid", 0o4711)
    os.chmod(place / "to", 0o000)
    os.chmod(place, 0o1750)
    os.utime(place, ns=(1, 10**18))


def snapshot(place: Path) -> dict[str, Any]:
    """Return all that is to be seen of a directory."""
    found: dict[str, Any] = {}
    for path in [place, *sorted(place.rglob("*"))]:
        facts = path.lstat()
        kind = stat.S_IFMT(facts.st_mode)
        inside: Any = None
        if kind == stat.S_IFREG:
            inside = (path.read_bytes(), facts.st_nlink, facts.st_blocks < facts.st_size // 1024)
        elif kind == stat.S_IFLNK:
            inside = os.readlink(path)
        notes = {
            name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
        }
        found[str(path.relative_to(place))] = (
            facts.st_mode, facts.st_uid, facts.st_gid, facts.st_mtime_ns, inside, notes
        )  # fmt: skip
    return found


def test_everything_special_comes_back(make_volume: MakeVolume, sets: Sets) -> None:
    place, back = make_volume("it-backup-odd"), make_volume("it-backup-back")
    furnish(place)
    before = snapshot(place)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place / "socket"))
    os.mknod(place / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.utime(place, ns=(1, 10**18))
    result = made(sets, {"media": "it-backup-odd"})
    listener.close()
    (found,) = sets.listing().sets[0].manifest.archives
    assert found.skipped == ("device", "socket")
    assert (found.inconsistent, found.vanished, found.outside_links) == ((), (), 2)
    assert result["set"]["warnings"] == (
        "media: 2 links lead out of the volume; restoring needs allow_outside_links",
        "media: sockets and devices are not in the set: device, socket",
    )
    path = sets.listing().sets[0].path(found)
    archive.extract(path, "gzip", str(back), sha256=found.sha256, allow_outside_links=True)
    assert snapshot(back) == before


def test_memory_is_bounded(make_volume: MakeVolume, sets: Sets, capsys: pytest.CaptureFixture[str]) -> None:
    place = make_volume("it-backup-large")
    text = b"".join(b"%d words\n" % line for line in range(5_000_000))[: 64 * MEBIBYTE]
    assert len(text) == 64 * MEBIBYTE
    for number in range(4):
        noise(place / f"noise-{number}", 64)
        (place / f"text-{number}").write_bytes(text)
    for compression in ("gzip", "zstd"):
        result = ended(begun(sets.directory, {"media": "it-backup-large"}, compression=compression))
        with capsys.disabled():
            used = f"{result['memory'] / MEBIBYTE:.0f} MiB of memory, {result['seconds']:.1f} s"
            sys.stdout.write(f" [512 MiB with {compression}: {used}] ")
        assert result["memory"] < 64 * MEBIBYTE


def test_the_playbook(make_app: MakeApp) -> None:
    app = make_app("it-backup")
    app.deploy().succeeded()
    app.post("/api/vendors", {"name": "Ada"})
    secret = app.env_keys()["PAYLOAD_SECRET"]
    dry_run = app.playbook("backup", "--check").succeeded()
    assert "A set of it-backup would be made: 2 archives, at most" in dry_run.text
    assert "Next: the same without --check does it." in dry_run.text
    assert not app.backups.exists()
    sets = Sets(str(app.backups), "it-backup")
    for count in (1, 2):
        played = app.playbook("backup", "-vvv").succeeded()
        assert secret not in played.output
        assert whole(sets) == count
    newest = sets.listing().sets[0].manifest
    assert f"Set {newest.id} of it-backup: 2 archives" in played.text
    assert re.search(r"Seconds: backup [\d.]+, pruning and off-site [\d.]+.*Next: restore_drill\.yml", played.text)
    assert [one.name for one in newest.archives] == ["db", "media"]
    assert newest.archives[0].databases[0].tables == {"vendors": 1}
    assert newest.release.container == app.container
    assert newest.downtime == 0
