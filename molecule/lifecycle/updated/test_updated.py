# SPDX-License-Identifier: GPL-3.0-or-later
"""After an update that changed the schema."""

from __future__ import annotations

from testinfra.host import Host
from vps import assert_alone_and_healthy, columns, live, releases, set_ids


def test_the_new_version_runs_on_the_data_there_was(host: Host) -> None:
    assert_alone_and_healthy(host, 1)
    assert columns(host) == "id,name,website"
    assert host.file("/var/lib/docker/volumes/ptnextjs-media/_data/logo.png").content_string == "a picture"


def test_the_release_names_the_backup_before_it(host: Host) -> None:
    assert [one["result"] for one in releases(host)] == ["healthy", "healthy"]
    assert [live(host)["backup"]] == set_ids(host)
    assert live(host)["schema"] != releases(host)[0]["schema"]
    assert 0 < live(host)["downtime"] < live(host)["seconds"]
