# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from plain Compose in docs/migration.md: the volumes are used in place, with all that is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator

import pytest
from lab import STANDIN, App, MakeApp, copied, docker, inspect, request, run, until

NAME, OLD = "it-moved", "it-by-hand"
VOLUMES = {"db": f"{OLD}_database", "media": f"{OLD}_media"}
SECRET = "a-secret-of-the-old-deployment-0123456789"
MOVED = {
    "docker_vps_external_volumes": True,
    "docker_vps_database_volume": VOLUMES["db"],
    "docker_vps_media_volume": VOLUMES["media"],
    "docker_vps_payload_secret": SECRET,
}


class ByHand:
    """The stand-in application as people deploy it with Compose alone, in volumes of its own or in directories."""

    def __init__(self, app: App, place: Path, kind: str) -> None:
        self.app, self.kind, self.file, self.directories = app, kind, place / "compose.yml", place / "data"
        self.container = app.container if kind == "volumes" else f"{OLD}-web"
        sources = copied(STANDIN, place / "sources")
        if kind == "directories":
            mounts = {name: str(self.directories / name) for name in VOLUMES}
            for path in mounts.values():
                Path(path).mkdir(parents=True)
        else:
            mounts = {"db": "database", "media": "media"}
        service: dict[str, Any] = {
            "image": app.variables["docker_vps_base_image"],
            "container_name": self.container,
            "working_dir": "/app",
            "command": ["node", "/app/server.js"],
            "environment": {"DATABASE_URI": "file:///data/payload.db", "PAYLOAD_SECRET": SECRET},
            "volumes": [
                f"{sources}/server.js:/app/server.js:ro",
                f"{mounts['db']}:/data",
                f"{mounts['media']}:/app/public/media",
            ],
        }
        volumes: dict[str, Any] = {} if kind == "directories" else {name: {} for name in mounts.values()}
        self.file.write_text(json.dumps({"name": OLD, "services": {"app": service}, "volumes": volumes}))

    def compose(self, *arguments: str) -> None:
        run("docker", "compose", "--file", str(self.file), *arguments)

    def vendors(self) -> list[str]:
        """Start it, and return what it says when it answers."""
        self.compose("up", "--detach")
        return [row["name"] for row in until(self.answers, 20, "an answer")]

    def answers(self) -> Any:
        network = inspect(self.container)["NetworkSettings"]["Networks"][f"{OLD}_default"]
        try:
            return request(f"http://{network['IPAddress']}:3000/api/vendors").json["docs"] or [{"name": "nobody"}]
        except OSError:
            return None

    def fill(self) -> None:
        """Give it two vendors and a picture."""
        assert self.vendors() == ["nobody"]
        address = inspect(self.container)["NetworkSettings"]["Networks"][f"{OLD}_default"]["IPAddress"]
        for name in ("First Ltd", "Second Ltd"):
            request(f"http://{address}:3000/api/vendors", json.dumps({"name": name}).encode())
        request(f"http://{address}:3000/media/square.png", b"a picture")

    def adopt(self) -> None:
        """Make volumes of its directories, as the page says, unless it has volumes."""
        for name, volume in VOLUMES.items() if self.kind == "directories" else ():
            options = [f"--opt={option}" for option in ("type=none", "o=bind", f"device={self.directories / name}")]
            docker("volume", "create", *options, volume)


def database() -> int:
    """Return the inode of the database, which a copy would not have."""
    found = json.loads(docker("volume", "inspect", VOLUMES["db"]))[0]
    return (Path((found["Options"] or {}).get("device") or found["Mountpoint"]) / "payload.db").stat().st_ino


@pytest.fixture(params=["volumes", "directories"])
def by_hand(request: pytest.FixtureRequest, make_app: MakeApp, tmp_path: Path) -> Iterator[ByHand]:
    old = ByHand(make_app(NAME, **MOVED), tmp_path, request.param)
    try:
        old.fill()
        old.adopt()
        yield old
    finally:
        old.compose("down", "--timeout", "1")
        old.app.remove()
        docker("volume", "rm", "--force", *VOLUMES.values())


def rows(app: App) -> list[str]:
    return [row["name"] for row in app.get("/api/vendors").json["docs"]]


def test_the_data_of_plain_compose_is_used_in_place(by_hand: ByHand) -> None:
    app, vendors = by_hand.app, ["First Ltd", "Second Ltd"]

    # While the old one runs: a backup works, a deploy is refused, and the image is built unless the names are the same.
    app.playbook("backup").succeeded()
    assert "1 database sound" in app.playbook("backup_list").succeeded().text
    (before,) = [path.name.removeprefix("manifest-")[:15] for path in app.backups.glob("manifest-*.json")]
    refused = app.deploy("--check").failed().text
    if by_hand.container == app.container:
        assert f"container {app.container}: expected absent, or of the Compose project {NAME}" in refused
        assert f"it belongs to the Compose project {OLD}" in refused
    else:
        assert f"{by_hand.container} also runs on" in refused
        app.deploy("--tags", "image").succeeded()

    # A first release that fails leaves the way back, and the data as it was.
    by_hand.compose("down")  # and not with --volumes
    failed = app.deploy(docker_vps_env={"STANDIN_CRASH": "7"}).failed().text
    assert "There is no earlier healthy version to put back." in failed
    docker("rm", "--force", app.container)
    assert by_hand.vendors() == vendors
    by_hand.compose("down")

    inode = database()
    app.deploy().succeeded()
    assert rows(app) == vendors
    assert app.get("/media/square.png").body == b"a picture"
    assert app.env_keys()["PAYLOAD_SECRET"] == SECRET
    mounted = {mount["Name"] for mount in inspect(app.container)["Mounts"] if mount["Type"] == "volume"}
    assert mounted == set(VOLUMES.values())
    assert database() == inode
    assert app.deploy().succeeded().recap["changed"] == 0

    app.playbook("backup").succeeded()
    assert "2 rows in 1 table" in app.playbook("restore_drill").succeeded().text
    app.post("/api/vendors", {"name": "After the set"})
    app.playbook("restore", docker_vps_restore_stop_app=True).succeeded()
    assert rows(app) == vendors

    # The way back after a migration: the data of before, for the old version.
    app.post("/api/vendors", {"name": "Not known to the old version"})
    app.playbook("remove", docker_vps_remove_confirm=NAME).succeeded()
    app.playbook("restore", docker_vps_restore_set=before, docker_vps_restore_volumes=VOLUMES).succeeded()
    assert by_hand.vendors() == vendors
    by_hand.compose("down")

    # Volumes that somebody else has made stay; gone, they come back under the names that they had.
    app.deploy().succeeded()
    app.playbook("remove", docker_vps_remove_confirm=NAME, docker_vps_remove_data=True).succeeded()
    assert set(VOLUMES.values()) <= set(docker("volume", "ls", "--quiet").split())
    if by_hand.kind == "volumes":
        docker("volume", "rm", *VOLUMES.values())
        app.playbook("restore").succeeded()
        app.deploy().succeeded()
        assert rows(app) == vendors
