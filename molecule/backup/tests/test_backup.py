# SPDX-License-Identifier: GPL-3.0-or-later
"""The set that was made while the application wrote, and the application on what came back from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

DIRECTORY = "/var/backups/ptnextjs"
VOLUMES = "/var/lib/docker/volumes"
COUNT = "SELECT count(*), max(id), min(name) FROM vendors"


@pytest.fixture(scope="module")
def manifest(host: Host) -> Any:
    """What the only set says about itself."""
    (name,) = [name for name in host.file(DIRECTORY).listdir() if name.startswith("manifest-")]
    return json.loads(host.file(f"{DIRECTORY}/{name}").content_string)


@pytest.fixture(scope="module")
def vendors(manifest: Any) -> int:
    """How many vendors the set has."""
    (database,) = manifest["archives"][0]["databases"]
    found: int = database["tables"]["vendors"]
    return found


def test_the_set_is_complete_and_nothing_lies_beside_it(host: Host, manifest: Any) -> None:
    set_id = manifest["id"]
    files = [f"{name}-{set_id}.{end}" for name in ("db", "media") for end in ("index", "tar.gz")]
    files = sorted([*files, "last-restore.json", f"manifest-{set_id}.json"])
    assert sorted(name for name in host.file(DIRECTORY).listdir() if not name.startswith(".")) == files
    assert [host.file(f"{DIRECTORY}/{archive['file']}").sha256sum for archive in manifest["archives"]] == [
        archive["sha256"] for archive in manifest["archives"]
    ]
    assert (manifest["uploads"]["named"], manifest["uploads"]["missing"]) == (1, [])
    # On a slow machine a moment may pass without a vendor.
    assert all("payload.db was written all the time" in one for one in manifest["warnings"])
    assert len(manifest["warnings"]) <= 1


def test_only_root_reads_it(host: Host) -> None:
    assert (host.file(DIRECTORY).user, host.file(DIRECTORY).mode) == ("root", 0o700)
    for name in host.file(DIRECTORY).listdir():
        file = host.file(f"{DIRECTORY}/{name}")
        assert (name, file.user, file.mode) == (name, "root", 0o600)


def test_the_archived_database_is_whole(host: Host, manifest: Any, vendors: int) -> None:
    host.check_output("rm -rf /tmp/db && mkdir /tmp/db")
    host.check_output("tar xzf %s -C /tmp/db", f"{DIRECTORY}/db-{manifest['id']}.tar.gz")
    assert host.file("/tmp/db").listdir() == ["payload.db"]
    assert host.check_output("sqlite3 /tmp/db/payload.db 'PRAGMA integrity_check'") == "ok"
    assert host.check_output("sqlite3 /tmp/db/payload.db %s", COUNT) == f"{vendors}|{vendors}|logo.png"


def test_no_write_failed_meanwhile(host: Host, vendors: int) -> None:
    assert vendors > 1
    assert host.check_output("systemctl --failed --no-legend --plain") == ""


def test_the_volumes_are_back(host: Host, vendors: int) -> None:
    database = host.file(f"{VOLUMES}/ptnextjs-db/_data/payload.db")
    assert (database.uid, database.gid) == (1000, 1000)
    assert host.check_output("sqlite3 %s %s", database.path, COUNT) == f"{vendors}|{vendors}|logo.png"
    upload = host.file(f"{VOLUMES}/ptnextjs-media/_data/logo.png")
    assert (upload.content_string, upload.uid, upload.gid) == ("a picture", 1000, 1000)


def test_the_application_runs_on_them(host: Host, vendors: int) -> None:
    container = host.docker("ptnextjs-app")
    assert container.is_running
    assert container.inspect()["State"]["Health"]["Status"] == "healthy"
    health = host.check_output("docker exec ptnextjs-app wget -qO- http://127.0.0.1:3000/api/health")
    assert json.loads(health)["vendorCount"] == vendors
