# SPDX-License-Identifier: GPL-3.0-or-later
"""Real databases, tended while others read and write them."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import sqlite_upkeep
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sqlite_upkeep import (
    CHECKPOINT,
    OPTIMIZE,
    VACUUM,
    Gave,
)

ROWS = 3000


def filled(path: Path, wal: bool = True) -> Path:
    """Make a database of some MiB, of which most is free."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        connection.execute('CREATE TABLE "a ""post" (id INTEGER PRIMARY KEY, slug TEXT, body BLOB)')
        connection.execute('CREATE INDEX of_slug ON "a ""post" (slug)')
        connection.execute('CREATE INDEX of_length ON "a ""post" (length(body))')
        connection.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY)")
        connection.execute("BEGIN")
        many = ((f"slug-{number}", b"x" * 900) for number in range(ROWS))
        connection.executemany('INSERT INTO "a ""post" (slug, body) VALUES (?, ?)', many)
        connection.execute("COMMIT")
        connection.execute('DELETE FROM "a ""post" WHERE id % 10')
    return path


@pytest.fixture(params=[True, False], ids=["wal", "delete"])
def live(request: Any, tmp_path: Path) -> Path:
    return filled(tmp_path / "payload.db", request.param)


@pytest.fixture
def user(live: Path) -> Iterator[sqlite3.Connection]:
    """A connection of the application."""
    with closing(sqlite3.connect(live, isolation_level=None, timeout=0)) as connection:
        connection.execute("SELECT count(*) FROM bare").fetchone()
        yield connection


def state(live: Path) -> dict[str, Any]:
    """What is in the folder of the database, and whose it is."""
    files = {path.name: path.stat() for path in live.parent.iterdir()}
    return {name: (facts.st_uid, facts.st_gid, facts.st_mode, facts.st_size) for name, facts in files.items()}


def rows(live: Path) -> int:
    with closing(sqlite3.connect(live)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(connection.execute('SELECT count(*) FROM "a ""post"').fetchone()[0])


def test_a_look_says_what_is_due_and_changes_nothing(live: Path) -> None:
    before = state(live)
    statements, pages = sqlite_upkeep.look(str(live))
    assert statements == ['ANALYZE "main"."a ""post"']
    assert (pages.wal, pages.bytes) == (state(live) == before and pages.wal, live.stat().st_size)
    assert pages.worth
    assert state(live) == before


def test_the_statistics_are_brought_up_to_date_once(live: Path) -> None:
    os.chown(live, 1000, 1000)
    owners = [facts[:3] for facts in state(live).values()]
    assert sqlite_upkeep.tend(str(live), [OPTIMIZE], 10) == []
    assert sqlite_upkeep.look(str(live))[0] == []
    with closing(sqlite3.connect(live)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_stat1").fetchone()[0] == 2
    assert [facts[:3] for facts in state(live).values()] == owners


def test_the_sidecars_of_a_running_application_stay_its_own(live: Path, user: sqlite3.Connection) -> None:
    for path in live.parent.iterdir():
        os.chown(path, 1000, 1000)
    assert sqlite_upkeep.tend(str(live), [OPTIMIZE, VACUUM, CHECKPOINT], 10) == []
    assert {facts[:2] for facts in state(live).values()} == {(1000, 1000)}
    assert {facts[2] & 0o777 for facts in state(live).values()} == {0o644}
    assert user.execute('SELECT count(*) FROM "a ""post"').fetchone() == (ROWS // 10,)


def test_a_vacuum_gives_the_free_pages_back_and_loses_nothing(live: Path, user: sqlite3.Connection) -> None:
    before, pages = live.stat().st_size, sqlite_upkeep.look(str(live))[1]
    assert sqlite_upkeep.tend(str(live), [VACUUM, CHECKPOINT], 10) == []
    assert before - live.stat().st_size == pytest.approx(pages.free_bytes, rel=0.1)
    assert sqlite_upkeep.bytes_of(str(live)) == live.stat().st_size
    assert rows(live) == ROWS // 10
    assert not sqlite_upkeep.look(str(live))[1].worth


@pytest.mark.parametrize("step", [OPTIMIZE, VACUUM])
def test_a_write_beside_it_fails_without_patience_which_a_pause_prevents(
    live: Path, user: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    failed = []

    def meanwhile() -> float:
        try:
            user.execute("INSERT INTO bare DEFAULT VALUES")
        except sqlite3.OperationalError as error:
            failed.append(str(error))
        return 0.0

    monkeypatch.setattr(time, "monotonic", meanwhile)  # which SQLite asks for within the transaction
    assert sqlite_upkeep.tend(str(live), [step], 10) == []
    assert set(failed) == {"database is locked"}


def test_what_is_locked_is_left_at_once(live: Path, user: sqlite3.Connection) -> None:
    user.execute("BEGIN IMMEDIATE")
    user.execute("INSERT INTO bare DEFAULT VALUES")
    assert sqlite_upkeep.tend(str(live), [VACUUM, CHECKPOINT], 10) == [VACUUM, CHECKPOINT]
    user.execute("COMMIT")
    assert user.execute("SELECT count(*) FROM bare").fetchone() == (1,)


def test_a_reader_keeps_the_log_until_it_lets_go(tmp_path: Path) -> None:
    live = filled(tmp_path / "payload.db")
    with closing(sqlite3.connect(live, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM bare").fetchall()
        assert sqlite_upkeep.tend(str(live), [VACUUM, CHECKPOINT], 10) == [CHECKPOINT]
        assert sqlite_upkeep.bytes_of(str(live)) > live.stat().st_size
        reader.execute("COMMIT")
        assert sqlite_upkeep.tend(str(live), [CHECKPOINT], 10) == []


def test_what_takes_too_long_is_undone(live: Path) -> None:
    before = live.stat().st_size
    with pytest.raises(Gave) as caught:
        sqlite_upkeep.tend(str(live), [VACUUM, CHECKPOINT], 0.0)
    assert (
        caught.value.message == "VACUUM took longer than 0 s, and was undone; ⟦setting maintenance_pause⟧ allows more"
    )
    assert caught.value.left == (VACUUM, CHECKPOINT)
    assert (live.stat().st_size, rows(live)) == (before, ROWS // 10)


def test_what_sqlite_cannot_do_has_its_words(live: Path) -> None:
    with closing(sqlite3.connect(live, isolation_level=None)) as connection:
        connection.create_function("of_the_app", 1, lambda value: value, deterministic=True)
        connection.execute("CREATE INDEX odd ON bare (of_the_app(id))")
    with pytest.raises(Gave, match=r"^VACUUM failed: .*of_the_app"):
        sqlite_upkeep.tend(str(live), [VACUUM], 10)
    live.write_bytes(b"x" * 200)
    with pytest.raises(DockerVpsError, match="does not begin as an SQLite 3 database does"):
        sqlite_upkeep.look(str(live))


def test_the_room_is_that_of_the_volume_and_of_temporary_files(
    live: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    space = sqlite_upkeep.space(str(live))
    assert (space.place, space.scratch) == (str(live.parent), os.environ.get("TMPDIR", "/var/tmp"))
    assert space.free > 0
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    space = sqlite_upkeep.space(str(live))
    assert (space.scratch, space.same) == (str(tmp_path), True)
