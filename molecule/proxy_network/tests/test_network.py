# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance is a machine of its own, and the network on its engine outlives a restart of the engine."""

from __future__ import annotations

import json

from testinfra.host import Host


def test_systemd_runs_an_engine(host: Host) -> None:
    assert host.process.get(pid=1).comm == "systemd"
    assert host.service("docker").is_running
    assert host.socket("unix:///run/docker.sock").is_listening


def test_the_network_is_as_asked_for(host: Host) -> None:
    (network,) = json.loads(host.check_output("docker network inspect proxy"))
    assert (network["Driver"], network["Scope"]) == ("bridge", "local")
    assert [config["Subnet"] for config in network["IPAM"]["Config"]] == ["10.213.0.0/24"]


def test_the_host_is_its_gateway(host: Host) -> None:
    assert "inet 10.213.0.1/24" in host.check_output("ip -4 address")
