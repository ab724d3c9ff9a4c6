# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from plain Compose in docs/migration.md: the volumes are used in place, with all that is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator

import pytest
from lab import STANDIN, App, MakeApp, copied, docker, inspect, run, until

NAME, OLD = "it-moved", "it-by-hand"
VOLUMES = {"database": f"{OLD}_database", "media": f"{OLD}_media"}
SECRET = "a-secret-of-the-old-deployment-0123456789"
MOVED = {
    "docker_vps_external_volumes": True,
    "docker_vps_database_volume": VOLUMES["database"],
    "docker_vps_media_volume": VOLUMES["media"],
    "docker_vps_payload_secret": SECRET,
}


def vendors(app: App) -> list[str]:
    return [row["name"] for row in app.get("/api/vendors").json["docs"]]


def database() -> int:
    """Return the inode of the database, which a copy would not have."""
    place = docker("volume", "inspect", "--format", "{{.Mountpoint}}", VOLUMES["database"])
    return (Path(place) / "payload.db").stat().st_ino


@pytest.fixture
def app(make_app: MakeApp, tmp_path: Path) -> Iterator[App]:
    """An application that Compose alone has deployed, as the user of the image, with two vendors and a picture."""
    app = make_app(NAME, **MOVED)
    sources = copied(STANDIN, tmp_path / "sources")
    image = app.variables["docker_vps_base_image"]
    service: dict[str, Any] = {
        "image": image,
        "container_name": app.container,
        "working_dir": "/app",
        "command": ["node", "/app/server.js"],
        "environment": {"DATABASE_URI": "file:///data/payload.db", "PAYLOAD_SECRET": SECRET},
        "volumes": [f"{sources}/server.js:/app/server.js:ro", "database:/data", "media:/app/public/media"],
    }
    volumes: dict[str, Any] = {name: {} for name in VOLUMES}
    definition = {"name": OLD, "services": {"app": service}, "volumes": volumes}
    (tmp_path / "compose.yml").write_text(json.dumps(definition))
    compose = ("docker", "compose", "--file", str(tmp_path / "compose.yml"))
    run(*compose, "up", "--detach")
    app.network, wanted = f"{OLD}_default", app.network
    try:
        until(lambda: run("curl", "-sf", app.url("/api/health"), check=False).returncode == 0, 20, "an answer")
        for name in ("First Ltd", "Second Ltd"):
            assert app.post("/api/vendors", {"name": name}).status == 201
        assert app.post("/media/square.png", "a picture").status == 200
        app.network = wanted
        yield app
    finally:
        run(*compose, "down", "--timeout", "1", check=False)
        app.network = wanted
        app.remove()
        docker("volume", "rm", "--force", *VOLUMES.values())


def test_the_volumes_of_plain_compose_are_used_in_place(app: App, tmp_path: Path) -> None:
    before = database()
    refused = app.deploy().failed().text
    assert f"container {app.container}: expected absent, or of the Compose project {NAME}" in refused
    assert f"it belongs to the Compose project {OLD}" in refused
    assert "volume" not in refused.split("expected absent")[0]  # they may be somebody else's

    run("docker", "compose", "--file", str(tmp_path / "compose.yml"), "down")  # and not with --volumes
    app.deploy().succeeded()
    assert vendors(app) == ["First Ltd", "Second Ltd"]
    assert app.get("/media/square.png").body == b'"a picture"'
    assert app.env_keys()["PAYLOAD_SECRET"] == SECRET
    assert {mount["Name"] for mount in inspect(app.container)["Mounts"] if mount["Type"] == "volume"} == set(
        VOLUMES.values()
    )
    assert database() == before
    assert app.deploy().succeeded().recap["changed"] == 0

    app.playbook("backup").succeeded()
    assert "2 rows" in app.playbook("restore_drill").succeeded().text
    app.post("/api/vendors", {"name": "After the set"})
    app.playbook("restore", docker_vps_restore_stop_app=True).succeeded()
    assert vendors(app) == ["First Ltd", "Second Ltd"]

    removed = app.playbook("remove", docker_vps_remove_confirm=NAME, docker_vps_remove_data=True).succeeded()
    assert removed.recap["failed"] == 0
    assert set(VOLUMES.values()) <= set(docker("volume", "ls", "--quiet").split())
