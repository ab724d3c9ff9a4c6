# SPDX-License-Identifier: GPL-3.0-or-later
"""The module release_rollback: its parameters, and its exits over a real socket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import HEALTHY, Release
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.files import Kept
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import Releases
from ansible_collections.ptnextjs.docker_vps.plugins.modules.release_rollback import main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._module.test_releases import DEFAULTS

ServeEngine = Callable[..., EngineServer]


def test_params_are_read() -> None:
    read = params_of({**DEFAULTS, "to": "20260201-020000", "rollback_data": "keep"})
    assert (read.to, read.data, read.how.app) == ("20260201-020000", "keep", "shop")


def test_main(exit_of: Any, serve_engine: ServeEngine, tmp_path: Path) -> None:
    server = serve_engine(
        {
            "/images/shop:1/json": (200, {"Id": "sha256:1"}),
            "/containers/json": (200, []),
            "/volumes": (200, {"Volumes": []}),
        }
    )
    asked = {"app": "shop", "directory": str(tmp_path / "opt"), "docker_host": server.url}
    ended = exit_of(main, check=True, **asked)
    assert ended.code == 1
    assert ended.result["msg"].startswith("There is no healthy release before the live one to return to")
    releases = Releases(str(tmp_path / "opt"), str(tmp_path / "opt/.env.production"))
    releases.prepare()
    one = Release("20260201-020000", "2026-02-01T02:00:00Z", "shop:1", "sha256:1", "e", "d", result=HEALTHY)
    releases.begin(one, "volumes: {database: {name: shop-db}}\n", Kept("WORD=x\n", 0o600, os.geteuid(), os.getegid()))
    ended = exit_of(main, check=True, **asked, rollback_data="keep")
    assert ended.code == 0
    assert ended.result["rolled_back_to"] == one.id
    assert ended.result["restored"] == ""
