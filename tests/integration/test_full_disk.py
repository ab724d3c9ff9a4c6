# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup disk without one free block, a real file system: backups fail in one sentence, prune and restore work."""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command.cli import CommandWorld, main
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import Shop

SIZE = 160 << 20  # bytes; a backup keeps 64 MiB free


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, on which root has no blocks in reserve."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


class Host:
    """An application whose volumes are on the test's disk, and whose sets are on the small one."""

    def __init__(self, place: Path, disk: Path) -> None:
        self.shop, self.disk, self.config = Shop(place / "host"), disk, place / "backup.json"
        self.sets = Sets(str(disk / "backups"), "shop")
        self.shop.sets = self.sets
        self.out = self.err = ""
        limits = {"rows": 50, "files": 50, "ignore": []}
        config = {
            "app": "shop",
            "directory": self.sets.directory,
            "docker_host": "unix:///engine.sock",
            "backup": {"volumes": {"db": "shop-db", "media": "shop-media"}, "uploads": None, "limits": limits},
            "prune": {"last": 1, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0},
            "offsite": None,
            "drill": {"env_file": "/e", "mounts": {"db": "/data"}, "port": 1, "health_path": "/", "timeout": 1.0},
            "notify": {"webhook": "", "command": [], "pings": {}, "on_success": False},
        }
        self.config.write_text(json.dumps(config))

    def run(self, *argv: str) -> int:
        """Run the host's command."""
        out, err = io.StringIO(), io.StringIO()
        world = CommandWorld(out, err, self.shop.clock, lambda address: self.shop.engine)
        code = main(argv, str(self.config), world)
        self.out, self.err = out.getvalue(), err.getvalue()
        return code

    def fill(self) -> None:
        """Leave no block free."""
        descriptor = os.open(self.disk / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    os.write(descriptor, bytes(size))
            except OSError:
                os.fsync(descriptor)
        os.close(descriptor)
        assert os.statvfs(self.disk).f_bavail == 0


@pytest.fixture
def host(tmp_path: Path, disk: Path) -> Host:
    host = Host(tmp_path, disk)
    (host.shop.media / "big.bin").write_bytes(os.urandom(4 << 20))
    for _turn in range(3):
        host.shop.back_up()
    assert host.run("backup") == 0, host.err  # which prunes all but one
    host.shop.clock.passed += 60
    for _turn in range(2):
        (host.shop.media / "big.bin").write_bytes(os.urandom(4 << 20))  # or the sets would share one file
        host.shop.back_up()
    host.fill()
    return host


def test_a_backup_fails_in_one_sentence_and_counts_as_failed(host: Host) -> None:
    assert host.run("status") == 0
    before = sorted(os.listdir(host.sets.directory))
    assert host.run("backup") == 1
    errors = host.err.splitlines()
    assert errors[-1].startswith(f"{host.sets.directory} has 0 MiB free, and the backup needs about ")
    assert all(f"No space left on device (the disk at {host.disk} has 0 KiB" in one for one in errors[:-1])
    assert sorted(os.listdir(host.sets.directory)) == before
    assert host.run("status") == 1
    assert host.out.startswith("backup: FAILED, ")


def test_prune_frees_the_disk(host: Host) -> None:
    assert host.run("prune") == 0, host.err
    assert host.out.startswith("2 sets of shop removed")
    assert host.run("list") == 0
    assert host.sets.free() > 4 << 20


def test_a_restore_repairs_what_it_can(host: Host) -> None:
    wanted = host.shop.data()
    host.shop.change()
    assert host.run("restore", "latest", "--stop-app") == 0, host.err
    assert host.shop.data() == wanted
    assert host.shop.engine.running() == ["APP"]
    assert host.sets.leftovers() == []
    host.fill()
    host.shop.clock.passed += 60
    assert host.run("restore", "--undo", "--stop-app") == 0, host.err
    assert host.shop.data() != wanted
