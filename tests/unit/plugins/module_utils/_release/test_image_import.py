# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lacks of an image, and what becomes of what was sent."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, EngineError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import Layout, layout_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import image_export
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.image_import import Params, run
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_images import Built, FakeDisk, FakeImageEngine, built

BASE = b"base" * 5000


class Transfer:
    """A builder, and a host to which its images are copied."""

    def __init__(self, place: Path, containerd: bool = False, packed: bool = False) -> None:
        self.place, self.packed = place, packed
        self.builder = FakeImageEngine()
        self.engine = FakeImageEngine(containerd=containerd, root=str(place))
        self.disk = FakeDisk()

    def layout(self, name: str, *layers: bytes) -> Layout:
        """Build and export an image."""
        self.builder.images[name] = built(*layers, packed=self.packed)
        result = image_export.run(image_export.Params(name, str(self.place / "exports")), self.builder, False)
        return layout_of(result["image"])

    def run(self, name: str, layout: Layout, check: bool = False, **how: bool) -> dict[str, Any]:
        """Run the module on the host."""
        return run(Params(name, layout, str(self.place / "imports"), **how), self.engine, self.disk, check)

    def copy(self, layout: Layout, result: dict[str, Any]) -> int:
        """Send what is lacking and not there, and return the number of files."""
        wanted = {chunk.sha256 for blob in layout.blobs if blob.digest in result["lacking"] for chunk in blob.chunks}
        for name in wanted - set(result["staged"]):
            shutil.copy(self.place / "exports" / name, result["staging"])
        return len(wanted - set(result["staged"]))

    def bring(self, name: str, *layers: bytes) -> int:
        """Bring an image to the host, and return the number of files that were sent."""
        layout = self.layout(name, *layers)
        look = self.run(name, layout)
        sent = self.copy(layout, look)
        result = self.run(name, layout, load=True)
        assert (result["loaded"], result["lacking"], result["staged"]) == (True, [], [])
        assert not Path(result["staging"]).exists()
        return sent


@pytest.fixture(params=["classic", "containerd", "containerd, packed"])
def transfer(request: pytest.FixtureRequest, tmp_path: Path) -> Transfer:
    return Transfer(tmp_path, request.param != "classic", "packed" in request.param)


def test_only_what_is_lacking_is_asked_for(transfer: Transfer) -> None:
    assert transfer.bring("shop:1", BASE, b"one") == 4
    assert transfer.bring("shop:2", BASE, b"two") == 3
    assert transfer.engine.changes == ["load shop:1 4", "load shop:2 3"]
    images = transfer.engine.images
    assert images["shop:2"].diff_ids == transfer.builder.images["shop:2"].diff_ids


class Bare(FakeImageEngine):
    """An engine of which some images have no layers, and one goes just now."""

    def image(self, name: str) -> Any:
        return {"sha256:scratch": {"Id": name, "RootFS": None}, "sha256:bare": {}}.get(name) or super().image(name)

    def image_ids(self) -> list[str]:
        return ["sha256:scratch", "sha256:bare", "sha256:gone", *super().image_ids()]


def test_images_of_which_the_engine_says_nothing_have_nothing_to_offer(tmp_path: Path) -> None:
    transfer = Transfer(tmp_path)
    transfer.engine = Bare(root=str(tmp_path))
    assert (transfer.bring("shop:1", BASE, b"one"), transfer.bring("shop:2", BASE, b"two")) == (4, 3)


def test_what_is_there_is_left_alone(transfer: Transfer) -> None:
    transfer.bring("shop:1", BASE)
    layout = transfer.layout("shop:1", BASE)
    for load in (False, True):
        result = transfer.run("shop:1", layout, load=load)
        assert (result["changed"], result["loaded"], result["lacking"]) == (False, True, [])
    assert len(transfer.engine.changes) == 1
    # The same under another name is loaded, and only its description is sent.
    assert transfer.bring("shop:same", BASE) == 2


def test_in_check_mode_nothing_is_written(transfer: Transfer) -> None:
    result = transfer.run("shop:1", transfer.layout("shop:1", BASE), check=True)
    assert (result["changed"], result["loaded"], len(result["lacking"])) == (True, False, 3)
    assert not (transfer.place / "imports").exists()


def test_what_has_arrived_is_not_asked_for_again(transfer: Transfer) -> None:
    layout = transfer.layout("shop:1", BASE, b"one")
    look = transfer.run("shop:1", layout)
    first, second = layout.layers[0].chunks[0].sha256, layout.layers[1].chunks[0].sha256
    staging = Path(look["staging"])
    for name in (first, second):
        shutil.copy(transfer.place / "exports" / name, staging)
    (staging / second).write_bytes(b"damaged")
    (staging / f"{second}.partial").write_bytes(b"")
    (staging.parent / "0000").mkdir()  # of another release
    assert transfer.run("shop:1", layout)["staged"] == [first]
    assert [path.name for path in staging.iterdir()] == [first]
    assert [path.name for path in staging.parent.iterdir()] == [staging.name]


def test_what_is_damaged_before_it_is_loaded_is_asked_for_again(transfer: Transfer) -> None:
    layout = transfer.layout("shop:1", BASE, b"one")
    look = transfer.run("shop:1", layout)
    transfer.copy(layout, look)
    damaged = layout.layers[0].chunks[0].sha256
    (Path(look["staging"]) / damaged).write_bytes(b"x")
    result = transfer.run("shop:1", layout, load=True)
    assert not result["loaded"]
    assert damaged not in result["staged"]
    assert transfer.engine.changes == []
    assert transfer.copy(layout, result) == 1
    assert transfer.run("shop:1", layout, load=True)["loaded"]


@pytest.mark.parametrize("record", ["{", "[]", '{"x": 1}', ""])
def test_a_record_that_cannot_be_read_means_that_all_is_sent(tmp_path: Path, record: str) -> None:
    transfer = Transfer(tmp_path, containerd=True)
    transfer.bring("shop:1", BASE, b"one")
    (tmp_path / "imports/loaded.json").write_text(record)
    assert transfer.bring("shop:2", BASE, b"two") == 4


def test_images_that_have_gone_are_not_counted_on(tmp_path: Path) -> None:
    transfer = Transfer(tmp_path, containerd=True)
    transfer.bring("shop:1", BASE, b"one")
    transfer.engine.images.clear()
    assert transfer.bring("shop:2", BASE, b"two") == 4
    assert len(json.loads((tmp_path / "imports/loaded.json").read_text())) == 1


def test_what_the_host_only_seemed_to_have_is_sent(tmp_path: Path) -> None:
    transfer = Transfer(tmp_path, containerd=True)
    transfer.bring("shop:1", BASE, b"one")
    transfer.engine.content.clear()
    layout = transfer.layout("shop:2", BASE, b"two")
    transfer.copy(layout, transfer.run("shop:2", layout))
    result = transfer.run("shop:2", layout, load=True)
    assert (result["loaded"], result["whole"], len(result["lacking"]), len(result["staged"])) == (False, True, 4, 3)
    assert transfer.copy(layout, result) == 1
    result = transfer.run("shop:2", layout, load=True, whole=True)
    assert (result["loaded"], result["whole"]) == (True, True)


def test_what_the_engine_refuses_is_known_by_no_name(transfer: Transfer) -> None:
    layout = transfer.layout("shop:1", BASE)
    transfer.copy(layout, transfer.run("shop:1", layout))
    transfer.engine.refuses = "no space left on device"
    assert transfer.run("shop:1", layout, load=True)["whole"]
    with pytest.raises(
        EngineError, match=r"no space left on device\. Nothing of it is started; the engine's log says more"
    ):
        transfer.run("shop:1", layout, load=True, whole=True)
    assert transfer.engine.images == {}


def test_another_image_of_the_name_stays_when_the_engine_refuses(transfer: Transfer) -> None:
    layout = transfer.layout("shop:1", BASE)
    transfer.copy(layout, transfer.run("shop:1", layout))

    class Stubborn(FakeImageEngine):
        def load(self, archive: Any) -> None:
            list(archive)

    other = built(b"other")
    transfer.engine = Stubborn(images={"shop:1": other})
    with pytest.raises(EngineError, match="has loaded shop:1, and it is not the image that was sent"):
        transfer.run("shop:1", layout, load=True, whole=True)
    assert transfer.engine.images == {"shop:1": other}


def test_an_image_that_is_only_half_there_is_not_there(tmp_path: Path) -> None:
    transfer = Transfer(tmp_path, containerd=True)
    transfer.bring("shop:1", BASE)
    transfer.engine.half.add("shop:1")
    assert not transfer.run("shop:1", transfer.layout("shop:1", BASE))["loaded"]


@pytest.mark.parametrize("missing", [{"RootFS": None}, {"RootFS": {"Layers": None}}, {"RootFS": {}}])
def test_what_newer_engines_leave_out(tmp_path: Path, missing: dict[str, Any]) -> None:
    class Terse(FakeImageEngine):
        def image(self, name: str) -> Any:
            there = super().image(name)
            return there and {"Id": there["Id"], **missing}

    transfer = Transfer(tmp_path)
    transfer.engine = Terse(images={"scratch:1": built()})
    assert len(transfer.run("shop:1", transfer.layout("shop:1", BASE))["lacking"]) == 3


def test_an_image_without_layers(transfer: Transfer) -> None:
    assert transfer.bring("scratch:1") == 2


@pytest.mark.parametrize("free", [0, 40_000])
def test_a_disk_that_is_too_small(tmp_path: Path, free: int) -> None:
    transfer = Transfer(tmp_path)
    transfer.disk = FakeDisk(free)
    with pytest.raises(DockerVpsError, match=r"are needed on the disk of .*, and .* are free\. .* Nothing was sent\.$"):
        transfer.run("shop:1", transfer.layout("shop:1", BASE))
    transfer.disk = FakeDisk(60_000)
    transfer.run("shop:1", transfer.layout("shop:1", BASE))


def test_a_disk_of_its_own_for_what_is_sent(tmp_path: Path) -> None:
    transfer = Transfer(tmp_path)
    transfer.engine.root = "/proc"
    transfer.disk = FakeDisk(41_000)  # what is sent needs no space there
    transfer.run("shop:1", transfer.layout("shop:1", BASE))


def test_an_image_of_another_platform(tmp_path: Path) -> None:
    transfer = Transfer(tmp_path)
    transfer.engine.machine = "aarch64"
    with pytest.raises(DockerVpsError, match="is built for linux/amd64, and this host is linux/arm64"):
        transfer.run("shop:1", transfer.layout("shop:1", BASE))


def test_a_wrong_description_cannot_pass(tmp_path: Path) -> None:
    transfer = Transfer(tmp_path)
    layout = transfer.layout("shop:1", BASE)
    lying = replace(layout, layers=(replace(layout.layers[0], digest=f"sha256:{'0' * 64}"),))
    transfer.copy(lying, transfer.run("shop:1", lying))
    with pytest.raises(DockerVpsError, match="is something else. Export the image again"):
        transfer.run("shop:1", lying, load=True)
    assert transfer.engine.images == {}


def test_the_builder_is_never_changed(transfer: Transfer) -> None:
    transfer.bring("shop:1", BASE)
    there: Built = transfer.builder.images["shop:1"]
    assert transfer.builder.changes == ["save shop:1"]
    assert there.diff_ids == transfer.engine.images["shop:1"].diff_ids
