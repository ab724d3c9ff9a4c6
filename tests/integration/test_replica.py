# SPDX-License-Identifier: GPL-3.0-or-later
"""Continuous replication by the real Litestream, and the database of a point in time in between."""

from __future__ import annotations

import json
import re
import stat
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Iterator, Sequence

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from lab import Played, docker, image_of, inspect, play

NAME = "it-replica"
VOLUME = f"{NAME}-db"
CONTAINER = f"{NAME}-litestream"
SECRET = 's3cr3t-$HOME-"quoted"-key'
PAUSE = 0.2  # seconds between two rows


# What the application does: one row after the other, each in a transaction of its own.
WRITER = """
const {DatabaseSync} = require("node:sqlite");
const [first, end, pause] = process.argv.slice(1).map(Number);
const database = new DatabaseSync("/data/payload.db");
database.exec("PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL");
database.exec("CREATE TABLE IF NOT EXISTS rows (number INTEGER, filler BLOB)");
const insert = database.prepare("INSERT INTO rows VALUES (?, randomblob(3000))");
let number = first;
const next = () => {
  if (number === end) return;
  insert.run(number);
  console.log(number++, Date.now());
  setTimeout(next, pause);
};
next();
"""
READER = """
const {DatabaseSync} = require("node:sqlite");
const rows = new DatabaseSync("/data/payload.db").prepare("SELECT number FROM rows ORDER BY number").all();
console.log(JSON.stringify(rows.map((row) => row.number)));
"""


def as_the_application(*command: str, user: str = "1000:1000") -> str:
    """Run a command in a container as the one that owns the database."""
    base = image_of("base_image.sh")
    return docker("run", "--rm", "--user", user, "--volume", f"{VOLUME}:/data", "--entrypoint", "", base, *command)


class Replica:
    """A database in a volume, and runs of the role on it."""

    def __init__(self, place: Path) -> None:
        self.place, self.backups, self.target = place, place / "backups", place / "replica"
        as_the_application("chown", "1000:1000", "/data", user="0")
        self.variables: dict[str, Any] = {
            "docker_vps_app": NAME,
            "docker_vps_replica_container": CONTAINER,
            "docker_vps_replica_directory": str(place / "project"),
            "docker_vps_replica_image": image_of("litestream_image.sh"),
            "docker_vps_replica_url": f"file://{self.target}",
            "docker_vps_replica_environment": {"LITESTREAM_SECRET_ACCESS_KEY": SECRET},
            "docker_vps_database_volume": VOLUME,
            "docker_vps_backup_directory": str(self.backups),
        }

    def role(self, entry: str = "main", *arguments: str, **variables: Any) -> Played:
        task = {"name": "ptnextjs.docker_vps.replica", "tasks_from": entry}
        return self.play({"ansible.builtin.import_role": task, "vars": {**self.variables, **variables}}, *arguments)

    def play(self, task: Any, *arguments: str) -> Played:
        book, inventory = self.place / "play.yml", self.place / "inventory.yml"
        book.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
        host = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        host["ansible_become"] = "{{ lookup('ansible.builtin.pipe', 'id -u') != '0' }}"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"here": host}}}))
        return play(book, inventory, *arguments)

    def write(self, numbers: range) -> dict[int, datetime]:
        """Insert rows one by one, and return when each was there."""
        bounds = (str(numbers.start), str(numbers.stop), str(int(PAUSE * 1000)))
        lines = [line.split() for line in as_the_application("node", "-e", WRITER, *bounds).splitlines()]
        return {int(number): datetime.fromtimestamp(int(at) / 1000, timezone.utc) for number, at in lines}

    def sets(self) -> Sequence[BackupSet]:
        return Sets(str(self.backups), NAME).listing().sets


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    remove()
    docker("volume", "create", VOLUME)
    yield Replica(tmp_path)
    remove()


def remove() -> None:
    """Remove whatever a test made."""
    docker("rm", "--force", CONTAINER, check=False)
    docker("network", "rm", f"{CONTAINER}_default", check=False)
    docker("volume", "rm", "--force", VOLUME)


def test_the_database_of_a_moment_in_between(replica: Replica) -> None:
    replica.write(range(1))
    replica.role().succeeded()
    assert replica.role().succeeded().recap["changed"] == 0
    written = replica.write(range(1, 41))
    time.sleep(3)  # Litestream looks each second
    then = written[20]
    asked = then.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    played = replica.role("point_in_time", docker_vps_restore_point_in_time=asked).succeeded()
    got = re.search(
        rf"Asked for {re.escape(asked)}, got the database as of (\S+Z); the next change in the replica", played.text
    )
    assert got, played.output
    assert then - timedelta(seconds=2.5) < instant(got[1]) <= then
    assert not (replica.place / "project/fetched").exists()

    (one,) = replica.sets()
    (kept,) = one.manifest.archives
    assert (kept.name, kept.volume, kept.databases[0].check) == ("db", VOLUME, "sound")
    assert one.manifest.reason == f"the database of {asked}, as of {got[1]}"
    restore = {"app": NAME, "directory": str(replica.backups), "stop_app": True}
    replica.play({"ptnextjs.docker_vps.volume_restore": restore}).succeeded()
    there = json.loads(as_the_application("node", "-e", READER))
    assert there == list(range(len(there)))
    assert 20 - 1.5 / PAUSE < len(there) <= 21  # nothing newer, and at most a look of Litestream older
    assert as_the_application("stat", "-c", "%u:%g", "/data", "/data/payload.db").split() == ["1000:1000"] * 2

    # Replication goes on from there.
    assert inspect(CONTAINER)["State"]["Running"]
    replica.write(range(100, 103))
    time.sleep(3)
    late = (datetime.now(timezone.utc) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    played = replica.role("point_in_time", docker_vps_restore_point_in_time=late).succeeded()
    assert re.search(rf"Asked for {late}, got the database as of \S+Z, the newest state in the replica\.", played.text)
    newest, _unused = replica.sets()
    # Litestream keeps two small tables of its own in the database.
    assert newest.manifest.archives[0].databases[0].tables["rows"] == len(there) + 3


def instant(text: str) -> datetime:
    """Return what Litestream calls a time, which has whole seconds."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def test_a_moment_of_which_only_pieces_are_left(replica: Replica) -> None:
    """As after five minutes: at most a piece of 5 s and a look of Litestream are missing, and that is said."""
    replica.write(range(1))
    replica.role().succeeded()
    config = yaml.safe_load((replica.place / "project/litestream.yml").read_text())
    config.update({"l0-retention": "1s", "l0-retention-check-interval": "1s"})
    (replica.place / "project/litestream.yml").write_text(yaml.safe_dump(config))
    docker("restart", CONTAINER)
    written = replica.write(range(1, 61))
    time.sleep(8)  # until the pieces are made, and what they were made of is gone
    then = written[30]
    asked = then.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    played = replica.role("point_in_time", docker_vps_restore_point_in_time=asked).succeeded()
    got = re.search(
        r"got the database as of (\S+Z)\. The replica keeps what was written after that until (\S+Z)", played.text
    )
    assert got, played.output
    assert then - timedelta(seconds=6.5) < instant(got[1]) <= then < instant(got[2]) + timedelta(seconds=1)
    (one,) = replica.sets()
    there = one.manifest.archives[0].databases[0].tables["rows"]
    assert 30 - 6.5 / PAUSE < there <= 31


def test_secrets_are_in_one_file_only(replica: Replica) -> None:
    replica.write(range(1))
    dry_run = replica.role("main", "--check", "--diff").succeeded()
    assert not (replica.place / "project").exists()
    done = replica.role("main", "-vvv", "--diff").succeeded()
    assert stat.S_IMODE((replica.place / "project/.env").stat().st_mode) == 0o600
    environment = dict(pair.split("=", 1) for pair in inspect(CONTAINER)["Config"]["Env"])
    assert environment["LITESTREAM_SECRET_ACCESS_KEY"] == SECRET
    assert "s3cr3t" not in done.output + dry_run.output
    assert "s3cr3t" not in (replica.place / "project/compose.yml").read_text()
    replica.role("absent").succeeded()
    assert docker("ps", "-aq", "--filter", f"name={CONTAINER}") == ""
    assert any(replica.target.rglob("*.ltx"))


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"docker_vps_restore_point_in_time": "yesterday"}, "The point in time must be one such as"),
        (
            {"docker_vps_restore_point_in_time": "2020-01-01T00:00:00Z"},
            "cannot be fetched from the replica: Error: no matching backup files available. Choose",
        ),
    ],
)
def test_a_point_in_time_that_is_not_there(replica: Replica, variables: dict[str, str], why: str) -> None:
    replica.write(range(1))
    replica.role().succeeded()
    assert list(replica.target.rglob("*.ltx"))
    failed = replica.role("point_in_time", **variables).failed()
    assert why in failed.text
    assert not (replica.place / "project/fetched").exists()
    assert replica.sets() == []


def test_a_storage_that_does_not_answer(replica: Replica) -> None:
    replica.write(range(1))
    failed = replica.role(docker_vps_replica_url="sftp://user:s3cr3t@127.0.0.1:9/replica").failed()
    assert "the replica holds nothing of payload.db in the volume it-replica-db. Is the database there" in failed.text
    assert "s3cr3t" not in failed.output
