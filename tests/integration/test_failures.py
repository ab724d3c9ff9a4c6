# SPDX-License-Identifier: GPL-3.0-or-later
"""Every failed deploy ends with one clear sentence, and what ran before keeps serving its data."""

from __future__ import annotations

import json
import re
import stat
import time
import venv
from pathlib import Path
from typing import Iterator

import pytest
from lab import STANDIN, App, MakeApp, commit, containers, copied, docker, image_of, inspect, run, until


@pytest.fixture(scope="module")
def deployed(make_app: MakeApp) -> App:
    """A deployed application with one vendor."""
    app = make_app("it-fail")
    app.deploy().succeeded()
    assert app.post("/api/vendors", {"name": "before"}).status == 201
    return app


@pytest.fixture
def app(deployed: App) -> Iterator[App]:
    """The application, which must serve its old version and data again when the test is over."""
    image = inspect(deployed.container)["Config"]["Image"]
    yield deployed
    facts = inspect(deployed.container)
    assert facts["Config"]["Image"] == image
    deployed.becomes_healthy()
    assert [row["name"] for row in deployed.get("/api/vendors").json["docs"]] == ["before"]


@pytest.fixture
def untouched(app: App) -> Iterator[App]:
    """The application, which must not even have been restarted when the test is over."""
    started = inspect(app.container)["State"]["StartedAt"]
    yield app
    assert inspect(app.container)["State"]["StartedAt"] == started


def test_a_missing_git_ref(untouched: App, sources: Path) -> None:
    commit(copied(STANDIN, sources))
    variables = {"docker_vps_git_url": f"file://{sources}", "docker_vps_git_version": "no-such-branch"}
    text = untouched.deploy(docker_vps_source_path=None, **variables).failed().text
    assert (
        "The repository has no branch, tag or commit no-such-branch: check docker_vps_git_version. It has main." in text
    )
    assert "no-such-branch" in text


def test_an_unreachable_git_host(untouched: App) -> None:
    url = "http://127.0.0.1:9/acme/site.git"
    text = untouched.deploy(docker_vps_source_path=None, docker_vps_git_url=url).failed().text
    assert (
        "The server does not answer, or the connection broke: check docker_vps_git_url and the network of the host."
        in text
    )
    assert url in text


def test_a_password_in_the_git_url_is_refused_and_not_shown(untouched: App) -> None:
    url = "https://user:tok-hidden@git.example.com/acme/site.git"
    played = untouched.deploy("-vvv", docker_vps_source_path=None, docker_vps_git_url=url).failed()
    assert "docker_vps_git_url must be a git URL without a password or token" in played.text
    assert "tok-hidden" not in played.output


def test_local_changes_in_the_checkout_are_not_destroyed(untouched: App, make_app: MakeApp, sources: Path) -> None:
    commit(copied(STANDIN, sources))
    app = make_app("it-git-edited", docker_vps_source_path=None, docker_vps_git_url=f"file://{sources}")
    app.deploy().succeeded()
    edited = app.directory / "source/server.js"
    edited.write_text(edited.read_text() + "// fixed in the night\n")
    (sources / "server.js").write_text((sources / "server.js").read_text() + "// newer\n")
    commit(sources)
    assert "There are local changes in that directory" in app.deploy().failed().text
    assert edited.read_text().endswith("// fixed in the night\n")


@pytest.mark.parametrize("result_format", ["yaml", "json"])
def test_a_failing_build_shows_the_last_lines_of_the_failing_step(
    untouched: App, sources: Path, tmp_path: Path, result_format: str
) -> None:
    failing = "console.log('\\x1b[31mline before\\x1b[0m'); throw new Error('no such module: sesame')\n"
    copied(STANDIN, sources, **{"build.js": failing})
    told = {"docker_vps_notify_command": ["tee", str(tmp_path / "told")]}
    how = {"ANSIBLE_CALLBACK_RESULT_FORMAT": result_format}
    played = untouched.deploy(docker_vps_source_path=str(sources), environment=how, **told).failed()
    assert "was not built: the step [builder" in played.text
    assert "What ran before keeps running. What the failing step said stands above" in played.text
    lines = [line.partition("local | ")[2] for line in played.output.split("\n") if line.startswith("local | ")]
    assert "line before" in lines
    assert any(line.endswith("Error: no such module: sesame") for line in lines)
    assert not set("\r\x1b") & set(played.output)
    assert "no such module: sesame" in (untouched.directory / "build.log").read_text()
    kept = untouched.directory / "build-failure.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "line before" in json.loads(kept.read_text())["lines"]
    assert "line before" in json.loads((tmp_path / "told").read_text())["message"].split("\n")


@pytest.mark.parametrize(
    ("lockfile", "way", "sentence"),
    [
        ("pnpm-lock.yaml", "path", "pnpm-lock.yaml has no lockfileVersion"),
        ("pnpm-lock.yaml", "git", "pnpm-lock.yaml has no lockfileVersion"),
        ("", "path", "There is no lockfile: package-lock.json of npm"),
    ],
)
def test_sources_that_cannot_be_installed(
    untouched: App, sources: Path, lockfile: str, way: str, sentence: str
) -> None:
    copied(STANDIN, sources, **({lockfile: ""} if lockfile else {}))
    (sources / "package-lock.json").unlink()
    variables: dict[str, object] = {"docker_vps_source_path": str(sources)}
    if way == "git":
        commit(sources)
        variables = {"docker_vps_source_path": None, "docker_vps_git_url": f"file://{sources}"}
    played = untouched.deploy(**variables).failed()
    assert f"{sources} cannot be built. {sentence}" in played.text
    assert "Image | Build it" not in played.output
    if way == "path":
        assert sentence in untouched.deploy("--check", **variables).failed().text


def test_a_build_without_standalone_output(untouched: App, sources: Path) -> None:
    copied(STANDIN, sources, **{"build.js": "// builds nothing\n"})
    text = untouched.deploy(docker_vps_source_path=str(sources)).failed().text
    assert "set output: 'standalone' in next.config" in text


@pytest.mark.parametrize("variable", ["docker_vps_build_disk", "docker_vps_disk_free_min"])
def test_too_little_disk(untouched: App, sources: Path, variable: str) -> None:
    copied(STANDIN, sources, README="changed\n")
    text = untouched.deploy(docker_vps_source_path=str(sources), **{variable: "900T"}).failed().text
    assert "disk: expected at least 921600.0 GiB free, found" in text
    assert not (untouched.directory / "deploy.lock").exists()


def test_the_check_of_a_host_alone(untouched: App) -> None:
    role = "[{ansible.builtin.import_role: {name: ptnextjs.docker_vps.preflight}}]"
    assert untouched.play(role).succeeded().recap["changed"] == 0
    assert "disk: expected at least 921600.0 GiB" in untouched.play(role, docker_vps_disk_free_min="900T").failed().text


def test_a_version_that_exits_at_once(app: App) -> None:
    text = app.deploy(docker_vps_env={"STANDIN_CRASH": "7"}).failed().text
    assert re.search(rf"Container {app.container}-next (keeps exiting|exited) with code 7", text)
    assert "crashing as commanded" in text
    assert "was put back and is healthy" in text
    assert "STANDIN_CRASH" not in (app.directory / ".env.production").read_text()
    (failed,) = (app.directory / "releases").glob("*/log")
    assert "STANDIN_CRASH=7" in (failed.parent / ".env.production").read_text()
    for kept in (failed, failed.parent / ".env.production"):
        assert kept.stat().st_mode & 0o777 == 0o600


def test_a_version_under_another_name_that_fails(app: App) -> None:
    variables = {"docker_vps_container": "it-fail-renamed", "docker_vps_env": {"STANDIN_CRASH": "7"}}
    assert "was put back and is healthy" in app.deploy(**variables).failed().text


def test_a_version_that_never_becomes_healthy(app: App) -> None:
    fails = {"docker_vps_env": {"STANDIN_UNHEALTHY": "1"}, "docker_vps_health_wait": 8}
    text = app.deploy(docker_vps_progress="live", **fails).failed().text
    assert re.search(
        r"\blocal \| the (new version starts|old version ends|version before is put back), \d+ s\x1b\[K", text
    )
    assert f"Container {app.container}-next is running (starting) and was not healthy within 8 s" in text
    assert 'asked the same, the application answers 503: {"status":"unhealthy","timestamp":' in text
    assert "listening on 0.0.0.0:3000" in text
    assert "was put back and is healthy" in text
    app.deploy().succeeded()


def test_a_health_check_that_gets_no_answer_ends_by_itself(untouched: App) -> None:
    untouched.post("/api/control", {"hanging": True})
    try:
        began = time.monotonic()
        command = inspect(untouched.container)["Config"]["Healthcheck"]["Test"][1:]
        # As a cutover asks it, where no engine ends it after the timeout of the check.
        asked = run("docker", "exec", untouched.container, *command, check=False, timeout=60)
        assert asked.returncode not in (0, 126, 127)
        assert time.monotonic() - began < 10  # that timeout, for which the engine's own checks wait
        assert "wget" not in docker("top", untouched.container)
    finally:
        untouched.post("/api/control", {})


def test_a_first_version_that_cannot_be_started_one_that_exits_at_once_and_one_that_works(
    make_app: MakeApp, sources: Path
) -> None:
    app = make_app("it-first")
    copied(STANDIN, sources, Dockerfile=f'FROM {image_of("base_image.sh")}\nENTRYPOINT ["/no/such/entrypoint"]\n')
    # The engine's init starts in any case.
    text = app.deploy(docker_vps_source_path=str(sources), docker_vps_hardening_off=["init"]).failed().text
    assert "/no/such/entrypoint" in text
    assert f"There is no earlier healthy version to put back. {app.container} had never run, and was removed." in text
    assert app.container not in containers()
    text = app.deploy(docker_vps_env={"STANDIN_CRASH": "7"}).failed().text
    assert "crashing as commanded" in text
    assert "There is no earlier healthy version to put back." in text
    assert app.container in containers()
    app.deploy().succeeded()


def test_a_broken_environment_names_every_wrong_key(untouched: App) -> None:
    variables = {"docker_vps_payload_secret": "changeme-changeme-changeme-changeme"}
    text = (
        untouched.deploy(
            **variables,
            docker_vps_database_uri="file:/tmp/x.db",
            docker_vps_env={"A-B": "1", "NEXT_PUBLIC_SERVER_URL": "ftp://x"},
        )
        .failed()
        .text
    )
    for key in ("PAYLOAD_SECRET is a placeholder", "NEXT_PUBLIC_SERVER_URL must be", "DATABASE_URI must name", "'A-B'"):
        assert key in text
    assert "changeme-changeme" not in text


def test_a_container_and_a_volume_of_somebody_else(make_app: MakeApp) -> None:
    app = make_app("it-taken")
    docker("volume", "create", f"{app.name}-db")
    docker("create", "--name", app.container, app.variables["docker_vps_base_image"], "true")
    try:
        text = app.deploy().failed().text
        assert f"container {app.container}: expected absent, or of the Compose project it-taken" in text
        assert f"volume {app.name}-db: expected absent" in text
        assert not app.directory.exists()
        docker("rm", app.container)
        app.deploy("--check", docker_vps_external_volumes=True).succeeded()
    finally:
        docker("rm", "--force", app.container, check=False)


def test_a_compose_project_of_somebody_else_with_the_same_name(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app("it-project")
    image = app.variables["docker_vps_base_image"]
    services = {name: {"image": image, "command": "sleep 600"} for name in ("worker", "app")}
    services["app"]["container_name"] = app.container
    (tmp_path / "compose.yml").write_text(json.dumps({"name": app.name, "services": services}))
    compose = ("docker", "compose", "--file", str(tmp_path / "compose.yml"))
    run(*compose, "up", "--detach")
    before = docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={app.name}")
    try:
        text = app.deploy().failed().text
        assert f"found it belongs to the Compose project it-project of {tmp_path}/compose.yml" in text
        assert docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={app.name}") == before
    finally:
        run(*compose, "down", "--timeout", "0")


def test_no_engine(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app("it-none")
    nowhere = f"unix://{tmp_path}/docker.sock"
    text = app.deploy(environment={"DOCKER_HOST": nowhere}).failed().text
    assert f"No Docker engine answers at {nowhere}: there is no such socket." in text


def test_a_host_without_the_docker_sdk(make_app: MakeApp, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare")
    python = str(tmp_path / "bare/bin/python")
    variables = {"docker_vps_replica_url": f"file://{tmp_path}/replica", "docker_vps_schedule_python": python}
    app = make_app("it-bare", ansible_python_interpreter=python, **variables)
    for name in ("backup", "logs", "releases", "remove", "replica", "restore", "stop"):
        text = app.playbook(name).failed().text
        assert f"{python} has no Docker SDK (No module named ''docker'')" in text, name
        assert "Install it; on Debian and Ubuntu: apt-get install python3-docker." in text, name
    assert "cannot run docker-vps: No module named 'docker'." in app.playbook("schedule").failed().text


def test_a_container_that_was_stopped_by_hand_is_started_again(app: App) -> None:
    docker("stop", app.container)
    app.deploy().succeeded()
    assert until(lambda: app.get("/api/health").status == 200, 5, "health")
