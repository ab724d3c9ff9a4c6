# SPDX-License-Identifier: GPL-3.0-or-later
"""What real file systems refuse, seen before anybody is stopped; it needs mounts and attributes, and no engine."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import prune, restore
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.retention import Policy
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import rollback
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import database_checker
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.directory_exchange import hindrance
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import Shop, database
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import Site

GIBIBYTE = 1024**3


def command(*arguments: object) -> None:
    subprocess.run([str(argument) for argument in arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small ext4, since the machine's own file system may be any."""
    place = tmp_path_factory.mktemp("disk")
    image = place / "image"
    with image.open("wb") as file:
        file.truncate(400 * 1024**2)
    command("mkfs.ext4", "-q", "-F", image)
    (place / "mounted").mkdir()
    command("mount", "-o", "loop", image, place / "mounted")
    yield place / "mounted"
    command("umount", place / "mounted")


@pytest.fixture
def here(disk: Path, request: pytest.FixtureRequest) -> Path:
    place: Path = disk / request.node.name[:60]
    place.mkdir()
    return place


@pytest.fixture
def shop(here: Path) -> Shop:
    """A shop that went on after a backup."""
    made = Shop(here)
    made.back_up()
    made.change()
    return made


def restored(shop: Shop, check_mode: bool = False, **params: Any) -> dict[str, Any]:
    given = restore.Params("shop", **{"stop_app": True, **params})
    return restore.run(given, shop.sets, lambda: shop.engine, shop.clock, check_mode)


def refused(shop: Shop, **params: Any) -> str:
    """Be refused, in a dry run and in earnest, before anything is touched; the next backup is not in the way."""
    data, beside = shop.data(), shop.folders()
    messages = []
    for check_mode in (True, False):
        with pytest.raises(DockerVpsError) as caught:
            restored(shop, check_mode, **params)
        messages.append(caught.value.message)
    assert messages[0] == messages[1]
    assert messages[0].endswith("Nothing was changed.")
    assert (shop.data(), shop.folders(), shop.sets.leftovers()) == (data, beside, [])
    assert shop.engine.calls == []
    assert shop.engine.running() == ["APP"]
    return messages[0]


@contextmanager
def attribute(path: Path, letter: str) -> Iterator[None]:
    command("chattr", f"+{letter}", path)
    try:
        yield
    finally:
        command("chattr", f"-{letter}", path)


@contextmanager
def mounted(path: Path, *arguments: object) -> Iterator[Path]:
    path.mkdir(exist_ok=True)
    command("mount", *arguments, path)
    try:
        yield path
    finally:
        command("umount", path)


def sparse(path: Path) -> None:
    """Make a file of 200 GiB that has 8 KiB on the disk, as LMDB does."""
    with path.open("wb") as file:
        file.truncate(200 * GIBIBYTE)
        file.write(b"a" * 4096)
        file.seek(100 * GIBIBYTE)
        file.write(b"b" * 4096)


def is_sparse(path: Path) -> bool:
    facts = path.stat()
    with path.open("rb") as file:
        first = file.read(4097)
        file.seek(100 * GIBIBYTE)
        assert (first, file.read(4097)) == (b"a" * 4096 + b"\0", b"b" * 4096 + b"\0")
    return facts.st_size == 200 * GIBIBYTE and facts.st_blocks * 512 <= 64 * 1024


def test_a_file_of_holes_is_backed_up_and_restored(shop: Shop) -> None:
    sparse(shop.media / "data.mdb")
    made = shop.back_up()
    assert sum(one.disk_bytes for one in made.manifest.archives) < 1024**2
    (shop.media / "data.mdb").unlink()
    restored(shop)
    assert is_sparse(shop.media / "data.mdb")


def test_a_file_of_holes_is_cut_over(here: Path) -> None:
    site = Site(here)
    site.deploy("shop:1")
    sparse(site.db / "data.mdb")
    site.deploy("shop:2", backup=site.backing_up())
    assert site.live().image == "shop:2"
    with pytest.raises(DockerVpsError, match="The smoke test failed"):
        site.deploy("shop:3", smoke_test_command=["false"])
    assert is_sparse(site.db / "data.mdb")
    assert site.beside() == []


def other_disk(path: Path) -> Any:
    return mounted(path, "-t", "tmpfs", "tmpfs")


def same_disk(path: Path) -> Any:
    return mounted(path, "--bind", path.parent)


@pytest.mark.parametrize("kind", [other_disk, same_disk])
def test_a_mount_in_a_volume(shop: Shop, kind: Callable[[Path], Any]) -> None:
    with kind(shop.media / "cache") as place:
        (place / "thumb.png").write_bytes(b"t")
        message = f"Another file system is mounted at {place}, which is not in the set, and would be moved aside with"
        assert message in refused(shop)
        (warning,) = [one for one in shop.back_up().manifest.warnings if "could not be restored" in one]
        assert warning.startswith(f"media: as it is now, the set could not be restored into shop-media. {message}")
        assert restored(shop, volumes={"db": "shop-db"})["volumes"] == ["shop-db"]
    restored(shop)


def test_a_mount_is_named_as_what_it_is(shop: Shop) -> None:
    with other_disk(shop.media / "cache") as place:
        (place / "thumb.png").write_bytes(b"t")
        manifest = shop.back_up().manifest
    assert manifest.archives[1].skipped == ("cache",)
    assert "media: other file systems are mounted there, which are not in the set: cache" in manifest.warnings
    assert not any("sockets" in one for one in manifest.warnings)


@pytest.mark.parametrize(("letter", "name"), [("i", "immutable"), ("a", "append-only")])
@pytest.mark.parametrize("which", ["itself", "above"])
def test_a_directory_that_cannot_be_renamed(shop: Shop, which: str, letter: str, name: str) -> None:
    fixed = shop.media if which == "itself" else shop.media.parent
    with attribute(fixed, letter):
        assert f"{fixed} has the attribute {name}" in refused(shop)
        warnings = shop.back_up().manifest.warnings
        assert any(f"restored into shop-media. {fixed} has the attribute {name}" in one for one in warnings)
    restored(shop)


def test_what_an_undo_cannot_rename(shop: Shop) -> None:
    kept = Path(restored(shop)["safety_copies"][1])
    shop.engine.calls.clear()
    with attribute(kept, "i"):
        assert f"{kept} has the attribute immutable" in refused(shop, undo=True)
    restored(shop, undo=True)


def test_a_file_system_that_is_read_only(shop: Shop) -> None:
    folder = shop.media.parent
    with mounted(folder, "--bind", folder):
        command("mount", "-o", "remount,bind,ro", folder)
        message = refused(shop)
        command("mount", "-o", "remount,bind,rw", folder)
    assert f"Nothing can be made in {folder}: Read-only file system." in message
    assert "That file system is mounted read-only" in message
    assert "is_it_root" not in message


def test_a_database_at_rest_is_backed_up_where_nothing_can_be_written(shop: Shop, here: Path) -> None:
    db = shop.db / "payload.db"
    with sqlite3.connect(db) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE closed (id)")
    connection.close()
    assert not db.with_name("payload.db-shm").exists()
    with mounted(shop.db, "--bind", shop.db):
        command("mount", "-o", "remount,bind,ro", shop.db)
        facts = database_checker.facts(str(db), live=True)
        assert (facts.check, facts.tables["closed"]) == ("sound", 0)
        assert database_checker.DatabaseChecker().copy(str(db), str(here / "copy")).tables == facts.tables
    with db.with_name("payload.db-wal").open("wb") as wal:
        wal.write(bytes.fromhex("377f0682"))
    with mounted(shop.db, "--bind", shop.db):
        command("mount", "-o", "remount,bind,ro", shop.db)
        with pytest.raises(
            DockerVpsError, match="are in .*-wal, which SQLite cannot read where nothing can be written"
        ):
            database_checker.DatabaseChecker().copy(str(db), str(here / "copy2"))
    assert not (here / "copy2").exists()


def test_the_backup_directory_on_a_file_system_that_is_read_only(shop: Shop) -> None:
    place = Path(shop.sets.directory)
    with mounted(place, "--bind", place):
        command("mount", "-o", "remount,bind,ro", place)
        with pytest.raises(DockerVpsError) as caught:
            shop.back_up()
        command("mount", "-o", "remount,bind,rw", place)
    assert "Read-only file system" in caught.value.message
    assert "is_it_root" not in caught.value.message
    assert shop.engine.calls == []


def test_a_file_system_that_gives_nothing_away(here: Path) -> None:
    (here / "_data").mkdir()
    code = (
        "import sys; "
        "from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.directory_exchange import hindrance; "
        "print(hindrance(sys.argv[1]))"
    )
    without = ["setpriv", "--inh-caps=-chown", "--bounding-set=-chown"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [*without, sys.executable, "-c", code, here / "_data"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"The file system of {here} gives nothing to another user (Operation not permitted)" in done.stdout
    assert hindrance(str(here / "_data")) == ""
    assert os.listdir(here) == ["_data"]


def test_a_cutover_and_a_rollback_look_first(here: Path) -> None:
    site = Site(here)
    site.deploy("shop:1")
    site.deploy("shop:2", backup=site.backing_up())
    database(site.db / "payload.db", vendors=2)
    site.engine.add_image("shop:3")
    site.engine.calls.clear()
    with attribute(site.db, "a"):
        caution = "The data would not be put back if this release failed."
        result = site.run(site.params("shop:3"), check=True)
        assert result["cautions"][0].startswith(f"{caution} {site.db} has the attribute append-only")
        before = site.state()
        for check_mode in (True, False):
            with pytest.raises(DockerVpsError, match="has the attribute append-only"):
                rollback.run(rollback.Params("", "restore", site.params("shop:2")), site.sets, site.world, check_mode)
        assert site.engine.calls == []
        assert site.state() == before
    done = rollback.run(rollback.Params("", "restore", site.params("shop:2")), site.sets, site.world, False)
    assert done["release"]["image"] == "shop:1"
    assert site.counted()["vendors"] == 3


def test_a_safety_copy_that_cannot_be_removed_is_named_and_not_forgotten(shop: Shop) -> None:
    (shop.media / "legal.pdf").write_bytes(b"x")
    command("chattr", "+i", shop.media / "legal.pdf")
    kept = Path(restored(shop)["safety_copies"][1])
    try:
        for _turn in range(2):
            done = restored(shop)
            assert done["left"] == [str(kept)]
            assert f"The safety copy {kept} is not needed any more, and cannot be removed: rm: " in done["summary"]
        pruned = prune.Params(Policy())
        done = prune.run(pruned, shop.sets, lambda: shop.engine, shop.clock, False)
        assert done["left"] == [str(kept)]
        assert "Operation not permitted" in done["summary"]
    finally:
        with suppress(subprocess.CalledProcessError):
            command("chattr", "-i", kept / "legal.pdf")
    done = prune.run(pruned, shop.sets, lambda: shop.engine, shop.clock, False)
    assert (done["left"], done["safety_copies"]) == ([], [str(kept)])
    assert not kept.exists()
    assert prune.run(pruned, shop.sets, lambda: shop.engine, shop.clock, False)["changed"] is False


def test_what_a_cutover_cannot_remove_is_named_until_it_is_gone(here: Path) -> None:
    site = Site(here)
    site.deploy("shop:1")
    site.deploy("shop:2", backup=site.backing_up())
    (site.db / "legal.pdf").write_bytes(b"x")
    command("chattr", "+i", site.db / "legal.pdf")
    result = rollback.run(rollback.Params("", "restore", site.params("shop:2")), site.sets, site.world, False)
    (left,) = site.beside()
    copy = site.engine.place / left
    try:
        assert f"{copy} is not needed any more, and cannot be removed" in " ".join(result["cautions"])
        assert str(copy) in site.deploy("shop:3")["cautions"][0]
    finally:
        command("chattr", "-i", copy / "legal.pdf")
    assert site.deploy("shop:4")["cautions"] == []
    assert site.beside() == []


def test_paths_that_are_longer_than_the_kernel_takes(shop: Shop) -> None:
    low, beyond = "/".join(["d" * 200] * 19 + ["photo.png"]), "/".join(["d" * 200] * 30 + ["photo.png"])
    top = os.open(shop.media, os.O_RDONLY)
    folder = os.dup(top)
    for depth in range(30):
        os.mkdir("d" * 200, dir_fd=folder)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
        if depth in (18, 29):
            os.close(os.open("photo.png", os.O_WRONLY | os.O_CREAT, dir_fd=folder))
    os.close(folder)
    os.close(top)
    with pytest.raises(OSError, match="File name too long"):
        os.stat(shop.media / beyond)
    archive = shop.back_up().manifest.archives[1]
    (cut,) = archive.skipped
    assert beyond.startswith(cut)
    assert any("GNU tar could not restore paths of more than 4000 bytes" in one for one in shop_warnings(shop))
    restored(shop)
    top = os.open(shop.media, os.O_RDONLY)
    os.stat(low, dir_fd=top)
    with pytest.raises(FileNotFoundError):
        os.stat(cut, dir_fd=top)
    os.close(top)
    restored(shop, safety_copy=False)
    assert not any(".before" in one for one in shop.folders() if one.startswith("shop-media"))


def shop_warnings(shop: Shop) -> tuple[str, ...]:
    return shop.sets.listing().sets[0].manifest.warnings
