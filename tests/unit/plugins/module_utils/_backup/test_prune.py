# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing old sets and safety copies, in real directories."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.journal import RECORD, Journal
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.prune import Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import ID_FORMAT
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.retention import Policy
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.text import size
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine, FakeWallClock, Shop
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import publish, publish_shared

NOW = datetime(2026, 2, 1, 2, tzinfo=timezone.utc)
TWO = Params(Policy(last=2, daily=0, weekly=0, monthly=0))


def day(number: int) -> str:
    """Return the timestamp of a set made so many days ago."""
    return (NOW - timedelta(days=number)).strftime(ID_FORMAT)


@pytest.fixture
def sets(tmp_path: Path) -> Sets:
    """A directory with a set of each of the last four days."""
    sets = Sets(str(tmp_path / "backups"), "shop")
    for number in range(4):
        publish(sets, day(number))
    return sets


def no_engine() -> FakeVolumeEngine:
    raise AssertionError("nothing here needs an engine")


def pruned(sets: Sets, params: Params = TWO, check_mode: bool = False) -> dict[str, Any]:
    return run(params, sets, no_engine, FakeWallClock(NOW), check_mode)


def files(sets: Sets) -> list[str]:
    return sorted(name for name in os.listdir(sets.directory) if name != ".lock")


@pytest.mark.parametrize(("check", "removed"), [(True, [day(1), day(2), day(3)]), (False, [day(2), day(3)])])
def test_a_dry_run_counts_the_set_that_would_be_made(sets: Sets, check: bool, removed: list[str]) -> None:
    expected = tuple(archive.name for archive in sets.listing().sets[0].manifest.archives)
    clock = FakeWallClock(NOW + timedelta(hours=1))
    result = run(replace(TWO, expected=expected), sets, no_engine, clock, check)
    assert result["removed"] == removed
    assert len(result["kept"]) == 2


def test_what_no_rule_keeps_is_removed(sets: Sets) -> None:
    result = pruned(sets)
    assert result["removed"] == [day(2), day(3)]
    assert result["kept"] == [day(0), day(1)]
    assert [one["keep"] for one in result["decisions"]] == [True, True, False, False]
    assert result["decisions"][0] == {"id": day(0), "keep": True, "reasons": ["last 1", "newest good set"]}
    assert result["freed"] == 2 * len("db" + "media")
    assert result["summary"] == f"2 sets of shop removed (14 bytes), 2 stay in {sets.directory}."
    assert result["diff"]["before"].splitlines() == [day(0), day(1), day(2), day(3)]
    assert result["diff"]["after"].splitlines() == [day(0), day(1)]
    assert result["changed"] is True
    assert {name.split("-", 1)[1].split(".")[0] for name in files(sets)} == {day(0), day(1)}
    again = pruned(sets)
    assert (again["changed"], again["removed"], again["freed"]) == (False, [], 0)
    assert again["diff"]["before"] == again["diff"]["after"]


def test_check_mode_only_decides(sets: Sets) -> None:
    before = os.listdir(sets.directory)
    result = pruned(sets, check_mode=True)
    assert os.listdir(sets.directory) == before
    assert result["removed"] == [day(2), day(3)]
    assert result["summary"] == f"2 sets of shop would be removed (14 bytes), 2 stay in {sets.directory}."
    real = pruned(sets)
    assert {**result, "summary": ""} == {**real, "summary": ""}


def test_one_set(sets: Sets) -> None:
    params = Params(Policy(last=3, daily=0, weekly=0, monthly=0))
    assert pruned(sets, params)["summary"].startswith("1 set of shop removed (7 bytes), 3 stay")


def test_one_set_stays(sets: Sets) -> None:
    params = Params(Policy(last=1, daily=0, weekly=0, monthly=0))
    assert pruned(sets, params)["summary"] == f"3 sets of shop removed (21 bytes), 1 stays in {sets.directory}."


def test_no_directory(tmp_path: Path) -> None:
    result = pruned(Sets(str(tmp_path / "none"), "shop"))
    assert (result["changed"], result["decisions"]) == (False, [])
    assert not (tmp_path / "none").exists()


def test_a_damaged_set_has_no_place_of_a_good_one(sets: Sets) -> None:
    os.unlink(Path(sets.directory) / f"db-{day(1)}.tar.gz")
    result = pruned(sets)
    assert result["kept"] == [day(0), day(2)]
    assert result["decisions"][1]["reasons"] == [f"it is damaged and {day(0)} is good and newer"]


def test_damage_that_only_reading_shows(sets: Sets) -> None:
    (Path(sets.directory) / f"db-{day(0)}.tar.gz").write_text("bd")
    assert pruned(sets, check_mode=True)["decisions"][0]["reasons"] == ["last 1", "newest good set"]
    result = pruned(sets, Params(TWO.policy, "checksum"), check_mode=True)
    assert result["decisions"][0]["reasons"] == ["damaged, but no good set is newer"]
    assert result["kept"] == [day(0), day(1), day(2)]


def test_what_is_not_ours_to_judge_stays(sets: Sets) -> None:
    publish(Sets(sets.directory, "other"), "20200101-020000", app="other")
    (Path(sets.directory) / "manifest-20200102-020000.json").write_text("{}")
    (Path(sets.directory) / "db-20200103-020000.tar.gz").touch()
    result = pruned(sets)
    assert "manifest-20200102-020000.json" in result["unreadable"][0]
    assert result["orphaned"] == ["db-20200103-020000.tar.gz"]
    for set_id in ("20200101", "20200102", "20200103"):
        assert any(set_id in name for name in files(sets))
    assert [one.manifest.id for one in Sets(sets.directory, "other").listing().sets] == ["20200101-020000"]


def test_one_at_a_time(sets: Sets) -> None:
    with sets.lock("a backup"), pytest.raises(Locked, match="Cannot begin a removal of old backups of shop"):
        pruned(sets)


def test_what_a_killed_run_left_is_set_right_first(sets: Sets, tmp_path: Path) -> None:
    engine = FakeVolumeEngine(tmp_path / "volumes")
    engine.add_container("app", running=False)
    folder = sets.begin("20260201-015500")
    Journal(folder).write(containers=("APP",))
    os.mkdir(os.path.join(sets.directory, f".partial-{day(3)}"))  # a removal that was killed at its beginning
    run(TWO, sets, lambda: engine, FakeWallClock(NOW), False)
    assert engine.running() == ["APP"]
    assert sets.leftovers() == []
    assert [one.manifest.id for one in sets.listing().sets] == [day(0), day(1)]


def test_a_file_that_cannot_be_removed(sets: Sets) -> None:
    path = Path(sets.directory) / f"db-{day(3)}.tar.gz"
    path.unlink()
    path.mkdir()
    with pytest.raises(DockerVpsError, match=r"could not be removed; all others are\. .*db-.*: Is a directory"):
        pruned(sets)


def copy_of(sets: Sets, place: Path, days: float, before: str = "", at: str = "") -> Path:
    """Write down a restore made so many days ago, and make the directory that it kept; return that."""
    live = place / "shop-db/_data"
    kept = Path(before) if before else place / "shop-db/_data.before-20260101-020000"
    live.mkdir(parents=True, exist_ok=True)
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "payload.db").write_text("0123456789")
    when = at or (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    swap = {"volume": "shop-db", "live": str(live), "staged": "", "safety_copy": str(kept), "set": day(0), "at": when}
    (Path(sets.directory) / RECORD).write_text(json.dumps({"swaps": [swap]}))
    return kept


def test_an_old_safety_copy_is_removed(sets: Sets, tmp_path: Path) -> None:
    kept = copy_of(sets, tmp_path, 8)
    occupied = sum(path.stat().st_blocks * 512 for path in kept.iterdir())
    looked = pruned(sets, check_mode=True)
    assert kept.exists()
    result = pruned(sets)
    assert looked["safety_copies"] == result["safety_copies"] == [str(kept)]
    assert not kept.exists()
    assert (tmp_path / "shop-db/_data").is_dir()
    assert result["freed"] == 14 + occupied
    assert result["left"] == []
    assert result["summary"] == (
        f"2 sets of shop and 1 copy that restores had kept removed ({size(14 + occupied)}), 2 stay in {sets.directory}."
    )
    assert str(kept) in result["diff"]["before"]
    assert str(kept) not in result["diff"]["after"]
    assert pruned(sets)["changed"] is False


def test_a_young_safety_copy_stays(sets: Sets, tmp_path: Path) -> None:
    kept = copy_of(sets, tmp_path, 6)
    assert pruned(sets)["safety_copies"] == []
    assert kept.exists()
    assert pruned(sets, Params(TWO.policy, before_days=5))["safety_copies"] == [str(kept)]


def test_only_what_a_restore_names_so_is_removed(sets: Sets, tmp_path: Path) -> None:
    for name in ("elsewhere/_data.before-20260101-020000", "shop-db/_data.before-", "shop-db/_data", "shop-db"):
        kept = copy_of(sets, tmp_path, 8, str(tmp_path / name))
        result = pruned(sets)
        assert result["safety_copies"] == []
        assert [f"{RECORD} is damaged" in one for one in result["unreadable"]] == [True]
        assert kept.exists()


def test_a_link_in_the_place_of_a_safety_copy_is_left_alone(sets: Sets, tmp_path: Path) -> None:
    kept = copy_of(sets, tmp_path, 8)
    os.rename(kept, tmp_path / "precious")
    kept.symlink_to(tmp_path / "precious")
    assert pruned(sets)["safety_copies"] == []
    assert (tmp_path / "precious/payload.db").exists()


def test_a_safety_copy_of_an_unknown_time_is_left_alone(sets: Sets, tmp_path: Path) -> None:
    kept = copy_of(sets, tmp_path, 8, at="yesterday")
    assert pruned(sets)["safety_copies"] == []
    assert kept.exists()


def test_the_last_set_before_a_loss_stays(sets: Sets) -> None:
    old = sets.find(day(3), NOW).manifest
    last = sets.find(day(0), NOW).manifest
    sets.record(replace(last, losses=("Gone.",), lost_since=(old.id,)))
    result = pruned(sets)
    assert (result["removed"], result["kept"]) == ([day(2)], [day(0), day(1), day(3)])
    assert result["decisions"][-1]["reasons"] == [f"the last before a loss that set {day(0)} tells of"]
    sets.record(replace(last, losses=("Gone.",)))
    assert pruned(sets)["removed"] == [day(3)]


def test_a_set_that_a_rollback_needs_stays(sets: Sets) -> None:
    sets.hold({day(2): "the data before release 20260501-000000"})
    result = pruned(sets)
    assert (result["removed"], result["kept"]) == ([day(3)], [day(0), day(1), day(2)])
    assert result["decisions"][2]["reasons"] == ["the data before release 20260501-000000"]
    sets.hold({})
    assert pruned(sets)["removed"] == [day(2)]


def test_a_set_of_the_future_holds_nothing(sets: Sets) -> None:
    publish(sets, day(-5), losses=("Gone.",), lost_since=(day(3),))
    assert pruned(sets)["removed"] == [day(2), day(3)]


OTHER_KINDS = [
    json.dumps({"swaps": [{**dict.fromkeys(("volume", "live", "staged", "set"), "x"), "safety_copy": one, "at": at}]})
    for one, at in ((3, "2026-01-01T02:00:00Z"), ("/x.before-20260101-020000", 5))
]


@pytest.mark.parametrize("text", ["{", "[]", '{"swaps": 1}', '{"swaps": [{"live": 1}]}', "[" * 100_000, *OTHER_KINDS])
def test_a_damaged_record_of_restores_is_told_and_stops_nothing(sets: Sets, text: str) -> None:
    (Path(sets.directory) / RECORD).write_text(text)
    result = pruned(sets)
    assert result["removed"] == [day(2), day(3)]
    assert [f"{RECORD} is damaged, so nobody knows which" in one for one in result["unreadable"]] == [True]


def test_a_damaged_journal_is_one_sentence(sets: Sets) -> None:
    folder = sets.begin("20260201-015500")
    (Path(folder) / "journal.json").write_text('{"containers": []}')
    with pytest.raises(DockerVpsError, match=r"journal\.json is damaged, so nobody knows which"):
        pruned(sets)


def test_what_somebody_stopped_during_a_killed_backup_is_told(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    stopped = shop.stopped_while_paused()
    assert run(TWO, shop.sets, lambda: shop.engine, shop.clock, False)["summary"].endswith(f" {stopped}")


def test_chunks_that_no_set_has_go_and_nothing_else(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.back_up(store="shared")
    (shop.media / "a.png").write_bytes(b"changed")
    shop.back_up(store="shared")
    chunks = Path(shop.sets.chunks)
    before = {path.name for path in chunks.iterdir()}
    (chunks / ("ab" * 32)).write_bytes(b"of a backup that was killed")
    (chunks / "README").write_text("of somebody")
    (chunks / "lost+found").mkdir()
    keeping = Params(Policy(last=2))
    result = run(keeping, shop.sets, lambda: shop.engine, shop.clock, check_mode=True)
    assert (result["changed"], result["removed"], result["freed"]) == (True, [], 27)
    result = run(keeping, shop.sets, lambda: shop.engine, shop.clock, check_mode=False)
    assert (result["changed"], result["removed"], result["freed"]) == (True, [], 27)
    assert {path.name for path in chunks.iterdir()} == before | {"README", "lost+found"}
    again = run(keeping, shop.sets, lambda: shop.engine, shop.clock, check_mode=False)
    assert (again["changed"], again["freed"]) == (False, 0)
    run(
        Params(Policy(last=1, daily=0, weekly=0, monthly=0)),
        shop.sets,
        lambda: shop.engine,
        shop.clock,
        check_mode=False,
    )
    (left,) = shop.sets.listing().sets
    indexes = [index for index in map(left.index, left.manifest.archives) if index]
    used = {chunk.sha256 for index in indexes for chunk in index.chunks}
    assert {path.name for path in chunks.iterdir()} == used | {"README", "lost+found"}
    assert used < before


def shared(tmp_path: Path) -> Sets:
    """A directory with a set of each of the last four days, which share chunks, and what others have there."""
    sets = Sets(str(tmp_path / "backups"), "shop")
    for number in range(4):
        publish_shared(sets, day(number), "of all", f"of day {number}", f"of days {number // 2}")
    publish_shared(Sets(sets.directory, "other"), "20200101-020000", "of another", app="other")
    publish_shared(sets, "20200102-020000", "of a lost manifest")
    os.unlink(Path(sets.directory) / "manifest-20200102-020000.json")
    return sets


def contents(sets: Sets) -> list[str]:
    return sorted(path.read_text() for path in Path(sets.chunks).iterdir())


KEPT = ["of a lost manifest", "of all", "of another", "of day 0", "of day 1", "of days 0"]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("damaged", [0, 3, None])
def test_a_removal_reads_each_index_once(
    tmp_path: Path, files_opened: list[str], damaged: Optional[int], check: bool
) -> None:
    sets = shared(tmp_path)
    indexes, before = [file for file in files(sets) if file.endswith(".index")], contents(sets)
    if damaged is not None:
        Path(sets.directory, f"db-{day(damaged)}.index").write_text("{")
    files_opened.clear()
    result = pruned(sets, TWO, check)
    assert sorted(file for file in files_opened if file.endswith(".index")) == indexes
    blocked = [problem for problem in result["unreadable"] if problem.startswith("No shared chunk can be removed")]
    assert len(blocked) == (damaged == 0)
    assert contents(sets) == (before if check or blocked else KEPT)


def test_a_dry_run_of_shared_chunks_tells_what_is_freed(tmp_path: Path) -> None:
    sets = shared(tmp_path)
    indexes = sum(os.path.getsize(Path(sets.directory, f"db-{day(number)}.index")) for number in (2, 3))
    expected = indexes + len("of day 2" + "of day 3" + "of days 1")
    assert [pruned(sets, check_mode=check)["freed"] for check in (True, False)] == [expected, expected]


def test_a_set_that_is_made_during_a_removal_keeps_its_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not one of those that the decision is about, and names a chunk that only sets which go had before."""
    sets = shared(tmp_path)
    predicted, rename = pruned(sets, check_mode=True)["freed"], os.rename

    def meanwhile(source: str, target: str) -> None:
        monkeypatch.setattr(os, "rename", rename)
        publish_shared(sets, "20260201-015959", "of day 3", "new")
        rename(source, target)

    monkeypatch.setattr(os, "rename", meanwhile)
    result = pruned(sets)
    assert (result["removed"], result["freed"]) == ([day(2), day(3)], predicted - len("of day 3"))
    assert contents(sets) == sorted([*KEPT, "of day 3", "new"])
    assert all(backup_set.absent() == [] for backup_set in sets.listing().sets)


def test_a_set_that_cannot_be_removed_keeps_its_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets, rename = shared(tmp_path), os.rename

    def refuse(source: str, target: str) -> None:
        if day(3) in source:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(DockerVpsError, match=f"Set {day(3)} cannot be removed: Operation not permitted"):
        pruned(sets)
    assert contents(sets) == sorted([*KEPT, "of day 3", "of days 1"])


def test_a_shared_chunk_is_read_once(tmp_path: Path, files_opened: list[str]) -> None:
    sets = shared(tmp_path)
    (name,) = [path.name for path in Path(sets.chunks).iterdir() if path.read_text() == "of all"]
    files_opened.clear()
    assert pruned(sets, replace(TWO, level="checksum"))["kept"] == [day(0), day(1)]
    assert files_opened.count(name) == 1
