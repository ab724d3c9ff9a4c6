# SPDX-License-Identifier: GPL-3.0-or-later
"""The module app_remove: its parameters, and its exits over a real socket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.modules.app_remove import Params, main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer

GIVEN: dict[str, Any] = {
    "app": "shop",
    "directory": None,
    "env_file": None,
    "images": None,
    "volumes": None,
    "backup_directory": None,
    "backup_volumes": None,
    "data": False,
    "confirm": "",
    "state": "absent",
    "jobs": [],
    "site_files": [],
    "network": "",
    "host": None,
}
PARAMS: dict[str, Any] = {
    "app": "shop",
    "directory": "/opt/shop",
    "env_file": "/opt/shop/.env.production",
    "images": ("shop-app",),
    "volumes": ("shop-db", "shop-media"),
    "backups": "/var/backups/shop",
    "host": os.uname().nodename,
}


@pytest.mark.parametrize(
    ("given", "params"),
    [
        ({}, {}),
        ({"directory": "/srv/shop"}, {"directory": "/srv/shop", "env_file": "/srv/shop/.env.production"}),
        ({"env_file": "/etc/shop"}, {"env_file": "/etc/shop"}),
        ({"images": ["shop", "r/shop:1"], "volumes": []}, {"images": ("shop", "r/shop:1"), "volumes": ()}),
        ({"backup_directory": "/b", "backup_volumes": {"db": "d"}}, {"backups": "/b", "archives": {"db": "d"}}),
        ({"backup_volumes": {}}, {"archives": {}}),
        ({"data": True, "confirm": "shop", "state": "planned"}, {"data": True, "confirm": "shop", "planned": True}),
        ({"jobs": ["a"], "network": "n", "host": "vps"}, {"jobs": ("a",), "network": "n", "host": "vps"}),
        ({"site_files": ["/s"]}, {"site_files": ("/s",)}),
    ],
)
def test_params_are_read(given: dict[str, Any], params: dict[str, Any]) -> None:
    assert params_of({**GIVEN, **given}) == Params(**{**PARAMS, **params})


@pytest.fixture
def engine(serve_engine: Callable[..., EngineServer]) -> EngineServer:
    """An engine with a stopped container and two images of the application."""
    container = {
        "Id": "c1",
        "Names": ["/shop-app"],
        "Image": "shop-app:1",
        "ImageID": "sha256:i1",
        "Labels": {"com.docker.compose.project": "shop"},
        "State": "exited",
    }
    images = [{"Id": "sha256:i1", "RepoTags": ["shop-app:1"]}, {"Id": "sha256:i0", "RepoTags": []}]
    return serve_engine(
        {
            "/containers/json": (200, [container, {**container, "Id": "c2", "Labels": None, "Image": "x"}]),
            "/images/json": (200, images),
            **{f"/images/{image['Id']}/json": (200, image) for image in images},
        }
    )


def test_main(exit_of: Any, engine: EngineServer, tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text("services: {}\n")
    engine.answers["/containers/json"][1].pop()
    given = {"app": "shop", "directory": str(tmp_path), "docker_host": engine.url, "host": "vps"}
    ended = exit_of(main, **given)
    assert ended.code == 1
    assert ended.result["msg"].startswith("Nothing was removed. This would go from vps:\n- containers shop-app\n")
    assert "To go ahead, add -e docker_vps_remove_confirm=shop; to remove" in ended.result["msg"]
    ended = exit_of(main, check=True, **given)
    assert (ended.code, ended.result["changed"], engine.changes) == (0, True, [])
    ended = exit_of(main, confirm="shop", **given)
    assert (ended.code, ended.result["changed"]) == (0, True)
    assert [path for _method, path, _body in engine.changes] == [
        "/containers/c1",
        "/images/shop-app:1",
        "/images/sha256:i0",
    ]
    assert list(tmp_path.glob("compose.yml")) == []


def test_an_image_of_another_container_stays(exit_of: Any, engine: EngineServer, tmp_path: Path) -> None:
    ended = exit_of(main, check=True, app="shop", directory=str(tmp_path), docker_host=engine.url)
    assert ended.result["images"] == ["sha256:i0"]
