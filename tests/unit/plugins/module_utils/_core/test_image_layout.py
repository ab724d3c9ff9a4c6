# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image consists of, and what of it a host lacks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import image_layout as layouts
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import Blob, Chunk, Layout


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def blob(letter: str, size: int = 10, diff_id: str = "") -> Blob:
    return Blob(digest(letter), size, 2 * size, (Chunk(letter * 64, size - 1),), diff_id)


BASE, DEPENDENCIES, CODE = (blob(letter, 100, digest(diff)) for letter, diff in ("a1", "b2", "c3"))
IMAGE = Layout("sha256:id", "linux/amd64", blob("e"), blob("f"), (BASE, DEPENDENCIES, CODE))


def test_an_image_is_described_as_json() -> None:
    assert layouts.layout_of(json.loads(json.dumps(layouts.as_data(IMAGE)))) == IMAGE
    assert IMAGE.diff_ids == (digest("1"), digest("2"), digest("3"))
    assert [chunk.sha256[0] for chunk in IMAGE.chunks] == ["e", "f", "a", "b", "c"]
    assert IMAGE.ids == (digest("e"), digest("f"))
    assert replace(IMAGE, layers=(BASE, CODE, BASE)).blobs == (IMAGE.manifest, IMAGE.config, BASE, CODE)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"layers": None},
        {"manifest": {"digest": "sha256:x", "size": 1, "unpacked": 1, "chunks": []}},
        {"config": {"digest": digest("f"), "size": "x", "unpacked": 1, "chunks": []}},
        {"config": {"digest": digest("f"), "size": 1, "unpacked": 1, "chunks": [{"sha256": "../../etc", "size": 1}]}},
        {"layers": [{"digest": digest("a"), "size": 1, "unpacked": 1, "chunks": [], "diff_id": "../x"}]},
    ],
)
def test_what_is_no_description_is_refused(wrong: dict[str, Any]) -> None:
    data = {**layouts.as_data(IMAGE), **wrong} if wrong else {}
    with pytest.raises(DockerVpsError, match="The description of the image is not what an export returns"):
        layouts.layout_of(data)


INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def entry(letter: str, kind: str = MANIFEST, platform: str = "", **more: Any) -> dict[str, Any]:
    system, _slash, machine = platform.partition("/")
    described = {"platform": {"os": system, "architecture": machine}} if platform else {}
    return {"mediaType": kind, "digest": digest(letter), **described, **more}


def test_the_manifest_of_a_platform() -> None:
    def read(name: str) -> dict[str, Any]:
        return {digest("d"): inner}[name]

    attestation = entry(
        "0", platform="unknown/unknown", annotations={"vnd.docker.reference.type": "attestation-manifest"}
    )
    inner = {"manifests": [attestation, entry("1", platform="linux/arm64"), entry("2", platform="linux/amd64")]}
    assert layouts.manifest_of({"manifests": [entry("1")]}, read, "linux/amd64") == digest("1")
    assert layouts.manifest_of(inner, read, "linux/amd64") == digest("2")
    assert layouts.manifest_of({"manifests": [entry("d", INDEX)]}, read, "linux/arm64") == digest("1")
    for index in ({}, {"manifests": None}, {"manifests": [attestation]}, inner):
        with pytest.raises(DockerVpsError, match=r"The engine has written no image for linux/s390x\."):
            layouts.manifest_of(index, read, "linux/s390x")


def test_layers_by_manifest_and_configuration() -> None:
    manifest = {"layers": [{"digest": "a"}, {"digest": "b"}]}
    assert layouts.layers_of(manifest, {"rootfs": {"diff_ids": ["1", "2"]}}) == [("a", "1"), ("b", "2")]
    assert layouts.layers_of({}, {"rootfs": None}) == []
    with pytest.raises(DockerVpsError, match="an image of 2 layers whose configuration names 1"):
        layouts.layers_of(manifest, {"rootfs": {"diff_ids": ["1"]}})


ALWAYS = "ef"


@pytest.mark.parametrize(
    ("chains", "blobs", "wanted"),
    [
        ([], "", "abc"),
        (["12"], "", "c"),
        (["1"], "", "bc"),
        (["9", "129", "1"], "", "c"),
        (["123456"], "", ""),
        (["23"], "", "abc"),  # the same layers on another one are others
        (["92"], "", "abc"),
        ([], "ab", "c"),
        ([], "efb", "ac"),
        ([""], "", "abc"),
    ],
)
def test_what_a_host_lacks(chains: list[str], blobs: str, wanted: str) -> None:
    found = layouts.lacking(IMAGE, [[digest(one) for one in chain] for chain in chains], set(map(digest, blobs)))
    assert [one.digest for one in found] == [digest(letter) for letter in ALWAYS + wanted]


def test_a_layer_that_comes_twice_is_sent_once() -> None:
    assert layouts.lacking(replace(IMAGE, layers=(BASE, CODE, BASE)), (), ()) == [
        IMAGE.manifest,
        IMAGE.config,
        BASE,
        CODE,
    ]


def test_the_room_that_is_needed() -> None:
    assert layouts.space([BASE, CODE]) == 600
    assert layouts.space([]) == 0


def test_what_an_archive_says_of_the_image() -> None:
    files = {path: json.loads(text) for path, text in layouts.documents(IMAGE, "shop-app:1").items()}
    (named,) = files["index.json"]["manifests"]
    assert (named["digest"], named["size"]) == (digest("e"), 10)
    assert named["annotations"]["io.containerd.image.name"] == "docker.io/library/shop-app:1"
    assert named["annotations"]["org.opencontainers.image.ref.name"] == "1"
    (classic,) = files["manifest.json"]
    assert classic["RepoTags"] == ["shop-app:1"]
    assert classic["Config"] == f"blobs/sha256/{'f' * 64}"
    assert classic["Layers"] == [f"blobs/sha256/{letter * 64}" for letter in "abc"]
    assert files["oci-layout"] == {"imageLayoutVersion": "1.0.0"}


def test_what_the_classic_store_calls_layers() -> None:
    chains = layouts.chain_ids([digest("a"), digest("b"), digest("c")])
    assert chains[0] == digest("a")
    for number, letter in ((1, "b"), (2, "c")):
        both = f"{chains[number - 1]} {digest(letter)}"
        assert chains[number] == f"sha256:{hashlib.sha256(both.encode()).hexdigest()}"
    assert layouts.chain_ids([]) == []


def test_the_manifest_of_layers_that_are_not_compressed() -> None:
    assert json.loads(layouts.uncompressed(IMAGE.config, [BASE, CODE])) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest("f"), "size": 10},
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(letter), "size": 100}
            for letter in "ac"
        ],
    }


def test_platforms() -> None:
    assert layouts.image_platform({"Os": "linux", "Architecture": "arm64"}) == "linux/arm64"
    assert layouts.image_platform({}) == "linux/"
    layouts.check_platform("shop:1", "linux/amd64", layouts.platform_of({"OSType": "linux", "Architecture": "x86_64"}))
    assert layouts.platform_of({"Architecture": "aarch64"}) == "linux/arm64"
    assert layouts.platform_of({"Architecture": "riscv64"}) == "linux/riscv64"
    assert layouts.platform_of({}) == "linux/"
    with pytest.raises(DockerVpsError, match="shop:1 is built for linux/amd64, and this host is linux/arm64"):
        layouts.check_platform("shop:1", "linux/amd64", "linux/arm64")
