# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that replicates, where its secret is, and the application on the database of the point in time."""

from __future__ import annotations

import json

from testinfra.host import Host

HOME = "/opt/ptnextjs-litestream"
DATABASE = "/var/lib/docker/volumes/ptnextjs-db/_data/payload.db"


def test_it_runs_as_the_owner_of_the_database(host: Host) -> None:
    (process,) = [one for one in host.process.filter(comm="litestream") if "replicate" in one.args]
    assert "Uid:\t1000\t1000\t1000\t1000" in host.file(f"/proc/{process.pid}/status").content_string
    assert "s3cr3t" not in process.args


def test_the_replica_grows(host: Host) -> None:
    replica = host.file("/srv/replica")
    assert (replica.uid, replica.mode) == (1000, 0o700)
    assert len(host.check_output("find /srv/replica -name '*.ltx'").splitlines()) > 1


def test_the_secret_is_in_one_file_of_root(host: Host) -> None:
    assert host.check_output("grep --recursive --files-with-matches s3cr3t %s", HOME) == f"{HOME}/.env"
    assert (host.file(f"{HOME}/.env").user, host.file(f"{HOME}/.env").mode) == ("root", 0o600)


def test_the_database_is_of_the_point_in_time(host: Host) -> None:
    names = host.check_output("sqlite3 %s %s", DATABASE, "SELECT group_concat(name) FROM vendors")
    assert names == "first.png,kept.png"
    health = host.check_output("docker exec ptnextjs-app wget -qO- http://127.0.0.1:3000/api/health")
    assert json.loads(health)["vendorCount"] == 2
    # Only the database has a replica.
    assert host.file("/var/lib/docker/volumes/ptnextjs-media/_data/spam.png").exists
