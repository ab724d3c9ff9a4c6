# SPDX-License-Identifier: GPL-3.0-or-later
"""What only an engine of the test's own can show: a full disk while building, a restart while waiting."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine, SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.modules.container_health import params_of, run
from engines import MEBIBYTE, SecondEngine, second_engine
from lab import STANDIN, App, MakeApp, Played, copied, image_of, until
from lab import run as command
from releases import Versions, current


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SecondEngine]:
    """An engine with a small disk and the base image on it."""
    with second_engine(tmp_path, size=1090 * MEBIBYTE) as small:
        archive = tmp_path / "base.tar"
        command("docker", "save", "--output", str(archive), image_of("base_image.sh"))
        small.docker("load", "--input", str(archive))
        archive.unlink()
        yield small


def test_a_disk_that_fills_up_during_the_build(engine: SecondEngine, make_app: MakeApp, sources: Path) -> None:
    fill = "require('fs').writeFileSync('big', Buffer.alloc(1000 << 20, 7))\n"
    copied(STANDIN, sources, **{"build.js": fill})
    variables = {
        "docker_vps_source_path": str(sources),
        "docker_vps_build_disk": "10M",
        "docker_vps_disk_free_min": "10M",
    }
    app = make_app("it-full", **variables)
    text = app.deploy("--skip-tags", "proxy_network", environment={"DOCKER_HOST": engine.url}).failed().text
    assert "was not built" in text
    assert "the disk of the host is full; free some with: docker builder prune" in text


class Site:
    """The stand-in application on a small engine, asked from the inside, since its network is not the host's."""

    def __init__(self, engine: SecondEngine, app: App) -> None:
        self.engine, self.app = engine, app
        engine.docker("network", "create", app.network)
        self.played("deploy")
        self.write("before")

    def played(self, playbook: str, **variables: object) -> Played:
        """Run a playbook."""
        played = self.app.playbook(playbook, environment={"DOCKER_HOST": self.engine.url}, **variables)
        return played.succeeded() if playbook == "deploy" else played

    def write(self, name: str) -> None:
        """Write a row."""
        script = f"fetch('http://127.0.0.1:3000/api/vendors', {{method: 'POST', body: '{{\"name\": \"{name}\"}}'}})"
        self.engine.docker("exec", self.app.container, "node", "-e", script)

    def vendors(self) -> list[str]:
        """Return the rows."""
        answer = self.engine.docker("exec", self.app.container, "wget", "-qO-", "http://127.0.0.1:3000/api/vendors")
        return [row["name"] for row in json.loads(answer)["docs"]]

    def container(self) -> Any:
        """Return what the engine knows about the only container there is."""
        (there,) = self.engine.docker("ps", "--all", "--quiet").split()
        found = json.loads(self.engine.docker("inspect", there))[0]
        assert found["Name"] == f"/{self.app.container}"
        return found

    def healthy(self) -> bool:
        """Return whether that runs and is healthy."""
        state = self.container()["State"]
        return bool(state["Running"]) and state["Health"]["Status"] == "healthy"


def test_a_disk_that_fills_up_during_the_build_of_an_update(
    engine: SecondEngine, make_app: MakeApp, sources: Path
) -> None:
    variables = {"docker_vps_build_disk": "10M", "docker_vps_disk_free_min": "10M", "docker_vps_release_backup": False}
    app = make_app("it-small", **variables)
    site = Site(engine, app)
    before, live = site.container(), current(app)
    files = {name: (app.directory / name).read_bytes() for name in ("compose.yml", ".env.production")}
    copied(STANDIN, sources, **{"build.js": "require('fs').writeFileSync('big', Buffer.alloc(1000 << 20, 7))\n"})
    text = site.played("update", docker_vps_source_path=str(sources), docker_vps_env={"OTHER": "1"}).failed().text
    assert "the disk of the host is full; free some with: docker builder prune" in text
    after = site.container()
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert site.healthy()
    assert site.vendors() == ["before"]
    assert current(app) == live
    assert {name: (app.directory / name).read_bytes() for name in files} == files

    # The engine is restarted at several points of a cutover.
    versions = Versions(app, engine.url)
    for number, delay in enumerate((0.3, 1.0, 1.8, 2.6)):
        later = threading.Timer(delay, restarted, [engine])
        old, began = site.container()["Id"], time.monotonic()
        later.start()
        try:
            versions.put({"ROUND": str(number)}, monitor=2, health_timeout=20)
            message = ""
        except DockerVpsError as error:
            message = error.message
        assert time.monotonic() - began > delay, "the engine was restarted too late"
        later.join()
        until(site.healthy, 40, f"one healthy version after {delay} s")
        there = site.container()
        assert (there["Id"] == old, f"ROUND={number}" in there["Config"]["Env"]) == (bool(message), not message), (
            message
        )
        assert site.vendors() == ["before"]
        assert list(app.directory.glob("releases/*/journal.json")) == []
    versions.put({"ROUND": "last"})
    assert "ROUND=last" in site.container()["Config"]["Env"]
    assert site.vendors() == ["before"]


def restarted(engine: SecondEngine) -> None:
    """Restart an engine."""
    engine.stop()
    time.sleep(1)
    engine.start()


def health(engine: SecondEngine, timeout: float) -> dict[str, object]:
    given = {"state": "healthy", "tolerate_unhealthy": False, "max_restarts": 0, "log_lines": 50}
    params = params_of({"containers": ["slow"], "timeout": timeout, **given})
    return run(params, Engine.connect(Address(engine.url)), SystemClock(), False)


def slow_container(engine: SecondEngine, seconds: float) -> None:
    check = ("--health-cmd", "test -e /healthy", "--health-interval", "500ms", "--health-retries", "100")
    script = f"sleep {seconds}; touch /healthy; sleep 600"
    engine.docker(
        "run", "--detach", "--network=none", "--name=slow", *check, image_of("base_image.sh"), "sh", "-c", script
    )


def test_an_engine_that_is_restarted_while_waiting(engine: SecondEngine) -> None:
    slow_container(engine, 6)
    later = threading.Timer(1, restarted, [engine])
    later.start()
    try:
        result = health(engine, 40)
    finally:
        later.join()
    assert result["reached"] is True
    assert result["engine_losses"] >= 1  # type: ignore[operator]


def test_an_engine_that_does_not_come_back(engine: SecondEngine) -> None:
    slow_container(engine, 600)
    later = threading.Timer(1, engine.stop)
    later.start()
    began = time.monotonic()
    with pytest.raises(DockerVpsError, match="the engine stopped answering and did not come back within 5 s"):
        health(engine, 5)
    assert time.monotonic() - began < 7
    later.join()
    engine.start()
