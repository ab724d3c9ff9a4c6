# SPDX-License-Identifier: GPL-3.0-or-later
"""How the databases of an application are tended: when it is paused, and that it goes on whatever happens."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import database_upkeep
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.database_upkeep import PAUSES, Params, Tended
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import EngineError
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import Shop
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._store.test_sqlite_upkeep import filled

VOLUMES = {"db": "shop-db", "media": "shop-media", "gone": "shop-gone"}
NAME = "shop-db/payload.db"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    for path in shop.db.iterdir():
        path.unlink()
    filled(shop.db / "payload.db")
    shop.sets.prepare()
    return shop


def tended(shop: Shop, check_mode: bool = False, **params: Any) -> Tended:
    wanted = Params(VOLUMES, **params)
    (row,) = database_upkeep.run(wanted, shop.sets, lambda: shop.engine, shop.clock, check_mode)
    return row


def test_the_application_is_paused_while_its_database_is_tended(shop: Shop) -> None:
    shop.engine.on[("pause", "APP")] = lambda: None
    row = tended(shop)
    assert (row.name, row.optimized, row.vacuumed, row.freed) == (NAME, ('a "post',), False, 0)
    assert (row.changed, row.note, row.problem) == (True, "", "")
    assert row.paused == 1.0  # each change takes half a second
    assert shop.engine.calls == [("pause", "APP"), ("unpause", "APP")]
    assert os.listdir(shop.sets.directory) == []


def test_a_second_time_nobody_is_paused(shop: Shop) -> None:
    tended(shop, vacuum=True)
    shop.engine.calls.clear()
    row = tended(shop, vacuum=True)
    assert (row.changed, row.freed, row.paused, shop.engine.calls) == (False, 0, 0.0, [])
    assert row.note.startswith("no VACUUM, since only ")


def test_check_mode_tells_the_same(shop: Shop) -> None:
    told = tended(shop, check_mode=True, vacuum=True)
    assert (told.optimized, told.vacuumed, shop.engine.calls) == (('a "post',), True, [])
    done = tended(shop, vacuum=True)
    assert done.freed == pytest.approx(told.freed, rel=0.1)
    assert done.bytes == (shop.db / "payload.db").stat().st_size


def test_an_application_that_does_not_run_is_not_paused(shop: Shop) -> None:
    shop.engine.stop("APP")
    shop.engine.calls.clear()
    row = tended(shop, vacuum=True)
    assert (row.vacuumed, row.paused, shop.engine.calls) == (True, 0.0, [])
    assert [path.name for path in shop.db.iterdir()] == ["payload.db"]


def test_a_pause_that_meets_a_lock_is_followed_by_another_one(shop: Shop) -> None:
    with closing(sqlite3.connect(shop.db / "payload.db", isolation_level=None)) as user:
        user.execute("BEGIN IMMEDIATE")
        user.execute("INSERT INTO bare DEFAULT VALUES")
        pauses = []

        def paused() -> None:
            pauses.append(1)
            if len(pauses) == 3:
                user.execute("COMMIT")

        shop.engine.on[("pause", "APP")] = paused
        row = tended(shop, vacuum=True)
        assert (row.vacuumed, row.problem, len(pauses)) == (True, "", 3)
        assert user.execute("SELECT count(*) FROM bare").fetchone() == (1,)


def test_a_lock_that_stays_is_told(shop: Shop) -> None:
    with closing(sqlite3.connect(shop.db / "payload.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        row = tended(shop, vacuum=True)
    assert (row.changed, row.freed) == (False, 0)
    assert row.problem == "no PRAGMA optimize, since another process keeps it locked; the next run tries again"
    assert len(shop.engine.calls) == 2 * PAUSES
    assert shop.engine.calls[-1] == ("unpause", "APP")


def test_a_reader_that_does_not_let_go_is_told(shop: Shop) -> None:
    with closing(sqlite3.connect(shop.db / "payload.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM bare").fetchall()
        row = tended(shop, vacuum=True)
    assert (row.vacuumed, row.problem) == (True, "its file is shortened when whoever reads it lets go")


def test_a_vacuum_without_room_is_refused_before_anybody_is_paused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    full = os.statvfs(shop.db)
    facts = list(full)
    facts[4] = 1  # f_bavail, a block
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(facts))
    row = tended(shop, vacuum=True)
    assert row.problem.startswith("no VACUUM, since it needs 70 MiB at ")
    assert (row.vacuumed, row.optimized) == (False, ('a "post',))


def test_what_takes_too_long_is_undone_and_told(shop: Shop) -> None:
    tended(shop)
    row = tended(shop, vacuum=True, within=0.0)
    assert (row.vacuumed, row.freed) == (False, 0)
    assert row.problem.startswith("VACUUM took longer than 0 s, and was undone; ")
    assert shop.engine.calls[-1] == ("unpause", "APP")


def test_a_database_that_cannot_be_read_is_told(shop: Shop) -> None:
    path = shop.db / "payload.db"
    path.write_bytes(path.read_bytes()[:100] + b"x" * 5000)
    row = tended(shop)
    assert "payload.db" in row.problem
    assert (row.changed, shop.engine.calls) == (False, [])


def test_an_engine_that_refuses_leaves_nobody_paused(shop: Shop) -> None:
    shop.engine.add_container("worker", "shop-db")
    shop.engine.fails[("pause", "WORKER")] = EngineError("The Docker engine refused: no.")
    with pytest.raises(EngineError, match="refused: no"):
        tended(shop)
    assert not any(each["State"]["Paused"] for each in shop.engine.containers.values())
    assert os.listdir(shop.sets.directory) == []
