# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays over a real sshd, with the ansible.cfg that examples/site ships."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Iterator

import pytest
import yaml
from lab import ROOT, App, MakeApp, Played, play
from servers import Machine

LONG = "a" * 51 + ".example.test"  # 64 characters, as many as a name may have on Linux
SESSIONS = 10  # that sshd allows for each connection, unless MaxSessions says otherwise
DEEP = "a" * 24 + "/" + "b" * 24  # directories, for a home of about 60 characters


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """This machine behind an sshd."""
    machine = Machine(tmp_path_factory.mktemp("ssh"))
    yield machine
    machine.close()


@pytest.fixture(scope="module")
def app(make_app: MakeApp) -> App:
    """A deployed application."""
    app = make_app("it-ssh")
    app.deploy().succeeded()
    return app


class Site:
    """The application on the machine, and plays from a home of its own with the shipped settings."""

    def __init__(self, app: App, machine: Machine, home: Path) -> None:
        self.app, self.machine, self.home = app, machine, home
        home.mkdir(parents=True)

    def play(self, name: str, *arguments: str, environment: Any = None, **variables: Any) -> Played:
        """Run one of our playbooks."""
        return self.run(ROOT / f"playbooks/{name}.yml", *arguments, environment=environment, **variables)

    def run(self, playbook: Path, *arguments: str, environment: Any = None, **variables: Any) -> Played:
        """Run a playbook."""
        host = {**self.app.host(), **self.machine.variables, **variables}
        inventory = self.app.scratch / "ssh.yml"
        inventory.write_text(yaml.safe_dump({"docker_vps": {"hosts": {"vps": host}}}))
        settings = {"HOME": str(self.home), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections")}
        settings |= {"ANSIBLE_CONFIG": str(ROOT / "examples/site/ansible.cfg"), **(environment or {})}
        return play(playbook, inventory, *arguments, **settings)

    def connections(self) -> int:
        """Return how many connections sshd has let in so far."""
        return self.machine.log().count("Accepted publickey")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a short path."""
    with TemporaryDirectory(dir="/tmp", prefix="it-") as place:
        yield Path(place)


@pytest.fixture
def site(app: App, machine: Machine, home: Path) -> Site:
    return Site(app, machine, home / "home")


@pytest.mark.parametrize("name", ["deploy", "backup", "logs", "status"])
def test_a_play_opens_one_connection_and_the_next_one_none(site: Site, name: str) -> None:
    before = site.connections()
    site.play(name).succeeded()
    assert site.connections() - before == 1
    site.play(name).succeeded()
    assert site.connections() - before == 1


def test_a_host_with_a_long_name_is_reached_from_a_deep_home(app: App, machine: Machine, home: Path) -> None:
    site = Site(app, machine, home / DEEP)
    options = f"{machine.variables['ansible_ssh_common_args']} -o HostName=127.0.0.1 -o HostKeyAlias=[127.0.0.1]"
    options += f":{machine.variables['ansible_port']}"
    assert len(LONG) == 64
    before = site.connections()
    site.play("status", ansible_host=LONG, ansible_ssh_common_args=options).succeeded()
    assert site.connections() - before == 1


def test_facts_that_others_have_cached_change_nothing(site: Site) -> None:
    cache = site.home / "facts"
    cache.mkdir()
    wrong = {"ansible_distribution": "Plan 9", "ansible_hostname": "elsewhere", "ansible_user_id": "nobody"}
    wrong |= {"ansible_env": {"HOME": "/nowhere"}, "ansible_date_time": {"epoch": "0"}, "ansible_memtotal_mb": 1}
    wrong |= {
        "release_keeps_image": True,
        "stack_began": 1.0,
        "environment_began": 1.0,
        "env_file_written": {"changed": True},
    }
    (cache / "s1_vps").write_text(json.dumps({"__payload__": json.dumps(wrong)}))  # as ansible-core writes it
    there = {"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(cache)}
    played = site.play("deploy", environment={**there, "ANSIBLE_GATHERING": "smart"}).succeeded()
    assert played.recap["changed"] == 0
    assert "Gathering Facts" not in played.output
    seen = site.app.scratch / "seen.yml"
    seen.write_text(
        yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [{"debug": {"var": "ansible_hostname"}}]}])
    )
    assert "elsewhere" in site.run(seen, environment=there).succeeded().text


def test_many_hosts_at_once_have_their_images_built_by_one(app: App, machine: Machine, home: Path) -> None:
    site = Site(app, machine, home / "home")
    site.home.mkdir(parents=True, exist_ok=True)
    log = len(machine.log())
    hosts = {
        f"vps{number}": {**app.host(), "docker_vps_app": f"{app.name}-{number}", "docker_vps_build_on": "builder"}
        for number in range(2 * SESSIONS)
    }
    inventory = app.scratch / "many.yml"
    builders = {"hosts": {"builder": machine.variables}}
    inventory.write_text(yaml.safe_dump({"docker_vps": {"hosts": hosts}, "builders": builders}))
    settings = {"HOME": str(site.home), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections")}
    settings |= {"ANSIBLE_CONFIG": str(ROOT / "examples/site/ansible.cfg")}
    at_once = ("--check", "--forks", str(len(hosts)), "--extra-vars", json.dumps({"docker_vps_serial": ["100%"]}))
    played = play(ROOT / "playbooks/deploy.yml", inventory, *at_once, **settings).succeeded()
    assert len(re.findall("would be started as the first release", played.output)) == len(hosts)
    seen = machine.log()[log:]
    assert "no more sessions" not in seen
    assert 1 <= seen.count("Accepted publickey") < SESSIONS  # each that begins before there is one to share
