# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_info: its exits over a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.this_host import ThisHost
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module import engine
from ansible_collections.ptnextjs.docker_vps.plugins.modules.host_info import main
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import HOST_INFO

GIB = 1024**3
SDK = "Docker SDK for Python"
ICC = "com.docker.network.bridge.enable_icc"
DEFAULTS: dict[str, Any] = {
    "engine_version_min": "",
    "compose_version_min": "",
    "buildx": False,
    "memory_min": "0",
    "disk_free_min": "0",
    "commands": [],
    "project": "ptnextjs",
    "containers": [],
    "starts": True,
    "volumes": [],
    "networks": [],
    "images": [],
    "files": [],
    "patterns": [],
    "directory": "",
    "env_file": "",
    "environment": {},
}


Serve = Callable[..., EngineServer]


@pytest.mark.parametrize("check", [False, True])
def test_main_succeeds(exit_of: Any, serve_engine: Serve, tmp_path: Path, check: bool) -> None:
    server = serve_engine({"/info": (200, {**HOST_INFO, "DockerRootDir": str(tmp_path)}), "/networks": (200, [])})
    (tmp_path / "file").write_text("x")
    ended = exit_of(
        main,
        check=check,
        docker_host=server.url,
        networks=["proxy"],
        volumes=["data"],
        containers="app",
        files=[str(tmp_path / "file")],
        memory_min="1G",
    )
    assert ended.code == 0
    assert ended.result["engine_version"] == "26.1.5"
    assert ended.result["disk_free"] > 0
    assert list(ended.result["files"]) == [str(tmp_path / "file")]
    assert {path for path, _unused in server.asked} >= {"/info", "/networks", "/volumes/data", "/containers/app/json"}


def test_main_fails_with_all_that_was_seen(exit_of: Any, serve_engine: Serve) -> None:
    server = serve_engine({"/info": (200, HOST_INFO)})
    ended = exit_of(main, docker_host=server.url, memory_min="8G", engine_version_min="99")
    assert ended.code == 1
    assert ended.result["msg"] == (
        "This host cannot take the application yet: "
        "engine: expected 99 or newer, found 26.1.5; upgrade Docker. "
        "memory: expected at least 8.0 GiB, found 4.0 GiB; use a larger host or lower docker_vps_memory_min. "
        "setup.yml installs what is lacking."
    )
    assert [one["ok"] for one in ended.result["findings"]] == [True, False, False, True]
    assert ended.result["memory_limit"] == "2G"


def test_main_without_an_engine(exit_of: Any) -> None:
    ended = exit_of(main, docker_host="unix:///nowhere.sock")
    assert ended.code == 1
    assert ended.result["msg"].startswith("No Docker engine answers at unix:///nowhere.sock")


def test_main_without_the_sdk(exit_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SDK_MISSING", ImportError("No module named docker"))
    monkeypatch.setattr(ThisHost, "sdk", False)
    ended = exit_of(main, commands=["no-such-command"])
    assert ended.code == 1
    assert ended.result["msg"].startswith("This host cannot take the application yet: Docker SDK for Python: expected ")
    assert "command no-such-command: expected installed, found not installed" in ended.result["msg"]
    assert ended.result["msg"].endswith("The engine was not asked for more.")
