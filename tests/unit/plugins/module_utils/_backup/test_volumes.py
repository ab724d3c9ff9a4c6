# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the data of a volume is, and who uses it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.volumes import (
    Volume,
    release_of,
    running,
    volume_of,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import ReleaseOfSet
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import LABELS, FakeVolumeEngine


@pytest.fixture
def engine(tmp_path: Path) -> FakeVolumeEngine:
    return FakeVolumeEngine(tmp_path / "docker")


@pytest.mark.parametrize("options", [None, {}])
def test_a_local_volume(engine: FakeVolumeEngine, options: Any) -> None:
    place = engine.add_volume("db", Options=options)
    assert volume_of(engine, "db") == Volume("db", str(place), "local", LABELS)
    engine.add_volume("bare", Labels=None)
    assert volume_of(engine, "bare") == Volume("bare", str(engine.place / "bare/_data"), "local", {})
    assert volume_of(engine, "none") is None


def test_where_the_directory_of_the_engine_is_a_link(engine: FakeVolumeEngine, tmp_path: Path) -> None:
    place = engine.add_volume("db")
    os.symlink(engine.place, tmp_path / "link")
    engine.volumes["db"]["Mountpoint"] = str(tmp_path / "link/db/_data")
    found = volume_of(engine, "db")
    assert found
    assert found.root == str(place)


@pytest.mark.parametrize("options", ["bind", "rw,bind"])
def test_a_volume_that_is_bound_to_a_directory(engine: FakeVolumeEngine, tmp_path: Path, options: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    engine.add_volume("db", Options={"type": "none", "o": options, "device": str(tmp_path / "elsewhere")})
    found = volume_of(engine, "db")
    assert found
    assert found.root == str(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"Driver": "rclone"}, "its driver is rclone with options none"),
        (
            {"Options": {"type": "nfs", "o": "addr=x"}},
            "its driver is local with options {'type': 'nfs', 'o': 'addr=x'}",
        ),
        ({"Options": {"type": "tmpfs", "device": "tmpfs"}}, "its driver is local with options {'type': 'tmpfs',"),
    ],
)
def test_data_that_is_elsewhere(engine: FakeVolumeEngine, facts: dict[str, Any], message: str) -> None:
    engine.add_volume("db", **facts)
    with pytest.raises(DockerVpsError) as caught:
        volume_of(engine, "db")
    assert caught.value.message.startswith(f"The volume db cannot be read from this host's file system: {message}")
    assert caught.value.message.endswith("use the storage's own backup for this one.")


def test_a_directory_that_is_not_on_this_host(engine: FakeVolumeEngine) -> None:
    place = engine.add_volume("db")
    place.rmdir()
    with pytest.raises(DockerVpsError) as caught:
        volume_of(engine, "db")
    assert caught.value.message == (
        f"The directory {place} of the volume db is not on this host, or may not be read. "
        "Run on the host of the engine, ⟦as_root⟧."
    )


def test_who_runs_on_volumes(engine: FakeVolumeEngine) -> None:
    engine.add_container("web", "db", "media")
    engine.add_container("api", "media")
    engine.add_container("idle", "db", running=False)
    engine.add_container("frozen", "db", paused=True)
    engine.add_container("other", "elsewhere")
    assert [one["Id"] for one in running(engine, ["db", "media"])] == ["API", "FROZEN", "WEB"]


def test_what_was_released_on_volumes(engine: FakeVolumeEngine) -> None:
    assert release_of(engine, ["db"]) == ReleaseOfSet("", "", "", "", "")
    engine.add_container("old", "db", running=False)
    image = "sha256:" + "ab" * 32
    assert release_of(engine, ["db"]) == ReleaseOfSet("old", "old:1", image, "", "")
    engine.add_container("web", "media")
    engine.add_container("zoo", "media")
    labels = {"org.opencontainers.image.revision": "3f2a9c41", "org.opencontainers.image.version": "1.2"}
    engine.containers["WEB"]["Config"]["Labels"] = labels
    assert release_of(engine, ["db", "media"]) == ReleaseOfSet("web", "web:1", image, "3f2a9c41", "1.2")
    engine.containers["WEB"]["Config"]["Labels"] = None
    assert release_of(engine, ["db", "media"]) == ReleaseOfSet("web", "web:1", image, "", "")
