# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets as files: nobody but the application sees them, whatever is done with it, and how they are rotated."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, Mapping

import pytest
from lab import ROOT, App, MakeApp, Played, containers, docker, inspect, process, run

NAME = "it-secrets"
FOUND = "hunter2-canary-4711"  # in an address
CANARIES = {
    "PAYLOAD_SECRET": "canary-0-5f0c8d1e7a3b49629d84c1b7e6a2f390",
    "SENDGRID_API_KEY": "SG.canary-1.$HOME `x` \"y\" 'z' #",
    "NEXT_SERVER_ACTIONS_ENCRYPTION_KEY": "Y2FuYXJ5LTItY2FuYXJ5LTItY2FuYXJ5LTItY2FuYXI=",
    "S3_SECRET_KEY": "canary-3\nof two lines\n",
    "REPORTS_URL": f"postgres://reports:{FOUND}@db.example.com/reports",
    "FROM_COMMAND": "canary-5-from-a-command",
    "FROM_ENVIRONMENT": "canary-6-from-the-environment",
    "FROM_VAULT": "canary-7-from-a-vault",
}
SOUGHT = [*(value for name, value in CANARIES.items() if name != "S3_SECRET_KEY"), "canary-3", FOUND]
VAULT_PASSWORD = "correct horse"
OTHER = "other-secret-0e57c1d2b3a4f5e6d7c8b9a0"
SCHEMA = ROOT / "tests/unit/fixtures/payload/api_keys.sql"


@pytest.fixture(scope="module")
def app(make_app: MakeApp, tmp_path_factory: pytest.TempPathFactory) -> App:
    """An application whose secrets come from where people keep them, not deployed yet."""
    place = tmp_path_factory.mktemp("sources")
    (place / "password").write_text(VAULT_PASSWORD)
    (place / "secret").write_text(CANARIES["FROM_COMMAND"])
    password = ("--vault-password-file", str(place / "password"))
    vaulted = run("ansible-vault", "encrypt_string", *password, CANARIES["FROM_VAULT"]).stdout
    (place / "vault.yml").write_text(f"vault_secret: {vaulted}")
    env = {name: CANARIES[name] for name in ("S3_SECRET_KEY", "REPORTS_URL")}
    env["FROM_COMMAND"] = "{{ lookup('ansible.builtin.pipe', 'cat %s') }}" % (place / "secret")
    env["FROM_ENVIRONMENT"] = "{{ lookup('ansible.builtin.env', 'IT_SECRET') }}"
    env["FROM_VAULT"] = "{{ vault_secret }}"
    app = make_app(
        NAME,
        docker_vps_secrets="files",
        docker_vps_secret_keys=["S3_SECRET_KEY", "FROM_COMMAND", "FROM_ENVIRONMENT", "FROM_VAULT"],
        docker_vps_payload_secret=CANARIES["PAYLOAD_SECRET"],
        docker_vps_sendgrid_api_key=CANARIES["SENDGRID_API_KEY"],
        docker_vps_server_actions_key=CANARIES["NEXT_SERVER_ACTIONS_ENCRYPTION_KEY"],
        docker_vps_env={**env, "STANDIN_TELL": "FROM_VAULT"},
    )
    (app.scratch / "arguments").write_text(json.dumps(["-e", f"@{place}/vault.yml", *password]))
    return app


def played(app: App, playbook: str, *arguments: str, **variables: Any) -> Played:
    """Run a playbook as a person does who has the vault's password and the variable of the environment."""
    known = json.loads((app.scratch / "arguments").read_text())
    environment = {"IT_SECRET": CANARIES["FROM_ENVIRONMENT"]}
    return app.playbook(playbook, *known, *arguments, environment=environment, **variables)


@pytest.fixture(scope="module")
def image(app: App) -> str:
    """The image of the application, deployed if no test before has done it."""
    if app.container not in containers():
        played(app, "deploy").succeeded()
    return str(inspect(app.container)["Config"]["Image"])


def canaries_in(text: str) -> list[str]:
    """Return which canaries are in a text, also as JSON or YAML write them."""
    forms = {one: {one, json.dumps(one)[1:-1], one.replace("'", "''")} for one in SOUGHT}
    return [one for one in SOUGHT if any(form in text for form in forms[one])]


def mounted(app: App) -> dict[str, Path]:
    """Return the files of the secrets, by their names."""
    mounts = inspect(app.container)["Mounts"]
    return {Path(one["Destination"]).name: Path(one["Source"]) for one in mounts if one["Type"] == "bind"}


def test_nobody_else_sees_them(app: App) -> None:
    deployed = played(app, "deploy", "-vvvv", "--diff").succeeded()
    seen = app.get("/api/env").json
    assert {name: seen.get(name) for name in CANARIES} == CANARIES
    assert not [name for name in seen if name.endswith("_FILE")]
    environ = {name: value for name, value in app.env_keys().items() if name.endswith("_FILE")}
    assert environ == {f"{name}_FILE": f"/run/secrets/{name}" for name in CANARIES}

    processes = run("ps", "-eo", "args").stdout
    everything = {
        "what the play printed": deployed.output,
        "docker inspect": json.dumps(inspect(app.container)),
        "the image": docker("history", "--no-trunc", inspect(app.container)["Image"])
        + docker("image", "inspect", inspect(app.container)["Image"]),
        "the log, as the play shows it": played(app, "logs").succeeded().output,
        "the list of processes": processes,
        "the engine's events": docker("events", "--since", "10m", "--until", "0s"),
        "the definition": (app.directory / "compose.yml").read_text(),
        "releases": (app.directory / "releases/current/release.json").read_text(),
    }
    keeps = {".env.production", "server_actions.key"}  # and files of secrets, which root alone reaches
    for path in (*app.directory.rglob("*"), *app.backups.rglob("*")):
        if path.is_file() and path.name not in keeps and path.parent.name != "secrets":
            everything[str(path)] = path.read_bytes().decode(errors="replace")
    assert "server.js" in processes
    assert canaries_in(run("docker", "logs", app.container).stderr) == [CANARIES["FROM_VAULT"]]  # which it tells itself
    assert "told as commanded: <FROM_VAULT>" in everything["the log, as the play shows it"]
    assert {where: canaries_in(text) for where, text in everything.items() if canaries_in(text)} == {}
    # The application has to have them; only its own user and root can read its environment.
    environment = Path(f"/proc/{process(app.container, 'node')['Pid']}/environ")
    assert canaries_in(environment.read_bytes().decode()) == SOUGHT
    assert stat.S_IMODE(environment.stat().st_mode) == 0o400

    for name, path in mounted(app).items():
        facts = path.stat()
        assert (stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid) == (0o400, 1000, 1000), name
        assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IMODE(path.parents[1].stat().st_mode) == 0o700
    assert sorted(mounted(app)) == sorted(CANARIES)
    refused = run("docker", "exec", "--user", "1001", app.container, "cat", "/run/secrets/S3_SECRET_KEY", check=False)
    assert (refused.returncode, "Permission denied" in refused.stderr) == (1, True)


def test_a_restart_and_a_second_deploy_change_nothing(app: App) -> None:
    docker("restart", app.container)
    app.becomes_healthy()
    before = inspect(app.container)["Id"]
    again = played(app, "deploy").succeeded()
    assert again.recap["changed"] == 0
    assert inspect(app.container)["Id"] == before
    path = mounted(app)["S3_SECRET_KEY"]
    path.unlink()  # which the engine would have made a directory of
    docker("stop", app.container)
    assert str(path) in played(app, "start").succeeded().text
    assert app.get("/api/env").json["S3_SECRET_KEY"] == CANARIES["S3_SECRET_KEY"]


def test_a_drill_gives_them_as_files_too(app: App) -> None:
    played(app, "backup").succeeded()
    seen: list[str] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            for name in [name for name in containers() if name.startswith(f"{NAME}-drill-")]:
                seen.append(docker("inspect", name, check=False))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        drilled = played(app, "restore_drill", "-vvvv").succeeded()
    finally:
        ended.set()
        watcher.join()
    assert "is verified" in drilled.text  # the stand-in does not start without its secret
    assert any("/run/secrets/PAYLOAD_SECRET" in one for one in seen)
    assert canaries_in(drilled.output + "".join(seen)) == []


def test_the_other_way_and_back(app: App) -> None:
    changed = played(app, "deploy", docker_vps_secrets="environment").succeeded()
    assert changed.recap["changed"] > 0
    assert app.env_keys()["PAYLOAD_SECRET"] == CANARIES["PAYLOAD_SECRET"]
    assert mounted(app) == {}
    # By what is written down, not by the variable of now.
    played(app, "rollback", docker_vps_secrets="environment").succeeded()
    assert "PAYLOAD_SECRET" not in app.env_keys()
    assert app.get("/api/env").json["PAYLOAD_SECRET"] == CANARIES["PAYLOAD_SECRET"]
    current = os.readlink(app.directory / "releases/current")
    assert {path.parents[1].name for path in mounted(app).values()} == {current}
    assert played(app, "deploy").succeeded().recap["changed"] == 0


def test_the_secret_is_rotated(app: App) -> None:
    present = played(app, "rotate_secret").failed()
    assert "gives the PAYLOAD_SECRET that the application has already" in present.text
    before, id_before = app.record(), inspect(app.container)["Id"]

    dry_run = played(app, "rotate_secret", "--check", "--diff", docker_vps_payload_secret=None).succeeded()
    assert "PAYLOAD_SECRET=(new value)" in dry_run.output
    assert "No user has an API key" in dry_run.text
    assert app.record() == before

    done = played(app, "rotate_secret", docker_vps_payload_secret=None).succeeded()
    assert "so all users have to sign in again. No user has an API key" in done.text
    seen = app.get("/api/env").json["PAYLOAD_SECRET"]
    assert re.fullmatch("[0-9a-f]{64}", seen)
    assert seen not in done.output
    assert (app.record()["image"], bool(app.record()["backup"])) == (before["image"], True)
    assert inspect(app.container)["Id"] != id_before


def test_api_keys_of_users_are_not_lost(app: App) -> None:
    secret = app.get("/api/env").json["PAYLOAD_SECRET"]
    volume = Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", f"{NAME}-db"))
    with closing(sqlite3.connect(volume / "payload.db")) as database:
        database.executescript(SCHEMA.read_text())
        database.execute("INSERT INTO users (email, api_key, api_key_index) VALUES ('a@b.c', 'x', 'y')")
        database.commit()
    before = app.record(), inspect(app.container)["Id"]
    for playbook, arguments, given in (("rotate_secret", ["--check"], None), ("deploy", [], OTHER)):
        refused = played(app, playbook, *arguments, docker_vps_payload_secret=given).failed()
        assert "would be lost, those in users of payload.db (1), so nothing was changed" in refused.text
        assert OTHER not in refused.output
    assert (app.record(), inspect(app.container)["Id"]) == before
    assert f"PAYLOAD_SECRET={secret}\n" in (app.directory / ".env.production").read_text()
    assert app.get("/api/env").json["PAYLOAD_SECRET"] == secret


REFUSED: Mapping[str, tuple[Mapping[str, str], str]] = {
    "not there": ({}, "is not there"),
    "empty": ({"content": ""}, "is empty"),
    "only a newline": ({"content": "\n"}, "is empty"),
    "of somebody else": ({"content": "c4n4ry", "mode": "0400"}, "cannot be read by user 1000"),
    "both": ({"content": "c4n4ry", "given": "x"}, "TOKEN and TOKEN_FILE are both set; leave one of them out"),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_the_entrypoint_refuses(image: str, tmp_path: Path, wrong: str) -> None:
    how, told = REFUSED[wrong]
    options = ["--env", "TOKEN_FILE=/run/secrets/TOKEN", *(["--env", "TOKEN=x"] if "given" in how else [])]
    if "content" in how:
        (tmp_path / "TOKEN").write_text(how["content"])
        (tmp_path / "TOKEN").chmod(int(how.get("mode", "0444"), 8))
        options += ["--volume", f"{tmp_path}/TOKEN:/run/secrets/TOKEN:ro"]
    done = run("docker", "run", "--rm", *options, image, "env", check=False)
    assert (done.returncode, done.stdout) == (64, "")
    assert "TOKEN_FILE" in done.stderr
    assert told in done.stderr
    assert "c4n4ry" not in done.stderr


CONTENTS = ("value", "value\n", "value\n\n", "a\nA_FILE=/run/secrets/x\n", " $(id) `id` '\" \\n")


@pytest.mark.parametrize("user", [(), ("--user", "1234"), ("--env", "PUID=1005")], ids=str)
def test_one_newline_at_the_end_is_the_editors(image: str, tmp_path: Path, user: tuple[str, ...]) -> None:
    options = ["--env", "SSL_CERT_FILE=/etc/ssl/x.pem", "--env", "FAKE=x\nEVIL_FILE=/run/secrets/EVIL"]
    for number, content in enumerate(CONTENTS):
        path = tmp_path / f"TOKEN_{number}"
        path.write_text(content)
        path.chmod(0o444)
        options += ["--volume", f"{path}:/run/secrets/{path.name}:ro"]
        options += ["--env", f"{path.name}_FILE=/run/secrets/{path.name}"]
    script = "process.stdout.write(JSON.stringify(process.env))"
    seen = json.loads(docker("run", "--rm", *options, *user, image, "node", "-e", script))
    taken = [seen[f"TOKEN_{number}"] for number in range(len(CONTENTS))]
    assert taken == [content[:-1] if content.endswith("\n") else content for content in CONTENTS]
    assert [name for name in seen if name.endswith("_FILE")] == ["SSL_CERT_FILE"]
    assert "EVIL" not in seen
