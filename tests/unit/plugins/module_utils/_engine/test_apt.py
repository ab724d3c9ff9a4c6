# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt and dpkg say, with commands of our own on the PATH."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.apt import LOCKED, Apt

Command = Callable[[str, str], Path]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Put commands on a PATH where there is nothing else; each writes down what it is called with."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def install(name: str, script: str) -> Path:
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/{name}.calls\n{script}\n')
        (tmp_path / name).chmod(0o755)
        return tmp_path / f"{name}.calls"

    return install


def patient(seconds: float) -> Apt:
    """Return one for which time goes on only while it sleeps."""
    times = [0.0]
    return Apt(lambda: times[0], lambda _seconds: times.__setitem__(0, times[0] + seconds))


def test_what_is_installed(command: Command) -> None:
    assert Apt().installed() == set()
    command("dpkg-query", "printf 'ii git 1:2.47\\nrc docker.io 20.10\\nun podman \\nii docker-ce 5:29.0\\n'")
    assert Apt().installed() == {"git", "docker-ce"}
    assert Apt().versions() == {"git 1:2.47", "docker-ce 5:29.0"}


def test_the_architecture(command: Command) -> None:
    with pytest.raises(DockerVpsError, match="dpkg --print-architecture cannot be run"):
        Apt().architecture()
    command("dpkg", "echo arm64")
    assert Apt().architecture() == "arm64"


def test_the_lists_of_one_file_alone_are_read(command: Command) -> None:
    calls = command("apt-get", "exit 0")
    Apt().update("/etc/apt/sources.list.d/docker.sources")
    (call,) = calls.read_text().splitlines()
    assert "--option=Dir::Etc::SourceList=/etc/apt/sources.list.d/docker.sources" in call
    assert "--option=Dir::Etc::SourceParts=-" in call
    Apt().update()
    assert "Dir::Etc" not in calls.read_text().splitlines()[1]


def test_packages_take_the_place_of_others_in_one_step(command: Command) -> None:
    calls = command("apt-get", "exit 0")
    assert Apt().install(["docker-ce", "git"], ["docker.io"]) == ""
    (call,) = calls.read_text().splitlines()
    assert call.startswith("install --quiet --yes --no-install-recommends ")
    assert call.endswith(" docker-ce git docker.io-")
    command("apt-get", "echo 'E: Unable to locate package docker-ce' >&2; exit 100")
    with pytest.raises(
        DockerVpsError, match="apt cannot install docker-ce, git: Unable to locate package docker-ce. Fix"
    ):
        Apt().install(["docker-ce", "git"], [])


@pytest.mark.parametrize(
    ("script", "changes"), [("echo 'Inst git'", True), ("echo 'git is the newest'", False), ("exit 100", True)]
)
def test_what_would_change(command: Command, script: str, changes: bool) -> None:
    command("apt-get", script)
    assert Apt().would_change(["git"]) is changes


def test_why_a_repository_cannot_be_used(command: Command) -> None:
    lines = "Hit:1 x\\n\\nW: An error occurred during the signature verification.\\nE: It is not signed.\\n"
    command("apt-get", f"printf '{lines}' >&2; exit 100")
    with pytest.raises(DockerVpsError) as failed:
        Apt().update("/a.sources")
    assert failed.value.message.startswith(
        "apt cannot use what /a.sources names: An error occurred during the signature verification. It is not signed."
    )
    command("apt-get", "exit 100")
    with pytest.raises(DockerVpsError, match="it gave no reason"):
        Apt().update("/a.sources")


HELD = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (unattended-upgr)"


def test_the_lock_of_another_process_is_waited_for(command: Command, tmp_path: Path) -> None:
    calls = command("apt-get", f"[ -e {tmp_path}/free ] || {{ echo '{HELD}' >&2; : >{tmp_path}/free; exit 100; }}")
    assert patient(2).update("/a.sources") == HELD[3:]
    assert len(calls.read_text().splitlines()) == 2


def test_the_lock_of_another_process_is_not_waited_for_for_ever(command: Command) -> None:
    calls = command("apt-get", f"echo '{HELD}' >&2; exit 100")
    with pytest.raises(DockerVpsError, match=r"It is held by process 7 .unattended-upgr."):
        patient(LOCKED / 2).update("/a.sources")
    assert len(calls.read_text().splitlines()) == 3


def test_one_that_hangs_is_ended(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.apt.WITHIN", 0.1)
    command("apt-get", "exec /bin/sleep 60")
    with pytest.raises(DockerVpsError, match=r"apt-get update did not end within 0.1 s"):
        Apt().update("/a.sources")
