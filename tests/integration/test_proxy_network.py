# SPDX-License-Identifier: GPL-3.0-or-later
"""The role proxy_network alone: created when missing, left alone when there, never replaced."""

from __future__ import annotations

import json
from typing import Iterator

import pytest
from lab import App, MakeApp, Played, docker

NAME = "it-network"


@pytest.fixture
def app(make_app: MakeApp) -> Iterator[App]:
    """An inventory; the network is gone before and after."""
    docker("network", "rm", NAME, check=False)
    yield make_app("it-network-app")
    docker("network", "rm", NAME, check=False)


def role(app: App, *arguments: str, **variables: str) -> Played:
    words = json.dumps({"proxy_network_name": NAME, **variables})
    return app.play(
        f"- ansible.builtin.import_role: {{name: ptnextjs.docker_vps.proxy_network}}\n  vars: {words}", *arguments
    )


def test_check_then_create_then_leave_alone(app: App) -> None:
    assert role(app, "--check").succeeded().recap["changed"] == 1
    assert docker("network", "ls", "--quiet", "--filter", f"name=^{NAME}$") == ""
    assert role(app, proxy_network_subnet="10.213.0.0/24").succeeded().recap["changed"] == 1
    made = docker("network", "inspect", NAME, "--format", "{{.Id}} {{(index .IPAM.Config 0).Subnet}}")
    assert made.endswith("10.213.0.0/24")
    for arguments in ((), ("--check",)):
        assert role(app, *arguments).succeeded().recap["changed"] == 0
        assert role(app, *arguments, proxy_network_subnet="10.213.0.0/24").succeeded().recap["changed"] == 0
    assert docker("network", "inspect", NAME, "--format", "{{.Id}}") == made.split()[0]


@pytest.mark.parametrize(
    "wanted",
    [
        {"proxy_network_subnet": "10.214.0.0/24"},
        {"proxy_network_driver": "macvlan"},
        {"proxy_network_driver": "overlay", "proxy_network_scope": "swarm"},
    ],
)
def test_a_network_of_another_kind_is_refused_and_left_as_it_is(app: App, wanted: dict[str, str]) -> None:
    made = docker("network", "create", NAME)
    text = role(app, **wanted).failed().text
    assert f"The network {NAME} exists, but with driver bridge, scope local and subnet 1" in text
    assert docker("network", "inspect", NAME, "--format", "{{.Id}}") == made


def test_a_wrong_type_is_refused(app: App) -> None:
    assert "proxy_network_driver" in role(app, proxy_network_driver="bridges").failed().text
