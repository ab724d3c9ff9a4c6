# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that come from a registry: pulled, updated, rolled back and removed, whatever becomes of their tags."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.images import Login
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import image_pull, image_push
from engines import MEBIBYTE, SecondEngine, second_engine
from lab import App, MakeApp, docker, inspect, run
from registries import PASSWORD, USER, Registry, push

REGISTRY = Registry("it-registry", 5055)
OPEN, GUARDED, SERVER = REGISTRY.open, REGISTRY.guarded, REGISTRY.server
ACCOUNT = {"docker_vps_registry_username": USER, "docker_vps_registry_password": PASSWORD}


@pytest.fixture(scope="module")
def registry() -> Iterator[None]:
    """A registry on this machine's loopback."""
    with REGISTRY.serving():
        yield


@pytest.fixture(scope="module")
def base(make_app: MakeApp) -> str:
    """The image of a deployed application."""
    app = make_app("it-registry-base")
    app.deploy().succeeded()
    return str(inspect(app.container)["Config"]["Image"])


def labelled(app: App) -> str:
    """Return which variant an application runs."""
    return str(inspect(app.container)["Config"]["Labels"]["version"])


def names(repository: str) -> list[str]:
    """Return the images of a repository, those without a tag too."""
    return docker("images", "--all", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}", repository).splitlines()


@pytest.mark.usefixtures("registry")
def test_an_image_is_pulled_updated_and_rolled_back_after_its_tag_has_moved(make_app: MakeApp, base: str) -> None:
    repository = f"{OPEN}/acme/moved"
    reference = f"{repository}:1"
    push(reference, base, "LABEL version=1 org.opencontainers.image.revision=4f2c1d9a")
    app = make_app("it-pulled", docker_vps_source_path=None, docker_vps_image=reference)
    dry_run = app.deploy("--check").succeeded()
    assert dry_run.recap["changed"] >= 1
    assert names(repository) == []
    app.deploy().succeeded()
    assert app.get("/api/health").status == 200
    first = app.record()
    assert first["image"] == f"{app.container}:{first['image_id'].removeprefix('sha256:')[:12]}"
    assert first["pulled"].startswith(f"{reference}@sha256:")
    assert first["revision"] == "4f2c1d9a"
    for arguments in ((), ("--check",)):
        assert app.deploy(*arguments).succeeded().recap["changed"] == 0

    push(reference, base, "LABEL version=2")
    assert app.deploy("--check").succeeded().recap["changed"] >= 1
    assert labelled(app) == "1"
    assert "is healthy" in app.deploy().succeeded().text
    assert labelled(app) == "2"
    assert app.deploy().succeeded().recap["changed"] == 0

    app.playbook("rollback").succeeded()
    assert labelled(app) == "1"
    assert app.record()["pulled"] == first["pulled"]
    # A digest that is there needs no registry.
    with REGISTRY.down():
        app.deploy(docker_vps_image=app.record()["pulled"]).succeeded()
        text = app.deploy().failed().text
    assert f"The image {reference} cannot be pulled from the registry {OPEN}: Get" in text
    assert labelled(app) == "1"

    push(reference, base, 'CMD ["sh", "-c", "echo will not do; exit 5"]')
    text = app.deploy().failed().text
    assert "will not do" in text
    assert "was put back and is healthy" in text
    assert labelled(app) == "1"

    removed = app.playbook("remove", docker_vps_remove_confirm=app.name).succeeded()
    assert f"{app.container}:" in removed.text
    assert names(repository) + names(app.container) == []
    assert docker("image", "inspect", first["image_id"], check=False).strip() in ("", "[]")


@pytest.mark.usefixtures("registry")
def test_releases_that_are_not_kept_leave_no_image(make_app: MakeApp, base: str) -> None:
    repository = f"{OPEN}/acme/kept"
    app = make_app("it-pulled-kept", docker_vps_source_path=None, docker_vps_image=f"{repository}:1")
    made = []
    for version in range(3):
        push(f"{repository}:1", base, f"LABEL version={version}")
        app.deploy(docker_vps_retain_releases=2, docker_vps_release_backup=False).succeeded()
        made.append(app.record()["image_id"])
    left = {one.split()[0] for one in names(app.container)}
    assert left == {image.removeprefix("sha256:")[:12] for image in made[1:]}
    assert len(names(repository)) == 2
    assert docker("image", "inspect", made[0], check=False).strip() in ("", "[]")
    app.playbook("remove", docker_vps_remove_confirm=app.name).succeeded()
    assert names(repository) == []


@pytest.mark.usefixtures("registry")
def test_a_registry_with_a_login(make_app: MakeApp, base: str) -> None:
    push(f"{OPEN}/acme/private:1", base, "LABEL version=private")
    reference = f"{GUARDED}/acme/private:1"
    app = make_app("it-private", docker_vps_source_path=None, docker_vps_image=reference)
    wrong = {**ACCOUNT, "docker_vps_registry_password": "close-sesame-29"}
    for how in (["--check"], []):
        text = app.deploy(*how, **wrong).failed().text
        assert f"The registry {GUARDED} does not let deploy pull {reference} (unauthorized" in text
        assert "Check docker_vps_registry_username and docker_vps_registry_password." in text
        assert "close-sesame-29" not in text
    text = app.deploy().failed().text
    assert "if it requires a login, set docker_vps_registry_username and docker_vps_registry_password" in text
    missing = reference.replace(":1", ":9")
    text = app.deploy(docker_vps_image=missing, **ACCOUNT).failed().text
    assert f"The registry {GUARDED} has no image {missing} (manifest unknown" in text
    text = app.deploy(docker_vps_registry_username="deploy").failed().text
    assert "docker_vps_registry_username and docker_vps_registry_password go together" in text
    assert not (app.directory / "releases/current").exists()

    played = app.deploy("-vvvv", **ACCOUNT).succeeded()
    assert labelled(app) == "private"
    assert "open-sesame-29" not in played.output
    assert app.deploy(**ACCOUNT).succeeded().recap["changed"] == 0
    places = [str(app.directory), "/root/.docker", "/run", "/tmp/.ansible", "/root/.ansible"]
    there = [place for place in places if Path(place).exists()]
    assert run("grep", "-rIl", "--devices=skip", "open-sesame-29", *there, check=False).stdout == ""


@pytest.fixture
def containerd(tmp_path: Path, base: str) -> Iterator[SecondEngine]:
    """A second engine, with the image store of containerd, a registry of its own, and the image of an application."""
    REGISTRY.build()
    archive = str(tmp_path / "images.tar")
    run("docker", "save", "--output", archive, SERVER, base)
    try:
        with second_engine(tmp_path / "second", 2500 * MEBIBYTE, containerd=True) as second:
            assert second.process
            run("nsenter", f"--net=/proc/{second.process.pid}/ns/net", "ip", "link", "set", "lo", "up")
            second.docker("load", "--input", archive)
            second.docker("run", "--detach", "--network=host", "--name", SERVER, SERVER)
            REGISTRY.answers("--host", second.url)
            yield second
    finally:
        docker("rmi", SERVER, check=False)


def test_the_containerd_store(containerd: SecondEngine, make_app: MakeApp, base: str) -> None:
    reference, engine = f"{OPEN}/acme/store:1", ("--host", containerd.url)
    push(reference, base, "LABEL version=1", *engine)
    variables = {
        "docker_vps_image": reference,
        "docker_vps_release_backup": False,
        "docker_vps_disk_free_min": "512M",
    }
    app = make_app("it-store", docker_vps_source_path=None, **variables)
    containerd.docker("network", "create", app.network)

    def played(playbook: str, *arguments: str, **more: Any) -> Any:
        return app.playbook(playbook, *arguments, environment={"DOCKER_HOST": containerd.url}, **more).succeeded()

    def version() -> str:
        return containerd.docker("inspect", "--format", "{{.Config.Labels.version}}", app.container)

    played("deploy")
    first = app.record()
    index = first["pulled"].partition("@")[2]
    assert index not in ("", first["image_id"])  # the engine calls it by its index
    assert containerd.docker("inspect", "--format", "{{.Image}}", app.container) == index
    assert played("deploy").recap["changed"] == 0
    # The same image in another index: only its attestation is a new one.
    moved = "--provenance=mode=max"
    run("docker", *engine, "build", "-q", moved, "--tag", reference, "-", input=f"FROM {base}\nLABEL version=1\n")
    containerd.docker("push", reference)
    played("deploy")
    assert (app.record()["id"], version()) == (first["id"], "1")

    push(reference, base, "LABEL version=2", *engine)
    played("deploy")
    assert version() == "2"
    containerd.docker("image", "prune", "--force")
    played("rollback")
    assert version() == "1"
    played("stop")
    made = containerd.docker("inspect", "--format", "{{.Id}}", app.container)
    played("start")
    assert containerd.docker("inspect", "--format", "{{.Id}}", app.container) == made
    played("remove", docker_vps_remove_confirm=app.name)
    left = containerd.docker("images", "--all", "--format", "{{.Repository}}").split()
    assert sorted(set(left)) == sorted({base.partition(":")[0], SERVER})

    engine_there = Engine.connect(Address(containerd.url))
    pushing = image_push.Params(base, f"{OPEN}/acme/pushed", Login(OPEN))
    pushed = image_push.run(pushing, engine_there, check_mode=False)
    assert pushed["changed"]
    assert image_push.run(pushing, engine_there, check_mode=False) == {**pushed, "changed": False}
    pulling = image_pull.Params(pushed["image"], "it-store-pushed", Login(OPEN), "1")
    for change in (True, False):
        assert image_pull.run(pulling, engine_there, check_mode=False)["changed"] is change


@pytest.mark.usefixtures("registry")
def test_what_is_built_is_pushed_and_pulled_by_its_digest(make_app: MakeApp) -> None:
    app = make_app("it-pushed")
    repository = f"{GUARDED}/acme/{app.name}"
    given = {"docker_vps_registry_repository": repository, **ACCOUNT}
    assert app.deploy("--check", **given).succeeded().recap["changed"] >= 1
    text = app.deploy(**{**given, "docker_vps_registry_password": "close-sesame-29"}).failed().text
    assert f"cannot be pushed to {repository} in the registry {GUARDED}: unauthorized" in text
    assert "check docker_vps_registry_username and docker_vps_registry_password, and that the account may push" in text
    assert "close-sesame-29" not in text
    assert not (app.directory / "releases/current").exists()

    played = app.deploy("-vvvv", **given).succeeded()
    assert PASSWORD not in played.output
    first = app.record()
    name = first["image"].partition(":")[2]
    assert first["pulled"].startswith(f"{repository}:{name}@sha256:")
    assert f"{repository}:{name}" not in " ".join(names(repository))
    # What is there needs no registry, and a change of the environment keeps the digest in the record.
    with REGISTRY.down():
        assert app.deploy(**given).succeeded().recap["changed"] == 0
        app.deploy(**given, docker_vps_env={"GREETING": "hello"}).succeeded()
    assert app.record()["pulled"] == first["pulled"]
    app.playbook("remove", docker_vps_remove_confirm=app.name, **given).succeeded()
    assert names(repository) + names(app.container) == []

    # Built elsewhere, the host pulls what the registry has under the name of this release, and nobody pushes it again.
    app.deploy(**given, docker_vps_build_on="controller").succeeded()
    assert app.record()["pulled"] == first["pulled"]
    assert app.deploy(**given, docker_vps_build_on="controller").succeeded().recap["changed"] == 0
    places = [str(app.directory), "/root/.docker", "/run", "/tmp/.ansible", "/root/.ansible", "/root/.cache/docker_vps"]
    there = [place for place in places if Path(place).exists()]
    assert run("grep", "-rIl", "--devices=skip", PASSWORD, *there, check=False).stdout == ""
    app.playbook("remove", docker_vps_remove_confirm=app.name, **given).succeeded()


@pytest.mark.usefixtures("registry")
def test_an_image_of_another_platform(make_app: MakeApp) -> None:
    reference = f"{OPEN}/acme/other:1"
    other = "arm64" if platform.machine() == "x86_64" else "amd64"
    built = ("build", "--quiet", f"--platform=linux/{other}", "--tag", reference, "-")
    run("docker", *built, input="FROM scratch\nLABEL other=1\n")
    docker("push", reference)
    docker("rmi", reference)
    app = make_app("it-other-platform", docker_vps_source_path=None, docker_vps_image=reference)
    text = app.deploy().failed().text
    assert f"is built for linux/{other}, and this host is linux/" in text
    assert "Nothing was pulled." in text
    assert names(f"{OPEN}/acme/other") == []
