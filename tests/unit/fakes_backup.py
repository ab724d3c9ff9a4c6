# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine whose volumes are directories of the test, and a clock with a calendar."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.journal import Journal
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import EngineError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FakeClock

LABELS = {"com.docker.compose.project": "shop", "com.docker.compose.volume": "db"}


class FakeWallClock(FakeClock):
    """A clock whose calendar goes on with its seconds."""

    def __init__(self, at: datetime = datetime(2026, 2, 1, 2, tzinfo=timezone.utc)) -> None:
        super().__init__()
        self.at = at

    def utc(self) -> datetime:
        return self.at + timedelta(seconds=self.passed)


@dataclass
class FakeVolumeEngine:
    """An engine with volumes at ``<place>/<name>/_data``, and containers that mount them.

    Attributes:
        clock: passes ``takes`` seconds at each call that changes something.
        calls: what was asked to change, such as ("stop", "app").
        fails: for a change, the error that is raised instead.
        on: for a change, what happens just before it.
    """

    place: Path
    clock: Optional[FakeClock] = None
    takes: float = 0.5
    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    fails: dict[tuple[str, ...], Exception] = field(default_factory=dict)
    on: dict[tuple[str, ...], Callable[[], object]] = field(default_factory=dict)

    def add_volume(self, name: str, root: Optional[Path] = None, **facts: Any) -> Path:
        """Add a volume and return its directory."""
        place = root or self.place / name / "_data"
        place.mkdir(parents=True, exist_ok=True)
        self.volumes[name] = {"Name": name, "Driver": "local", "Mountpoint": str(place), "Labels": LABELS, **facts}
        return place

    def add_container(
        self, name: str, *volumes: str, running: bool = True, paused: bool = False, binds: Sequence[str] = ()
    ) -> None:
        """Add a container; its id is its name in capital letters. It mounts volumes, and paths such as /path:ro."""
        self.containers[name.upper()] = {
            "Id": name.upper(),
            "Name": f"/{name}",
            "Image": "sha256:" + "ab" * 32,
            "Config": {"Image": f"{name}:1", "Labels": {"com.docker.compose.project": "shop"}},
            "State": {"Running": running, "Paused": paused},
            "HostConfig": {"AutoRemove": False, "RestartPolicy": {"Name": "unless-stopped"}},
            "Mounts": [
                *({"Type": "volume", "Name": volume, "RW": True} for volume in volumes),
                *({"Type": "bind", "Source": one.split(":")[0], "RW": ":ro" not in one} for one in binds),
            ],
        }

    def info(self) -> Mapping[str, Any]:
        return {"ServerVersion": "26.1.5", "DockerRootDir": str(self.place)}

    def volume(self, name: str) -> Optional[Mapping[str, Any]]:
        return self.volumes.get(name)

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        return self.containers.get(name)

    def all_volumes(self) -> Sequence[Mapping[str, Any]]:
        return list(self.volumes.values())

    def all_containers(self) -> Sequence[Mapping[str, Any]]:
        return list(self.containers.values())

    def start(self, container: str) -> None:
        self._change("start", container)
        self.containers[container]["State"] = {"Running": True, "Paused": False}

    def stop(self, container: str) -> None:
        self._change("stop", container)
        self.containers[container]["State"] = {"Running": False, "Paused": False}

    def pause(self, container: str) -> None:
        self._change("pause", container)
        self.containers[container]["State"]["Paused"] = True

    def unpause(self, container: str) -> None:
        self._change("unpause", container)
        self.containers[container]["State"]["Paused"] = False

    def create_volume(
        self, name: str, driver: str, labels: Mapping[str, str], options: Optional[Mapping[str, str]] = None
    ) -> None:
        self._change("create_volume", name)
        self.add_volume(name, Driver=driver, Labels=dict(labels), Options=dict(options) if options else None)

    def remove_volume(self, name: str) -> None:
        self._change("remove_volume", name)
        if any(name == mount.get("Name") for one in self.containers.values() for mount in one["Mounts"]):
            raise EngineError(f"The Docker engine refused: volume {name} is in use.")
        shutil.rmtree(Path(self.volumes.pop(name)["Mountpoint"]).parent)

    def running(self) -> list[str]:
        """Return the ids of the containers that run and are not frozen."""
        return [key for key, one in self.containers.items() if one["State"] == {"Running": True, "Paused": False}]

    def _change(self, *call: str) -> None:
        self.calls.append(call)
        if self.clock:
            self.clock.passed += self.takes
        self.on.get(call, lambda: None)()
        if call in self.fails:
            raise self.fails[call]


class Shop:
    """An application with two volumes, ``db`` and ``media``, a running container, and a place for its sets."""

    def __init__(self, place: Path) -> None:
        self.clock = FakeWallClock()
        self.engine = FakeVolumeEngine(place / "docker", self.clock)
        self.sets = Sets(str(place / "backups"), "shop")
        self.db, self.media = self.engine.add_volume("shop-db"), self.engine.add_volume("shop-media")
        database(self.db / "payload.db", vendors=3, media=1)
        (self.media / "a.png").write_bytes(b"a" * 1000)
        self.engine.add_container("app", "shop-db", "shop-media")

    def back_up(self, **params: Any) -> BackupSet:
        """Make a set, and let a minute pass."""
        volumes = {"db": "shop-db", "media": "shop-media"}
        backup.run(backup.Params("shop", volumes, **params), self.sets, lambda: self.engine, self.clock, False)
        self.clock.passed += 60
        return self.sets.listing().sets[0]

    def data(self) -> dict[str, Any]:
        """Return what is in the volumes: rows by table, and the other files."""
        with closing(sqlite3.connect(self.db / "payload.db")) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
        return {**rows, **tree_of(self.media)}

    def change(self) -> None:
        """Write more into the volumes, as the application would."""
        database(self.db / "payload.db", vendors=2)
        (self.media / "b.png").write_bytes(b"b")
        (self.media / "a.png").write_bytes(b"changed")

    def stopped_while_paused(self) -> str:
        """Let somebody stop the container while a backup, killed since, has it paused; return what is told of that."""
        self.sets.prepare()
        Journal(self.sets.begin("20260131-020000")).write(containers=("APP",), frozen=True)
        self.engine.containers["APP"]["State"] = {"Running": False, "Paused": False}
        return "Somebody stopped app while it was paused, so it stays stopped; docker start app starts it."

    def folders(self) -> list[str]:
        """Return what is beside the data of the volumes."""
        beside = [path.relative_to(self.engine.place).as_posix() for path in self.engine.place.glob("*/*")]
        return sorted(path for path in beside if not path.endswith("/_data"))


def database(path: Path, wal: bool = True, **tables: int) -> Path:
    """Make a SQLite database with so many rows per table, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        for table, rows in tables.items():
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY)")
            connection.executemany(f"INSERT INTO {table} DEFAULT VALUES", [()] * rows)
        connection.commit()
    earlier = time.time() - 1  # or a backup would wait for a quiet moment
    for file in path.parent.glob(f"{path.name}*"):
        os.utime(file, (earlier, earlier))
    return path


def tree_of(root: Path) -> dict[str, bytes]:
    """Return the files below a directory with their contents."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
