# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of backup sets."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.catalog import ADOPTED, BadManifest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import RESTORE, Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import STAMP, publish

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
LATER = "20260201-020000"


@pytest.fixture
def sets(tmp_path: Path) -> Sets:
    return Sets(str(tmp_path / "backups/shop"), "shop")


def names(sets: Sets) -> list[str]:
    return sorted(os.listdir(sets.directory))


def stamps(sets: Sets) -> list[str]:
    return [one.manifest.stamp for one in sets.listing().sets]


def test_the_directory_is_for_its_owner_only(sets: Sets) -> None:
    sets.prepare()
    assert os.stat(sets.directory).st_mode & 0o777 == 0o700
    os.chmod(sets.directory, 0o755)
    sets.prepare()
    assert os.stat(sets.directory).st_mode & 0o777 == 0o700
    assert sets.free() > 0


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DockerVpsError, match="cannot be made: File exists"):
        Sets(str(tmp_path / "file/shop"), "shop").prepare()
    with pytest.raises(DockerVpsError, match="cannot be written: File exists"):
        Sets(str(tmp_path / "file"), "shop").prepare()


def test_one_at_a_time(sets: Sets) -> None:
    sets.prepare()
    with sets.lock("a backup"), pytest.raises(Locked, match="a backup of shop"), sets.lock("a restore"):
        raise AssertionError("two at once")


def test_a_directory_that_is_not_there_is_empty(sets: Sets) -> None:
    assert sets.listing().sets == []
    assert sets.taken() == []
    with pytest.raises(DockerVpsError, match="no backup set of shop"):
        sets.find("latest", NOW)


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DockerVpsError, match="cannot be read: Not a directory"):
        Sets(str(tmp_path / "file"), "shop").listing()


def test_what_is_published_is_listed_newest_first(sets: Sets) -> None:
    publish(sets)
    one = publish(sets, LATER)
    assert stamps(sets) == [LATER, STAMP]
    assert one.absent() == []
    assert one.time == datetime(2026, 2, 1, 2, tzinfo=timezone.utc)
    assert names(sets) == sorted(
        f"{name}-{stamp}.{end}"
        for stamp in (STAMP, LATER)
        for name, end in (("db", "tar.gz"), ("media", "tar.gz"), ("manifest", "json"))
    )
    assert os.stat(f"{sets.directory}/manifest-{LATER}.json").st_mode & 0o777 == 0o600


def test_a_manifest_is_replaced_in_one_step(sets: Sets) -> None:
    one = publish(sets)
    sets.record(replace(one.manifest, reason="another"))
    assert [found.manifest.reason for found in sets.listing().sets] == ["another"]
    assert len(names(sets)) == 3


def test_what_is_not_finished_is_invisible(sets: Sets) -> None:
    publish(sets)
    folder = Path(sets.begin(LATER))
    (folder / f"db-{LATER}.tar.gz").touch()
    (Path(sets.directory) / f"media-{LATER}.tar.gz").touch()  # moved out already
    listing = sets.listing()
    assert [one.manifest.stamp for one in listing.sets] == [STAMP]
    assert listing.lone == []
    assert sets.leftovers() == [str(folder)]
    assert LATER in sets.taken()


def test_what_a_killed_run_left_is_removed_and_nothing_else(sets: Sets) -> None:
    publish(sets)
    before = names(sets)
    folder = Path(sets.begin(LATER))
    (folder / f"db-{LATER}.tar.gz").touch()
    (Path(sets.directory) / f"media-{LATER}.tar.gz").touch()
    (Path(sets.directory) / "notes.txt").touch()
    sets.discard(str(folder))
    assert names(sets) == sorted([*before, "notes.txt"])


def test_a_set_whose_folder_only_was_left_stays(sets: Sets) -> None:
    publish(sets)
    before = names(sets)
    sets.discard(sets.begin(STAMP))
    assert names(sets) == before


def test_the_folder_of_a_restore_holds_no_set(sets: Sets) -> None:
    publish(sets)
    before = names(sets)
    folder = sets.begin(STAMP, RESTORE)
    assert sets.leftovers() == [folder]
    sets.discard(folder)
    assert names(sets) == before


def test_removing(sets: Sets) -> None:
    publish(sets)
    one = publish(sets, LATER)
    sets.remove(one)
    assert stamps(sets) == [STAMP]
    assert not [name for name in names(sets) if LATER in name]


def test_an_interrupted_removal_is_finished(sets: Sets) -> None:
    one = publish(sets)
    folder = Path(sets.begin(STAMP))
    os.rename(f"{sets.directory}/manifest-{STAMP}.json", folder / "manifest")
    assert sets.listing().sets == []
    for left in sets.leftovers():
        sets.discard(left)
    assert names(sets) == []
    sets.remove(one)
    assert names(sets) == []


def test_files_that_are_not_as_the_manifest_says(sets: Sets) -> None:
    one = publish(sets)
    os.unlink(one.path(one.manifest.archives[0]))
    Path(one.path(one.manifest.archives[1])).write_text("more than it says")
    first, second = sets.find(STAMP, NOW).absent()
    assert first == f"db-{STAMP}.tar.gz: No such file or directory"
    assert second == f"media-{STAMP}.tar.gz has 17 bytes, and the manifest says 5"


def test_sets_of_other_apps_are_not_listed(sets: Sets) -> None:
    publish(sets)
    publish(sets, LATER, app="other")
    listing = sets.listing()
    assert [one.manifest.app for one in listing.sets] == ["shop"]
    assert listing.lone == []


def test_manifests_that_cannot_be_read_are_told(sets: Sets) -> None:
    publish(sets)
    Path(sets.directory, f"manifest-{STAMP}.json").write_text("{}")
    listing = sets.listing()
    assert listing.sets == []
    assert "'format' is missing" in listing.unreadable[0]
    assert listing.lone == [f"db-{STAMP}.tar.gz", f"media-{STAMP}.tar.gz"]
    with pytest.raises(DockerVpsError, match="could not be read: .*'format' is missing"):
        sets.find("latest", NOW)


def test_finding(sets: Sets) -> None:
    publish(sets)
    publish(sets, LATER)
    for which, stamp in [
        ("latest", LATER),
        (STAMP, STAMP),
        (f"{sets.directory}/manifest-{STAMP}.json", STAMP),
        (f"{sets.directory}/media-{STAMP}.tar.gz", STAMP),
    ]:
        assert sets.find(which, NOW).manifest.stamp == stamp


def test_the_latest_is_not_one_of_the_future(sets: Sets) -> None:
    publish(sets)
    publish(sets, "20270101-000000")
    assert sets.find("latest", NOW).manifest.stamp == STAMP
    with pytest.raises(DockerVpsError, match="no backup set"):
        sets.find("latest", datetime(2026, 1, 1, tzinfo=timezone.utc))


def test_what_cannot_be_found(sets: Sets) -> None:
    publish(sets)
    with pytest.raises(InvalidInput, match="YYYYMMDD-HHMMSS"):
        sets.find("newest", NOW)
    with pytest.raises(InvalidInput, match="neither a manifest nor an archive"):
        sets.find(f"{sets.directory}/notes.txt", NOW)
    with pytest.raises(DockerVpsError, match=f"no backup set {LATER}"):
        sets.find(LATER, NOW)
    with pytest.raises(DockerVpsError, match="no backup set"):
        sets.find(f"/no/such/folder/manifest-{LATER}.json", NOW)
    os.unlink(f"{sets.directory}/manifest-{STAMP}.json")
    with pytest.raises(BadManifest, match=f"db-{STAMP}.tar.gz, media-{STAMP}.tar.gz .* is missing"):
        sets.find(STAMP, NOW)


def test_the_latest_is_a_full_set_when_there_is_one(sets: Sets) -> None:
    adopted = publish(sets, LATER, "db", consistency=ADOPTED)
    assert sets.find("latest", NOW).manifest.stamp == LATER
    publish(sets)
    assert sets.find("latest", NOW).manifest.stamp == STAMP
    assert adopted.holds == "db"
