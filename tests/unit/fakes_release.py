# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that is put live again and again: its engine, its Compose and its versions, on real directories."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineError,
    EngineUnreachable,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import ContainerSnapshot, snapshot
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.host import HASH_LABEL
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import Release
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import cutover, preconditions
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.cutover_state import CutoverWorld
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.files import Kept
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import Releases
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import hear_of_everything
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import (
    FakeVolumeEngine,
    FakeWallClock,
    database,
    tree_of,
)

APP, NEXT, OLD = "shop-app", "shop-app-next", "shop-app-old"
NEVER = 1e9
SECRET = "correct-horse-battery"
CHECK = {"Test": ["CMD", "wget", "http://127.0.0.1:3000/"]}


@dataclass
class Version:
    """How the containers of an image behave, in seconds after their start.

    Attributes:
        answers, healthy: from when its own check succeeds, and from when the engine says so.
        unhealthy, exits: from when the engine says that, and from when it has ended.
        migrates: what it does with the directory of its database before it answers.
        brings: what of its image the engine puts into that directory when it is empty.
        refuses: the engine's answer to its start.
        stops: whether it ends when it is asked to, and ``killed``: whether only by force.
        busy: how long one check takes.
        host: more of its ``HostConfig``.
        answer: what it says to its health check when something is wrong.
    """

    answers: float = 0.5
    healthy: float = 2.0
    unhealthy: float = NEVER
    exits: float = NEVER
    migrates: Callable[[Path], object] = lambda place: None
    brings: Callable[[Path], object] = lambda place: None
    refuses: str = ""
    stops: bool = True
    killed: bool = False
    busy: float = 0.0
    lines: Sequence[str] = ()
    host: Mapping[str, Any] = field(default_factory=dict)
    answer: str = "503: out of service"


class Killed(BaseException):
    """What a process feels of SIGKILL: nothing that it does from now on has an effect."""


class Fate:
    """Strikes a process at one of the points at which it changes something: in files or at the engine.

    With an error, that one change fails; with Killed, this and all later ones have no effect.
    """

    def __init__(self) -> None:
        self.points: list[str] = []
        self._at, self._error, self._place = -1, Exception(), ""
        self._armed = self._dead = False

    def strike(self, place: Path, at: int = -1, error: Optional[BaseException] = None) -> None:
        """Begin to count the changes below a directory; at one of them, raise an error."""
        self.points, self._at, self._place = [], at, str(place)
        self._error = error or Exception()  # type: ignore[assignment]
        self._armed, self._dead = True, False

    def rest(self) -> None:
        """Stop counting; a killed process has a successor."""
        self._armed = self._dead = False

    def meet(self, what: str) -> None:
        """Reach a point."""
        if not self._armed:
            return
        if self._dead:
            raise Killed
        self.points.append(what)
        if len(self.points) - 1 == self._at:
            self._dead = isinstance(self._error, Killed)
            raise self._error

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Hear of everything that the interpreter does; see sys.addaudithook."""
        if not self._armed or event not in _CHANGES:
            if self._dead and event == "sqlite3.connect":  # or it would leave files for which it did not live
                raise Killed
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_CREAT)):
            return
        what = " ".join(str(one) for one in arguments[: 1 if event == "open" else 2])
        if self._place in what and ".lock" not in what:
            self.meet(f"{event} {what.replace(self._place, '')}")


_CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "subprocess.Popen")
FATE = Fate()
hear_of_everything(FATE.hear)


@dataclass
class FakeReleaseEngine(FakeVolumeEngine):
    """An engine with images whose containers behave, and with health checks.

    Attributes:
        versions: by the name of their image.
        away: until which second it does not answer.
        uri: what containers are told of their database.
        started: when each container was.
        lacks: paths at which no container has a program.
        networks: the ids of those there are.
    """

    versions: dict[str, Version] = field(default_factory=dict)
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    away: float = 0.0
    uri: str = "file:///data/payload.db"
    started: dict[str, float] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)
    asked: dict[str, tuple[str, float]] = field(default_factory=dict)
    made: int = 0
    lacks: Sequence[str] = ()

    def add_image(self, name: str, version: Optional[Version] = None) -> None:
        """Add an image."""
        self.images[name] = {"Id": f"sha256:{name}"}
        self.versions[name] = version or Version()

    def place_container(self, name: str, image: str, labels: Mapping[str, str], aliases: Sequence[str]) -> str:
        """Make a container, and return its id."""
        if self.container(name):
            raise EngineError(f"The Docker engine refused: Conflict. The container name /{name} is in use.")
        self.made += 1
        key = f"{self.made:064x}"
        data = self.volumes.get("shop-db")
        if data and not any(Path(data["Mountpoint"]).iterdir()):
            self.versions[image].brings(Path(data["Mountpoint"]))
        self.containers[key] = {
            "Id": key,
            "Name": f"/{name}",
            "Image": self.images[image]["Id"],
            "Config": {
                "Image": image,
                "Labels": dict(labels),
                "Healthcheck": CHECK,
                "Env": ["PORT=3000", f"DATABASE_URI={self.uri}"],
            },
            "State": {"Running": False, "Paused": False, "Status": "created"},
            "Mounts": [
                {"Type": "volume", "Name": name, "Destination": place, "RW": True}
                for name, place in (("shop-media", "/app/media"), ("shop-db", "/data"))
            ],
            "HostConfig": {"AutoRemove": False, **self.versions.get(image, Version()).host},
            "Aliases": list(aliases),
        }
        return key

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        self.answer()
        found = self._found(name)
        if found and found["Id"] in self.started:
            self._live_on(found)
        return found

    def all_containers(self) -> Sequence[Mapping[str, Any]]:
        """Return them as the engine lists them, which is not as it inspects them."""
        return [
            {
                "Id": key,
                "Names": [one["Name"]],
                "Image": one["Config"]["Image"],
                "ImageID": one["Image"],
                "Labels": one["Config"]["Labels"],
                "State": "running" if one["State"]["Running"] else "exited",
                "Mounts": one["Mounts"],
            }
            for key, one in self.containers.items()
        ]

    def images_of(self, repository: str) -> Sequence[Mapping[str, Any]]:
        """Return them by their ids; one that is known by its id alone has no name."""
        ids = dict.fromkeys(one["Id"] for name, one in self.images.items() if name.startswith((repository, "sha256:")))
        return [{"Id": key} for key in ids]

    def look(self, name: str) -> ContainerSnapshot:
        return snapshot(name, self.container(name))

    def answer_of(self, name: str) -> str:
        self.answer()
        return self.versions[self._there(name)["Config"]["Image"]].answer

    def listen(self, names: Sequence[str]) -> FakeNews:
        self.answer()
        return FakeNews(self)

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        self.answer()
        found = next((one for key, one in self.images.items() if name in (key, one["Id"])), None)
        tags = [key for key, one in self.images.items() if found and one["Id"] == found["Id"] != key]
        return {**found, "RepoTags": tags} if found else None

    def has_network(self, network_id: str) -> bool:
        return network_id in self.networks

    def text(self, container: str, path: str) -> str:
        self.answer()
        return "node:x:1000:1001::/:\n" if path == "/etc/passwd" and self._there(container) else ""

    def has(self, container: str, path: str) -> bool:
        self.answer()
        return bool(self._there(container)) and path not in self.lacks

    def logs(self, name: str, lines: int) -> Sequence[str]:
        found = self._found(name)
        written = self.versions[found["Config"]["Image"]].lines if found else ()
        return list(written)[-lines:]

    def begin(self, container: str, command: Sequence[str]) -> str:
        self.answer()
        key = self._there(container)["Id"]
        if not self.containers[key]["State"]["Running"]:
            raise EngineError(f"The Docker engine refused: container {container} is not running.")
        self.asked[f"exec{len(self.asked)}"] = (key, self.second)
        return f"exec{len(self.asked) - 1}"

    def ended(self, command: str) -> Optional[int]:
        self.answer()
        key, began = self.asked[command]
        version = self.versions[self.containers[key]["Config"]["Image"]]
        if self.second - began < version.busy:
            return None
        return 0 if self.second - self.started[key] >= version.answers else 1

    def start(self, container: str) -> None:
        found = self._there(container)
        self._change("start", name_of(found))
        version = self.versions[found["Config"]["Image"]]
        if found["State"]["Running"]:
            return
        if version.refuses:
            raise EngineError(f"The Docker engine refused: {version.refuses}.")
        busy = [name_of(one) for one in self.containers.values() if one["State"]["Running"]]
        self.together = max(self.together, len(busy) + 1)
        version.migrates(Path(self.volumes["shop-db"]["Mountpoint"]))
        found["State"] = {"Running": True, "Paused": False, "Status": "running", "Health": {"Status": "starting"}}
        self.started[found["Id"]] = self.second

    def stop(self, container: str) -> None:
        found = self._there(container)
        self._change("stop", name_of(found))
        version = self.versions[found["Config"]["Image"]]
        if version.stops:
            code = 137 if version.killed else 0
            found["State"] = {"Running": False, "Paused": False, "Status": "exited", "ExitCode": code}
            self.started.pop(found["Id"], None)

    def rename(self, container: str, name: str) -> None:
        found = self._there(container)
        self._change("rename", name_of(found), name)
        if self._found(name):
            raise EngineError(f"The Docker engine refused: Conflict. The container name /{name} is in use.")
        found["Name"] = f"/{name}"

    def remove_container(self, container: str) -> None:
        found = self._found(container)
        self._change("remove", name_of(found) if found else container)
        if found:
            del self.containers[found["Id"]]

    def recreate(self, container: str, name: str, labels: Mapping[str, str], aliases: Sequence[str]) -> str:
        found = self._there(container)
        self._change("recreate", name_of(found), name)
        del self.containers[found["Id"]]
        config = found["Config"]
        return self.place_container(name, config["Image"], {**config["Labels"], **labels}, aliases)

    def remove_image(self, name: str) -> None:
        self._change("remove_image", name)
        self.images.pop(name, None)

    def answer(self) -> None:
        """Answer, unless it is away."""
        if self.second < self.away:
            raise EngineUnreachable("the fake engine is away")

    @property
    def second(self) -> float:
        """The time."""
        assert self.clock
        return self.clock.passed

    together: int = 0  # the greatest number of containers that ran at once

    def names(self) -> dict[str, str]:
        """Return the image of each running container by its name."""
        there = [self.container(key) for key in list(self.containers)]
        return {name_of(one): one["Config"]["Image"] for one in there if one and one["State"]["Running"]}

    def did(self) -> list[str]:
        """Return what was asked to change, as strings."""
        return [" ".join(call) for call in self.calls]

    def _found(self, name: str) -> Optional[dict[str, Any]]:
        return next((one for one in self.containers.values() if name in (one["Id"], name_of(one))), None)

    def _there(self, name: str) -> dict[str, Any]:
        found = self._found(name)
        if not found:
            raise EngineError(f"The Docker engine refused: No such container: {name}.")
        return found

    def _live_on(self, one: dict[str, Any]) -> None:
        version, age = self.versions[one["Config"]["Image"]], self.second - self.started[one["Id"]]
        if age >= version.exits:
            one["State"] = {"Running": False, "Paused": False, "Status": "exited", "ExitCode": 1}
        elif age >= version.unhealthy:
            one["State"]["Health"] = {"Status": "unhealthy", "FailingStreak": 3}
        elif age >= version.healthy:
            one["State"]["Health"] = {"Status": "healthy"}

    def _change(self, *call: str) -> None:
        self.answer()
        try:
            FATE.meet(" ".join(call))
        except OSError as error:  # of the engine's disk
            raise EngineError(f"The Docker engine refused: {error}.") from error
        super()._change(*call)


class FakeNews:
    """News that are always due in a quarter of a second."""

    def __init__(self, engine: FakeReleaseEngine) -> None:
        self._engine = engine

    def wait(self, seconds: float) -> bool:
        assert self._engine.clock
        self._engine.clock.passed += min(seconds, 0.25)
        self._engine.answer()
        return True

    def ran_out_of_memory(self, _name: str) -> bool:
        return False

    def close(self) -> None:
        pass


class FakeCommands:
    """Compose, and commands in containers and on the host, on a fake engine."""

    def __init__(self, engine: FakeReleaseEngine) -> None:
        self.engine = engine
        self.overrides: list[Mapping[str, Any]] = []
        self.version = ""  # of Compose, of which some hash differently

    def create(self, project: str, directory: str, definitions: Sequence[str]) -> None:
        self.engine._change("create", project)
        services = [json.loads(Path(one).read_text()) for one in definitions]
        self.overrides += services[1:]
        service: dict[str, Any] = {}
        for one in services:
            service.update(one["services"]["app"])
        if len(services) == 1:  # otherwise they are external
            for name in ("shop-db", "shop-media"):
                if not self.engine.volume(name):
                    self.engine.add_volume(name)
        elif not all(self.engine.volume(name) for name in ("shop-db", "shop-media")):
            raise EngineError('Compose could not do it. external volume "shop-media" not found')
        name = service["container_name"]
        labels = {**labels_of(project), "com.docker.compose.project.config_files": ",".join(definitions)}
        self.engine.place_container(name, service["image"], labels, [name])

    def up(self, project: str, directory: str, definition: str, recreate: bool = False) -> None:
        self.engine._change("up", project, *(["anew"] if recreate else []))
        service = json.loads(Path(definition).read_text())["services"]["app"]
        name, labels = service["container_name"], {**labels_of(project), HASH_LABEL: self._hash(service)}
        there = self.engine.container(name)
        if there and (recreate or there["Config"]["Labels"].get(HASH_LABEL) != labels[HASH_LABEL]):
            self.engine.remove_container(name)
            there = None
        if not there:
            self.engine.place_container(name, service["image"], labels, [name])
        self.engine.start(name)

    def config_hash(self, project: str, directory: str, definition: str, service: str) -> str:
        self.engine._change("config_hash", project)
        return self._hash(json.loads(Path(definition).read_text())["services"][service])

    def _hash(self, service: Mapping[str, Any]) -> str:
        return f"hash of {service['image']}{self.version}"

    def execute(self, container: str, command: Sequence[str], within: float) -> None:
        self._run("execute", container, *command)

    def here(self, command: Sequence[str], within: float) -> None:
        self._run("here", *command)

    def _run(self, *call: str) -> None:
        self.engine._change(*call)
        if "false" in call:
            raise DockerVpsError("The command false ended with code 1: no output")


class Site:
    """An application ``shop`` on a host, without a container at first."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.clock = FakeWallClock()
        self.engine = FakeReleaseEngine(place / "docker", self.clock)
        self.home = place / "opt"
        self.releases = Releases(str(self.home), str(self.home / ".env.production"))
        self.commands = FakeCommands(self.engine)
        self.world = CutoverWorld(self.releases, self.connect, self.commands, self.clock)
        self.sets = Sets(str(place / "backups"), "shop")
        self.db, self.media = self.engine.add_volume("shop-db"), self.engine.add_volume("shop-media")
        database(self.db / "payload.db", vendors=3, payload_migrations=1)
        (self.media / "a.png").write_bytes(b"a")
        self.write_env("first")

    def connect(self) -> FakeReleaseEngine:
        """Connect to the engine."""
        self.engine.answer()
        return self.engine

    def write_env(self, value: str) -> None:
        """Write the env file, as the role before does it."""
        self.home.mkdir(mode=0o750, exist_ok=True)
        (self.home / ".env.production").write_text(f"WORD={value}\nPAYLOAD_SECRET={SECRET}\n", encoding="utf-8")

    def params(self, image: str, **more: Any) -> preconditions.Params:
        """Return how to put an image live."""
        given: dict[str, Any] = {
            "app": "shop",
            "project": "shop",
            "container": APP,
            "definition": definition_of(image),
            "image": image,
            "database_volume": "shop-db",
            "media_volume": "shop-media",
            **more,
        }
        return preconditions.Params(**given)

    def deploy(self, image: str, version: Optional[Version] = None, check: bool = False, **more: Any) -> dict[str, Any]:
        """Put an image live, the env file with it, and let a minute pass."""
        if image not in self.engine.images or version:
            self.engine.add_image(image, version)
        self.write_env(f"of {image}")
        try:
            return self.run(self.params(image, **more), check)
        finally:
            self.clock.passed += 60

    def run(self, params: preconditions.Params, check: bool = False) -> dict[str, Any]:
        """Put a version live."""
        return cutover.run(params, self.sets, self.world, check)

    def backing_up(self, **more: Any) -> backup.Params:
        """Return how to make a backup."""
        return backup.Params("shop", {"db": "shop-db", "media": "shop-media"}, **more)

    def live(self) -> Release:
        """Return the live release."""
        found = self.releases.read(self.releases.current())
        assert found
        return found

    def newest(self) -> Release:
        """Return the newest release, live or not."""
        return self.releases.listing()[0]

    def beside(self) -> list[str]:
        """Return what is beside the data of the volumes."""
        found = [path.relative_to(self.engine.place).as_posix() for path in self.engine.place.glob("*/*")]
        return sorted(path for path in found if not path.endswith("/_data"))

    def state(self) -> dict[str, Any]:
        """Return all that a failed release must not change."""
        return {
            "containers": {key: name_of(one) for key, one in self.engine.containers.items()},
            "running": self.engine.names(),
            "current": self.releases.current(),
            "files": {name: Path(path).read_bytes() for name, path in self.releases.live.items()},
            "data": {**tree_of(self.db), **tree_of(self.media)},
            "beside": self.beside(),
            "unfinished": self.releases.unfinished(),
        }

    def counted(self) -> dict[str, int]:
        """Return the rows of the live database by table."""
        return rows_of(self.db / "payload.db")


def name_of(one: Mapping[str, Any]) -> str:
    """Return the name of a container."""
    return str(one["Name"]).lstrip("/")


def labels_of(project: str) -> dict[str, str]:
    """Return the labels that Compose gives to a container."""
    return {"com.docker.compose.project": project, "com.docker.compose.service": "app"}


def definition_of(image: str, name: str = APP) -> str:
    """Return a definition."""
    services = {"app": {"image": image, "container_name": name}}
    return json.dumps({"services": services, "volumes": {"database": {"name": "shop-db"}}})


def rows_of(path: Path) -> dict[str, int]:
    """Return the rows of a database by table."""
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def migrate(place: Path) -> None:
    """Change the schema once, as a version of Payload does it: it also writes down that it did."""
    if "orders" in rows_of(place / "payload.db"):
        return
    database(place / "payload.db", orders=0)
    with closing(sqlite3.connect(place / "payload.db")) as connection:
        connection.execute("INSERT INTO payload_migrations DEFAULT VALUES")
        connection.commit()


def env_of(path: str) -> Kept:
    """Return a file as it is kept."""
    facts = os.stat(path)
    return Kept(Path(path).read_text(encoding="utf-8"), facts.st_mode & 0o777, facts.st_uid, facts.st_gid)


def points(site: Site, act: Callable[[], object]) -> Iterator[str]:
    """Yield the points of something that is done, without striking."""
    FATE.strike(site.place)
    try:
        act()
    finally:
        FATE.rest()
    yield from FATE.points
