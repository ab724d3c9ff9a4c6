# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before anything is touched: wrong sets, wrong archives, wrong places."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.journal import remembered
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.restore import Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import Archive, new_id
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet
from ansible_collections.ptnextjs.docker_vps.tests.unit.databases import DIES
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import Shop, tree_of

SET = "20260201-020000"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.back_up()
    made.change()
    return made


@pytest.fixture
def one(shop: Shop) -> BackupSet:
    return shop.sets.find(SET, shop.clock.utc())


def restore(shop: Shop, **params: Any) -> dict[str, Any]:
    given = {"app": "shop", "stop_app": True, **params}
    return run(Params(**given), shop.sets, lambda: shop.engine, shop.clock, False)


def refused(shop: Shop, **params: Any) -> DockerVpsError:
    """Return why, after checking that nothing was touched."""
    data = shop.data()
    volumes, beside = dict(shop.engine.volumes), shop.folders()
    with pytest.raises(DockerVpsError) as caught:
        restore(shop, **params)
    assert shop.data() == data
    assert (shop.engine.volumes, shop.folders()) == (volumes, beside)
    assert shop.engine.running() == ["APP"]
    assert shop.sets.leftovers() == []
    return caught.value


def rewritten(shop: Shop, one: BackupSet, name: str, **changes: Any) -> None:
    """Change what the manifest says about an archive."""
    archives = tuple(replace(a, **changes) if a.name == name else a for a in one.manifest.archives)
    shop.sets.record(replace(one.manifest, archives=archives))


def archive_of(one: BackupSet, name: str) -> Archive:
    return next(archive for archive in one.manifest.archives if archive.name == name)


def test_a_set_of_another_app(shop: Shop, one: BackupSet) -> None:
    shop.sets.record(replace(one.manifest, app="other"))
    assert "is of other, not of shop" in refused(shop, set=SET).message
    assert restore(shop, set=SET, force=True)["set"] == SET


def test_a_set_from_elsewhere(shop: Shop, one: BackupSet, tmp_path: Path) -> None:
    os.rename(shop.sets.directory, tmp_path / "usb")
    assert restore(shop, set=f"{tmp_path}/usb/manifest-{SET}.json")["set"] == SET
    assert sorted(os.listdir(shop.sets.directory)) == [".lock", "last-restore.json"]


def test_archives_that_the_set_does_not_have(shop: Shop) -> None:
    error = refused(shop, volumes={"pg": "x", "db": "shop-db"})
    assert isinstance(error, InvalidInput)
    assert error.message == f"The set {SET} has no archive pg; it has db, media."


def test_two_archives_for_one_volume(shop: Shop) -> None:
    assert "its own volume" in refused(shop, volumes={"db": "shop-db", "media": "shop-db"}).message


def test_a_truncated_archive(shop: Shop, one: BackupSet) -> None:
    os.truncate(one.path(archive_of(one, "media")), 100)
    assert f"media-{SET}.tar.gz has 100 bytes" in refused(shop).message
    assert restore(shop, volumes={"db": "shop-db"})["volumes"] == ["shop-db"]


def test_a_missing_manifest(shop: Shop) -> None:
    os.unlink(f"{shop.sets.directory}/manifest-{SET}.json")
    assert f"the manifest manifest-{SET}.json is missing" in refused(shop, set=SET).message


def test_a_flipped_byte(shop: Shop, one: BackupSet) -> None:
    path = Path(one.path(archive_of(one, "media")))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert str(path) in refused(shop).message
    rewritten(shop, one, "db", sha256="0" * 64)
    assert f"not {'0' * 64}" in refused(shop).message


def test_a_malicious_archive(shop: Shop, one: BackupSet, tmp_path: Path) -> None:
    file = Path(one.path(archive_of(one, "media")))
    with tarfile.open(file, "w:gz") as tar:
        member = tarfile.TarInfo("../../escaped")
        tar.addfile(member)
    data = file.read_bytes()
    rewritten(shop, one, "media", bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    assert "escaped" in refused(shop).message
    assert not list(tmp_path.rglob("escaped"))


def test_links_that_lead_out(shop: Shop) -> None:
    os.symlink("/etc/passwd", shop.media / "link")
    later = shop.back_up().manifest.id
    refused(shop, set=later)
    restore(shop, set=later, allow_outside_links=True)
    assert os.readlink(shop.media / "link") == "/etc/passwd"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tables": {"vendors": 4, "media": 1}}, "other numbers of rows"),
        ({"path": "else.db"}, "has no database else.db"),
    ],
)
def test_a_database_that_is_not_as_the_manifest_says(
    shop: Shop, one: BackupSet, changes: Mapping[str, Any], why: str
) -> None:
    database = archive_of(one, "db").databases[0]
    rewritten(shop, one, "db", databases=(replace(database, **changes),))
    assert why in refused(shop).message


def test_what_cannot_be_checked_is_restored_and_said(
    shop: Shop, one: BackupSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", DIES)
    result = restore(shop, set=SET)
    assert result["notes"] == ["The database payload.db was not checked: the process that examined it ended with 1."]
    assert result["summary"].endswith(result["notes"][0])
    assert shop.data()["vendors"] == 3
    assert restore(shop, undo=True)["notes"] == []


def test_a_set_whose_rows_nobody_counted_is_restored(shop: Shop, one: BackupSet) -> None:
    database = archive_of(one, "db").databases[0]
    rewritten(shop, one, "db", databases=(replace(database, check="not checked", schema="", tables={}),))
    assert restore(shop, set=SET)["notes"] == []


def test_a_database_that_was_damaged_before_it_was_archived(shop: Shop, one: BackupSet, tmp_path: Path) -> None:
    file = Path(one.path(archive_of(one, "db")))
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["tar", "xzf", file, "-C", tree], check=True)
    damaged = tree / "payload.db"
    data = damaged.read_bytes()
    damaged.write_bytes(data[:-4096] + b"\xa5" * 4096)
    with tarfile.open(file, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.add(tree, ".")
    data = file.read_bytes()
    rewritten(shop, one, "db", bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    message = refused(shop).message
    assert "is not as it was backed up: " in message
    assert "numbers of rows" not in message


def test_no_room(shop: Shop, one: BackupSet) -> None:
    rewritten(shop, one, "media", disk_bytes=10**18)
    error = refused(shop)
    assert "MiB free, and the restore needs 953674" in error.message
    assert error.evidence["needed_bytes"] > 10**18  # type: ignore[operator]


def test_the_room_of_a_new_volume_is_the_engines(shop: Shop, one: BackupSet) -> None:
    rewritten(shop, one, "media", disk_bytes=10**18)
    assert f"{shop.engine.place} has " in refused(shop, volumes={"media": "new"}).message


def test_a_safety_copy_beside_the_directory_of_a_volume_that_is_gone(
    shop: Shop, one: BackupSet, tmp_path: Path
) -> None:
    place = tmp_path / "disk/data"
    place.mkdir(parents=True)
    kept = place.parent / f"data.before-{new_id(shop.clock.utc(), shop.sets.taken())}"
    kept.mkdir()
    (kept / "precious").touch()
    options = {"type": "none", "o": "bind", "device": str(place)}
    rewritten(shop, one, "media", volume="bound", options=options)
    restore(shop, volumes={"media": "bound"})
    assert (place / "a.png").exists()
    assert (kept / "precious").exists()
    assert len(list(place.parent.glob("data.before-*"))) == 2


def test_an_engine_whose_directory_is_not_here(shop: Shop, tmp_path: Path) -> None:
    shop.engine.place = tmp_path / "nowhere"
    assert restore(shop, volumes={"media": "new"})["created"] == ["new"]


def test_a_volume_on_a_mount_point(shop: Shop) -> None:
    shop.engine.add_volume("proc", root=Path("/proc"))
    assert "/proc is a mount point" in refused(shop, volumes={"db": "proc"}).message


def test_a_name_that_leaves_no_room_for_one_beside_it(shop: Shop) -> None:
    long = shop.engine.place / ("x" * 240)
    shop.engine.add_volume("long", root=long)
    assert f"The name of {long} is too long" in refused(shop, volumes={"db": "long"}).message


def test_a_volume_that_vanishes_at_once(shop: Shop) -> None:
    shop.engine.add_container("app", "shop-db")
    engine = shop.engine

    class Forgetful(type(engine)):  # type: ignore[misc]
        def create_volume(self, name: str, driver: str, labels: Mapping[str, str], *_options: object) -> None:
            """Make nothing."""

    shop.engine = Forgetful(engine.place, engine.clock, volumes=engine.volumes, containers=engine.containers)
    assert "was removed as soon as it was made" in refused(shop, volumes={"db": "new"}).message


def test_undo_without_a_restore(shop: Shop) -> None:
    assert "has left safety copies of shop, or they are gone" in refused(shop, undo=True).message


def test_undo_of_some_volumes_only(shop: Shop) -> None:
    restore(shop)
    assert "safety copies of shop-db, x" in refused(shop, undo=True, volumes={"db": "shop-db", "x": "x"}).message
    restore(shop, undo=True, volumes={"media": "shop-media"})
    data = shop.data()
    assert (data["vendors"], data["a.png"]) == (3, b"changed")
    assert len(remembered(shop.sets)) == 2


def test_undo_when_a_safety_copy_is_gone(shop: Shop) -> None:
    gone = Path(restore(shop)["safety_copies"][0])
    for path in tree_of(gone):
        os.unlink(gone / path)
    os.rmdir(gone)
    assert "or they are gone" in refused(shop, undo=True).message
