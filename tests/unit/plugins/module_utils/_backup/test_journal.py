# SPDX-License-Identifier: GPL-3.0-or-later
"""What was begun is finished or undone by whoever comes next, from wherever it stopped."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.journal import (
    ENGINE_BACK_WITHIN,
    RECORD,
    Journal,
    NotRunning,
    Swap,
    cannot_be_removed,
    carry_through,
    damage_of_record,
    go_on,
    left_behind,
    patiently,
    read,
    recover,
    recover_all,
    recover_unheard,
    recovering,
    remembered,
    superseded,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineError,
    EngineUnreachable,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import RESTORE
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine, FakeWallClock, tree_of

REFUSED = EngineError("The Docker engine refused: no.")
AWAY = EngineUnreachable("No Docker engine answers.")


@pytest.fixture
def sets(tmp_path: Path) -> Sets:
    found = Sets(str(tmp_path / "backups"), "shop")
    found.prepare()
    return found


@pytest.fixture
def engine(tmp_path: Path) -> FakeVolumeEngine:
    return FakeVolumeEngine(tmp_path / "docker")


def staged(engine: FakeVolumeEngine, name: str, set_id: str = "20260201-020000") -> Swap:
    """Make a volume with old data, and new data beside it."""
    live = engine.add_volume(name)
    (live / "file").write_text(f"old {name}")
    beside = live.parent / f"_data.restoring-{set_id}"
    beside.mkdir()
    (beside / "file").write_text(f"new {name}")
    before = str(live.parent / f"_data.before-{set_id}")
    return Swap(name, str(live), str(beside), before, "20260131-020000", "2026-02-01T02:00:00+0000")


def known(swap: Swap) -> Swap:
    """Return a swap as a decided journal has it."""
    return replace(swap, inode=os.stat(swap.staged).st_ino)


def begun(sets: Sets, **facts: Any) -> Journal:
    return Journal(sets.begin("20260201-020000", RESTORE)).write(**facts)


def settle(sets: Sets, journal: Journal, engine: FakeVolumeEngine) -> None:
    recover(sets, journal.folder, lambda: engine, FakeWallClock())
    assert not os.path.exists(journal.folder)


def test_a_journal_is_read_as_it_was_written(sets: Sets, engine: FakeVolumeEngine) -> None:
    folder = sets.begin("20260201-020000", RESTORE)
    assert read(folder) == Journal(folder)
    written = Journal(folder).write(containers=("A",), created=("db",), swaps=(staged(engine, "db"),))
    assert read(folder) == written
    assert read(folder) != written.write(decided=True, safety_copy=False) == read(folder)
    assert os.stat(f"{folder}/journal.json").st_mode & 0o777 == 0o600


def test_a_folder_that_is_gone_needs_nothing(sets: Sets, engine: FakeVolumeEngine) -> None:
    recover(sets, f"{sets.directory}/.restore-20260201-020000", lambda: engine, FakeWallClock())
    assert os.listdir(sets.directory) == []


def test_nothing_written_down_needs_no_engine(sets: Sets) -> None:
    def connect() -> FakeVolumeEngine:
        raise AssertionError("asked for the engine")

    folder = sets.begin("20260201-020000", RESTORE)
    recover(sets, folder, connect, FakeWallClock())
    assert not os.path.exists(folder)


def test_what_was_not_decided_is_thrown_away(sets: Sets, engine: FakeVolumeEngine) -> None:
    swaps = staged(engine, "db"), staged(engine, "media")
    engine.add_container("app", "db", running=False)
    settle(sets, begun(sets, swaps=swaps, created=("media", "never"), containers=("APP", "GONE")), engine)
    assert tree_of(engine.place) == {"db/_data/file": b"old db"}
    assert list(engine.volumes) == ["db"]
    assert engine.running() == ["APP"]
    assert remembered(sets) == ()


def test_a_new_volume_that_somebody_uses_already_stays(sets: Sets, engine: FakeVolumeEngine) -> None:
    swap = staged(engine, "db")
    engine.add_container("app", "db")
    settle(sets, begun(sets, swaps=(swap,), created=("db",)), engine)
    assert tree_of(engine.place) == {"db/_data/file": b"old db"}


def test_a_volume_that_cannot_be_removed_now_is_left_for_the_next_one(sets: Sets, engine: FakeVolumeEngine) -> None:
    engine.add_volume("db")
    engine.fails["remove_volume", "db"] = AWAY
    journal = begun(sets, created=("db",))
    with pytest.raises(EngineUnreachable):
        recover(sets, journal.folder, lambda: engine, FakeWallClock())
    engine.fails.clear()
    settle(sets, journal, engine)
    assert engine.volumes == {}


@pytest.mark.parametrize(("sleeps", "left"), [(3, False), (1000, True)])
def test_what_cannot_be_removed_yet_is_tried_again(
    sets: Sets, engine: FakeVolumeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sleeps: int, left: bool
) -> None:
    # As long as the dead run's tar writes; a command that fails stands for that.
    swap, path = staged(engine, "db"), os.environ["PATH"]
    (tmp_path / "rm").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "rm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{path}")

    class Clock(FakeWallClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if len(self.slept) == sleeps:
                monkeypatch.setenv("PATH", path)

    clock, journal = Clock(), begun(sets, swaps=(swap,))
    recover(sets, journal.folder, lambda: engine, clock)
    assert os.path.lexists(swap.staged) is left
    assert len(clock.slept) == 3 or clock.passed == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize("done", range(5))
def test_what_was_decided_is_carried_through_from_anywhere(sets: Sets, engine: FakeVolumeEngine, done: int) -> None:
    swaps = staged(engine, "db"), staged(engine, "media")
    engine.add_container("app", "db", running=False)
    journal = begun(sets, swaps=swaps, containers=("APP",), decided=True)
    renames = [pair for swap in swaps for pair in ((swap.live, swap.safety_copy), (swap.staged, swap.live))]
    for source, target in renames[:done]:
        os.rename(source, target)
    settle(sets, journal, engine)
    assert tree_of(engine.place) == {
        f"{name}/_data{suffix}/file": f"{age} {name}".encode()
        for name in ("db", "media")
        for suffix, age in (("", "new"), (".before-20260201-020000", "old"))
    }
    assert engine.running() == ["APP"]
    assert remembered(sets) == swaps
    assert os.stat(f"{sets.directory}/last-restore.json").st_mode & 0o777 == 0o600


def test_an_exchange_waits_for_whoever_was_started_since(sets: Sets, engine: FakeVolumeEngine) -> None:
    """A container keeps the directory that it was started with, and would go on writing where nobody looks."""
    swap = staged(engine, "db")
    engine.add_container("app", "db")
    journal = begun(sets, swaps=(swap,), decided=True, containers=("gone",))
    with pytest.raises(DockerVpsError) as caught:
        settle(sets, journal, engine)
    assert "restore of set 20260131-020000 was interrupted" in caught.value.message
    assert "stop app and run the same again" in caught.value.message
    assert tree_of(Path(swap.live)) == {"file": b"old db"}
    engine.stop("APP")
    settle(sets, journal, engine)
    assert tree_of(Path(swap.live)) == {"file": b"new db"}


def test_keeping_the_live_data_instead(sets: Sets, engine: FakeVolumeEngine) -> None:
    swap = staged(engine, "db")
    engine.add_container("app", "db")
    journal = begun(sets, swaps=(known(swap),), decided=True)
    shutil.rmtree(swap.staged)
    with pytest.raises(DockerVpsError, match="db does not hold set 20260131-020000"):
        settle(sets, journal, engine)
    assert tree_of(Path(swap.live)) == {"file": b"old db"}
    assert engine.running() == ["APP"]
    assert sets.leftovers() == []


@pytest.mark.parametrize("made_anew", [True, False])
def test_a_volume_that_was_removed_since_is_told_once(
    sets: Sets, engine: FakeVolumeEngine, tmp_path: Path, made_anew: bool
) -> None:
    db, media = staged(engine, "db"), staged(engine, "media")
    journal = begun(sets, swaps=(known(db), known(media)), decided=True)
    Path(db.live).parent.rename(tmp_path / "gone")  # removed, the file system might give its inodes to the new one
    if made_anew:
        Path(db.live).mkdir(parents=True)
    with pytest.raises(DockerVpsError, match="db does not hold set .* Restore that set again"):
        settle(sets, journal, engine)
    assert tree_of(Path(media.live)) == {"file": b"new media"}
    assert sets.leftovers() == []


def test_an_exchange_that_the_file_system_refuses(sets: Sets, engine: FakeVolumeEngine) -> None:
    swap = staged(engine, "db")
    os.mkdir(swap.safety_copy)
    Path(swap.safety_copy, "in the way").touch()
    journal = begun(sets, swaps=(swap,), containers=("APP",), decided=True)
    with pytest.raises(DockerVpsError, match="cannot be exchanged for .*: Directory not empty"):
        recover(sets, journal.folder, lambda: engine, FakeWallClock())
    shutil.rmtree(swap.safety_copy)
    settle(sets, journal, engine)
    assert Path(swap.live, "file").read_text() == "new db"


def test_older_safety_copies_of_the_same_volumes_only_are_removed(sets: Sets, engine: FakeVolumeEngine) -> None:
    first = staged(engine, "db"), staged(engine, "trial"), staged(engine, "removed")
    settle(sets, begun(sets, swaps=first, decided=True), engine)
    shutil.rmtree(first[2].safety_copy)
    again = staged(engine, "db", "20260202-020000")
    settle(sets, begun(sets, swaps=(again,), decided=True), engine)
    assert not os.path.exists(first[0].safety_copy)
    assert os.path.exists(first[1].safety_copy)
    assert os.path.exists(again.safety_copy)
    assert remembered(sets) == (first[1], again)


def test_what_was_before_may_be_removed_too(sets: Sets, engine: FakeVolumeEngine) -> None:
    first, again = staged(engine, "db"), staged(engine, "db", "20260202-020000")
    settle(sets, begun(sets, swaps=(first,), decided=True), engine)
    settle(sets, begun(sets, swaps=(again,), decided=True, safety_copy=False), engine)
    assert os.listdir(engine.place / "db") == ["_data"]
    assert remembered(sets) == (again,)


def test_finishing_twice_is_as_good_as_once(sets: Sets, engine: FakeVolumeEngine) -> None:
    swap = staged(engine, "db")
    settle(sets, begun(sets, swaps=(swap,), decided=True), engine)
    settle(sets, begun(sets, swaps=(swap,), decided=True), engine)
    assert Path(swap.live, "file").read_text() == "new db"
    assert Path(swap.safety_copy, "file").read_text() == "old db"


def test_a_volume_without_its_directory_gets_the_new_one(engine: FakeVolumeEngine) -> None:
    swap = staged(engine, "db")
    shutil.rmtree(swap.live)
    carry_through([swap])
    assert tree_of(engine.place) == {"db/_data/file": b"new db"}


def test_containers_go_on_as_they_were(engine: FakeVolumeEngine) -> None:
    engine.add_container("app", running=False)
    engine.add_container("worker", paused=True)
    go_on(engine, ["APP", "WORKER", "GONE"])
    assert engine.calls == [("start", "APP"), ("unpause", "WORKER")]


@pytest.mark.parametrize(
    ("frozen", "calls"), [(False, [("stop", "APP"), ("start", "APP")]), (True, [("unpause", "APP")])]
)
def test_a_stop_that_is_under_way_is_waited_for(
    sets: Sets, engine: FakeVolumeEngine, frozen: bool, calls: list[tuple[str, str]]
) -> None:
    engine.add_container("app", paused=frozen)
    settle(sets, begun(sets, containers=("APP",), frozen=frozen), engine)
    assert engine.calls == calls


def test_what_somebody_stopped_stays_so_and_is_told(sets: Sets, engine: FakeVolumeEngine) -> None:
    engine.add_container("app", running=False)
    engine.add_container("worker")  # the killed run may have let it go on itself
    journal = begun(sets, containers=("APP", "WORKER"), frozen=True)
    expected = ["Somebody stopped app while it was paused, so it stays stopped; docker start app starts it."]
    recover_unheard(sets, journal.folder, lambda: engine, FakeWallClock())
    assert engine.running() == ["WORKER"]
    assert read(journal.folder).containers == ()
    assert recover_all(sets, lambda: engine, FakeWallClock()) == expected
    assert sets.leftovers() == []
    assert recover_all(sets, lambda: engine, FakeWallClock()) == []


@pytest.mark.parametrize("error", [EngineError("No."), KeyboardInterrupt()])
def test_a_failure_tells_what_somebody_stopped(sets: Sets, engine: FakeVolumeEngine, error: BaseException) -> None:
    engine.add_container("app", running=False)
    journal = begun(sets, containers=("APP",), frozen=True)
    with pytest.raises(type(error)) as caught, recovering(sets, journal.folder, lambda: engine, FakeWallClock()):
        raise error
    later = recover_all(sets, lambda: engine, FakeWallClock())
    messages = [str(caught.value).partition(" ")[2]] if isinstance(error, EngineError) else later
    assert messages == ["Somebody stopped app while it was paused, so it stays stopped; docker start app starts it."]
    assert len(later) == isinstance(error, KeyboardInterrupt)


def test_a_stop_that_fails_is_no_reason_not_to_start(sets: Sets, engine: FakeVolumeEngine) -> None:
    engine.add_container("app")
    engine.fails["stop", "APP"] = REFUSED
    settle(sets, begun(sets, containers=("APP",)), engine)
    assert engine.calls == [("stop", "APP"), ("start", "APP")]


def test_a_container_that_cannot_start_holds_nothing_up(sets: Sets, engine: FakeVolumeEngine) -> None:
    swap = staged(engine, "db")
    engine.add_container("app", "db", running=False)
    engine.add_container("worker", "db", running=False)
    engine.fails["start", "APP"] = REFUSED
    journal = begun(sets, swaps=(swap,), containers=("APP", "WORKER"), decided=True)
    with pytest.raises(NotRunning, match=r"^app does not run again: The Docker engine refused: no\. Fix that"):
        settle(sets, journal, engine)
    assert not os.path.exists(journal.folder)
    assert engine.running() == ["WORKER"]
    assert Path(swap.live, "file").read_text() == "new db"
    assert remembered(sets) == (swap,)


def test_an_engine_that_goes_away_again_is_left_for_the_next_one(sets: Sets, engine: FakeVolumeEngine) -> None:
    engine.add_container("app", running=False)
    engine.fails["start", "APP"] = AWAY
    journal = begun(sets, containers=("APP",))
    with pytest.raises(EngineUnreachable):
        recover(sets, journal.folder, lambda: engine, FakeWallClock())
    engine.fails.clear()
    settle(sets, journal, engine)
    assert engine.running() == ["APP"]


def away_until(second: float, clock: FakeWallClock, engine: FakeVolumeEngine) -> Callable[[], FakeVolumeEngine]:
    def connect() -> FakeVolumeEngine:
        if clock.passed < second:
            raise AWAY
        return engine

    return connect


def test_an_engine_that_restarts_is_waited_for(engine: FakeVolumeEngine) -> None:
    clock = FakeWallClock()
    assert patiently(away_until(7, clock, engine), clock) is engine
    assert clock.passed == 7


def test_an_engine_that_does_not_come_back(engine: FakeVolumeEngine) -> None:
    clock = FakeWallClock()
    with pytest.raises(DockerVpsError, match="No Docker engine answers. Something was left half-done"):
        patiently(away_until(1000, clock, engine), clock)
    assert clock.passed == ENGINE_BACK_WITHIN


VICTIMS = (
    "victim",
    "db/_data",
    "db/_data.before-",
    "db/_data.before-20260201-020000/in",
    "db/_data.restoring-20260201-020000",
    "other/_data.before-20260201-020000",
)


@pytest.mark.parametrize("name", VICTIMS)
@pytest.mark.parametrize("key", ["swaps", "superseded"])
def test_a_record_is_believed_only_with_names_that_a_restore_gives(
    sets: Sets, engine: FakeVolumeEngine, key: str, name: str
) -> None:
    swap = staged(engine, "db")
    victim = engine.place / name
    (victim / "precious").mkdir(parents=True)
    entry = asdict(replace(swap, safety_copy=str(victim)))
    Path(sets.directory, RECORD).write_text(json.dumps({"swaps": [], "superseded": [], key: [entry]}))
    assert (remembered(sets), superseded(sets), left_behind(sets)) == ((), (), {})
    assert [f"{RECORD} is damaged, so nobody knows" in one for one in damage_of_record(sets)] == [True]
    settle(sets, begun(sets, swaps=(staged(engine, "db", "20260202-020000"),), decided=True), engine)
    assert sum(1 for _unused in engine.place.rglob("precious")) == 1


@pytest.mark.parametrize("name", [*VICTIMS[:3], *VICTIMS[5:]])
@pytest.mark.parametrize(("field", "decided"), [("staged", False), ("staged", True), ("safety_copy", True)])
def test_so_is_a_journal(sets: Sets, engine: FakeVolumeEngine, name: str, field: str, decided: bool) -> None:
    swap = staged(engine, "db")
    victim = engine.place / name
    (victim / "precious").mkdir(parents=True, exist_ok=True)
    changed = replace(swap, **{field: str(victim)})
    journal = begun(sets, swaps=(changed,), decided=decided, safety_copy=False)
    with pytest.raises(DockerVpsError, match=r"journal\.json is damaged, so nobody knows which"):
        settle(sets, journal, engine)
    assert (victim / "precious").is_dir()


def test_a_link_in_the_place_of_a_superseded_copy_is_left_alone(
    sets: Sets, engine: FakeVolumeEngine, tmp_path: Path
) -> None:
    swap = staged(engine, "db")
    (tmp_path / "precious").mkdir()
    os.symlink(tmp_path / "precious", swap.safety_copy)
    Path(sets.directory, RECORD).write_text(json.dumps({"swaps": [], "superseded": [asdict(swap)]}))
    assert (superseded(sets), damage_of_record(sets)) == ((), [])
    assert left_behind(sets) == {}
    assert os.path.islink(swap.safety_copy)


@pytest.mark.parametrize(
    "changes",
    [{one: 5} for one in ("volume", "live", "staged", "safety_copy", "set", "at")]
    + [{"at": None}, {"at": "yesterday"}, {"at": "2026-02-01T02:00:00"}, {"inode": "1"}, {"live": "db"}, {"own": 1}],
)
def test_values_of_another_kind_are_damage(sets: Sets, engine: FakeVolumeEngine, changes: dict[str, Any]) -> None:
    swap = {**asdict(staged(engine, "db")), **changes}
    Path(sets.directory, RECORD).write_text(json.dumps({"swaps": [swap]}))
    assert len(damage_of_record(sets)) == 1
    assert remembered(sets) == ()
    folder = begun(sets).folder
    for given in ({"swaps": [swap]}, {"containers": "APP"}, {"containers": [1]}, {"created": None}):
        whole = {"containers": [], "created": [], "swaps": [], "safety_copy": True, "decided": True, "frozen": False}
        Path(folder, "journal.json").write_text(json.dumps({**whole, **given}))
        with pytest.raises(DockerVpsError, match="is damaged"):
            read(folder)


def test_a_record_from_before_it_knew_whose_databases_are_where(sets: Sets, engine: FakeVolumeEngine) -> None:
    swap = staged(engine, "db")
    old = {key: value for key, value in asdict(swap).items() if key not in ("own", "inode")}
    Path(sets.directory, RECORD).write_text(json.dumps({"swaps": [old]}))
    assert remembered(sets) == (swap,)


def test_what_is_said_of_all_copies_that_stay_is_said_once() -> None:
    assert cannot_be_removed({}) == []
    messages = " ".join(cannot_be_removed({"/b": "no", "/a": "busy"}))
    assert messages == (
        "The safety copy /a is not needed any more, and cannot be removed: busy. The safety copy /b is not needed any "
        "more, and cannot be removed: no. It is tried again each time; chattr -R -i and -a take away attributes that "
        "forbid it."
    )


def test_several_containers_that_cannot_start(engine: FakeVolumeEngine) -> None:
    for name in ("app", "worker"):
        engine.add_container(name, running=False)
        engine.fails["start", name.upper()] = REFUSED
    with pytest.raises(NotRunning, match=r"app does .* worker does .* Fix that, and start them with docker start\.$"):
        go_on(engine, ["APP", "WORKER"])
