# SPDX-License-Identifier: GPL-3.0-or-later
"""What asks for the health of a container, and what that needs; for the probe itself, integration/test_own_image.py."""

from __future__ import annotations

from typing import Any, Mapping, Sequence, Union

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import asked_at
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health_check import (
    DEFAULT_PATH,
    IMAGE,
    PROBE,
    SCRIPT,
    TOOLS,
    as_test,
    command_of,
    is_command,
    needs_of,
    places_of,
)

URL = "http://127.0.0.1:3000/api/health"
OURS = ["CMD", "sh", "-c", SCRIPT, "probe", URL, "9"]


@pytest.mark.parametrize(
    ("kind", "command", "test"),
    [
        (PROBE, [], OURS),
        (PROBE, "", OURS),
        (IMAGE, [], []),
        (PROBE, ["/check", "a b"], ["CMD", "/check", "a b"]),
        (IMAGE, "check || exit 1", ["CMD-SHELL", "check || exit 1"]),
    ],
)
def test_the_test_of_a_health_check(kind: str, command: Union[str, Sequence[str]], test: list[str]) -> None:
    assert as_test(kind, command, URL, 9) == test
    assert is_command(command)


def test_what_is_no_command() -> None:
    assert not any(is_command(value) for value in (None, 5, {"a": "b"}, [5], ["a", None]))


def test_this_host_asks_the_application_what_the_probe_asks() -> None:
    networks = {"Networks": {"proxy": {"IPAddress": "172.18.0.2"}}}
    inspected = {"Config": {"Healthcheck": {"Test": OURS}}, "NetworkSettings": networks}
    assert asked_at(inspected) == "http://172.18.0.2:3000/api/health"


@pytest.mark.parametrize(
    ("config", "command"),
    [
        ({"Healthcheck": {"Test": ["CMD", "a", "b"]}}, ["a", "b"]),
        ({"Healthcheck": {"Test": ["CMD-SHELL", "a && b"]}}, ["/bin/sh", "-c", "a && b"]),
        ({"Healthcheck": {"Test": ["CMD-SHELL", "a"]}, "Shell": ["/bin/bash", "-ec"]}, ["/bin/bash", "-ec", "a"]),
        ({"Healthcheck": {"Test": ["NONE"]}}, []),
        ({"Healthcheck": {"Test": []}}, []),
        ({"Healthcheck": {}}, []),
        ({"Healthcheck": None, "Shell": None}, []),
        ({}, []),
    ],
)
def test_the_command_of_a_check(config: Mapping[str, Any], command: list[str]) -> None:
    assert command_of(config) == command


@pytest.mark.parametrize(
    ("test", "needs"),
    [
        (OURS, [("sh",), TOOLS]),
        (["CMD", "/check"], [("/check",)]),
        (["CMD-SHELL", "curl -f x"], [("/bin/sh",)]),
        ([], []),
    ],
)
def test_what_a_check_needs(test: list[str], needs: list[tuple[str, ...]]) -> None:
    assert needs_of({"Healthcheck": {"Test": test}}) == needs


@pytest.mark.parametrize(
    ("program", "config", "places"),
    [
        ("sh", {"Env": ["A=b", "PATH=/only:/x"]}, ["/only/sh", "/x/sh"]),
        ("sh", {"Env": None}, [f"{place}/sh" for place in DEFAULT_PATH.split(":")]),
        ("sh", {}, [f"{place}/sh" for place in DEFAULT_PATH.split(":")]),
        ("/bin/sh", {"WorkingDir": "/app"}, ["/bin/sh"]),
        ("./check", {"WorkingDir": "/app"}, ["/app/./check"]),
        ("./check", {}, ["/./check"]),
    ],
)
def test_where_a_program_may_be(program: str, config: Mapping[str, Any], places: list[str]) -> None:
    assert places_of(program, config) == places
