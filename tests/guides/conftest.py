# SPDX-License-Identifier: GPL-3.0-or-later
"""Bare hosts, what they reach in place of what this machine does not, and whoever follows the pages."""

from __future__ import annotations

import contextlib
import os
from typing import Callable, Iterator, Mapping

import pytest
from bare_host import MakeHost, making_hosts, serving_packages
from reader import Authority, Reader, Repositories, reading, serving_certificates, serving_repositories


@pytest.fixture(scope="session")
def make_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeHost]:
    """Start hosts that are removed in the end."""
    with making_hosts(tmp_path_factory.mktemp) as make:
        yield make


@pytest.fixture(scope="session")
def repository() -> Iterator[Mapping[str, str]]:
    """Serve what stands in for Docker's repository, and yield the variables that name it."""
    with serving_packages() as variables:
        yield variables


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    """Return what stands in for Let's Encrypt."""
    with serving_certificates(f"it-guides-authority-{os.getpid()}") as authority:
        yield authority


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repositories]:
    """Return what serves git repositories of applications."""
    with serving_repositories(tmp_path_factory.mktemp("repositories")) as served:
        yield served


@pytest.fixture(scope="session")
def ran() -> set[tuple[str, int]]:
    """Return the blocks that were run, as their pages and lines."""
    return set()


@pytest.fixture(scope="module")
def make_reader(
    repository: Mapping[str, str], authority: Authority, ran: set[tuple[str, int]]
) -> Iterator[Callable[[], Reader]]:
    """Yield what makes readers, each with a home and an empty directory of their own."""
    with contextlib.ExitStack() as open_ones:
        yield lambda: open_ones.enter_context(reading(repository, authority, ran))
