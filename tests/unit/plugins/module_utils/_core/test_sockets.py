# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel tells of sockets."""

from __future__ import annotations

import sys

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.sockets import (
    Socket,
    connections_at,
    sockets,
)

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
REST = "00000000:00000000 00:00000000 00000000     0        0"


@pytest.mark.skipif(sys.byteorder == "big", reason="the words of these addresses are those of a little-endian machine")
def test_what_the_kernel_tells_of_sockets() -> None:
    tcp = (
        f"{HEAD}   0: 0100007F:0016 00000000:0000 0A {REST} 7 1 0\n"
        f"   1: 010200C0:0016 020200C0:C350 01 {REST} 8 1 0\n"
        f"   2: 010200C0:0016 020200C0:C350 06 {REST} 0 1 0\n"
    )
    loopback = Socket("tcp", "127.0.0.1", 22, "", 0, True, 7)
    assert sockets(tcp, "tcp") == [loopback, Socket("tcp", "192.0.2.1", 22, "192.0.2.2", 50000, False, 8)]
    assert loopback.is_local
    mapped = "0000000000000000FFFF00000100007F"
    six = f"{HEAD} 0: {'0' * 32}:0016 {'0' * 32}:0000 0A {REST} 9 1\n 1: {mapped}:0016 {'0' * 32}:0000 0A {REST} 9 1\n"
    assert [(found.address, found.is_local) for found in sockets(six, "tcp")] == [
        ("::", False),
        ("127.0.0.1", True),
    ]
    udp = f"{HEAD} 0: 00000000:0044 00000000:0000 07 {REST} 5 2\n 1: 00000000:8000 010200C0:0035 01 {REST} 6 2\n"
    assert [(found.port, found.listens) for found in sockets(udp, "udp")] == [(68, True), (32768, False)]
    assert sockets("", "tcp") == []


def test_connections_at_a_port() -> None:
    def tcp(port: int, listens: bool = False) -> Socket:
        return Socket("tcp", "192.0.2.1", port, "" if listens else "192.0.2.9", 0 if listens else 50000, listens, 1)

    three = [tcp(443, listens=True), tcp(443), tcp(443), tcp(443), tcp(80), tcp(80, listens=True)]
    assert connections_at(443, three) == 3
    assert connections_at(8080, three) is None
    assert connections_at(443, three[1:]) is None
    assert connections_at(53, [Socket("udp", "192.0.2.1", 53, "", 0, True, 1)]) is None
