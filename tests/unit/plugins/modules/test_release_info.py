# SPDX-License-Identifier: GPL-3.0-or-later
"""The module release_info: its parameters, and its exits over a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.modules.release_info import Params, main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import APP

PARAMS = Params(APP)


def test_params_are_read() -> None:
    assert params_of({"app": "shop", "container": None}) == PARAMS
    assert params_of({"app": "shop", "container": "other"}) == Params("other")


def test_main(exit_of: Any, serve_engine: Callable[..., EngineServer], tmp_path: Path) -> None:
    ended = exit_of(main, check=True, app="shop", directory=str(tmp_path), docker_host=serve_engine().url)
    assert ended.code == 0
    assert ended.result["summary"] == ["There are no releases yet."]
    (tmp_path / "releases").write_text("")
    ended = exit_of(main, app="shop", directory=str(tmp_path), docker_host=serve_engine().url)
    assert ended.code == 1
    assert "cannot be read" in ended.result["msg"]
