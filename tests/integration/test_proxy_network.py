# SPDX-License-Identifier: GPL-3.0-or-later
"""The role proxy_network alone: created when missing, left alone when there, never replaced."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from typing import Iterator

import pytest
from lab import App, MakeApp, Played, docker

NAME, OTHER = "it-network", "it-network-other"


@pytest.fixture
def app(make_app: MakeApp) -> Iterator[App]:
    """An inventory; the network is gone before and after."""
    docker("network", "rm", NAME, check=False)
    yield make_app("it-network-app")
    docker("network", "rm", NAME, check=False)


def role(app: App, *arguments: str, engine: str = "", **variables: str) -> Played:
    task = {
        "ansible.builtin.import_role": {"name": "ptnextjs.docker_vps.proxy_network"},
        "vars": {"docker_vps_network": NAME, **variables},
        "environment": {"DOCKER_HOST": engine} if engine else {},
    }
    return app.play(json.dumps([task]), *arguments)


def test_check_then_create_then_leave_alone(app: App) -> None:
    assert role(app, "--check").succeeded().recap["changed"] == 1
    assert docker("network", "ls", "--quiet", "--filter", f"name=^{NAME}$") == ""
    assert role(app, docker_vps_network_subnet="10.213.0.0/24").succeeded().recap["changed"] == 1
    made = docker("network", "inspect", NAME, "--format", "{{.Id}} {{(index .IPAM.Config 0).Subnet}}")
    assert made.endswith("10.213.0.0/24")
    for arguments in ((), ("--check",)):
        assert role(app, *arguments).succeeded().recap["changed"] == 0
        assert role(app, *arguments, docker_vps_network_subnet="10.213.0.0/24").succeeded().recap["changed"] == 0
    assert docker("network", "inspect", NAME, "--format", "{{.Id}}") == made.split()[0]


@pytest.mark.parametrize(
    "wanted",
    [
        {"docker_vps_network_subnet": "10.214.0.0/24"},
        {"docker_vps_network_driver": "macvlan"},
        {"docker_vps_network_driver": "overlay", "docker_vps_network_scope": "swarm"},
    ],
)
def test_a_network_of_another_kind_is_refused_and_left_as_it_is(app: App, wanted: dict[str, str]) -> None:
    made = docker("network", "create", NAME)
    text = role(app, **wanted).failed().text
    assert f"The network {NAME} exists, but with driver bridge, scope local and subnet 1" in text
    assert docker("network", "inspect", NAME, "--format", "{{.Id}}") == made


def test_a_network_that_keeps_its_containers_apart_is_refused(app: App) -> None:
    docker("network", "create", "--opt=com.docker.network.bridge.enable_icc=false", NAME)
    assert "it keeps its containers from reaching each other (enable_icc=false); wanted are" in role(app).failed().text


def test_a_wrong_type_is_refused(app: App) -> None:
    assert "docker_vps_network_driver" in role(app, docker_vps_network_driver="bridges").failed().text


def test_a_refusal_of_the_engine_is_told_at_once(app: App) -> None:
    docker("network", "create", "--subnet=10.213.0.0/24", OTHER)
    try:
        played = role(app, docker_vps_network_subnet="10.213.0.128/25").failed()
    finally:
        docker("network", "rm", OTHER)
    assert f"The engine did not create the network {NAME}: " in played.text
    assert "Pool overlaps with other one on this address space" in played.text
    assert "Choose another docker_vps_network_subnet, or none" in played.text
    assert "RETRYING" not in played.text


class Meanwhile(socketserver.ThreadingTCPServer):
    """The engine at an address of its own, at which somebody else makes the network right before it is asked to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.url = f"tcp://127.0.0.1:{self.server_address[1]}"
        self.made = ""
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Passing(socketserver.BaseRequestHandler):
    """Passes on what is asked and what is answered."""

    server: Meanwhile

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect("/var/run/docker.sock")
            threading.Thread(target=pass_on, args=(engine, self.request), daemon=True).start()
            while data := self.request.recv(1 << 16):
                if b"/networks/create" in data:
                    self.server.made = docker("network", "create", NAME)
                engine.sendall(data)


def pass_on(answers: socket.socket, to: socket.socket) -> None:
    while data := answers.recv(1 << 16):
        to.sendall(data)


def test_a_network_that_another_play_makes_at_the_same_moment_is_taken(app: App) -> None:
    with Meanwhile() as engine:
        role(app, engine=engine.url).succeeded()
        assert docker("network", "ls", "--quiet", "--no-trunc", "--filter", f"name=^{NAME}$") == engine.made
        engine.shutdown()


def test_one_that_does_not_suit_is_left_as_it_is(app: App) -> None:
    with Meanwhile() as engine:
        text = role(app, engine=engine.url, docker_vps_network_subnet="10.213.0.0/24").failed().text
        assert f"The network {NAME} exists, but with driver bridge, scope local and subnet 1" in text
        assert docker("network", "ls", "--quiet", "--no-trunc", "--filter", f"name=^{NAME}$") == engine.made
        engine.shutdown()
