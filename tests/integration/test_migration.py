# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways of docs/migration.md, there and back: volumes are used in place, with all that is in them.

Of Kamal and Coolify there is the layout that they leave on a host, made by hand; the page says of which versions.
"""

from __future__ import annotations

import json
import re
import shlex
import textwrap
import time
from pathlib import Path
from typing import Any, ClassVar, Iterator, Mapping, Sequence

import pytest
import yaml
from lab import (
    ROOT,
    STANDIN,
    App,
    MakeApp,
    Played,
    copied,
    deploy_all,
    docker,
    image_of,
    inspect,
    process,
    request,
    run,
    until,
)

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

    # While the old one runs: a backup works, a deploy is refused, and the image is built, also for the same name.
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


PAGE = (ROOT / "docs/migration.md").read_text(encoding="utf-8")
IMAGE = "it-moved-old"
ROWS = ["First Ltd", "Second Ltd"]
BOUND = 30.0  # seconds without an answer at most, while three applications move at once on a busy machine
# Asks the names that it is given, one after the other, and says when one of them has answered.
VISITOR = """
const ask = (name) => fetch(`http://${name}:3000/api/vendors`, { signal: AbortSignal.timeout(1000) })
const visit = async () => {
  for (const name of process.argv.slice(1)) {
    if ((await ask(name).catch(() => ({}))).ok) { console.log(Date.now() / 1000); break }
  }
  setTimeout(visit, 50)
}
visit()
"""


def section(title: str) -> str:
    """Return what the page says under a heading."""
    return str(PAGE.split(f"## From {title}\n", 1)[1].split("\n## ", 1)[0])


def variables(title: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the inventory that the page has for a tool, with other names, without secrets and the URL of git."""
    text = renamed(re.findall(r"(?ms)^```yaml\n(.*?)^```$", section(title))[0], names)
    found: dict[str, Any] = yaml.safe_load(text)
    return {name: value for name, value in found.items() if "{{" not in str(value) and name != "docker_vps_git_url"}


def renamed(text: str, names: Mapping[str, str]) -> str:
    for name, other in names.items():
        text = text.replace(name, other)
    return text


class Old:
    """An application as another tool has left it on a host, with rows, a picture, and a stand-in for its proxy.

    Attributes:
        title: the heading of its section in the page.
        names: what the page calls its things, and what they are called here.
        facts: what the page says of its layout, which is as here.
        owner: whose its files are; root's, where its image names nobody.
        left: when it was stopped, in seconds since 1970.
    """

    title = ""
    names: ClassVar[Mapping[str, str]] = {}
    facts: Sequence[str] = ()
    owner = (0, 0)

    def __init__(self, make_app: MakeApp, place: Path) -> None:
        name = f"it-{self.title.split()[-1].lower()}"
        given = {**variables(self.title, self.names), "docker_vps_app": name, "docker_vps_network": f"{name}-net"}
        asked = {"docker_vps_doctor_fail": "warning", "docker_vps_restore_stop_app": True}
        self.app = make_app(name, **given, **asked, docker_vps_remove_confirm=name, docker_vps_payload_secret=SECRET)
        self.place, self.container, self.network, self.left = place, "", self.app.network, 0.0
        found = self.app.variables
        self.volumes = {
            "db": found.get("docker_vps_database_volume", f"{self.app.name}-db"),
            "media": found.get("docker_vps_media_volume", f"{self.app.name}-media"),
        }
        self.mounts = {"db": found.get("docker_vps_database_mount", "/data"), "media": "/app/public/media"}
        self.environment = {
            "DATABASE_URI": found.get("docker_vps_database_uri", "file:///data/payload.db"),
            "PAYLOAD_SECRET": SECRET,
        }
        place.mkdir()
        self.remove()

    def start(self) -> None:
        """Start it as the tool does the first time."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it as the page says."""
        raise NotImplementedError

    def again(self) -> None:
        """Start it again, as the page says of the way back."""
        raise NotImplementedError

    def fill(self) -> None:
        """Have it serve, and give it rows and a picture."""
        docker("network", "create", self.network)
        self.start()
        until(self.rows, 20, "an answer")
        for name in ROWS:
            self.post("/api/vendors", json.dumps({"name": name}).encode())
        self.post("/media/square.png", b"a picture")
        how = ("--detach", "--name", self.visitor, "--network", self.network, "--dns", "127.0.0.1")
        image = self.app.variables["docker_vps_base_image"]
        docker("run", *how, image, "node", "--eval", VISITOR, self.container, self.app.container)

    def post(self, path: str, data: bytes) -> None:
        """Send something to the old application."""
        request(self.url(path), data)

    def url(self, path: str) -> str:
        """Return a URL of the old application."""
        return f"http://{inspect(self.container)['NetworkSettings']['Networks'][self.network]['IPAddress']}:3000{path}"

    def rows(self) -> list[str] | None:
        """Return the rows that the old application shows, an empty name for none; None while it does not answer."""
        try:
            return [row["name"] for row in request(self.url("/api/vendors")).json["docs"]] or [""]
        except OSError:
            return None

    @property
    def visitor(self) -> str:
        """The name of the stand-in for the reverse proxy."""
        return f"{self.network}-visitor"

    def unserved(self) -> float:
        """Return for how many seconds nobody has answered at most since the old application was left."""
        answers = [float(line) for line in docker("logs", self.visitor).splitlines()]
        gaps = [later - earlier for earlier, later in zip(answers, answers[1:]) if later > self.left]
        return round(max(gaps), 1)

    def files(self) -> dict[str, tuple[int, tuple[int, int]]]:
        """Return the inodes of the database and of the picture, which copies would not have, and whose they are."""
        roots = {
            name: docker("volume", "inspect", "--format", "{{.Mountpoint}}", self.volumes[name]) for name in self.mounts
        }
        places = {"db": Path(roots["db"]) / "payload.db", "media": Path(roots["media"]) / "square.png"}
        found = {name: place.stat() for name, place in places.items()}
        return {name: (facts.st_ino, (facts.st_uid, facts.st_gid)) for name, facts in found.items()}

    def remove(self) -> None:
        """Remove what is left of it."""
        for container in docker("ps", "--all", "--quiet", "--filter", f"network={self.network}").split():
            docker("rm", "--force", container)
        self.app.remove()
        docker("volume", "rm", "--force", *self.volumes.values())


class Scripts(Old):
    """What the specification's compose.yml and scripts leave, in a directory named docker."""

    title = "the specification's shell scripts"
    names: ClassVar = {"ptnextjs": "it-scripts"}
    facts = ("ptnextjs-app", "docker", "ptnextjs-db", "ptnextjs-media", "proxy", "backups/db-TIMESTAMP.tar.gz")
    owner = (1005, 997)

    @property
    def directory(self) -> Path:
        """Where its Compose file is, whose name is that of the project."""
        return self.place / "docker"

    def compose(self, *arguments: str) -> None:
        run("docker", "compose", *arguments, cwd=self.directory)

    def start(self) -> None:
        self.container = self.app.container
        self.directory.mkdir()
        user, group = self.owner
        values = {**self.environment, "NODE_ENV": "production", "PORT": "3000", "PUID": user, "PGID": group}
        (self.directory / ".env.production").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        own = 'chown -R "$$PUID:$$PGID" /data /app/public/media && exec gosu "$$PUID:$$PGID" node server.js'
        service = {
            "image": IMAGE,
            "container_name": self.container,
            "restart": "unless-stopped",
            "command": ["sh", "-c", own],
            "env_file": [".env.production"],
            "networks": ["proxy"],
            "volumes": [f"payload-db:{self.mounts['db']}", f"media-uploads:{self.mounts['media']}"],
        }
        volumes = {"payload-db": {"name": self.volumes["db"]}, "media-uploads": {"name": self.volumes["media"]}}
        networks = {"proxy": {"external": True, "name": self.network}}
        definition = {"services": {"app": service}, "networks": networks, "volumes": volumes}
        (self.directory / "docker-compose.yml").write_text(json.dumps(definition))
        self.again()

    def stop(self) -> None:
        self.compose("down")

    def again(self) -> None:
        self.compose("up", "--detach")

    def back_up(self, timestamp: str) -> None:
        """Archive both volumes while it is down, and start it again."""
        self.stop()
        kept = self.directory / "backups"
        kept.mkdir()
        for part, volume in self.volumes.items():
            mounts = ("--volume", f"{volume}:/data", "--volume", f"{kept}:/backup")
            docker(
                "run", "--rm", *mounts, IMAGE, "tar", "czf", f"/backup/{part}-{timestamp}.tar.gz", "-C", "/data", "."
            )
        self.again()
        until(self.rows, 20, "an answer")


class Kamal(Old):
    """What Kamal 2 leaves: the container of a version, and those of earlier ones, which are stopped."""

    title = "Kamal"
    names: ClassVar = {"site": "it-kamal"}
    facts = ("SERVICE-ROLE-VERSION", "kamal", ".kamal/apps/SERVICE/env/roles/ROLE.env")
    version, earlier = "3d4764f2d33e7e635b0e4595c61871614871b1e8", "549e9859b66a4a44e1530596acccdd32bcf613ea"

    def start(self) -> None:
        secrets = self.place / f".kamal/apps/{self.app.name}/env/roles/web.env"
        secrets.parent.mkdir(parents=True)
        secrets.write_text(f"PAYLOAD_SECRET={SECRET}\n")
        for version in (self.earlier, self.version):
            if self.container:
                docker("stop", "--time", "1", self.container)
            self.container = f"{self.app.name}-web-{version}"
            options = [
                *("--detach", "--restart", "unless-stopped", "--name", self.container, "--network", self.network),
                *("--hostname", "127.0.0.1-da57e48629be", "--env", f"KAMAL_CONTAINER_NAME={self.container}"),
                *("--env", f"KAMAL_VERSION={version}", "--env", "KAMAL_HOST=127.0.0.1"),
                *("--env", f"DATABASE_URI={self.environment['DATABASE_URI']}", "--env-file", str(secrets)),
                *("--log-opt", "max-size=10m"),
                *(f"--volume={self.volumes[name]}:{mount}" for name, mount in self.mounts.items()),
                *("--label", f"service={self.app.name}", "--label", "role=web", "--label", "destination"),
            ]
            docker("run", *options, IMAGE)

    def stop(self) -> None:
        docker("stop", self.container)

    def again(self) -> None:
        docker("start", self.container)


class Coolify(Old):
    """What Coolify 4 leaves: a Compose project named by an identifier, whose container goes when it is stopped."""

    title = "Coolify"
    names: ClassVar = {"vgsco4o": "it-coolify-vgsco4o", "site": "it-coolify"}
    facts = ("UUID-NUMBER", "UUID-NAME", "coolify", "/data/coolify/applications/UUID")
    uuid = names["vgsco4o"]

    def start(self) -> None:
        (self.place / ".env").write_text("".join(f"{key}={value}\n" for key, value in self.environment.items()))
        self.deploy("101530123456")

    def deploy(self, number: str) -> None:
        """Start a container, whose name ends with the time of day."""
        self.container = f"{self.uuid}-{number}"
        rule = "Host(`www.example.com`) && PathPrefix(`/`)"
        labels = {"coolify.managed": "true", "coolify.type": "application", "coolify.name": self.uuid}
        labels |= {"traefik.enable": "true", f"traefik.http.routers.http-0-{self.uuid}.rule": rule}
        service = {
            "image": IMAGE,
            "container_name": self.container,
            "restart": "unless-stopped",
            "expose": ["3000"],
            "networks": {self.network: {"aliases": [self.container]}},
            "env_file": [".env"],
            "labels": labels,
            "volumes": [f"{self.volumes[name]}:{mount}" for name, mount in self.mounts.items()],
        }
        volumes = {name: {"name": name, "external": False} for name in self.volumes.values()}
        networks = {self.network: {"external": True, "name": self.network}}
        definition = {"services": {self.container: service}, "networks": networks, "volumes": volumes}
        file = self.place / "docker-compose.yaml"
        file.write_text(json.dumps(definition))
        how = ("--project-name", self.uuid, "--project-directory", str(self.place), "--file", str(file))
        run("docker", "compose", *how, "up", "--detach")

    def stop(self) -> None:
        docker("stop", self.container)
        docker("rm", "--force", self.container)

    def again(self) -> None:
        self.deploy("181245654321")


TIMESTAMP = "20251106-030000"


@pytest.fixture(scope="module")
def olds(make_app: MakeApp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Old]]:
    """An application of each tool, filled, and serving; the scripts have made archives before the second row."""
    place = tmp_path_factory.mktemp("olds")
    base = image_of("base_image.sh")
    lines = (
        f"FROM {base}",
        "WORKDIR /app",
        "COPY server.js .",
        "RUN mkdir -p public/media",
        'CMD ["node", "server.js"]',
    )
    copied(STANDIN, place / "image", Dockerfile="\n".join(lines))
    docker("build", "--quiet", "--tag", IMAGE, str(place / "image"))
    made: list[Old] = []
    try:
        for kind in (Scripts, Kamal, Coolify):
            made.append(kind(make_app, place / kind.__name__))
            made[-1].fill()
        scripts = made[0]
        assert isinstance(scripts, Scripts)
        scripts.back_up(TIMESTAMP)
        scripts.post("/api/vendors", b'{"name": "After the archives"}')
        yield made
    finally:
        for old in made:
            old.remove()
        docker("rmi", "--force", IMAGE)


def at_once(olds: Sequence[Old], playbook: str, *arguments: str) -> Mapping[str, Played]:
    """Play a playbook for all of them in one run."""
    played: Mapping[str, Played] = deploy_all({old.app.name: old.app for old in olds}, *arguments, playbook=playbook)
    return played


def test_the_layouts_are_those_of_the_page() -> None:
    for kind in (Scripts, Kamal, Coolify):
        assert [fact for fact in kind.facts if f"`{fact}`" not in section(kind.title)] == [], kind.title


def test_other_tools_are_left_and_come_back(olds: list[Old], record_testsuite_property: Any) -> None:
    scripts, *_others = olds
    assert isinstance(scripts, Scripts)
    volumes = volumes_of(olds)
    prepare(olds)
    move(olds)
    for old in olds:
        assert 0.5 < old.unserved() < BOUND
        record_testsuite_property(f"seconds for which nothing was served: {old.title}", old.unserved())
    refuses_its_name(scripts)
    restore_a_set(olds)
    from_archives(scripts)
    come_back(olds)
    assert volumes_of(olds) == volumes


def volumes_of(olds: Sequence[Old]) -> list[str]:
    """Return the names of all volumes that may be of theirs."""
    begins = tuple(old.app.name for old in olds)
    return [name for name in docker("volume", "ls", "--quiet").split() if name.startswith(begins)]


def prepare(olds: Sequence[Old]) -> None:
    """Try it, which says what is in the way, and build the images, while the old ones serve."""
    had = [old.rows() for old in olds]
    refused = at_once(olds, "deploy", "--check")
    for old in olds:
        named = f"container {old.container}: expected absent, or of the Compose project {old.app.name}"
        also = f"{old.container} also runs on {old.volumes['db']}"
        assert (named if old.container == old.app.container else also) in refused[old.app.name].failed().text
    for played in at_once(olds, "deploy", "--tags", "image").values():
        played.succeeded()
    assert [old.rows() for old in olds] == had


def move(olds: Sequence[Old]) -> None:
    """Stop the old ones and deploy; all is there, in the same files, and can be written."""
    before = [(old.rows(), old.files()) for old in olds]
    for old in olds:
        old.left = time.time()
        old.stop()
    for played in at_once(olds, "deploy").values():
        played.succeeded()
    for old, (had, files) in zip(olds, before):
        assert rows(old.app) == had
        assert old.app.get("/media/square.png").body == b"a picture"
        assert old.app.post("/api/vendors", {"name": "Written by the new one"}).status == 201
        assert old.app.env_keys()["PAYLOAD_SECRET"] == SECRET
        assert {name: inode for name, (inode, _owner) in old.files().items()} == {
            name: inode for name, (inode, _owner) in files.items()
        }
        assert {owner for _inode, owner in old.files().values()} == {old.owner if old.owner[0] else (1000, 1000)}
    for played in at_once(olds, "deploy").values():
        assert played.recap["changed"] == 0


def refuses_its_name(scripts: Scripts) -> None:
    """What cron may start of the scripts does not start the old one beside the new one."""
    assert (
        "is already in use by container"
        in run("docker", "compose", "up", "--detach", cwd=scripts.directory, check=False).stderr
    )
    assert rows(scripts.app)[-1] == "Written by the new one"


def restore_a_set(olds: Sequence[Old]) -> None:
    """Make a set, prove it, see that nothing is wrong, and bring the set back."""
    for playbook in ("backup", "restore_drill", "doctor"):
        for played in at_once(olds, playbook).values():
            played.succeeded()
    had = [rows(old.app) for old in olds]
    for old in olds:
        old.app.post("/api/vendors", {"name": "After the set"})
    for played in at_once(olds, "restore").values():
        played.succeeded()
    assert [rows(old.app) for old in olds] == had


def from_archives(scripts: Scripts) -> None:
    """Do what the page says of the archives that the scripts have made, word by word."""
    old = {"old-": "it-old-", **scripts.names, "/var/backups/it-scripts-old": str(scripts.place / "sets")}
    archives, backup, restore = [
        renamed(one, old) for one in re.findall(r"(?ms)^```sh\n(.*?)^```$", section(scripts.title))
    ]
    assert TIMESTAMP in archives
    try:
        run("bash", "-euc", archives, cwd=scripts.directory)
        verb, arguments = command(backup)
        scripts.app.playbook(verb, *arguments).succeeded()
    finally:
        docker("volume", "rm", "--force", *(f"it-old-{part}" for part in scripts.volumes))
    (manifest,) = (scripts.place / "sets").glob("manifest-*.json")
    verb, arguments = command(restore.replace("manifest-20260131-020000.json", manifest.name))
    scripts.app.playbook(verb, *arguments).succeeded()
    assert rows(scripts.app) == ROWS


def come_back(olds: Sequence[Old]) -> None:
    """Remove the new ones, and start the old ones again, which write what they read."""
    had = [rows(old.app) for old in olds]
    for played in at_once(olds, "remove").values():
        played.succeeded()
    for old, names in zip(olds, had):
        old.again()
        assert until(old.rows, 20, "an answer") == names
        old.post("/api/vendors", b'{"name": "Written by the old one"}')
        assert old.rows() == [*names, "Written by the old one"]


def command(text: str) -> tuple[str, list[str]]:
    """Return the playbook and the further arguments of a command of the page."""
    words = shlex.split(text.replace("\\\n", " "))
    assert words[0] == "ansible-playbook"
    assert words[2:4] == ["-i", "prod"]
    return words[1].rpartition(".")[2], words[4:]


def test_a_dockerfile_whose_entrypoint_changes_its_user_can_stay(make_app: MakeApp, tmp_path: Path) -> None:
    user, group = Scripts.owner
    dockerfile = f"""
        FROM {image_of("base_image.sh")}
        WORKDIR /app
        RUN groupadd --gid 1000 nodejs && useradd --uid 1000 --gid nodejs nextjs && mkdir -p /data public/media
        COPY --chown=nextjs:nodejs server.js .
        COPY --chmod=0755 docker/entrypoint.sh /usr/local/bin/
        ENTRYPOINT ["entrypoint.sh"]
        CMD ["node", "server.js"]
    """
    steps = ('groupmod --non-unique --gid "$PGID" nodejs', 'usermod --non-unique --uid "$PUID" nextjs')
    owns = ("chown -R nextjs:nodejs /data /app/public/media", 'exec gosu nextjs "$@"')
    entrypoint = "\n".join(("#!/bin/sh", "set -e", *steps, *owns, ""))
    files = {"docker/Dockerfile": textwrap.dedent(dockerfile), "docker/entrypoint.sh": entrypoint}
    sources = copied(STANDIN, tmp_path / "sources", **files)
    given = {"docker_vps_source_path": str(sources), "docker_vps_dockerfile": "docker/Dockerfile"}
    app = make_app("it-own-entrypoint", **given, docker_vps_puid=user, docker_vps_pgid=group)
    app.deploy().succeeded()
    assert process(app.container, "node")["Uid"].split()[0] == str(user)
    assert app.post("/api/vendors", {"name": ROWS[0]}).status == 201
