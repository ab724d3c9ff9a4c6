# SPDX-License-Identifier: GPL-3.0-or-later
"""The module image_pull: its parameters, and its exits over a real socket."""

from __future__ import annotations

import base64
import json
from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.images import Login
from ansible_collections.ptnextjs.docker_vps.plugins.modules.image_pull import main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer

GIVEN = {"image": "ghcr.io/acme/site:1", "name": "shop-app"}
ACCOUNT = {"registry_username": "deploy", "registry_password": "secret"}


def test_the_login_is_for_the_registry_of_the_image() -> None:
    params = params_of({**GIVEN, **ACCOUNT, "image": "acme/site", "tag": "r1"})
    assert (params.login, params.tag) == (Login("docker.io", "deploy", "secret"), "r1")


def test_main(exit_of: Any, serve_engine: Callable[..., EngineServer]) -> None:
    found = {"Descriptor": {"digest": "sha256:m1"}}
    image = {"Id": "sha256:1234567890abcdef", "RepoTags": ["shop-app:1234567890ab"], "Config": None}
    answers = {
        "/distribution/ghcr.io/acme/site:1/json": (200, found),
        "/images/ghcr.io/acme/site%40sha256:m1/json": (200, image),
    }
    given = {**GIVEN, "docker_host": serve_engine(answers).url}
    ended = exit_of(main, **given, registry_username="deploy", registry_password="open-sesame")
    assert (ended.code, ended.result["changed"], ended.result["image"]) == (0, False, "shop-app:1234567890ab")
    assert "open-sesame" not in json.dumps(ended.result)
    assert base64.b64encode(b"open-sesame").decode() not in json.dumps(ended.result)


def test_what_the_registry_refuses_is_one_sentence(exit_of: Any, serve_engine: Callable[..., EngineServer]) -> None:
    answers = {"/distribution/ghcr.io/acme/site:1/json": (404, {"message": "manifest unknown"})}
    ended = exit_of(main, **GIVEN, docker_host=serve_engine(answers).url)
    assert ended.code == 1
    assert ended.result["msg"] == (
        "The registry ghcr.io has no image ghcr.io/acme/site:1 (manifest unknown). Check docker_vps_image."
    )
