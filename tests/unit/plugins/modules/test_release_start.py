# SPDX-License-Identifier: GPL-3.0-or-later
"""The module release_start: its parameters, and its exits over a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.start import Params
from ansible_collections.ptnextjs.docker_vps.plugins.modules.release_start import main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer


@pytest.mark.parametrize(
    ("project", "container", "restart", "params"),
    [(None, None, False, Params("shop", "shop-app")), ("p", "web", True, Params("p", "web", restart=True))],
)
def test_what_is_started(project: Optional[str], container: Optional[str], restart: bool, params: Params) -> None:
    assert params_of({"app": "shop", "project": project, "container": container, "restart": restart}) == params


def test_main(exit_of: Any, serve_engine: Callable[..., EngineServer], tmp_path: Path) -> None:
    ended = exit_of(main, check=True, app="shop", directory=str(tmp_path), docker_host=serve_engine().url)
    assert (ended.code, ended.result["changed"], ended.result["summary"]) == (0, True, "shop-app would be started.")
