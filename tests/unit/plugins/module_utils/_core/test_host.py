# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about a host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.host import (
    GIB,
    Finding,
    HostFacts,
    Needs,
    Tools,
    clock,
    disks,
    findings,
    installed,
    memory_limit,
    refusal,
    version,
)
from hypothesis import given
from hypothesis import strategies as st

MIB = 1024**2
FACTS = HostFacts("26.1.5", 4 * GIB, 20 * GIB, {})
TOOLS = Tools("/usr/bin/python3", True, "2.26.1-4", "0.13.1", ())
NEEDS = Needs("23.0", "2.20", True, 768 * MIB, 2 * GIB, "site")


def found(facts: HostFacts = FACTS, needs: Needs = NEEDS) -> dict[str, Finding]:
    return {one.check: one for one in findings(facts, needs)}


def test_a_good_host_in_the_order_in_which_a_person_looks() -> None:
    assert installed(TOOLS, NEEDS) == [
        Finding(
            "Docker SDK for Python",
            True,
            "installed",
            "installed",
            "install it for /usr/bin/python3, on Debian and Ubuntu with: apt-get install python3-docker",
        ),
        Finding(
            "compose", True, "2.20 or newer", "2.26.1-4", "install the Compose plugin (docker-compose v1 is not enough)"
        ),
        Finding("buildx", True, "installed", "0.13.1", "install the Buildx plugin (docker-buildx)"),
    ]
    assert findings(FACTS, NEEDS) == [
        Finding("engine", True, "23.0 or newer", "26.1.5", "upgrade Docker"),
        Finding("memory", True, "at least 768 MiB", "4.0 GiB", "use a larger host or lower ⟦setting memory_min⟧"),
        Finding("disk", True, "at least 2.0 GiB free", "20.0 GiB free", "free some with: docker builder prune --all"),
    ]


@pytest.mark.parametrize(
    ("facts", "check", "finding"),
    [
        ({"engine_version": "20.10.24"}, "engine", "20.10.24"),
        ({"engine_version": ""}, "engine", "not installed"),
        ({"memory": 768 * MIB - 1}, "memory", "768 MiB"),
        ({"disk_free": 2 * GIB - 1}, "disk", "2.0 GiB free"),
        ({"disk_free": 0}, "disk", "0 bytes free"),
    ],
)
def test_one_thing_wrong_is_one_bad_finding(facts: dict[str, Any], check: str, finding: str) -> None:
    bad = [one for one in findings(replace(FACTS, **facts), NEEDS) if not one.ok]
    assert [(one.check, one.found) for one in bad] == [(check, finding)]
    assert bad[0].remedy


@pytest.mark.parametrize(
    ("tools", "check", "finding"),
    [
        ({"sdk": False}, "Docker SDK for Python", "not installed"),
        ({"compose_version": ""}, "compose", "not installed"),
        ({"compose_version": "1.29.2"}, "compose", "1.29.2"),
        ({"buildx_version": ""}, "buildx", "not installed"),
        ({"absent": ["git"]}, "command git", "not installed"),
    ],
)
def test_one_thing_not_installed_is_one_bad_finding(tools: dict[str, Any], check: str, finding: str) -> None:
    bad = [one for one in installed(replace(TOOLS, **tools), NEEDS) if not one.ok]
    assert [(one.check, one.found) for one in bad] == [(check, finding)]
    assert "install" in bad[0].remedy


@pytest.mark.parametrize(
    ("before", "there", "after", "found"),
    [
        (1000.0, 1000.0, 1000.1, ""),
        (1000.0, 1037.0, 1037.1, ""),  # the module needed 37 s to begin
        (1000.0, 1000.0, 1090.0, ""),  # or to answer
        (1000.0, 1030.5, 1000.5, ""),
        (1000.0, 970.0, 1000.5, ""),
        (1000.0, 1032.0, 1000.5, "at least 32 s ahead"),
        (1000.0, 968.9, 1000.5, "at least 31 s behind"),
        (1000.0, 1180.0, 1090.0, "at least 90 s ahead"),
    ],
)
def test_clocks_differ_when_no_delay_explains_it(before: float, there: float, after: float, found: str) -> None:
    seen = clock(before, there, after, 30.0)
    assert (seen.ok, seen.found) == (not found, found or "no measurable difference")
    assert seen.expected == "within 30 s of the controller's"


def test_a_refusal_names_everything() -> None:
    bad = installed(replace(TOOLS, sdk=False, absent=["git"]), NEEDS)
    assert refusal(bad) == (
        "This host cannot take the application yet: "
        "Docker SDK for Python: expected installed, found not installed; "
        "install it for /usr/bin/python3, on Debian and Ubuntu with: apt-get install python3-docker. "
        "command git: expected installed, found not installed; "
        "install it, on Debian and Ubuntu with: apt-get install git. ⟦play setup⟧ installs what is lacking."
    )
    assert refusal(installed(TOOLS, NEEDS)) == ""


@pytest.mark.parametrize(
    "facts",
    [
        {"engine_version": "23.0"},
        {"memory": 768 * MIB},
        {"disk_free": 2 * GIB},
    ],
)
def test_just_enough_is_enough(facts: dict[str, Any]) -> None:
    assert all(one.ok for one in findings(replace(FACTS, **facts), NEEDS))
    assert all(one.ok for one in installed(replace(TOOLS, compose_version="v2.20.0"), NEEDS))


def test_what_is_not_asked_for_is_not_checked() -> None:
    any_host = Needs("", "", False, 0, 0, "site")
    assert [(one.check, one.ok) for one in findings(HostFacts("", 0, 0, {}), any_host)] == [
        ("memory", True),
        ("disk", True),
    ]
    assert len(installed(Tools("/usr/bin/python3", True, "", "", ()), any_host)) == 1


def test_what_cannot_be_seen_is_said_and_no_failure() -> None:
    seen = found(replace(FACTS, disk_free=None))
    assert seen["disk"] == Finding("disk", True, "at least 2.0 GiB free", "not on this host, not checked")


@pytest.mark.parametrize(
    ("kind", "owner", "ok", "finding", "remedy"),
    [
        ("container", "site", True, "", ""),
        ("volume", "site", True, "", ""),
        (
            "container",
            "blog",
            False,
            "it belongs to the Compose project blog",
            "choose another name, or remove it with: docker container rm thing",
        ),
        (
            "container",
            "",
            False,
            "it was not made by Compose",
            "choose another name, or remove it with: docker container rm thing",
        ),
        (
            "volume",
            "blog",
            False,
            "it belongs to the Compose project blog",
            "choose another name, or set ⟦setting external_volumes true⟧ to use it as it is",
        ),
    ],
)
def test_names_that_are_taken(kind: str, owner: str, ok: bool, finding: str, remedy: str) -> None:
    one = found(replace(FACTS, owners={(kind, "thing"): owner}))[f"{kind} thing"]
    assert (one.ok, one.expected) == (ok, "absent, or of the Compose project site")
    assert ok or (one.found, one.remedy) == (finding, remedy)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("26.1.5", (26, 1, 5)),
        ("26.1.5+dfsg1", (26, 1, 5)),
        ("v2.26.1-ds1", (2, 26, 1)),
        ("2", (2,)),
        ("dev", ()),
        ("", ()),
    ],
)
def test_the_numbers_of_a_version(text: str, numbers: tuple[int, ...]) -> None:
    assert version(text) == numbers


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4), st.sampled_from(["", "-rc.1", "+dfsg1", "~ds1"]))
def test_every_version_is_read(numbers: list[int], suffix: str) -> None:
    assert version("v" + ".".join(map(str, numbers)) + suffix) == tuple(numbers)


@pytest.mark.parametrize(
    ("memory", "limit"),
    [
        (512 * MIB, "512M"),
        (1 * GIB, "512M"),
        (int(1.75 * GIB) - 1, "512M"),
        (int(1.75 * GIB), "1G"),
        (int(1.9 * GIB), "1G"),
        (2 * GIB, "1G"),
        (int(3.5 * GIB) - 1, "1G"),
        (int(3.5 * GIB), "2G"),
        (int(3.8 * GIB), "2G"),
        (64 * GIB, "2G"),
    ],
)
def test_the_memory_limit_suits_the_host(memory: int, limit: str) -> None:
    assert memory_limit(memory) == limit


SNAPSHOTTER = [["driver-type", "io.containerd.snapshotter.v1"]]


@pytest.mark.parametrize(
    ("status", "more"),
    [(None, []), ([["Backing Filesystem", "extfs"]], []), (SNAPSHOTTER, ["/var/lib/containerd"])],
)
def test_images_of_the_containerd_store_lie_elsewhere(status: Any, more: list[str]) -> None:
    assert disks({"DockerRootDir": "/var/lib/docker", "DriverStatus": status}) == ["/var/lib/docker", *more]
