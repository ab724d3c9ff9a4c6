# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of backup sets."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import IMPORTED, LARGEST, BadManifest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import RESTORE, Locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.packed import LARGEST_INDEX
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import (
    HOLDS,
    REMOVED,
    Sets,
    Unused,
    latest_of,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeWallClock
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import SET_ID, manifest_of, publish, publish_shared

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
LATER = "20260201-020000"


@pytest.fixture
def sets(tmp_path: Path) -> Sets:
    return Sets(str(tmp_path / "backups/shop"), "shop")


def names(sets: Sets) -> list[str]:
    return sorted(os.listdir(sets.directory))


def set_ids(sets: Sets) -> list[str]:
    return [one.manifest.id for one in sets.listing().sets]


def test_the_directory_is_for_its_owner_only(sets: Sets) -> None:
    sets.prepare()
    assert os.stat(sets.directory).st_mode & 0o777 == 0o700
    os.chmod(sets.directory, 0o755)
    sets.prepare()
    assert os.stat(sets.directory).st_mode & 0o777 == 0o700
    assert sets.free() > 0


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DockerVpsError, match="cannot be created: File exists"):
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
    assert set_ids(sets) == [LATER, SET_ID]
    assert one.absent() == []
    assert one.time == datetime(2026, 2, 1, 2, tzinfo=timezone.utc)
    assert names(sets) == sorted(
        f"{name}-{set_id}.{end}"
        for set_id in (SET_ID, LATER)
        for name, end in (("db", "tar.gz"), ("media", "tar.gz"), ("manifest", "json"))
    )
    assert os.stat(f"{sets.directory}/manifest-{LATER}.json").st_mode & 0o777 == 0o600


def test_a_manifest_is_replaced_in_one_step(sets: Sets) -> None:
    one = publish(sets)
    sets.record(replace(one.manifest, reason="another"))
    assert [found.manifest.reason for found in sets.listing().sets] == ["another"]
    assert len(names(sets)) == 3


@pytest.mark.parametrize(
    ("reason", "why"), [("\udcff", "can't encode character"), ("x" * (LARGEST + 1), f"and {LARGEST} are the most")]
)
def test_a_manifest_that_could_not_be_read_back_is_not_written(sets: Sets, reason: str, why: str) -> None:
    publish(sets)
    with pytest.raises(BadManifest, match=f"could not be read back, so it was not written: .*{why}"):
        publish(sets, "20260201-020000", reason=reason)
    assert set_ids(sets) == [SET_ID]
    assert [name for name in names(sets) if "20260201" in name] == [".partial-20260201-020000"]
    with pytest.raises(BadManifest, match="Look in the volumes for names that are not valid UTF-8"):
        sets.record(manifest_of(reason=reason))
    assert sets.listing().sets[0].manifest == manifest_of()


def test_what_is_not_finished_is_invisible(sets: Sets) -> None:
    publish(sets)
    folder = Path(sets.begin(LATER))
    (folder / f"db-{LATER}.tar.gz").touch()
    (Path(sets.directory) / f"media-{LATER}.tar.gz").touch()  # moved out already
    listing = sets.listing()
    assert [one.manifest.id for one in listing.sets] == [SET_ID]
    assert listing.orphaned == []
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
    sets.discard(sets.begin(SET_ID))
    assert names(sets) == before


def test_the_folder_of_a_restore_holds_no_set(sets: Sets) -> None:
    publish(sets)
    before = names(sets)
    folder = sets.begin(SET_ID, RESTORE)
    assert sets.leftovers() == [folder]
    sets.discard(folder)
    assert names(sets) == before


def test_what_is_held_is_remembered_until_something_else_is(sets: Sets) -> None:
    sets.hold({SET_ID: "the data before release 20260131-030000"})
    assert not os.path.exists(sets.directory)
    publish(sets, SET_ID)
    sets.hold({SET_ID: "the data before release 20260131-030000"})
    assert sets.holds() == sets.held([]) == {SET_ID: "the data before release 20260131-030000"}
    assert os.stat(os.path.join(sets.directory, HOLDS.format("shop"))).st_mode & 0o777 == 0o600
    Sets(sets.directory, "blog").hold({SET_ID: "another's"})
    assert sets.holds() == {SET_ID: "the data before release 20260131-030000"}
    assert (set_ids(sets), sets.listing().unreadable, sets.listing().orphaned) == ([SET_ID], [], [])
    lost = replace(manifest_of(LATER), losses=("Gone.",), lost_since=(SET_ID,))
    assert sets.held([lost]) == {SET_ID: f"the last before a loss that set {LATER} tells of"}
    sets.hold({LATER: "another"})
    assert sets.holds() == {LATER: "another"}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"20260131-020000": 1}'])
def test_holds_that_cannot_be_read_hold_nothing(sets: Sets, text: str) -> None:
    sets.prepare()
    Path(sets.directory, HOLDS.format("shop")).write_text(text)
    assert sets.holds() == {}


def test_removing(sets: Sets) -> None:
    publish(sets)
    one = publish(sets, LATER)
    assert sets.remove([one]) == []
    assert set_ids(sets) == [SET_ID]
    assert not [name for name in names(sets) if LATER in name]


def test_an_interrupted_removal_is_finished(sets: Sets) -> None:
    one = publish(sets)
    folder = Path(sets.begin(SET_ID))
    os.rename(f"{sets.directory}/manifest-{SET_ID}.json", folder / "manifest")
    assert sets.listing().sets == []
    for left in sets.leftovers():
        sets.discard(left)
    assert names(sets) == []
    assert sets.remove([one]) == []
    assert names(sets) == []


def test_files_that_are_not_as_the_manifest_says(sets: Sets) -> None:
    one = publish(sets)
    os.unlink(one.path(one.manifest.archives[0]))
    Path(one.path(one.manifest.archives[1])).write_text("more than it says")
    first, second = sets.find(SET_ID, NOW).absent()
    assert first == f"db-{SET_ID}.tar.gz: No such file or directory"
    assert second == f"media-{SET_ID}.tar.gz has 17 bytes, and the manifest says 5"


def test_sets_of_other_apps_are_not_listed(sets: Sets) -> None:
    publish(sets)
    publish(sets, LATER, app="other")
    listing = sets.listing()
    assert [one.manifest.app for one in listing.sets] == ["shop"]
    assert listing.orphaned == []


def test_manifests_that_cannot_be_read_are_told(sets: Sets) -> None:
    publish(sets)
    Path(sets.directory, f"manifest-{SET_ID}.json").write_text("{}")
    listing = sets.listing()
    assert listing.sets == []
    assert "'format' is missing" in listing.unreadable[0]
    assert listing.orphaned == [f"db-{SET_ID}.tar.gz", f"media-{SET_ID}.tar.gz"]
    with pytest.raises(DockerVpsError, match="could not be read: .*'format' is missing"):
        sets.find("latest", NOW)


def test_finding(sets: Sets) -> None:
    publish(sets)
    publish(sets, LATER)
    for which, set_id in [
        ("latest", LATER),
        (SET_ID, SET_ID),
        (f"{sets.directory}/manifest-{SET_ID}.json", SET_ID),
        (f"{sets.directory}/media-{SET_ID}.tar.gz", SET_ID),
    ]:
        assert sets.find(which, NOW).manifest.id == set_id


def test_the_latest_is_not_one_of_the_future(sets: Sets) -> None:
    publish(sets)
    publish(sets, "20270101-000000")
    assert sets.find("latest", NOW).manifest.id == SET_ID
    with pytest.raises(DockerVpsError, match="^Every backup set of shop in"):
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
    os.unlink(f"{sets.directory}/manifest-{SET_ID}.json")
    with pytest.raises(BadManifest, match=f"db-{SET_ID}.tar.gz, media-{SET_ID}.tar.gz .* is missing"):
        sets.find(SET_ID, NOW)


def test_the_latest_is_a_full_set_when_there_is_one(sets: Sets) -> None:
    imported = publish(sets, LATER, "db", consistency=IMPORTED)
    assert sets.find("latest", NOW).manifest.id == LATER
    publish(sets)
    assert sets.find("latest", NOW).manifest.id == SET_ID
    assert imported.holds == "db"


def test_a_new_set_waits_for_a_second_that_no_other_one_has(sets: Sets) -> None:
    clock = FakeWallClock(datetime(2026, 1, 31, 2, 0, 0, 400_000, tzinfo=timezone.utc))
    publish(sets, sets.next_id(clock))
    assert clock.passed == 0
    publish(sets, sets.next_id(clock))
    assert set_ids(sets) == ["20260131-020001", "20260131-020000"]
    assert 0.6 <= clock.passed < 0.7
    assert sets.find("latest", clock.utc()).manifest.id == "20260131-020001"


def test_a_new_set_does_not_wait_for_ever(sets: Sets) -> None:
    sets.prepare()
    clock = FakeWallClock(datetime(2026, 1, 31, 2, tzinfo=timezone.utc))
    for second in range(59):
        Path(sets.directory, f"db-20260131-0200{second:02d}.tar").touch()
    assert sets.next_id(clock) == "20260131-020059"
    assert 10 <= clock.passed < 11


def test_the_latest_is_the_last_made_when_the_clock_was_wrong(sets: Sets) -> None:
    """Two hours ahead in the night, and put right before the next set; in the morning both dates are in the past."""
    publish(sets, "20260131-040000")
    assert sets.listing().after("20260131-033000") == "20260131-040000"
    publish(sets, "20260131-033000", after=sets.listing().after("20260131-033000"))
    morning = datetime(2026, 1, 31, 8, tzinfo=timezone.utc)
    assert sets.find("latest", morning).manifest.id == "20260131-033000"
    assert set_ids(sets) == ["20260131-033000", "20260131-040000"]
    assert sets.listing().after("20260131-080000") == ""


def test_sets_of_the_future_only(sets: Sets) -> None:
    publish(sets)
    with pytest.raises(
        DockerVpsError,
        match=f"is dated later than now, the last one {SET_ID}: is the clock right",
    ):
        sets.find("latest", datetime(2026, 1, 1, tzinfo=timezone.utc))
    assert latest_of(sets.listing().sets, datetime(2026, 1, 1, tzinfo=timezone.utc)) is None


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def deep(path: Path) -> None:
    path.write_text('{"a":' * 100_000)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10**12)


@pytest.mark.parametrize("make", [pipe, folder, link, deep, huge])
def test_one_bad_manifest_stops_nothing(sets: Sets, make: Callable[[Path], None]) -> None:
    one = publish(sets)
    file = f"manifest-{LATER}.json"
    make(Path(sets.directory, file))
    listing = sets.listing()
    assert [one.manifest.id for one in listing.sets] == [SET_ID]
    assert [file in why for why in listing.unreadable] == [True]
    assert len(listing.unreadable[0]) < 500
    assert sets.find("latest", NOW).manifest.id == SET_ID
    assert LATER in sets.taken()
    with sets.lock("a removal"):
        assert sets.remove([one]) == []
    assert names(sets) == [".lock", file]


@pytest.mark.parametrize("make", [pipe, folder, link])
def test_an_archive_that_is_no_file_is_told(sets: Sets, make: Callable[[Path], None]) -> None:
    one = publish(sets)
    path = Path(one.path(one.manifest.archives[0]))
    path.unlink()
    make(path)
    assert one.absent() == [f"db-{SET_ID}.tar.gz is not a regular file"]


def test_what_only_looks_like_unfinished_work_is_left_alone(sets: Sets, tmp_path: Path) -> None:
    publish(sets)
    (tmp_path / "precious").mkdir()
    for name in (".partial-", ".partial-20260202-020000", ".restore-x", REMOVED, REMOVED + "x"):
        Path(sets.directory, name).symlink_to(tmp_path / "precious")
    assert sets.leftovers() == []
    with sets.lock("a backup"):
        assert set_ids(sets) == [SET_ID]
    assert (tmp_path / "precious").is_dir()
    assert len(sets.listing().orphaned) == 0


def many(sets: Sets, count: int) -> None:
    for number in range(count):
        publish(sets, f"20260101-0000{number:02d}")


def test_a_removal_waits_for_the_disk_twice_however_many_sets_there_are(
    sets: Sets, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(sets, 12)
    doomed, look = sets.listing().sets, os.listdir
    calls: list[int] = []
    looks: list[object] = []
    monkeypatch.setattr(os, "fsync", calls.append)
    monkeypatch.setattr(os, "listdir", lambda *path: looks.append(path) or look(*path))
    assert sets.remove(doomed) == []
    assert (len(calls), len(looks)) == (2, 1)
    assert names(sets) == []


@pytest.mark.parametrize("step", range(1, 15))
def test_a_removal_that_is_killed_at_any_moment_is_finished_by_the_next_one(
    sets: Sets, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Steps are renames, waits for the disk and removals, as they come."""
    many(sets, 4)
    left = step

    def killed_at(real: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise KeyboardInterrupt
            real(*arguments)

        return call

    doomed = sets.listing().sets[1:]
    with monkeypatch.context() as patched:
        for name in ("rename", "fsync", "unlink"):
            patched.setattr(os, name, killed_at(getattr(os, name)))
        with pytest.raises(KeyboardInterrupt):
            sets.remove(doomed)
    kept = set_ids(sets)
    assert sets.listing().orphaned == []
    with sets.lock("a backup"):
        assert set_ids(sets) == kept
    assert len(names(sets)) == 1 + 3 * len(kept)
    assert not any(one.absent() for one in sets.listing().sets)


def test_a_disk_without_room_for_a_name(sets: Sets, monkeypatch: pytest.MonkeyPatch) -> None:
    one = publish(sets)

    def full(old: str, new: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "rename", full)
    assert sets.remove([one]) == []
    assert names(sets) == []


def test_a_set_that_cannot_be_removed_does_not_keep_the_others(sets: Sets, monkeypatch: pytest.MonkeyPatch) -> None:
    many(sets, 3)
    real = os.rename

    def refuse(old: str, new: str) -> None:
        if "000001.json" in old:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        real(old, new)

    monkeypatch.setattr(os, "rename", refuse)
    (problem,) = sets.remove(sets.listing().sets)
    assert problem.message.startswith("Set 20260101-000001 cannot be removed: Operation not permitted. ")
    assert set_ids(sets) == ["20260101-000001"]
    assert sets.listing().orphaned == []


def test_a_disk_that_fails_is_told(sets: Sets, monkeypatch: pytest.MonkeyPatch) -> None:
    one = publish(sets)

    def broken(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", broken)
        (problem,) = sets.remove([one])
        assert "may come back: Input/output error. The disk has errors" in problem.message
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", broken)
        with pytest.raises(DockerVpsError, match="cannot be put into .*: Input/output error"):
            publish(sets, LATER)
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", broken)
        patched.setattr(os, "rmdir", broken)
        with pytest.raises(DockerVpsError, match="which is not finished, cannot be removed: Input/output error"):
            sets.discard(sets.leftovers()[0])
    with monkeypatch.context() as patched:
        patched.setattr(os, "mkdir", broken)
        with pytest.raises(DockerVpsError, match="cannot be made: Input/output error"):
            sets.begin("20260301-020000")


def chunks(sets: Sets) -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(sets.chunks).iterdir()}


def test_chunks_are_shared(sets: Sets) -> None:
    publish_shared(sets, SET_ID, "one", "two", "one")
    second = publish_shared(sets, LATER, "two", "three")
    assert sorted(chunks(sets).values()) == ["one", "three", "two"]
    assert os.stat(sets.chunks).st_mode & 0o777 == 0o700
    assert set_ids(sets) == [LATER, SET_ID]
    assert names(sets) == [
        "chunks",
        f"db-{SET_ID}.index",
        f"db-{LATER}.index",
        *(f"manifest-{one}.json" for one in (SET_ID, LATER)),
    ]
    assert sets.listing().orphaned == []
    assert second.absent() == []
    (Path(sets.chunks) / next(name for name, text in chunks(sets).items() if text == "two")).write_text("2")
    for one in sets.listing().sets:
        assert [problem.split(":")[0] for problem in one.absent()] == [f"db-{one.manifest.id}.index"]
        assert one.absent()[0].endswith("has 1 bytes, and 3 are right")


def test_an_index_that_is_another_tells_nothing(sets: Sets) -> None:
    one = publish_shared(sets, SET_ID, "one")
    path = Path(one.path(one.manifest.archives[0]))
    path.write_text(path.read_text() + " ")
    assert one.absent() == [f"db-{SET_ID}.index: it is not what was written"]
    path.unlink()
    assert one.absent() == [f"db-{SET_ID}.index: No such file or directory"]


def swept(sets: Sets) -> Unused:
    """Remove the chunks that no set needs, and return them."""
    unused = sets.unused()
    assert sets.sweep(unused) == []
    return unused


def test_a_removal_takes_the_chunks_that_nobody_else_has(sets: Sets) -> None:
    first = publish_shared(sets, SET_ID, "one", "two")
    second = publish_shared(sets, LATER, "two", "three!")
    for doomed, contents in (
        ([], []),
        ([first], ["one"]),
        ([second], ["three!"]),
        ([first, second], chunks(sets).values()),
    ):
        unused = sets.unused(doomed)
        assert sorted(chunks(sets)[name] for name in unused.chunks) == sorted(contents)
        assert (unused.bytes, unused.kept) == (sum(map(len, contents)), ())
        assert sets.freed_by(doomed) == sum(os.path.getsize(each.path(each.manifest.archives[0])) for each in doomed)
    assert sets.remove([first]) == []
    assert swept(sets).bytes == 3
    assert sorted(chunks(sets).values()) == ["three!", "two"]
    assert second.absent() == []
    (Path(sets.chunks) / ("5f" * 32)).write_text("of a run that was killed")
    assert swept(sets).bytes == 24
    assert sorted(chunks(sets).values()) == ["three!", "two"]


@pytest.mark.parametrize("damage", [lambda path: path.write_text("{"), Path.unlink])
def test_nothing_is_swept_while_it_is_not_known_what_is_needed(sets: Sets, damage: Callable[[Path], object]) -> None:
    first, second = publish_shared(sets, SET_ID, "one"), publish_shared(sets, LATER, "two")
    damage(Path(sets.directory) / f"db-{LATER}.index")
    assert sets.unused([first]).bytes == 0
    assert sets.unused([second]) == Unused([hashlib.sha256(b"two").hexdigest()], 3)
    assert sets.remove([first]) == []
    (why,) = swept(sets).kept
    assert sorted(chunks(sets).values()) == ["one", "two"]
    assert why.startswith(f"No shared chunk can be removed, since db-{LATER}.index in {sets.directory} cannot be read")


@pytest.mark.parametrize("damage", [lambda path: path.write_text("{"), Path.unlink])
def test_a_set_whose_manifest_may_come_back_keeps_its_chunks(sets: Sets, damage: Callable[[Path], object]) -> None:
    first, _second = publish_shared(sets, SET_ID, "one"), publish_shared(sets, LATER, "two")
    damage(Path(sets.directory) / f"manifest-{LATER}.json")
    assert sets.remove([first]) == []
    assert swept(sets).kept == ()
    assert sorted(chunks(sets).values()) == ["two"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"\xff"),
        lambda path: path.write_bytes(b""),
        lambda path: os.truncate(path, path.stat().st_size - 1),
        lambda path: os.truncate(path, LARGEST_INDEX + 1),
    ],
)
def test_nothing_is_swept_while_the_index_of_a_lost_manifest_cannot_be_read(
    sets: Sets, damage: Callable[[Path], object]
) -> None:
    first, _second = publish_shared(sets, SET_ID, "one"), publish_shared(sets, LATER, "two")
    (Path(sets.directory) / f"manifest-{LATER}.json").unlink()
    damage(Path(sets.directory) / f"db-{LATER}.index")
    assert sets.remove([first]) == []
    assert len(swept(sets).kept) == 1
    assert sorted(chunks(sets).values()) == ["one", "two"]


def test_few_of_many_missing_chunks_are_named(sets: Sets) -> None:
    one = publish_shared(sets, SET_ID, *map(str, range(9)))
    for path in Path(sets.chunks).iterdir():
        path.unlink()
    assert len(one.absent()) == 4
    assert one.absent()[-1] == f"db-{SET_ID}.index: and 6 more chunks"


def test_a_file_of_several_names_frees_nothing_until_the_last_is_gone(sets: Sets) -> None:
    first, second = publish(sets, SET_ID, "db"), publish(sets, LATER, "db")
    os.unlink(second.path(second.manifest.archives[0]))
    os.link(first.path(first.manifest.archives[0]), second.path(second.manifest.archives[0]))
    assert (sets.freed_by([first]), sets.freed_by([second]), sets.freed_by([first, second])) == (0, 0, 2)
    assert sets.remove([first]) == []
    assert sets.freed_by([second]) == 2


def test_a_publication_that_is_killed_at_any_moment_loses_no_other_set(
    sets: Sets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was moved of a new set, the sets before it are whole, and what stays behind is swept."""

    class Killed(BaseException):
        pass

    publish_shared(sets, SET_ID, "one", "two")
    rename, left = os.rename, [0]

    def killed(source: str, target: str) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        rename(source, target)

    for moves in range(4):
        left[0] = moves
        monkeypatch.setattr(os, "rename", killed)
        with pytest.raises(Killed):
            publish_shared(sets, LATER, "two", "three", "four")
        monkeypatch.setattr(os, "rename", rename)
        with sets.lock("a test"):
            for folder in sets.leftovers():
                sets.discard(folder)
            swept(sets)
        assert set_ids(sets) == [SET_ID]
        assert sets.listing().sets[0].absent() == []
        assert names(sets) == [".lock", "chunks", f"db-{SET_ID}.index", f"manifest-{SET_ID}.json"]
        assert sorted(chunks(sets).values()) == ["one", "two"]
    publish_shared(sets, LATER, "two", "three", "four")
    assert sets.listing().sets[0].absent() == []


def test_the_archive_that_was_made_last(sets: Sets) -> None:
    assert sets.listing().last_archive("db", "shop-db", "none", True) is None
    publish(sets, "20260301-020000", "db")  # without an index
    one = publish_shared(sets, SET_ID, "one")
    publish_shared(sets, "20260101-020000", "zero")
    found = sets.listing().last_archive("db", "shop-db", "none", True)
    assert found is not None
    assert found.path == one.path(one.manifest.archives[0])
    assert [chunk.bytes for chunk in found.index.chunks] == [3]
    for others in (("media", "shop-db", "none", True), ("db", "other", "none", True), ("db", "shop-db", "gzip", True)):
        assert sets.listing().last_archive(*others) is None
    assert sets.listing().last_archive("db", "shop-db", "none", False) is None
    next(Path(sets.chunks).iterdir()).unlink()
    next(Path(sets.chunks).iterdir()).unlink()
    assert sets.listing().last_archive("db", "shop-db", "none", True) is None
