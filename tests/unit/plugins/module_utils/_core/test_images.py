# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image one is, on either store, and what references name."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.images import (
    base,
    by_digest,
    digest,
    digest_in,
    digests,
    environment,
    identity,
    identity_of,
    in_full,
    registry,
    repository,
    revision,
    short,
    tag,
    tagged,
    user,
)

# As engines describe an image: with the classic store, and with that of containerd.
CONFIG = {"Env": ["A=1"], "Cmd": ["node"], "Labels": {"v": "1"}}
SAME = {"Config": CONFIG, "RootFS": {"Layers": ["sha256:l1"]}, "Architecture": "amd64", "Os": "linux"}
CLASSIC: dict[str, Any] = {**SAME, "Id": "sha256:config", "RepoDigests": ["r/b@sha256:m1", "r/a@sha256:m2"]}
INDEX: dict[str, Any] = {**SAME, "Id": "sha256:index", "RepoDigests": ["r/b@sha256:x", "r/a@sha256:index"]}


@pytest.mark.parametrize("digests", [["r/b@sha256:m1", "r/a@sha256:m2"], ["r/a@sha256:m2", "r/b@sha256:m1"], [], None])
def test_the_classic_store_calls_an_image_by_its_config(digests: Optional[list[str]]) -> None:
    assert identity({**CLASSIC, "RepoDigests": digests}) == "sha256:config"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"Id": "sha256:again", "RepoDigests": ["r/a@sha256:again"]},  # only its attestation is another one
        {"RepoDigests": ["r/a@sha256:index", "r/b@sha256:x"]},
        {"RepoDigests": [], "Descriptor": {"digest": "sha256:index"}},  # newer engines tell it without a name, too
        {"Config": {**CONFIG, "Entrypoint": None, "User": "", "Hostname": "", "Volumes": {}}},
        {"Variant": ""},
        {"Created": "2026-01-31T02:00:00Z"},
    ],
)
def test_an_index_is_the_image_that_it_holds_for_this_platform(change: dict[str, Any]) -> None:
    found = identity({**INDEX, **change})
    assert found == identity(INDEX)
    assert found not in ("sha256:index", "sha256:again")
    assert len(found) == len("sha256:") + 64


@pytest.mark.parametrize(
    "change",
    [
        {"RootFS": {"Layers": ["sha256:l2"]}},
        {"RootFS": None},
        {"Architecture": "arm64"},
        {"Variant": "v8"},
        {"Config": {**CONFIG, "Cmd": ["sh"]}},
        {"Config": {**CONFIG, "Labels": {"v": "2"}}},
        {"Config": {}},
        {"Config": None},
    ],
)
def test_another_image_is_another_one(change: dict[str, Any]) -> None:
    assert identity({**INDEX, **change}) != identity(INDEX)


@pytest.mark.parametrize("image", [None, {}, {"Id": None}, {"Id": "", "RepoDigests": None, "Config": None}])
def test_of_nothing_there_is_no_identity(image: Optional[dict[str, Any]]) -> None:
    assert identity(image) == ""


def test_a_container_has_the_identity_of_its_image_also_when_that_has_no_name_any_more() -> None:
    assert identity_of({"Image": "sha256:index"}, INDEX) == identity(INDEX)
    assert identity_of({"Image": "sha256:config"}, CLASSIC) == "sha256:config"
    assert identity_of({"Image": "sha256:config"}, None) == "sha256:config"
    assert identity_of({}, None) == identity_of({"Image": None}, {}) == ""


def test_a_release_is_named_by_twelve_digits() -> None:
    assert short("sha256:0123456789abcdef") == "0123456789ab"
    assert short("") == ""


@pytest.mark.parametrize(
    ("reference", "name", "host", "its_digest"),
    [
        ("node", "node", "docker.io", ""),
        ("node:22-alpine", "node", "docker.io", ""),
        ("acme/site@sha256:ab", "acme/site", "docker.io", "sha256:ab"),
        ("ghcr.io/acme/site:1@sha256:ab", "ghcr.io/acme/site", "ghcr.io", "sha256:ab"),
        ("localhost/site", "localhost/site", "localhost", ""),
        ("localhost:5055/acme/site", "localhost:5055/acme/site", "localhost:5055", ""),
        ("registry:5000/site:1", "registry:5000/site", "registry:5000", ""),
    ],
)
def test_what_a_reference_names(reference: str, name: str, host: str, its_digest: str) -> None:
    assert (repository(reference), registry(reference), digest(reference)) == (name, host, its_digest)


@pytest.mark.parametrize(
    ("reference", "whole", "its_tag", "full"),
    [
        ("node", "node:latest", "", "docker.io/library/node"),
        ("node:22", "node:22", "22", "docker.io/library/node:22"),
        ("acme/site:1", "acme/site:1", "1", "docker.io/acme/site:1"),
        ("docker.io/acme/site:1", "docker.io/acme/site:1", "1", "docker.io/acme/site:1"),
        ("r:5000/site", "r:5000/site:latest", "", "r:5000/site"),
    ],
)
def test_how_a_reference_is_written(reference: str, whole: str, its_tag: str, full: str) -> None:
    assert (tagged(reference), tag(reference), in_full(reference)) == (whole, its_tag, full)
    assert tagged(f"{reference}@sha256:ab") == f"{reference}@sha256:ab"
    assert in_full(f"{reference}@sha256:ab") == full


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("shop:1", "docker.io/library/shop:1"),
        ("me/shop:1", "docker.io/me/shop:1"),
        ("ghcr.io/me/shop:1", "ghcr.io/me/shop:1"),
        ("localhost/shop:1", "localhost/shop:1"),
        ("vps:5000/shop:1", "vps:5000/shop:1"),
    ],
)
def test_the_full_name_of_an_image(name: str, full: str) -> None:
    assert in_full(name) == full


def test_the_base_is_known_when_both_labels_say_it() -> None:
    name, at = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"
    assert base({"Config": {"Labels": {name: "r/node:22", at: "sha256:ab"}}}) == "r/node:22@sha256:ab"
    for labels in ({name: "r/node:22", at: ""}, {at: "sha256:ab"}):
        assert base({"Config": {"Labels": labels}}) == ""
    assert digests(CLASSIC) == ["sha256:m1", "sha256:m2"]


def test_what_was_pulled_is_known_by_its_digest_alone() -> None:
    assert by_digest("r:5000/site:1@sha256:ab") == "r:5000/site@sha256:ab"


@pytest.mark.parametrize(
    "image",
    [
        None,
        {},
        {"Config": None, "RepoDigests": None},
        {"Config": {}},
        {"Config": {"Labels": None, "Env": None, "User": None}},
    ],
)
def test_engines_leave_out_what_is_not_set(image: Optional[dict[str, Any]]) -> None:
    assert (revision(image), user(image), environment(image)) == ("", "", [])
    assert (base(image), digests(image)) == ("", [])


def test_what_an_image_says_of_itself() -> None:
    labels = {"org.opencontainers.image.revision": "4f2c1d9a"}
    image = {"Config": {"Labels": labels, "User": "node", "Env": ["A=1"]}}
    assert (revision(image), user(image), environment(image)) == ("4f2c1d9a", "node", ["A=1"])


def test_by_which_digest_a_repository_has_an_image() -> None:
    image = {"RepoDigests": ["other@sha256:a", "ghcr.io/acme/site@sha256:b"]}
    assert digest_in("ghcr.io/acme/site", image) == "sha256:b"
    assert digest_in("ghcr.io/acme", image) == ""
    assert digest_in("ghcr.io/acme", {"RepoDigests": None}) == digest_in("ghcr.io/acme", None) == ""
