# SPDX-License-Identifier: GPL-3.0-or-later
"""Pushing the image of a release, with a fake engine."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineRefused,
    InvalidInput,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.images import Login
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.image_push import Params, run
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_image_pull import (
    PLACE,
    FakeRegistryEngine,
)

NAME = "shop-app:r1"


def builder(**more: Any) -> FakeRegistryEngine:
    image = {"Id": "sha256:1", "RepoTags": [NAME], "RepoDigests": []}
    return FakeRegistryEngine(**{"at": "", "there": {"sha256:m1": image}, **more})


def refused(status: int, why: str = "denied") -> EngineRefused:
    return EngineRefused(f"It refused: {why}.", why, status)


def pushed(engine: FakeRegistryEngine, check: bool = False, user: str = "deploy") -> dict[str, Any]:
    return run(Params(NAME, PLACE, Login("ghcr.io", user, user and "secret")), engine, check)


def test_what_was_built_is_pushed_once_and_leaves_no_name() -> None:
    engine = builder()
    assert pushed(engine, check=True) == {"changed": True, "digest": "", "image": ""}
    assert engine.did == [f"ask {PLACE}:r1"]
    engine.did.clear()
    first = pushed(engine)
    assert first == {"changed": True, "digest": "sha256:m1", "image": f"{PLACE}:r1@sha256:m1"}
    asks, name = f"ask {PLACE}:r1", f"{PLACE}:r1"
    assert engine.did == [asks, f"tag {name}", f"push {name}", f"remove {name}", asks]
    assert engine.there["sha256:m1"]["RepoTags"] == [NAME]
    assert set(engine.logins) == {Login("ghcr.io", "deploy", "secret")}
    for check in (True, False):
        engine.did.clear()
        assert pushed(engine, check) == {**first, "changed": False}
        assert engine.did == [asks]


def test_what_came_from_there_is_not_asked_for() -> None:
    engine = builder()
    engine.there["sha256:m1"]["RepoDigests"] = ["other@sha256:m0", f"{PLACE}@sha256:m1"]
    assert pushed(engine) == {"changed": False, "digest": "sha256:m1", "image": f"{PLACE}:r1@sha256:m1"}
    assert engine.did == []


def test_a_registry_that_has_it_needs_no_image() -> None:
    assert pushed(FakeRegistryEngine())["digest"] == "sha256:m1"
    with pytest.raises(InvalidInput, match="There is no image shop-app:r1 to push"):
        pushed(FakeRegistryEngine(at=""))


@pytest.mark.parametrize("status", [401, 403])
def test_a_registry_that_does_not_tell_what_nobody_has_pushed(status: int) -> None:
    engine = builder(refuses=refused(status))
    engine.push = lambda *what: setattr(engine, "refuses", None) or setattr(engine, "at", "sha256:m1")  # type: ignore[method-assign]
    assert pushed(engine)["digest"] == "sha256:m1"


def test_a_dry_run_tells_that_the_account_is_not_known() -> None:
    with pytest.raises(DockerVpsError, match="cannot be pushed to ghcr.io/acme/site in the registry ghcr.io: denied"):
        pushed(builder(refuses=refused(401)), check=True)
    assert pushed(builder(refuses=refused(403)), check=True)["changed"] is True


@pytest.mark.parametrize(
    ("user", "step"),
    [
        ("deploy", "check ⟦setting registry_username⟧ and ⟦setting registry_password⟧, and that the account may push"),
        ("", "if it requires a login, set ⟦setting registry_username⟧ and ⟦setting registry_password⟧."),
    ],
)
def test_what_the_registry_refuses_is_one_sentence(user: str, step: str) -> None:
    sentence = "The image shop-app:r1 cannot be pushed to ghcr.io/acme/site in the registry ghcr.io: denied. Check that"
    for engine in (builder(refuses=refused(500)), builder(stumbles=refused(0))):
        with pytest.raises(DockerVpsError) as caught:
            pushed(engine, user=user)
        assert caught.value.message.startswith(sentence)
        assert step in caught.value.message
        assert engine.there["sha256:m1"]["RepoTags"] == [NAME]


def test_another_play_may_push_it_meanwhile() -> None:
    engine = builder(stumbles=refused(0, "tag does not exist"))
    answers = iter(["", "sha256:m1"])
    ask = engine.registry_digest

    def then(reference: str, login: Login) -> str:
        engine.at = next(answers)
        return ask(reference, login)

    engine.registry_digest = then  # type: ignore[method-assign]
    assert pushed(engine)["digest"] == "sha256:m1"


def test_a_registry_that_goes_silent_after_the_push() -> None:
    engine = builder()
    engine.push = lambda *what: setattr(engine, "refuses", refused(500, "timeout"))  # type: ignore[method-assign]
    with pytest.raises(DockerVpsError, match="cannot be pushed .*: timeout"):
        pushed(engine)
