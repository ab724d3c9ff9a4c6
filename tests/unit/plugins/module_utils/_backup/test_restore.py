# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring sets and undoing it: as a whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.journal import Journal, NotRunning, remembered
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.restore import Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineError,
    EngineUnreachable,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import LABELS, Shop, database, tree_of

OLD = {"vendors": 3, "media": 1, "a.png": b"a" * 1000}
NEW = {"vendors": 5, "media": 1, "a.png": b"changed", "b.png": b"b"}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop that went on after a backup."""
    made = Shop(tmp_path)
    made.back_up()
    assert made.data() == OLD
    made.change()
    assert made.data() == NEW
    return made


def restore(shop: Shop, check_mode: bool = False, **params: Any) -> dict[str, Any]:
    return run(Params("shop", **{"stop_app": True, **params}), shop.sets, lambda: shop.engine, shop.clock, check_mode)


def test_a_restore(shop: Shop) -> None:
    result = restore(shop)
    assert shop.data() == OLD
    assert shop.engine.calls == [("stop", "APP"), ("start", "APP")]
    before = [f"{root}.before-20260201-020100" for root in (shop.db, shop.media)]
    size = result.pop("bytes")
    assert size > 8192
    assert result == {
        "changed": True,
        "set": "20260201-020000",
        "volumes": ["shop-db", "shop-media"],
        "created": [],
        "files": 2,
        "would_lose": {
            "tables": {"vendors": 2},
            "newer_files": 3,
            "uploads_gone": 0,
            "summary": "Would be lost: 2 rows of vendors, what changed in 3 files since 2026-02-01 02:00:00 UTC.",
        },
        "stopped": ["app"],
        "downtime": 1.0,
        "safety_copies": before,
        "left": [],
        "notes": [],
        "summary": f"Set 20260201-020000 of shop is in shop-db, shop-media: 2 files, {size // 1024} KiB. "
        "Stopped for 1 s: app. The data from before is kept; ⟦setting restore_undo true⟧ brings it back.",
    }
    assert (Path(before[1]) / "b.png").exists()
    assert [swap.safety_copy for swap in remembered(shop.sets)] == before
    assert shop.sets.leftovers() == []


def test_no_stale_file_remains(shop: Shop) -> None:
    (shop.db / "payload.db-wal").write_bytes(b"stale")
    (shop.db / "payload.db-shm").write_bytes(b"stale")
    restore(shop)
    assert list(tree_of(shop.db)) == ["payload.db"]


def test_a_second_restore_replaces_the_safety_copy(shop: Shop) -> None:
    first = restore(shop)["safety_copies"]
    second = restore(shop)
    assert shop.data() == OLD
    assert second["changed"] is True
    assert second["safety_copies"] != first
    assert shop.folders() == sorted(f"{Path(path).parent.name}/{Path(path).name}" for path in second["safety_copies"])


def test_within_one_second_safety_copies_have_different_names(shop: Shop) -> None:
    shop.engine.takes = 0.0
    first, second = restore(shop)["safety_copies"], restore(shop)["safety_copies"]
    assert first[0].endswith(".before-20260201-020100")
    assert second[0].endswith(".before-20260201-020101")


def test_undo_and_redo(shop: Shop) -> None:
    restored = restore(shop)
    undone = restore(shop, undo=True)
    assert shop.data() == NEW
    assert undone["set"] == restored["set"]
    assert (undone["files"], undone["volumes"]) == (3, ["shop-db", "shop-media"])
    assert undone["would_lose"]["tables"] == {}
    assert undone["summary"].startswith("What was there before set 20260201-020000 is in shop-db, shop-media: 3 files")
    assert len(shop.folders()) == 2
    redone = restore(shop, undo=True)
    assert shop.data() == OLD
    assert redone["would_lose"]["tables"] == {"vendors": 2}
    assert len(shop.folders()) == 2


def test_without_a_safety_copy(shop: Shop) -> None:
    result = restore(shop, safety_copy=False)
    assert shop.data() == OLD
    assert result["safety_copies"] == []
    assert "undo" not in result["summary"]
    assert shop.folders() == []
    with pytest.raises(DockerVpsError, match="so there is nothing to undo"):
        restore(shop, undo=True)


def test_refused_while_a_container_runs(shop: Shop) -> None:
    shop.engine.add_container("other", "shop-media")
    with pytest.raises(DockerVpsError) as caught:
        restore(shop, stop_app=False)
    assert caught.value.message == (
        "app, other run on shop-db, shop-media, so nothing was restored. Would be lost: 2 rows of vendors, what "
        "changed in 3 files since 2026-02-01 02:00:00 UTC. Stop them first, or allow that with "
        "⟦once restore_stop_app true⟧: they are stopped for a moment, when "
        "everything is prepared."
    )
    assert caught.value.evidence["containers"] == ["app", "other"]
    assert shop.data() == NEW
    assert (shop.engine.calls, shop.folders()) == ([], [])


def test_a_stopped_container_stays_stopped(shop: Shop) -> None:
    shop.engine.add_container("app", "shop-db", "shop-media", running=False)
    result = restore(shop, stop_app=False)
    assert (result["stopped"], result["downtime"]) == ([], 0.0)
    assert shop.engine.calls == []
    assert shop.data() == OLD


def test_a_container_that_is_started_meanwhile(shop: Shop) -> None:
    shutil.rmtree(shop.media.parent)
    del shop.engine.volumes["shop-media"]
    shop.engine.add_container("app", "shop-db", running=False)
    shop.engine.on["create_volume", "shop-media"] = lambda: shop.engine.add_container("app", "shop-db")
    with pytest.raises(DockerVpsError, match="app runs on shop-db, shop-media"):
        restore(shop, stop_app=False)
    assert list(shop.engine.volumes) == ["shop-db"]
    assert shop.folders() == []


def test_check_mode_writes_nothing(shop: Shop) -> None:
    listed = tree_of(Path(shop.sets.directory).parent)
    result = restore(shop, check_mode=True, stop_app=False)
    assert tree_of(Path(shop.sets.directory).parent) == listed
    assert (result["changed"], result["stopped"], result["safety_copies"]) == (True, ["app"], [])
    assert result["files"] == 2
    assert result["summary"].startswith("Set 20260201-020000 of shop can be restored into shop-db, shop-media: 2 files")
    assert " To be stopped for it: app. Would be lost: 2 rows of vendors" in result["summary"]
    shop.engine.stop("APP")
    assert "To be stopped" not in restore(shop, check_mode=True)["summary"]


def test_check_mode_of_an_undo(shop: Shop) -> None:
    restore(shop)
    result = restore(shop, check_mode=True, undo=True)
    assert result["files"] == 3
    assert result["summary"].startswith("What was there before set 20260201-020000 can be restored into")
    assert shop.data() == OLD


def test_check_mode_finds_a_flipped_byte(shop: Shop) -> None:
    path = Path(shop.sets.directory, "media-20260201-020000.tar.gz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DockerVpsError, match="media-20260201-020000.tar.gz"):
        restore(shop, check_mode=True)


def test_missing_volumes_are_made_as_compose_made_them(shop: Shop) -> None:
    for name in ("shop-db", "shop-media"):
        shop.engine.containers.clear()
        shop.engine.remove_volume(name)
    result = restore(shop)
    assert shop.data() == OLD
    assert result["created"] == ["shop-db", "shop-media"]
    assert result["summary"].endswith(
        "shop-db, shop-media were not there before, so there is no older data to go back to."
    )
    shop.engine.remove_volume("shop-media")
    half = restore(shop)["summary"]
    assert "The data from before of shop-db is kept; ⟦setting restore_undo true⟧ brings it back." in half
    assert "shop-media was not there before" in half
    assert result["would_lose"]["summary"] == "Nothing would be lost."
    assert shop.engine.volumes["shop-db"]["Labels"] == LABELS


def test_other_volumes_get_no_labels_of_compose(shop: Shop) -> None:
    result = restore(shop, volumes={"db": "trial-db"})
    assert (result["volumes"], result["created"], result["stopped"]) == (["trial-db"], ["trial-db"], [])
    assert shop.engine.volumes["trial-db"]["Labels"] == {}
    assert shop.data() == NEW
    assert list(tree_of(shop.engine.place / "trial-db/_data")) == ["payload.db"]


def test_a_trial_elsewhere_leaves_the_safety_copy_alone(shop: Shop) -> None:
    restore(shop)
    shop.clock.passed += 60
    restore(shop, volumes={"db": "trial-db"})
    restore(shop, undo=True)
    assert shop.data() == OLD
    restore(shop, undo=True, volumes={"db": "shop-db", "media": "shop-media"})
    assert shop.data() == NEW


def test_leftovers_are_recovered_first(shop: Shop) -> None:
    folder = shop.sets.begin("20260201-020030", ".restore-")
    shop.engine.stop("APP")
    Journal(folder).write(containers=("APP",))
    with pytest.raises(DockerVpsError, match="app runs on"):
        restore(shop, stop_app=False)
    assert shop.sets.leftovers() == []


def test_one_at_a_time(shop: Shop) -> None:
    with shop.sets.lock("a backup"), pytest.raises(Locked, match="Cannot begin a restore of shop"):
        restore(shop)


STOPS = EngineError("The Docker engine refused: cannot stop it.")


@pytest.mark.parametrize("call", [("stop", "APP"), ("stop", "WORKER"), ("create_volume", "trial")])
def test_a_failure_before_the_exchange_leaves_the_old_data(shop: Shop, call: tuple[str, str]) -> None:
    shop.engine.add_container("worker", "shop-media")
    shop.engine.fails[call] = STOPS
    volumes = {"db": "shop-db", "media": "trial" if "trial" in call else "shop-media"}
    with pytest.raises(EngineError, match="cannot stop it"):
        restore(shop, volumes=volumes)
    assert shop.data() == NEW
    assert shop.folders() == []
    assert shop.engine.running() == ["APP", "WORKER"]
    assert remembered(shop.sets) == ()


def test_an_engine_that_goes_away_while_it_stops_the_app(shop: Shop) -> None:
    shop.engine.fails["stop", "APP"] = EngineUnreachable("No Docker engine answers.")
    with pytest.raises(EngineUnreachable):
        restore(shop)
    assert shop.data() == NEW
    assert shop.folders() == []


def test_a_container_that_does_not_start_again(shop: Shop) -> None:
    shop.engine.fails["start", "APP"] = EngineError("The Docker engine refused: the port is taken.")
    with pytest.raises(NotRunning, match="app does not run again: The Docker engine refused: the port is taken."):
        restore(shop)
    assert shop.data() == OLD
    assert shop.sets.leftovers() == []
    restore(shop, undo=True)
    assert shop.data() == NEW


@pytest.mark.parametrize("undo", [False, True])
def test_an_undo_that_fails_does_not_throw_the_safety_copies_away(shop: Shop, undo: bool) -> None:
    restore(shop)
    kept = shop.folders()
    shop.engine.fails["stop", "APP"] = STOPS
    with pytest.raises(EngineError):
        restore(shop, undo=undo)
    assert shop.folders() == kept
    shop.engine.fails.clear()
    restore(shop, undo=True)
    assert shop.data() == NEW


def killed(shop: Shop, at: tuple[str, str], **params: Any) -> None:
    """Run in a process that dies silently at a call; return when its watcher is done."""
    child = os.fork()
    if child == 0:
        me = os.getpid()

        def die() -> None:
            if os.getpid() == me:
                os._exit(9)

        shop.engine.on[at] = die
        try:
            restore(shop, **params)
        finally:
            os._exit(0)
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 9
    with open(f"{shop.sets.directory}/.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


@pytest.mark.parametrize(("at", "found"), [(("stop", "APP"), NEW), (("start", "APP"), OLD)])
def test_killed_at_a_call(shop: Shop, at: tuple[str, str], found: dict[str, Any]) -> None:
    killed(shop, at)
    assert shop.data() == found
    assert shop.sets.leftovers() == []
    assert [name for name in shop.folders() if "restoring" in name] == []
    assert bool(shop.folders()) is (found == OLD)


@pytest.mark.parametrize(("at", "found"), [(("stop", "APP"), OLD), (("start", "APP"), NEW)])
def test_an_undo_killed_at_a_call(shop: Shop, at: tuple[str, str], found: dict[str, Any]) -> None:
    restore(shop)
    killed(shop, at, undo=True)
    assert shop.data() == found
    assert len(shop.folders()) == 2
    restore(shop, undo=True)
    assert shop.data() == (OLD if found == NEW else NEW)


def test_a_damaged_live_database_can_be_replaced(shop: Shop) -> None:
    (shop.db / "payload.db").write_bytes(b"SQLite format 3\0" + b"\xa5" * 4080)
    for sidecar in ("-wal", "-shm"):
        (shop.db / f"payload.db{sidecar}").unlink(missing_ok=True)
    assert "SQLite cannot read" in restore(shop)["would_lose"]["summary"]
    assert shop.data() == OLD


def test_a_database_that_is_not_in_the_set_is_lost_as_a_whole(shop: Shop) -> None:
    database(shop.db / "more.db", orders=4)
    assert restore(shop)["would_lose"]["tables"] == {"vendors": 2, "orders": 4}


def test_a_database_that_somebody_uploaded_is_a_file(shop: Shop) -> None:
    database(shop.media / "phone.db", orders=4)
    assert restore(shop)["would_lose"]["tables"] == {"vendors": 2}
    database(shop.media / "another.db", orders=7)
    for _turn in ("undo", "redo"):
        database(shop.db / "payload.db", vendors=5)
        lost = restore(shop, undo=True)["would_lose"]
        assert list(lost["tables"]) == ["vendors"]
        assert "orders" not in lost["summary"]


def test_an_undo_of_uploads_alone_counts_nobodys_rows(shop: Shop) -> None:
    database(shop.media / "phone.db", orders=4)
    shop.back_up()
    restore(shop, volumes={"media": "shop-media"})
    database(shop.media / "another.db", orders=7)
    assert restore(shop, undo=True)["would_lose"]["tables"] == {}


def test_an_undo_takes_no_link_for_a_safety_copy(shop: Shop, tmp_path: Path) -> None:
    kept = restore(shop)["safety_copies"][0]
    os.rename(kept, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", kept)
    with pytest.raises(DockerVpsError, match="or they are gone, so there is nothing to undo"):
        restore(shop, undo=True)
    assert shop.data() == OLD


def test_what_somebody_stopped_during_a_killed_backup_is_told(shop: Shop) -> None:
    stopped = shop.stopped_while_paused()
    assert restore(shop)["summary"].endswith(f" {stopped}")
    assert shop.engine.running() == []
