# SPDX-License-Identifier: GPL-3.0-or-later
"""After one play that deployed both, and a second one that changed nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host
from vps import releases

BOTH = ("shop", "blog")


@pytest.fixture(scope="module")
def containers(host: Host) -> Any:
    """What the engine says about the containers of both."""
    return json.loads(host.check_output("docker inspect shop-app blog-app"))


def test_each_is_healthy_and_has_volumes_and_an_image_of_its_own(host: Host, containers: Any) -> None:
    for name, container in zip(BOTH, containers):
        assert container["State"]["Health"]["Status"] == "healthy"
        assert {mount["Name"] for mount in container["Mounts"]} == {f"{name}-db", f"{name}-media"}
        assert container["Config"]["Image"].startswith(f"{name}-app:")
        assert f"NEXT_PUBLIC_SERVER_URL=https://{name}.example.com" in container["Config"]["Env"]
        assert [one["result"] for one in releases(host, f"/opt/{name}")] == ["healthy"]
    assert sorted(host.check_output("docker ps --all --format '{{.Names}}'").split()) == ["blog-app", "shop-app"]


def test_they_share_one_network(containers: Any) -> None:
    assert [list(container["NetworkSettings"]["Networks"]) for container in containers] == [["proxy"], ["proxy"]]


def test_one_is_at_work_before_the_other_is_made(containers: Any) -> None:
    first, second = sorted(containers, key=lambda one: str(one["Created"]))
    assert first["State"]["StartedAt"] < second["Created"]


def test_they_were_reached_over_ssh(host: Host) -> None:
    assert "Accepted publickey for root" in host.check_output("journalctl --unit ssh --output cat")
