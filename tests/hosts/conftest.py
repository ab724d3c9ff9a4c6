# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that have nothing but systemd and sshd, and a repository that stands in for Docker's own."""

from __future__ import annotations

from typing import Iterator, Mapping

import plays
import pytest
from bare_host import Host, MakeHost, making_hosts, serving_packages

plays.forking = True


@pytest.fixture(scope="session")
def repository() -> Iterator[Mapping[str, str]]:
    """Serve the repository, and yield the variables that name it."""
    with serving_packages() as variables:
        yield variables


@pytest.fixture(scope="session")
def make_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeHost]:
    """Start hosts that are removed in the end."""
    with making_hosts(tmp_path_factory.mktemp) as make:
        yield make


@pytest.fixture(scope="session")
def trixie(make_host: MakeHost, repository: Mapping[str, str]) -> Host:
    """Return a Debian 13 with Python that finds Docker's packages in the repository of the tests."""
    return make_host("trixie", variables=repository)


@pytest.fixture(scope="session")
def ready(trixie: Host) -> Host:
    """Return that, set up."""
    trixie.setup().succeeded()
    return trixie
