# SPDX-License-Identifier: GPL-3.0-or-later
"""The container after a crash and a restart of the host, and the files of its release."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

HOME = "/opt/ptnextjs"


@pytest.fixture(scope="module")
def container(host: Host) -> Any:
    """What the engine says about the container."""
    return host.docker("ptnextjs-app").inspect()


def test_it_is_back_by_itself(container: Any) -> None:
    assert container["State"]["Health"]["Status"] == "healthy"
    assert container["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


def test_its_limits_hold_in_the_kernel(host: Host, container: Any) -> None:
    pid = container["State"]["Pid"]
    groups = host.file(f"/proc/{pid}/cgroup").content_string
    unified = "memory" not in groups
    of = "" if unified else "memory/"
    path = next(line.split(":", 2)[2] for line in groups.splitlines() if unified or ":memory:" in line)
    limit = "memory.max" if unified else "memory.limit_in_bytes"
    # The kernel of the host outside has a longer path in mind than the instance sees.
    found = host.check_output("find /sys/fs/cgroup/%s -path %s -name %s", of, f"*{path.split('/')[-1]}/{limit}", limit)
    assert host.file(found.splitlines()[0]).content_string.strip() == str(2**30)


def test_nothing_listens_on_the_host(host: Host) -> None:
    assert not host.socket("tcp://0.0.0.0:3000").is_listening
    assert not host.socket("tcp://127.0.0.1:3000").is_listening


def test_the_network_reaches_it_by_its_name(host: Host) -> None:
    ask = "docker run --rm --network proxy --entrypoint wget ptnextjs-app:one -qO- http://ptnextjs-app:3000/api/health"
    assert json.loads(host.check_output(ask))["status"] == "healthy"


def test_compose_knows_all_of_it(host: Host) -> None:
    (project,) = json.loads(host.check_output("docker compose ls --format json"))
    assert (project["Name"], project["ConfigFiles"]) == ("ptnextjs", f"{HOME}/compose.yml")
    for key in ("db", "media"):
        (volume,) = json.loads(host.check_output("docker volume inspect ptnextjs-%s", key))
        assert volume["Labels"]["com.docker.compose.project"] == "ptnextjs"


def test_the_release_is_written_down(host: Host) -> None:
    current = host.file(f"{HOME}/releases/current")
    assert current.is_symlink
    release = json.loads(host.file(f"{current.linked_to}/release.json").content_string)
    assert (release["image"], release["result"]) == ("ptnextjs-app:one", "healthy")
    assert len([name for name in host.file(f"{HOME}/releases").listdir() if name[0].isdigit()]) == 1
    for name in ("compose.yml", ".env.production"):
        kept = host.file(f"{current.linked_to}/{name}")
        assert (kept.content, kept.user, kept.mode & 0o007) == (host.file(f"{HOME}/{name}").content, "root", 0)
    assert host.file(f"{current.linked_to}/.env.production").mode == 0o600
