# SPDX-License-Identifier: GPL-3.0-or-later
"""Refreshing base images, with a fake engine and its registry."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import EngineRefused, EngineUnreachable
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.images import Login
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.base_images import Params, run
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_image_pull import (
    FakeRegistryEngine,
)

NAME = "ghcr.io/acme/node:22"
OFFLINE = EngineRefused("The Docker engine refused: no such host.", "no such host.", 500)


def refreshed(engine: FakeRegistryEngine, text: str = f"FROM {NAME}", check: bool = False) -> dict[str, Any]:
    return run(Params(text, {}), engine, check)


@pytest.mark.parametrize("containerd", [False, True])
def test_a_base_that_moved_is_pulled_and_has_its_name(containerd: bool) -> None:
    engine = FakeRegistryEngine(containerd=containerd)
    first = refreshed(engine)
    assert engine.did == [f"ask {NAME}", "pull ghcr.io/acme/node sha256:m1", f"tag {NAME}"]
    assert first == {
        "changed": True,
        "bases": [{"name": NAME, "digest": "sha256:m1", "confirmed": True, "refreshed": True}],
        "name": NAME,
        "digest": "sha256:m1",
        "fingerprint": first["fingerprint"],
        "confirmed": True,
        "cautions": [],
    }
    assert len(first["fingerprint"]) == 8
    engine.did.clear()
    again = refreshed(engine)
    assert (again["changed"], again["fingerprint"]) == (False, first["fingerprint"])
    assert engine.did == [f"ask {NAME}"]
    engine.at = "sha256:m2"
    engine.there["sha256:m1"]["RepoTags"].clear()  # as an engine does when another image gets the name
    second = refreshed(engine)
    assert (second["changed"], second["digest"]) == (True, "sha256:m2")
    assert second["fingerprint"] != first["fingerprint"]
    assert engine.logins == [Login("ghcr.io")] * 5


def test_check_mode_asks_and_pulls_nothing() -> None:
    engine = FakeRegistryEngine()
    told = refreshed(engine, check=True)
    assert engine.did == [f"ask {NAME}"]
    assert told == refreshed(engine)


@pytest.mark.parametrize(
    ("error", "why"), [(OFFLINE, "no such host"), (EngineUnreachable("It is gone."), "there is no answer")]
)
def test_what_the_registry_does_not_tell_stays_with_a_caution(error: Any, why: str) -> None:
    engine = FakeRegistryEngine()
    first = refreshed(engine)
    engine.refuses = error
    told = refreshed(engine)
    assert told["cautions"] == [
        f"The base image {NAME} is used as it is here, since the registry ghcr.io does not say what it is now: {why}. "
        "See that the registry is reached, or set ⟦setting base_refresh never⟧ for a base image that no registry has."
    ]
    base = {"name": NAME, "digest": "sha256:m1", "confirmed": False, "refreshed": False}
    assert told == {**first, "changed": False, "bases": [base], "confirmed": False, "cautions": told["cautions"]}


def test_a_pull_that_fails_leaves_what_is_there() -> None:
    engine = FakeRegistryEngine()
    refreshed(engine)
    engine.at, engine.stumbles = "sha256:m2", OFFLINE
    told = refreshed(engine)
    assert (told["changed"], told["digest"], told["confirmed"], len(told["cautions"])) == (False, "sha256:m1", False, 1)


def test_a_base_that_was_never_in_a_registry_has_no_digest() -> None:
    engine = FakeRegistryEngine(refuses=OFFLINE)
    engine.there["built"] = {"Id": "sha256:b", "RepoTags": ["local:latest"], "RepoDigests": []}
    told = refreshed(engine, "FROM local")
    assert (told["name"], told["digest"], told["fingerprint"], len(told["cautions"])) == ("", "", "", 1)


def test_a_base_that_is_nowhere_is_left_to_the_build() -> None:
    told = refreshed(FakeRegistryEngine(refuses=OFFLINE))
    assert (told["changed"], told["digest"], told["fingerprint"], told["cautions"]) == (False, "", "", [])
    assert told["confirmed"] is False


def test_a_base_with_a_digest_does_not_move() -> None:
    engine = FakeRegistryEngine(refuses=OFFLINE)
    told = refreshed(engine, "FROM node:22@sha256:m7")
    assert (engine.did, told["confirmed"], told["changed"]) == ([], True, False)
    assert (told["name"], told["digest"]) == ("docker.io/library/node:22", "sha256:m7")


def test_each_base_counts_and_the_last_stage_has_one() -> None:
    engine = FakeRegistryEngine()
    text = f"FROM {NAME} AS build\nFROM {NAME}@sha256:m2\nFROM ghcr.io/acme/run\n"
    told = refreshed(engine, text)
    assert [base["name"] for base in told["bases"]] == [NAME, f"{NAME}@sha256:m2", "ghcr.io/acme/run:latest"]
    assert told["name"] == "ghcr.io/acme/run:latest"
    assert told["fingerprint"] != refreshed(engine, "FROM ghcr.io/acme/run")["fingerprint"]
    assert run(Params(text, {}, "build"), engine, False)["name"] == NAME


@pytest.mark.parametrize("text", ["", "FROM scratch", "FROM node:$TAG"])
def test_nothing_to_refresh(text: str) -> None:
    engine = FakeRegistryEngine()
    told = refreshed(engine, text)
    assert (engine.did, told["bases"], told["fingerprint"], told["confirmed"]) == ([], [], "", True)
