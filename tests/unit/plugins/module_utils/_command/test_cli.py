# SPDX-License-Identifier: GPL-3.0-or-later
"""The command of a host, with volumes that are directories of the test."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import job_history
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command import cli
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command.cli import CommandWorld, connected, main
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, EngineUnreachable
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import Release
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine import sdk
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.cutover_state import UnderWay
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import files
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import Releases
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine, FakeWallClock, database
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_maintenance import (
    FakeMaintainedEngine,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_watch import Watched
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._store.test_sqlite_upkeep import filled
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import publish


@dataclass
class Host:
    """A host with an application, its configuration, and a file that keeps what a notification command is told."""

    place: Path
    clock: FakeWallClock = field(default_factory=FakeWallClock)
    out: str = ""
    err: str = ""
    connect: Optional[Callable[[str], Any]] = None
    engine_start: Optional[tuple[str, str]] = None
    watched: Optional[Watched] = None

    def __post_init__(self) -> None:
        self.engine: FakeVolumeEngine = FakeVolumeEngine(self.place)
        self.sets = Sets(str(self.place / "sets"), "shop")
        self.notified = self.place / "news"
        keep = f"import sys; open({str(self.notified)!r}, 'a').write(sys.stdin.read() + '\\n')"
        self.config: dict[str, Any] = {
            "app": "shop",
            "directory": self.sets.directory,
            "docker_host": "unix:///engine.sock",
            "backup": {
                "volumes": {"db": "shop-db"},
                "compression": "none",
                "consistency": "online",
                "uploads": {"query": "SELECT id FROM media", "archive": "db"},
                "limits": {"rows": 50, "files": 50, "ignore": []},
            },
            "prune": {"last": 1, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0},
            "offsite": None,
            "drill": {"env_file": "/e", "mounts": {"db": "/data"}, "port": 1, "health_path": "/", "timeout": 1.0},
            "notify": {
                "webhook": "",
                "command": [sys.executable, "-c", keep],
                "pings": {},
                "on_success": False,
            },
        }

    def deploy(self) -> Path:
        """Give the application its volume, with a database and the upload that it names."""
        root = self.engine.add_volume("shop-db")
        database(root / "payload.db", media=1)
        (root / "1").write_text("upload")
        return root

    def run(self, *argv: str, config: Optional[str] = None) -> int:
        path = self.place / "backup.json"
        path.write_text(json.dumps(self.config) if config is None else config)
        out, err = io.StringIO(), io.StringIO()
        connect = self.connect or (lambda address: self.engine)
        try:
            return main(argv, str(path), self.world(out, err, connect))
        finally:
            self.out, self.err = out.getvalue(), err.getvalue()

    def world(self, out: io.StringIO, err: io.StringIO, connect: Callable[[str], Any]) -> CommandWorld:
        world = CommandWorld(out, err, self.clock, connect, lambda: self.engine_start)
        if self.watched is None:
            return world
        fake, page = self.watched.fake, self.watched.fake.page
        return replace(world, clock=self.watched.clock, watched=lambda _a: fake, host=fake, visit=lambda *_a: page)

    def set_ids(self) -> list[str]:
        return [one.manifest.id for one in self.sets.listing().sets]

    def news(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.notified.read_text().splitlines()] if self.notified.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_backup_prunes_and_is_remembered(host: Host) -> None:
    host.deploy()
    assert host.run("backup") == 0
    host.clock.passed += 60
    assert host.run("backup") == 0
    assert host.set_ids() == ["20260201-020100"]
    set_line, prune_line = host.out.splitlines()
    assert set_line.startswith("Set 20260201-020100 of shop: 1 archive, ")
    assert "1 set " in prune_line
    assert host.err == ""
    assert host.news() == []
    run = job_history.read(host.sets.directory)["backup"]
    assert (run.at, run.success, run.message) == ("2026-02-01T02:01:00Z", True, f"{set_line} {prune_line}")
    assert host.run("status") == 0
    assert host.out.splitlines() == [
        f"backup: ok, 2026-02-01T02:01:00Z, 0.0 s. {run.message}",
        "verify: never ran.",
        "drill: never ran.",
        "maintenance: never ran.",
    ]


def test_a_failure_is_one_sentence_and_is_told(host: Host) -> None:
    assert host.run("backup") == 1
    problem = host.err.strip()
    assert problem.startswith("The volume shop-db does not exist")
    assert host.out == ""
    (news,) = host.news()
    assert {**news, "host": ""} == {
        "app": "shop",
        "host": "",
        "job": "backup",
        "at": "2026-02-01T02:00:00Z",
        "success": False,
        "seconds": 0.0,
        "message": problem,
        "cautions": [],
    }
    assert news["host"]
    assert host.run("status") == 1
    assert host.out.splitlines()[0] == f"backup: FAILED, 2026-02-01T02:00:00Z, 0.0 s. {problem}"
    assert host.err == "The last run of backup failed.\n"


def test_json_for_machines(host: Host) -> None:
    host.deploy()
    assert host.run("--json", "backup") == 0
    news = json.loads(host.out)
    assert (news["job"], news["success"], news["problem"], list(news["results"])) == (
        "backup",
        True,
        "",
        ["backup", "prune"],
    )
    assert news["results"]["backup"]["set"]["id"] == "20260201-020000"
    host.config["backup"]["volumes"] = {"db": "gone"}
    assert host.run("backup", "--json") == 1
    news = json.loads(host.out)
    assert (news["success"], news["results"]) == (False, {})
    assert news["problem"] == host.err.strip()


def test_what_an_off_site_copy_lacks_comes_after_the_set(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.place / "tar").symlink_to(str(shutil.which("tar")))
    monkeypatch.setenv("PATH", str(host.place))
    host.deploy()
    publish(host.sets, "20260101-020000")
    host.config["offsite"] = {
        "repository": "/nowhere",
        "password": "sesame-4711",
        "environment": {},
        "host": "",
        "prune": True,
    }
    assert host.run("backup") == 1
    assert host.out.startswith("Set 20260201-020000 of shop")
    assert "restic" in host.err
    assert "sesame-4711" not in host.err
    assert host.set_ids() == ["20260201-020000", "20260101-020000"]


RESTIC = """#!/bin/sh
case "$*" in
  *snapshots*) echo "[]" ;;
  *--stdin*) cat > /dev/null; echo '{"snapshot_id": "ab", "data_added": 1}' ;;
esac
"""


@pytest.mark.parametrize("prune", [False, True])
def test_copies_are_pruned_where_that_is_wanted(host: Host, monkeypatch: pytest.MonkeyPatch, prune: bool) -> None:
    """Restic itself is used in tests/integration; here it only answers."""
    program = host.place / "restic"
    program.write_text(RESTIC)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.place}:/usr/bin:/bin")
    host.deploy()
    host.config["offsite"] = {
        "repository": "/r",
        "password": "sesame-4711",
        "environment": {},
        "host": "web1",
        "prune": prune,
    }
    assert host.run("--json", "backup") == 0, host.out
    steps = ["backup", "prune", "offsite, copied", *(["offsite, pruned"] if prune else [])]
    assert list(json.loads(host.out)["results"]) == steps


@pytest.mark.parametrize("prune", [False, True])
def test_what_would_be_removed_off_site_at_once_is_not_sent_there(
    host: Host, monkeypatch: pytest.MonkeyPatch, prune: bool
) -> None:
    set_id = "20260131-020000"
    tags = ["app=shop", f"set={set_id}", "copy=1", "part=db", "bytes=1", "facts=ab"]
    there = [{"id": one, "paths": [f"/{one}"], "hostname": "web1", "tags": tags} for one in ("db.tar", "manifest.json")]
    program = host.place / "restic"
    program.write_text(RESTIC.replace("[]", json.dumps(there).replace('"', '\\"')))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.place}:/usr/bin:/bin")
    host.deploy()
    publish(host.sets, "20260130-020000", "db")  # nothing that could be sent
    host.config["prune"]["last"] = 2
    host.config["offsite"] = {"repository": "/r", "password": "x", "environment": {}, "host": "web1", "prune": prune}
    assert host.run("backup") == (0 if prune else 1)
    assert ("Set 20260130-020000 stays here only: it would be removed there at once." in host.out) is prune
    assert ("set 20260130-020000 was not sent" in host.err) is not prune


def test_verify_reads_the_sets(host: Host) -> None:
    assert host.run("verify") == 1
    assert host.err == f"There is no backup set of shop in {host.sets.directory}: run docker-vps backup.\n"
    host.deploy()
    host.run("backup")
    assert host.run("verify") == 0
    assert host.out == "Sets of shop that are whole: 1.\n"
    (archive,) = Path(host.sets.directory).glob("db-*.tar")
    content = bytearray(archive.read_bytes())
    content[600] ^= 1
    archive.write_bytes(content)
    assert host.run("verify") == 1
    assert "cannot be relied on" in host.err
    assert [news["job"] for news in host.news()] == ["verify", "verify"]
    assert host.run("list") == 0
    assert host.out.startswith("20260201-020000: ")


def test_verify_says_that_all_sets_are_dated_later_than_now(host: Host) -> None:
    host.deploy()
    host.run("backup")
    host.clock.at -= timedelta(days=1)
    assert host.run("verify") == 1
    assert host.err == (
        f"Every backup set of shop in {host.sets.directory} is dated later than now, the last one 20260201-020000: "
        "is the clock right? Name it to use it.\n"
    )


def test_prune_alone_is_no_scheduled_job(host: Host) -> None:
    for set_id in ("20260101-020000", "20260102-020000"):
        publish(host.sets, set_id)
    assert host.run("prune") == 0
    assert host.set_ids() == ["20260102-020000"]
    assert job_history.read(host.sets.directory) == {}


def test_a_drill_without_a_set(host: Host) -> None:
    assert host.run("drill", "20260101-020000") == 1
    assert "There is no backup set 20260101-020000" in host.err
    assert [news["job"] for news in host.news()] == ["drill"]


def test_what_helps_is_said_in_the_words_of_the_command(host: Host) -> None:
    helps = "Make one with docker-vps backup, or correct directory in the configuration."
    for argv in (["drill"], ["--json", "drill"], ["status"], ["--json", "status"]):
        assert host.run(*argv) == 1
        assert helps in host.out + host.err
        assert "⟦" not in host.out + host.err
    assert [one["message"].partition(". ")[2] for one in host.news()] == [helps, helps]


def test_restore_and_undo(host: Host) -> None:
    root = host.deploy()
    host.engine.add_container("app", "shop-db")
    host.run("backup")
    (root / "1").write_text("changed")
    assert host.run("restore") == 1
    assert "stop" in host.err
    assert (root / "1").read_text() == "changed"
    assert host.run("restore", "20260201-020000", "--stop-app") == 0
    assert (root / "1").read_text() == "upload"
    assert host.engine.running() == ["APP"]
    host.clock.passed += 5
    assert host.run("restore", "--undo", "--stop-app") == 0
    assert (root / "1").read_text() == "changed"
    assert host.news() == []


def test_an_export(host: Host) -> None:
    host.deploy()
    host.run("backup")
    to = host.place / "export"
    assert host.run("export", "latest", str(to), "--check") == 0
    assert "would be written into" in host.out
    assert not to.exists()
    assert host.run("export", "latest", str(to)) == 0
    assert host.out.startswith(f"Set 20260201-020000 of shop was written into {to}: db-20260201-020000.tar, ")
    assert host.run("export", "20260201-020000", str(to)) == 0
    assert "is already in" in host.out
    assert host.run("export", "20260101-020000", str(to)) == 1
    assert "docker-vps list shows them" in host.err
    assert host.news() == []


def test_it_waits_for_another_job_only_as_long_as_asked(host: Host) -> None:
    host.deploy()
    host.sets.prepare()
    with host.sets.lock("a restore"):
        assert host.run("backup") == 1
        assert host.clock.slept == []
        assert host.run("--wait", "12", "backup") == 1
        assert host.clock.slept == [5.0, 5.0, 5.0]
        busy = "Cannot begin a backup of shop: a restore of shop (process "
        assert [line.startswith(busy) for line in host.err.splitlines()] == [True, True]
    assert host.run("backup", "--wait", "12") == 0


def test_interrupted_and_unforeseen(host: Host) -> None:
    def interrupted(address: str) -> Any:
        raise KeyboardInterrupt

    host.connect = interrupted
    assert host.run("backup") == 1
    assert host.err == "backup was interrupted; what it had begun is undone.\n"

    def broken(address: str) -> Any:
        raise RuntimeError("no such thing")

    host.connect = broken
    with pytest.raises(RuntimeError):
        host.run("backup")
    unforeseen = "backup failed in a way that was not foreseen: RuntimeError: no such thing."
    assert [news["message"] for news in host.news()] == [
        "backup was interrupted; what it had begun is undone.",
        unforeseen,
    ]
    assert job_history.read(host.sets.directory)["backup"].message == unforeseen


def test_log_lines_stay_out_of_what_is_kept(host: Host) -> None:
    def failing(address: str) -> Any:
        raise DockerVpsError("It did not start.\nIts last log lines:\nsecret")

    host.connect = failing
    assert host.run("backup") == 1
    assert "secret" in host.err
    assert host.news()[0]["message"] == "It did not start."


def test_what_cannot_be_kept_or_told_is_said_in_addition(host: Host) -> None:
    host.deploy()
    host.config["notify"].update(command=["false"], on_success=True)
    host.run("backup")
    assert host.err == "The notification command false failed: it ended with 1.\n"
    record = Path(host.sets.directory) / ".run-backup.json"
    record.unlink()
    record.mkdir()
    assert host.run("backup") == 0
    assert "/.run-backup.json cannot be written: Is a directory" in host.err.splitlines()[0]
    assert host.run("status") == 1
    assert "/.run-backup.json cannot be read: Is a directory. Remove it" in host.out


def test_a_refusal_of_the_system_is_one_sentence(host: Host) -> None:
    def full(address: str) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(host.place / "x"))

    host.connect = full
    assert host.run("backup") == 1
    assert host.err.startswith(f"backup failed at {host.place}/x: No space left on device (the disk at /")
    assert host.err.count("\n") == 1
    assert host.run("status") == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "is invalid: 'directory' is missing. Run the role schedule again."),
        (
            '{"app": "a", "directory": "/d", "notify": {"command": [], "colour": 1}}',
            "is invalid: ",
        ),
    ],
)
def test_a_configuration_that_is_wrong(host: Host, text: str, problem: str) -> None:
    assert host.run("backup", config=text) == 1
    assert problem in host.err
    assert host.err.count("\n") == 1


def test_a_part_of_the_configuration_that_is_missing(host: Host) -> None:
    host.deploy()
    del host.config["backup"]["compression"], host.config["docker_host"]
    assert host.run("backup") == 1
    assert "'docker_host' is missing" in host.err


def test_another_configuration(host: Host) -> None:
    assert host.run("--config", "/no/such/file", "status") == 1
    assert host.err.startswith("There is no configuration /no/such/file; ")
    assert host.run("status", "--config", "/no/such/file") == 1


@pytest.fixture
def signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("signals")
def test_as_a_program(host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    host.run("status")
    monkeypatch.setattr(sys, "argv", [str(host.place / "bin/docker-vps"), "status"])
    with pytest.raises(SystemExit) as ended:
        cli.run_as_command()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("backup: never ran.\n")
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_the_engine_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineUnreachable, match=r"unix:///no\.sock"):
        connected("unix:///no.sock")
    monkeypatch.setattr(sdk, "SDK_MISSING", ImportError("No module named 'docker'"))
    with pytest.raises(DockerVpsError, match="has no Docker SDK .* apt-get install python3-docker"):
        connected("unix:///no.sock")


def test_recover_without_releases(host: Host) -> None:
    assert host.run("recover") == 0
    assert host.out == "No cutover was interrupted.\n"


def test_what_the_engine_ended_when_it_came_back_is_started_again(host: Host) -> None:
    Releases(str(host.place), "/e").prepare()
    host.engine.add_container("shop-app", "shop-db", running=False)
    host.engine.add_container("other", running=False)
    host.engine.containers["OTHER"]["Config"]["Labels"] = {}
    for one in host.engine.containers.values():
        one["State"]["FinishedAt"] = "2026-02-01T02:00:09.1Z"
        one["Labels"] = one["Config"]["Labels"]
    host.engine_start = ("2026-02-01T02:00:05", "2026-02-01T02:00:10")
    assert host.run("recover") == 0
    assert host.out == "shop-app was ended by the engine when that came back, and was started again.\n"
    assert host.engine.running() == ["SHOP-APP"]
    assert host.run("recover") == 0
    assert host.out == "No cutover was interrupted.\n"


def interrupted(host: Host) -> Releases:
    """Leave a release whose cutover was interrupted."""
    releases = Releases(str(host.place), "/e")
    releases.prepare()
    release = Release("20260201-020000", "2026-02-01T02:00:00Z", "shop:2", "sha256:2", "env", "def")
    kept = files.Kept("A=1\n", 0o600, os.geteuid(), os.getegid())
    releases.begin(release, "services: {}\n", kept)
    UnderWay(release.id, "shop", "shop-app").write(releases)
    return releases


@pytest.mark.parametrize("job", ["recover", "restore"])
def test_what_was_interrupted_is_undone(host: Host, job: str) -> None:
    host.deploy()
    assert host.run("backup") == 0
    releases = interrupted(host)
    assert host.run(job) == 0
    assert host.out.startswith("Release 20260201-020000: failed. The run that was at it was killed.")
    assert releases.unfinished() == []


def test_a_loss_is_told_each_night_until_it_is_accepted(host: Host) -> None:
    root = host.deploy()
    database(root / "payload.db", vendors=500)
    assert host.run("backup") == 0
    with closing(sqlite3.connect(root / "payload.db")) as connection:
        connection.executescript("DELETE FROM vendors")
    gone = "Gone since set 20260201-020000: 500 of 500 rows of vendors in payload.db."
    for night in (1, 2):
        host.clock.passed += 86400
        assert host.run("backup") == 0
        news = host.news()
        assert len(news) == night
        assert (news[-1]["success"], news[-1]["cautions"][0]) == (True, gone)
        assert gone in news[-1]["message"]
        assert host.set_ids()[-1] == "20260201-020000"
    assert host.run("status") == 0
    assert host.out.startswith("backup: ok, with a caution, 2026-02-03T02:00:00Z")
    assert host.run("verify") == 0
    assert gone in host.out
    assert host.news()[-1]["job"] == "verify"
    assert host.run("list") == 0
    assert f"Lost: {gone} Set 20260201-020000 stays until" in host.out

    host.clock.passed += 86400
    assert host.run("backup", "--accept-loss") == 0
    assert f"{gone} That was accepted." in host.out
    assert host.set_ids() == ["20260204-020000"]
    assert len(host.news()) == 3
    assert host.run("status") == 0
    assert host.out.startswith("backup: ok, 2026-02-04T02:00:00Z")


WATCH = {
    "container": "shop-app",
    "url": "",
    "text": "",
    "time_server": "",
    "lock_max_age": 3600.0,
    "metrics": "",
    "heal": False,
    "heal_rules": {"looks": "2", "most": 3},
    "alerts": {"least": "warning", "good": 2},
    "thresholds": {"memory": "90.0", "wal": "1024", "backup": 0.0, "proof": 0},
}


@pytest.fixture
def watching(host: Host, tmp_path: Path) -> Host:
    """A host whose application is watched."""
    place = tmp_path / "watched"
    place.mkdir()
    host.watched = Watched(place)
    host.config["watch"] = WATCH
    return host


def test_a_watch_says_what_it_found_and_tells_whoever_wants_to_know(watching: Host) -> None:
    assert watching.run("watch") == 0
    assert watching.out.splitlines()[-1].startswith("0 findings, ")
    assert watching.watched
    watching.watched.fake.state = {}
    assert watching.run("watch", "--json") == 0
    found = json.loads(watching.out)["results"]["watch"]["findings"]
    assert [row["id"] for row in found] == ["app-state"]
    assert "docker-vps" in found[0]["remedy"] or "playbook" in found[0]["remedy"]
    (news,) = watching.news()
    assert (news["job"], news["success"]) == ("watch", False)


def test_a_watch_that_cannot_tell_fails(watching: Host) -> None:
    watching.config["notify"]["command"] = ["false"]
    assert watching.watched
    watching.watched.fake.state = {}
    assert watching.run("watch") == 1
    assert watching.err == "The notification command false failed: it ended with 1. It is told at the next run.\n"


def test_a_test_goes_through_every_channel(watching: Host) -> None:
    assert watching.run("watch", "--test") == 0
    assert watching.out == "Sent by command.\n"
    assert watching.news()[0]["findings"][0]["id"] == "test-message"
    watching.config["notify"]["command"] = []
    assert watching.run("watch", "--test") == 1
    assert watching.err.startswith("There is no channel to test. Set docker_vps_notify_webhook in the inventory")


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"thresholds": {"memory": "much"}}, "a number of watch is none (could not convert string to float: 'much')"),
        ({"thresholds": {"memories": 1}}, "unexpected keyword argument 'memories'"),
        ({"more": 1}, "unexpected keyword argument 'more'"),
    ],
)
def test_a_configuration_of_a_watch_that_is_not_right(watching: Host, part: Any, problem: str) -> None:
    watching.config["watch"] = {**WATCH, **part}
    assert watching.run("watch") == 1
    assert problem in watching.err
    assert "Run the role schedule again." in watching.err


def test_an_older_configuration_has_no_watch(host: Host) -> None:
    assert host.run("watch") == 1
    assert "'watch' is missing. Run the role schedule again." in host.err


MAINTENANCE = {
    "container": "shop-app",
    "prune": True,
    "cache_days": 7,
    "logs": [],
    "log_bytes": 1000,
    "lock_max_age": 3600,
    "databases": {"vacuum": True, "within": 30},
    "after": {"backup": 93600, "proof": 0, "read": 0, "image": 0},
}


@pytest.fixture
def maintained(host: Host, tmp_path: Path) -> Host:
    """A host whose database is worth a VACUUM."""
    host.engine = FakeMaintainedEngine(tmp_path / "docker")
    filled(host.engine.add_volume("shop-db") / "payload.db")
    host.engine.add_container("shop-app", "shop-db")
    host.config["maintenance"] = MAINTENANCE
    return host


def test_maintenance_tells_first_what_it_would_do(maintained: Host) -> None:
    assert maintained.run("maintenance", "--check") == 0
    assert " would give " in maintained.out
    assert not os.path.exists(maintained.sets.directory)
    assert maintained.run("maintenance", "--json") == 0
    result = json.loads(maintained.out)["results"]["maintenance"]
    assert (result["changed"], result["databases"][0]["vacuumed"]) == (True, True)
    assert result["due"] == ["There is no backup set: docker-vps backup is due."]
    assert maintained.run("status") == 0
    assert maintained.out.splitlines()[-1].startswith("maintenance: ok, 2026-02-01T02:00:00Z, ")


def test_maintenance_waits_for_a_play(maintained: Host) -> None:
    path = maintained.place / "deploy.lock"
    owner = {"who": "ann", "purpose": "deploy", "controller": "c", "process": "1:2", "host": "web"}
    since = int(maintained.clock.utc().timestamp())
    path.write_text(json.dumps({"owner": owner, "since": since, "made_directory": False}))
    assert maintained.run("maintenance", "--wait", "10") == 1
    assert "deploy of ann (process 1) has been running" in maintained.err
    assert maintained.news()[-1]["job"] == "maintenance"
    path.unlink()
    assert maintained.run("maintenance") == 0


@pytest.mark.parametrize("part", [{"more": 1}, {"databases": {"more": 1}}, {"after": {"more": 1}}])
def test_a_configuration_of_maintenance_that_is_not_right(maintained: Host, part: Any) -> None:
    maintained.config["maintenance"] = {**MAINTENANCE, **part}
    assert maintained.run("maintenance") == 1
    assert "unexpected keyword argument 'more'" in maintained.err
