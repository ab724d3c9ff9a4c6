# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of images that are not ours: the health check with what they have, and volumes and ports of their own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health_check import PROBE, as_test
from lab import App, MakeApp, docker, image_of, inspect, request, run, until

NAME = "it-foreign"
VOLUMES = {f"{NAME}-files": "/srv/files", f"{NAME}-cache": "/srv/cache", f"{NAME}-thumbs": "/srv/thumbs"}
TOOLS = ("wget", "busybox", "curl", "node", "python3", "bash")

# Its PATH has a shell, and what the argument names. The wget of BusyBox in Debian 12 knows no -T, as that of
# Debian 13 and that of Alpine do.
DOCKERFILE = r"""
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN if command -v apk; then apk add --no-cache bash curl python3; \
    else apt-get update -q && apt-get install -q -y --no-install-recommends curl python3 \
    && echo deb http://deb.debian.org/debian trixie main >/etc/apt/sources.list.d/trixie.list \
    && apt-get update -q && apt-get install -q -y --no-install-recommends busybox-static/trixie; fi
ARG TOOL
RUN mkdir /only && ln -s "$(command -v node)" /node && ln -s /bin/sh /only/sh \
    && if [ "$TOOL" = busybox ]; then ln -s "$(command -v busybox)" /only/wget; \
    elif [ "$TOOL" ]; then ln -s "$(command -v "$TOOL")" /only; fi
ENV PATH=/only
COPY server.js /
CMD ["/node", "/server.js"]
"""
SERVER = """
const os = require('node:os')
const [host, v6] = process.env.LISTEN === 'own' ? [os.hostname()] : process.env.LISTEN.split(' ')
require('node:http').createServer((request, response) => {
  if (request.url === '/hang') return
  if (request.url === '/moved') response.setHeader('Location', '/well?a=b%20c')
  response.writeHead({ '/moved': 302, '/ill': 503 }[request.url] ?? 200).end()
}).listen({ port: 7007, host, ipv6Only: v6 === 'only' })
process.on('SIGTERM', () => process.exit())
"""


def image_with(tool: str, place: Path) -> str:
    """Make an image with this tool alone and return its name."""
    (place / "Dockerfile").write_text(DOCKERFILE)
    (place / "server.js").write_text(SERVER)
    tag = f"{NAME}-tools:{tool or 'none'}"
    base = f"BASE_IMAGE={image_of('base_image.sh')}"
    run("docker", "build", "--quiet", "--tag", tag, "--build-arg", base, "--build-arg", f"TOOL={tool}", str(place))
    return tag


@pytest.fixture(scope="module", autouse=True)
def images() -> Iterator[None]:
    """Remove the images of the tests in the end."""
    yield
    for image in docker("images", "--format", "{{.Repository}}:{{.Tag}}", f"{NAME}-tools").split():
        docker("rmi", image, check=False)


def asked(container: str, path: str, port: int = 7007) -> tuple[int, str]:
    """Run our probe in a container as the engine does, and return its code and its output."""
    _kind, *probe = as_test(PROBE, [], f"http://127.0.0.1:{port}{path}", 2)
    done = run("docker", "exec", container, *probe, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A container of the image with a tool alone; the parameter is the tool, and where the server listens."""
    tool, listen = request.param
    name = f"{NAME}-server"
    docker("rm", "--force", name, check=False)
    with_ipv6 = ("--sysctl", "net.ipv6.conf.all.disable_ipv6=0")
    # Neither is for the probe.
    odd = ("--env", "http_proxy=http://192.0.2.1:1", "--env", "NODE_OPTIONS=--require=/nowhere")
    start = ("--entrypoint", "/only/sh", image_with(tool, tmp_path), "-c", "unset NODE_OPTIONS; exec /node /server.js")
    run("docker", "run", "--detach", "--init", "--name", name, *with_ipv6, "--env", f"LISTEN={listen}", *odd, *start)
    yield name
    docker("rm", "--force", name)


@pytest.mark.parametrize("server", [(tool, "127.0.0.1") for tool in TOOLS], indirect=True)
def test_the_probe_asks_with_what_there_is(server: str) -> None:
    until(lambda: asked(server, "/well")[0] == 0, 10, "a first answer")
    codes = {path: asked(server, path)[0] for path in ("/moved", "/ill", "/hang")}
    assert codes == {"/moved": 0, "/ill": 1, "/hang": 1}
    assert asked(server, "/well", 7008) == (1, "nothing listens on port 7008\n")


@pytest.mark.parametrize("server", [("", "127.0.0.1")], indirect=True)
def test_an_image_without_a_tool_is_told(server: str) -> None:
    until(lambda: asked(server, "/")[0] == 127, 10, "the server")
    assert asked(server, "/") == (127, "the image has no wget, curl, node, python3 or bash\n")


@pytest.mark.parametrize("server", [(tool, listen) for listen in (":: only", "own") for tool in TOOLS], indirect=True)
def test_the_probe_finds_servers_that_are_not_on_127(server: str) -> None:
    until(lambda: asked(server, "/well")[0] == 0, 10, "a first answer")
    assert asked(server, "/ill")[0] == 1


# An application that is not Next.js, and whose image has nothing of ours: its own user, port and health check.

APPLICATION = """
import http.server, os, signal, sqlite3, sys, urllib.parse

database = urllib.parse.urlsplit(os.environ['DATABASE_URI']).path
with sqlite3.connect(database) as db:
    db.execute('CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)')

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith('/srv/'):
            return self.answer(200 if os.path.exists(self.path) else 404, b'')
        with sqlite3.connect(database) as db:
            rows = [text for text, in db.execute('SELECT text FROM notes ORDER BY id')]
        self.answer(200, ' '.join(rows).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        if self.path.startswith('/srv/'):
            with open(self.path, 'wb') as file:
                file.write(body)
        else:
            with sqlite3.connect(database) as db:
                db.execute('INSERT INTO notes (text) VALUES (?)', [body.decode()])
        self.answer(201, b'')

    def answer(self, status, body):
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

signal.signal(signal.SIGTERM, lambda *arguments: sys.exit())
http.server.ThreadingHTTPServer(('', int(os.environ['PORT'])), Handler).serve_forever()
"""
OWN = """
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY app.py /app.py
USER 4321:4322
CMD ["python3", "/app.py"]
"""
HEALTHCHECK = (
    'HEALTHCHECK --interval=7m --timeout=3s CMD ["python3", "-c", "import urllib.request as r; r.urlopen(%r)"]'
)
PORT = 8123


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the application."""
    place = tmp_path_factory.mktemp("sources")
    (place / "app.py").write_text(APPLICATION)
    (place / "Dockerfile").write_text(OWN)
    return place


@pytest.fixture(scope="module")
def app(make_app: MakeApp, place: Path, tmp_path_factory: pytest.TempPathFactory) -> App:
    """The application, deployed, with a row and with a file in each volume."""
    app = make_app(
        NAME,
        docker_vps_source_path=str(place),
        docker_vps_base_image=image_with("python3", tmp_path_factory.mktemp("base")),
        docker_vps_port=PORT,
        docker_vps_health_path="/health",
        docker_vps_media_volume="",
        docker_vps_volumes=VOLUMES,
        docker_vps_database_mount="/srv/data",
        docker_vps_database_uri="file:///srv/data/notes.db",
        docker_vps_stop_grace_period="3s",
    )
    app.deploy().succeeded()
    assert request(app.url("/"), b"first").status == 201
    for number, mount in enumerate(VOLUMES.values()):
        assert request(app.url(f"{mount}/kept"), b"x" * number).status == 201
    return app


def stays(app: App, message: str, **variables: object) -> None:
    """Fail to deploy, with a message, and leave what ran."""
    before = inspect(app.container)
    assert message in app.deploy(**variables).failed().text
    after = inspect(app.container)
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert request(app.url("/health")).body == b"first"


def test_an_application_with_volumes_a_user_and_a_port_of_its_own(app: App) -> None:
    facts = inspect(app.container)
    mounts = {mount["Name"]: mount["Destination"] for mount in facts["Mounts"]}
    assert mounts == {f"{NAME}-db": "/srv/data", **VOLUMES}
    assert facts["Config"]["Healthcheck"]["Test"][-2:] == [f"http://127.0.0.1:{PORT}/health", "9"]
    for name in VOLUMES:
        assert docker("volume", "inspect", "--format", '{{index .Labels "com.docker.compose.project"}}', name) == NAME
    app.becomes_healthy()
    assert app.deploy().succeeded().recap["changed"] == 0


def test_volumes_that_lie_in_each_other_are_refused(app: App) -> None:
    stays(app, f"mounts {NAME}-files at /srv/data/x, and", docker_vps_volumes={f"{NAME}-files": "/srv/data/x"})


def test_a_health_check_that_cannot_be_is_refused_while_the_old_version_serves(app: App) -> None:
    stays(app, "has no HEALTHCHECK, so nothing could tell when it is healthy.", docker_vps_health="image")
    stays(app, "has no /nowhere, which its health check needs.", docker_vps_health_command=["/nowhere"])


def test_the_health_check_of_the_image_and_a_command(app: App, place: Path) -> None:
    dockerfile = OWN + HEALTHCHECK % f"http://127.0.0.1:{PORT}/health"
    (place / "Dockerfile").write_text(dockerfile)
    app.deploy(docker_vps_health="image").succeeded()
    check = inspect(app.container)["Config"]["Healthcheck"]
    assert check["Test"][:3] == ["CMD", "python3", "-c"]
    assert check["Interval"] == 30 * 10**9
    app.becomes_healthy()
    # Without a shell in its PATH.
    (place / "Dockerfile").write_text(f'{dockerfile}\nENV PATH=/nowhere\nCMD ["/only/python3", "/app.py"]\n')
    stays(app, "has no sh, which its health check needs.")
    app.variables["docker_vps_health_command"] = ["/only/python3", "-c", "pass"]
    app.deploy().succeeded()
    assert inspect(app.container)["Config"]["Healthcheck"]["Test"] == ["CMD", "/only/python3", "-c", "pass"]
    app.becomes_healthy()


def test_all_volumes_are_backed_up_and_come_back(app: App) -> None:
    made = app.playbook("backup").succeeded().text
    (set_id,) = {path.stem[9:] for path in app.backups.glob("manifest-*") if path.stem[9:] in made}
    archives = {path.name for path in app.backups.glob(f"*-{set_id}.tar.gz")}
    assert archives == {f"{name}-{set_id}.tar.gz" for name in ("db", *VOLUMES)}
    app.playbook("restore_drill").succeeded()
    assert request(app.url("/"), b"second").status == 201
    for mount in VOLUMES.values():
        docker("exec", app.container, "/only/python3", "-c", f"import os; os.unlink('{mount}/kept')")
    text = app.playbook("restore", docker_vps_restore_stop_app=True).succeeded().text
    assert re.search(r"Seconds: preflight [\d.]+, restore and health [\d.]+.*Next: docker logs --tail 50", text)
    assert request(app.url("/health")).body == b"first"
    assert [request(app.url(f"{mount}/kept")).status for mount in VOLUMES.values()] == [200] * len(VOLUMES)


def test_the_data_goes_when_that_is_said(app: App) -> None:
    app.playbook("remove", docker_vps_remove_confirm=NAME).succeeded()
    volumes = {f"{NAME}-db", *VOLUMES}
    assert volumes <= {*docker("volume", "ls", "--quiet").split()}
    app.playbook("remove", docker_vps_remove_confirm=NAME, docker_vps_remove_data=True).succeeded()
    assert not volumes & {*docker("volume", "ls", "--quiet").split()}
