# SPDX-License-Identifier: GPL-3.0-or-later
"""How the engine gets another configuration, and what becomes of it when it does not bear it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.engine_config import Params, run

WANTED = {"log-opts": {"max-size": "10m"}, "live-restore": True}
POOLS = {"default-address-pools": [{"base": "10.201.0.0/16", "size": 24}]}


class Service:
    """An engine that says what was asked of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[str] = []
        self.active, self.in_swarm, self.invalid = True, "inactive", ""
        self.bears = lambda _config: True
        self.starts = lambda _config: True

    def config(self) -> Any:
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def swarm(self) -> str:
        return self.in_swarm

    def routes(self) -> Sequence[str]:
        return ["0.0.0.0/0", "10.0.0.0/8"]

    def validate(self, path: str) -> None:
        self.asked.append("validate")
        json.loads(Path(path).read_text())
        if self.invalid:
            raise DockerVpsError(self.invalid)

    def runs(self) -> bool:
        return self.active

    def running(self) -> Sequence[str]:
        return ["shop-app"]

    def reload(self) -> None:
        self.asked.append("reload")

    def restart(self) -> None:
        self.asked.append("restart")
        if not self.starts(self.config()):
            raise DockerVpsError("The engine does not start.")

    def check(self, containers: Sequence[str]) -> None:
        self.asked.append(f"check {' '.join(containers)}")
        if not self.bears(self.config()):
            raise DockerVpsError("The bridge docker0 has no address.")


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "etc/docker/daemon.json")


def changed(service: Service, options: Any, check_mode: bool = False) -> Any:
    return run(Params(options, str(service.path)), service, check_mode)


def test_a_file_is_made(service: Service) -> None:
    dry_run = changed(service, WANTED, check_mode=True)
    assert (dry_run["changed"], dry_run["options"]) == (True, ["live-restore", "log-opts"])
    assert not service.path.exists()
    assert service.asked == []
    made = changed(service, WANTED)
    assert (made["changed"], made["restarted"]) == (True, True)
    assert service.config() == WANTED
    assert service.path.stat().st_mode & 0o777 == 0o644
    assert service.asked == ["validate", "restart", "check shop-app"]
    again = changed(service, WANTED)
    assert (again["changed"], again["restarted"], again["options"]) == (False, False, [])
    assert [path.name for path in service.path.parent.iterdir()] == ["daemon.json"]


def test_what_is_there_stays_and_is_not_shown(service: Service) -> None:
    service.path.parent.mkdir(parents=True)
    before = '{"proxies": {"http-proxy": "http://me:open-sesame@proxy"},\n "log-opts": {"tag": "x"}}'
    service.path.write_text(before)
    service.path.chmod(0o600)
    result = changed(service, WANTED)
    assert service.config()["proxies"]["http-proxy"] == "http://me:open-sesame@proxy"
    assert service.config()["log-opts"] == {"tag": "x", "max-size": "10m"}
    assert service.path.stat().st_mode & 0o777 == 0o600
    assert "sesame" not in json.dumps(result)
    assert json.loads(result["diff"]["before"]) == {"log-opts": {"tag": "x"}}
    assert changed(service, {"log-opts": {"tag": "x"}})["changed"] is False


def test_what_a_running_engine_takes_over_needs_no_restart(service: Service) -> None:
    result = changed(service, {"live-restore": True})
    assert (result["changed"], result["restarted"]) == (True, False)
    assert service.asked == ["validate", "reload", "check shop-app"]


def test_an_engine_that_does_not_run_is_not_started(service: Service) -> None:
    service.active = False
    assert changed(service, WANTED)["restarted"] is False
    assert service.config() == WANTED
    assert service.asked == ["validate"]


@pytest.mark.parametrize("before", [None, '{"debug": false}\n'])
def test_what_the_engine_refuses_is_not_written(service: Service, before: Any) -> None:
    if before:
        service.path.parent.mkdir(parents=True)
        service.path.write_text(before)
    service.invalid = "unable to configure the Docker daemon with file: the following directives don't match: wrong"
    with pytest.raises(DockerVpsError, match="don't match: wrong"):
        changed(service, {"wrong": 1})
    assert (service.path.read_text() if service.path.exists() else None) == before
    assert service.asked == ["validate"]


def test_what_is_not_json_is_left_as_it_is(service: Service) -> None:
    service.path.parent.mkdir(parents=True)
    service.path.write_text("{debug: true}")
    for check_mode in (True, False):
        with pytest.raises(InvalidInput, match="is not JSON"):
            changed(service, WANTED, check_mode)
    assert service.path.read_text() == "{debug: true}"


@pytest.mark.parametrize("before", [None, '{"debug": false}\n'])
def test_one_that_it_does_not_bear_is_put_back(service: Service, before: Any) -> None:
    if before:
        service.path.parent.mkdir(parents=True)
        service.path.write_text(before)
    service.bears = lambda config: "log-opts" not in config
    with pytest.raises(DockerVpsError) as failed:
        changed(service, WANTED)
    assert failed.value.message.startswith("The bridge docker0 has no address.")
    assert "as it was before, and the engine runs with it again." in failed.value.message
    assert (service.path.read_text() if service.path.exists() else None) == before
    assert service.asked == ["validate", "restart", "check shop-app", "restart"]


def test_an_engine_that_never_starts_again(service: Service) -> None:
    service.starts = lambda _config: False
    with pytest.raises(DockerVpsError) as failed:
        changed(service, WANTED)
    assert "the engine does not start with it either: The engine does not start." in failed.value.message
    assert not service.path.exists()


def test_a_pool_does_not_take_what_the_host_reaches_elsewhere(service: Service) -> None:
    for check_mode in (True, False):
        with pytest.raises(
            InvalidInput, match="The network 10.201.0.0/16 in default-address-pools overlaps the route to 10.0.0.0/8"
        ):
            changed(service, POOLS, check_mode)
    with pytest.raises(InvalidInput, match="The network 10.202.0.0/24 in bip overlaps"):
        changed(service, {"bip": "10.202.0.1/24"})
    assert not service.path.exists()
    service.path.parent.mkdir(parents=True)
    service.path.write_text(json.dumps(POOLS))
    assert changed(service, POOLS)["changed"] is False, "what is there already is not judged"


def test_a_node_of_a_swarm_has_no_live_restore(service: Service) -> None:
    service.in_swarm = "active"
    result = changed(service, WANTED)
    assert service.config() == {"log-opts": {"max-size": "10m"}}
    assert "it was left out" in result["warnings"][0]
    assert changed(service, WANTED)["changed"] is False
