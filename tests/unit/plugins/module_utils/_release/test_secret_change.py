# SPDX-License-Identifier: GPL-3.0-or-later
"""Another PAYLOAD_SECRET: API keys in the schema that Payload makes are counted, and nothing of them is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import rollback, secret_change
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import tree_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import APP, OLD, SECRET, Site

SCHEMA = Path(__file__).parents[3] / "fixtures/payload/api_keys.sql"
ENDED = "PAYLOAD_SECRET is another one than before, so all users have to sign in again."
NONE = f"{ENDED} No user has an API key, which would have ended with it."
UNSEEN = f"{ENDED[:-1]}. Whether they have API keys, which end with it, could not be seen on this host."
KEY, INDEX = (
    "6f216a69824705b134a6af784814232a3d97c7",
    "e92b075a3eb1311a006def0d0a03d6d2d04f00e3f17ee6e295779fb94e8fdc58",
)


def payload(path: Path, users: int = 0, accounts: int = 0, wal: bool = False) -> None:
    """Make a database as Payload does, with so many users and service accounts that have an API key."""
    with closing(sqlite3.connect(path)) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA.read_text())
        connection.execute("INSERT INTO users (email) VALUES ('without@example.com')")
        # Switched off, as Payload leaves it, or half of a key as older versions did: nobody signs in with it.
        connection.execute("INSERT INTO users (email, api_key) VALUES ('off@example.com', ?)", (KEY,))
        for number in range(users):
            row = (f"{number}@example.com", True, KEY, INDEX)
            connection.execute(
                "INSERT INTO users (email, enable_a_p_i_key, api_key, api_key_index) VALUES (?,?,?,?)", row
            )
        for _turn in range(accounts):
            for table, prefix in (("service_accounts", ""), ("_service_accounts_v", "version_")):
                columns = f"{prefix}api_key, {prefix}api_key_index"
                connection.execute(f"INSERT INTO {table} ({columns}) VALUES (?,?)", (KEY, INDEX))
        connection.commit()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """One release is live, on a database of Payload's, and its env file names the file."""
    one = Site(tmp_path)
    (one.db / "payload.db").unlink()
    payload(one.db / "payload.db")
    change(one, SECRET)
    one.engine.add_image("shop:1")
    one.run(one.params("shop:1"))
    one.clock.passed += 60
    one.engine.calls.clear()
    return one


def change(site: Site, secret: str, uri: str = "file:///data/payload.db") -> None:
    """Write the env file with this secret."""
    (site.home / ".env.production").write_text(f"DATABASE_URI={uri}\nPAYLOAD_SECRET={secret}\n")


def test_keys_are_counted_by_table(tmp_path: Path) -> None:
    payload(tmp_path / "payload.db", users=2, accounts=3, wal=True)
    payload(tmp_path / "other.db")
    before = tree_of(tmp_path)
    assert secret_change.api_keys(str(tmp_path)) == {"users of payload.db": 2, "service_accounts of payload.db": 3}
    assert tree_of(tmp_path) == before


def test_a_table_may_have_any_name(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "payload.db")) as connection:
        connection.execute('CREATE TABLE "our ""users""" (api_key TEXT, api_key_index TEXT)')
        connection.execute('INSERT INTO "our ""users""" VALUES (1, 2)')
        connection.execute("CREATE TABLE half (api_key TEXT)")
        connection.commit()
    assert secret_change.api_keys(str(tmp_path)) == {'our "users" of payload.db': 1}


def test_a_database_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    payload(tmp_path / "payload.db")
    with (tmp_path / "payload.db").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3000)
    with pytest.raises(DockerVpsError, match=r"payload\.db"):
        secret_change.api_keys(str(tmp_path))


def test_another_secret_is_put_live_and_told(site: Site) -> None:
    change(site, SECRET[::-1])
    assert site.run(site.params("shop:1"), check=True)["cautions"] == [NONE]
    result = site.run(site.params("shop:1"))
    assert result["cautions"] == [NONE]
    assert SECRET[::-1] not in str(result)
    assert site.live().environment == result["release"]["environment"]


def test_the_same_secret_is_nothing_to_tell(site: Site) -> None:
    assert site.deploy("shop:2")["cautions"] == []


def test_an_env_file_that_cannot_be_understood(site: Site) -> None:
    env = site.home / ".env.production"
    env.write_text("PAYLOAD_SECRET\n")
    with pytest.raises(DockerVpsError, match=f"{env} cannot be understood: line 1 is neither KEY=value"):
        site.run(site.params("shop:1"))
    assert env.read_text() == "PAYLOAD_SECRET\n"  # to be fixed


def test_the_first_secret_is_nothing_to_tell(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (site.home / ".env.production").write_text("WORD=x\n")
    site.engine.add_image("shop:1")
    site.run(site.params("shop:1"))
    site.write_env("y")
    assert site.run(site.params("shop:1"))["cautions"] == []


@pytest.mark.parametrize("pending", [True, False])
def test_keys_of_users_are_not_lost(site: Site, pending: bool) -> None:
    (site.db / "payload.db").unlink()
    payload(site.db / "payload.db", users=2, accounts=1)
    before = site.state()
    if not pending:
        change(site, SECRET[::-1])
    with pytest.raises(DockerVpsError) as caught:
        site.run(site.params("shop:1", secret_pending=pending, env_pending=pending), check=pending)
    assert caught.value.message == (
        "PAYLOAD_SECRET would be another one, and the API keys of users that are encrypted with the present one would "
        "be lost, those in service_accounts of payload.db (1), users of payload.db (2), so nothing was changed. No "
        "released version of Payload encrypts them again: remove them in the admin panel, and make new ones afterwards."
    )
    assert site.state() == before
    assert site.engine.calls == []


def test_the_old_version_never_writes_after_the_new_one(site: Site) -> None:
    change(site, SECRET[::-1])
    site.engine.together = 0
    site.run(site.params("shop:1", strategy="start-first", start_first_force=True))
    assert site.engine.together == 1
    assert site.engine.did().index(f"stop {OLD}") < site.engine.did().index(f"start {APP}-next")


@pytest.mark.parametrize("problem", ["elsewhere", "a server"])
def test_what_could_not_be_looked_at_is_told(site: Site, problem: str) -> None:
    change(site, SECRET[::-1], "postgres://db.example.com/shop" if problem == "a server" else "file:///data/payload.db")
    if problem == "elsewhere":
        site.engine.volumes["shop-db"]["Driver"] = "nfs"
    assert site.run(site.params("shop:1"), check=True)["cautions"][-1] == UNSEEN


def back(site: Site, data: str) -> dict[str, Any]:
    how = site.params("", definition="", backup=site.backing_up())
    return rollback.run(rollback.Params("", data, how), site.sets, site.world, False)


def test_a_rollback_over_a_change_loses_no_key_either(site: Site) -> None:
    change(site, SECRET[::-1])
    site.run(site.params("shop:1", backup=site.backing_up()))
    site.clock.passed += 60
    (site.db / "payload.db").unlink()
    payload(site.db / "payload.db", users=1)
    with pytest.raises(DockerVpsError, match=r"those in users of payload\.db \(1\), so nothing was changed"):
        back(site, "keep")
    assert ENDED in back(site, "restore")["cautions"]
    assert f"PAYLOAD_SECRET={SECRET}\n" in (site.home / ".env.production").read_text()
