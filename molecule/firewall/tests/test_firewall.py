# SPDX-License-Identifier: GPL-3.0-or-later
"""What a neighbour reaches of a host, over IPv4 and IPv6, of its containers and of its loopback address."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

OPEN = [22, 80, 443, "443/udp"]
HOST = ["192.0.2.1", "2001:db8::1"]


def reached(host: Host, step: str) -> dict[str, Any]:
    """Return the ports that answered, by address."""
    found: dict[str, Any] = json.loads(host.file(f"/root/notes/{step}").content_string)
    return found


def has_tables_of_its_own(host: Host) -> bool:
    """Return whether the engine has the nftables back end of 29."""
    return "docker-bridges" in host.check_output("nft list tables")


def test_it_does_not_depend_on_what_docker_and_nftables_service_do(host: Host) -> None:
    listed = [
        host.file(f"/root/notes/systemctl {verb} nftables").content_string for verb in ("start", "reload", "restart")
    ]
    assert "dport { 22, 80, 443 } accept" in listed[0]
    assert listed == listed[:1] * 3


def test_rules_that_nobody_confirmed_were_others(host: Host) -> None:
    assert "dport { 22, 80, 443, 5432 } accept" in reached(host, "unconfirmed.json")["rules"]


def test_nothing_is_left_of_it(host: Host) -> None:
    assert "docker_vps" not in host.check_output("nft list tables")
    before, after = reached(host, "before"), reached(host, "absent")
    assert [after[address] for address in HOST] == [before[address] for address in HOST]
    assert sorted(after.values()) == sorted(before.values())  # containers have other addresses after a boot
    ours = "find /etc -name docker-vps -o -name 'docker-vps-firewall*' -o -path '*/nftables.service.d*'"
    assert host.check_output(ours) == ""


def test_ufw_has_what_it_had(host: Host) -> None:
    assert host.run("diff -r /etc/ufw /root/ufw").stdout == ""
    assert host.check_output("iptables-save | grep ^-A") == host.file("/root/notes/iptables").content_string.strip()


def test_without_it_everything_is_open(host: Host) -> None:
    before = reached(host, "before")
    udp = ["28443/udp", "4000/udp", "443/udp", "5353/udp"]
    assert [before[address] for address in HOST] == [[22, 80, 443, 3000, 3001, 5432, 28080, *udp]] * 2
    assert len(before) == 6
    if int(host.check_output("docker version --format '{{.Server.Version}}'").split(".")[0]) < 28:
        assert all(before.values()), "what is published on loopback, and each container by its own address"


@pytest.mark.parametrize("step", ["present", "restarts", "unconfirmed", "boot", "ufw-allow", "ufw-reject", "ufw-deny"])
def test_exactly_three_ports_are_open(host: Host, step: str) -> None:
    found = reached(host, step)
    expected = dict.fromkeys(HOST, OPEN)
    if step in ("ufw-reject", "ufw-deny") and has_tables_of_its_own(host):
        expected[HOST[0]] = OPEN[:3]  # what ufw drops stays dropped
    assert {address: ports for address, ports in found.items() if ports} == expected
    assert len(found) == 6


def test_what_others_drop_stays_closed_and_as_it_is(host: Host) -> None:
    # An engine lets what it publishes through by rules of iptables; by IPv6 its proxy listens on the host.
    through = [] if has_tables_of_its_own(host) else ["443/udp"]
    found = reached(host, "strangers")
    assert {address: ports for address, ports in found.items() if ports} == {
        HOST[0]: [2222, *through],
        HOST[1]: [2222],
    }
    before, after = (host.file(f"/root/notes/strangers.{when}").content_string for when in ("before", "after"))
    assert "policy drop" in before
    assert before == after
