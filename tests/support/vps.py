# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the lifecycle look at."""

from __future__ import annotations

import json
from typing import Any

from testinfra.host import Host

HOME = "/opt/ptnextjs"
BACKUPS = "/var/backups/ptnextjs"


def releases(host: Host, home: str = HOME) -> list[Any]:
    """The releases there are, oldest first."""
    set_ids = sorted(name for name in host.file(f"{home}/releases").listdir() if name[0].isdigit())
    return [json.loads(host.file(f"{home}/releases/{set_id}/release.json").content_string) for set_id in set_ids]


def live(host: Host) -> Any:
    """The release that is live."""
    target = host.file(f"{HOME}/releases/current").linked_to
    return json.loads(host.file(f"{target}/release.json").content_string)


def set_ids(host: Host, backups: str = BACKUPS) -> list[str]:
    """The timestamps of the backup sets, oldest first."""
    names = sorted(host.file(backups).listdir())
    return [name[len("manifest-") : -len(".json")] for name in names if name.startswith("manifest-")]


def query(host: Host, sql: str, app: str = "ptnextjs") -> str:
    """What a database says."""
    found: str = host.check_output("sqlite3 %s %s", f"/var/lib/docker/volumes/{app}-db/_data/payload.db", sql)
    return found


def columns(host: Host, app: str = "ptnextjs") -> str:
    """The columns of the vendors."""
    return query(host, "SELECT group_concat(name) FROM pragma_table_info('vendors')", app)


def assert_alone_and_healthy(host: Host, vendors: int) -> None:
    """One container, healthy, on the same data as before, and no trace of a cutover."""
    assert host.check_output("docker ps --all --format '{{.Names}}'") == "ptnextjs-app"
    # A release counts as healthy when its check succeeds, up to a start interval before the engine runs that check.
    status = 'docker inspect --format "{{.State.Health.Status}}" ptnextjs-app'
    host.check_output(f"timeout 30 sh -c 'while [ $({status}) = starting ]; do sleep 0.2; done'")
    assert host.check_output(status) == "healthy"
    ask = "docker exec ptnextjs-app wget -qO- http://ptnextjs-app:3000/api/health"
    assert json.loads(host.check_output(ask))["vendorCount"] == vendors
    assert not host.file(f"{HOME}/deploy.lock").exists
    assert host.check_output("find %s -name journal.json", f"{HOME}/releases") == ""
    for name in ("compose.yml", ".env.production"):
        assert host.file(f"{HOME}/{name}").content == host.file(f"{HOME}/releases/current/{name}").content
