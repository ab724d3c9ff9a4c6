# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping, starting, restarting, backing up, restoring and removing the stand-in application on a real engine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from lab import STANDIN, App, MakeApp, copied, docker, inspect

NAME = "it-life"
VOLUMES = [f"{NAME}-db", f"{NAME}-media"]


@pytest.fixture(scope="module")
def deployed(make_app: MakeApp) -> App:
    return make_app(NAME)


@pytest.fixture
def app(deployed: App) -> App:
    """The application, healthy, with one vendor at least and a picture."""
    deployed.deploy().succeeded()
    assert deployed.post("/api/vendors", {"name": "Example Ltd"}).status == 201
    assert deployed.post("/media/square.png", "a picture").status == 200
    return deployed


def vendors(app: App) -> list[str]:
    return [row["name"] for row in app.get("/api/vendors").json["docs"]]


def state(app: App) -> dict[str, Any]:
    """Return the parts of the container's state that a stop decides."""
    found = inspect(app.container)["State"]
    return {name: found[name] for name in ("Status", "ExitCode", "FinishedAt")}


def volumes() -> list[str]:
    return [name for name in docker("volume", "ls", "--quiet").split() if name in VOLUMES]


def images(app: App) -> list[str]:
    return docker("images", "--format", "{{.Repository}}:{{.Tag}}", app.container).split()


def sets(app: App) -> list[str]:
    return sorted(path.name for path in app.backups.glob("manifest-*.json"))


def test_stop_and_start(app: App) -> None:
    before, data = inspect(app.container), vendors(app)
    dry_run = app.playbook("stop", "--check").succeeded()
    assert dry_run.recap["changed"] == 1
    assert f"{app.container} would be stopped, with 10 s to end" in dry_run.text
    assert state(app)["Status"] == "running"

    stopped = app.playbook("stop").succeeded()
    assert stopped.recap["changed"] == 1
    assert "ended by itself with exit code 0" in stopped.text
    after = inspect(app.container)
    assert (after["Id"], after["State"]["Status"], after["State"]["ExitCode"]) == (before["Id"], "exited", 0)
    # The engine does not start it when it is restarted itself, because it was stopped by hand.
    assert after["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert volumes() == VOLUMES

    was = state(app)
    for arguments in ((), ("--check",)):
        again = app.playbook("stop", *arguments).succeeded()
        assert again.recap["changed"] == 0
        assert f"{app.container} does not run; its last exit code is 0" in again.text
    assert "Next: nothing, since without --check nothing would be changed either." in again.text
    assert state(app) == was

    dry_run = app.playbook("start", "--check").succeeded()
    assert dry_run.recap["changed"] == 1
    assert "would be started" in dry_run.text
    assert "Next: the same without --check does it." in dry_run.text
    assert state(app) == was

    started = app.playbook("start").succeeded()
    assert started.recap["changed"] == 1
    assert f"{app.container} was started and is healthy" in started.text
    assert inspect(app.container)["Id"] == before["Id"]
    assert vendors(app) == data
    assert app.get("/media/square.png").body == b'"a picture"'
    again = app.playbook("start").succeeded()
    assert again.recap["changed"] == 0
    assert "runs and is healthy; there was nothing to do" in again.text
    assert app.deploy().succeeded().recap["changed"] == 0


@pytest.mark.parametrize("playbook", ["start", "deploy"])
def test_another_version_of_compose_makes_nothing_anew(app: App, playbook: str, tmp_path: Path) -> None:
    before = inspect(app.container)["Id"]
    docker("stop", app.container)
    plugins = tmp_path / "cli-plugins"
    plugins.mkdir()
    path = '{{range .ClientInfo.Plugins}}{{if eq .Name "compose"}}{{.Path}}{{end}}{{end}}'
    real = docker("info", "--format", path)
    # It hashes as no other version does, and makes containers again whenever it is asked to bring something up.
    (plugins / "docker-compose").write_text(f"""#!/bin/sh
case " $* " in
  *" --hash "*) echo "app 0a0a0a0a" ;;
  *" up "*) exec {real} "$@" --force-recreate ;;
  *) exec {real} "$@" ;;
esac
""")
    (plugins / "docker-compose").chmod(0o755)
    app.playbook(playbook, environment={"DOCKER_CONFIG": str(tmp_path)}).succeeded()
    app.becomes_healthy()
    assert inspect(app.container)["Id"] == before


@pytest.mark.parametrize("playbook", ["start", "deploy"])
def test_a_network_that_was_made_anew_meanwhile(app: App, playbook: str) -> None:
    data = vendors(app)
    docker("stop", app.container)
    docker("network", "rm", app.network)
    docker("network", "create", app.network)
    assert app.playbook(playbook).succeeded().recap["changed"] >= 1
    app.becomes_healthy()
    assert vendors(app) == data
    assert app.playbook(playbook).succeeded().recap["changed"] == 0


def test_restart(app: App) -> None:
    began, data = inspect(app.container)["State"]["StartedAt"], vendors(app)
    dry_run = app.playbook("restart", "--check").succeeded()
    assert "would be stopped" in dry_run.text
    assert "Next: the same without --check does it." in dry_run.text
    assert inspect(app.container)["State"]["StartedAt"] == began
    restarted = app.playbook("restart").succeeded()
    assert inspect(app.container)["State"]["StartedAt"] != began
    assert inspect(app.container)["State"]["Health"]["Status"] == "healthy"
    assert f"{app.container} was stopped and ended by itself" in restarted.text
    away = re.search(r"Seconds: preflight [\d.]+, restart and health ([\d.]+)", restarted.text)
    assert away
    assert 0 < float(away[1]) < 30
    assert f"Next: docker logs --tail 50 {app.container} shows how it runs." in restarted.text
    assert vendors(app) == data


def test_start_shows_the_log_of_what_does_not_become_healthy(app: App) -> None:
    app.playbook("stop").succeeded()
    env_file, released = app.directory / ".env.production", app.directory / "releases/current/.env.production"
    text = env_file.read_text()
    try:
        released.write_text(text + "\nSTANDIN_CRASH=7\n")
        env_file.write_text(text + "\nSTANDIN_CRASH=7\n")
        docker("rm", app.container)  # one that is only stopped keeps the environment that it was made with
        failed = app.playbook("start").failed()
        assert "crashing as commanded" in failed.text
    finally:
        released.write_text(text)
    # Now that env file is one that was never released.
    dry_run = app.playbook("restart", "--check").succeeded()
    assert f"{env_file} was not what is live, so that of release" in dry_run.text
    assert "would be put back" in dry_run.text
    assert "STANDIN_CRASH" in env_file.read_text()
    started = app.playbook("start").succeeded()
    assert "was put back" in started.text
    assert env_file.read_text() == text
    assert "STANDIN_CRASH" not in docker("exec", app.container, "env")
    assert "STANDIN_CRASH" in env_file.with_name(".env.production.previous").read_text()


def test_start_without_the_image_names_the_way_out(app: App) -> None:
    app.stack("absent").succeeded()
    docker("rmi", *images(app))
    failed = app.playbook("start").failed()
    assert "deploy.yml makes them again" in failed.text
    assert volumes() == VOLUMES


def test_what_was_never_deployed(make_app: MakeApp) -> None:
    app = make_app("it-life-never")
    stopped = app.playbook("stop").succeeded()
    assert stopped.recap["changed"] == 0
    assert "There is no container it-life-never-app, so there is nothing to stop" in stopped.text
    for playbook in ("start", "restart"):
        failed = app.playbook(playbook).failed()
        assert "was never deployed here" in failed.text
        assert "Run deploy.yml" in failed.text
    removed = app.playbook("remove", docker_vps_remove_confirm=app.name, docker_vps_remove_data=True).succeeded()
    assert removed.recap["changed"] == 0
    assert "nothing, since there is nothing of it-life-never" in removed.text
    assert sets(app) == []


def test_what_ignores_sigterm_is_killed_and_said_to_be(make_app: MakeApp, sources: Path) -> None:
    server = (STANDIN / "server.js").read_text()
    handler = "process.on('SIGTERM', () => server.close(() => process.exit(0)))"
    assert handler in server
    deaf = {"server.js": server.replace(handler, "process.on('SIGTERM', () => {})")}
    variables = {"docker_vps_source_path": str(copied(STANDIN, sources, **deaf)), "docker_vps_stop_grace_period": "2s"}
    app = make_app("it-life-deaf", **variables)
    app.deploy().succeeded()
    stopped = app.playbook("stop").succeeded()
    assert state(app)["ExitCode"] == 137
    assert "Warning: it-life-deaf-app did not end within 2 s of SIGTERM and was killed (exit code 137)" in stopped.text
    assert "longer stop grace period" in stopped.text
    app.playbook("start").succeeded()


def test_a_backup_prunes_what_no_rule_keeps(app: App) -> None:
    keep = {f"docker_vps_backup_keep_{rule}": 0 for rule in ("daily", "weekly", "monthly")}
    for _turn in range(2):
        app.playbook("backup", docker_vps_backup_prune=False).succeeded()
    before = sets(app)
    assert len(before) > 1
    app.playbook("backup", docker_vps_backup_keep_last=1, **keep).succeeded()
    (left,) = sets(app)
    assert left > before[-1]


def test_a_named_set_is_restored_rather_than_the_latest(app: App) -> None:
    app.playbook("backup", docker_vps_backup_prune=False).succeeded()
    named, data = sets(app)[-1].removeprefix("manifest-").removesuffix(".json"), vendors(app)
    assert app.post("/api/vendors", {"name": "Later Ltd"}).status == 201
    app.playbook("backup", docker_vps_backup_prune=False).succeeded()
    upload = Path(json.loads(docker("volume", "inspect", VOLUMES[1]))[0]["Mountpoint"], "square.png")
    upload.rename(f"{upload}.aside")
    variables = {"docker_vps_restore_set": named, "docker_vps_restore_stop_app": True}
    query = "SELECT 'square.png' FROM vendors"
    alone = {"docker_vps_restore_volumes": {"db": VOLUMES[0]}, "docker_vps_backup_uploads_query": query}
    played = app.playbook("restore", "--check", **variables, **alone).succeeded()
    assert f"1 upload that its rows name is not in {VOLUMES[1]}: square.png" in played.text
    Path(f"{upload}.aside").rename(upload)
    app.playbook("restore", **variables).succeeded()
    assert vendors(app) == data


def test_remove_asks_for_the_name(app: App) -> None:
    for variables, message in (
        ({}, "Nothing was removed"),
        ({"docker_vps_remove_confirm": "it-lief"}, "docker_vps_remove_confirm is it-lief, which is not the name"),
        ({"docker_vps_remove_data": True}, "- volumes it-life-db ("),
    ):
        refused = app.playbook("remove", **variables).failed()
        assert refused.recap["changed"] == 0
        assert message in refused.text
        assert f"-e docker_vps_remove_confirm={NAME}" in refused.text
        listed = (f"containers {app.container}", images(app)[0], f"in {app.directory}:", "compose.yml", VOLUMES[0])
        assert [part for part in listed if part not in refused.text] == []
    assert state(app)["Status"] == "running"


def test_remove_keeps_the_data_and_its_secret(app: App) -> None:
    data, secret = vendors(app), app.env_keys()["PAYLOAD_SECRET"]
    made = sets(app)
    scheduled = Path(f"/etc/cron.d/{NAME}-backup")
    scheduled.write_text("# as schedule.yml writes it on a host without systemd\n")
    dry_run = app.playbook("remove", "--check").succeeded()
    assert f"Would go: containers {app.container}" in dry_run.text
    assert f"Would go: scheduled jobs {scheduled}" in dry_run.text
    assert scheduled.exists()
    assert state(app)["Status"] == "running"

    removed = app.playbook("remove", docker_vps_remove_confirm=NAME).succeeded()
    assert f"Gone: containers {app.container}" in removed.text
    assert f"Gone: scheduled jobs {scheduled}" in removed.text
    assert not scheduled.exists()
    assert f"Stays: {app.directory}/.env.production, since its PAYLOAD_SECRET belongs to the data" in removed.text
    assert docker("ps", "--all", "--quiet", "--filter", f"name={app.container}") == ""
    assert images(app) == []
    assert [path.name for path in app.directory.iterdir()] == [".env.production"]
    assert volumes() == VOLUMES
    assert sets(app) == made
    assert docker("network", "ls", "--quiet", "--filter", f"name={app.network}")

    again = app.playbook("remove", docker_vps_remove_confirm=NAME).succeeded()
    assert again.recap["changed"] == 0
    assert app.playbook("start").failed()
    app.deploy().succeeded()
    assert vendors(app) == data
    assert app.env_keys()["PAYLOAD_SECRET"] == secret


def test_remove_with_the_data_makes_a_last_set_that_restores(app: App) -> None:
    data, made = vendors(app), sets(app)
    variables = {"docker_vps_remove_confirm": NAME, "docker_vps_remove_data": True}
    dry_run = app.playbook("remove", "--check", **variables).succeeded()
    assert "A set of it-life would be made" in dry_run.text
    assert "Would go: volumes it-life-db (" in dry_run.text
    assert (state(app)["Status"], sets(app)) == ("running", made)

    removed = app.playbook("remove", **variables).succeeded()
    assert "ended by itself with exit code 0" in removed.text
    assert "Set " in removed.text
    assert "before removal" in (app.backups / sets(app)[-1]).read_text()
    assert len(sets(app)) == len(made) + 1
    assert volumes() == []
    assert not app.directory.exists()
    assert docker("network", "ls", "--quiet", "--filter", f"name={app.network}")
    assert app.playbook("remove", **variables).succeeded().recap["changed"] == 0
    assert len(sets(app)) == len(made) + 1

    app.playbook("restore").succeeded()
    app.deploy().succeeded()
    assert vendors(app) == data
    assert app.get("/media/square.png").body == b'"a picture"'


def test_remove_with_the_data_refuses_without_a_backup_of_it(app: App) -> None:
    variables = {"docker_vps_remove_confirm": NAME, "docker_vps_remove_data": True}
    left_out = app.playbook("remove", docker_vps_backup_volumes={"db": VOLUMES[0]}, **variables).failed()
    assert "docker_vps_backup_volumes leaves out it-life-media" in left_out.text
    other = ("--name", f"{NAME}-other", "--volume", f"{VOLUMES[1]}:/x:ro", "--network=none", images(app)[0])
    docker("create", *other)
    try:
        used = app.playbook("remove", **variables).failed()
    finally:
        docker("rm", f"{NAME}-other")
    assert f"{NAME}-other also use" in used.text
    assert state(app)["Status"] == "running"

    # No directory can be made below a file.
    variables["docker_vps_backup_directory"] = f"{app.directory}/compose.yml/sets"
    failed = app.playbook("remove", **variables).failed()
    assert "Without a last backup nothing is removed" in failed.text
    assert volumes() == VOLUMES
    assert state(app)["Status"] == "exited"
    app.playbook("start").succeeded()


def test_remove_refuses_a_directory_at_the_top(app: App) -> None:
    refused = app.playbook("remove", docker_vps_remove_confirm=NAME, docker_vps_directory="/srv").failed()
    assert "nothing is removed there" in refused.text
    assert state(app)["Status"] == "running"
