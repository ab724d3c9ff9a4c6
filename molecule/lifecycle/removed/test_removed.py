# SPDX-License-Identifier: GPL-3.0-or-later
"""After the removal, data included."""

from __future__ import annotations

import json

from testinfra.host import Host
from vps import BACKUPS, HOME, set_ids


def test_nothing_runs_and_nothing_lies_about(host: Host) -> None:
    assert host.check_output("docker ps --all --quiet") == ""
    assert host.check_output("docker volume ls --quiet") == ""
    assert host.check_output("docker images --quiet ptnextjs-app") == ""
    assert not host.file(HOME).exists


def test_the_network_and_the_last_backup_stay(host: Host) -> None:
    assert "proxy" in host.check_output("docker network ls --format '{{.Name}}'").split()
    manifest = json.loads(host.file(f"{BACKUPS}/manifest-{set_ids(host)[-1]}.json").content_string)
    assert manifest["reason"] == "before removal"
    assert manifest["archives"][0]["databases"][0]["tables"]["vendors"] == 1
