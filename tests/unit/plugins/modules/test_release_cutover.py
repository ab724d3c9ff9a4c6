# SPDX-License-Identifier: GPL-3.0-or-later
"""The module release_cutover: its parameters, and its exits over a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.modules.release_cutover import main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._module.test_releases import DEFAULTS

ServeEngine = Callable[..., EngineServer]
GIVEN = {
    **DEFAULTS,
    "definition": "services: {}\n",
    "image": "shop:1",
    "pulled": "r:5000/site:1@sha256:ab",
    "revision": "4f2c",
    "data_on_failure": "keep",
    "env_pending": True,
    "secret_pending": True,
    "secrets": ["PAYLOAD_SECRET"],
}


def test_params_are_read() -> None:
    read = params_of(GIVEN)
    assert (read.definition, read.image, read.revision) == ("services: {}\n", "shop:1", "4f2c")
    assert read.pulled == "r:5000/site:1@sha256:ab"
    assert (read.data_on_failure, read.env_pending) == ("keep", True)
    assert (read.secret_pending, read.secrets) == (True, ("PAYLOAD_SECRET",))


@pytest.fixture
def asked(serve_engine: ServeEngine, tmp_path: Path) -> dict[str, Any]:
    """Parameters, and an engine that has the image."""
    server = serve_engine(
        {
            "/images/shop:1/json": (200, {"Id": "sha256:1"}),
            "/containers/json": (200, []),
            "/volumes": (200, {"Volumes": []}),
        }
    )
    return {
        "app": "shop",
        "directory": str(tmp_path / "opt"),
        "definition": "services: {}\n",
        "image": "shop:1",
        "docker_host": server.url,
    }


def test_main_in_check_mode(exit_of: Any, asked: dict[str, Any], tmp_path: Path) -> None:
    ended = exit_of(main, check=True, **asked)
    assert ended.code == 0
    assert ended.result["changed"] is True
    assert ended.result["summary"] == "shop:1 would be started as the first release."
    assert ended.result["release"]["image_id"] == "sha256:1"
    assert ended.result["diff"]["after"] == "services: {}\n"
    assert not (tmp_path / "opt").exists()


def test_main_when_it_fails(exit_of: Any, asked: dict[str, Any]) -> None:
    ended = exit_of(main, **asked)
    assert ended.code == 1
    assert ended.result["msg"].endswith("/opt/.env.production. Write it first.")


def test_main_with_what_cannot_be_right(exit_of: Any, asked: dict[str, Any]) -> None:
    ended = exit_of(main, **asked, health_timeout=0)
    assert (ended.code, ended.result["msg"]) == (1, "health_timeout must be more than 0 seconds, but is 0.")
