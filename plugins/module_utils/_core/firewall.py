# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections a host lets in: the nftables table, the ports of sshd, and what people are notified of it.

The table only drops, ahead of the chains of others, so none of theirs has to be changed, and Docker may write its own
again at any time. Docker sends connections to published ports on to containers (DNAT). What was asked for is the port
that conntrack calls the original one: https://docs.docker.com/engine/network/packet-filtering-firewalls/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable, Mapping, Optional, Sequence, Tuple

from .errors import InvalidInput
from .nft_rules import Json, Rules
from .remedies import setting
from .sockets import Process, Processes, Socket
from .text import listed

TABLE = "docker_vps"
MARK = "ptnextjs.docker_vps"
"""The comment of our rules of ufw."""
BRIDGES = ("br-*", "docker0", "docker_gwbridge")
"""The names that Docker gives its bridges."""
INTERFACE = r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,14}\*?"
REMOVED = f"table inet {TABLE}\ndelete table inet {TABLE}\n"
"""A transaction of nft after which the table is not there, whether it was or not."""

_SSH = re.compile(r"sshd(-.*)?|dropbear")
_DHCP = (68, 546)  # of a client
_NAMED = re.compile("br-[0-9a-f]{12}")  # after the id of a network


@dataclass(frozen=True)
class Openings:
    """The ports that are open to everybody."""

    tcp: Tuple[int, ...]
    udp: Tuple[int, ...]

    def has(self, protocol: str, port: int) -> bool:
        """Return whether a port of ``tcp`` or ``udp`` is open."""
        return port in (self.tcp if protocol == "tcp" else self.udp)

    def each(self) -> list[tuple[str, int]]:
        """Return all of them as protocol and port."""
        return [("tcp", port) for port in self.tcp] + [("udp", port) for port in self.udp]


def openings(ssh: Iterable[int], tcp: Iterable[int], udp: Iterable[int]) -> Openings:
    """Return what is open: SSH, HTTP and HTTPS (with HTTP/3), and further ports."""
    return Openings(tuple(sorted({*ssh, 80, 443, *tcp})), tuple(sorted({443, *udp})))


def ruleset(
    opened: Openings, bridges: Iterable[str], trusted: Iterable[str], outside: Iterable[str], host: bool
) -> str:
    """Return a transaction of nft that recreates the table.

    Args:
        bridges: what bridges of Docker are called besides the names that it gives itself.
        trusted: further interfaces from which all is let in; a ``*`` at the end stands for any characters.
        outside: interfaces that look like Docker's bridges and are none.
        host: whether ports of the host itself are filtered, besides those that Docker publishes.
    """
    docker = {*BRIDGES, *bridges}
    inside = _each("iifname", {*docker, *trusted, "lo"}, "accept")
    tcp, udp = _set(map(str, opened.tcp)), _set(map(str, opened.udp))
    chains = [
        _chain(
            "container",
            "ct original ip daddr 127.0.0.0/8 drop",
            # A rule for each, since nft 1.0.6 does not read what it prints of a set of these.
            *(
                f"ct status dnat meta l4proto {name} ct original proto-dst {port} accept"
                for name, port in opened.each()
            ),
            "ct status dnat drop",
            *_each("oifname", docker, "drop"),
        ),
        _chain(
            "forward",
            "type filter hook forward priority filter - 10; policy accept;",
            "ct state established,related accept",
            *_each("iifname", outside, "goto container"),
            *inside,
            "goto container",
        ),
    ]
    if host:
        chains += [
            _chain(
                "host",
                "meta l4proto { 1, 58 } accept",  # ICMP, ICMPv6; their names are not known on each host
                f"udp dport {_set(map(str, _DHCP))} accept",
                f"tcp dport {tcp} accept",
                f"udp dport {udp} accept",
                "drop",
            ),
            _chain(
                "input",
                "type filter hook input priority filter - 10; policy accept;",
                "ct state established,related accept",
                *_each("iifname", outside, "goto host"),
                *inside,
                "goto host",
            ),
        ]
    return f"{REMOVED}table inet {TABLE} {{\n{''.join(chains)}}}\n"


def _chain(name: str, *lines: str) -> str:
    rules = "".join(f"\t\t{line}\n" for line in lines)
    return f"\tchain {name} {{\n{rules}\t}}\n"


def _each(key: str, names: Iterable[str], verdict: str) -> list[str]:
    """Return rules for interfaces; those with ``*`` have their own, since sets take none before nft 1.0.3."""
    quoted = sorted(map(_quoted, names))
    exact = [name for name in quoted if "*" not in name]
    patterns = [name for name in quoted if "*" in name]
    return [f"{key} {name} {verdict}" for name in [_set(exact) if exact else "", *patterns] if name]


def _set(members: Iterable[str]) -> str:
    return f"{{ {', '.join(members)} }}"


def _quoted(name: str) -> str:
    if not re.fullmatch(INTERFACE, name):
        raise InvalidInput(
            f"{name!r} is not the name of an interface such as wg0: correct {setting('firewall_trusted_interfaces')}. "
            "Nothing was changed."
        )
    return f'"{name}"'


def imitations(interfaces: Iterable[str], bridges: Iterable[str]) -> list[str]:
    """Return the interfaces that are called like Docker's bridges and are none, such as br-lan.

    Args:
        bridges: the names that people have given to bridges of Docker.
    """
    known = {*BRIDGES, *bridges}
    return sorted(
        name for name in interfaces if name.startswith("br-") and not _NAMED.fullmatch(name) and name not in known
    )


def ssh_ports(found: Sequence[Socket], processes: Processes) -> set[int]:
    """Return the ports on which an SSH server listens to others.

    What it forwards for a session is not among them: that listens in a child of it.
    """
    servers = [process for process in processes.values() if _is_server(process, processes)]
    inodes = {inode for process in servers for inode in process.inodes}
    return {socket.port for socket in found if socket.listens and socket.inode in inodes and not socket.is_local}


def _is_server(process: Process, processes: Processes) -> bool:
    parent = processes.get(process.parent)
    return bool(_SSH.fullmatch(process.name)) and not (parent and _SSH.fullmatch(parent.name))


def connection(found: Sequence[Socket], processes: Processes, pid: int) -> Optional[Socket]:
    """Return the connection by which a process came over SSH, None when it did not.

    It is that of the outermost server's process above it which does not listen; the inner one may have others, which it
    forwards.
    """
    above = []
    while pid in processes:
        above.append(processes[pid])
        pid = processes[pid].parent
    for process in reversed([process for process in above if _SSH.fullmatch(process.name)]):
        own = [socket for socket in found if socket.inode in process.inodes and socket.protocol == "tcp"]
        if own and not any(socket.listens for socket in own):
            return own[0]
    return None


def checked_ssh_ports(
    given: Sequence[int], used: Iterable[int], found: Sequence[Socket], came_by: Optional[Socket]
) -> set[int]:
    """Return the ports of SSH that are to be open: those given, or else those in use.

    Args:
        used: the ports on which SSH servers and units of systemd listen.
        came_by: the connection by which we came.

    Raises:
        InvalidInput: nobody listens on one that was given, or ours is not among them.
    """
    own = {came_by.port} if came_by else set()
    if not given:
        return {*used, *own}
    listening = {socket.port for socket in found if socket.protocol == "tcp" and socket.listens and not socket.is_local}
    silent = sorted({*given} - {*used} - listening - own)
    if silent:
        in_use = listed([str(port) for port in sorted({*used, *own})]) or "no port"
        raise InvalidInput(
            f"Nothing listens on port {silent[0]}, which is to be open for SSH; SSH servers of this host listen on "
            f"{in_use}. Correct {setting('firewall_ssh_ports')}, or leave it empty for those in use. Nothing was "
            "changed."
        )
    if own - {*given}:
        raise InvalidInput(
            f"This connection came by port {min(own)}, which {setting('firewall_ssh_ports')} does not have and which "
            "would be closed. Add it there, or connect by another port. Nothing was changed."
        )
    return {*given}


def closed(
    found: Sequence[Socket],
    processes: Processes,
    published: Mapping[Tuple[str, int], str],
    opened: Openings,
    ephemeral: range,
) -> list[str]:
    """Return what others do not reach with these openings, as in ``3000/tcp (container shop-app)``.

    Args:
        published: the names of containers by protocol and port of the host.
        ephemeral: the ports that the kernel gives to sockets which ask for none.
    """
    names = {inode: process.name for process in processes.values() for inode in process.inodes}
    users = {
        (socket.protocol, socket.port): names.get(socket.inode, "")
        for socket in found
        if socket.listens and not socket.is_local and not (socket.protocol == "udp" and socket.port in ephemeral)
    }
    users.update({key: f"container {name}" for key, name in published.items()})
    return [
        f"{port}/{protocol}{f' ({users[protocol, port]})' if users[protocol, port] else ''}"
        for port, protocol in sorted((port, protocol) for protocol, port in users)
        if not opened.has(protocol, port) and not (protocol == "udp" and port in _DHCP)
    ]


def cautions(elements: Sequence[Json], opened: Openings, host: bool) -> list[str]:
    """Return a sentence for each chain of others which keeps closed what is to be open.

    Args:
        elements: the ruleset of the host, as nft lists it.
        host: whether it is not ufw that filters the host's own ports.
    """
    rules = Rules(elements, TABLE)
    inputs = [
        f"{_chain_of(place)} drops what it does not let in itself, and no rule of it names "
        f"{listed([f'{port}/{protocol}' for protocol, port in names])}: these stay closed unless it lets them in "
        f"otherwise. See: nft list chain {' '.join(place)}"
        for place, names in (rules.closed(opened.each()) if host else [])
    ]
    forwards = [
        f"{_chain_of(place)} drops what goes to containers, but for answers: others do not reach what they publish "
        f"until it has a rule for that. See: nft list chain {' '.join(place)}"
        for place in rules.severed()
    ]
    return inputs + forwards


def _chain_of(place: Sequence[str]) -> str:
    family, table, name = place
    return f"The chain {name} of the table {family} {table}, which was left as it is,"


@dataclass(frozen=True)
class UfwPlan:
    """Rules that ufw gets and that it loses, as protocol and port, and sentences about rules of others."""

    allow: Sequence[tuple[str, int]]
    delete: Sequence[tuple[str, int]]
    cautions: Sequence[str] = ()


def ufw_plan(rules: str, wanted: Sequence[tuple[str, int]]) -> UfwPlan:
    """Return what has to change so that ufw lets wanted ports in.

    A rule of others for the same port stays as it is: ufw would put ours in its place.

    Args:
        rules: /etc/ufw/user.rules, of which ufw itself reads lines back such as
            ``### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=…``; the comment is in hexadecimal.
    """
    ours: list[tuple[str, int]] = []
    others: dict[tuple[str, str], str] = {}
    for line in rules.splitlines():
        words = line.split()
        if words[:3] != ["###", "tuple", "###"] or words[6:9] != ["0.0.0.0/0", "any", "0.0.0.0/0"]:
            continue
        action, protocol, port = words[3:6]
        if words[-1] == f"comment={MARK.encode().hex()}":
            ours.append((protocol, int(port)))
        elif "in" in words[9:]:
            covered = ("tcp", "udp") if protocol == "any" else (protocol,)
            others.update({(each, single): action.split("_")[0] for each in covered for single in port.split(",")})
    return UfwPlan(
        [key for key in wanted if key not in ours and (key[0], str(key[1])) not in others],
        [key for key in ours if key not in wanted],
        [
            f"ufw keeps others from {port}/{protocol} by a rule that was left as it is. See: ufw status numbered"
            for protocol, port in wanted
            if others.get((protocol, str(port))) in ("deny", "reject")
        ],
    )
