# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads that older rows name and that are gone are told before the database comes back without them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import restore, uploads
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.restore_source import Params
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.uploads import UploadsQuery
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import Shop, database

ASKED = UploadsQuery("SELECT name FROM files", "shop-media")
ONLY = {"db": "shop-db"}


def named(shop: Shop, *names: str) -> None:
    """Have the rows name these uploads."""
    with closing(sqlite3.connect(shop.db / "payload.db")) as connection:
        connection.execute("CREATE TABLE files (name)")
        connection.executemany("INSERT INTO files VALUES (?)", [(one,) for one in names])
        connection.commit()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A set whose rows name three uploads, one of which is gone since."""
    one = Shop(tmp_path)
    named(one, "a.png", "sub/b.png", "c.png")
    (one.media / "sub").mkdir()
    for name in ("sub/b.png", "c.png"):
        (one.media / name).touch()
    one.back_up()
    (one.media / "c.png").unlink()
    return one


def would_lose(
    shop: Shop, check: bool = True, asked: Any = ASKED, volumes: Any = (("db", "shop-db"),)
) -> dict[str, Any]:
    params = Params("shop", volumes=dict(volumes), uploads=asked, stop_app=True)
    loss: dict[str, Any] = restore.run(params, shop.sets, lambda: shop.engine, shop.clock, check)["would_lose"]
    return loss


@pytest.mark.parametrize("check", [True, False])
def test_what_is_gone_is_told(shop: Shop, check: bool) -> None:
    loss = would_lose(shop, check)
    assert loss["uploads_gone"] == 1
    assert loss["summary"].endswith("UTC. 1 upload that its rows name is not in shop-media: c.png.")


def test_a_refusal_says_it(shop: Shop) -> None:
    params = Params("shop", volumes=ONLY, uploads=ASKED)
    with pytest.raises(DockerVpsError, match="1 upload that its rows name is not in shop-media: c.png") as refused:
        restore.run(params, shop.sets, lambda: shop.engine, shop.clock, False)
    assert refused.value.evidence["would_lose"]["uploads_gone"] == 1


@pytest.mark.parametrize(("asked", "volumes"), [(None, ONLY), (ASKED, {}), (ASKED, {"media": "other"})])
def test_nothing_is_asked_where_the_uploads_come_along_or_no_rows_do(shop: Shop, asked: Any, volumes: Any) -> None:
    loss = would_lose(shop, asked=asked, volumes=volumes)
    assert loss["uploads_gone"] == 0
    assert "its rows name" not in loss["summary"]


def test_all_are_there(shop: Shop) -> None:
    (shop.media / "c.png").touch()
    loss = would_lose(shop)
    assert loss["uploads_gone"] == 0
    assert "its rows name" not in loss["summary"]


def test_a_volume_that_is_missing_has_none(shop: Shop) -> None:
    loss = would_lose(shop, asked=UploadsQuery(ASKED.query, "gone"))
    assert loss["uploads_gone"] == 3
    assert "3 uploads that its rows name are not in gone: a.png, c.png, sub/b.png." in loss["summary"]


def test_names_that_lead_elsewhere_are_not_looked_for(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    odd = ["../shop-db/_data/payload.db", "/etc/passwd", "sub/../../x", "a.png", "./a.png"]
    named(shop, *odd, "z\\0z")
    shop.back_up()
    loss = would_lose(shop)
    assert loss["uploads_gone"] == 4
    assert "payload.db" in loss["summary"]
    assert "a.png" not in loss["summary"]


UNDETERMINED = "Which uploads its rows name that are gone cannot be determined"


def test_what_cannot_be_determined_is_reported(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loss = would_lose(shop, asked=UploadsQuery("SELECT nothing", "shop-media"))
    assert loss["uploads_gone"] == 0
    assert f"{UNDETERMINED}: The query 'SELECT nothing' on" in loss["summary"]
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(uploads, "SCRATCH", str(place))
    would_lose(shop)
    assert os.listdir(place) == []
    for odd, why in ((place / "none", "No such file or directory"), (tmp_path / "file", "Not a directory")):
        (tmp_path / "file").touch()
        monkeypatch.setattr(uploads, "SCRATCH", str(odd))
        loss = would_lose(shop, check=False)
        assert f"{UNDETERMINED}: {odd} cannot take the databases of the set: {why}. " in loss["summary"]
        assert ".." not in loss["summary"]
    monkeypatch.setattr(uploads, "SCRATCH", str(place))
    loss = uploads.with_gone({"summary": "Nothing."}, ASKED, None, 1 << 60, lambda into: None)
    assert "MiB free, and it needs 1099511627776 MiB." in loss["summary"]
    loss = uploads.with_gone({"summary": "Nothing."}, ASKED, None, 0, lambda into: None)
    assert loss["summary"] == f"Nothing. {UNDETERMINED}: there is no database."


def test_the_database_that_knows_answers(shop: Shop) -> None:
    database(shop.db / "a-first.db", other=1)
    shop.back_up()
    assert would_lose(shop)["uploads_gone"] == 1


@pytest.mark.parametrize("names", [[], ["x.png"]])
def test_uploads_without_a_name_are_none(tmp_path: Path, names: Sequence[str]) -> None:
    shop = Shop(tmp_path)
    named(shop, *names)
    with closing(sqlite3.connect(shop.db / "payload.db")) as connection:
        connection.execute("INSERT INTO files VALUES (NULL)")
        connection.commit()
    shop.back_up()
    assert would_lose(shop)["uploads_gone"] == len(names)
