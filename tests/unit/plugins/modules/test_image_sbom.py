# SPDX-License-Identifier: GPL-3.0-or-later
"""The module image_sbom: its parameters, and its exit over a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.image_sbom import Params
from ansible_collections.ptnextjs.docker_vps.plugins.modules.image_sbom import main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_images import packed_as
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_image_sbom import FILES


def test_params() -> None:
    given = {"image": "shop-app:r1", "directory": "/opt/shop/sbom", "scan": True, "scan_fail": "high"}
    assert params_of(given) == Params("shop-app:r1", "/opt/shop/sbom", scan=True, scan_fail="high")


def test_main(exit_of: Any, serve_engine: Callable[..., EngineServer], tmp_path: Path) -> None:
    answers = {
        "/images/shop-app:r1/json": (200, {"Id": "sha256:1"}),
        "/images/json": (200, [{"Id": "sha256:1", "RepoTags": ["shop-app:r1"]}]),
        "/containers/create": (201, {"Id": "c1", "Warnings": []}),
        "/containers/docker-vps-sbom-1/export": (200, packed_as(FILES)),
    }
    server = serve_engine(answers)
    ended = exit_of(main, image="shop-app:r1", directory=str(tmp_path), docker_host=server.url)
    assert (ended.code, ended.result["changed"], ended.result["packages"]) == (0, True, 3)
    assert (tmp_path / "r1.cdx.json").exists()
    removal = ("DELETE", "/containers/docker-vps-sbom-1", None)
    assert [change for change in server.changes if change[0] == "DELETE"] == [removal, removal]
