# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring on a real engine: Compose's volumes, damaged sets, a full disk, and a process killed at any time."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import tarfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup, restore
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine, SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from lab import docker, image_of, inspect, run

NAME = "it-restore"
APP = f"{NAME}-app"
VOLUMES = {"db": f"{NAME}-db", "media": f"{NAME}-media"}
KILLS = 50


def connect() -> Engine:
    return Engine.connect(Address("unix:///var/run/docker.sock"))


def root(volume: str) -> Path:
    return Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", volume))


def fill(age: str, rows: int, files: int = 20) -> None:
    """Make the data of an age: so many rows, and files that tell their age."""
    with closing(sqlite3.connect(root(VOLUMES["db"]) / "payload.db")) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS vendors (age TEXT);")
        connection.execute("DELETE FROM vendors")
        connection.executemany("INSERT INTO vendors VALUES (?)", [(age,)] * rows)
        connection.commit()
    for number in range(files):
        (root(VOLUMES["media"]) / f"{number}.png").write_text(age)


def ages() -> tuple[set[str], set[str]]:
    """Return of which ages the data in both volumes is."""
    with closing(sqlite3.connect(f"file:{root(VOLUMES['db'])}/payload.db?mode=ro", uri=True)) as connection:
        rows = {age for (age,) in connection.execute("SELECT age FROM vendors")}
    return rows, {path.read_text() for path in root(VOLUMES["media"]).iterdir()}


def beside() -> list[str]:
    """Return what is beside the live data of both volumes, apart from Docker's own files."""
    return sorted(path.name for volume in VOLUMES.values() for path in root(volume).parent.glob("_data.*"))


class Shop:
    """A Compose project whose container mounts two volumes, and its sets."""

    def __init__(self, place: Path) -> None:
        self.sets = Sets(str(place / "backups"), NAME)
        self.file = place / "compose.yml"
        app = {
            "image": image_of("base_image.sh"),
            "container_name": APP,
            "command": ["sleep", "infinity"],
            "init": True,
            "network_mode": "none",
            "restart": "unless-stopped",
            "volumes": ["database:/data", "media:/media"],
        }
        volumes = {"database": {"name": VOLUMES["db"]}, "media": {"name": VOLUMES["media"]}}
        self.file.write_text(yaml.safe_dump({"name": NAME, "services": {"app": app}, "volumes": volumes}))

    def compose(self, *arguments: str) -> str:
        """Run Compose, and return what it told besides its output."""
        return run("docker", "compose", "--file", str(self.file), *arguments).stderr

    def back_up(self) -> BackupSet:
        backup.run(backup.Params(NAME, VOLUMES), self.sets, connect, SystemClock(), False)
        return self.sets.listing().sets[0]

    def restore(self, check_mode: bool = False, **params: Any) -> dict[str, Any]:
        given = restore.Params(NAME, **{"stop_app": True, **params})
        return restore.run(given, self.sets, connect, SystemClock(), check_mode)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop whose data is new, with one set of old data."""
    made = Shop(tmp_path)
    made.compose("down", "--volumes", "--timeout", "1")
    made.compose("up", "--detach")
    fill("old", 3)
    made.back_up()
    fill("new", 5, files=25)
    yield made
    made.compose("down", "--volumes", "--timeout", "1")


def running() -> bool:
    return inspect(APP)["State"]["Running"] is True


def test_restore_undo_redo(shop: Shop) -> None:
    result = shop.restore()
    assert os.listdir(root(VOLUMES["db"])) == ["payload.db"]
    assert ages() == ({"old"}, {"old"})
    assert result["would_lose"]["tables"] == {"vendors": 2}
    assert result["would_lose"]["newer_files"] >= 25
    assert result["stopped"] == [APP]
    assert 0 < result["downtime"] < 10
    assert docker("exec", APP, "sh", "-c", "cat /media/*") == "old" * 20
    shop.restore(undo=True)
    assert ages() == ({"new"}, {"new"})
    assert docker("exec", APP, "sh", "-c", "cat /media/*") == "new" * 25
    shop.restore(undo=True)
    assert ages() == ({"old"}, {"old"})
    assert len(beside()) == 2


def test_volumes_that_were_deleted_are_composes_again(shop: Shop) -> None:
    before = {name: json.loads(docker("volume", "inspect", name))[0] for name in VOLUMES.values()}
    shop.compose("down", "--volumes", "--timeout", "1")
    assert shop.restore()["created"] == list(VOLUMES.values())
    for name, was in before.items():
        found = json.loads(docker("volume", "inspect", name))[0]
        assert (found["Labels"], found["Driver"]) == (was["Labels"], was["Driver"])
    output = shop.compose("up", "--detach").lower()
    assert "warn" not in output
    assert "already exists" not in output
    assert docker("exec", APP, "sh", "-c", "cat /media/*") == "old" * 20


def test_refused_while_the_app_or_another_runs(shop: Shop) -> None:
    docker("run", "--detach", "--name", f"{NAME}-other", "--volume", f"{VOLUMES['media']}:/x:ro", "--network=none",
           "--init", image_of("base_image.sh"), "sleep", "infinity")  # fmt: skip
    try:
        with pytest.raises(DockerVpsError, match=f"{APP}, {NAME}-other run on .* Would be lost: 2 rows of vendors"):
            shop.restore(stop_app=False)
    finally:
        docker("rm", "--force", f"{NAME}-other")
    assert ages() == ({"new"}, {"new"})
    result = shop.restore(check_mode=True, stop_app=False)
    assert result["stopped"] == [APP]
    assert ages() == ({"new"}, {"new"})


def test_a_frozen_container_is_stopped_and_runs_afterwards(shop: Shop) -> None:
    docker("pause", APP)
    shop.restore()
    assert ages() == ({"old"}, {"old"})
    assert running()


def flipped(one: BackupSet) -> None:
    path = Path(one.path(one.manifest.archives[1]))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncated(one: BackupSet) -> None:
    os.truncate(one.path(one.manifest.archives[1]), 200)


def without_manifest(one: BackupSet) -> None:
    os.unlink(f"{one.directory}/manifest-{one.manifest.id}.json")


def malicious(one: BackupSet) -> None:
    archive = one.manifest.archives[1]
    with tarfile.open(one.path(archive), "w:gz") as tar:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("out/it-restore-escaped"))
    data = Path(one.path(archive)).read_bytes()
    changed = replace(archive, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    Sets(one.directory, NAME).record(replace(one.manifest, archives=(one.manifest.archives[0], changed)))


def of_another_app(one: BackupSet) -> None:
    Sets(one.directory, NAME).record(replace(one.manifest, app="other"))


@pytest.mark.parametrize("damage", [flipped, truncated, without_manifest, malicious, of_another_app])
def test_a_wrong_set_touches_nothing(shop: Shop, damage: Callable[[BackupSet], None]) -> None:
    started = inspect(APP)["State"]["StartedAt"]
    one = shop.sets.listing().sets[0]
    damage(one)
    with pytest.raises(DockerVpsError):
        shop.restore(set=one.manifest.id)
    assert ages() == ({"new"}, {"new"})
    assert beside() == []
    assert inspect(APP)["State"]["StartedAt"] == started
    assert not Path("/etc/it-restore-escaped").exists()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Make a volume on a small disk of its own, with one file in it."""
    place, volume = tmp_path / "disk", f"{NAME}-disk"

    def make(options: str, directory: str = "data") -> str:
        place.mkdir()
        run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
        data = place / directory
        data.mkdir(exist_ok=True)
        (data / "file").write_text("live")
        bind = ("--opt", "type=none", "--opt", "o=rbind,rw", "--opt", f"device={data}")
        docker("volume", "create", *bind, volume)
        return volume

    yield make
    docker("volume", "rm", "--force", volume)
    run("umount", str(place))


def left(disk: Path) -> list[str]:
    return sorted(path.relative_to(disk).as_posix() for path in disk.rglob("*"))


def test_a_disk_that_runs_full_while_extracting(shop: Shop, disk: Callable[..., str], tmp_path: Path) -> None:
    volume = disk("size=100m,nr_inodes=15")  # space enough, but not for 20 files
    with pytest.raises(DockerVpsError, match="No space left on device"):
        shop.restore(volumes={"media": volume})
    assert left(tmp_path / "disk") == ["data", "data/file"]
    assert (tmp_path / "disk/data/file").read_text() == "live"


def test_a_disk_that_is_too_small(shop: Shop, disk: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(DockerVpsError, match="has 9 MiB free, and the restore needs 64 MiB beside"):
        shop.restore(volumes={"media": disk("size=10m")})
    assert left(tmp_path / "disk") == ["data", "data/file"]


def test_a_bound_directory_is_exchanged(shop: Shop, disk: Callable[..., str], tmp_path: Path) -> None:
    volume = disk("size=100m")
    shop.restore(volumes={"media": volume})
    assert len(list((tmp_path / "disk/data").iterdir())) == 20
    docker(
        "run", "--rm", "--network=none", "--volume", f"{volume}:/x", image_of("base_image.sh"), "test", "-e", "/x/1.png"
    )


def test_a_bound_directory_with_a_user_by_its_path_and_on_a_new_host(
    shop: Shop, disk: Callable[..., str], tmp_path: Path
) -> None:
    volume, other, place = disk("size=200m"), f"{NAME}-other", tmp_path / "disk/data"
    made = backup.run(backup.Params(NAME, {"media": volume}), shop.sets, connect, SystemClock(), False)["set"]
    by_path = ("--volume", f"{place.parent}:/x", "--network=none", "--init")
    try:
        docker("run", "--detach", "--rm", "--name", other, *by_path, image_of("base_image.sh"), "sleep", "infinity")
        for check_mode in (True, False):
            with pytest.raises(DockerVpsError, match=f"{other} was started with --rm"):
                shop.restore(check_mode, set=made["id"])
        assert inspect(other)["State"]["Running"] is True
        docker("rm", "--force", other)
        docker("run", "--detach", "--name", other, *by_path, image_of("base_image.sh"), "sleep", "infinity")
        assert shop.restore(set=made["id"])["stopped"] == [other]
        assert inspect(other)["State"]["Running"] is True
    finally:
        docker("rm", "--force", other)
    docker("volume", "rm", volume)
    shutil.rmtree(place)
    with pytest.raises(DockerVpsError, match=f"was bound to the directory {place}, which is not on this host. Make it"):
        shop.restore(set=made["id"])
    place.mkdir()
    assert shop.restore(set=made["id"])["created"] == [volume]
    assert (place / "file").read_text() == "live"
    options = json.loads(docker("volume", "inspect", volume))[0]["Options"]
    assert options == {"type": "none", "o": "rbind,rw", "device": str(place)}


def test_the_top_of_a_disk_cannot_be_exchanged(shop: Shop, disk: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(DockerVpsError, match="disk is a mount point"):
        shop.restore(volumes={"media": disk("size=100m", directory=".")})
    assert left(tmp_path / "disk") == ["file"]


def begun(shop: Shop) -> int:
    """Begin a restore in another process and return its id."""
    child = os.fork()
    if child == 0:
        try:
            shop.restore()
        finally:
            os._exit(0)
    return child


def settled(shop: Shop) -> None:
    """Wait until whoever holds the lock, the watcher at last, has ended."""
    with open(f"{shop.sets.directory}/.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_killed_at_any_time(shop: Shop) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    began = time.monotonic()
    os.waitpid(begun(shop), 0)
    lasts = time.monotonic() - began
    outcomes = []
    for number in range(KILLS):
        fill("new", 5)
        child = begun(shop)
        time.sleep(lasts * (number + chance.random()) / KILLS)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        settled(shop)
        rows, files = ages()
        assert rows == files, f"mixed in round {number} of seed {seed}"
        assert rows in ({"old"}, {"new"})
        assert running(), f"stopped in round {number} of seed {seed}"
        assert not [name for name in beside() if "restoring" in name]
        assert len(beside()) == 2
        assert shop.sets.leftovers() == []
        outcomes.append(*rows)
    assert set(outcomes) == {"old", "new"}, "the kills were not spread over the whole run"
