# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is wrong with a new version, the old one serves again with its data, and one sentence says why."""

from __future__ import annotations

import os
import random
import re
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import cutover
from lab import App, MakeApp, docker, image_of, inspect, run, until
from processes import Family, alive, kill
from releases import Left, Versions, containers, current, release, root, tidy, vendors, what_is_there

TOKEN = "tok-sesame-4711"
KILLS = 8
# The engine restarts it, and may be checked in between.
EXITS = "keeps exiting|exited with code [79]"


@pytest.fixture(scope="module")
def deployed(make_app: MakeApp) -> Versions:
    """A deployed application with one vendor."""
    app = make_app("it-faults", docker_vps_env={"TOKEN": TOKEN})
    app.deploy().succeeded()
    assert app.post("/api/vendors", {"name": "before"}).status == 201
    return Versions(app)


@pytest.fixture
def versions(deployed: Versions) -> Iterator[Versions]:
    """The application, which must be in order when the test is over."""
    yield deployed
    tidy(deployed.app)


@pytest.fixture
def app(versions: Versions) -> App:
    return versions.app


@pytest.fixture
def before(app: App) -> Left:
    """What must be there when the update has failed."""
    return what_is_there(app)


def refused(versions: Versions, env: Mapping[str, str], **how: Any) -> str:
    """Put a version live that cannot be, and return the sentences."""
    with pytest.raises(DockerVpsError) as caught:
        versions.put(env, **how)
    return " ".join(worded(caught.value.message).split())


def failed(versions: Versions) -> Mapping[str, Any]:
    """Return what is written down of the last release."""
    return release(versions.app, max(path.name for path in (versions.app.directory / "releases").glob("*-*")))


def kept_log(versions: Versions) -> str:
    """Return the log of the last release, which nobody else may read."""
    path = versions.app.directory / "releases" / failed(versions)["id"] / "log"
    assert path.stat().st_mode & 0o777 == 0o600
    return path.read_text()


class Doomed:
    """A kind of new version that fails, and what is said about it."""

    def __init__(self, *messages: str, log: str = "", **how: Any) -> None:
        self.messages, self.log = messages, log
        self.lines: tuple[str, ...] = how.pop("lines", ())
        self.options: dict[str, Any] = how.pop("options", {})
        self.env: dict[str, str] = how


MIGRATED = "The data is as it was before."
DOOMED = {
    "exits at once": Doomed(
        EXITS,
        log="crashing as commanded\n",
        STANDIN_CRASH="7",
    ),
    "never healthy": Doomed(
        "was not healthy within 6 s", log="listening on", STANDIN_UNHEALTHY="1", options={"health_timeout": 6}
    ),
    "crashes while it is watched": Doomed(
        "It was healthy at first, and then:",
        EXITS,
        STANDIN_CRASH_AFTER="6",
        options={"monitor": 12},
    ),
    "crashes while it is watched, after a migration": Doomed(
        "It was healthy at first, and then:",
        MIGRATED,
        STANDIN_CRASH_AFTER="6",
        STANDIN_MIGRATE="website",
        options={"monitor": 12},
    ),
    "migration fails half-way": Doomed(
        EXITS,
        MIGRATED,
        STANDIN_CRASH_AFTER="0",
        STANDIN_MIGRATE="website",
    ),
    "migrates and is never healthy": Doomed(
        "was not healthy within 6 s",
        MIGRATED,
        STANDIN_UNHEALTHY="1",
        STANDIN_MIGRATE="website",
        options={"health_timeout": 6},
    ),
    "loses rows": Doomed(
        r"the database has lost (\d+) of \1 rows? of vendors",
        MIGRATED,
        STANDIN_LOSE="vendors",
        options={"migration_loss": "fail"},
    ),
    "no such entrypoint": Doomed(
        r"code 127 \(what it is to run is not there\)",
        "/no/such/entrypoint",
        lines=('ENTRYPOINT ["/no/such/entrypoint"]',),
    ),
    # tail keeps the last line, which never ends here, until there is no memory left.
    "out of memory": Doomed("memory", lines=("ENTRYPOINT []", 'CMD ["tail", "/dev/zero"]'), options={"memory": "64m"}),
    "fails the smoke test": Doomed(
        "The smoke test failed. The command docker exec ended with code 3: nothing smells right",
        log="listening on",
        options={"smoke_test_command": ["sh", "-c", "echo nothing smells right; exit 3"]},
        OTHER="1",
    ),
    "has no such smoke test": Doomed(
        "The smoke test failed.", "no-such-command", options={"smoke_test_command": ["no-such-command"]}, OTHER="2"
    ),
}


@pytest.mark.parametrize("kind", list(DOOMED))
def test_a_version_that_cannot_be(versions: Versions, before: Left, kind: str) -> None:
    doomed = DOOMED[kind]
    image = versions.derived("doomed", *doomed.lines) if doomed.lines else ""
    text = refused(versions, doomed.env, image=image, **doomed.options)
    for part in doomed.messages:
        assert re.search(part, text)
    assert text.startswith(f"Release {failed(versions)['id']}, {image or before.image}, failed.")
    assert f"The version before, {before.image}, was put back and is healthy after" in text
    assert what_is_there(versions.app) == before
    assert failed(versions)["result"] == "failed"
    assert re.search(doomed.messages[0], failed(versions)["message"])
    if doomed.log:
        assert doomed.log in kept_log(versions)
        assert (
            f"The log of the failed version is {versions.app.directory}/releases/{failed(versions)['id']}/log" in text
        )


def test_secrets_in_the_log_of_a_failed_version(versions: Versions, before: Left) -> None:
    text = refused(versions, {"STANDIN_CRASH": "7", "STANDIN_TELL": "TOKEN"})
    assert "told as commanded: <TOKEN>" in text
    assert "told as commanded: <TOKEN>" in kept_log(versions)
    assert TOKEN not in text + kept_log(versions) + str(failed(versions))
    assert what_is_there(versions.app) == before


def posted(app: App, name: str) -> bool:
    """Have a visitor of the new version write a row; returns whether it was acknowledged."""
    try:
        return app.post("/api/vendors", {"name": name}).status == 201
    except (OSError, KeyError, AssertionError):  # it has no address at the moment
        return False


def written_meanwhile(versions: Versions, name: str, env: Mapping[str, str], **how: Any) -> str:
    """Put a version live that fails while it is watched, after a visitor has written a row to it."""
    app, old = versions.app, inspect(versions.app.container)["Id"]

    def visit() -> None:
        until(
            lambda: docker("ps", "--quiet", "--no-trunc", "--filter", f"name=^{app.container}$") not in ("", old),
            30,
            "",
        )
        until(lambda: posted(app, name), 10, "a row")
        wrote.append(name)

    wrote: list[str] = []
    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        text = refused(versions, {**env, "STANDIN_CRASH_AFTER": "8"}, monitor=16, **how)
    finally:
        visitor.join()
    assert wrote == [name]
    return text


def test_rows_written_to_a_failing_version_of_the_same_schema_are_kept(versions: Versions, before: Left) -> None:
    text = written_meanwhile(versions, "meanwhile", {})
    assert "was put back and is healthy" in text
    assert "The data is as it was before" not in text
    assert vendors(versions.app) == [*before.vendors, "meanwhile"]
    now = what_is_there(versions.app)
    assert (now.container, now.current, now.files) == (before.container, before.current, before.files)


def test_rows_written_after_a_migration_are_not_thrown_away(versions: Versions, app: App, before: Left) -> None:
    text = written_meanwhile(versions, "precious", {"STANDIN_MIGRATE": "website"})
    assert "It had changed the database and taken requests, so it was left in place instead of going back." in text
    assert "Would be lost: 1 row of vendors." in text
    assert "rollback.yml with docker_vps_rollback_data: restore" in text
    assert failed(versions)["result"] == "degraded"
    assert current(app) == failed(versions)["id"] != before.current
    assert containers(app) == [app.container]
    until(lambda: posted(app, "more"), 20, "an answer of the version that was left")
    # Nothing wants it to be called live again as it is: the same once more is tried anew, and a fixed one goes live.
    versions.put({"STANDIN_MIGRATE": "website"})
    assert vendors(app) == [*before.vendors, "precious", "more"]


def test_rows_written_after_a_migration_are_given_up_when_that_was_said(versions: Versions, before: Left) -> None:
    text = written_meanwhile(versions, "given up", {"STANDIN_MIGRATE": "email"}, data_on_failure="restore")
    assert "The data is as it was before." in text
    assert what_is_there(versions.app) == before


def test_killed_while_a_failed_version_is_undone(versions: Versions, before: Left) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    for number in range(KILLS):
        what = f"round {number} of seed {seed}"
        child = os.fork()
        if child == 0:
            try:
                versions.put({"STANDIN_CRASH_AFTER": "1.5", "STANDIN_MIGRATE": "website"}, monitor=8)
            finally:
                os._exit(0)
        time.sleep(1 + 5 * (number + chance.random()) / KILLS)
        family = Family(child)
        kill(family.work)
        os.waitpid(child, 0)
        until(lambda: not any(map(alive, family.all)), 60, f"the end of the watcher in {what}")  # noqa: B023
        assert list(versions.app.directory.glob("releases/*/journal.json")) == [], what
        # Before it began, nobody had anything to put back; the play writes the env file, and would write it again.
        versions.environment.write_bytes(before.files[".env.production"])
        for path in versions.app.directory.rglob("*.partial"):
            path.unlink()
        assert what_is_there(versions.app) == before, what


def test_an_image_that_is_not_there(versions: Versions, before: Left) -> None:
    text = refused(versions, {"OTHER": "1"}, image=f"{versions.app.container}:none")
    assert text == f"The image {versions.app.container}:none is not on this host. Build or pull it first."
    assert what_is_there(versions.app) == before


def test_a_second_container_on_the_database(versions: Versions, before: Left) -> None:
    other = f"{versions.app.name}x"[1:]
    volume = f"{versions.app.name}-db:/data"
    docker("run", "--detach", "--init", "--network=none", "--name", other, "--volume", volume,
           image_of("base_image.sh"), "sleep", "infinity")  # fmt: skip
    try:
        text = refused(versions, {"OTHER": "1"})
        assert f"{other} also runs on {versions.app.name}-db. Two containers on one database can lose data" in text
        assert "Stop it (docker stop), or name it in docker_vps_allowed_containers" in text
        assert what_is_there(versions.app) == before
        versions.put({"OTHER": "1"}, allowed_containers=[other])
    finally:
        docker("rm", "--force", other)
    assert vendors(versions.app) == before.vendors


def test_overlap_on_sqlite(versions: Versions, app: App, before: Left) -> None:
    text = refused(versions, {"OTHER": "start-first"}, strategy="start-first")
    assert f"{app.name}-db holds the SQLite database payload.db" in text
    assert "start-first is refused. Set docker_vps_cutover: stop-first, or docker_vps_start_first_force" in text
    assert what_is_there(app) == before

    # The new one is healthy before the old one ends.
    events = Events(app)
    result = versions.put({"OTHER": "start-first"}, strategy="start-first", start_first_force=True)
    assert result["release"]["strategy"] == "start-first"
    assert app.env_keys()["OTHER"] == "start-first"
    assert vendors(app) == before.vendors
    seen = events.until_now()
    assert seen.index(f"start {app.container}-next") < seen.index(f"die {app.container}-old"), seen


def test_an_overlap_that_fails(versions: Versions, app: App, before: Left) -> None:
    events = Events(app)
    how = {"strategy": "start-first", "start_first_force": True}
    text = refused(versions, {"STANDIN_CRASH": "7"}, **how)
    assert re.search(EXITS, text)
    assert what_is_there(app) == before
    assert f"die {app.container}" not in events.until_now()
    text = written_meanwhile(versions, "overlapped", {}, **how)
    assert "It was healthy at first, and then:" in text
    assert vendors(app) == [*before.vendors, "overlapped"]


class Events:
    """What the engine did with the containers of an application."""

    def __init__(self, app: App) -> None:
        self.app, self.since = app, time.time()

    def until_now(self) -> list[str]:
        """Return what was done to which container, by the name that it had then."""
        period = ("--since", str(self.since), "--until", str(time.time()), "--filter", "type=container")
        lines = docker("events", *period, "--format", "{{.Action}} {{.Actor.Attributes.name}}").splitlines()
        return [line for line in lines if line.split()[-1].startswith(self.app.container)]


def test_the_same_again_changes_nothing(versions: Versions, app: App) -> None:
    versions.put({"AGAIN": "1"})
    before = what_is_there(app)
    events, folders = Events(app), sorted(app.directory.glob("releases/*"))
    result = versions.put({"AGAIN": "1"})
    assert result["changed"] is False
    assert result["summary"] == f"Release {before.current} is live already."
    assert what_is_there(app) == before
    assert sorted(app.directory.glob("releases/*")) == folders
    assert [one for one in events.until_now() if not one.startswith("exec_")] == []


@pytest.mark.parametrize("hand", ["stop", "kill", "rm --force"])
def test_what_was_ended_by_hand_is_started(versions: Versions, app: App, hand: str) -> None:
    versions.put({"AGAIN": "1"})
    before = what_is_there(app)
    docker(*hand.split(), app.container)
    result = versions.put({"AGAIN": "1"})
    assert result["changed"] is True
    assert "it was started and is healthy after" in result["summary"]
    now = what_is_there(app)
    assert (now.current, now.files, now.vendors) == (before.current, before.files, before.vendors)


@pytest.mark.parametrize("hand", ["stop", "rm --force"])
def test_an_update_of_what_was_ended_by_hand(versions: Versions, app: App, hand: str) -> None:
    before = what_is_there(app)
    docker(*hand.split(), app.container)
    text = refused(versions, {"STANDIN_CRASH": "7"})
    assert re.search(EXITS, text)
    if hand == "stop":  # it did not run before, so it does not afterwards
        assert inspect(app.container)["Id"] == before.container
        assert not inspect(app.container)["State"]["Running"]
        assert "What was there before did not run either, and is as it was." in text
    versions.put({"AFTER": hand.split()[0]})
    assert app.env_keys()["AFTER"] == hand.split()[0]
    assert vendors(app) == before.vendors


def test_compose_agrees(versions: Versions, app: App) -> None:
    versions.put({"AFTER": "compose"})
    before = what_is_there(app)
    for detached in (("up", "--detach"), ("up", "--detach", "--no-recreate")):
        output = run("docker", "compose", "--ansi", "never", "--progress", "plain", *detached, cwd=app.directory).stderr
        assert f"Container {app.container} Running" in output.replace("  ", " ")
        assert "ecreate" not in output
    assert what_is_there(app) == before
    listed = run("docker", "compose", "ps", "--format", "{{.Name}} {{.Service}}", cwd=app.directory).stdout
    assert listed.split() == [app.container, "app"]


def test_two_at_once(versions: Versions, app: App) -> None:
    """The second waits for the first, and finds that it is live already."""
    results: list[dict[str, Any]] = []
    versions.write(BOTH="1")
    params = versions.params(monitor=2)

    def put() -> None:
        results.append(cutover.run(params, versions.sets, versions.world, False))

    both = [threading.Thread(target=put) for _turn in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(result["changed"] for result in results) == [False, True]
    assert {result["release"]["id"] for result in results} == {current(app)}
    assert app.env_keys()["BOTH"] == "1"


@pytest.fixture
def small_disk(versions: Versions, app: App, tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Move the volume of the database to a disk of its own, which is filled as wanted; it is moved back afterwards."""
    data = root(app)

    def move(source: Path, to: Path) -> None:
        run("cp", "--archive", "--no-target-directory", str(source), str(to))

    def make(options: str) -> Path:
        docker("stop", app.container)
        move(data, tmp_path / "data")
        run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(data.parent))
        move(tmp_path / "data", data)
        docker("start", app.container)
        app.becomes_healthy(20)
        return data

    yield make
    docker("stop", app.container)
    move(data, tmp_path / "back")
    run("umount", str(data.parent))
    run("rm", "-rf", str(data))
    move(tmp_path / "back", data)
    docker("start", app.container)


def test_too_little_room_for_the_copy_of_the_data(
    versions: Versions, app: App, small_disk: Callable[[str], Path]
) -> None:
    small_disk("size=60m")
    before = what_is_there(app)
    began = inspect(app.container)["State"]["StartedAt"]
    text = refused(versions, {"OTHER": "1"})
    assert f"MiB free, and the copy of {app.name}-db with which this release could be undone needs" in text
    assert "Free some space; nothing was changed." in text
    assert what_is_there(app) == before
    assert inspect(app.container)["State"]["StartedAt"] == began


def test_a_disk_that_runs_full_during_the_copy_of_the_data(
    versions: Versions, app: App, small_disk: Callable[[str], Path]
) -> None:
    data = small_disk("size=200m,nr_inodes=64")
    before = what_is_there(app)
    (data / "more").mkdir()
    free = os.statvfs(data).f_ffree
    for number in range(free - 2):  # enough for the directory of the copy and a file, not for two
        (data / f"more/{number}").touch()
    text = refused(versions, {"OTHER": "1"})
    assert "No space left on device" in text
    assert "was put back and is healthy" in text
    assert what_is_there(app) == before
    run("rm", "-r", str(data / "more"))
    versions.put({"OTHER": "1"})
    assert vendors(app) == before.vendors


def test_old_releases_and_their_images_go(versions: Versions, app: App) -> None:
    for number in range(3):
        versions.put(image=versions.derived(f"v{number}", f"LABEL number={number}"), retain_releases=2)
    kept = [release(app, path.name) for path in sorted(app.directory.glob("releases/*-*"))]
    assert [one["image"] for one in kept if one["result"] == "healthy"] == [
        f"{app.container}:v1",
        f"{app.container}:v2",
    ]
    names = docker("images", "--format", "{{.Repository}}:{{.Tag}}", app.container).split()
    assert sorted(names) == [f"{app.container}:v1", f"{app.container}:v2"]

    # Less than the live one and the one before are never kept, and a failed one takes nobody's place.
    refused(versions, {"STANDIN_CRASH": "7"}, retain_releases=1)
    versions.back(retain_releases=1)
    names = docker("images", "--format", "{{.Repository}}:{{.Tag}}", app.container).split()
    assert {f"{app.container}:v1", f"{app.container}:v2"} <= set(names)
    assert inspect(app.container)["Config"]["Image"] == f"{app.container}:v1"


def test_a_rollback_takes_the_data_along_only_when_it_must(versions: Versions, app: App) -> None:
    both = {"volumes": {"db": f"{app.name}-db", "media": f"{app.name}-media"}, "retain_releases": 20}
    versions.put({"STEP": "1"}, **both)
    first, data = current(app), vendors(app)
    versions.put({"STEP": "2"}, **both)
    second = current(app)

    # The same schema: the data stays.
    assert posted(app, "second")
    result = versions.back(retain_releases=20)
    assert (result["rolled_back_to"], result["restored"]) == (first, "")
    assert app.env_keys()["STEP"] == "1"
    assert vendors(app) == [*data, "second"]

    # Another one: rows that were changed and not added cannot be counted, so only what somebody decides is done.
    versions.put({"STEP": "3", "STANDIN_MIGRATE": "phone"}, **both)
    migrated = what_is_there(app)
    assert release(app, migrated.current)["schema"] != release(app, second)["schema"]
    with pytest.raises(DockerVpsError, match=r"Would be lost: what changed in \d files since"):
        versions.back(second, retain_releases=20)
    assert what_is_there(app) == migrated
    result = versions.back(second, "restore", retain_releases=20)
    assert result["would_lose"]["tables"] == {}
    assert app.env_keys()["STEP"] == "2"
    assert release(app, current(app))["schema"] == release(app, second)["schema"]
    assert vendors(app) == [*data, "second"]

    # Another one, and rows since.
    versions.put({"STEP": "4", "STANDIN_MIGRATE": "phone"}, **both)
    assert posted(app, "third")
    assert posted(app, "fourth")
    before = what_is_there(app)
    for check_mode in (True, False):
        with pytest.raises(DockerVpsError, match="Would be lost: 2 rows of vendors") as caught:
            versions.back(check_mode=check_mode)
        assert "docker_vps_rollback_data: restore" in worded(caught.value.message)
        assert what_is_there(app) == before
    result = versions.back(second, "keep", retain_releases=20)
    assert result["restored"] == ""
    assert app.env_keys()["STEP"] == "2"
    assert vendors(app) == [*data, "second", "third", "fourth"]

    versions.back(before.current, "keep", retain_releases=20)
    result = versions.back(second, "restore", retain_releases=20)
    assert result["would_lose"]["tables"] == {"vendors": 2}
    assert app.env_keys()["STEP"] == "2"
    assert vendors(app) == [*data, "second"]


def test_a_rollback_that_fails(versions: Versions, app: App, before: Left) -> None:
    for to, message in (("20200101-000000", "There is no release 20200101-000000"), ("", "smoke test failed")):
        with pytest.raises(DockerVpsError, match=message):
            versions.back(to, smoke_test_command=["false"])
        assert what_is_there(app) == before
