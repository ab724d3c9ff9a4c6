# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that a new version's own migrations lose are named, or undo the release, while nobody has reached it yet."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import DEGRADED, FAILED, HEALTHY
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.migration import Comparison
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import database, tree_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import APP, NEXT, Site, Version

LOST = "Since the new version started, the database has lost 2 of 3 rows of vendors."


def does(sql: str) -> Callable[[Path], None]:
    """Return a migration."""

    def migrate(place: Path) -> None:
        with closing(sqlite3.connect(place / "payload.db")) as connection:
            connection.executescript(sql)

    return migrate


LOSES = Version(migrates=does("DELETE FROM vendors WHERE id > 1"))
LOSES_AND_ALTERS = Version(migrates=does("DELETE FROM vendors WHERE id > 1; ALTER TABLE vendors ADD COLUMN site"))
ADDS = Version(migrates=does("CREATE TABLE orders (id); INSERT INTO vendors DEFAULT VALUES"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """One release is live."""
    one = Site(tmp_path)
    one.deploy("shop:1")
    one.engine.calls.clear()
    return one


def failed(site: Site, version: Version, **more: Any) -> DockerVpsError:
    with pytest.raises(DockerVpsError) as caught:
        site.deploy("shop:2", version, migration_loss="fail", **more)
    return caught.value


@pytest.mark.parametrize("version", [LOSES, LOSES_AND_ALTERS])
def test_what_shrank_is_named(site: Site, version: Version) -> None:
    result = site.deploy("shop:2", version, backup=site.backing_up())
    (caution,) = result["cautions"]
    live = site.live()
    assert caution == (
        f"{LOST} If that was not meant, go back at once with the data of set {live.backup}: ⟦play rollback⟧ with "
        "⟦setting rollback_data restore⟧."
    )
    assert (live.image, live.result, live.message) == ("shop:2", HEALTHY, LOST)
    assert site.counted()["vendors"] == 1


@pytest.mark.parametrize("version", [LOSES, LOSES_AND_ALTERS])
@pytest.mark.parametrize("aliases", [[], ["www"]])
def test_the_release_is_undone_by_choice(site: Site, version: Version, aliases: list[str]) -> None:
    before, rows = site.state(), site.counted()
    error = failed(site, version, aliases=aliases)
    assert f"{LOST} If that is meant, allow it with ⟦setting migration_loss warn⟧." in error.message
    assert "The data is as it was before." in error.message
    assert site.counted() == rows
    after = site.state()
    assert (after["current"], after["running"]) == (before["current"], {APP: "shop:1"})
    assert (site.beside(), site.releases.unfinished()) == ([], [])
    assert (site.newest().result, site.newest().image) == (FAILED, "shop:2")
    assert ("rename", NEXT, APP) not in site.engine.calls


def test_what_users_wrote_through_an_alias_is_not_undone(site: Site) -> None:
    """By an alias the new version is reached from its start, so both may have changed the data."""
    sql = "DELETE FROM vendors WHERE id > 1; CREATE TABLE IF NOT EXISTS orders (id); INSERT INTO orders VALUES (1)"
    error = failed(site, Version(migrates=does(sql)), aliases=["www"])
    assert LOST in error.message
    assert "Would be lost: 1 row of orders" in error.message
    assert site.newest().result == DEGRADED


def test_with_the_word_keep_the_data_stays(site: Site) -> None:
    failed(site, LOSES, aliases=["www"], data_on_failure="keep")
    assert site.counted()["vendors"] == 1
    assert site.engine.names() == {APP: "shop:1"}


def test_a_first_release_on_data_that_is_there(tmp_path: Path) -> None:
    site = Site(tmp_path)
    data = site.counted()
    with pytest.raises(DockerVpsError, match="has lost 2 of 3 rows of vendors"):
        site.deploy("shop:1", LOSES, migration_loss="fail")
    assert site.counted() == data


@pytest.mark.parametrize("version", [Version(), ADDS])
def test_nothing_is_said_where_nothing_is_lost(site: Site, version: Version) -> None:
    result = site.deploy("shop:2", version, migration_loss="fail")
    assert result["cautions"] == []
    assert site.live().message == ""


def test_tables_that_come_and_go_by_themselves(site: Site) -> None:
    database(site.db / "payload.db", payload_locked_documents=7)
    lost = does("DELETE FROM payload_locked_documents")
    assert site.deploy("shop:2", Version(migrates=lost), migration_loss="fail")["cautions"] == []
    assert site.deploy("shop:3", LOSES, migration_loss="fail", loss_ignore=("vend*",))["cautions"] == []


def test_two_versions_that_overlap_are_not_compared(site: Site) -> None:
    result = site.deploy("shop:2", LOSES, migration_loss="fail", strategy="start-first", start_first_force=True)
    assert result["cautions"] == []
    assert site.live().image == "shop:2"


def test_a_release_that_restores_a_set_is_compared_with_that_set(site: Site) -> None:
    set_id = site.deploy("shop:2", backup=site.backing_up())["release"]["backup"]
    database(site.db / "payload.db", vendors=40)
    site.deploy("shop:3")
    result = site.deploy("shop:2", restore=set_id, backup=site.backing_up())
    assert result["cautions"] == []
    assert site.counted()["vendors"] == 3
    error = failed(site, LOSES, restore=set_id, backup=site.backing_up())
    assert LOST in error.message


def test_what_cannot_be_counted_is_a_caution(site: Site) -> None:
    def spoil(place: Path) -> None:
        with (place / "payload.db").open("r+b") as file:
            file.seek(100)
            file.write(b"\xa5" * 3000)
        for path in place.glob("payload.db-*"):
            path.unlink()

    result = site.deploy("shop:2", Version(migrates=spoil), migration_loss="fail")
    (caution,) = result["cautions"]
    assert caution.startswith("Whether rows were lost since the new version started is not known: SQLite cannot read ")


# The comparison


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The directory of a volume, and a copy as a release makes it."""
    for name, wal in (("payload.db", True), ("sub/old.db", False)):
        database(tmp_path / "live" / name, wal, vendors=3)
    shutil.copytree(tmp_path / "live", tmp_path / "copy")
    return tmp_path


def test_data_that_nobody_wrote_to_is_not_counted(place: Path) -> None:
    one = Comparison(())
    one.begin("v", str(place / "copy"))
    assert one.before == {"v/payload.db": {"vendors": 3}, "v/sub/old.db": {"vendors": 3}}
    before = tree_of(place / "live")
    (place / "live/payload.db-wal").touch()  # as a version that only reads leaves it
    assert one.end(str(place / "live")) == ((), "")
    assert (one.after, one.latest) == ({}, one.before)
    (place / "live/payload.db-wal").unlink()
    assert tree_of(place / "live") == before
    with closing(sqlite3.connect(place / "live/payload.db")) as writing:
        writing.execute("DELETE FROM vendors WHERE id = 1")
        writing.commit()  # it is in the log as long as this is open
        assert one.end(str(place / "live")) == (["1 of 3 rows of vendors"], "")
    os.unlink(place / "live/sub/old.db")
    assert one.end(str(place / "live"))[0] == ["1 of 3 rows of vendors", "3 of 3 rows of vendors"]


def test_a_table_that_cannot_be_counted_any_more_is_not_called_lost(place: Path) -> None:
    one = Comparison(())
    one.begin("v", str(place / "copy"))
    with closing(sqlite3.connect(place / "live/payload.db")) as connection:
        connection.create_collation("of_the_app", lambda one, other: (one > other) - (one < other))
        connection.execute("DROP TABLE vendors")
        connection.execute("CREATE TABLE vendors (id TEXT COLLATE of_the_app PRIMARY KEY) WITHOUT ROWID")
        connection.execute("INSERT INTO vendors VALUES ('a')")
        connection.commit()
    assert one.end(str(place / "live")) == ([], "")
    assert one.after


def test_counting_ends_in_time(place: Path) -> None:
    one = Comparison((), within=0.0)
    one.begin("v", str(place / "copy"))
    assert one.end(str(place / "live")) == ((), "")
    database(place / "live/payload.db", vendors=1)
    assert "counting its rows takes too long" in one.end(str(place / "live"))[1]
    quick = Comparison(())
    quick.begin("v", str(place / "copy"))
    quick.within = 0.0
    assert "counting its rows takes too long" in quick.end(str(place / "live"))[1]
    assert (quick.after, quick.latest) == ({}, quick.before)
    assert (one.after, one.latest) == ({}, {})
    one.begin("v", str(place / "copy"), within=60.0)
    assert one.latest == quick.before


def test_a_copy_that_is_not_there(place: Path) -> None:
    one = Comparison(())
    one.begin("v", str(place / "none"))
    assert "cannot be searched" in one.end(str(place / "live"))[1]
