# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports of images, and what the next one needs not write."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import Layout, layout_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.image_export import Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.image_chunks import Broken, Chunks
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_images import (
    Built,
    FakeImageEngine,
    built,
    digest_of,
    files_of,
    packed_as,
    write_classic,
    write_containerd,
)

NAME = "shop:1"
IMAGE = built(b"base" * 1000, b"code")


@pytest.fixture
def engine() -> FakeImageEngine:
    return FakeImageEngine(images={NAME: IMAGE})


def exported(engine: FakeImageEngine, place: Path, name: str = NAME) -> tuple[Layout, bool]:
    result = run(Params(name, str(place / "exports")), engine, check_mode=False)
    return layout_of(result["image"]), result["changed"]


def contents(layout: Layout, place: Path) -> Mapping[str, bytes]:
    chunks = Chunks(str(place / "exports"))
    return {blob.digest: b"".join(chunks.plain(blob)) for blob in layout.blobs}


def test_an_image_is_exported_once(engine: FakeImageEngine, tmp_path: Path) -> None:
    layout, changed = exported(engine, tmp_path)
    assert changed
    assert contents(layout, tmp_path) == IMAGE.blobs
    assert (layout.source, layout.platform) == (IMAGE.config, "linux/amd64")
    assert (layout.manifest.digest, layout.config.digest) == (IMAGE.manifest, IMAGE.config)
    assert layout.diff_ids == IMAGE.diff_ids
    assert exported(engine, tmp_path) == (layout, False)
    assert engine.changes == [f"save {NAME}"]


def test_the_next_image_needs_only_what_has_changed(engine: FakeImageEngine, tmp_path: Path) -> None:
    first, _changed = exported(engine, tmp_path)
    there = {path.name for path in (tmp_path / "exports").iterdir()}
    engine.images["shop:2"] = built(b"base" * 1000, b"changed")
    layout, changed = exported(engine, tmp_path, "shop:2")
    assert changed
    assert contents(layout, tmp_path) == engine.images["shop:2"].blobs
    after = {path.name for path in (tmp_path / "exports").iterdir()}
    assert len(after - there) == 4  # manifest, configuration, code, and the description
    # Another host may still need the other one, which goes a day after its last use.
    assert exported(engine, tmp_path) == (first, False)
    for path in (tmp_path / "exports").iterdir():
        os.utime(path, (0, 0))
    assert exported(engine, tmp_path, "shop:2") == (layout, False)
    names = {chunk.sha256 for chunk in layout.chunks}
    assert {path.name for path in (tmp_path / "exports").iterdir()} == {
        ".lock",
        f"{layout.config.digest[7:]}.json",
        *names,
    }


@pytest.mark.parametrize("store", [write_classic, write_containerd])
def test_only_what_is_not_known_is_read_where_the_engine_keeps_it(
    tmp_path: Path, store: Callable[[Path, Built], None]
) -> None:
    containerd = store is write_containerd
    base, code = packed_as({"app/base": b"base" * 1000, "app/empty": b""}), packed_as({"app/code": b"code"})
    engine = FakeImageEngine(root=str(tmp_path / "1"), containerd=containerd, driver="overlay2")
    engine.images = {NAME: built(base), "shop:2": built(base, code)}
    store(tmp_path / "1", engine.images[NAME])
    first = run(Params(NAME, str(tmp_path / "exports")), engine, check_mode=False)
    assert (first["read"], first["changed"]) == ("store", True)
    assert contents(layout_of(first["image"]), tmp_path)[digest_of(base)] == base
    assert run(Params(NAME, str(tmp_path / "exports")), engine, check_mode=False)["read"] == "earlier"

    # The layer below is not even there any more.
    store(tmp_path / "2", engine.images["shop:2"])
    engine.root = str(tmp_path / "2")
    for path in [*tmp_path.glob("2/overlay2/cache0"), *tmp_path.glob(f"2/containerd/**/{digest_of(base)[7:]}")]:
        path.rename(tmp_path / "away")
    second = run(Params("shop:2", str(tmp_path / "exports")), engine, check_mode=False)
    assert second["read"] == "store"
    assert engine.changes == []
    found = contents(layout_of(second["image"]), tmp_path)
    assert [found[diff_id] for diff_id in engine.images["shop:2"].diff_ids] == [base, code]

    # What cannot be read there is asked of the engine.
    shutil.rmtree(tmp_path / "exports")
    asked = run(Params("shop:2", str(tmp_path / "exports")), engine, check_mode=False)
    assert (asked["read"], asked["changed"]) == ("save", True)
    assert layout_of(asked["image"]).diff_ids == layout_of(second["image"]).diff_ids
    assert engine.changes == ["save shop:2"]


@pytest.mark.parametrize("damage", ["chunk", "layout", "odd layout", "no layout"])
def test_what_is_damaged_is_exported_again(engine: FakeImageEngine, tmp_path: Path, damage: str) -> None:
    layout, _changed = exported(engine, tmp_path)
    place = tmp_path / "exports"
    description = place / f"{layout.config.digest[7:]}.json"
    if damage == "chunk":
        (place / layout.layers[0].chunks[0].sha256).write_bytes(b"x")
    elif damage == "no layout":
        description.unlink()
    else:
        description.write_text("{" if damage == "layout" else "[]")
    assert exported(engine, tmp_path) == (layout, True)
    assert contents(layout, tmp_path) == IMAGE.blobs


def test_nothing_is_written_in_check_mode(engine: FakeImageEngine, tmp_path: Path) -> None:
    assert run(Params(NAME, str(tmp_path / "exports")), engine, check_mode=True) == {"changed": True}
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InvalidInput, match="There is no image none:1 to export"):
        run(Params("none:1", str(tmp_path)), engine, check_mode=True)


def test_an_image_behind_an_index(engine: FakeImageEngine, tmp_path: Path) -> None:
    entry = {"digest": IMAGE.manifest, "platform": {"os": "linux", "architecture": "amd64"}}
    inner = json.dumps({"manifests": [entry]}).encode()
    index = {"manifests": [{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest_of(inner)}]}
    engine.saved = {
        **files_of(IMAGE),
        f"blobs/sha256/{digest_of(inner)[7:]}": inner,
        "index.json": json.dumps(index).encode(),
    }
    layout, _changed = exported(engine, tmp_path)
    assert layout.manifest.digest == IMAGE.manifest
    assert digest_of(inner) not in contents(layout, tmp_path)


def without(image: Built, *names: str) -> dict[str, bytes]:
    return {path: data for path, data in files_of(image).items() if path not in names}


@pytest.mark.parametrize(
    ("saved", "sentence"),
    [
        (without(IMAGE, "index.json"), "in the format of engines before 25"),
        (without(IMAGE, f"blobs/sha256/{digest_of(b'code')[7:]}"), f"without its part {digest_of(b'code')}"),
        (without(IMAGE, f"blobs/sha256/{IMAGE.manifest[7:]}"), f"without its part {IMAGE.manifest}"),
        ({**files_of(IMAGE), "index.json": b"{"}, "without a manifest that can be read"),
        ({**files_of(IMAGE), "index.json": b"{}"}, "no image for linux/amd64"),
    ],
)
def test_archives_that_are_not_right(
    engine: FakeImageEngine, tmp_path: Path, saved: dict[str, bytes], sentence: str
) -> None:
    engine.saved = saved
    with pytest.raises(DockerVpsError, match=sentence):
        exported(engine, tmp_path)
    assert list((tmp_path / "exports").glob("*.json")) == []


def test_a_part_that_is_missing_is_broken(engine: FakeImageEngine, tmp_path: Path) -> None:
    engine.saved = without(IMAGE, f"blobs/sha256/{IMAGE.config[7:]}")
    with pytest.raises(Broken):
        exported(engine, tmp_path)


def test_a_disk_that_is_full(engine: FakeImageEngine, tmp_path: Path) -> None:
    class FullEngine(FakeImageEngine):
        def save(self, name: str) -> Iterator[bytes]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    full: Any = FullEngine(images=engine.images)
    with pytest.raises(DockerVpsError, match=r"shop:1 cannot be exported to .*/exports: No space left on device"):
        exported(full, tmp_path)
