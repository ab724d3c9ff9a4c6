# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as a watch sees it: files of the kernel, disks, sizes, clocks. Nothing is changed."""

from __future__ import annotations

import os
import socket
import struct
import time

from .._core.audit import CannotTell
from .._core.watch import DiskFacts

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
        """Return which device a directory lies on, and what is free there for others than root."""
        facts = os.statvfs(path)
        total = facts.f_blocks - facts.f_bfree + facts.f_bavail  # without what is reserved, as df counts
        size, inodes = facts.f_frsize, (facts.f_files, facts.f_favail)
        return os.stat(path).st_dev, DiskFacts(path, total * size, facts.f_bavail * size, *inodes)

    def cgroup(self, pid: int, file: str) -> str:
        """Return a file of the control group (version 2) that a process is in.

        Raises:
            CannotTell: the host has only version 1.
        """
        groups = [line[3:] for line in _text(f"/proc/{pid}/cgroup").splitlines() if line.startswith("0::/")]
        if not groups or not os.path.exists(f"{_CGROUPS}/cgroup.controllers"):
            raise CannotTell("This host has no control groups of version 2, which alone tell that")
        return _text(os.path.join(_CGROUPS, groups[0].lstrip("/"), file))

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


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(1 << 16)


def _stamp(seconds: float) -> int:
    return int((seconds + _SINCE_1900) * 2**32) & (2**64 - 1)


def _seconds(stamp: int) -> float:
    return stamp / 2**32 - _SINCE_1900
