# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of backup sets, and what is found to be wrong with them; sets are real, made of real volumes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tarfile
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup, job_history, verify
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import Archive, DrillResult
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import archive, sqlite
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.databases import DIES
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine, FakeWallClock, database
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import manifest_of, publish

SET_ID = "20260201-020000"
DRILL = DrillResult(at="2026-02-01T02:30:00Z", passed=True, reason="", image="app:1", seconds=5.0)


@pytest.fixture
def sets(tmp_path: Path) -> Sets:
    """A directory with one set: a database of four rows in two tables, and a picture."""
    engine = FakeVolumeEngine(tmp_path / "volumes")
    database(engine.add_volume("shop-db") / "payload.db", vendors=3, media=1)
    (engine.add_volume("shop-media") / "photo.jpg").write_bytes(b"picture")
    engine.add_container("app", "shop-db", "shop-media")
    sets = Sets(str(tmp_path / "backups"), "shop")
    params = backup.Params(app="shop", volumes={"db": "shop-db", "media": "shop-media"}, reason="nightly")
    backup.run(params, sets, lambda: engine, FakeWallClock(), False)
    return sets


@pytest.fixture
def later() -> FakeWallClock:
    """An hour after the set was made."""
    clock = FakeWallClock()
    clock.at += timedelta(hours=1)
    return clock


def only(sets: Sets) -> BackupSet:
    (one,) = sets.listing().sets
    return one


def differences(recorded: Archive, root: str) -> list[tuple[bool, str]]:
    return [(one.lost, one.sentence) for one in verify.compared(recorded, root)]


def shown(sets: Sets, clock: FakeWallClock, **given: Any) -> dict[str, Any]:
    return verify.run(verify.Params(**given), sets, clock)


@pytest.mark.parametrize("level", verify.LEVELS)
def test_a_good_set(sets: Sets, later: FakeWallClock, level: str) -> None:
    before = sorted(os.listdir(sets.directory))
    result = shown(sets, later, level=level)
    (row,) = result["sets"]
    assert row["id"] == SET_ID
    assert (row["time"], row["age"]) == ("2026-02-01T02:00:00Z", 3600)
    assert (row["reason"], row["consistency"], row["image"]) == ("nightly", "online", "app:1")
    assert row["files"] == 2
    assert row["bytes"] == sum(os.stat(Path(sets.directory) / file).st_size for file in row["archives"])
    about = {"check": "sound", "why": "", "tables": {"media": 1, "vendors": 3}}
    assert row["databases"] == [{"archive": "db", "path": "payload.db", **about}]
    assert row["checks"] == {"sound": 1, "damaged": 0, "not checked": 0}
    assert row["problems"] == []
    assert (row["verified"], row["last_drill"]) == (False, {})
    assert result["newest_good"] == {"id": SET_ID, "age": 3600}
    assert (result["last_verified"], result["runs"], result["changed"]) == ({}, {}, False)
    assert result["summary"][0].startswith(f"{SET_ID}: 60 minutes ago, ")
    assert result["summary"][0].endswith(
        "files: 2, 1 database sound, rows in databases: 4, of app:1, not verified by a drill, nightly"
    )
    assert result["summary"][1:] == ["No set was ever verified by a drill."]
    assert sorted(os.listdir(sets.directory)) == before


def test_nothing_is_there(tmp_path: Path, later: FakeWallClock) -> None:
    result = shown(Sets(str(tmp_path / "none"), "shop"), later, fail_on_problems=True)
    assert (result["sets"], result["newest_good"]) == ([], {})
    assert result["summary"][0] == f"There is no backup set of shop in {tmp_path}/none."


def test_one_set_only(sets: Sets, later: FakeWallClock) -> None:
    publish(sets, "20260101-020000")
    assert [row["id"] for row in shown(sets, later, which="20260101-020000")["sets"]] == ["20260101-020000"]
    assert [row["id"] for row in shown(sets, later)["sets"]] == [SET_ID, "20260101-020000"]


def test_what_a_drill_proved(sets: Sets, later: FakeWallClock) -> None:
    failed = replace(DRILL, at="2026-02-01T02:45:00Z", passed=False, reason="It broke.")
    sets.record(replace(only(sets).manifest, drills=(DRILL, failed)))
    edited = replace(DRILL, at="yesterday")
    publish(sets, "20260101-020000", drills=(replace(DRILL, at="2026-01-02T00:00:00Z"), edited))
    result = shown(sets, later)
    assert [row["verified"] for row in result["sets"]] == [False, True]
    assert result["sets"][0]["last_drill"]["reason"] == "It broke."
    assert result["last_verified"] == {"id": SET_ID, "at": DRILL.at, "age": 1800}
    assert "Last verified by a drill: 20260201-020000, 30 minutes ago." in result["summary"]


def test_a_set_of_the_future_is_not_the_newest_good_one(sets: Sets) -> None:
    clock = FakeWallClock()
    clock.at -= timedelta(days=3)
    result = shown(sets, clock)
    assert (result["sets"][0]["age"], result["newest_good"]) == (-3 * 86400, {})
    assert "dated in the future" in result["summary"][0]


@pytest.mark.parametrize(
    ("passed", "age"), [(5, "5 seconds"), (3600, "60 minutes"), (7200, "2 hours"), (200000, "2 days")]
)
def test_ages_for_people(sets: Sets, passed: int, age: str) -> None:
    clock = FakeWallClock()
    clock.passed = passed
    assert f"{SET_ID}: {age} ago" in shown(sets, clock)["summary"][0]


def test_other_files_and_scheduled_runs(sets: Sets, later: FakeWallClock) -> None:
    (Path(sets.directory) / "manifest-20260102-020000.json").write_text("{}")
    (Path(sets.directory) / "db-20260103-020000.tar.gz").touch()
    job_history.record(sets.directory, "backup", job_history.Run("2026-02-01T02:00:00Z", True, 2.0, "A set."))
    job_history.record(sets.directory, "drill", job_history.Run("2026-02-01T03:00:00Z", False, 9.0, "It broke."))
    result = shown(sets, later)
    assert "manifest-20260102-020000.json is not the manifest of a backup set" in result["unreadable"][0]
    assert result["orphaned"] == ["db-20260103-020000.tar.gz"]
    assert result["runs"]["drill"] == {
        "at": "2026-02-01T03:00:00Z",
        "success": False,
        "seconds": 9.0,
        "message": "It broke.",
        "cautions": (),
    }
    assert result["summary"][-4:] == [
        f"Unreadable: {result['unreadable'][0]}",
        "Without a manifest: db-20260103-020000.tar.gz",
        "Last backup at 2026-02-01T02:00:00Z succeeded: A set.",
        "Last drill at 2026-02-01T03:00:00Z FAILED: It broke.",
    ]
    with pytest.raises(DockerVpsError, match="cannot be relied on.*manifest-20260102"):
        shown(sets, later, fail_on_problems=True)


def test_a_missing_archive(sets: Sets, later: FakeWallClock) -> None:
    os.unlink(Path(sets.directory) / f"media-{SET_ID}.tar.gz")
    wrong = f"media-{SET_ID}.tar.gz: No such file or directory"
    result = shown(sets, later, level="full")
    assert result["sets"][0]["problems"] == [wrong]
    assert result["newest_good"] == {}
    assert result["summary"][0].endswith(f"; WRONG: {wrong}")
    with pytest.raises(DockerVpsError) as caught:
        shown(sets, later, fail_on_problems=True)
    assert caught.value.message == (
        f"Backups of shop in {sets.directory} cannot be relied on, so make a new one or bring back another copy: "
        f"{SET_ID}: {wrong}"
    )
    assert caught.value.evidence["sets"][0]["problems"] == [wrong]  # type: ignore[index]


def test_a_flipped_byte(sets: Sets, later: FakeWallClock) -> None:
    path = Path(sets.directory) / f"db-{SET_ID}.tar.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    problems = {level: shown(sets, later, level=level)["sets"][0]["problems"] for level in verify.LEVELS}
    assert problems["exists"] == []
    assert problems["checksum"][0].startswith(f"db-{SET_ID}.tar.gz has the SHA-256 ")
    assert len(problems["full"]) == 1
    assert str(path) in problems["full"][0]


def test_a_file_that_cannot_be_read(sets: Sets) -> None:
    one = only(sets)
    each = one.manifest.archives[0]
    os.unlink(one.path(each))
    os.mkdir(one.path(each))
    about = replace(each, bytes=os.stat(one.path(each)).st_size)
    odd = replace(one, manifest=replace(one.manifest, archives=(about,)))
    assert verify.problems(odd, "checksum") == [f"{each.file} is not a regular file"]


def with_database(sets: Sets, tmp_path: Path, **about: Any) -> BackupSet:
    """Return the set with an archive whose manifest says something else about its database."""
    one = only(sets)
    each = one.manifest.archives[0]
    wrong = replace(each, databases=(replace(each.databases[0], **about),))
    return replace(one, manifest=replace(one.manifest, archives=(wrong, *one.manifest.archives[1:])))


def test_rows_that_differ(sets: Sets, tmp_path: Path) -> None:
    odd = with_database(sets, tmp_path, tables={"vendors": 5, "orders": 1})
    assert verify.problems(odd, "full") == [
        f"The database payload.db in db-{SET_ID}.tar.gz has other rows than the manifest says: "
        "media 1, not None, orders None, not 1, vendors 3, not 5"
    ]


def test_a_database_that_is_not_in_the_archive(sets: Sets, tmp_path: Path) -> None:
    assert verify.problems(with_database(sets, tmp_path, path="other.db"), "full") == [
        f"db-{SET_ID}.tar.gz has no database other.db, and the manifest names it"
    ]


def rewritten(one: BackupSet, root: Path) -> BackupSet:
    """Return the set with another tree in its archive of the database; the checksum is right."""
    each = one.manifest.archives[0]
    os.unlink(one.path(each))
    recorded = archive.write(one.path(each), str(root), each.compression, instead={}, leave_out=())
    new: Archive = replace(each, sha256=recorded.sha256, bytes=recorded.bytes, plain_bytes=recorded.plain_bytes)
    return replace(one, manifest=replace(one.manifest, archives=(new,)))


def test_a_database_that_is_mostly_a_hole_is_not_looked_at(sets: Sets, tmp_path: Path) -> None:
    path = database(tmp_path / "new/payload.db", wal=False, vendors=3, media=1)
    os.truncate(path, 1 << 40)
    assert verify.problems(rewritten(only(sets), path.parent), "full") == [
        f"db-{SET_ID}.tar.gz has more bytes in payload.db than the manifest says"
    ]


def test_a_damaged_database(sets: Sets, tmp_path: Path) -> None:
    path = database(tmp_path / "new/payload.db", wal=False, vendors=3, media=1)
    data = path.read_bytes()
    path.write_bytes(data[:-4096] + b"\xaa" * 4096)
    (problem,) = verify.problems(rewritten(only(sets), path.parent), "full")
    assert problem.startswith(f"The database payload.db in db-{SET_ID}.tar.gz is damaged: ")


def test_a_link_in_the_place_of_a_database(sets: Sets, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/payload.db").symlink_to("elsewhere")
    assert verify.problems(rewritten(only(sets), tmp_path / "new"), "full") == [
        f"db-{SET_ID}.tar.gz has no database payload.db, and the manifest names it"
    ]


def test_a_database_with_a_second_name_that_comes_first(tmp_path: Path) -> None:
    engine = FakeVolumeEngine(tmp_path / "volumes")
    root = engine.add_volume("shop-db")
    sets = Sets(str(tmp_path / "backups"), "shop")
    with closing(sqlite3.connect(database(root / "payload.db", vendors=3))) as live:
        live.execute("INSERT INTO vendors DEFAULT VALUES")
        live.commit()
        os.link(root / "payload.db", root / "a.db")
        backup.run(backup.Params(app="shop", volumes={"db": "shop-db"}), sets, lambda: engine, FakeWallClock(), False)
    assert only(sets).manifest.archives[0].databases[0].path == "payload.db"
    assert verify.findings(only(sets), "full") == []
    assert verify.problems(with_database(sets, tmp_path, bytes=4096), "full") == [
        f"db-{SET_ID}.tar.gz has more bytes in a.db than the manifest says"
    ]


@pytest.mark.parametrize("later", [True, False])
def test_the_last_of_several_members_wins(sets: Sets, tmp_path: Path, later: bool) -> None:
    place = tmp_path / "new"
    for name, rows in (("a.db", 1), ("payload.db", 3)):
        database(place / name, wal=False, vendors=rows, media=1)
    path = tmp_path / "tar"
    with tarfile.open(path, "w") as members:
        link = tarfile.TarInfo("./payload.db")
        link.type, link.linkname = tarfile.LNKTYPE, "./a.db"
        members.add(place / "a.db", "./a.db")
        if later:
            members.addfile(link)
        members.add(place / "payload.db", "./payload.db")
        if not later:
            members.addfile(link)
    recorded = replace(only(sets).manifest.archives[0], compression="none")
    copies = verify._unpacked(str(path), recorded, str(tmp_path))
    assert sqlite.rows(copies["payload.db"])["vendors"] == (3 if later else 1)


def test_a_link_to_what_is_no_file_is_no_database(sets: Sets, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "tar", "w") as members:
        link = tarfile.TarInfo("./payload.db")
        link.type, link.linkname = tarfile.LNKTYPE, "./a.db"
        members.addfile(link)
    recorded = replace(only(sets).manifest.archives[0], compression="none")
    assert verify._unpacked(str(tmp_path / "tar"), recorded, str(tmp_path)) == {}


def test_a_database_whose_name_is_not_utf8(tmp_path: Path) -> None:
    engine = FakeVolumeEngine(tmp_path / "volumes")
    root = engine.add_volume("shop-db")
    database(root / "x.db", wal=False, vendors=3)
    os.rename(root / "x.db", os.fsencode(root) + b"/\xff.db")
    sets = Sets(str(tmp_path / "backups"), "shop")
    params = backup.Params(app="shop", volumes={"db": "shop-db"})
    backup.run(params, sets, lambda: engine, FakeWallClock(), False)
    assert only(sets).manifest.archives[0].databases[0].path == "\\xff.db"
    assert verify.problems(only(sets), "full") == []
    assert differences(only(sets).manifest.archives[0], str(root)) == []


def test_no_room_for_a_database(sets: Sets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(verify, "SCRATCH", str(tmp_path / "none"))
    assert verify.problems(only(sets), "full") == [
        f"The databases of db-{SET_ID}.tar.gz could not be checked in {tmp_path}/none: No such file or directory"
    ]


def test_what_a_start_changed(sets: Sets, tmp_path: Path) -> None:
    recorded, media = only(sets).manifest.archives
    root = tmp_path / "volumes/shop-db/_data"
    path = root / "payload.db"
    assert differences(recorded, str(root)) == []
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE media; DELETE FROM vendors WHERE id = 1; CREATE TABLE new (id)")
        assert differences(recorded, str(root)) == [
            (True, "the table media of payload.db is missing"),
            (False, "the table new of payload.db is new"),
            (True, "the table vendors of payload.db has 2 rows, and the manifest says 3"),
        ]
        connection.executescript("INSERT INTO vendors DEFAULT VALUES; INSERT INTO vendors DEFAULT VALUES")
        connection.executescript("CREATE TABLE media (id); INSERT INTO media DEFAULT VALUES")
    (root / "cache").touch()
    assert differences(recorded, str(root)) == [
        (False, "db has 2 files, and the manifest says 1"),
        (False, "the table new of payload.db is new"),
        (False, "the table vendors of payload.db has 4 rows, and the manifest says 3"),
    ]
    shutil.rmtree(root)
    root.mkdir()
    assert differences(recorded, str(root)) == [
        (True, "db has 0 files, and the manifest says 1"),
        (True, "db has no database payload.db"),
    ]
    assert media.databases == ()


def test_numbers_that_javascript_does_not_have_are_a_warning_of_the_set_and_a_note_of_the_drill(tmp_path: Path) -> None:
    engine = FakeVolumeEngine(tmp_path / "volumes")
    root = engine.add_volume("shop-db")
    with closing(sqlite3.connect(database(root / "payload.db", wal=True, vendors=3))) as connection:
        connection.execute("INSERT INTO vendors (id) VALUES (?)", (2**53,))
        connection.commit()
    sets = Sets(str(tmp_path / "backups"), "shop")
    backup.run(backup.Params(app="shop", volumes={"db": "shop-db"}), sets, lambda: engine, FakeWallClock(), False)
    manifest = only(sets).manifest
    message = (
        "the database payload.db is sound, but vendors.id has whole numbers beyond 2^53 - 1, "
        "which an application in JavaScript cannot read"
    )
    assert manifest.warnings == (f"db: {message}",)
    assert differences(manifest.archives[0], str(root)) == [(False, message)]
    assert verify.problems(only(sets), "full") == []


def test_a_start_that_damages_the_database(sets: Sets, tmp_path: Path) -> None:
    path = database(tmp_path / "new/payload.db", wal=False, vendors=3, media=1)
    data = path.read_bytes()
    path.write_bytes(data[:-4096] + b"\xaa" * 4096)
    found = differences(only(sets).manifest.archives[0], str(path.parent))
    assert found[0][0] is True
    assert found[0][1].startswith("the database payload.db is damaged: ")


@pytest.mark.parametrize("known", [True, False])
def test_what_cannot_be_checked_is_no_problem_and_no_proof(
    sets: Sets, later: FakeWallClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    if not known:
        one = with_database(sets, tmp_path, check="not checked", why="so", schema="", tables={})
        sets.record(one.manifest)
        (row,) = shown(sets, later, level="full")["sets"]
        assert (row["problems"], row["notes"]) == ([], [])
    monkeypatch.setattr(sys, "executable", DIES)
    why = "was not checked: the process that examined it ended with 1"
    result = shown(sets, later, level="full", fail_on_problems=True)
    (row,) = result["sets"]
    assert (row["problems"], row["notes"]) == ([], [f"The database payload.db in db-{SET_ID}.tar.gz {why}"])
    assert result["summary"][0].endswith(row["notes"][0])
    root = tmp_path / "volumes/shop-db/_data"
    (difference,) = verify.compared(only(sets).manifest.archives[0], str(root))
    assert difference == verify.Difference(False, f"the database payload.db {why}", uncounted=True)


def test_a_set_without_anything_that_ran(tmp_path: Path, later: FakeWallClock) -> None:
    sets = Sets(str(tmp_path / "backups"), "shop")
    release = replace(manifest_of().release, image="")
    publish(sets, "20260101-020000", release=release)
    assert "of no image" in shown(sets, later)["summary"][0]


def test_a_loss_and_missing_uploads_are_shown(sets: Sets, later: FakeWallClock) -> None:
    first = only(sets).manifest
    gone = f"Gone since set {SET_ID}: 3 of 3 rows of vendors in payload.db."
    missing = replace(first.uploads, missing=("a.png", "b.png"))
    publish(sets, "20260201-023000", losses=(gone,), lost_since=(SET_ID,), uploads=missing)
    result = shown(sets, later)
    new, old = result["sets"]
    assert (new["losses"], new["held"], new["uploads_missing"]) == ([gone], "", ["a.png", "b.png"])
    assert (old["losses"], old["held"]) == ([], "the last before a loss that set 20260201-023000 tells of")
    assert result["summary"][1].endswith(", nightly, kept as the last before a loss that set 20260201-023000 tells of")
    (caution,) = result["cautions"]
    assert caution.startswith(f"{gone} Set {SET_ID} stays until this is fixed or accepted: ")
    assert result["summary"][3:] == [
        f"Lost: {caution}",
        "The database of set 20260201-023000 names 2 uploads that its volume did not have: a.png, b.png.",
    ]
    publish(sets, "20260201-024000", losses=(gone,))
    publish(sets, "20990201-024000", losses=(gone,), lost_since=(SET_ID,), uploads=missing)
    result = shown(sets, later)
    assert (result["cautions"], result["sets"][-1]["held"]) == ([], "")
    assert not any("uploads" in line for line in result["summary"])
    assert shown(sets, later, which=SET_ID)["sets"][0]["held"] == ""
