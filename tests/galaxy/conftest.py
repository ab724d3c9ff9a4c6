# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it: its tarball, and where that is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import pytest
from lab import clean_environment, run
from tarball import GALAXY, ROOT, build

DEPENDENCIES = ROOT / ".ansible/collections/ansible_collections/community"


class Installed:
    """The collection installed from a tarball, without a network."""

    def __init__(self, home: Path) -> None:
        self.home, self.collections = home, home / "collections"
        self.path = self.collections / "ansible_collections/ptnextjs/docker_vps"

    def install(self, tarball: Path) -> None:
        """Install the tarball beside the collections that it depends on."""
        (self.collections / "ansible_collections").mkdir(parents=True)
        (self.collections / "ansible_collections/community").symlink_to(DEPENDENCIES)
        self.run("ansible-galaxy", "collection", "install", "--offline", "-p", str(self.collections), str(tarball))

    def run(self, command: str, *arguments: str, check: bool = True) -> str:
        """Run a command of Ansible outside the checkout, and return what it printed."""
        environment = {
            **clean_environment(),
            "HOME": str(self.home),
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # which the check of what is installed would call a change
        }
        program: Sequence[str] = (str(GALAXY.with_name(command)), *arguments)
        return run(*program, cwd=self.home, env=environment, check=check).stdout


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("tarball"))


@pytest.fixture(scope="session")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    collection = Installed(tmp_path_factory.mktemp("home"))
    collection.install(tarball)
    return collection
