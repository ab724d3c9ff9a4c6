# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that have nothing but systemd and sshd, and a repository that stands in for Docker's own."""

from __future__ import annotations

from typing import Iterator, Mapping, Optional

import plays
import pytest
from bare_host import REPOSITORY, Host, MakeHost
from lab import SUPPORT, docker, run

plays.forking = True


@pytest.fixture(scope="session")
def repository() -> Iterator[Mapping[str, str]]:
    """Serve the repository, and yield the variables that name it."""
    image = run(str(SUPPORT / "apt_repository.sh")).stdout.strip()
    docker("rm", "--force", REPOSITORY, check=False)
    docker("run", "--detach", "--name", REPOSITORY, image)
    address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", REPOSITORY)
    fingerprint = docker("exec", REPOSITORY, "cat", "/srv/fingerprint")
    yield {"docker_vps_engine_repository": f"http://{address}/linux", "docker_vps_engine_fingerprint": fingerprint}
    docker("rm", "--force", REPOSITORY)


@pytest.fixture(scope="session")
def make_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeHost]:
    """Start hosts that are removed in the end."""
    hosts: list[Host] = []

    def make(suite: str, python: bool = True, variables: Optional[Mapping[str, str]] = None) -> Host:
        host = Host(suite, tmp_path_factory.mktemp(suite), **(variables or {}))
        hosts.append(host)
        host.start()
        if python:
            host.sh("apt-get update -q && apt-get install -q -y --no-install-recommends python3")
        return host

    yield make
    for host in hosts:
        host.remove()


@pytest.fixture(scope="session")
def trixie(make_host: MakeHost, repository: Mapping[str, str]) -> Host:
    """Return a Debian 13 with Python that finds Docker's packages in the repository of the tests."""
    return make_host("trixie", variables=repository)


@pytest.fixture(scope="session")
def ready(trixie: Host) -> Host:
    """Return that, set up."""
    trixie.setup().succeeded()
    return trixie
