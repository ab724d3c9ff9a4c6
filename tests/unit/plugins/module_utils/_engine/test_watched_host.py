# SPDX-License-Identifier: GPL-3.0-or-later
"""This host, as a watch sees it, and time servers of the test."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit import CannotTell
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import CpuFacts, MemoryFacts
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine import watched_host
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.watched_host import WatchedHost

HOST = WatchedHost()
Answer = Callable[[bytes], bytes]
SINCE_1900 = 2208988800


@contextlib.contextmanager
def time_server(answer: Answer) -> Iterator[str]:
    """Serve the time, and yield the address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            asked, sender = server.recvfrom(1024)
            server.sendto(answer(asked), sender)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def of(asked: bytes, ahead: float = 0.0, stratum: int = 2, mode: int = 4) -> bytes:
    """Return the answer of a server whose clock is ahead of ours."""
    stamp = int((time.time() + ahead + SINCE_1900) * 2**32)
    return struct.pack("!BB22x3Q", 4 << 3 | mode, stratum, struct.unpack("!Q", asked[40:48])[0], stamp, stamp)


def test_the_kernel_and_the_disk() -> None:
    assert len(HOST.boot()) == 36
    assert 0 < HOST.uptime() < 10 * 365 * 86400
    device, disk = HOST.disk("/")
    assert device == os.stat("/").st_dev
    assert 0 <= disk.free <= disk.total
    assert disk.place == "/"


V1 = {
    "memory/memory.limit_in_bytes": "512\n",
    "memory/memory.usage_in_bytes": "200\n",
    "memory/memory.stat": "cache 60\ntotal_inactive_file 50\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    "cpu/cpu.cfs_quota_us": "150000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "cpuacct/cpuacct.usage": "2500000000\n",
}
V2 = {
    "memory.max": "512\n",
    "memory.current": "200\n",
    "memory.stat": "inactive_file 50\n",
    "memory.events": "oom 4\noom_kill 3\n",
    "cpu.max": "150000 100000\n",
    "cpu.stat": "usage_usec 2500000\n",
}


@pytest.mark.parametrize("version", [1, 2])
def test_the_control_group_of_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    monkeypatch.setattr(watched_host, "_CGROUPS", str(tmp_path / "groups"))
    listing = tmp_path / "listing"
    listing.write_text("4:memory:/docker/c0\n2:cpu,cpuacct:/docker/c1\n0::/docker/c2\n")
    read = watched_host._text
    monkeypatch.setattr(watched_host, "_text", lambda path: read(str(listing) if path == "/proc/77/cgroup" else path))
    places = {"memory": "memory/docker/c0", "cpu": "cpu/docker/c1", "cpuacct": "cpuacct/docker/c1", "": "docker/c2"}
    for name, text in (V1 if version == 1 else V2).items():
        controller, _slash, file = name.rpartition("/")
        place = tmp_path / "groups" / places[controller]
        place.mkdir(parents=True, exist_ok=True)
        (place / file).write_text(text)
    if version == 2:
        (tmp_path / "groups/cgroup.controllers").touch()
    assert HOST.memory(77) == MemoryFacts(used=150, limit=512, kills=3)
    assert HOST.cpu(77) == CpuFacts(2.5, 1.5)


def test_connections_of_a_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert HOST.connections(os.getpid(), port) == 0
        with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
            assert HOST.connections(os.getpid(), port) == 2
    with pytest.raises(CannotTell, match="nothing listens on port"):
        HOST.connections(os.getpid(), port)


def test_sizes(tmp_path: Path) -> None:
    for name, count in (("c.log", 3), ("c.log.1", 4), ("other", 9)):
        (tmp_path / name).write_bytes(b"x" * count)
    assert HOST.size(str(tmp_path / "c.log")) == 3
    assert HOST.sizes(str(tmp_path / "c.log")) == 7
    with pytest.raises(FileNotFoundError):
        HOST.size(str(tmp_path / "none"))


@pytest.mark.parametrize("ahead", [0.0, 7.5, -3600.0])
def test_the_clock_is_measured(ahead: float) -> None:
    with time_server(lambda asked: of(asked, ahead)) as server:
        assert HOST.clock_offset(server) == pytest.approx(-ahead, abs=1.0)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda asked: b"short", "gives no time"),
        (lambda asked: of(asked, stratum=0), "gives no time"),  # a kiss of death (RFC 5905, 7.4)
        (lambda asked: of(asked, stratum=16), "gives no time"),
        (lambda asked: of(asked, mode=3), "gives no time"),
        (lambda asked: of(b"\0" * 48), "is no answer to what was asked"),
    ],
)
def test_what_gives_no_time(answer: Answer, problem: str) -> None:
    with time_server(answer) as server, pytest.raises(CannotTell, match=problem):
        HOST.clock_offset(server)


def test_a_time_server_that_is_silent_or_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_host, "ANSWER_WITHIN", 0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(CannotTell, match="does not answer: timed out"):
            HOST.clock_offset(f"127.0.0.1:{silent.getsockname()[1]}")
    with pytest.raises(CannotTell, match="The time server no.invalid does not answer"):
        HOST.clock_offset("no.invalid")
