# SPDX-License-Identifier: GPL-3.0-or-later
"""The application on what was there before the restore."""

from __future__ import annotations

import json

from testinfra.host import Host

VOLUMES = "/var/lib/docker/volumes"


def test_everything_newer_is_back(host: Host) -> None:
    names = sorted(host.file(f"{VOLUMES}/ptnextjs-media/_data").listdir())
    assert names == ["later.png", "latest.png", "logo.png"]
    health = host.check_output("docker exec ptnextjs-app wget -qO- http://127.0.0.1:3000/api/health")
    assert json.loads(health)["vendorCount"] == 3


def test_it_is_healthy_and_owns_its_data(host: Host) -> None:
    assert host.docker("ptnextjs-app").inspect()["State"]["Health"]["Status"] == "healthy"
    database = host.file(f"{VOLUMES}/ptnextjs-db/_data/payload.db")
    assert (database.uid, database.gid) == (1000, 1000)
    assert host.check_output("sqlite3 %s 'PRAGMA integrity_check'", database.path) == "ok"
