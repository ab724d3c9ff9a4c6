# SPDX-License-Identifier: GPL-3.0-or-later
"""The module release_recover: its exits over a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.modules.release_recover import main
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer


@pytest.mark.parametrize("check", [False, True])
def test_main(exit_of: Any, serve_engine: Callable[..., EngineServer], tmp_path: Path, check: bool) -> None:
    given = {"app": "shop", "directory": str(tmp_path), "docker_host": serve_engine().url}
    ended = exit_of(main, check=check, **given)
    assert (ended.code, ended.result["changed"], ended.result["recovered"]) == (0, False, [])
    ended = exit_of(main, check=check, put_back=True, **given)
    assert ended.code == 1
    assert "was never deployed here, or was removed. Run deploy.yml" in ended.result["msg"]
