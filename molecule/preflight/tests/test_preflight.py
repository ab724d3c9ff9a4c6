# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role said about a host that does not do, and that it left no trace on it."""

from __future__ import annotations

from testinfra.host import Host


def test_everything_wrong_is_said_at_once(host: Host) -> None:
    content = host.file("/root/demands").content_string
    memory = int(host.check_output("awk '/^MemTotal/ {print $2}' /proc/meminfo")) / 2**20
    assert "Compose" in content
    assert "99.0" in content
    assert f"at least 900.0 GiB, found {memory:.1f} GiB" in content
    assert "at least 921600.0 GiB free" in content


def test_an_engine_that_is_down_is_named(host: Host) -> None:
    content = host.file("/root/engine").content_string
    assert "/var/run/docker.sock" in content
    assert "systemctl" in content


def test_nothing_was_touched(host: Host) -> None:
    assert host.file("/opt").listdir() == []
    assert host.check_output("docker ps --all --quiet") == ""
    assert host.check_output("docker volume ls --quiet") == ""
    networks = host.check_output("docker network ls --format '{{.Name}}'").split()
    assert sorted(networks) == ["bridge", "host", "none"]
