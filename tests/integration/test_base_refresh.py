# SPDX-License-Identifier: GPL-3.0-or-later
"""Base images that move in a registry: when a build takes the new one, and when that alone puts a release live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import base_images
from engines import MEBIBYTE, second_engine
from lab import STANDIN, App, MakeApp, Played, build, docker, image_of, inspect, run
from registries import Registry, push

REGISTRY = Registry("it-bases", 5065)
BASE = f"{REGISTRY.open}/acme/base:1"
SERVER = """require('node:http').createServer((_request, response) => response.end()).listen(3000)
process.on('SIGTERM', () => process.exit())
"""
OF_ARGUMENT = 'ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS all\nFROM all\nCOPY . /app\nCMD ["node", "/app/server.js"]\n'


@pytest.fixture(scope="module", autouse=True)
def registry() -> Iterator[None]:
    """A registry on this machine's loopback."""
    with REGISTRY.serving():
        yield


def moves(to: str) -> None:
    """Have another image at the base's name in the registry, which is labelled with this."""
    here = docker("images", "--quiet", BASE)
    push(BASE, image_of("base_image.sh"), f"LABEL moved={to}")
    if here:
        docker("tag", here, BASE)  # as before, on a host that has pushed nothing


@pytest.fixture
def site(sources: Path) -> Path:
    """Sources with a Dockerfile."""
    sources.mkdir()
    (sources / "server.js").write_text(SERVER)
    (sources / "Dockerfile").write_text(OF_ARGUMENT)
    return sources


def built(app: App, *options: str, environment: Optional[Mapping[str, str]] = None, **variables: Any) -> Played:
    """Build the image of an application."""
    return build({app.name: app.host(**variables)}, app.scratch, *options, **(environment or {}))


def newest(app: App) -> Mapping[str, str]:
    """Return the labels of the image of an application that was named last; several may have been created at once."""
    images = json.loads(docker("image", "inspect", *docker("images", "--quiet", app.container).split()))
    found: Mapping[str, str] = max(images, key=lambda image: str(image["Metadata"]["LastTagTime"]))["Config"]["Labels"]
    return found


def base_of(labels: Mapping[str, str]) -> str:
    return f"{labels['org.opencontainers.image.base.name']}@{labels['org.opencontainers.image.base.digest']}"


def in_registry() -> str:
    """Return the base's name, with the digest that it has in the registry now."""
    ask = ("wget", "-q", "-S", "--spider", "http://127.0.0.1:5065/v2/acme/base/manifests/1")
    accept = "--header=Accept: application/vnd.docker.distribution.manifest.v2+json"
    said = run("docker", "exec", REGISTRY.server, *ask, accept).stderr
    (digest,) = {line.split()[1] for line in said.splitlines() if "Docker-Content-Digest" in line}
    return f"{BASE}@{digest}"


def labelled(app: App) -> str:
    """Return on which base an application runs."""
    return str(inspect(app.container)["Config"]["Labels"]["moved"])


def test_a_build_that_is_due_takes_the_base_of_now(make_app: MakeApp, site: Path) -> None:
    moves("1")
    own = {"docker_vps_base_refresh": None, "docker_vps_base_image": BASE}
    app = make_app("it-base-build", docker_vps_source_path=str(site), **own)
    assert built(app, "--check").succeeded().recap["changed"] >= 1
    assert docker("images", "--quiet", BASE) == ""
    assert "is used as it is here" not in built(app).succeeded().text
    assert (newest(app)["moved"], base_of(newest(app))) == ("1", in_registry())

    moves("2")
    for options in ([], ["--check"]):
        assert built(app, *options).succeeded().recap["changed"] == 0
    assert newest(app)["moved"] == "1"
    (site / "Dockerfile").write_text(
        f"from --platform=$BUILDPLATFORM \\\n  {BASE} as all\nFROM scratch\nFROM all\nCOPY . /app\n"
    )
    built(app, "--check").succeeded()
    assert docker("inspect", "--format", "{{.Config.Labels.moved}}", BASE) == "1"
    built(app).succeeded()
    assert (newest(app)["moved"], base_of(newest(app))) == ("2", in_registry())
    assert built(app).succeeded().recap["changed"] == 0

    before = in_registry()
    moves("3")
    (site / "more").write_text("1")
    built(app, docker_vps_base_refresh="never").succeeded()
    assert (newest(app)["moved"], base_of(newest(app))) == ("2", "@")
    with REGISTRY.down():
        (site / "more").write_text("2")
        text = built(app).succeeded().text
        assert f"The base image {BASE} is used as it is here, since the registry {REGISTRY.open} does not" in text
        assert (newest(app)["moved"], base_of(newest(app))) == ("2", before)
        docker("rmi", BASE)
        (site / "more").write_text("3")
        assert "was not built: " in built(app).failed().text


def test_a_base_that_moved_is_put_live_alone(make_app: MakeApp, site: Path) -> None:
    moves("1")
    own = {"docker_vps_base_refresh": None, "docker_vps_base_image": BASE, "docker_vps_release_backup": False}
    app = make_app("it-base-live", docker_vps_source_path=str(site), **own)
    always = {"docker_vps_base_refresh": "always"}
    app.deploy().succeeded()
    first = app.record()
    assert first["base"] == in_registry()
    assert app.playbook("update", **always).succeeded().recap["changed"] == 0

    moves("2")
    assert app.deploy().succeeded().recap["changed"] == 0
    assert "would be built" in app.playbook("update", "--check", **always).succeeded().text
    assert labelled(app) == "1"
    # As once a month, when nobody has changed anything else. Others build on this engine, so their cache stays.
    monthly = app.playbook("maintenance", docker_vps_maintenance_prune=False).succeeded()
    second = app.record()
    assert (labelled(app), second["base"], second["result"]) == ("2", in_registry(), "healthy")
    assert f"Release {second['id']}, {second['image']}, is live and healthy after" in monthly.text
    assert second["revision"] == first["revision"]
    listed = app.playbook("releases").succeeded().text
    for one in (first, second):
        assert f"base {BASE}@{one['base'].rpartition(':')[2][:12]}" in listed
    # Neither another run nor one that asks no registry changes anything.
    for variables in (always, {}, {"docker_vps_base_refresh": "never"}):
        assert app.deploy(**variables).succeeded().recap["changed"] == 0
    moves("3")
    with REGISTRY.down():
        played = app.playbook("update", **always).succeeded()
    assert played.recap["changed"] == 0
    assert f"Warning: The base image {BASE} is used as it is here" in played.text

    app.playbook("rollback").succeeded()
    assert (labelled(app), app.record()["base"]) == ("1", first["base"])
    assert app.deploy().succeeded().recap["changed"] == 0


def test_the_machine_that_builds_asks(make_app: MakeApp, site: Path, tmp_path: Path) -> None:
    how = {"docker_vps_base_refresh": "always", "docker_vps_base_image": BASE, "docker_vps_build_on": "controller"}
    app = make_app("it-base-elsewhere", docker_vps_source_path=str(site), **how)
    home = {"HOME": str(tmp_path), "ANSIBLE_ASYNC_DIR": str(tmp_path / "async")}
    for version in ("1", "2"):
        moves(version)
        assert built(app, environment=home).succeeded().recap["changed"] >= 1
        assert (newest(app)["moved"], base_of(newest(app))) == (version, in_registry())
        assert built(app, environment=home).succeeded().recap["changed"] == 0


def test_the_base_of_our_dockerfile(make_app: MakeApp) -> None:
    moves("1")
    own = {"docker_vps_base_refresh": None, "docker_vps_base_image": BASE}
    app = make_app("it-base-ours", docker_vps_source_path=str(STANDIN), **own)
    built(app).succeeded()
    assert (newest(app)["moved"], base_of(newest(app))) == ("1", in_registry())
    (tag,) = docker("images", "--format", "{{.Tag}}", app.container).split()
    assert len(tag) == len("3f2a9c41d07b-3f2a9c41")


def test_the_containerd_store(tmp_path: Path) -> None:
    archive = str(tmp_path / "image.tar")
    run("docker", "save", "--output", archive, REGISTRY.server)
    with second_engine(tmp_path / "second", 2500 * MEBIBYTE, containerd=True) as second:
        assert second.process
        run("nsenter", f"--net=/proc/{second.process.pid}/ns/net", "ip", "link", "set", "lo", "up")
        second.docker("load", "--input", archive)
        second.docker("run", "--detach", "--network=host", "--name", REGISTRY.server, REGISTRY.server)
        host = ("--host", second.url)
        REGISTRY.answers(*host)
        engine, params = Engine.connect(Address(second.url)), base_images.Params(f"FROM {BASE}", {})
        digests = []
        for version in ("1", "2"):
            push(BASE, REGISTRY.server, f"LABEL moved={version}", *host)
            if digests:
                second.docker("tag", "kept:1", BASE)
            assert base_images.run(params, engine, check_mode=True)["changed"] is True
            digests.append(base_images.run(params, engine, check_mode=False)["digest"])
            assert base_images.run(params, engine, check_mode=False)["changed"] is False
            second.docker("tag", BASE, "kept:1")
            run("docker", *host, "build", "--quiet", "--tag", "site:1", "-", input=f"FROM {BASE}\nENV A=1\n")
            assert second.docker("inspect", "--format", "{{.Config.Labels.moved}}", "site:1") == version
        assert len(set(digests)) == len(digests)
        second.docker("stop", "--time=1", REGISTRY.server)
        told = base_images.run(params, engine, check_mode=False)
        assert (told["digest"], told["confirmed"], len(told["cautions"])) == (digests[1], False, 1)
