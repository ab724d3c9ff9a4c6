# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on this host: sockets of this process as the kernel tells them, and a /proc of our own."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sockets import Sockets


def test_this_process_and_its_sockets() -> None:
    here = Sockets()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            found = [each for each in here.all() if each.protocol == "tcp" and port in (each.port, each.peer_port)]
            own = here.processes()[os.getpid()]
    listening, connected = sorted(found, key=lambda each: (not each.listens, each.port != port))[:2]
    assert (listening.address, listening.port, listening.listens) == ("127.0.0.1", port, True)
    assert (connected.port, connected.listens, connected.peer) == (port, False, "127.0.0.1")
    assert listening.inode in own.inodes
    assert own.parent == os.getppid()


def test_a_process_whose_name_has_brackets(tmp_path: Path) -> None:
    (tmp_path / "7/fd").mkdir(parents=True)
    (tmp_path / "7/stat").write_text("7 (a) b (c)) S 3 7 7 0\n")
    (tmp_path / "7/fd/0").symlink_to("socket:[12]")
    (tmp_path / "7/fd/1").symlink_to("/dev/null")
    (tmp_path / "8").mkdir()  # which ends just now
    (tmp_path / "self").mkdir()
    found = Sockets(str(tmp_path)).processes()
    assert list(found) == [7]
    assert (found[7].name, found[7].parent, found[7].inodes) == ("a) b (c)", 3, {12})


def test_a_host_without_much(tmp_path: Path) -> None:
    bare = Sockets(str(tmp_path), str(tmp_path / "none"), lambda *_arguments: "")
    assert (bare.all(), bare.interfaces(), bare.units()) == ([], [], set())
    assert bare.ephemeral() == range(32768, 61000)


def test_interfaces_and_ephemeral_ports(tmp_path: Path) -> None:
    (tmp_path / "sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "sys/net/ipv4/ip_local_port_range").write_text("1024\t65535\n")
    (tmp_path / "if/eth0").mkdir(parents=True)
    here = Sockets(str(tmp_path), str(tmp_path / "if"))
    assert here.ephemeral() == range(1024, 65536)
    assert here.interfaces() == ["eth0"]


def unit(listen: str, name: str = "ssh.socket", activates: object = "ssh.service") -> dict[str, object]:
    return {"listen": listen, "unit": name, "activates": activates}


UNITS = [
    unit("[::]:22"),
    unit("192.0.2.1:2222", "sshd.socket", "sshd@0.service"),
    unit("2022", "dropbear.socket", None),
    unit("127.0.0.1:23"),
    unit("[::1]:24"),
    unit("/run/ssh-unix-local/socket", "sshd-unix-local.socket", None),
    unit("[::]:25", "smtp.socket", "smtp.service"),
]


@pytest.mark.parametrize(
    ("answer", "expected"), [(json.dumps(UNITS), {22, 2222, 2022}), ("[]", set()), ("0 sockets listed.", set())]
)
def test_units_that_listen_for_a_server(answer: str, expected: set[int]) -> None:
    assert Sockets(systemctl=lambda *_arguments: answer).units() == expected


def test_a_host_without_systemd() -> None:
    def fail(*_arguments: str) -> str:
        raise DockerVpsError("there is none")

    assert Sockets(systemctl=fail).units() == set()
