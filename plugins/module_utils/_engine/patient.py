# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as its doctor sees it: owners and modes, who keeps a database locked, name servers. Nothing is changed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import re
import socket
import stat
import struct
import threading
import time
from typing import List, Optional, Tuple

from .._core.doctor_rules import FileSeen, NamesSeen, WriterSeen
from .watched_host import WatchedHost

FOUND_WITHIN = 3.0  # seconds for a name
ANSWER_WITHIN = 1.0  # seconds for a name server
SAMPLE_EVERY = 0.1  # seconds between checks at a lock
_FLOCK = "hhqqi4x"  # struct flock of fcntl(2), of 64-bit Linux
# Who writes has this byte: WAL_WRITE_LOCK in https://www.sqlite.org/walformat.html#locks, and RESERVED_BYTE in
# https://www.sqlite.org/lockingv3.html.
_WAL_WRITE, _RESERVED = 120, 0x40000001
_SERVERS = 3  # that a resolver asks, MAXNS of resolv.conf(5)
_DNS_PORT, _NS, _INTERNET = 53, 2, 1
_CONTAINER = re.compile(r"[0-9a-f]{64}")
RESOLVERS = "/etc/resolv.conf"


class Patient(WatchedHost):
    """The host that this runs on; every failure to look is an OSError or CannotTell."""

    def __init__(self, resolvers: str = RESOLVERS) -> None:
        self._resolvers = resolvers

    def file(self, path: str) -> Optional[FileSeen]:
        """Return owner and mode of what is at a path; None when nothing is."""
        try:
            facts = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return FileSeen(path, facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode), stat.S_ISDIR(facts.st_mode))

    def readonly(self, path: str) -> bool:
        """Return whether the file system of a path is mounted read-only."""
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)

    def writer(self, path: str, seconds: float) -> Optional[WriterSeen]:
        """Return who keeps a database locked for writing during all of so many seconds; None when nobody does.

        The kernel is only asked; no lock is taken.
        """
        wal = os.path.exists(path + "-shm")
        file, place = (path + "-shm", _WAL_WRITE) if wal else (path, _RESERVED)
        until = time.monotonic() + seconds
        pid = _locker(file, place)
        while pid and time.monotonic() < until:
            time.sleep(SAMPLE_EVERY)
            if _locker(file, place) != pid:
                return None
        return WriterSeen(pid, *_process(pid), seconds) if pid else None

    def names(self, host: str) -> NamesSeen:
        """Return whether this host finds a name, and otherwise which of its name servers answer at all."""
        if _is_found(host):
            return NamesSeen(host, True)
        servers = self._name_servers()
        return NamesSeen(host, False, servers, tuple(filter(_answers, servers)))

    def _name_servers(self) -> Tuple[str, ...]:
        with open(self._resolvers, encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
        return tuple(words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1)[:_SERVERS]


def _locker(path: str, place: int) -> int:
    """Return the process that keeps others from writing to a byte of a file; 0 for none."""
    with open(path, "rb") as file:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
        kind, _whence, _start, _length, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    return 0 if kind == fcntl.F_UNLCK else int(pid)


def _process(pid: int) -> Tuple[str, str]:
    """Return the name of a process, and the id of the container that it is in; empty for none."""
    texts = []
    for file in ("comm", "cgroup"):
        text = ""
        with contextlib.suppress(OSError), open(f"/proc/{pid}/{file}", encoding="utf-8", errors="replace") as source:
            text = source.read()
        texts.append(text)
    container = _CONTAINER.search(texts[1])
    return texts[0].strip(), container[0] if container else ""


def _is_found(host: str) -> bool:
    """Return whether a name has an address. Resolvers keep a process for longer than it can wait."""
    found: List[bool] = []

    def ask() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.append(bool(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(FOUND_WITHIN)
    return bool(found)


def _answers(server: str) -> bool:
    """Return whether a name server answers by UDP who serves the root, whatever it says (RFC 1035, 4.1)."""
    number = random.randrange(1 << 16)  # noqa: S311  # which tells answers apart
    question = struct.pack("!6HB2H", number, 0x0100, 1, 0, 0, 0, 0, _NS, _INTERNET)
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            server, _DNS_PORT, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0]
        with socket.socket(family, kind, protocol) as asking:
            asking.settimeout(ANSWER_WITHIN)
            asking.connect(address)
            asking.send(question)
            return asking.recv(1024)[:2] == question[:2]
    except OSError:
        return False
