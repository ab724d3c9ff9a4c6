# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook update: done, not needed, refused, gone wrong, done twice at once, and killed at any time."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable, Iterator, Mapping, Sequence

import pytest
from lab import ROOT, STANDIN, App, MakeApp, Played, clean_environment, commit, copied, docker, inspect, run, until
from processes import Family, alive, kill
from releases import Versions, containers, current, healthy, release, root, tidy, vendors, what_is_there

TOKEN = "tok-sesame-4711"
ENV = {"TOKEN": TOKEN}
KILLS = 12  # more with make kills
BACK_WITHIN = 60  # seconds


@pytest.fixture(scope="module")
def app(make_app: MakeApp) -> App:
    """A deployed application with one vendor."""
    app = make_app("it-update", docker_vps_env=ENV, docker_vps_monitor=1)
    app.deploy().succeeded()
    assert app.post("/api/vendors", {"name": "before"}).status == 201
    return app


def test_update_wants_a_deploy_first(make_app: MakeApp) -> None:
    app = make_app("it-update-never")
    text = app.playbook("update").failed().text
    assert "it-update-never was never deployed on local" in text
    assert "Run deploy.yml. Nothing was changed." in text
    assert not app.directory.exists()
    assert containers(app) == []


def test_a_new_version_and_the_same_again(app: App) -> None:
    before = what_is_there(app)
    played = app.playbook("update", docker_vps_env={**ENV, "VERSION": "2"}).succeeded()
    now = what_is_there(app)
    assert now.current > before.current
    assert f"Release {now.current}, {now.image}, is live and healthy after" in played.text
    assert "s nothing served, with backup" in played.text
    assert now.vendors == before.vendors
    assert app.env_keys()["VERSION"] == "2"
    facts = release(app, now.current)
    assert (facts["result"], facts["strategy"]) == ("healthy", "stop-first")
    assert 0 < facts["downtime"] < 30
    assert list(app.backups.glob(f"*{facts['backup']}*"))

    again = app.playbook("update", docker_vps_env={**ENV, "VERSION": "2"}).succeeded()
    assert again.recap["changed"] == 0
    assert "Nothing to do: what is live is what was asked for, and it-update-app is healthy." in again.text
    assert what_is_there(app) == now


def test_a_dry_run_of_another_environment(app: App) -> None:
    before = what_is_there(app)
    dry_run = app.playbook("update", "--check", docker_vps_env={**ENV, "VERSION": "another"}).succeeded()
    assert "Nothing to do" not in dry_run.text
    assert f"{before.image} would take the place of the live version" in dry_run.text
    assert what_is_there(app) == before


def test_a_version_that_fails(app: App) -> None:
    before = what_is_there(app)
    played = app.playbook("update", docker_vps_env={**ENV, "STANDIN_CRASH": "7", "STANDIN_TELL": "TOKEN"}).failed()
    failed = max(path.name for path in app.directory.glob("releases/*-*"))
    message = played.text.rsplit("TASK [Failure | Say what failed]", 1)[1]
    assert f"Release {failed}, {before.image}, failed. Container it-update-app-next" in message
    assert re.search("keeps exiting|exited with code 7", message)
    assert f"The version before, {before.image}, was put back and is healthy" in message
    assert f"The log of the failed version is {app.directory}/releases/{failed}/log" in message
    assert "told as commanded: <TOKEN>" in message
    assert TOKEN not in played.output
    assert what_is_there(app) == before
    assert not (app.directory / "deploy.lock").exists()

    shown = app.playbook("logs", docker_vps_logs_release=failed).succeeded()
    assert "crashing as commanded" in shown.text
    assert TOKEN not in shown.output
    listed = app.playbook("releases").succeeded().text
    assert before.current in listed
    assert failed in listed


def test_back_to_the_version_before(app: App) -> None:
    first, data = what_is_there(app), vendors(app)
    app.playbook("update", docker_vps_env={**ENV, "VERSION": "3"}).succeeded()
    assert app.post("/api/vendors", {"name": "of version 3"}).status == 201
    third = what_is_there(app)
    dry_run = app.playbook("rollback", "--check", "--diff").succeeded()
    assert first.current in dry_run.text
    for line in (
        f"+release: {first.current}",
        "-VERSION=(previous value)",
        f"+++ after: {app.directory}/.env.production",
    ):
        assert line in dry_run.output
    assert TOKEN not in dry_run.output
    assert what_is_there(app) == third

    played = app.playbook("rollback").succeeded()
    assert f"It is release {first.current} of" in played.text
    assert "The data stays as it is." in played.text
    assert re.search(r"Seconds: preflight [\d.]+, stack and health [\d.]+.*Next: docker logs --tail 50", played.text)
    assert "Next: the same without --check does it." in dry_run.text
    now = what_is_there(app)
    assert (now.image, now.files) == (first.image, first.files)
    assert now.vendors == [*data, "of version 3"]
    assert release(app, now.current)["rolled_back_to"] == first.current

    app.playbook("rollback", docker_vps_rollback_to=third.current).succeeded()
    assert app.env_keys()["VERSION"] == "3"


def test_a_rollback_that_would_lose_rows(app: App) -> None:
    first = what_is_there(app)
    app.playbook("update", docker_vps_env={**ENV, "STANDIN_MIGRATE": "website"}).succeeded()
    assert app.post("/api/vendors", {"name": "of the new schema"}).status == 201
    before = what_is_there(app)
    for arguments in ((), ("--check",)):
        text = app.playbook("rollback", *arguments).failed().text
        assert "The schema of the database has changed" in text
        assert "Would be lost: 1 row of vendors" in text
        assert "docker_vps_rollback_data: restore" in text
        assert what_is_there(app) == before
    played = app.playbook("rollback", docker_vps_rollback_data="restore").succeeded()
    assert "Would be lost: 1 row of vendors" in played.text
    assert what_is_there(app).vendors == first.vendors


class Play:
    """A play that goes on beside the test."""

    def __init__(self, app: App, name: str, **variables: object) -> None:
        inventory = app.inventory(**variables).rename(app.scratch / f"{name}-{time.monotonic_ns()}.yml")
        environment = {**clean_environment(), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        command = [str(Path(sys.executable).parent / "ansible-playbook"), str(ROOT / f"playbooks/{name}.yml")]
        self.output = inventory.with_suffix(".log")
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, "-i", str(inventory)],
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def ended(self) -> Played:
        """Wait for its end, and return how that was."""
        self.process.wait(120)
        return Played(self.process.returncode, self.output.read_text())


def test_two_at_once(app: App, tmp_path: Path) -> None:
    variables = {"docker_vps_env": {**ENV, "VERSION": "4"}}
    go = tmp_path / "go"
    waits = ["sh", "-c", 'until test -e "$0"; do sleep 0.1; done', str(go)]
    first = Play(app, "update", docker_vps_hooks_before_cutover=[waits], **variables)
    try:
        until((app.directory / "deploy.lock").exists, 60, "the lock")
        second = app.playbook("update", docker_vps_env={**ENV, "VERSION": "5"}).failed()
        assert first.process.poll() is None
    finally:
        go.touch()
    assert "has been running for" in second.text
    assert f"(process {first.process.pid})" in second.text
    assert second.recap["changed"] == 0
    first.ended().succeeded()
    assert app.env_keys()["VERSION"] == "4"
    tidy(app)


# A play that is killed


WAYS: Mapping[str, Callable[[Family], Sequence[int]]] = {
    "the controller alone": lambda family: family.controller,
    "the controller and its modules": lambda family: [*family.controller, *family.work],
    "the module alone": lambda family: family.work,
}


class Visitor(threading.Thread):
    """Writes rows as long as the context lasts, and remembers those that were acknowledged."""

    def __init__(self, app: App) -> None:
        super().__init__(daemon=True)
        self.app, self.acknowledged, self.over = app, [], threading.Event()  # type: App, list[str], threading.Event

    def __enter__(self) -> Visitor:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()

    def run(self) -> None:
        """Write."""
        number = 0
        while not self.over.wait(0.1):
            number += 1
            try:
                answer = self.app.post("/api/vendors", {"name": f"row {number}"})
            except (OSError, KeyError, ValueError, AssertionError):
                continue  # nothing answers at the moment
            if answer.status == 201:
                self.acknowledged.append(f"row {number}")


@pytest.fixture
def visitor(app: App) -> Iterator[Visitor]:
    with Visitor(app) as one:
        yield one


def test_killed_at_any_time(app: App, visitor: Visitor) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    variables: Mapping[str, object] = {"docker_vps_release_backup": False}
    began = time.monotonic()
    app.playbook("update", docker_vps_env={**ENV, "ROUND": "none"}, **variables).succeeded()
    lasts = time.monotonic() - began
    outcomes = []
    for number in range(KILLS):
        way = list(WAYS)[number % len(WAYS)]
        what = f"round {number} of seed {seed}, in which {way} was killed"
        play = Play(app, "update", docker_vps_env={**ENV, "ROUND": str(number)}, **variables)
        time.sleep(lasts * (number + chance.random()) / KILLS)
        family = Family(play.process.pid)
        kill(WAYS[way](family))
        killed = time.monotonic()
        play.process.wait(BACK_WITHIN)
        until(lambda: not any(alive(one) for one in family.all), BACK_WITHIN, f"the end of all processes of {what}")  # noqa: B023
        until(lambda: healthy(app), BACK_WITHIN - (time.monotonic() - killed), f"one healthy version after {what}")
        assert list(app.directory.glob("releases/*/journal.json")) == [], what
        assert sorted(path.name for path in root(app).parent.iterdir()) == ["_data"], what
        assert set(visitor.acknowledged) - set(vendors(app)) == set(), what
        assert inspect(app.container)["Config"]["Image"] == release(app, current(app))["image"], what
        outcomes.append(app.env_keys().get("ROUND") == str(number))
    assert len(visitor.acknowledged) > KILLS
    assert set(outcomes) == {True, False}, f"the kills of seed {seed} were not spread over the whole play: {outcomes}"
    variables = {**variables, "docker_vps_env": {**ENV, "ROUND": str(KILLS)}}
    app.playbook("update", **variables).succeeded()
    assert app.env_keys()["ROUND"] == str(KILLS)
    tidy(app)
    kept = [release(app, path.name)["result"] for path in app.directory.glob("releases/*-*")]
    assert kept.count("healthy") == 5
    assert app.playbook("update", **variables).succeeded().recap["changed"] == 0


def test_a_power_failure_is_mended_by_the_next_run(app: App, visitor: Visitor) -> None:
    """Here nobody watches: the watcher is killed together with all others."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    versions = Versions(app)
    left = 0
    for number in range(6):
        child = os.fork()
        if child == 0:
            try:
                versions.put({"POWER": str(number)}, monitor=1)
            finally:
                os._exit(0)
        time.sleep(4 * (number + chance.random()) / 6)
        family = Family(child)
        kill(family.all)
        os.waitpid(child, 0)
        left += bool(list(app.directory.glob("releases/*/journal.json")))
        for path in app.directory.rglob("*.partial"):  # would be rewritten
            path.unlink()
        versions.put({"POWER": f"{number} again"})
        tidy(app)
        assert set(visitor.acknowledged) - set(vendors(app)) == set(), f"round {number} of seed {seed}"
        assert app.env_keys()["POWER"] == f"{number} again"
    assert left, f"with seed {seed} no run was killed in the middle"


def test_a_play_mends_what_was_interrupted_before_it_looks_at_the_host(app: App) -> None:
    child = os.fork()
    if child == 0:
        try:
            Versions(app).put({"POWER": "lost"}, monitor=60)
        finally:
            os._exit(0)
    until(lambda: list(app.directory.glob("releases/*/journal.json")), 60, "a cutover")
    kill(Family(child).all)
    os.waitpid(child, 0)
    for path in app.directory.rglob("*.partial"):  # would be rewritten
        path.unlink()
    variables = {"docker_vps_release_backup": False, "docker_vps_env": {**ENV, "POWER": "back"}}
    foreseen = app.playbook("update", "--check", **variables).succeeded()
    assert re.search(r"Release \d{8}-\d{6} would be recovered\.", foreseen.text)
    assert list(app.directory.glob("releases/*/journal.json"))
    played = app.playbook("update", **variables).succeeded()
    assert re.search(r"Release \d{8}-\d{6}: .*The run that was at it was killed", played.text)
    assert app.env_keys()["POWER"] == "back"
    assert not (app.directory / "deploy.lock").exists()
    assert app.playbook("update", **variables).succeeded().recap["changed"] == 0


# Sources


def test_a_history_that_was_rewritten_and_local_changes(make_app: MakeApp, sources: Path) -> None:
    first = commit(copied(STANDIN, sources))
    app = make_app(
        "it-update-git", docker_vps_source_path=None, docker_vps_git_url=f"file://{sources}", docker_vps_monitor=1
    )
    app.deploy().succeeded()
    assert app.post("/api/vendors", {"name": "before"}).status == 201
    git = ("git", "-C", str(sources), "-c", "user.name=Test", "-c", "user.email=test@example.com")
    (sources / "server.js").write_text((sources / "server.js").read_text() + "// rewritten\n")
    run(*git, "checkout", "--quiet", "--orphan", "other")
    second = commit(sources)
    run(*git, "branch", "--quiet", "--delete", "--force", "main")
    run(*git, "branch", "--quiet", "--move", "main")
    assert first not in run(*git, "log", "--format=%H", "main").stdout
    played = app.playbook("update").succeeded()
    assert second in played.text
    assert release(app, current(app))["revision"] == second
    assert docker("exec", app.container, "tail", "-n", "1", "/app/server.js") == "// rewritten"
    before = what_is_there(app)
    assert before.vendors == ["before"]

    edited = app.directory / "source/server.js"
    edited.write_text(edited.read_text() + "// fixed in the night\n")
    (sources / "server.js").write_text((sources / "server.js").read_text() + "// newer\n")
    commit(sources)
    text = app.playbook("update").failed().text
    assert "There are local changes in that directory" in text
    assert edited.read_text().endswith("// rewritten\n// fixed in the night\n")
    assert what_is_there(app) == before
