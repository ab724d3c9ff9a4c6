# SPDX-License-Identifier: GPL-3.0-or-later
"""The application on the data of the set, with nothing newer left, and what was there kept beside it."""

from __future__ import annotations

import json

from testinfra.host import Host

VOLUMES = "/var/lib/docker/volumes"
NAMES = "SELECT group_concat(name) FROM vendors"


def test_nothing_newer_is_left(host: Host) -> None:
    assert host.file(f"{VOLUMES}/ptnextjs-media/_data").listdir() == ["logo.png"]
    assert host.check_output("sqlite3 %s %s", f"{VOLUMES}/ptnextjs-db/_data/payload.db", NAMES) == "logo.png"


def test_the_application_serves_it(host: Host) -> None:
    assert host.docker("ptnextjs-app").inspect()["State"]["Health"]["Status"] == "healthy"
    health = host.check_output("docker exec ptnextjs-app wget -qO- http://127.0.0.1:3000/api/health")
    assert json.loads(health)["vendorCount"] == 1


def test_what_was_there_is_kept(host: Host) -> None:
    for key in ("db", "media"):
        names = sorted(host.file(f"{VOLUMES}/ptnextjs-{key}").listdir())
        assert (len(names), names[0], names[1].startswith("_data.before-")) == (2, "_data", True)
    (kept,) = [name for name in host.file(f"{VOLUMES}/ptnextjs-media").listdir() if name != "_data"]
    kept_files = sorted(host.file(f"{VOLUMES}/ptnextjs-media/{kept}").listdir())
    assert kept_files == ["later.png", "latest.png", "logo.png"]
