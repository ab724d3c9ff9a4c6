# SPDX-License-Identifier: GPL-3.0-or-later
"""The images on the engine, and the processes of a container."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

NAME = "ptnextjs-app"


@pytest.fixture(scope="module")
def images(host: Host) -> Any:
    """What the engine says about the releases."""
    references = host.check_output("docker images --format '{{.Repository}}:{{.Tag}}' %s", NAME).split()
    return json.loads(host.check_output("docker image inspect " + " ".join(references)))


def test_there_is_one_image_for_each_release(images: Any) -> None:
    """The containerd store knows a digest of a base that was loaded, too, and the tag ends with it."""
    releases = {image["RepoTags"][0].split(":")[1].split("-")[0] for image in images}
    assert len(releases) == 2
    assert {image["Config"]["Labels"]["org.opencontainers.image.version"] for image in images} == releases
    assert len({image["Config"]["Labels"]["org.opencontainers.image.revision"] for image in images}) == 1


def test_it_is_made_for_the_application(images: Any) -> None:
    for image in images:
        assert list(image["Config"]["ExposedPorts"]) == ["3000/tcp"]
        assert image["Config"]["User"] == ""  # the entrypoint gives root up


def test_the_server_runs_as_the_user_that_was_asked_for(host: Host) -> None:
    (server,) = host.process.filter(comm="node")
    status = host.file(f"/proc/{server.pid}/status").content_string
    assert "Uid:\t1234\t1234\t1234\t1234" in status
    assert "Gid:\t2345\t2345\t2345\t2345" in status
    assert "CapEff:\t0000000000000000" in status
    assert host.check_output("docker top app -o pid,comm").split()[2:] == [str(server.pid), "node"]


def test_its_volumes_are_its_own(host: Host) -> None:
    for name in ("data", "media"):
        place = host.file(f"/var/lib/docker/volumes/{name}/_data")
        assert (place.uid, place.gid) == (1234, 2345)


def test_root_is_refused(host: Host) -> None:
    assert host.check_output("docker inspect root --format '{{.State.ExitCode}}'") != "0"
    result = host.run("docker logs root")
    assert "PUID" in result.stdout + result.stderr


def test_only_the_log_and_the_key_are_left_of_the_build(host: Host) -> None:
    assert host.check_output("ls -A /opt/ptnextjs").split() == ["build.log", "server_actions.key"]
    assert host.file("/opt/ptnextjs/server_actions.key").mode == 0o600
    log = host.file("/opt/ptnextjs/build.log")
    assert (log.user, log.mode & 0o007) == ("root", 0)
