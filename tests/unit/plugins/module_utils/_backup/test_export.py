# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports of sets of both stores: whole and durable, or not there."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import restore
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.export import Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.verify import problems
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.tar_members import Damaged
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import Shop
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import publish_packed

ID = "20260201-020000"
FILES = [f"db-{ID}.tar.gz", f"manifest-{ID}.json", f"media-{ID}.tar.gz"]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "export"


def export(shop: Shop, to: Path, which: str = "latest", check: bool = False) -> dict[str, Any]:
    return run(Params(which, str(to)), shop.sets, shop.clock, check)


def visible(to: Path) -> list[str]:
    """Return what is in a directory, but for the file that is its lock."""
    return sorted({path.name for path in to.iterdir()} - {".lock"})


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("store", ["files", "shared"])
def test_an_export_is_a_backup_directory_of_plain_archives(shop: Shop, to: Path, store: str) -> None:
    made = shop.back_up(store=store)
    result = export(shop, to)
    assert result["changed"] is True
    assert result["set"]["directory"] == str(to)
    assert result["summary"].startswith(f"Set {ID} of shop was written into {to}: db-{ID}.tar.gz, media-{ID}.tar.gz, ")
    assert result["summary"].endswith(f"A restore takes {to}/manifest-{ID}.json as its set.")
    assert visible(to) == FILES
    assert stat.S_IMODE(to.stat().st_mode) == 0o700
    assert {stat.S_IMODE((to / file).stat().st_mode) for file in FILES} == {0o600}
    (exported,) = Sets(str(to), "shop").listing().sets
    assert problems(exported, "full") == []
    assert (exported.manifest.id, exported.manifest.started) == (made.manifest.id, made.manifest.started)
    listed = subprocess.run(["tar", "tzf", to / FILES[2]], capture_output=True, text=True, check=True).stdout
    assert "./a.png" in listed.split("\n")
    before = {path: path.stat() for path in [to, *to.iterdir()]}
    again = export(shop, to)
    assert (again["changed"], again["set"]) == (False, result["set"])
    assert again["summary"].startswith(f"Set {ID} of shop is already in {to}: db-")
    assert {path: path.stat().st_ctime_ns for path in before if path.name != ".lock"} == {
        path: facts.st_ctime_ns for path, facts in before.items() if path.name != ".lock"
    }


def test_it_is_restored_without_the_directory_that_it_comes_from(shop: Shop, to: Path) -> None:
    shop.back_up(store="shared")
    data = shop.data()
    export(shop, to)
    shutil.rmtree(shop.sets.directory)
    shop.change()
    params = restore.Params("shop", set=ID, stop_app=True)
    restore.run(params, Sets(str(to), "shop"), lambda: shop.engine, shop.clock, False)
    assert shop.data() == data


@pytest.mark.parametrize("store", ["files", "shared"])
def test_a_dry_run_reads_all_and_writes_nothing(shop: Shop, to: Path, store: str) -> None:
    made = shop.back_up(store=store)
    before = sorted(Path(shop.sets.directory).rglob("*"))
    result = export(shop, to, check=True)
    assert (result["changed"], result["set"]) == (True, {})
    assert result["summary"].startswith(f"Set {ID} of shop would be written into {to}: db-{ID}.tar.gz, media-")
    assert not to.exists()
    damage(one_of(made.directory, store))
    with pytest.raises(Damaged):
        export(shop, to, check=True)
    assert sorted(Path(shop.sets.directory).rglob("*")) == before


def one_of(directory: str, store: str) -> Path:
    pattern = "chunks/*" if store == "shared" else "media-*.gz"
    return sorted(Path(directory).glob(pattern))[0]


@pytest.mark.parametrize("store", ["files", "shared"])
def test_a_damaged_set_is_told_and_leaves_nothing(shop: Shop, to: Path, store: str) -> None:
    made = shop.back_up(store=store)
    damage(one_of(made.directory, store))
    with pytest.raises(Damaged, match=rf"is damaged, so set {ID} was not exported: ") as told:
        export(shop, to)
    assert "Export another set; ⟦play backup_list⟧ shows them." in told.value.message
    assert ("⟦once backup_reread 1⟧" in told.value.message) == (store == "shared")
    assert visible(to) == []


def test_a_missing_chunk_or_archive_is_told_before_anything_is_made(shop: Shop, to: Path) -> None:
    one_of(shop.back_up(store="shared").directory, "shared").unlink()
    with pytest.raises(DockerVpsError, match=r"is not whole: .* the chunk [0-9a-f]{64} cannot be found"):
        export(shop, to)
    one_of(shop.back_up().directory, "files").unlink()
    with pytest.raises(DockerVpsError, match=r"is not whole: media-20260201-020100\.tar\.gz: No such file"):
        export(shop, to)
    assert not to.exists()


@pytest.mark.parametrize("hurt", [damage, Path.unlink], ids=["damaged", "missing"])
def test_a_damaged_export_is_written_anew(shop: Shop, to: Path, hurt: Callable[[Path], None]) -> None:
    shop.back_up(store="shared")
    export(shop, to)
    hurt(to / FILES[0])
    assert export(shop, to, check=True)["changed"] is True
    assert export(shop, to)["changed"] is True
    assert visible(to) == FILES
    assert problems(Sets(str(to), "shop").listing().sets[0], "full") == []


def test_what_a_killed_export_left_is_cleared_away(shop: Shop, to: Path) -> None:
    shop.back_up()
    to.mkdir(mode=0o700)
    (to / f".partial-{ID}").mkdir()
    (to / f".partial-{ID}/db-{ID}.tar.gz").write_text("half")
    (to / f"media-{ID}.tar.gz").write_text("moved out already")
    export(shop, to)
    assert visible(to) == FILES
    assert problems(Sets(str(to), "shop").listing().sets[0], "full") == []


def test_an_export_comes_back_into_the_backup_directory(shop: Shop, to: Path) -> None:
    shop.back_up(store="shared")
    export(shop, to)
    shutil.rmtree(shop.sets.directory)
    shop.sets.prepare()
    back = export(shop, Path(shop.sets.directory), str(to / f"manifest-{ID}.json"))
    assert back["changed"] is True
    assert visible(Path(shop.sets.directory)) == FILES


def test_a_set_that_shares_there_is_replaced_by_plain_archives(shop: Shop, to: Path) -> None:
    shop.back_up(store="shared")
    shutil.copytree(shop.sets.directory, to)
    to.chmod(0o700)
    assert export(shop, to)["changed"] is True
    assert visible(to) == ["chunks", *FILES]


def test_another_set_of_the_same_second_is_left_alone(shop: Shop, to: Path) -> None:
    shop.back_up()
    publish_packed(Sets(str(to), "shop"), ID, db=b"of another host")
    before = visible(to)
    message = rf"has another set of the second {ID}, of shop on vps\.example\.com\. Export into another directory\."
    with pytest.raises(DockerVpsError, match=message):
        export(shop, to)
    assert visible(to) == before
    (to / f"manifest-{ID}.json").write_text("{}")
    with pytest.raises(DockerVpsError, match="Remove it if nobody needs it, or export into another directory"):
        export(shop, to)


@pytest.mark.parametrize("place", ["", "/chunks", "/../backups/deep"])
def test_the_backup_directory_is_no_place_for_an_export(shop: Shop, place: str) -> None:
    shop.back_up(store="shared")
    with pytest.raises(InvalidInput, match="so it cannot be exported into"):
        export(shop, Path(shop.sets.directory + place))


def test_other_places_that_are_refused(shop: Shop, to: Path) -> None:
    shop.back_up()
    with pytest.raises(InvalidInput, match="export_directory⟧ must be an absolute path on the host, but is 'export'"):
        export(shop, Path("export"))
    to.mkdir()
    to.chmod(0o1777)
    with pytest.raises(InvalidInput, match="Others than its owner may write into"):
        export(shop, to)
    assert stat.S_IMODE(to.stat().st_mode) == 0o1777
    to.rmdir()
    to.write_text("")
    with pytest.raises(InvalidInput, match="is not a directory, so nothing can be exported into it"):
        export(shop, to)
    with pytest.raises(DockerVpsError, match=r"deeper cannot be inspected: Not a directory\."):
        export(shop, to / "deeper")


def test_a_directory_that_is_there_keeps_its_mode_and_what_is_in_it(shop: Shop, to: Path) -> None:
    shop.back_up()
    to.mkdir()
    to.chmod(0o755)
    (to / "note").write_text("mine")
    export(shop, to)
    assert stat.S_IMODE(to.stat().st_mode) == 0o755
    assert visible(to) == [*FILES, "note"]


def test_a_full_disk_is_told_before(shop: Shop, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.back_up()
    facts = os.statvfs("/")
    full = os.statvfs_result((*facts[:4], 0, *facts[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    for check in (False, True):
        with pytest.raises(DockerVpsError, match="has 0 MiB free, and the export needs 64 MiB") as told:
            export(shop, to, check=check)
        assert told.value.evidence["free_bytes"] == 0
    assert not to.exists()


def test_a_disk_that_refuses_leaves_nothing(shop: Shop, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.back_up()
    monkeypatch.setattr(os, "fsync", refusing(os.fsync))
    with pytest.raises(DockerVpsError, match=r"cannot be exported into .*: Input/output error\. The disk has errors"):
        export(shop, to)
    assert visible(to) == []


def refusing(fsync: Callable[[int], None]) -> Callable[[int], None]:
    def refuse(descriptor: int) -> None:
        if "/.partial-" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(5, os.strerror(5))
        fsync(descriptor)

    return refuse
