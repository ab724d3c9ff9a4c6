# SPDX-License-Identifier: GPL-3.0-or-later
"""The specification's acceptance criteria, by number, with the real application; see README.md for the missing ones."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Iterator

import pytest
from lab import ROOT, App, Response, docker, image_of, inspect, process, request, run, until
from payload import ACTIONS_KEY, PICTURE, Site, database_of
from traffic import proxy

PORT = 8099
SECRET = "c0ffee5eed5a1ad0" * 4


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The real application, deployed on what was a clean host.

    Named as in the other modules, whose builds of the same sources then take each other's layers.
    """
    variables = {
        "docker_vps_source_path": str(ROOT / "examples/payload-app"),
        "docker_vps_payload_secret": SECRET,
        "docker_vps_server_actions_key": ACTIONS_KEY,
        "docker_vps_aliases": ["ptnextjs-app"],
        "docker_vps_health_wait": 60,
        "docker_vps_read_only": True,
        "docker_vps_tmpfs": {"/tmp": "64M", "/app/.next/cache": "512K"},
    }
    app = App("site", tmp_path_factory.mktemp("acceptance"), **variables)
    app.remove()
    app.deployed = app.deploy().succeeded()  # type: ignore[attr-defined]
    yield app
    app.remove()


@pytest.fixture(scope="module")
def site(app: App) -> Iterator[Site]:
    """The application behind the documented reverse proxy, with some content."""
    with proxy("acceptance-proxy", app, PORT) as url:
        site = Site(app, url)
        site.fill()
        yield site


def restart(app: App) -> None:
    """Replace the container, by "docker compose down" and "up" as the role does them."""
    before = inspect(app.container)["Id"]
    app.stack("absent").succeeded()
    app.stack("main").succeeded()
    assert inspect(app.container)["Id"] != before


def test_01_dockerfile_builds_with_a_multi_stage_build(app: App) -> None:
    image = inspect(app.container)["Config"]["Image"]
    log = (app.directory / "build.log").read_text()
    assert all(f"[{stage} " in log for stage in ("deps", "builder", "runner"))
    inside = docker("run", "--rm", "--entrypoint", "ls", image, "/app", "/app/node_modules").split()
    assert "server.js" in inside
    assert "@types" not in inside


def test_02_compose_starts_all_services(app: App) -> None:
    compose = ("docker", "compose", "--file", str(app.directory / "compose.yml"))
    run(*compose, "down")
    run(*compose, "up", "--detach")
    services = run(*compose, "ps", "--format", "{{.Service}} {{.State}}").stdout.split("\n")
    assert services[0] == "app running"


def test_03_container_is_healthy_within_60_seconds(app: App) -> None:
    docker("restart", app.container)
    began = time.monotonic()
    task = f"- ptnextjs.docker_vps.container_health: {{containers: {app.container}, timeout: 60}}"
    app.play(task).succeeded()
    assert time.monotonic() - began < 60
    assert inspect(app.container)["State"]["Health"]["Status"] == "healthy"


def test_04_health_endpoint_returns_200(app: App) -> None:
    answer = json.loads(docker("exec", app.container, "wget", "-q", "-O-", "http://localhost:3000/api/health"))
    assert (answer["status"], answer["database"], answer["vendorCount"]) == ("healthy", "connected", 0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", answer["timestamp"])


def test_04_health_endpoint_reads_rows(site: Site) -> None:
    """Whether they can be read is another question than how many there are."""
    with closing(sqlite3.connect(database_of(site.app))) as database:
        database.execute("INSERT INTO vendors (name, founded) VALUES ('no reader', ?)", (2**53 + 1,))
        database.commit()
        try:
            degraded = site.ask("/api/health")
            assert site.ask("/api/vendors/count").json["totalDocs"] == 2
        finally:
            database.execute("DELETE FROM vendors WHERE name = 'no reader'")
            database.commit()
    assert (degraded.status, degraded.json["error"]) == (503, "the newest rows of vendors cannot be read")
    assert site.ask("/api/health").status == 200


def test_05_database_persists_across_restarts(site: Site) -> None:
    assert site.vendors() == ["Example Ltd"]
    restart(site.app)
    assert site.vendors() == ["Example Ltd"]
    assert site.ask("/api/health").json["vendorCount"] == 1


def test_06_media_persist_across_restarts(site: Site) -> None:
    assert site.ask(site.picture).body == PICTURE
    restart(site.app)
    assert site.ask(site.picture).body == PICTURE


def test_07_the_reverse_proxy_reaches_the_application_by_name(site: Site) -> None:
    assert site.ask("/api/health").json["status"] == "healthy"
    assert inspect(site.app.container)["HostConfig"]["PortBindings"] == {}
    proxy = docker("ps", "--quiet", "--filter", "label=com.docker.compose.project=acceptance-proxy")
    answer = docker("exec", proxy, "wget", "-q", "-O-", "http://ptnextjs-app:3000/api/health")
    assert json.loads(answer)["status"] == "healthy"


def test_07_nginx_finds_the_application_even_at_a_new_address(site: Site) -> None:
    """The other documented configuration; its reason to exist is a container that comes back elsewhere."""
    dockerfile = f"FROM {image_of('base_image.sh')}\nRUN apt-get update -q && apt-get install -q -y nginx\n"
    run("docker", "build", "--quiet", "--tag", "acceptance-nginx", "-", input=dockerfile)
    configuration = f"{ROOT}/examples/proxy/nginx.conf:/etc/nginx/conf.d/site.conf:ro"
    options = ("--detach", "--name", "acceptance-nginx", "--network", site.app.network, "--volume", configuration)
    docker("rm", "--force", "acceptance-nginx", check=False)
    docker("run", *options, "acceptance-nginx", "nginx", "-g", "daemon off;")
    address = inspect("acceptance-nginx")["NetworkSettings"]["Networks"][site.app.network]["IPAddress"]
    blocker = "acceptance-blocker"

    def answers() -> bool:
        try:
            return request(f"http://{address}/api/health", headers={"Host": "www.example.com"}).status == 200
        except OSError:  # nobody listens yet
            return False

    try:
        until(answers, 20, "an answer through Nginx")
        before = site.app.url("")
        compose = ("docker", "compose", "--file", str(site.app.directory / "compose.yml"))
        run(*compose, "down")
        # Takes the address that was freed.
        docker("run", "--detach", "--name", blocker, "--network", site.app.network, "acceptance-nginx", "sleep", "600")
        run(*compose, "up", "--detach", "--wait")
        assert site.app.url("") != before
        until(answers, 20, "an answer from the new address")
    finally:
        docker("rm", "--force", "acceptance-nginx", blocker, check=False)
        docker("rmi", "acceptance-nginx", check=False)


def test_08_environment_variables_are_loaded(app: App) -> None:
    inside = docker("exec", app.container, "env").splitlines()
    assert f"PAYLOAD_SECRET={SECRET}" in inside
    assert "DATABASE_URI=file:///data/payload.db" in inside


def test_09_deploy_works_on_a_clean_host(app: App, site: Site) -> None:
    deployed = app.deployed  # type: ignore[attr-defined]
    assert f"{app.container} is healthy" in deployed.text
    again = app.deploy().succeeded()
    assert again.recap["changed"] == 0
    assert site.ask("/admin").status == 200
    assert SECRET not in deployed.output


def test_09_the_application_bears_its_hardening(app: App, site: Site) -> None:
    """With a root that is read-only, and with a cache of images that is full."""
    assert "read-only" not in app.deployed.text  # type: ignore[attr-defined]  # a caution of what it could not write
    server = process(app.container, "next-server")
    assert (server["CapEff"].strip("0"), server["NoNewPrivs"]) == ("", "1")
    assert server["Uid"].split() == server["Gid"].split() == ["1000"] * 4
    for place in ("/app/new", "/app/.next/server/new"):
        refused = run("docker", "exec", "--user", "1000:1000", app.container, "touch", place, check=False)
        assert "Read-only file system" in refused.stderr
    widths = (16, 32, 48, 64, 96, 128, 256, 384)
    pictures = [
        f"/_next/image?url={site.picture}&w={width}&q={quality}" for width in widths for quality in range(60, 76)
    ]
    with ThreadPoolExecutor(4) as visitors:
        answers = list(visitors.map(site.ask, pictures))
    assert {answer.status for answer in answers} == {200}
    used = docker("exec", app.container, "df", "--output=pcent", "/app/.next/cache").split()[-1]
    assert used == "100%"
    assert site.ask("/api/health").json["database"] == "connected"
    assert site.ask("/").status == 200


def test_11_stop_gracefully_shuts_down(site: Site) -> None:
    stopped = site.app.playbook("stop").succeeded()
    state = inspect(site.app.container)["State"]
    assert (state["Status"], state["OOMKilled"]) == ("exited", False)
    assert state["ExitCode"] in (0, 143), "137 would mean that it was killed"
    assert f"ended by itself with exit code {state['ExitCode']}" in stopped.text
    started = site.app.playbook("start").succeeded()
    assert f"{site.app.container} was started and is healthy" in started.text
    assert site.vendors() == ["Example Ltd"]
    assert site.ask(site.picture).body == PICTURE


def test_12_backup_creates_a_valid_backup(site: Site) -> None:
    made = site.app.playbook("backup").succeeded()
    assert SECRET not in made.output
    files = {path.name: path for path in site.app.backups.iterdir() if not path.name.startswith(".")}
    set_id = max(name for name in files if name.startswith("manifest-"))[len("manifest-") : -len(".json")]
    assert f"Set {set_id} of site" in made.text
    members = {
        name: run("tar", "-tzf", str(files[f"{name}-{set_id}.tar.gz"])).stdout.split() for name in ("db", "media")
    }
    assert members["db"].count("./payload.db") == 1
    assert not [name for name in members["db"] if name.endswith(("-wal", "-shm"))]
    assert any(name.endswith("square.png") for name in members["media"])
    manifest = json.loads(files[f"manifest-{set_id}.json"].read_text())
    assert manifest["downtime"] == 0
    assert manifest["archives"][0]["databases"][0]["tables"]["vendors"] == 1
    assert (manifest["uploads"]["named"], manifest["uploads"]["missing"]) == (1, [])
    assert site.app.playbook("backup_list", docker_vps_backup_verify="full").succeeded()
    assert site.app.playbook("restore_drill").succeeded()
    assert json.loads(files[f"manifest-{set_id}.json"].read_text())["drills"][-1]["passed"] is True


def test_12_no_copy_holds_half_a_document(site: Site) -> None:
    """Whatever time a copy is of; and editors who work at the same time are not turned away."""

    def written(number: int) -> dict[str, object]:
        return {"name": str(number), "links": [{"url": str(number)}] * 30}

    vendor = f"/api/vendors/{site.ask('/api/vendors', written(0)).json['doc']['id']}"
    copies: list[list[str]] = []
    with ThreadPoolExecutor(8) as editors:
        updates: list[Future[Response]] = []
        while len({tuple(copy) for copy in copies}) <= 5 and len(updates) < 600:  # a busy machine makes few copies
            first = len(updates) + 1
            batch = [editors.submit(site.ask, vendor, written(number), "PATCH") for number in range(first, first + 60)]
            while not all(update.done() for update in batch):
                copies.append(links(site.app))
            updates += batch
        creates = list(editors.map(lambda number: site.ask("/api/vendors", written(number)), range(20)))
    assert {update.result().status for update in updates} == {200}
    assert {create.status for create in creates} == {201}
    assert len({tuple(copy) for copy in copies}) > 5, "the copies were not made during the updates"
    assert {(len(copy), len(set(copy))) for copy in copies} == {(31, 1)}
    for create in creates:
        site.ask(f"/api/vendors/{create.json['doc']['id']}", method="DELETE")
    assert site.ask(vendor, method="DELETE").status == 200
    assert site.vendors() == ["Example Ltd"]


def links(app: App) -> list[str]:
    """Copy the database as a backup does, and return the newest vendor's name and links."""
    live = sqlite3.connect(f"file:{database_of(app)}?mode=ro", uri=True)
    with closing(live), closing(sqlite3.connect(":memory:")) as copy:
        live.backup(copy)
        (number, name) = copy.execute("SELECT id, name FROM vendors ORDER BY id DESC").fetchone()
        urls = copy.execute("SELECT url FROM vendors_links WHERE _parent_id = ?", (number,)).fetchall()
    return [name, *(url for (url,) in urls)]


def test_13_restore_brings_back_deleted_volumes(site: Site) -> None:
    site.app.playbook("backup").succeeded()
    site.app.stack("absent").succeeded()
    docker("volume", "rm", "site-db", "site-media")
    site.app.playbook("restore").succeeded()
    assert site.vendors() == ["Example Ltd"]
    assert site.ask(site.picture).body == PICTURE
    assert site.app.deploy().succeeded().recap["changed"] == 0


def test_13_restore_over_a_running_application(site: Site) -> None:
    """Refused until it may be stopped, and what is lost is told and can be had back."""
    site.app.playbook("backup").succeeded()
    assert site.ask("/api/vendors", {"name": "Too late Ltd"}).status == 201
    refused = site.app.playbook("restore").failed()
    assert "vendors" in refused.text
    assert "docker_vps_restore_stop_app=true" in refused.text
    assert "Too late Ltd" in site.vendors()
    site.app.playbook("restore", docker_vps_restore_stop_app=True).succeeded()
    assert site.vendors() == ["Example Ltd"]
    site.app.playbook("restore", docker_vps_restore_stop_app=True, docker_vps_restore_undo=True).succeeded()
    assert "Too late Ltd" in site.vendors()


def test_14_logs_provide_useful_output(app: App) -> None:
    """The last lines, what is searched for, and what comes, with times and without secrets."""
    docker("restart", app.container)
    app.play(f"- ptnextjs.docker_vps.container_health: {{containers: {app.container}, timeout: 60}}").succeeded()
    last = app.playbook("logs", docker_vps_logs_since="5m").succeeded()
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z .*Ready in", last.output, re.MULTILINE)
    found = app.playbook("logs", docker_vps_logs_pattern="Ready in", docker_vps_logs_tail=1).succeeded()
    assert found.output.count("Ready in") == 1
    followed = app.playbook("logs", docker_vps_logs_follow=True, docker_vps_logs_follow_for=2).succeeded()
    assert "Ready in" in followed.output
    assert SECRET not in last.output + found.output + followed.output
    assert found.recap["changed"] == 0
