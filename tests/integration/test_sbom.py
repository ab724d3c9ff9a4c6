# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a deployed image, and what a registry of npm says of it."""

from __future__ import annotations

import json
import stat
import threading
from typing import Any, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._engine.test_npm_registry import Server
from lab import App, MakeApp, containers, docker, inspect


@pytest.fixture
def npm() -> Iterator[Server]:
    """A registry of npm on this machine that knows a critical vulnerability of npm itself."""
    with Server() as serving:
        serving.body = json.dumps({"npm": [advisory("critical")]}).encode()
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def advisory(severity: str) -> dict[str, Any]:
    url = "https://github.com/advisories/GHSA-it-sbom"
    return {"id": 1, "url": url, "title": "A vulnerability", "severity": severity, "vulnerable_versions": "<99.0.0"}


def installed(app: App, *command: str) -> list[str]:
    """Return the lines that a command in the container prints."""
    return docker("exec", app.container, *command).splitlines()


def test_what_is_in_an_image_is_listed_and_asked_for(make_app: MakeApp, npm: Server) -> None:
    app = make_app("it-sbom")
    listing, scan = {"docker_vps_sbom": True}, {"docker_vps_scan": True, "docker_vps_scan_registry": npm.url}
    app.directory.mkdir(exist_ok=True)
    (app.directory / "sbom").write_text("in the way")
    text = app.deploy(**listing).succeeded().text
    assert "Warning: There is no list of what is in the image." in text
    (app.directory / "sbom").unlink()

    assert app.deploy(**listing).succeeded().recap["changed"] == 1
    (file,) = (app.directory / "sbom").iterdir()
    assert file.name == f"{app.record()['image'].partition(':')[2]}.cdx.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    written = file.read_bytes()
    components = json.loads(written)["components"]
    names = {one["purl"].partition(":")[2].partition("?")[0] for one in components if one["type"] == "library"}
    dpkg = installed(app, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\\n")
    debs = {name.split("/")[2].partition("@")[0] for name in names if name.startswith("deb/")}
    assert debs == {line.split()[1].replace("+", "%2B") for line in dpkg if line.startswith("installed ")}
    assert any(name.startswith("npm/npm@") for name in names)
    assert [one for one in containers() if one.startswith("docker-vps-sbom")] == []
    assert npm.asked == []

    text = app.deploy(**scan).succeeded().text
    assert "Warning: npm packages of " in text
    assert "1 known vulnerability (1 critical): npm " in text
    assert "GHSA-it-sbom, fixed in 99.0.0" in text
    ((_path, _headers, sent),) = npm.asked
    npms = {one["name"] for one in components if one.get("purl", "").startswith("pkg:npm/") and "properties" not in one}
    assert set(sent) == npms
    assert app.deploy(**scan).succeeded().recap["changed"] == 0

    made, changed = inspect(app.container)["Id"], {"docker_vps_env": {"GREETING": "hello"}}
    for arguments in (("--check",), ()):
        text = app.deploy(*arguments, **scan, **changed, docker_vps_scan_fail="critical").failed().text
        assert "that docker_vps_scan_fail: critical refuses: npm " in text
    assert inspect(app.container)["Id"] == made
    npm.status = 503
    file.unlink()
    text = app.deploy(**scan, **changed, docker_vps_scan_fail="critical").succeeded().text
    assert f"were not checked, since {npm.url} does not say: it answered 503 Service Unavailable." in text
    assert inspect(app.container)["Id"] != made
    assert file.read_bytes() == written
