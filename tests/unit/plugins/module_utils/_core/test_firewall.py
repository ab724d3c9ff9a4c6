# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections a host lets in, and whose ports are those of SSH."""

from __future__ import annotations

from typing import Iterable, Optional, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.firewall import (
    Openings,
    cautions,
    checked_ssh_ports,
    closed,
    connection,
    imitations,
    openings,
    ruleset,
    ssh_ports,
    ufw_plan,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.sockets import Process, Socket

OPENED = openings([22], [9000], [])


def listening(port: int, inode: int = 1, address: str = "0.0.0.0", protocol: str = "tcp") -> Socket:
    return Socket(protocol, address, port, "", 0, True, inode)


def connected(port: int, inode: int, peer: str = "192.0.2.2") -> Socket:
    return Socket("tcp", "192.0.2.1", port, peer, 50000, False, inode)


def process(name: str, parent: int = 1, inodes: Iterable[int] = ()) -> Process:
    return Process(name, parent, frozenset(inodes))


def chains(text: str) -> dict[str, list[str]]:
    """Return the rules by their chains."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("\tchain"):
            found[line.split()[1]] = []
        elif line.startswith("\t\t"):
            found[list(found)[-1]].append(line.strip())
    return found


def test_what_is_open() -> None:
    assert openings([2222, 22], [80, 9000], [51820]) == Openings((22, 80, 443, 2222, 9000), (443, 51820))
    assert OPENED.each() == [("tcp", 22), ("tcp", 80), ("tcp", 443), ("tcp", 9000), ("udp", 443)]


def test_the_rules() -> None:
    text = ruleset(OPENED, ["shop"], ["wg0", "tun*"], ["br-lan"], host=True)
    assert text.startswith("table inet docker_vps\ndelete table inet docker_vps\ntable inet docker_vps {\n")
    assert "flush" not in text
    ports = "{ 22, 80, 443, 9000 }"
    inside = [
        'iifname { "docker0", "docker_gwbridge", "lo", "shop", "wg0" } accept',
        'iifname "br-*" accept',
        'iifname "tun*" accept',
    ]
    assert chains(text) == {
        "container": [
            "ct original ip daddr 127.0.0.0/8 drop",
            "ct status dnat meta l4proto tcp ct original proto-dst 22 accept",
            "ct status dnat meta l4proto tcp ct original proto-dst 80 accept",
            "ct status dnat meta l4proto tcp ct original proto-dst 443 accept",
            "ct status dnat meta l4proto tcp ct original proto-dst 9000 accept",
            "ct status dnat meta l4proto udp ct original proto-dst 443 accept",
            "ct status dnat drop",
            'oifname { "docker0", "docker_gwbridge", "shop" } drop',
            'oifname "br-*" drop',
        ],
        "forward": [
            "type filter hook forward priority filter - 10; policy accept;",
            "ct state established,related accept",
            'iifname { "br-lan" } goto container',
            *inside,
            "goto container",
        ],
        "host": [
            "meta l4proto { 1, 58 } accept",
            "udp dport { 68, 546 } accept",
            f"tcp dport {ports} accept",
            "udp dport { 443 } accept",
            "drop",
        ],
        "input": [
            "type filter hook input priority filter - 10; policy accept;",
            "ct state established,related accept",
            'iifname { "br-lan" } goto host',
            *inside,
            "goto host",
        ],
    }


def test_the_ports_of_the_host_are_left_to_others() -> None:
    assert list(chains(ruleset(OPENED, [], [], [], host=False))) == ["container", "forward"]


@pytest.mark.parametrize("name", ['wg0"; drop', "", "a b", "-x", "much-too-long-for-an-interface", "a*b"])
def test_a_name_that_is_none_gets_into_no_rule(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not the name of an interface"):
        ruleset(OPENED, [], [name], [], host=True)


def test_what_is_called_like_a_bridge_of_docker_and_is_none() -> None:
    interfaces = ["eth0", "br-lan", "br-0123456789ab", "br-shop", "docker0", "br-0123456789abc"]
    assert imitations(interfaces, ["br-shop"]) == ["br-0123456789abc", "br-lan"]


# systemd, the server, what it has for a session with its own child, and others.
PROCESSES = {
    1: process("systemd", 0, [1]),
    100: process("sshd", 1, [10, 11]),
    200: process("sshd-session", 100, [20]),
    201: process("sshd-session", 200, [20, 21, 22]),
    300: process("sudo", 201),
    301: process("python3", 300),
    400: process("postgres", 1, [40]),
    500: process("dropbear", 1, [50]),
}
SOCKETS = [
    listening(22, 10),
    listening(2222, 11, "::"),
    listening(2022, 50),
    connected(22, 20),
    connected(40000, 21, "127.0.0.1"),
    listening(8022, 22),
    listening(5432, 40),
    listening(6010, 10, "127.0.0.1"),
]


def test_the_ports_of_ssh_servers() -> None:
    assert ssh_ports(SOCKETS, PROCESSES) == {22, 2222, 2022}


def test_the_connection_by_which_we_came() -> None:
    assert connection(SOCKETS, PROCESSES, 301) == connected(22, 20)
    assert connection(SOCKETS, PROCESSES, 400) is None
    inetd = {1: process("systemd", 0), 9: process("sshd", 1, [20]), 10: process("sh", 9)}
    assert connection(SOCKETS, inetd, 10) == connected(22, 20)


@pytest.mark.parametrize(
    ("given", "used", "came_by", "expected"),
    [
        ([], {22}, None, {22}),
        ([], {22}, connected(2222, 20), {22, 2222}),
        ([], set(), None, set()),
        ([2222], {22}, None, {2222}),
        ([5432], set(), None, {5432}),  # whoever listens there may be an SSH server of another name
        ([23], {23}, None, {23}),  # systemd listens
        ([22, 2222], {22, 2222}, connected(22, 20), {22, 2222}),
        ([24], set(), connected(24, 20), {24}),
    ],
)
def test_the_ports_that_are_open_for_ssh(
    given: Sequence[int], used: set[int], came_by: Optional[Socket], expected: set[int]
) -> None:
    assert checked_ssh_ports(given, used, SOCKETS, came_by) == expected


@pytest.mark.parametrize(
    ("given", "came_by", "message"),
    [
        ([22, 23], None, "Nothing listens on port 23, .* listen on 22"),
        ([6010], None, "Nothing listens on port 6010"),
        ([2222], connected(22, 20), "This connection came by port 22"),
    ],
)
def test_ports_by_which_nobody_would_get_in_are_refused(
    given: Sequence[int], came_by: Optional[Socket], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        checked_ssh_ports(given, {22}, SOCKETS, came_by)


def test_a_host_without_a_server_has_none_to_name() -> None:
    with pytest.raises(InvalidInput, match="listen on no port"):
        checked_ssh_ports([22], (), [], None)


def test_what_others_do_not_reach_any_more() -> None:
    found = [
        *SOCKETS,
        listening(9000, 90),
        listening(3000, 91),
        listening(53, 92, protocol="udp"),
        listening(68, 93, protocol="udp"),
        listening(40000, 94, protocol="udp"),
        listening(443, 95, protocol="udp"),
    ]
    published = {("tcp", 3000): "shop-app", ("udp", 3478): "turn", ("tcp", 80): "proxy"}
    assert closed(found, PROCESSES, published, OPENED, range(32768, 61000)) == [
        "53/udp",
        "2022/tcp (dropbear)",
        "2222/tcp (sshd)",
        "3000/tcp (container shop-app)",
        "3478/udp (container turn)",
        "5432/tcp (postgres)",
        "8022/tcp (sshd-session)",
    ]


MARK = "70746e6578746a732e646f636b65725f767073"  # as ufw writes our comment
RULES = f"""*filter
### RULES ###

### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in
-A ufw-user-input -p tcp --dport 22 -j ACCEPT -m comment --comment 'dapp_OpenSSH'

### tuple ### deny_log any 25,443 0.0.0.0/0 any 0.0.0.0/0 in comment=666f6f
### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in comment={MARK}
### tuple ### allow udp 7 0.0.0.0/0 any 0.0.0.0/0 in comment={MARK}
### tuple ### allow tcp 9000 0.0.0.0/0 any 192.0.2.7 in
### tuple ### allow tcp 9001 0.0.0.0/0 any 0.0.0.0/0 in_eth1
### END RULES ###
"""


def test_what_ufw_gets_and_loses() -> None:
    plan = ufw_plan(RULES, [("tcp", 22), ("tcp", 80), ("tcp", 443), ("tcp", 9000), ("tcp", 9001), ("udp", 443)])
    assert plan.allow == [("tcp", 9000), ("tcp", 9001)]
    assert plan.delete == [("udp", 7)]
    assert [caution.split(" by ")[0] for caution in plan.cautions] == [
        "ufw keeps others from 443/tcp",
        "ufw keeps others from 443/udp",
    ]
    assert ufw_plan("", [("tcp", 22)]).allow == [("tcp", 22)]


def test_what_others_keep_closed_is_told_in_a_sentence() -> None:
    base = {"family": "ip", "table": "filter", "type": "filter", "policy": "drop"}
    ruleset = [{"chain": {**base, "name": hook.upper(), "hook": hook}} for hook in ("input", "forward")]
    left = "of the table ip filter, which was left as it is, drops what"
    closes = (
        f"The chain INPUT {left} it does not let in itself, and no rule of it names 22/tcp, 80/tcp, 443/tcp, 9000/tcp, "
        "443/udp: these stay closed unless it lets them in otherwise. See: nft list chain ip filter INPUT"
    )
    severs = (
        f"The chain FORWARD {left} goes to containers, but for answers: others do not reach what they publish until it "
        "has a rule for that. See: nft list chain ip filter FORWARD"
    )
    assert cautions(ruleset, OPENED, host=True) == [closes, severs]
    assert cautions(ruleset, OPENED, host=False) == [severs]
    assert cautions([], OPENED, host=True) == []
