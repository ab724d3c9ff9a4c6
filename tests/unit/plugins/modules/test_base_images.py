# SPDX-License-Identifier: GPL-3.0-or-later
"""The module base_images over a real socket."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.base_images import Params
from ansible_collections.ptnextjs.docker_vps.plugins.modules.base_images import main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer

GIVEN = {"dockerfile": "ARG BASE=x\nFROM $BASE AS a\nFROM y", "args": {"BASE": "r.io/node:1"}, "target": "a"}
DISTRIBUTION, IMAGE = "/distribution/r.io/node:1/json", "/images/r.io/node:1/json"


def test_params_are_read() -> None:
    assert params_of(GIVEN) == Params(GIVEN["dockerfile"], {"BASE": "r.io/node:1"}, "a")


@pytest.mark.parametrize("check", [False, True])
def test_main(exit_of: Any, serve_engine: Callable[..., EngineServer], check: bool) -> None:
    here = {"Id": "sha256:1", "RepoDigests": ["r.io/node@sha256:m1"]}
    answers = {DISTRIBUTION: (200, {"Descriptor": {"digest": "sha256:m1"}}), IMAGE: (200, here)}
    given = {**GIVEN, "dockerfile": "ARG BASE=x\nFROM $BASE AS a", "docker_host": serve_engine(answers).url}
    ended = exit_of(main, check=check, **given)
    assert (ended.code, ended.result["changed"]) == (0, False)
    assert (ended.result["name"], ended.result["digest"]) == ("r.io/node:1", "sha256:m1")


def test_a_registry_that_refuses_is_a_caution(exit_of: Any, serve_engine: Callable[..., EngineServer]) -> None:
    answers = {DISTRIBUTION: (401, {"message": "unauthorized"}), IMAGE: (200, {"Id": "sha256:1"})}
    given = {**GIVEN, "dockerfile": "FROM r.io/node:1", "docker_host": serve_engine(answers).url, "target": ""}
    ended = exit_of(main, **given)
    assert ended.result["cautions"] == [
        "The base image r.io/node:1 is used as it is here, since the registry r.io does not say what it is now: "
        "unauthorized. See that the registry is reached, or set docker_vps_base_refresh: never for a base image that "
        "no registry has."
    ]
