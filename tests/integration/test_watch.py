# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch on a real engine: a container is killed, hangs or is unhealthy, a disk fills, a certificate ends, and a
webhook and a mailbox hear of it.
"""

from __future__ import annotations

import io
import json
import os
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from aiosmtpd.controller import Controller
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command.cli import CommandWorld, connected, main
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import SystemClock
from certificates import certificate
from lab import docker, image_of, inspect, run, until
from prometheus_client.parser import text_string_to_metric_families

NAME = "it-watch-app"
SERVER = """
require("http").createServer((_question, answer) => {
  if (require("fs").existsSync("/tmp/sick")) answer.writeHead(500);
  answer.end("SQLITE_BUSY");
}).listen(3000)
"""
PROBE = "node -e \"fetch('http://127.0.0.1:3000').then(a => process.exit(a.ok ? 0 : 1), () => process.exit(1))\""
HEALTHY_WITHIN = 60  # seconds


class Heard:
    """What came by the webhook and by e-mail: for each message, which findings it has, and what of them."""

    def __init__(self) -> None:
        self.posted: list[list[str]] = []
        self.mailed: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mailed.append(envelope.content.decode())
        return "250 taken"


class Watching:
    """A container and the command that watches it."""

    def __init__(self, place: Path, heard: Heard, webhook: str, smtp: int) -> None:
        self.place, self.heard = place, heard
        self.metrics = place / "metrics"
        self.metrics.mkdir()
        self.config = place / "backup.json"
        mail = {"to": ["ops@example.com"], "host": "127.0.0.1", "port": smtp, "security": "none"}
        given = {
            "app": "it-watch",
            "directory": str(place / "sets"),
            "docker_host": "unix:///var/run/docker.sock",
            "backup": {"volumes": {}, "database": ""},
            "drill": {"env_file": str(place / ".env")},
            "notify": {"webhook": webhook, "command": [], "pings": {}, "on_success": False, "mail": mail},
            "watch": {
                "container": NAME,
                "metrics": str(self.metrics),
                "heal": True,
                "heal_rules": {"looks": 2, "most": 3},
                "alerts": {"least": "warning", "good": 2},
                "thresholds": {"backup": 0, "proof": 0, "disk": 100, "disk_full": 101, "disk_floor": 0},
            },
        }
        self.config.write_text(json.dumps(given))

    def change(self, **watch: Any) -> None:
        """Configure it otherwise."""
        given = json.loads(self.config.read_text())
        self.config.write_text(json.dumps({**given, "watch": {**given["watch"], **watch}}))

    def look(self) -> Any:
        out, err = io.StringIO(), io.StringIO()
        # A machine that runs all tests at once may keep the engine for longer than a watch waits for it.
        world = CommandWorld(out, err, SystemClock(), connected, watched=connected)
        code = main(["watch", "--json"], str(self.config), world)
        assert (code, err.getvalue()) == (0, ""), out.getvalue()
        return json.loads(out.getvalue())["results"]["watch"]

    def is_now(self, wanted: str) -> Any:
        """Wait until the container is so: its health, or its state."""

        def right() -> bool:
            state = inspect(NAME)["State"]
            return wanted in (state["Status"], (state.get("Health") or {}).get("Status")) and (
                wanted != "healthy" or state["Status"] == "running"
            )

        return until(right, HEALTHY_WITHIN, f"the container is {wanted}")


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    heard = Heard()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.posted.append([f"{row['id']} {row['news']}" for row in body["findings"]])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = int(bound.getsockname()[1])
    mailbox = Controller(heard, "127.0.0.1", port)
    mailbox.start()
    health = ["--health-cmd", PROBE, "--health-interval=2s", "--health-timeout=5s", "--health-retries=3"]
    limits = ["--memory=128m", "--memory-swap=128m", "--stop-timeout=2", "--init"]
    labels = ["--label", "com.docker.compose.project=it-watch", "--restart=unless-stopped"]
    docker("rm", "-f", NAME, check=False)
    docker("run", "-d", "--name", NAME, *labels, *health, *limits, image_of("base_image.sh"), "node", "-e", SERVER)
    try:
        yield Watching(tmp_path, heard, f"http://127.0.0.1:{server.server_port}/", port)
    finally:
        docker("rm", "-f", NAME, check=False)
        mailbox.stop()
        server.shutdown()
        server.server_close()


def kill() -> None:
    docker("kill", NAME)


def freeze() -> None:
    docker("exec", NAME, "sh", "-c", "kill -STOP $(pidof node)")


def test_one_alert_one_restart_and_one_recovery_of_what_is_killed_and_of_what_hangs(watching: Watching) -> None:
    watching.is_now("healthy")
    seen = watching.look()
    assert [row for row in seen["findings"] if not row["id"].startswith("images-")] == []  # other tests may leave some
    assert {"app", "disk", "images", "memory", "cpu"} & set(seen["not_looked_at"]) == set()
    breaks: list[tuple[Callable[[], None], str]] = [(kill, "exited"), (freeze, "unhealthy")]
    for broken, state in breaks:
        broken()
        watching.is_now(state)
        assert [row["id"] for row in watching.look()["findings"]][:1] == ["app-state"]
        healed = watching.look()
        assert healed["restarted"] is True, healed["healed"]
        watching.is_now("healthy")
        assert [watching.look()["news"] for _turn in range(2)] == [0, 1]
    assert watching.heard.posted == [
        ["app-state began"],
        ["heal-restart began"],
        ["app-state ended"],
        ["app-state began"],
        ["app-state ended"],
    ]
    assert len(watching.heard.mailed) == len(watching.heard.posted)
    assert "exited with code 137" in watching.heard.mailed[0].replace("=\r\n", "")


def test_what_is_paused_or_stopped_is_told_and_left_alone(watching: Watching) -> None:
    watching.is_now("healthy")
    watching.look()
    docker("pause", NAME)
    assert [watching.look()["healed"] for _turn in range(3)] == [f"{NAME} is left alone: it is paused."] * 3
    docker("unpause", NAME)
    watching.is_now("healthy")
    docker("stop", NAME)
    assert [watching.look()["healed"] for _turn in range(3)] == [f"{NAME} is left alone: somebody stopped it."] * 3
    assert inspect(NAME)["State"]["Status"] == "exited"


class Site:
    """Answers over TLS with one certificate and then another."""

    def __init__(self, place: Path) -> None:
        self.place, self.context = place, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.days(290)
        self.server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
        self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}/"

    def days(self, left: int) -> None:
        """Have a certificate that was made 300 days ago and ends in so many; everybody trusts it."""
        pem, key = certificate(self.place, "localhost", days=left)
        (self.place / "both").write_text(key + pem)
        self.context.load_cert_chain(self.place / "both")
        os.environ["SSL_CERT_FILE"] = str(self.place / "pem")


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("SSL_CERT_FILE", "")
    site = Site(tmp_path_factory.mktemp("site"))
    threading.Thread(target=site.server.serve_forever, daemon=True).start()
    yield site
    site.server.shutdown()
    site.server.server_close()


def test_a_disk_that_fills_and_a_certificate_that_ends_are_told_once_and_together(
    watching: Watching, site: Site
) -> None:
    disk = watching.place / "sets"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(disk))
    try:
        thresholds = {"backup": 0, "proof": 0, "disk": 100, "disk_full": 101, "disk_floor": 0}
        watching.change(url=site.url, thresholds=thresholds)
        watching.is_now("healthy")
        watching.look()
        # Whatever this machine's own disks have: this one is filled beyond what is allowed, and they are not.
        limit = max([*map(percent, ("/", docker("info", "--format", "{{.DockerRootDir}}"))), 90]) + 0.5
        watching.change(url=site.url, thresholds={**thresholds, "disk": limit})
        (disk / "filler").write_bytes(bytes(int(10.2 * 2**20 * limit / 100)))
        site.days(20)
        for _turn in range(4):
            watching.look()
        (disk / "filler").unlink()
        site.days(290)
        for _turn in range(4):
            watching.look()
    finally:
        run("umount", str(disk))
    names = ("certificate-ends", f"disk-low:{disk}")
    told = [sorted(one for one in news if one.startswith(names)) for news in watching.heard.posted]
    assert [news for news in told if news] == [[f"{name} {what}" for name in names] for what in ("began", "ended")]


def percent(place: str) -> float:
    """Return how much of a disk is used, as df counts."""
    facts = os.statvfs(place)
    used = facts.f_blocks - facts.f_bfree
    return 100 * used / (used + facts.f_bavail)


def test_what_the_kernel_kills_for_memory_is_told_and_measured(watching: Watching) -> None:
    watching.is_now("healthy")
    watching.look()
    docker("exec", NAME, "node", "-e", "const all = []; for (;;) all.push(Buffer.alloc(1 << 24, 1))", check=False)
    assert "memory-killed" in [row["id"] for row in watching.look()["findings"]]
    assert "memory-killed began" in watching.heard.posted[0]
    text = (watching.metrics / "dockervps_it-watch.prom").read_text()
    values = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    assert values["dockervps_memory_kills_total"] >= 1
    assert values["dockervps_memory_limit_bytes"] == 128 << 20
    assert values["dockervps_cpu_seconds_total"] > 0
