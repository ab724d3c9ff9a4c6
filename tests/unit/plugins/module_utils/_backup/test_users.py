# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses the data of a volume, whatever the name or the path under which it is mounted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.users import bound_to, place_of, users
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.volumes import (
    refuse_vanishing,
    release_of,
    running,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine


@pytest.fixture
def engine(tmp_path: Path) -> FakeVolumeEngine:
    """An engine with a volume of its own, and one that is bound to /srv/shop of the test."""
    made = FakeVolumeEngine(tmp_path / "docker")
    made.add_volume("db")
    (tmp_path / "srv/shop/deep").mkdir(parents=True)
    made.add_volume("bound", Options={"type": "none", "o": "bind", "device": str(tmp_path / "srv/shop")})
    return made


def names(engine: FakeVolumeEngine, volume: str) -> list[str]:
    return [one["Name"].lstrip("/") for one in users(engine, volume)]


def test_by_name(engine: FakeVolumeEngine) -> None:
    engine.add_container("app", "db", "media")
    engine.add_container("idle", "db", running=False)
    engine.add_container("other", "db-2")
    assert names(engine, "db") == ["app", "idle"]
    assert names(engine, "none") == []
    engine.add_container("early", "none")
    assert names(engine, "none") == ["early"]


@pytest.mark.parametrize("way", ["", ":ro"])
@pytest.mark.parametrize("path", ["srv/shop", "srv/shop/deep"])
def test_by_the_path_of_the_directory_or_of_one_below(
    engine: FakeVolumeEngine, tmp_path: Path, path: str, way: str
) -> None:
    engine.add_container("nginx", binds=[f"{tmp_path}/{path}{way}"])
    assert names(engine, "bound") == ["nginx"]
    assert names(engine, "db") == []


def test_by_a_path_that_is_a_link(engine: FakeVolumeEngine, tmp_path: Path) -> None:
    os.symlink(tmp_path / "srv", tmp_path / "link")
    engine.add_container("nginx", binds=[f"{tmp_path}/link/shop"])
    assert names(engine, "bound") == ["nginx"]


@pytest.mark.parametrize("path", ["srv/shop-2", "srv/sho", "else"])
def test_a_path_beside_is_another(engine: FakeVolumeEngine, tmp_path: Path, path: str) -> None:
    engine.add_container("nginx", binds=[f"{tmp_path}/{path}"])
    assert names(engine, "bound") == []


def test_by_the_path_of_a_directory_above_only_who_may_write(engine: FakeVolumeEngine, tmp_path: Path) -> None:
    engine.add_container("files", binds=[f"{tmp_path}/srv"])
    engine.add_container("metrics", binds=[f"{tmp_path}/srv:ro"])
    assert names(engine, "bound") == ["files"]
    engine.add_container("one", binds=[f"{engine.place}/db"])
    assert names(engine, "db") == ["one"]


@pytest.mark.parametrize("path", ["docker", ".", "/"])
def test_a_tool_for_the_whole_host_is_no_user(engine: FakeVolumeEngine, tmp_path: Path, path: str) -> None:
    engine.add_container("agent", binds=[str(tmp_path / path)])
    assert names(engine, "db") == names(engine, "bound") == []


def test_by_another_volume_of_the_same_directory(engine: FakeVolumeEngine, tmp_path: Path) -> None:
    engine.add_volume("alias", Options={"type": "none", "o": "rbind,rw", "device": str(tmp_path / "srv/shop")})
    engine.add_volume("below", Options={"type": "none", "o": "bind", "device": str(tmp_path / "srv/shop/deep")})
    engine.add_volume("above", Options={"type": "none", "o": "bind", "device": str(tmp_path / "srv")})
    for name in ("alias", "below", "above"):
        engine.add_container(f"on-{name}", name)
    assert names(engine, "bound") == ["on-alias", "on-below", "on-above"]
    assert names(engine, "below") == ["on-alias", "on-below", "on-above"]
    engine.containers["ON-ABOVE"]["Mounts"][0]["RW"] = False
    assert names(engine, "bound") == ["on-alias", "on-below"]


def test_a_mount_without_a_place_is_nobodys(engine: FakeVolumeEngine) -> None:
    engine.add_container("cache")
    engine.containers["CACHE"]["Mounts"] = [{"Type": "tmpfs", "Source": "", "Destination": "/tmp"}]
    engine.containers["BARE"] = {**engine.containers["CACHE"], "Id": "BARE", "Mounts": None}
    assert names(engine, "db") == []


def test_one_that_is_gone_meanwhile(engine: FakeVolumeEngine) -> None:
    engine.add_container("app", "db")

    class Hurried(FakeVolumeEngine):
        def container(self, name: str) -> None:
            return None

    hurried = Hurried(engine.place, volumes=engine.volumes, containers=engine.containers)
    assert users(hurried, "db") == []


def test_those_of_several_volumes_are_there_once(engine: FakeVolumeEngine, tmp_path: Path) -> None:
    engine.add_container("web", "db", "bound")
    engine.add_container("nginx", binds=[f"{tmp_path}/srv/shop"])
    assert [one["Id"] for one in running(engine, ["db", "bound"])] == ["NGINX", "WEB"]


def test_who_mounts_the_volume_speaks_for_the_release(engine: FakeVolumeEngine, tmp_path: Path) -> None:
    engine.add_container("a-tool", binds=[f"{tmp_path}/srv/shop"])
    assert release_of(engine, ["bound"]).container == "a-tool"
    engine.add_container("web", "bound", running=False)
    assert release_of(engine, ["db", "bound"]).container == "web"


@pytest.mark.parametrize("options", ["bind", "rbind", "rbind,rslave", "bind,rw", "rw, bind"])
def test_spellings_of_bound(tmp_path: Path, options: str) -> None:
    assert bound_to({"type": "none", "o": options, "device": str(tmp_path)}) == str(tmp_path)


@pytest.mark.parametrize(
    ("driver", "options", "place"),
    [
        ("local", None, "/mine"),
        ("local", {"size": "10G"}, "/mine"),
        ("local", {"o": "size=10G"}, "/mine"),
        ("local", {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}, ""),
        ("local", {"type": "nfs", "device": ":/x", "o": "addr=h"}, ""),
        ("local", {"type": "none", "o": "bind"}, ""),
        ("rclone", {"o": "bind", "device": "/srv"}, ""),
    ],
)
def test_where_a_volume_always_lies(driver: str, options: Any, place: str) -> None:
    assert place_of({"Name": "x", "Driver": driver, "Mountpoint": "/mine", "Options": options}) == place


def test_one_that_vanishes_when_it_is_stopped(engine: FakeVolumeEngine) -> None:
    engine.add_container("app", "db")
    refuse_vanishing(running(engine, ["db"]))
    for name in ("psql", "shell"):
        engine.add_container(name, "db")
        engine.containers[name.upper()]["HostConfig"]["AutoRemove"] = True
    with pytest.raises(DockerVpsError, match=r"psql, shell were started with --rm: .* Stop them yourself"):
        refuse_vanishing(running(engine, ["db"]))
