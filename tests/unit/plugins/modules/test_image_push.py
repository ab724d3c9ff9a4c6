# SPDX-License-Identifier: GPL-3.0-or-later
"""The module image_push: its parameters, and its exits over a real socket."""

from __future__ import annotations

import json
from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.images import Login
from ansible_collections.ptnextjs.docker_vps.plugins.modules.image_push import main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer

GIVEN = {"name": "shop-app:r1", "repository": "ghcr.io/acme/shop"}
ACCOUNT = {"registry_username": "deploy", "registry_password": "open-sesame"}


def test_the_login_is_for_the_registry_of_the_repository() -> None:
    assert params_of({**GIVEN, **ACCOUNT}).login == Login("ghcr.io", "deploy", "open-sesame")


def test_main(exit_of: Any, serve_engine: Callable[..., EngineServer]) -> None:
    image = {"Id": "sha256:1", "RepoTags": ["shop-app:r1"]}
    answers = {
        "/distribution/ghcr.io/acme/shop:r1/json": (200, {"Descriptor": {"digest": "sha256:m1"}}),
        "/images/shop-app:r1/json": (200, image),
    }
    ended = exit_of(main, **GIVEN, **ACCOUNT, docker_host=serve_engine(answers).url)
    assert (ended.code, ended.result["changed"], ended.result["digest"]) == (0, False, "sha256:m1")
    assert "open-sesame" not in json.dumps(ended.result)


def test_what_the_registry_refuses_is_one_sentence(exit_of: Any, serve_engine: Callable[..., EngineServer]) -> None:
    answers = {"/distribution/ghcr.io/acme/shop:r1/json": (500, {"message": "no such host"})}
    ended = exit_of(main, **GIVEN, docker_host=serve_engine(answers).url)
    assert ended.code == 1
    assert ended.result["msg"] == (
        "The image shop-app:r1 cannot be pushed to ghcr.io/acme/shop in the registry ghcr.io: no such host. Check "
        "that this registry exists and has space; if it requires a login, set docker_vps_registry_username and "
        "docker_vps_registry_password. What is live stays."
    )
