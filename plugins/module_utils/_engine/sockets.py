# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on this host, and how we came: what the kernel tells in /proc, and systemd of its socket units."""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import Callable

from .._core.errors import DockerVpsError
from .._core.sockets import Process, Processes, Socket, sockets
from .systemd import systemctl

_UNITS = re.compile(r"(ssh|sshd|dropbear)(@.*)?\.(service|socket)")
_EPHEMERAL = range(32768, 61000)


class Sockets:
    """The sockets in the network namespace of this process."""

    def __init__(
        self, proc: str = "/proc", interfaces: str = "/sys/class/net", systemctl: Callable[..., str] = systemctl
    ) -> None:
        self._proc, self._interfaces, self._systemctl = proc, interfaces, systemctl

    def all(self) -> list[Socket]:
        """Return those that listen or are connected."""
        return [
            socket
            for protocol in ("tcp", "udp")
            for family in ("", "6")
            for socket in sockets(self._read("net", protocol + family), protocol)
        ]

    def processes(self) -> Processes:
        """Return the processes by their numbers."""
        found = {}
        for name in filter(str.isdigit, os.listdir(self._proc)):
            with contextlib.suppress(OSError, ValueError):  # it has ended meanwhile
                found[int(name)] = self._process(name)
        return found

    def units(self) -> set[int]:
        """Return the ports on which systemd listens for an SSH server, which need not run yet."""
        try:
            listed = json.loads(self._systemctl("list-sockets", "--output=json") or "[]")
        except (DockerVpsError, ValueError):
            return set()
        ends = [unit["listen"] for unit in listed if _UNITS.fullmatch(unit.get("activates") or unit["unit"])]
        found = (re.fullmatch(r"(?:(.*):)?(\d+)", end) for end in ends)
        return {int(end[2]) for end in found if end and not (end[1] or "").startswith(("127.", "[::1]"))}

    def interfaces(self) -> list[str]:
        """Return the names of the network interfaces."""
        return sorted(os.listdir(self._interfaces)) if os.path.isdir(self._interfaces) else []

    def ephemeral(self) -> range:
        """Return the ports that the kernel gives to sockets which ask for none."""
        words = self._read("sys", "net", "ipv4", "ip_local_port_range").split()
        return range(int(words[0]), int(words[1]) + 1) if len(words) == 2 else _EPHEMERAL

    def _read(self, *parts: str) -> str:
        try:
            with open(os.path.join(self._proc, *parts), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:  # a host without IPv6
            return ""

    def _process(self, name: str) -> Process:
        # "123 (a name) S 1 …"; the name may have brackets and blanks itself.
        head, _bracket, tail = self._read(name, "stat").rpartition(")")
        place = os.path.join(self._proc, name, "fd")
        links = []
        for number in os.listdir(place):
            with contextlib.suppress(OSError):
                links.append(os.readlink(os.path.join(place, number)))
        inodes = (re.fullmatch(r"socket:\[(\d+)\]", link) for link in links)
        return Process(head.partition("(")[2], int(tail.split()[1]), frozenset(int(each[1]) for each in inodes if each))
