# SPDX-License-Identifier: GPL-3.0-or-later
"""Images read where an engine keeps them, and what makes a reader refuse them."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import Layout
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.engine_layers import Unreadable, read
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.image_chunks import Chunks
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_images import (
    FakeImageEngine,
    built,
    digest_of,
    packed_as,
    write_classic,
    write_containerd,
)

FILES = {"a/b/deep": b"x" * 3_000_000, "a/b/next": b"y", "a/up": b"z", "empty": b"", "a/b/again": b"w"}
LAYERS = (packed_as(FILES), packed_as({"code": b"code"}))
CLASSIC, PACKED = built(*LAYERS), built(*LAYERS, packed=True)
LAYER = "image/overlay2/layerdb/sha256"


class Place:
    """A directory with the stores of engines, and one for chunks."""

    def __init__(self, place: Path) -> None:
        self.root = place / "docker"
        self.chunks = Chunks(str(place / "chunks"))
        self.chunks.make()

    def read(self, engine: FakeImageEngine) -> Layout:
        image = engine.image("shop:1")
        assert image
        return read(engine.info(), image, self.chunks, {})

    def classic(self) -> Layout:
        return self.read(FakeImageEngine(root=str(self.root), driver="overlay2", images={"shop:1": CLASSIC}))

    def containerd(self) -> Layout:
        return self.read(FakeImageEngine(root=str(self.root), containerd=True, images={"shop:1": PACKED}))

    def contents(self, layout: Layout) -> dict[str, bytes]:
        return {blob.digest: b"".join(self.chunks.plain(blob)) for blob in layout.blobs}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_classic_store(place: Place) -> None:
    write_classic(place.root, CLASSIC)
    before = sorted((path, path.lstat().st_mtime_ns) for path in place.root.rglob("*"))
    opened = len(os.listdir("/proc/self/fd"))
    layout = place.classic()
    assert (layout.source, layout.platform, layout.config.digest) == (CLASSIC.config, "linux/amd64", CLASSIC.config)
    assert layout.diff_ids == CLASSIC.diff_ids
    found = place.contents(layout)
    assert tuple(found[layer.digest] for layer in layout.layers) == LAYERS
    assert [one["digest"] for one in json.loads(found[layout.manifest.digest])["layers"]] == list(CLASSIC.diff_ids)
    assert sorted((path, path.lstat().st_mtime_ns) for path in place.root.rglob("*")) == before
    assert len(os.listdir("/proc/self/fd")) == opened


def test_the_containerd_store(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    write_containerd(place.root, PACKED)
    layout = place.containerd()
    assert (layout.manifest.digest, layout.config.digest) == (PACKED.manifest, PACKED.config)
    assert layout.diff_ids == PACKED.diff_ids
    assert place.contents(layout) == PACKED.blobs


def test_an_image_behind_an_index(place: Place) -> None:
    entry = {"digest": PACKED.manifest, "platform": {"os": "linux", "architecture": "amd64"}}
    index = json.dumps({"manifests": [entry]}).encode()
    write_containerd(place.root, PACKED)
    content = next(place.root.rglob(PACKED.manifest[7:])).parent
    (content / digest_of(index)[7:]).write_bytes(index)
    engine = FakeImageEngine(root=str(place.root), containerd=True)
    image = {"Id": digest_of(index), "Os": "linux", "Architecture": "amd64"}
    layout = read(engine.info(), image, place.chunks, {})
    assert (layout.source, layout.manifest.digest) == (digest_of(index), PACKED.manifest)
    assert place.contents(layout) == PACKED.blobs


def first_layer(root: Path) -> Path:
    return root / LAYER / CLASSIC.diff_ids[0][7:]


def entries(text: str) -> Callable[[Path], Any]:
    return lambda root: (first_layer(root) / "tar-split.json.gz").write_bytes(gzip.compress(text.encode()))


def file(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda root: (root / "overlay2/cache0/diff" / name).write_bytes(content)


def linked(name: str) -> Callable[[Path], None]:
    """Put what is at a name elsewhere, and a link to it in its place."""

    def link(root: Path) -> None:
        path = root / "overlay2/cache0/diff" / name
        path.rename(root / "elsewhere")
        path.symlink_to(root / "elsewhere")

    return link


@pytest.mark.parametrize(
    "damage",
    [
        lambda root: (root / "image/overlay2/imagedb/content/sha256" / CLASSIC.config[7:]).write_text("{}"),
        lambda root: (root / "image/overlay2/imagedb/content/sha256" / CLASSIC.config[7:]).unlink(),
        lambda root: (first_layer(root) / "cache-id").write_text("../cache0"),
        lambda root: (first_layer(root) / "cache-id").write_text("none"),
        lambda root: (first_layer(root) / "tar-split.json.gz").write_bytes(b"no gzip"),
        lambda root: (first_layer(root) / "tar-split.json.gz").write_bytes(gzip.compress(b"{}" * 99)[:-9]),
        entries("x"),
        entries(""),
        file("a/up", b"other"),
        file("a/up", b"x"),
        linked("a/up"),
        linked("a/b"),
    ],
)
def test_what_is_not_as_it_was_in_the_classic_store(place: Place, damage: Callable[[Path], Any]) -> None:
    write_classic(place.root, CLASSIC)
    damage(place.root)
    opened = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Unreadable):
        place.classic()
    assert len(os.listdir("/proc/self/fd")) == opened


@pytest.mark.parametrize("digest", [PACKED.manifest, PACKED.config, list(PACKED.blobs)[-1]])
@pytest.mark.parametrize("content", [None, b"other", b'["x"]'])
def test_what_is_not_as_it_was_in_containerd(place: Place, digest: str, content: bytes) -> None:
    write_containerd(place.root, PACKED)
    path = next(place.root.rglob(digest[7:]))
    path.unlink()
    if content:
        path.write_bytes(content)
    with pytest.raises(Unreadable):
        place.containerd()


def test_engines_that_are_not_known_or_not_here(place: Place) -> None:
    for driver in ("overlay2", "vfs", "btrfs"):
        engine = FakeImageEngine(root=str(place.root), driver=driver, images={"shop:1": CLASSIC})
        with pytest.raises(Unreadable):
            place.read(engine)
    with pytest.raises(Unreadable, match="No such file"):
        place.containerd()
    with pytest.raises(Unreadable, match="nothing is known of the store None"):
        read({}, {"Id": CLASSIC.config}, place.chunks, {})
