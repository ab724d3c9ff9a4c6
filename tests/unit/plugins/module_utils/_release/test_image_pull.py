# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling an image and naming it, with a fake engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, EngineRefused
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.images import Login, identity, short
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.image_pull import Params, run

PLACE = "ghcr.io/acme/site"
IDS = {"sha256:m1": "sha256:" + "1a" * 32, "sha256:m2": "sha256:" + "2b" * 32}


@dataclass
class FakeRegistryEngine:
    """An engine and the registry it pulls from, whose tag is at a digest.

    Attributes:
        at: empty when the registry has no such tag.
        containerd: whether images are called by what was pulled.
        refuses: what the registry says to a question, and what the engine says to a pull or a push.
        platforms: for which the registry has the image; the engine is linux/amd64.
    """

    at: str = "sha256:m1"
    platforms: tuple[str, ...] = ("unknown/unknown", "linux/amd64")
    containerd: bool = False
    refuses: Optional[EngineRefused] = None
    stumbles: Optional[EngineRefused] = None
    there: dict[str, dict[str, Any]] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    logins: list[Login] = field(default_factory=list)

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        return next(
            (one for one in self.there.values() if name == one["Id"] or name in one["RepoTags"] + one["RepoDigests"]),
            None,
        )

    def registry_digest(self, reference: str, login: Login) -> str:
        self.did.append(f"ask {reference}")
        self.logins.append(login)
        if self.refuses:
            raise self.refuses
        if not self.at:
            raise EngineRefused("It refused: manifest unknown.", "manifest unknown", 404)
        return self.at

    def registry_platforms(self, reference: str, login: Login) -> tuple[str, ...]:
        if self.refuses:
            raise self.refuses
        return self.platforms

    def info(self) -> Mapping[str, Any]:
        return {"OSType": "linux", "Architecture": "x86_64"}

    def push(self, repository: str, tag: str, login: Login) -> None:
        self.did.append(f"push {repository}:{tag}")
        self.logins.append(login)
        if self.stumbles:
            raise self.stumbles
        self.at = "sha256:m1"

    def remove_image(self, name: str) -> None:
        self.did.append(f"remove {name}")
        found = self.image(name)
        assert found
        found["RepoTags"].remove(name)

    def pull(self, repository: str, digest: str, login: Login) -> None:
        self.did.append(f"pull {repository} {digest}")
        self.logins.append(login)
        if self.stumbles:
            raise self.stumbles
        called = digest if self.containerd else IDS[digest]
        config = {"Labels": {"org.opencontainers.image.revision": f"of {digest}"}}
        names = {"RepoTags": [], "RepoDigests": [f"{repository}@{digest}"]}
        self.there[digest] = {"Id": called, **names, "Config": config, "RootFS": {"Layers": [digest]}}

    def tag(self, image: str, repository: str, tag: str) -> None:
        self.did.append(f"tag {repository}:{tag}")
        found = self.image(image)
        assert found
        found["RepoTags"].append(f"{repository}:{tag}")


def pulled(
    engine: FakeRegistryEngine, reference: str = f"{PLACE}:1", check: bool = False, user: str = "", tag: str = ""
) -> dict[str, Any]:
    return run(Params(reference, "shop-app", Login("ghcr.io", user, user and "secret"), tag), engine, check)


@pytest.mark.parametrize("containerd", [False, True])
def test_what_is_pulled_gets_a_name_that_stays_when_the_tag_moves(containerd: bool) -> None:
    engine = FakeRegistryEngine(containerd=containerd)
    first = pulled(engine)
    release = short(identity(engine.there["sha256:m1"]))
    assert first == {
        "changed": True,
        "image": f"shop-app:{release}",
        "release": release,
        "revision": "of sha256:m1",
        "pulled": f"{PLACE}:1@sha256:m1",
    }
    assert engine.did == [f"ask {PLACE}:1", f"pull {PLACE} sha256:m1", f"tag shop-app:{release}"]
    assert len(release) == 12
    engine.did.clear()
    assert pulled(engine) == {**first, "changed": False}
    assert engine.did == [f"ask {PLACE}:1"]
    engine.at = "sha256:m2"
    second = pulled(engine)
    assert (second["changed"], second["image"] == first["image"]) == (True, False)
    assert {first["image"], second["image"]} == {name for one in engine.there.values() for name in one["RepoTags"]}


def test_the_classic_store_names_a_release_after_the_config() -> None:
    assert pulled(FakeRegistryEngine())["release"] == "1a" * 6


@pytest.mark.parametrize("containerd", [False, True])
def test_a_digest_that_is_there_is_not_asked_for(containerd: bool) -> None:
    engine = FakeRegistryEngine(containerd=containerd)
    assert pulled(engine, f"{PLACE}:1@sha256:m1")["changed"] is True
    engine.did.clear()
    engine.there["sha256:m1"]["RepoDigests"] = [f"shop-app@{'sha256:m1' if containerd else 'sha256:x'}"]
    again = pulled(engine, f"{PLACE}@sha256:m1")
    assert again["pulled"] == f"{PLACE}@sha256:m1"
    assert again["changed"] is not containerd
    assert engine.did == ([] if containerd else [f"pull {PLACE} sha256:m1", f"tag {again['image']}"])


def test_what_has_the_tag_of_a_release_is_not_asked_for() -> None:
    engine = FakeRegistryEngine()
    first = pulled(engine, tag="r1")
    assert (first["image"], first["pulled"]) == ("shop-app:r1", f"{PLACE}:1@sha256:m1")
    engine.did.clear()
    assert pulled(engine, tag="r1") == {**first, "changed": False}
    assert engine.did == []
    # An image that was built here, or sent, has no digest of a registry.
    engine.there["sha256:m1"]["RepoDigests"] = ["elsewhere@sha256:m1"]
    assert pulled(engine, tag="r1") == {**first, "changed": False, "pulled": ""}
    assert engine.did == []
    assert pulled(engine, f"{PLACE}:1@sha256:m2", tag="r1")["changed"] is True
    assert engine.did == [f"pull {PLACE} sha256:m2", "tag shop-app:r1"]


@pytest.mark.parametrize("check", [False, True])
def test_an_image_of_another_platform_is_not_pulled(check: bool) -> None:
    engine = FakeRegistryEngine(platforms=("linux/arm64", "linux/arm", "unknown/unknown"))
    with pytest.raises(DockerVpsError) as caught:
        pulled(engine, check=check)
    assert caught.value.message == (
        "The image ghcr.io/acme/site:1@sha256:m1 is built for linux/arm64, linux/arm, and this host is linux/amd64. "
        "Build it for the host's platform, and push that. Nothing was pulled."
    )
    assert engine.did == [f"ask {PLACE}:1"]


def test_a_registry_that_does_not_tell_platforms() -> None:
    engine = FakeRegistryEngine(refuses=EngineRefused("It refused: no.", "no", 429))
    assert pulled(engine, f"{PLACE}@sha256:m1")["changed"] is True
    assert pulled(FakeRegistryEngine(platforms=()))["changed"] is True


def test_an_engine_may_leave_out_what_is_not_set() -> None:
    engine = FakeRegistryEngine()
    bare = {"Id": "sha256:1234567890abcdef", "RepoTags": None, "RepoDigests": None, "Config": None}
    engine.image = lambda name: bare  # type: ignore[method-assign]
    engine.tag = lambda *names: engine.did.append(" ".join(names))  # type: ignore[method-assign]
    assert (pulled(engine)["image"], pulled(engine)["revision"]) == ("shop-app:1234567890ab", "")
    assert engine.did[-1] == "sha256:1234567890abcdef shop-app 1234567890ab"


def test_an_image_that_is_gone_again() -> None:
    engine = FakeRegistryEngine()
    engine.image = lambda name: None  # type: ignore[method-assign]
    with pytest.raises(DockerVpsError, match="sha256:m1 was pulled and is gone already: does something prune images"):
        pulled(engine)


def test_check_mode_asks_and_pulls_nothing() -> None:
    engine = FakeRegistryEngine()
    name = f"{PLACE}:1@sha256:m1"
    wanted = {"changed": True, "image": name, "release": "", "revision": "", "pulled": name}
    assert pulled(engine, check=True) == wanted
    engine.pull(PLACE, "sha256:m1", Login(""))
    assert pulled(engine, check=True)["changed"] is True
    assert [one for one in engine.did if one.startswith("tag")] == []
    image = pulled(engine)["image"]
    assert pulled(engine, check=True) == {**pulled(engine), "changed": False, "image": image}


def test_the_login_is_given_to_the_question_and_to_the_pull() -> None:
    engine = FakeRegistryEngine()
    pulled(engine, user="deploy")
    assert engine.logins == [Login("ghcr.io", "deploy", "secret")] * 2
    assert "secret" not in repr(engine.logins)


@pytest.mark.parametrize(
    ("status", "user", "message"),
    [
        (
            401,
            "deploy",
            "The registry ghcr.io does not let deploy pull ghcr.io/acme/site:1 (no). Check ⟦setting",
        ),
        (
            403,
            "deploy",
            "The registry ghcr.io does not let deploy pull ghcr.io/acme/site:1 (no). Check ⟦setting",
        ),
        (401, "", "The registry ghcr.io does not give ghcr.io/acme/site:1 to everybody (no). Set ⟦s"),
        (
            404,
            "",
            "The registry ghcr.io has no image ghcr.io/acme/site:1 (no). Check ⟦setting image⟧.",
        ),
        (
            500,
            "",
            "The image ghcr.io/acme/site:1 cannot be pulled from the registry ghcr.io: no. Check that",
        ),
    ],
)
def test_what_the_registry_refuses(status: int, user: str, message: str) -> None:
    for engine in (
        FakeRegistryEngine(refuses=EngineRefused("It refused: no.", "no", status)),
        FakeRegistryEngine(stumbles=EngineRefused("It refused: no.", "no", status)),
    ):
        with pytest.raises(DockerVpsError) as caught:
            pulled(engine, user=user)
        assert caught.value.message.startswith(message)
        assert not [one for one in engine.did if one.startswith("tag")]
