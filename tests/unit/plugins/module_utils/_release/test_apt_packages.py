# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages instead of others."""

from __future__ import annotations

from typing import Any, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.apt_packages import Params, run


class Apt:
    """One that has the newest of each package in version 2."""

    def __init__(self, *packages: str) -> None:
        self.has, self.read, self.holder = set(packages), 0, ""

    def versions(self) -> set[str]:
        return set(self.has)

    def update(self) -> str:
        self.read += 1
        return self.holder

    def install(self, packages: Sequence[str], replaced: Sequence[str]) -> str:
        gone = {*packages, *replaced}
        self.has = {one for one in self.has if one.split()[0] not in gone} | {f"{name} 2" for name in packages}
        return self.holder

    def would_change(self, packages: Sequence[str]) -> bool:
        return not {f"{name} 2" for name in packages} <= self.has


def ran(apt: Apt, check_mode: bool = False) -> Any:
    return run(Params(["docker-ce", "git"], ["docker.io"]), apt, check_mode)


@pytest.mark.parametrize("check_mode", [True, False])
def test_what_is_there_and_new_enough_stays(check_mode: bool) -> None:
    apt = Apt("docker-ce 2", "git 2", "nginx 1")
    assert ran(apt, check_mode)["changed"] is False
    assert apt.has == {"docker-ce 2", "git 2", "nginx 1"}


def test_packages_come_in_place_of_others() -> None:
    apt = Apt("docker.io 1", "git 1")
    assert ran(apt, check_mode=True) == {"changed": True, "warnings": []}
    assert (apt.has, apt.read) == ({"docker.io 1", "git 1"}, 0)
    assert ran(apt) == {
        "changed": True,
        "packages": ["docker-ce 2", "docker.io 1", "git 1", "git 2"],
        "warnings": [],
    }
    assert (apt.has, apt.read) == ({"docker-ce 2", "git 2"}, 1)


def test_whose_lock_was_waited_for_is_told_once() -> None:
    apt = Apt()
    apt.holder = "Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (unattended-upgr)"
    assert ran(apt)["warnings"] == [f"apt had to wait for another process: {apt.holder}"]
