# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at a host, with a fake engine and a fake host."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineError,
    EngineUnreachable,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.host import HASH_LABEL, PROJECT_LABEL
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import (
    FAILED,
    HEALTHY,
    Release,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.host_look import params_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.host_info import run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import files
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import Releases
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import HOST_INFO, FakeHost, FakeHostEngine, inspected
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.modules.test_host_info import DEFAULTS

GIB = 1024**3
SDK = "Docker SDK for Python"
ICC = "com.docker.network.bridge.enable_icc"


def ran(engine: Optional[FakeHostEngine] = None, host: Optional[FakeHost] = None, **given: Any) -> dict[str, Any]:
    return run(params_of({**DEFAULTS, **given}), lambda: engine or FakeHostEngine(), host or FakeHost())


def checks(result: dict[str, Any]) -> dict[str, bool]:
    return {one["check"]: one["ok"] for one in result["findings"]}


def test_a_look_without_questions() -> None:
    host = FakeHost()
    assert ran(host=host) == {
        "changed": False,
        "findings": [
            {
                "check": "Docker SDK for Python",
                "ok": True,
                "expected": "installed",
                "found": "installed",
                "remedy": "install it for /usr/bin/python3, on Debian and Ubuntu with: apt-get install python3-docker",
            },
            {
                "check": "memory",
                "ok": True,
                "expected": "at least 0 bytes",
                "found": "4.0 GiB",
                "remedy": "use a larger host or lower ⟦setting memory_min⟧",
            },
            {
                "check": "disk",
                "ok": True,
                "expected": "at least 0 bytes free",
                "found": "20.0 GiB free",
                "remedy": "free some with: docker builder prune --all",
            },
        ],
        "engine_version": "26.1.5",
        "compose_version": "",
        "memory": 4 * GIB,
        "memory_limit": "2G",
        "disk_free": 20 * GIB,
        "networks": {},
        "images": [],
        "live": "",
        "up_to_date": False,
        "files": {},
        "matches": [],
        "time": host.now,
    }
    assert host.asked == []


def test_versions_are_asked_for_when_they_matter() -> None:
    host = FakeHost()
    result = ran(host=host, engine_version_min="23.0", compose_version_min="2.20", buildx=True)
    assert host.asked == ["compose", "buildx"]
    assert result["compose_version"] == "2.26.1"
    assert checks(result) == dict.fromkeys([SDK, "compose", "buildx", "engine", "memory", "disk"], True)
    only_buildx = FakeHost(plugins={"buildx": "0.13.1"})
    assert checks(ran(host=only_buildx, buildx=True))["buildx"] is True
    assert only_buildx.asked == ["buildx"]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    engine = FakeHostEngine(
        facts={"ServerVersion": "20.10.24", "MemTotal": GIB // 2, "DockerRootDir": "/var/lib/docker"},
        containers={"app": {"Config": {"Labels": {PROJECT_LABEL: "blog"}}}},
        volumes={"data": {"Labels": None}},
    )
    host = FakeHost(plugins={}, free={"/var/lib/docker": GIB}, sdk=False)
    asked = {"engine_version_min": "23.0", "compose_version_min": "2.20", "buildx": True, "memory_min": "768M"}
    names = {"containers": ["app"], "volumes": ["data"]}
    with pytest.raises(DockerVpsError) as caught:
        ran(engine, host, **asked, **names, disk_free_min="2G", commands=["git", "rsync"])
    names_of_tools = [SDK, "compose", "buildx", "command rsync"]
    wrong = [*names_of_tools, "engine", "memory", "disk", "container app", "volume data"]
    assert checks(caught.value.evidence) == dict.fromkeys(wrong, False)
    assert caught.value.message.startswith(
        "This host cannot take the application yet: Docker SDK for Python: expected installed, found not installed; "
    )
    assert all(f" {check}: expected " in caught.value.message for check in wrong)
    assert caught.value.evidence["memory_limit"] == "512M"


def test_an_sdk_whose_parts_do_not_go_together_is_told_with_the_rest() -> None:
    def connect() -> FakeHostEngine:
        raise EngineError("The engine was not asked for more.")

    fault = "docker 5.0.3 in /usr/lib/python3/dist-packages, requests 2.32.3 in /usr/local: Not supported URL scheme"
    with pytest.raises(DockerVpsError) as caught:
        run(params_of({**DEFAULTS, "commands": ["rsync"]}), connect, FakeHost(fault=fault))
    assert caught.value.message.startswith(
        f"This host cannot take the application yet: Docker SDK for Python: expected one that works, found {fault}; "
        "take all parts from one place: /usr/bin/python3 -m pip uninstall docker requests urllib3 leaves those"
    )
    assert "command rsync: expected installed" in caught.value.message
    with pytest.raises(DockerVpsError) as alone:
        run(params_of(DEFAULTS), connect, FakeHost(fault=fault))
    assert "⟦play setup⟧" not in alone.value.message


def test_names_of_the_project_itself_are_no_trouble() -> None:
    mine = {PROJECT_LABEL: "ptnextjs"}
    engine = FakeHostEngine(containers={"app": {"Config": {"Labels": mine}}}, volumes={"data": {"Labels": mine}})
    result = ran(engine, containers=["app", "absent"], volumes=["data", "absent"])
    assert checks(result) == dict.fromkeys([SDK, "memory", "disk", "container app", "volume data"], True)


def test_the_name_of_a_container_that_does_not_start_may_be_taken() -> None:
    engine = FakeHostEngine(containers={"app": {"Config": {"Image": "app:1", "Labels": {PROJECT_LABEL: "blog"}}}})
    engine.images = {"app": ["app:2", "app:1"]}
    result = ran(engine, containers=["app"], images=["app"], starts=False)
    assert checks(result) == dict.fromkeys([SDK, "memory", "disk"], True)
    assert result["images"] == ["app:1", "app:2"]


def test_what_is_not_installed_is_told_also_without_an_engine() -> None:
    def connect() -> FakeHostEngine:
        raise EngineUnreachable("No Docker engine answers at unix:///x.sock.")

    asked = {**DEFAULTS, "compose_version_min": "2.20", "commands": ["git", "rsync", "ssh-keygen"]}
    with pytest.raises(DockerVpsError) as caught:
        run(params_of(asked), connect, FakeHost(plugins={}))
    assert caught.value.message == (
        "This host cannot take the application yet: "
        "compose: expected 2.20 or newer, found not installed; "
        "install the Compose plugin (docker-compose v1 is not enough). "
        "command rsync: expected installed, found not installed; "
        "install it, on Debian and Ubuntu with: apt-get install rsync. "
        "command ssh-keygen: expected installed, found not installed; "
        "install it, on Debian and Ubuntu with: apt-get install openssh-client. "
        "⟦play setup⟧ installs what is lacking. No Docker engine answers at unix:///x.sock."
    )
    assert checks(caught.value.evidence) == {
        SDK: True,
        "compose": False,
        "command rsync": False,
        "command ssh-keygen": False,
    }
    assert caught.value.evidence["time"] == FakeHost.now


@pytest.mark.parametrize(("wanted", "expected"), [("25.0", "25.0 or newer"), ("", "installed")])
def test_a_host_that_has_no_engine_is_told_so_at_once(wanted: str, expected: str) -> None:
    def connect() -> FakeHostEngine:
        raise EngineUnreachable("No Docker engine answers at unix:///x.sock.")

    host = FakeHost(plugins={}, sdk=False, commands=())
    with pytest.raises(DockerVpsError) as caught:
        run(params_of({**DEFAULTS, "engine_version_min": wanted, "buildx": True}), connect, host)
    assert "No Docker engine answers" not in caught.value.message
    assert caught.value.message.endswith(
        f"engine: expected {expected}, found not installed; install Docker. ⟦play setup⟧ installs what is lacking."
    )
    assert checks(caught.value.evidence) == {SDK: False, "buildx": False, "engine": False}


def test_an_engine_that_keeps_its_data_elsewhere() -> None:
    result = ran(host=FakeHost(free={}), disk_free_min="2G")
    assert (result["disk_free"], checks(result)["disk"]) == (None, True)


def test_the_disk_with_less_room_counts() -> None:
    host = FakeHost(free={"/var/lib/docker": 20 * GIB, "/var/lib/containerd": GIB})
    engine = FakeHostEngine(facts={**HOST_INFO, "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]})
    with pytest.raises(DockerVpsError, match=r"expected at least 2\.0 GiB free, found 1\.0 GiB free"):
        ran(engine, host, disk_free_min="2G")


def test_what_is_returned_for_the_roles_that_follow() -> None:
    pools = [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}, {"Subnet": ""}, {}]
    engine = FakeHostEngine(
        networks={
            "proxy": {"Driver": "bridge", "Scope": "local", "IPAM": {"Config": pools}, "Options": {ICC: "true"}},
            "apart": {"Driver": "bridge", "Scope": "local", "Options": {ICC: "false"}},
            "bare": {"Driver": "overlay", "Scope": "swarm", "IPAM": None},
            "other": {},
        },
        images={"app": ["app:1", "app:2"], "web": ["web:1"]},
    )
    host = FakeHost(files={"/opt/app/compose.yml": ("9f86d081", "0640"), "/other": ("0", "0644")})
    result = ran(
        engine,
        host,
        networks=["proxy", "bare", "apart", "absent"],
        images=["web", "app", "absent"],
        files=["/opt/app/compose.yml", "/absent"],
        patterns=["/opt/app/*.yml", "/opt/app/none.*"],
    )
    assert result["networks"] == {
        "proxy": {"driver": "bridge", "scope": "local", "icc": True, "subnets": ["172.18.0.0/16"]},
        "bare": {"driver": "overlay", "scope": "swarm", "icc": True, "subnets": []},
        "apart": {"driver": "bridge", "scope": "local", "icc": False, "subnets": []},
    }
    assert result["images"] == ["web:1", "app:1", "app:2"]
    assert result["files"] == {"/opt/app/compose.yml": {"sha256": "9f86d081", "mode": "0640"}}
    assert result["matches"] == ["/opt/app/compose.yml"]


class Live:
    """A release that is live, in a directory, and its container as the engine describes it."""

    def __init__(self, place: Path) -> None:
        self.releases = Releases(str(place), str(place / ".env.production"))
        self.container = {**inspected("healthy"), "Image": "sha256:1"}
        self.container["Config"]["Labels"] = {PROJECT_LABEL: "ptnextjs", HASH_LABEL: "c1"}
        self.record = Release("1", "", "app:1", "sha256:1", "e", "d", result=HEALTHY, config_hash="c1")
        self.releases.prepare()
        self.releases.begin(self.record, "services: {}", files.Kept("A=1\n", 0o600, os.geteuid(), os.getegid()))
        self.releases.make_current("1")
        self.releases.put_live("1")

    def look(self, **given: Any) -> dict[str, Any]:
        engine = FakeHostEngine(containers={"site-app": self.container})
        where = {"directory": self.releases.home, "env_file": self.releases.live[".env.production"]}
        result = ran(engine, **{"containers": ["site-app"], **where, **given})
        return {key: result[key] for key in ("live", "up_to_date")}

    def change(self, change: str) -> None:
        place = Path(self.releases.home)
        if change == "container":
            self.container["Config"]["Labels"][HASH_LABEL] = "c2"
        elif change == "failed":
            self.releases.record(replace(self.record, result=FAILED))
        elif change == "record":
            (place / "releases/1/release.json").write_text("{")
        else:
            (place / change).write_text("")


def test_what_is_as_it_was_released_is_up_to_date(tmp_path: Path) -> None:
    live = Live(tmp_path)
    assert live.look() == {"live": "1", "up_to_date": True}
    assert live.look(directory="") == {"live": "", "up_to_date": False}
    assert live.look(containers=["site-app", "absent"]) == {"live": "1", "up_to_date": False}


@pytest.mark.parametrize("change", ["container", "failed", "record", "compose.yml", ".env.production"])
def test_what_was_changed_since_is_not_up_to_date(tmp_path: Path, change: str) -> None:
    live = Live(tmp_path)
    live.change(change)
    assert live.look() == {"live": "1", "up_to_date": False}


def test_what_was_never_released_is_not_up_to_date(tmp_path: Path) -> None:
    assert ran(directory=str(tmp_path), env_file="")["live"] == ""


@pytest.mark.parametrize(("file", "right"), [("/opt/site/compose.yml", True), ("/home/me/compose.yml", False)])
def test_a_project_of_the_same_name_from_another_file_is_of_somebody_else(file: str, right: bool) -> None:
    container = inspected("healthy")
    container["Config"]["Labels"] = {PROJECT_LABEL: "site", "com.docker.compose.project.config_files": file}
    given = {"project": "site", "containers": ["site-app"], "directory": "/opt/site"}
    engine = FakeHostEngine(containers={"site-app": container})
    if right:
        assert checks(ran(engine, **given))["container site-app"] is True
    else:
        with pytest.raises(DockerVpsError, match="it belongs to the Compose project site of /home/me/compose.yml"):
            ran(engine, **given)


@pytest.mark.parametrize(("writer", "right"), [("site", True), ("", True), ("blog", False)])
def test_the_directory_of_another_application_is_refused(writer: str, right: bool) -> None:
    host = FakeHost(composed={"/opt/site/compose.yml": writer})
    given = {"project": "site", "directory": "/opt/site"}
    if right:
        assert all(checks(ran(host=host, **given)).values())
    else:
        message = "it belongs to the Compose project blog; give each application a ⟦setting directory⟧ of its own"
        with pytest.raises(DockerVpsError, match=message):
            ran(host=host, **given)


def test_the_image_that_is_in_use_comes_first() -> None:
    used = {"Config": {"Image": "app:2", "Labels": {"com.docker.compose.project": "ptnextjs"}}}
    engine = FakeHostEngine(images={"app": ["app:3", "app:2", "app:1"]}, containers={"app": used})
    assert ran(engine, images=["app"], containers=["app", "none"])["images"] == ["app:2", "app:3", "app:1"]
