# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping a bill of materials of an image, with a fake engine and a fake registry."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.npm_registry import NotAnswered
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import image_sbom
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.image_sbom import Params, run
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_images import packed_as

NAME = "shop-app:r1"
FILES = {
    "etc/os-release": b"ID=debian\nVERSION_ID=12\n",
    "var/lib/dpkg/status": b"Package: libc6\nStatus: install ok installed\nVersion: 2.36\nArchitecture: amd64\n",
    "app/node_modules/lodash/package.json": b'{"name": "lodash", "version": "4.17.15"}',
    "app/node_modules/own/package.json": b'{"name": "own", "version": "1.0.0", "private": true}',
    "app/server.js": b"x" * 3000,
}
ADVISORY = {"url": "https://github.com/advisories/GHSA-1", "severity": "critical", "vulnerable_versions": "<4.17.21"}


@dataclass
class FakeSbomEngine:
    """An engine with an image of these files."""

    files: Mapping[str, bytes] = field(default_factory=lambda: FILES)
    archive: bytes = b""
    images: dict[str, str] = field(default_factory=lambda: {NAME: "sha256:1"})
    did: list[str] = field(default_factory=list)

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        return {"Id": self.images[name]} if name in self.images else None

    def tags(self, repository: str) -> Sequence[str]:
        return list(self.images)

    def create_container(self, name: str, config: Mapping[str, Any]) -> None:
        self.did.append(f"create {name} of {config['Image']}")

    def export(self, container: str) -> Iterator[bytes]:
        self.did.append(f"export {container}")
        data = self.archive or packed_as(self.files)
        return iter([data[start : start + 1000] for start in range(0, len(data), 1000)])

    def remove_container(self, container: str) -> None:
        self.did.append(f"remove {container}")


@dataclass
class FakeNpmRegistry:
    """A registry of npm that says the same each time, or nothing for a reason."""

    answer: Any = field(default_factory=dict)
    why: str = ""
    url: str = "https://npm.test"
    asked: list[Mapping[str, Sequence[str]]] = field(default_factory=list)

    def advisories(self, packages: Mapping[str, Sequence[str]]) -> Any:
        self.asked.append(packages)
        if self.why:
            raise NotAnswered(self.why)
        return self.answer


class World:
    """An engine, a registry, and a directory."""

    def __init__(self, place: Path) -> None:
        self.place = place / "sbom"
        self.engine, self.registry = FakeSbomEngine(), FakeNpmRegistry()

    def run(self, check: bool = False, **more: Any) -> dict[str, Any]:
        return run(Params(NAME, str(self.place), **more), self.engine, self.registry, check)

    @property
    def file(self) -> Path:
        return self.place / "r1.cdx.json"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


CONTAINER = "docker-vps-sbom-1"
MADE = [f"remove {CONTAINER}", f"create {CONTAINER} of {NAME}", f"export {CONTAINER}", f"remove {CONTAINER}"]


def test_it_is_made_once_for_each_image(world: World) -> None:
    first = world.run()
    assert (first["changed"], first["path"], first["packages"]) == (True, str(world.file), 3)
    assert (first["cautions"], first["advisories"], first["not_scanned"]) == ([], [], "")
    assert world.engine.did == MADE
    assert stat.S_IMODE(world.file.stat().st_mode) == 0o644
    text = world.file.read_text()
    named = [one["bom-ref"] for one in json.loads(text)["components"]]
    assert named == [
        "os:debian",
        "pkg:deb/debian/libc6@2.36?arch=amd64&distro=debian-12",
        "pkg:npm/lodash@4.17.15",
        "pkg:npm/own@1.0.0",
    ]
    for check in (True, False):
        assert world.run(check) == {**first, "changed": False}
    assert world.engine.did == MADE
    world.file.write_text("{}")
    assert world.run()["changed"] is True
    assert world.file.read_text() == text
    world.engine.images[NAME] = "sha256:2"
    assert world.run(check=True)["changed"] is True
    assert world.run()["changed"] is True
    assert world.file.read_text() != text
    assert world.registry.asked == []


def test_check_mode_reads_no_image(world: World) -> None:
    world.engine.images.clear()
    result = world.run(check=True, scan=True)
    assert (result["changed"], result["packages"], result["cautions"]) == (True, 0, [])
    assert (world.engine.did, world.registry.asked, world.place.exists()) == ([], [], False)
    with pytest.raises(InvalidInput, match="There is no image shop-app:r1 to list the packages of"):
        world.run()


def test_those_of_images_that_are_gone_are_removed(world: World) -> None:
    world.place.mkdir()
    for name in ("r0.cdx.json", "notes.txt"):
        (world.place / name).write_text("")
    assert world.run()["changed"] is True
    assert sorted(path.name for path in world.place.iterdir()) == ["notes.txt", "r1.cdx.json"]
    (world.place / "r0.cdx.json").write_text("")
    assert world.run(check=True)["changed"] is False
    assert world.run()["changed"] is True
    assert world.run()["changed"] is False


def test_what_lies_there_and_cannot_be_read_is_made_anew(world: World) -> None:
    world.run()
    world.file.unlink()
    world.file.symlink_to("elsewhere")
    assert world.run()["changed"] is True
    assert world.file.is_file()
    assert not world.file.is_symlink()


def linked(to: Mapping[str, str], files: Mapping[str, bytes]) -> bytes:
    """Return an archive of files and of hard links to them."""
    written = io.BytesIO(packed_as(files))
    with tarfile.open(fileobj=written, mode="a") as tar:
        for name, target in to.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, target
            tar.addfile(member)
    return written.getvalue()


def test_hard_links_are_followed(world: World) -> None:
    stored = {"root/store/ab": b'{"name": "a", "version": "1.0.0"}', **FILES}
    copies = {"srv/node_modules/a/package.json": "root/store/ab"}
    world.engine.archive = linked({**copies, "srv/x": "root/store/ab"}, stored)
    assert world.run()["packages"] == 4
    assert world.engine.did.count(f"export {CONTAINER}") == 2
    lodash = {"srv/node_modules/lodash/package.json": "app/node_modules/lodash/package.json"}
    world.engine.archive, world.engine.images[NAME] = linked(lodash, FILES), "sha256:1f"
    assert world.run()["packages"] == 3
    assert world.engine.did.count(f"export {CONTAINER}f") == 1
    assert "/srv/node_modules/lodash" in world.file.read_text()


def test_large_and_other_files_are_passed_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_sbom, "LARGEST", 60)
    assert world.run()["packages"] == 2  # dpkg's list has more


def test_an_archive_that_cannot_be_read(world: World) -> None:
    world.engine.archive = b"no archive" * 100
    with pytest.raises(DockerVpsError, match="as an archive that cannot be read"):
        world.run()
    assert world.engine.did[-1] == f"remove {CONTAINER}"
    assert not world.file.exists()


def test_known_vulnerabilities_are_asked_for_each_time_and_warn(world: World) -> None:
    world.registry.answer = {"lodash": [ADVISORY]}
    for check in (False, True, False):
        result = world.run(check, scan=True)
        assert result["severities"]["critical"] == 1
        assert result["cautions"] == [
            "npm packages of shop-app:r1 have 1 known vulnerability (1 critical): "
            "lodash 4.17.15 (critical, GHSA-1, fixed in 4.17.21)."
        ]
        assert [one["id"] for one in result["advisories"]] == ["GHSA-1"]
    assert world.registry.asked == [{"lodash": ("4.17.15",)}] * 3


def test_an_image_without_packages_of_npm_asks_nothing(world: World) -> None:
    world.engine.files = {"var/lib/dpkg/status": FILES["var/lib/dpkg/status"]}
    assert world.run(scan=True)["not_scanned"] == ""
    assert world.registry.asked == []


@pytest.mark.parametrize("check", [False, True])
def test_vulnerabilities_that_are_too_severe_refuse_the_image(world: World, check: bool) -> None:
    world.run()
    world.registry.answer = {"lodash": [ADVISORY]}
    with pytest.raises(DockerVpsError) as caught:
        world.run(check, scan=True, scan_fail="high")
    assert caught.value.message == (
        "The image shop-app:r1 has npm packages with 1 known vulnerability that ⟦setting scan_fail high⟧ refuses: "
        "lodash 4.17.15 (critical, GHSA-1, fixed in 4.17.21). Use newer ones, or set ⟦setting scan_fail never⟧ to put "
        "it live all the same. What is live stays."
    )
    assert caught.value.evidence["severities"]
    world.registry.answer = {"lodash": [{**ADVISORY, "severity": "moderate"}]}
    assert len(world.run(check, scan=True, scan_fail="high")["cautions"]) == 1


@pytest.mark.parametrize(
    ("why", "answer", "said"),
    [("timed out", {}, "timed out"), ("", [], "its answer is not understood, it is not an object")],
)
def test_that_there_is_no_answer_is_a_result_of_its_own(world: World, why: str, answer: Any, said: str) -> None:
    world.registry.why, world.registry.answer = why, answer
    result = world.run(scan=True, scan_fail="critical")
    assert result["not_scanned"] == said
    assert result["cautions"] == [
        "Known vulnerabilities of the npm packages of shop-app:r1 were not checked, since https://npm.test does not "
        f"say: {said}."
    ]
