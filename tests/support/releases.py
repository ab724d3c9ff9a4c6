# SPDX-License-Identifier: GPL-3.0-or-later
"""Put versions of the stand-in application live without a playbook, and look at what an update leaves behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

import lab
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.compose import Compose
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine, SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import cutover, preconditions, rollback
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.cutover_state import CutoverWorld
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import Releases
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from lab import App, docker, inspect, run, until

URL = "unix:///var/run/docker.sock"


class Versions:
    """Versions of a deployed application: its definition with another image, its environment with other keys."""

    def __init__(self, app: App, url: str = URL) -> None:
        self.app, self.url = app, url
        self.environment, self.definition = app.directory / ".env.production", app.directory / "compose.yml"
        self.known = self.environment.read_text()
        self.releases = Releases(str(app.directory), str(self.environment))
        self.sets = Sets(str(app.backups), app.name)

    @property
    def world(self) -> CutoverWorld:
        """Where a cutover takes place; a connection of its own for each."""
        return CutoverWorld(self.releases, lambda: Engine.connect(Address(self.url)), Compose(self.url), SystemClock())

    def params(
        self, image: str = "", memory: str = "", volumes: Optional[Mapping[str, str]] = None, **how: Any
    ) -> preconditions.Params:
        """Return how to put a version live, in a hurry; without a backup unless ``volumes`` name what to back up."""
        app, definition = self.app, self.definition.read_text()
        live = image_in(definition)
        definition = definition.replace(f'"{live}"', f'"{image or live}"')
        if memory:
            definition = definition.replace('memory: "1G"', f'memory: "{memory}"')
            definition = definition.replace('memory: "512M"', f'memory: "{memory}"')
        given: dict[str, Any] = {"health_timeout": 15, "monitor": 0.5, **how}
        return preconditions.Params(
            app=app.name,
            project=app.name,
            container=app.container,
            definition=definition,
            image=image or live,
            database_volume=f"{app.name}-db",
            media_volume=f"{app.name}-media",
            backup=backup.Params(app.name, volumes) if volumes else None,
            **given,
        )

    def write(self, **env: str) -> None:
        """Write the env file as the play does before a cutover, with these keys besides the known ones."""
        self.environment.write_text(self.known + "".join(f'{key}="{value}"\n' for key, value in env.items()))

    def put(self, env: Optional[Mapping[str, str]] = None, **how: Any) -> dict[str, Any]:
        """Put a version live whose environment has these keys besides the known ones; see params."""
        params = self.params(**how)
        self.write(**(env or {}))
        return cutover.run(params, self.sets, self.world, False)

    def back(self, to: str = "", data: str = "auto", check_mode: bool = False, **how: Any) -> dict[str, Any]:
        """Return to a release."""
        both = {"db": f"{self.app.name}-db", "media": f"{self.app.name}-media"}
        params = rollback.Params(to, data, self.params(volumes=both, **how))
        return rollback.run(params, self.sets, self.world, check_mode)

    def derived(self, tag: str, *lines: str) -> str:
        """Make an image from the live one by further lines of a Dockerfile, and return its name."""
        name = f"{self.app.container}:{tag}"
        dockerfile = "\n".join([f"FROM {inspect(self.app.container)['Config']['Image']}", *lines])
        run("docker", "build", "--quiet", "--tag", name, "-", input=dockerfile)
        return name


def image_in(definition: str) -> str:
    """Return the image that a definition names."""
    line = next(line for line in definition.splitlines() if line.strip().startswith("image: "))
    return str(json.loads(line.split(": ", 1)[1]))


@dataclass(frozen=True)
class Left:
    """What an update must leave as it was when it fails."""

    container: str
    image: str
    current: str
    files: Mapping[str, bytes]
    vendors: Sequence[str]


def vendors(app: App) -> list[str]:
    """Return the names of the rows that the application answers with."""
    return [row["name"] for row in app.get("/api/vendors").json["docs"]]


def containers(app: App) -> list[str]:
    """Return the names of all containers of the application, whatever project they belong to."""
    return sorted(name for name in lab.containers() if name.startswith(app.name))


def healthy(app: App) -> bool:
    """Return whether exactly the application's own container is there, and healthy for the engine too."""
    if containers(app) != [app.container]:
        return False
    state = inspect(app.container)["State"]
    return bool(state["Running"]) and state["Health"]["Status"] == "healthy"


def current(app: App) -> str:
    """Return the id of the live release."""
    return (app.directory / "releases/current").readlink().name


def release(app: App, release_id: str) -> Mapping[str, Any]:
    """Return what is written down of a release."""
    found: Mapping[str, Any] = json.loads((app.directory / "releases" / release_id / "release.json").read_text())
    return found


def root(app: App) -> Path:
    """Return the directory of the database's volume."""
    return Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", f"{app.name}-db"))


def tidy(app: App) -> None:
    """Fail if an update has left something half-done: a container, a journal, a copy of the data, a partial file."""
    until(lambda: healthy(app), 40, f"one healthy container, instead of {containers(app)},")
    assert list((app.directory / "releases").glob("*/journal.json")) == []
    partial = [str(path) for path in app.directory.rglob("*.partial*")]
    assert partial == []
    if root(app).parent.is_dir():
        assert sorted(path.name for path in root(app).parent.iterdir()) == ["_data"]
    live = app.directory / "releases" / current(app)
    for name in (".env.production", "compose.yml"):
        assert (app.directory / name).read_bytes() == (live / name).read_bytes(), name
    facts = inspect(app.container)
    assert facts["Config"]["Image"] == release(app, current(app))["image"]
    assert f"/{app.container}" == facts["Name"]
    assert facts["Config"]["Labels"]["com.docker.compose.project"] == app.name


def what_is_there(app: App) -> Left:
    """Remember what is live."""
    tidy(app)
    facts = inspect(app.container)
    files = {name: (app.directory / name).read_bytes() for name in (".env.production", "compose.yml")}
    return Left(facts["Id"], facts["Config"]["Image"], current(app), files, vendors(app))
