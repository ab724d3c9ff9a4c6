# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance on a real engine of its own: what goes and what stays, and a VACUUM under an application that writes."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command.cli import CommandWorld, connected, main
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import snapshot
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.images import identity
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import Release
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import (
    AppFacts,
    History,
    Thresholds,
    findings,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import DEFAULT_ADDRESS, SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.files import own
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import Releases
from ansible_collections.ptnextjs.docker_vps.tests.unit.watching import WELL
from engines import MEBIBYTE, second_engine
from lab import MakeApp, docker, image_of, inspect, until

APP = "it-maintenance"
INIT = ("/init", "--version")
DOCKERFILE = "FROM scratch\nCOPY init /init\nCOPY {name} /\n"
HEALTH = ("--health-cmd=true", "--health-interval=1h", "--health-start-period=1m", "--health-start-interval=1s")
# Writes without patience, so that a lock that it meets is an error; each number that is acknowledged is in its log.
WRITER = """
const {DatabaseSync} = require("node:sqlite"), db = new DatabaseSync("/data/payload.db")
db.exec("PRAGMA busy_timeout = 0")
const insert = db.prepare("INSERT INTO written DEFAULT VALUES")
process.on("SIGTERM", () => process.exit())
setInterval(() => console.log(insert.run().lastInsertRowid), 5)
"""


class Kept:
    """An application with two releases on an engine of its own, and the command of its host."""

    def __init__(self, url: str, place: Path, prune: bool = True) -> None:
        self.url, self.place = url, place
        self.releases = Releases(str(place / "app"), str(place / "app/.env"))
        self.releases.prepare()
        self.config = place / "app/backup.json"
        given = {
            "app": APP,
            "directory": str(place / "sets"),
            "docker_host": url,
            "backup": {"volumes": {"db": f"{APP}-db"}, "database": "db/payload.db"},
            "drill": {"env_file": str(place / "app/.env")},
            "notify": {"webhook": "", "command": [], "pings": {}, "on_success": False},
            "maintenance": {
                "container": f"{APP}-app",
                "prune": prune,
                "cache_days": 0,
                "logs": [],
                "log_bytes": MEBIBYTE,
                "lock_max_age": 3600,
                "databases": {"vacuum": True, "within": 30},
                "after": {"backup": 0, "proof": 0, "read": 0, "image": 0},
            },
        }
        self.config.write_text(json.dumps(given))

    def maintain(self, *options: str) -> dict[str, Any]:
        out, err = io.StringIO(), io.StringIO()
        code = main(
            ["maintenance", "--json", *options], str(self.config), CommandWorld(out, err, SystemClock(), connected)
        )
        assert (code, err.getvalue()) == (0, ""), out.getvalue()
        found: dict[str, Any] = json.loads(out.getvalue())["results"]["maintenance"]
        return found

    def build(self, name: str, tag: str = "", size: int = 100_000) -> str:
        """Build an image with a file of its own, and return its id."""
        folder = self.place / "context"
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text(DOCKERFILE.format(name=name))
        (folder / name).write_bytes(os.urandom(size))
        shutil.copy(shutil.which("docker-init") or "", folder / "init")  # static, and comes with each engine
        tags = ("--tag", tag) if tag else ()
        return self.docker("build", "--quiet", *tags, str(folder))

    def docker(self, *arguments: str) -> str:
        """Run a docker command on its engine."""
        return docker("--host", self.url, *arguments)

    def release(self, number: int, tag: str, result: str = "healthy") -> str:
        """Put an image on record as a release, and return its id."""
        image = self.build(f"release-{number}", tag)
        (inspected,) = json.loads(self.docker("image", "inspect", image))
        record = Release(f"20260101-00000{number}", "", tag, identity(inspected), "e", "d", result=result)
        self.releases.begin(record, "", own(""))
        return image


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    place = tmp_path_factory.mktemp("maintenance")
    with second_engine(place / "engine", 256 * MEBIBYTE) as engine:
        yield Kept(engine.url, place)


def test_what_nobody_needs_goes_and_a_rollback_works(kept: Kept) -> None:
    live, before = kept.release(2, f"{APP}-app:2"), kept.release(1, f"{APP}-app:1")
    foreign, stopped = kept.build("foreign", "elsewhere/app:1"), kept.build("stopped", "stopped:1")
    kept.docker("create", "--name", "stopped", "--network", "none", "stopped:1", *INIT)
    for tag in ("stopped:1", f"{APP}-app:1"):  # without a name from then on, but not without need
        kept.docker("tag", "elsewhere/app:1", tag)
    loose = {kept.build("loose", size=3_000_000), kept.build("more", size=2_000_000)}

    time.sleep(1.1)  # what was used in this second is not old yet
    told = kept.maintain("--check")
    assert loose <= set(kept.docker("images", "--quiet", "--no-trunc").split())
    done = kept.maintain()
    for key in ("images", "build_cache", "logs", "databases", "freed", "due", "cautions", "changed"):
        assert told[key] == done[key], key
    assert {row["id"] for row in done["images"]} == loose
    assert 5_000_000 <= sum(row["bytes"] for row in done["images"]) < 6_000_000
    assert done["build_cache"]["records"] > 0
    assert done["cautions"] == []
    assert {live, before, foreign, stopped} <= set(kept.docker("images", "--quiet", "--no-trunc").split())
    assert kept.maintain()["changed"] is False

    kept.docker("tag", before, f"{APP}-app:1")
    for start in (("run", "--rm", "--network", "none", f"{APP}-app:1", *INIT), ("start", "--attach", "stopped")):
        kept.docker(*start)


@pytest.fixture
def volume() -> Iterator[Path]:
    """The directory of a volume of the application, which is removed with it afterwards."""
    docker("rm", "--force", f"{APP}-app", check=False)
    docker("volume", "create", f"{APP}-db")
    yield Path(json.loads(docker("volume", "inspect", f"{APP}-db"))[0]["Mountpoint"])
    docker("rm", "--force", f"{APP}-app", check=False)
    docker("volume", "rm", f"{APP}-db")


def test_a_vacuum_under_a_writer_without_patience_loses_nothing(volume: Path, tmp_path: Path) -> None:
    path, host = volume / "payload.db", Kept(DEFAULT_ADDRESS, tmp_path, prune=False)  # others use this engine
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("CREATE TABLE written (id INTEGER PRIMARY KEY)")
        made.execute("CREATE TABLE posts (id INTEGER PRIMARY KEY, slug TEXT, body BLOB)")
        made.execute("CREATE INDEX of_slug ON posts (slug)")
        made.execute("BEGIN")
        made.executemany("INSERT INTO posts (slug, body) VALUES (?, zeroblob(9000))", [(str(n),) for n in range(6000)])
        made.execute("COMMIT")
        made.execute("DELETE FROM posts WHERE id % 5")
    before = path.stat().st_size
    options = ("--network", "none", "--volume", f"{APP}-db:/data", "--stop-timeout", "5", *HEALTH)
    docker("run", "--detach", "--name", f"{APP}-app", *options, image_of("base_image.sh"), "node", "-e", WRITER)

    def written() -> list[str]:
        return [line for line in docker("logs", f"{APP}-app").splitlines() if line.isdigit()]

    def health() -> str:
        return str(inspect(f"{APP}-app")["State"]["Health"]["Status"])

    until(lambda: len(written()) > 50 and health() == "healthy", 30, "the application writes")
    done = host.maintain()
    (row,) = done["databases"]
    assert (row["problem"], row["vacuumed"], row["optimized"]) == ("", True, ["posts"])
    assert 0 < row["paused"] < 30
    seen = snapshot(f"{APP}-app", inspect(f"{APP}-app"))
    watched = replace(WELL, at=time.time(), app=AppFacts(seen, age=3e6))
    assert (health(), findings(watched, History(), Thresholds())) == (
        "unhealthy",
        [],
    )  # as the engine says until it asks
    assert path.stat().st_size < before / 3
    assert row["freed"] > before / 2
    known = len(written())
    until(lambda: len(written()) > known + 50, 30, "the application goes on")
    assert host.maintain()["changed"] is False
    time.sleep(0.1)
    docker("stop", f"{APP}-app")
    with closing(sqlite3.connect(path)) as left:
        assert left.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert left.execute("SELECT count(*) FROM posts").fetchone() == (1200,)
        numbers = [str(number) for (number,) in left.execute("SELECT id FROM written ORDER BY id")]
    logs = docker("logs", f"{APP}-app").splitlines()
    assert [line for line in logs if "locked" in line or "BUSY" in line] == []
    acknowledged = [line for line in logs if line.isdigit()]
    assert numbers[: len(acknowledged)] == acknowledged
    assert len(numbers) - len(acknowledged) <= 1


def test_the_play_does_all_of_it_alone(make_app: MakeApp) -> None:
    app = make_app(f"{APP}-play", docker_vps_maintenance_prune=False)  # others build on this engine
    app.deploy().succeeded()
    container = inspect(app.container)["Id"]
    told = app.playbook("maintenance", "--check", docker_vps_maintenance_base="keep").succeeded()
    assert " would be freed in " in told.text
    assert "No restore was tried, since there is no backup set yet; backup.yml makes one." in told.text
    assert list(app.backups.glob("*")) == []
    app.playbook("backup").succeeded()
    done = app.playbook("maintenance", docker_vps_maintenance_vacuum=True).succeeded()
    assert f"{app.name}-db/payload.db: no VACUUM, since only " in done.text
    assert " freed in " in done.text
    assert f"of {app.name} is verified: " in done.text
    assert "There is no backup set" not in done.text
    assert inspect(app.container)["Id"] == container
    assert not (app.directory / "deploy.lock").exists()
