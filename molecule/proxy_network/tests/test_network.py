# SPDX-License-Identifier: GPL-3.0-or-later
"""The network is on the instance's own engine, and containers can be reached on it by name."""

from __future__ import annotations

import json

from testinfra.host import Host


def test_the_instance_is_a_machine_of_its_own(host: Host) -> None:
    assert host.process.get(pid=1).comm == "systemd"
    assert host.service("docker").is_running
    assert host.socket("unix:///run/docker.sock").is_listening


def test_the_network_is_as_asked_for(host: Host) -> None:
    (network,) = json.loads(host.check_output("docker network inspect proxy"))
    assert (network["Driver"], network["Scope"]) == ("bridge", "local")
    assert network["IPAM"]["Config"] == [{"Subnet": "10.213.0.0/24"}]


def test_the_host_has_an_address_on_it(host: Host) -> None:
    assert "10.213.0.1" in [
        address for name in host.interface.names() for address in host.interface(name).addresses
    ]
