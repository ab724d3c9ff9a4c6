# SPDX-License-Identifier: GPL-3.0-or-later
"""A healthy stack is broken in many ways: the right cause comes first, and the command that it names fixes it.

``make doctor`` runs this and writes the table of docs/doctor.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseRequestHandler, UDPServer
from typing import Any, Callable, Iterator, Mapping, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import job_history
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import HOUR
from lab import STANDIN, docker, image_of, inspect, run, until
from patients import HEALTHY_WITHIN, THRESHOLDS, Stack

ENDS_WITHIN = 10.0  # seconds
ROUNDS = 4  # commands after which all is well again, since a cause may leave a consequence
Break = Callable[[Stack], object]
HOLDS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@dataclass
class Case:
    """A way to break the stack.

    Attributes:
        cause: the finding that comes first.
        breaks: does it.
        helps: what a person does before the command, such as correcting a file; None runs the command alone.
        instead: what is done instead of a command where no single one fixes it, or it cannot be run here.
        words: what that is, for the table.
    """

    name: str
    cause: str
    breaks: Break
    helps: Optional[Break] = None
    instead: Optional[Break] = None
    words: str = ""


CASES: list[Case] = []


def case(name: str, cause: str, **more: Any) -> Callable[[Break], Break]:
    """Make a case of a function."""

    def made(breaks: Break) -> Break:
        CASES.append(Case(name, cause, breaks, **more))
        return breaks

    return made


def add(name: str, cause: str, breaks: Break, **more: Any) -> None:
    """Add a case that is one line."""
    CASES.append(Case(name, cause, breaks, **more))


def offline(stack: Stack, change: Callable[[Path], object]) -> None:
    """Change the database while the application is stopped, and start it again."""
    docker("stop", stack.container)
    change(stack.database)
    docker("start", stack.container)


def volumes(stack: Stack, *wanted: str) -> None:
    """Have the container made with other mounts; the declaration of a volume that nothing uses stays."""

    def edit(definition: dict[str, Any]) -> None:
        definition["services"]["app"]["volumes"] = [*wanted, "media:/app/public/media"]
        definition["volumes"]["other"] = {"name": f"{stack.app.name}-other"}

    stack.compose(edit)


def own_sources(stack: Stack) -> Path:
    """Return sources of the application that may be changed; it is deployed from these then."""
    sources = stack.place / "sources"
    if not sources.exists():
        subprocess.run(["cp", "-r", stack.app.variables["docker_vps_source_path"], str(sources)], check=True)
    stack.app.variables["docker_vps_source_path"] = str(sources)
    return sources


# The container does not start

add("env: a secret is missing", "env-wrong", lambda stack: stack.env(PAYLOAD_SECRET=None))
add("env: DATABASE_URI is outside of the volume", "env-wrong", lambda stack: stack.env(DATABASE_URI="file:/tmp/x.db"))
add("env: another port", "env-port", lambda stack: stack.env(PORT="4000"))


@case("permissions: the database is root's", "database-modes")
def permissions_the_database_is_roots(stack: Stack) -> None:
    stack.database.chmod(0o600)
    os.chown(stack.database, 0, 0)


@case("permissions: another tool left files beside the database", "database-modes")
def permissions_another_tool_left_files_beside_the_database(stack: Stack) -> None:
    os.chown(f"{stack.database}-wal", 0, 0)
    os.chown(f"{stack.database}-shm", 0, 0)


@case("permissions: the uploads are root's", "volume-modes")
def permissions_the_uploads_are_roots(stack: Stack) -> None:
    place = json.loads(docker("volume", "inspect", f"{stack.app.name}-media"))[0]["Mountpoint"]
    os.chown(place, 0, 0)


@case("port: a published one is taken", "app-port")
def port_a_published_one_is_taken(stack: Stack) -> None:
    stack.service(ports=[f"127.0.0.1:{stack.port}:3000"])


add("port: published past the proxy", "app-published", lambda stack: stack.service(ports=["18091:3000"]))


def without_image(stack: Stack) -> None:
    image = inspect(stack.container)["Config"]["Image"]
    docker("rm", "--force", stack.container)
    docker("rmi", "--force", image)


def corrected(stack: Stack) -> None:
    own_sources(stack).joinpath("build.js").write_text((STANDIN / "build.js").read_text())


def failing(stack: Stack) -> None:
    own_sources(stack).joinpath("build.js").write_text("throw new Error('no such module: sesame')\n")
    stack.app.deploy().failed()


CORRECTED = "the sources are corrected"
add("build: the image is not there", "image-missing", without_image)
add("build: a step fails, and the old version runs", "build-failed", failing, helps=corrected, words=CORRECTED)
add(
    "build: a step fails, and there is no image",
    "build-failed",
    lambda stack: (without_image(stack), failing(stack)),
    helps=corrected,
    words=CORRECTED,
)


@case("image for another architecture", "image-architecture")
def image_for_another_architecture(stack: Stack) -> None:
    name = f"{stack.app.name}-arm:1"
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<2HI3QI6H", 2, 183, 1, 0, 64, 0, 0, 64, 56, 0, 64, 0, 0)
    (stack.place / "arm").mkdir(exist_ok=True)
    (stack.place / "arm/server").write_bytes(elf)
    (stack.place / "arm/server").chmod(0o755)
    packed = f"tar -C {stack.place}/arm -c . | docker import --platform linux/arm64 - {name}"
    subprocess.run(packed, shell=True, check=True, capture_output=True)
    stack.service(image=name, entrypoint=["/server"], init=False)


# The health check fails

add(
    "start_period: too short for a slow start",
    "health-start",
    lambda stack: (
        stack.service(environment={"STANDIN_DELAY": "40"}, restart="no"),
        stack.becomes("unhealthy"),
    ),
)


@case("route missing", "health-route")
def route_missing(stack: Stack) -> None:
    test = inspect(stack.container)["Config"]["Healthcheck"]["Test"]
    stack.check(test=[word.replace("/api/health", "/api/nothing").replace("$", "$$") for word in test])
    stack.becomes("unhealthy")


@case("health check: its command is not in the image", "health-command")
def health_check_its_command_is_not_in_the_image(stack: Stack) -> None:
    stack.check(test=["CMD-SHELL", "no-such-program http://127.0.0.1:3000/"])
    stack.becomes("unhealthy")


# The proxy answers 502


def without_network(stack: Stack) -> None:
    docker("stop", stack.container)
    docker("network", "disconnect", stack.app.network, stack.proxy)
    docker("network", "rm", stack.app.network)


add("network missing", "network-missing", without_network)


@case("network recreated while the application was stopped", "network-new")
def network_made_anew_while_the_application_was_stopped(stack: Stack) -> None:
    without_network(stack)
    docker("network", "create", stack.app.network)
    docker("network", "connect", stack.app.network, stack.proxy)


@case("application not on the network", "network-app")
def application_not_on_the_network(stack: Stack) -> None:
    docker("network", "disconnect", stack.app.network, stack.container)


@case("a second container has its name", "network-alias")
def a_second_container_has_its_name(stack: Stack) -> None:
    alias = ("--network", stack.app.network, "--network-alias", stack.container)
    docker("run", "--detach", "--name", f"{stack.app.name}-blocker", *alias, image_of("base_image.sh"), "sleep", "600")


add(
    "wrong upstream name",
    "proxy-upstream",
    lambda stack: stack.start_proxy("localhost:3000"),
    helps=lambda stack: stack.configure(),
    words="the upstream is corrected",
)
add(
    "wrong upstream port",
    "proxy-upstream",
    lambda stack: stack.start_proxy(f"{stack.container}:3001"),
    helps=lambda stack: stack.configure(),
    words="the upstream is corrected",
)


@case("proxy's stale DNS", "proxy-stale")
def proxys_stale_dns(stack: Stack) -> None:
    docker("stop", stack.container)
    options = ("--detach", "--init", "--name", f"{stack.app.name}-blocker", "--network", stack.app.network)
    docker("run", *options, image_of("base_image.sh"), "sleep", "600")  # takes the address that was freed
    docker("start", stack.container)
    until(stack.is_well, HEALTHY_WITHIN, "healthy")


add("proxy stopped", "proxy-stopped", lambda stack: docker("stop", stack.proxy))
add(
    "proxy not on the network",
    "proxy-network",
    lambda stack: docker("network", "disconnect", stack.app.network, stack.proxy),
)


@case("the proxy's page was left", "proxy-page")
def the_proxys_page_was_left(stack: Stack) -> None:
    flag = stack.place / "page.on"
    flag.touch()
    stack.given["maintenance_flag"] = str(flag)


# Data is lost

add("volume not in the definition", "volume-unmounted", volumes)
add("volume mounted elsewhere", "volume-elsewhere", lambda stack: volumes(stack, "database:/app/data"))
add("data restored into another volume", "volume-other", lambda stack: volumes(stack, "other:/data"))
add("volume mounted read-only", "volume-readonly", lambda stack: volumes(stack, "database:/data:ro"))


@case("volume deleted", "volume-missing")
def volume_deleted(stack: Stack) -> None:
    docker("rm", "--force", stack.container)
    docker("volume", "rm", f"{stack.app.name}-db")


@case("database deleted", "data-gone")
def database_deleted(stack: Stack) -> None:
    docker("stop", stack.container)
    for path in stack.database.parent.iterdir():
        path.unlink()


def emptied(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM vendors")


add("rows deleted", "data-lost", lambda stack: offline(stack, emptied))

# The database


def written_back(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def spoil(path: Path) -> None:
    written_back(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


add("database malformed", "database-damaged", lambda stack: offline(stack, spoil))


@case("database locked", "database-locked")
def database_locked(stack: Stack) -> None:
    command = [sys.executable, "-c", HOLDS, str(stack.database)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "locked\n"


def newer(stack: Stack, column: str) -> None:
    """Have a newer version of the application, which adds a column to its database."""
    with (own_sources(stack) / "server.js").open("a") as file:
        file.write(f"// with {column}\n")
    stack.app.variables["docker_vps_env"] = {"STANDIN_MIGRATE": column}


@case("code older than the schema", "database-schema")
def code_older_than_the_schema(stack: Stack) -> None:
    before = inspect(stack.container)["Config"]["Image"]
    newer(stack, "website")
    stack.app.deploy().succeeded()
    stack.service(image=before)


def old_library(path: Path) -> None:
    written_back(path)
    with path.open("r+b") as file:
        file.seek(96)
        file.write((3_045_001).to_bytes(4, "big"))


add(
    "SQLite with a known bug",
    "database-library",
    lambda stack: offline(stack, old_library),
    helps=lambda stack: newer(stack, "phone"),
    words="the application gets a newer SQLite",
)


@case("SQLite is busy", "database-busy")
def sqlite_is_busy(stack: Stack) -> None:
    environment = {"STANDIN_TELL": "TROUBLE", "TROUBLE": "SQLITE_BUSY: database is locked"}
    stack.service(environment=environment)
    for _turn in range(2):
        until(stack.is_well, HEALTHY_WITHIN, "it has written its log")
        docker("restart", stack.container)
    until(stack.is_well, HEALTHY_WITHIN, "it has written its log")


# The host


@contextlib.contextmanager
def small_disk(stack: Stack, options: str) -> Iterator[Path]:
    """A disk of its own for the backups, with a copy of them."""
    place = stack.place / "disk"
    place.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
    run("cp", "-a", f"{stack.app.backups}/.", str(place))
    stack.given |= {"sets_directory": str(place), "thresholds": {**THRESHOLDS, "disk_full": 98.0}}
    yield place


def full(stack: Stack) -> None:
    with small_disk(stack, "size=2m") as place, contextlib.suppress(OSError), open(place / "filler", "wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()


def crowded(stack: Stack) -> None:
    with small_disk(stack, "size=8m,nr_inodes=200") as place, contextlib.suppress(OSError):
        (place / "filler").mkdir()
        for number in range(400):
            (place / "filler" / str(number)).touch()


def emptied_disk(stack: Stack) -> None:
    subprocess.run(["rm", "-rf", str(stack.place / "disk/filler")], check=True)


FILES = "the files, which are nobody's that we know, are removed"
add("disk full", "disk-full", full, instead=emptied_disk, words=FILES)
add("no inode free", "disk-inodes", crowded, instead=emptied_disk, words=FILES)


@case("out of memory", "memory-oom")
def out_of_memory(stack: Stack) -> None:
    def edit(definition: dict[str, Any]) -> None:
        service = definition["services"]["app"]
        service["deploy"]["resources"] = {"limits": {"memory": "96M"}}
        service |= {"memswap_limit": "96M", "restart": "no"}
        service["command"] = ["node", "-e", "const all = []; for (;;) all.push(Buffer.alloc(1 << 24, 1))"]

    stack.compose(edit)
    stack.becomes("exited")


class TimeServer(BaseRequestHandler):
    """A time server whose clock is another."""

    ahead = 0.0

    def handle(self) -> None:
        asked, socket = self.request
        stamp = int((time.time() + self.ahead + 2208988800) * 2**32)
        answer = struct.pack("!BB22x3Q", 4 << 3 | 4, 2, struct.unpack("!Q", asked[40:48])[0], stamp, stamp)
        socket.sendto(answer, self.client_address)


def right_clock(_stack: Stack) -> None:
    TimeServer.ahead = 0.0


@case("clock skew", "clock-skew", instead=right_clock, words="the clock of the time server is set")
def clock_skew(stack: Stack) -> None:
    server = UDPServer(("127.0.0.1", 0), TimeServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    TimeServer.ahead = 3600.0
    stack.given["time_server"] = f"127.0.0.1:{server.server_address[1]}"


def engine_is_back(stack: Stack) -> None:
    stack.given.pop("docker_host", None)


@case("engine away", "engine-answer", instead=engine_is_back, words="the right address is given back")
def engine_away(stack: Stack) -> None:
    stack.given["docker_host"] = f"unix://{stack.place}/none.sock"


# The container, and what is running

add("container paused", "app-paused", lambda stack: docker("pause", stack.container))
add("container stopped by somebody", "app-stopped", lambda stack: docker("stop", stack.container))


@case("container hangs", "app-state")
def container_hangs(stack: Stack) -> None:
    processes = docker("top", stack.container, "-o", "pid,comm").splitlines()
    os.kill(next(int(line.split()[0]) for line in processes if line.endswith("node")), signal.SIGSTOP)
    stack.becomes("unhealthy")


@case("too many processes in the container", "app-pids")
def too_many_processes_in_the_container(stack: Stack) -> None:
    docker("exec", "--detach", stack.container, "sh", "-c", "while :; do sleep 1000 & done")
    stack.becomes("unhealthy")


add("container missing", "app-state", lambda stack: docker("rm", "--force", stack.container))


@case("stale lock of a play", "lock-stale")
def stale_lock_of_a_play(stack: Stack) -> None:
    owner = {"who": "me@elsewhere", "purpose": "deploy", "controller": "c", "process": "1:2", "host": "vps"}
    lock = {"owner": owner, "since": int(time.time() - 2 * HOUR), "made_directory": False}
    (stack.app.directory / "deploy.lock").write_text(json.dumps(lock))


@case("interrupted release", "release-unfinished")
def interrupted_release(stack: Stack) -> None:
    releases = stack.app.directory / "releases"
    folder = releases / "20990101-000000"
    subprocess.run(["cp", "-a", str((releases / "current").resolve()), str(folder)], check=True)
    record = json.loads((folder / "release.json").read_text())
    (folder / "release.json").write_text(json.dumps({**record, "id": folder.name, "result": "failed"}))
    inspected = inspect(stack.container)
    journal = {
        "id": folder.name,
        "project": stack.app.name,
        "container": stack.container,
        "previous": (releases / "current").resolve().name,
        "old": inspected["Id"],
        "called": stack.container,
        "ran": True,
    }
    (folder / "journal.json").write_text(json.dumps(journal))


@case("backups failing", "backup-failed")
def backups_failing(stack: Stack) -> None:
    stack.install_command()
    failed = job_history.Run(_now(), False, 1.0, "No space left on device.")
    job_history.record(str(stack.app.backups), "backup", failed)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@case("env file that others can read", "env-modes")
def env_file_that_others_can_read(stack: Stack) -> None:
    (stack.app.directory / ".env.production").chmod(0o644)


@case("definition changed by hand", "env-drift")
def definition_changed_by_hand(stack: Stack) -> None:
    with (stack.app.directory / "compose.yml").open("a") as file:
        file.write("# mine\n")


@pytest.fixture
def healthy(stack: Stack) -> Iterator[Stack]:
    """The stack, whatever a case before has left of it."""
    until(stack.is_well, HEALTHY_WITHIN, "the application is healthy")
    until(stack.served, HEALTHY_WITHIN, "visitors are served")
    yield stack
    stack.given.clear()
    docker("rm", "--force", f"{stack.app.name}-blocker", check=False)
    run("umount", str(stack.place / "disk"), check=False)
    try:
        assert stack.is_well()
        assert stack.served()
        assert stack.look()[0]["findings"] == []
    except AssertionError:
        stack.app.variables.pop("docker_vps_env", None)
        stack.build()


def test_a_healthy_stack_has_no_finding(stack: Stack) -> None:
    until(stack.is_well, HEALTHY_WITHIN, "the application is healthy")
    result, seconds = stack.look()
    assert result["findings"] == []
    assert seconds < ENDS_WITHIN


@pytest.mark.parametrize("broken", CASES, ids=[each.name for each in CASES])
def test_the_cause_comes_first_and_its_command_mends_it(
    broken: Case, healthy: Stack, record_property: Callable[[str, object], None]
) -> None:
    broken.breaks(healthy)
    result, seconds = healthy.look()
    record_property("seconds", f"{seconds:.1f}")
    assert result["findings"], result
    first = result["findings"][0]
    record_property("cause", first["id"].partition(":")[0])
    record_property("command", first["command"])
    record_property("words", broken.words)
    record_property("by_hand", "yes" if broken.instead else "")
    record_property("follow", sum(row["cause"] == first["id"] for row in result["findings"]))
    assert first["id"].partition(":")[0] == broken.cause, result["summary"]
    for done in range(ROUNDS):
        record_property("commands", done + 1)
        fix(broken, healthy, result)
        with contextlib.suppress(AssertionError):
            until(lambda: healthy.is_well() and healthy.served(), 15, "well")
        result, _seconds = healthy.look()
        if not result["findings"]:
            break
    assert not result["findings"], result["summary"]
    assert seconds < ENDS_WITHIN


def fix(broken: Case, stack: Stack, result: Mapping[str, Any]) -> None:
    """Do what a person does who reads the first finding."""
    if broken.instead:
        broken.instead(stack)
        return
    if broken.helps:
        broken.helps(stack)
    command = result["findings"][0]["command"]
    assert command, result["summary"]
    stack.fix(command)
