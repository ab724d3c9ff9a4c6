# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the engine's service, with commands of our own on the PATH."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine import service
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.service import EngineService

Commands = Callable[..., Path]
DOCKER = """case "$*" in
"version --format"*) echo 28.5.2 ;;
"info --format"*) echo active ;;
"ps --format"*) printf 'shop-app\\nproxy\\n' ;;
"inspect --format"*) printf '/shop-app /var/lib/docker/volumes/a/_data \\n/proxy /etc/x /run/docker.sock \\n' ;;
"network inspect"*) echo bridge ;;
"network create"*) exit ${NETWORK:-0} ;;
esac"""
ROUTES = [
    {"dst": "default", "dev": "eth0"},
    {"dst": "10.0.0.0/8", "dev": "eth1"},
    {"dst": "172.17.0.0/16", "dev": "docker0"},
]
ROUTES_6 = [
    {"dst": "fe80::/64", "dev": "veth1a"},
    {"dst": "fd00::/8", "dev": "eth0"},
    {"dst": "fd01::/64", "dev": "br-1f2e3d4c5b6a"},
    {"dst": "fd02::/64", "dev": "br-lan"},
]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Put commands on a PATH where there is nothing else, and return where their calls are written down."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(service, "STARTS_WITHIN", 0.1)

    def install(**scripts: str) -> Path:
        for name, script in scripts.items():
            (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/calls\n{script}\n')
            (tmp_path / name).chmod(0o755)
        return tmp_path / "calls"

    return install


def ip(addresses: Any = ()) -> str:
    return (
        f"case \"$*\" in *address*) echo '{json.dumps([{'addr_info': list(addresses)}])}' ;; "
        f"*-4*) echo '{json.dumps(ROUTES)}' ;; *) echo '{json.dumps(ROUTES_6)}' ;; esac"
    )


def test_a_host_without_an_engine(commands: Commands) -> None:
    commands()
    here = EngineService()
    assert (here.version(), here.swarm(), list(here.running()), list(here.holders_of_its_socket())) == ("", "", [], [])
    assert list(here.routes()) == []
    assert here.runs() is False


@pytest.mark.parametrize(
    ("says", "version"), [("Docker version 28.5.2+dfsg4, build 3ef3c07c", "28.5.2"), ("nothing", ""), ("", "")]
)
def test_an_engine_that_is_stopped(commands: Commands, says: str, version: str) -> None:
    commands(docker="exit 1", dockerd=f"echo '{says}'", systemctl="")
    assert EngineService().version() == version
    with pytest.raises(DockerVpsError, match="did not answer"):
        EngineService().restart()


def test_what_an_engine_says(commands: Commands) -> None:
    commands(docker=DOCKER, ip=ip())
    here = EngineService()
    assert (here.version(), here.swarm(), here.running()) == ("28.5.2", "active", ["shop-app", "proxy"])
    assert here.holders_of_its_socket() == ["proxy"]
    assert here.routes() == ["10.0.0.0/8", "fd00::/8", "fd02::/64"]


@pytest.mark.parametrize(("state", "runs"), [("active", True), ("inactive", False), ("activating", False)])
def test_whether_it_runs(commands: Commands, state: str, runs: bool) -> None:
    commands(systemctl=f"echo ActiveState={state}")
    assert EngineService().runs() is runs


def test_a_configuration_that_it_refuses(commands: Commands) -> None:
    commands(dockerd="[ $2 = --config-file=/good ] || { echo 'unknown log-drivr' >&2; exit 1; }")
    EngineService().validate("/good")
    with pytest.raises(
        DockerVpsError, match=r"refuses that configuration, and nothing was changed. .*unknown log-drivr"
    ):
        EngineService().validate("/bad")


def test_a_restart_waits_for_its_answer(commands: Commands) -> None:
    calls = commands(systemctl="", docker=DOCKER)
    EngineService().reload()
    EngineService().restart()
    asked = [line for line in calls.read_text().splitlines() if line.startswith("systemctl")]
    assert asked == [f"systemctl {how} docker.service" for how in ("reload", "reset-failed", "restart")]
    commands(docker="exit 1")
    with pytest.raises(DockerVpsError, match=r"did not answer within 0.1 s"):
        EngineService().restart()


def test_what_has_to_work_afterwards(commands: Commands) -> None:
    calls = commands(docker=DOCKER, ip=ip([{"local": "172.17.0.1"}]))
    EngineService().check(["shop-app"])
    made = [line.split()[1:3] for line in calls.read_text().splitlines() if " network " in line]
    assert made == [["network", "inspect"], ["network", "create"], ["network", "rm"]]
    with pytest.raises(DockerVpsError, match="gone-app ran before the engine was restarted, and did not start again"):
        EngineService().check(["shop-app", "gone-app"])
    commands(ip=ip())
    with pytest.raises(DockerVpsError, match="docker0 has no address"):
        EngineService().check([])


def test_an_engine_that_makes_no_network(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    commands(docker=DOCKER, ip=ip([{"local": "172.17.0.1"}]))
    monkeypatch.setenv("NETWORK", "1")
    with pytest.raises(DockerVpsError, match="docker network ended with code 1"):
        EngineService().check([])


def test_what_its_containers_publish(commands: Commands) -> None:
    bindings = [{"HostIp": "0.0.0.0", "HostPort": "3000"}, {"HostIp": "::", "HostPort": "3000"}]
    ports = {"80/tcp": bindings, "81/tcp": [{"HostIp": "127.0.0.1", "HostPort": "3001"}], "82/udp": None}
    asked = f"""case "$1" in ps) echo shop ;; *) echo '"/shop" {json.dumps(ports)}'; echo '"/bare" null' ;; esac"""
    commands(docker=asked)
    assert EngineService().published() == {("tcp", 3000): "shop"}
    commands(docker="exit 1")
    assert EngineService().published() == {}
    assert EngineService().bridges() == []


def test_the_names_that_people_give_to_bridges(commands: Commands) -> None:
    commands(docker="""case "$2" in ls) echo 1; echo 2 ;; *) echo docker0; echo; echo br-shop ;; esac""")
    assert EngineService().bridges() == ["docker0", "br-shop"]
