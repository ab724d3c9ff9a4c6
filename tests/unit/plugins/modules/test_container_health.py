# SPDX-License-Identifier: GPL-3.0-or-later
"""The module container_health: its parameters, and its exits over a real socket."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    InvalidInput,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import (
    HealthRules,
    WantedHealth,
)
from ansible_collections.ptnextjs.docker_vps.plugins.modules.container_health import Params, main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer, frame
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import inspected

DEFAULTS = {"state": "healthy", "timeout": 60.0, "tolerate_unhealthy": False, "max_restarts": 0, "log_lines": 50}


def test_params_are_read() -> None:
    given = {"containers": [" app ", "/db"], **DEFAULTS, "state": "running", "max_restarts": 2, "timeout": 0}
    assert params_of(given) == Params(("app", "db"), HealthRules(WantedHealth.RUNNING, False, 2), 0, 50)


@pytest.mark.parametrize("names", [[], [""], ["app", " "], ["/"]])
def test_no_name_is_refused(names: list[str]) -> None:
    with pytest.raises(InvalidInput, match="at least one container, and no name may be empty"):
        params_of({"containers": names, **DEFAULTS})


@pytest.mark.parametrize("key", ["timeout", "max_restarts", "log_lines"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_numbers_below_zero_are_refused(key: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=f"^{key} must not be below 0, but is {value}"):
        params_of({"containers": ["app"], **DEFAULTS, key: value})


Serve = Callable[..., EngineServer]


def test_main_succeeds(exit_of: Any, serve_engine: Serve) -> None:
    server = serve_engine({"/containers/app/json": (200, inspected("healthy"))})
    ended = exit_of(main, name="app", docker_host=server.url)
    assert ended.code == 0
    assert ended.result["containers"][0]["message"].startswith("Container app is running (healthy) after 0.")
    assert ended.result["invocation"]["module_args"]["containers"] == ["app"]


@pytest.mark.parametrize("check", [False, True])
def test_main_fails_unless_it_only_looks(exit_of: Any, serve_engine: Serve, check: bool) -> None:
    server = serve_engine(
        {
            "/containers/app/json": (200, {**inspected("exited-3"), "Config": {"Tty": False, "Image": "app:1"}}),
            "/containers/app/logs": (200, frame("last words\n")),
        }
    )
    ended = exit_of(main, check=check, containers=["app"], docker_host=server.url)
    assert ended.code == (0 if check else 1)
    assert ended.result.get("failed", False) is not check
    assert ended.result["reached"] is False
    assert ended.result["containers"][0]["logs"] == ["last words"]
    if not check:
        assert ended.result["msg"] == "Container app exited with code 3.\nIts last 1 log line:\nlast words"


def test_main_without_an_engine(exit_of: Any) -> None:
    ended = exit_of(main, containers=["app"], docker_host="unix:///nowhere.sock")
    assert ended.code == 1
    assert ended.result["msg"].startswith("No Docker engine answers at unix:///nowhere.sock")


def test_main_refuses_wrong_parameters_before_it_connects(exit_of: Any) -> None:
    ended = exit_of(main, containers=["app"], timeout=-1, docker_host="unix:///nowhere.sock")
    assert ended.result["msg"] == "timeout must not be below 0, but is -1.0."
