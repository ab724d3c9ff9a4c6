# SPDX-License-Identifier: GPL-3.0-or-later
"""What the container is kept from, and that the application works all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import STANDIN, App, MakeApp, copied, docker, inspect, process, run

NAME = "it-hardened"
EVERYTHING = ["no_new_privileges", "capabilities", "init", "pids_limit", "swap"]
WRITES = """
require('node:fs').mkdirSync('/var/lib/state', { recursive: true })
require('node:fs').writeFileSync('/var/lib/state/pid', String(process.pid))
"""


@pytest.fixture(scope="module")
def app(make_app: MakeApp) -> App:
    """An application whose first release knows no hardening, as one of an earlier collection."""
    app = make_app(NAME)
    app.deploy(docker_vps_hardening_off=EVERYTHING).succeeded()
    return app


def test_all_of_it_can_be_left_out(app: App) -> None:
    host = inspect(app.container)["HostConfig"]
    assert not any(
        host.get(key) for key in ("CapAdd", "CapDrop", "Init", "PidsLimit", "ReadonlyRootfs", "SecurityOpt", "Tmpfs")
    )
    assert host["MemorySwap"] != host["Memory"]


def test_it_is_on_by_default_and_with_a_read_only_root(app: App) -> None:
    app.deploy(docker_vps_read_only=True, docker_vps_pids_limit=200).succeeded()
    host = inspect(app.container)["HostConfig"]
    assert (host["Init"], host["PidsLimit"], host["MemorySwap"]) == (True, 200, host["Memory"])
    assert "/var/run/docker.sock" not in str(inspect(app.container)["Mounts"])
    server = process(app.container, "node")
    assert (server["CapEff"].strip("0"), server["NoNewPrivs"]) == ("", "1")
    assert server["Uid"].split() == server["Gid"].split() == ["1000"] * 4
    docker("restart", app.container)
    app.becomes_healthy()
    refused = run("docker", "exec", "--user", "0", app.container, "touch", "/app/new", check=False)
    assert "Read-only file system" in refused.stderr
    for place in ("/tmp", "/app/.next/cache"):
        docker("exec", "--user", "1000:1000", app.container, "touch", f"{place}/new")
        assert docker("exec", app.container, "stat", "--format", "%u:%g", place) == "1000:1000"
    assert app.post("/media/one.bin", "content").status == 200


def test_a_backup_of_it_passes_a_restore_drill(app: App) -> None:
    app.playbook("backup", docker_vps_read_only=True).succeeded()
    assert "is verified" in app.playbook("restore_drill", docker_vps_read_only=True).succeeded().text


def test_a_part_that_it_cannot_bear_is_named(app: App, sources: Path) -> None:
    copied(STANDIN, sources, **{"server.js": (STANDIN / "server.js").read_text() + WRITES})
    words = {"docker_vps_source_path": str(sources), "docker_vps_read_only": True}
    text = app.deploy(**words).failed().text
    assert "Its hardening is a likely cause" in text
    assert "name the directory that it writes to in docker_vps_tmpfs, or leave it writable with" in text
    assert inspect(app.container)["HostConfig"]["ReadonlyRootfs"] is True
    app.deploy(**words, docker_vps_tmpfs={"/tmp": "8M", "/var/lib/state": "1M"}).succeeded()
    assert docker("exec", app.container, "cat", "/var/lib/state/pid")


def test_back_to_a_release_without_it(app: App) -> None:
    oldest = sorted(path.name for path in (app.directory / "releases").iterdir() if path.is_dir())[0]
    app.playbook("rollback", docker_vps_rollback_to=oldest, docker_vps_read_only=True).succeeded()
    assert not inspect(app.container)["HostConfig"]["ReadonlyRootfs"]
    assert not inspect(app.container)["HostConfig"]["CapDrop"]
