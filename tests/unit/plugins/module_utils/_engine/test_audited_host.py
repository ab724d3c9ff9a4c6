# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit sees of the machine that the tests run on."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit_containers import process_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.audited_host import AuditedHost

HOST = AuditedHost()


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x\n")
    assert HOST.text(str(tmp_path / "a")) == "x\n"
    assert HOST.exists(str(tmp_path / "a"))
    assert not HOST.exists(str(tmp_path / "b"))
    with pytest.raises(FileNotFoundError):
        HOST.text(str(tmp_path / "b"))


def test_places_are_those_that_patterns_match(tmp_path: Path) -> None:
    for name in ("r1", "r2", ".lock"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "env").touch(mode=0o640)
    (tmp_path / "current").symlink_to("r2")
    (tmp_path / "file").touch()
    found = HOST.places([str(tmp_path / "*/env"), str(tmp_path / "r1/env"), str(tmp_path / "nothing/*")])
    assert [place.path for place in found] == [str(tmp_path / "r2/env"), str(tmp_path / "r1/env")]
    assert {(place.mode, place.uid, place.gid) for place in found} == {(0o640, os.getuid(), os.getgid())}


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
@pytest.mark.parametrize("pattern", ["*", "a", "*/b"])
def test_a_directory_that_must_not_be_read_is_not_an_empty_one(pattern: str) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as closed:
        os.seteuid(65534)
        try:
            with pytest.raises(PermissionError, match=closed):
                HOST.places([f"{closed}/{pattern}"])
        finally:
            os.seteuid(0)


def test_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "sshd"
    program.write_text('#!/bin/sh\necho "$0 $1 $LC_ALL"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert HOST.output(["sshd", "-T"]) == f"{program} -T C\n"
    with pytest.raises(DockerVpsError, match=r"^The command nothing-here --x cannot be run: .* Is it installed\?$"):
        HOST.output(["nothing-here", "--x"])


def test_processes() -> None:
    processes = {process.pid: process for process in map(process_of, HOST.statuses())}
    assert processes[os.getpid()].parent == os.getppid()
    # It answers first: Popen returns before the kernel shows the arguments of what it has started.
    with subprocess.Popen(["cat", "-u"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as echo:
        assert echo.stdin is not None
        assert echo.stdout is not None
        echo.stdin.write(b"\n")
        echo.stdout.readline()
        assert ["cat", "-u"] in HOST.command_lines("cat")
        echo.stdin.close()
    assert HOST.command_lines("sleeper") == []


def test_a_process_that_has_ended_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [*os.listdir("/proc"), "4194999"]
    monkeypatch.setattr(os, "listdir", lambda _path: listed)
    assert len(HOST.statuses()) > 1


def test_the_kernel() -> None:
    assert HOST.kernel() == Path("/proc/sys/kernel/osrelease").read_text().strip()
    assert HOST.synchronised() in (True, False)


def test_compose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert HOST.compose_version() == ""
