# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as a watch sees it: files of the kernel, disks, sizes, clocks. Nothing is changed."""

from __future__ import annotations

import os
import socket
import struct
import time

from .._core.audit import CannotTell
from .._core.control_groups import Read, cpu_1, cpu_2, group_of, memory_1, memory_2
from .._core.sockets import connections_at
from .._core.watch import CpuFacts, DiskFacts, MemoryFacts
from .sockets import Sockets

ANSWER_WITHIN = 3.0  # seconds for a time server
_CGROUPS = "/sys/fs/cgroup"
_NTP_PORT = 123
_SINCE_1900 = 2208988800  # seconds from then to 1970
_CLIENT = 0x23  # version 4, mode 3 (RFC 5905, 7.3)
_SERVER_MODE = 4
_PACKET = 48  # bytes


class WatchedHost:
    """The host that this runs on; every failure to look is an OSError or CannotTell."""

    def boot(self) -> str:
        """Return what distinguishes this run of the host from others."""
        return _text("/proc/sys/kernel/random/boot_id").strip()

    def uptime(self) -> float:
        """Return for how many seconds the host runs."""
        return float(_text("/proc/uptime").split()[0])

    def disk(self, path: str) -> tuple[int, DiskFacts]:
        """Return which device a directory is on, and what is free there for others than root."""
        facts = os.statvfs(path)
        total = facts.f_blocks - facts.f_bfree + facts.f_bavail  # without what is reserved, as df counts
        size, inodes = facts.f_frsize, (facts.f_files, facts.f_favail)
        return os.stat(path).st_dev, DiskFacts(path, total * size, facts.f_bavail * size, *inodes)

    def memory(self, pid: int) -> MemoryFacts:
        """Return the memory of the control group that a process is in."""
        return memory_2(_group_2(pid)) if _version_2() else memory_1(_group_1(pid))

    def cpu(self, pid: int) -> CpuFacts:
        """Return what the control group that a process is in uses of the CPUs."""
        cpus = os.cpu_count() or 1
        return cpu_2(_group_2(pid), cpus) if _version_2() else cpu_1(_group_1(pid), cpus)

    def connections(self, pid: int, port: int) -> int:
        """Return how many connections are open at a port in the network namespace of a process.

        Raises:
            CannotTell: nothing listens there.
        """
        number = connections_at(port, Sockets(f"/proc/{pid}").all())
        if number is None:
            raise CannotTell(f"nothing listens on port {port} there")
        return number

    def size(self, path: str) -> int:
        """Return the size of a file in bytes."""
        return os.stat(path).st_size

    def sizes(self, path: str) -> int:
        """Return the sizes of a file and of all others beside it whose names begin with its name, in bytes."""
        folder, name = os.path.split(path)
        with os.scandir(folder) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries if entry.name.startswith(name))

    def clock_offset(self, server: str) -> float:
        """Return by how many seconds the clock is ahead of that of a time server; as RFC 5905, 8, has it.

        Raises:
            CannotTell: the server gives no time.
        """
        host, _colon, port = server.partition(":")
        try:
            found = socket.getaddrinfo(host, port or _NTP_PORT, type=socket.SOCK_DGRAM)
            family, kind, protocol, _name, address = found[0]
            with socket.socket(family, kind, protocol) as asking:
                asking.settimeout(ANSWER_WITHIN)
                asking.connect(address)
                sent = time.time()
                asking.send(struct.pack("!B39xQ", _CLIENT, _stamp(sent)))
                answer = asking.recv(1024)
                got = time.time()
        except OSError as error:
            raise CannotTell(f"The time server {server} does not answer: {error.strerror or error}") from error
        if len(answer) < _PACKET or answer[0] & 7 != _SERVER_MODE or not 1 <= answer[1] <= 15:
            raise CannotTell(f"The time server {server} gives no time")
        asked, received, answered = struct.unpack("!3Q", answer[24:_PACKET])
        if asked != _stamp(sent):
            raise CannotTell(f"What came from the time server {server} is no answer to what was asked")
        return ((sent - _seconds(received)) + (got - _seconds(answered))) / 2


def _version_2() -> bool:
    return os.path.exists(f"{_CGROUPS}/cgroup.controllers")


def _group_2(pid: int) -> Read:
    place = os.path.join(_CGROUPS, group_of(_text(f"/proc/{pid}/cgroup")))
    return lambda file: _text(os.path.join(place, file))


def _group_1(pid: int) -> Read:
    """Return how to read files of the groups of version 1, each controller of which is mounted at its name."""
    groups = _text(f"/proc/{pid}/cgroup")

    def read(path: str) -> str:
        controller, _slash, file = path.partition("/")
        return _text(os.path.join(_CGROUPS, controller, group_of(groups, controller), file))

    return read


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(1 << 16)


def _stamp(seconds: float) -> int:
    return int((seconds + _SINCE_1900) * 2**32) & (2**64 - 1)


def _seconds(stamp: int) -> float:
    return stamp / 2**32 - _SINCE_1900
