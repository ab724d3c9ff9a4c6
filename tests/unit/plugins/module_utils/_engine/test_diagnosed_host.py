# SPDX-License-Identifier: GPL-3.0-or-later
"""This host, as its doctor sees it: real files, real locks of SQLite, and a name server of the test."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.doctor_rules import FileSeen
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine import diagnosed_host
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.diagnosed_host import DiagnosedHost

HOST = DiagnosedHost()
WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = " + sys.argv[2])
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_owners_and_modes(tmp_path: Path) -> None:
    (tmp_path / "a").touch(mode=0o640)
    assert HOST.file(str(tmp_path / "a")) == FileSeen(str(tmp_path / "a"), os.getuid(), os.getgid(), 0o640)
    seen = HOST.file(str(tmp_path))
    assert seen is not None
    assert seen.directory
    assert HOST.file(str(tmp_path / "b")) is None


def test_a_file_system_that_is_read_only() -> None:
    assert not HOST.readonly("/tmp")
    assert HOST.readonly("/proc/sys/kernel") in (True, False)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_who_keeps_a_database_locked(tmp_path: Path, mode: str) -> None:
    path = str(tmp_path / "payload.db")
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (a)")
    assert HOST.writer(path, 0.2) is None
    holder = [sys.executable, "-c", WRITER, path, mode]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        seen = HOST.writer(path, 0.3)
        assert seen is not None
        assert (seen.pid, seen.container) == (process.pid, "")
        assert seen.name.startswith("python")
        timer = threading.Timer(0.2, process.kill)
        timer.start()
        assert HOST.writer(path, 5.0) is None  # it let go meanwhile
        timer.join()
    with closing(sqlite3.connect(path)) as after:  # nothing of it is left
        after.execute("INSERT INTO t VALUES (1)")


def test_the_container_of_a_process_and_one_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert diagnosed_host._process(2**22 + 1) == ("", "")
    name, _container = diagnosed_host._process(os.getpid())
    assert name


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Answer one question that there is no such name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        monkeypatch.setattr(diagnosed_host, "_DNS_PORT", server.getsockname()[1])

        def serve() -> None:
            asked, sender = server.recvfrom(1024)
            assert asked[12:] == b"\0\0\2\0\1"
            server.sendto(asked[:2] + b"\x81\x83" + asked[4:], sender)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield "127.0.0.1"
        thread.join(5)


def test_name_servers_that_answer_and_that_do_not(
    tmp_path: Path, name_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosed_host, "ANSWER_WITHIN", 0.5)
    resolvers = tmp_path / "resolv.conf"
    resolvers.write_text(f"search x\nnameserver {name_server}\nnameserver 127.0.0.9\nnameserver odd\nnameserver 4th\n")
    seen = DiagnosedHost(str(resolvers)).names("shop.invalid")
    assert (seen.found, seen.servers) == (False, ("127.0.0.1", "127.0.0.9", "odd"))
    assert seen.answering == ("127.0.0.1",)
    assert HOST.names("localhost").found
    assert HOST.names("127.0.0.1").servers == ()
