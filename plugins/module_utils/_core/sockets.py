# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets of a host, and the processes that have them, as the kernel tells of them."""

from __future__ import annotations

import ipaddress
import struct
import sys
from dataclasses import dataclass
from typing import Mapping, Optional, Sequence

_LISTENS, _CONNECTED = 0x0A, 0x01  # TCP_LISTEN, TCP_ESTABLISHED in the kernel's include/net/tcp_states.h


@dataclass(frozen=True)
class Socket:
    """A socket of the host; ``peer`` is the other end of a connection, empty of one that listens."""

    protocol: str
    address: str
    port: int
    peer: str
    peer_port: int
    listens: bool
    inode: int

    @property
    def is_local(self) -> bool:
        """Whether only the host itself reaches it."""
        return bool(ipaddress.ip_address(self.address).is_loopback)


@dataclass(frozen=True)
class Process:
    """A process with the inodes of its sockets."""

    name: str
    parent: int
    inodes: frozenset[int]


Processes = Mapping[int, Process]


def sockets(table: str, protocol: str) -> list[Socket]:
    """Return the sockets of one of /proc/net/tcp, tcp6, udp and udp6 (proc(5)) that listen or are connected.

    A socket of UDP listens unless it is connected.
    """
    found = []
    for line in table.splitlines()[1:]:
        _number, local, remote, state, *more = line.split()
        address, port = _end(local)
        peer, peer_port = _end(remote)
        connected = int(state, 16) == _CONNECTED
        if connected or protocol == "udp" or int(state, 16) == _LISTENS:
            other = (peer, peer_port) if connected else ("", 0)
            found.append(Socket(protocol, address, port, *other, not connected, int(more[5])))
    return found


def connections_at(port: int, found: Sequence[Socket]) -> Optional[int]:
    """Return how many connections others have open at a port; None when nothing listens there."""
    at_port = [socket for socket in found if socket.protocol == "tcp" and socket.port == port]
    return sum(not socket.listens for socket in at_port) if any(socket.listens for socket in at_port) else None


def _end(text: str) -> tuple[str, int]:
    """Return address and port of ``0100007F:0016``; the words of the address are in the order of the machine.

    An IPv4 address that is mapped to IPv6, as sockets for both have it (RFC 4291, 2.5.5.2), is that IPv4 address.
    """
    address, port = text.split(":")
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    packed = struct.pack(f"{'<' if sys.byteorder == 'little' else '>'}{len(words)}I", *words)
    found = ipaddress.ip_address(packed)
    return str(getattr(found, "ipv4_mapped", None) or found), int(port, 16)
