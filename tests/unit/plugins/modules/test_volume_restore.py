# SPDX-License-Identifier: GPL-3.0-or-later
"""The module volume_restore: its parameters, and how it ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.restore import Params
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.uploads import UploadsQuery
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.modules.volume_restore import main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.conftest import ServeEngine
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import Shop

GIVEN = {
    "app": "shop",
    "set": "latest",
    "volumes": None,
    "stop_app": False,
    "force": False,
    "allow_outside_links": False,
    "undo": False,
    "safety_copy": True,
    "uploads": None,
}


def test_parameters() -> None:
    assert params_of(GIVEN) == params_of({**GIVEN, "volumes": {}}) == Params("shop")
    assert params_of({**GIVEN, "volumes": {"db": "x"}, "undo": True}) == Params("shop", volumes={"db": "x"}, undo=True)
    asked = {"query": "SELECT 1", "volume": "shop-media"}
    assert params_of({**GIVEN, "uploads": asked}) == Params("shop", uploads=UploadsQuery("SELECT 1", "shop-media"))
    with pytest.raises(InvalidInput, match="volumes.db must be the name of a volume"):
        params_of({**GIVEN, "volumes": {"db": None}})


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.back_up()
    made.change()
    return made


def served(shop: Shop, serve_engine: ServeEngine) -> str:
    """Return the address of an engine with the shop's volumes and without containers."""
    volumes = {f"/volumes/{name}": (200, facts) for name, facts in shop.engine.volumes.items()}
    there = {"/volumes": (200, {"Volumes": shop.engine.all_volumes()}), "/containers/json": (200, [])}
    return serve_engine({**volumes, **there, "/info": (200, shop.engine.info())}).url


@pytest.mark.parametrize("check", [False, True])
def test_main_restores(exit_of: Any, serve_engine: ServeEngine, shop: Shop, check: bool) -> None:
    os.utime(shop.db)
    ended = exit_of(
        main, check=check, app="shop", directory=shop.sets.directory, docker_host=served(shop, serve_engine)
    )
    assert ended.code == 0, ended.text
    assert ended.result["changed"] is True
    assert ended.result["would_lose"]["tables"] == {"vendors": 2}
    assert shop.data()["vendors"] == (5 if check else 3)


def test_main_fails(exit_of: Any, serve_engine: ServeEngine, tmp_path: Path) -> None:
    ended = exit_of(main, directory=str(tmp_path / "none"), docker_host=serve_engine().url)
    assert ended.code == 1
    assert ended.result["msg"] == (
        f"There is no backup set of ptnextjs in {tmp_path}/none. Make one with backup.yml, or correct "
        "docker_vps_backup_directory."
    )
