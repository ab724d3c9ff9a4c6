# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a look at a host."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.host import Needs
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.host_look import look_of, params_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.host_info import Params
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import HOST_INFO
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.modules.test_host_info import DEFAULTS

GIB = 1024**3


def test_params_are_read() -> None:
    given = {
        **DEFAULTS,
        "memory_min": "768M",
        "disk_free_min": "2g",
        "files": ["/a"],
        "directory": "/d",
        "env_file": "/e",
    }
    needs = Needs("", "", False, 768 * 1024**2, 2 * GIB, "ptnextjs")
    assert params_of(given) == Params(needs, files=("/a",), directory="/d", env_file="/e")


@pytest.mark.parametrize("key", ["memory_min", "disk_free_min"])
@pytest.mark.parametrize("value", ["", "much", "-1G", "1 XB"])
def test_a_size_that_is_none(key: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        params_of({**DEFAULTS, key: value})
    assert caught.value.message == f"{key} must be a size such as 512M or 2G, but is {value!r}."


def test_nothing_is_looked_at_without_options() -> None:
    assert look_of({}) is None


def test_the_options_are_those_of_the_module(serve_engine: Callable[..., EngineServer]) -> None:
    server = serve_engine({"/info": (200, HOST_INFO), "/networks": (200, [])})
    look = look_of({"docker_host": server.url, "networks": "proxy", "memory_min": "1G"})
    assert look is not None
    assert look()["engine_version"] == "26.1.5"


@pytest.mark.parametrize("given", [{"buildx": "maybe"}, {"nonsense": 1}, {"client_key": "/key"}])
def test_options_that_are_wrong_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="The options for host_info are wrong: .*[.]$"):
        look_of(given)
