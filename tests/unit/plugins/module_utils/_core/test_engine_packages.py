# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed on which host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.engine_packages import (
    Found,
    Plan,
    System,
    Wanted,
    plan,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput

BOOKWORM = System("debian", "12", "bookworm", "Debian GNU/Linux 12 (bookworm)")
TRIXIE = System("debian", "13", "trixie", "Debian GNU/Linux 13 (trixie)")
NOBLE = System("ubuntu", "24.04", "noble", "Ubuntu 24.04.3 LTS")
ARCH = System("arch", "", "", "Arch Linux")
OF_DOCKER = ["docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin", "docker-buildx-plugin"]


def found(**how: Any) -> Found:
    bare = {"engine": "", "compose": "", "buildx": "", "sdk": True, "packages": (), "absent": ()}
    return Found(**{**bare, **how})


def suits(**how: Any) -> Found:
    return found(engine="28.5.2", compose="2.40.3", buildx="0.29.1", **how)


def planned(system: System, there: Found, source: str = "docker") -> Plan:
    return plan(system, there, Wanted("25", "2.20", source))


@pytest.mark.parametrize("system", [BOOKWORM, TRIXIE, NOBLE])
def test_a_bare_host_gets_everything(system: System) -> None:
    assert planned(system, found(sdk=False, absent=["git", "ssh", "ssh-keygen"])) == Plan(
        [*OF_DOCKER, "git", "openssh-client", "python3-docker"], True, []
    )


@pytest.mark.parametrize(
    ("system", "packages"),
    [
        (TRIXIE, ["docker.io", "docker-cli", "docker-compose", "docker-buildx"]),
        (NOBLE, ["docker.io", "docker-compose-v2", "docker-buildx"]),
    ],
)
def test_the_packages_of_the_distribution(system: System, packages: list[str]) -> None:
    assert planned(system, found(), "distribution") == Plan(packages, False, [])


def test_a_distribution_that_has_nothing_new_enough() -> None:
    with pytest.raises(InvalidInput, match="12 .bookworm. has no engine that is new enough"):
        planned(BOOKWORM, found(), "distribution")


@pytest.mark.parametrize("source", ["docker", "distribution"])
@pytest.mark.parametrize("system", [BOOKWORM, ARCH])
def test_what_suits_is_left_alone(system: System, source: str) -> None:
    assert planned(system, suits(), source) == Plan([], False, [])


@pytest.mark.parametrize("lacks", [{"sdk": False}, {"absent": ["git"]}])
def test_another_distribution_is_refused_only_when_something_is_lacking(lacks: Any) -> None:
    with pytest.raises(InvalidInput, match="This host runs Arch Linux, and setup knows Debian 12"):
        planned(ARCH, suits(**lacks))


def test_further_packages_are_installed_unless_another_one_will_do() -> None:
    wanted = Wanted("25", "2.20", "docker", ["sudo", "systemd-timesyncd | chrony"])
    assert plan(NOBLE, suits(), wanted) == Plan(["sudo", "systemd-timesyncd"], False, [])
    assert plan(NOBLE, suits(packages={"sudo", "chrony"}), wanted) == Plan([], False, [])
    with pytest.raises(InvalidInput, match="This host runs Arch Linux"):
        plan(ARCH, suits(packages={"chrony"}), wanted)


def test_what_is_lacking_besides_an_engine_comes_from_where_it_came_from() -> None:
    there = {"engine": "26.1.5", "packages": {"docker.io", "docker-cli"}}
    assert planned(TRIXIE, found(**there, compose="2.26.1")) == Plan(["docker-buildx"], False, [])
    assert planned(TRIXIE, found(**there, buildx="0.13")) == Plan(["docker-compose"], False, [])
    assert planned(NOBLE, found(**there)) == Plan(["docker-compose-v2", "docker-buildx"], False, [])
    there = {"engine": "28.5.2", "packages": {"docker-ce", "docker-ce-cli"}}
    for source in ("docker", "distribution"):
        assert planned(TRIXIE, found(**there, compose="2.40.3"), source) == Plan(["docker-buildx-plugin"], True, [])


def test_an_engine_that_no_package_has_brought() -> None:
    with pytest.raises(InvalidInput, match="This host has engine 29.0.1, which no package has brought"):
        planned(TRIXIE, found(engine="29.0.1"))
    assert planned(TRIXIE, suits()) == Plan([], False, [])


def test_an_old_engine_of_the_distribution_is_replaced() -> None:
    there = found(engine="20.10.24", compose="1.29.2", packages={"docker.io", "docker-compose", "containerd"})
    assert planned(BOOKWORM, there) == Plan(OF_DOCKER, True, ["docker.io", "docker-compose"])
    assert planned(BOOKWORM, found(packages={"docker-doc"})).replaced == ["docker-doc"]


def test_what_is_replaced_besides_an_old_engine_comes_from_docker_too() -> None:
    names = {"docker.io", "docker-cli", "docker-compose-v2", "docker-buildx"}
    there = found(engine="24.0.9", compose="2.40", buildx="0.13", packages=names)
    assert planned(NOBLE, there) == Plan(
        OF_DOCKER, True, ["docker.io", "docker-cli", "docker-compose-v2", "docker-buildx"]
    )
    # An engine that suits keeps what goes with it.
    there = found(engine="28.5.2", compose="", buildx="0.29", packages={"docker-ce", "docker-buildx"})
    assert planned(NOBLE, there) == Plan(["docker-compose-plugin"], True, [])


def test_one_that_is_too_old_is_upgraded_from_the_source() -> None:
    there = found(engine="24.0.9", compose="2.21.0", buildx="0.11", packages={"docker-ce"})
    assert planned(NOBLE, there) == Plan(OF_DOCKER, True, [])
