# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules reach the engine: by parameter, by environment, and without the SDK not at all."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any, Callable

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import EngineUnreachable
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module import engine
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.module_exit import finish
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer

ServeEngine = Callable[..., EngineServer]


def main_of(code: ModuleType) -> Callable[[], None]:
    def main() -> None:
        module = AnsibleModule(argument_spec=code.ENGINE_ARGUMENTS, required_together=code.ENGINE_TOGETHER)
        finish(module, lambda: {"changed": False, "info": code.engine_of(module).info()})

    return main


def test_by_parameter(exit_of: Any, serve_engine: ServeEngine) -> None:
    server = serve_engine({"/info": (200, {"Name": "one"})})
    assert exit_of(main_of(engine), docker_host=server.url).result["info"] == {"Name": "one"}


def test_by_environment(exit_of: Any, serve_engine: ServeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve_engine({"/info": (200, {"Name": "two"})})
    monkeypatch.setenv("DOCKER_HOST", server.url)
    assert exit_of(main_of(engine)).result["info"] == {"Name": "two"}


def test_the_parameter_wins(exit_of: Any, serve_engine: ServeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve_engine({"/info": (200, {"Name": "one"})})
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    assert exit_of(main_of(engine), docker_host=server.url).result["info"] == {"Name": "one"}


def test_an_engine_that_is_not_there_fails_the_module(exit_of: Any) -> None:
    ended = exit_of(main_of(engine), docker_host="unix:///nowhere.sock")
    assert ended.code == 1
    assert ended.result["msg"].startswith("No Docker engine answers at unix:///nowhere.sock: there is no such socket.")
    assert "exception" not in ended.result or "Traceback" not in ended.result["exception"]


@pytest.mark.parametrize("half", [{"client_cert": "/c.pem"}, {"client_key": "/k.pem"}])
def test_half_a_client_certificate_is_refused(exit_of: Any, half: dict[str, str]) -> None:
    ended = exit_of(main_of(engine), **half)
    assert ended.code == 1
    assert ended.result["msg"] == "parameters are required together: client_cert, client_key"


def test_tls_files_reach_the_engine(exit_of: Any) -> None:
    files = {"ca_path": "/nowhere/ca.pem", "client_cert": "/nowhere/c.pem", "client_key": "/nowhere/k.pem"}
    ended = exit_of(main_of(engine), docker_host="tcp://192.0.2.1:2376", **files)
    assert ended.result["msg"].startswith("The TLS files for the Docker engine at tcp://192.0.2.1:2376 cannot be used")


def test_without_the_sdk_the_module_says_what_to_install(exit_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    utils = engine.__name__.rsplit("._module", 1)[0]
    monkeypatch.setitem(sys.modules, "docker", None)
    for name in (f"{utils}._engine.sdk", engine.__name__):
        # Put back afterwards, as the modules with the SDK, by both ways to reach them.
        package, _unused, stem = name.rpartition(".")
        monkeypatch.setattr(sys.modules[package], stem, sys.modules[name])
        monkeypatch.delitem(sys.modules, name)
    bare = importlib.import_module(engine.__name__)
    ended = exit_of(main_of(bare))
    assert ended.code == 1
    assert ended.result["msg"].startswith(f"{sys.executable} has no Docker SDK (")
    assert ended.result["msg"].endswith(" Install it; on Debian and Ubuntu: apt-get install python3-docker.")


def test_after_that_the_sdk_is_back() -> None:
    assert importlib.import_module(engine.__name__) is engine
    with pytest.raises(EngineUnreachable):
        Engine.connect(Address("unix:///nowhere.sock"))
