# SPDX-License-Identifier: GPL-3.0-or-later
"""The module app_status_info: its parameters, and its exits over a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.modules.app_status_info import Params, main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer


def test_params_are_read() -> None:
    assert params_of({"app": "shop", "container": None, "max_disk": 90.0}) == Params("shop", "shop-app")
    assert params_of({"app": "shop", "container": "other", "max_disk": 80.0}) == Params("shop", "other", 80)


def test_main(exit_of: Any, serve_engine: Callable[..., EngineServer], tmp_path: Path) -> None:
    places = {"directory": str(tmp_path), "sets_directory": str(tmp_path / "sets")}
    ended = exit_of(main, check=True, app="shop", docker_host=serve_engine().url, **places)
    assert ended.code == 0
    assert ended.result["findings"] == [
        "There is no container shop-app. Run deploy.yml or start.yml.",
        "There is no good backup set. Run backup.yml.",
    ]
    nobody = exit_of(main, app="shop", docker_host=f"unix://{tmp_path}/none.sock", **places)
    assert nobody.code == 0
    assert nobody.result["container"] is None
    assert str(tmp_path) in nobody.result["not_looked_at"]["container"]
