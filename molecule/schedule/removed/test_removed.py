# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of a removed schedule is left but the sets."""

from __future__ import annotations

from testinfra.host import Host


def test_only_the_sets_are_left(host: Host) -> None:
    assert host.run("systemctl list-unit-files 'ptnextjs-*' --no-legend").stdout == ""
    assert host.run("systemctl list-timers --all --no-legend 'ptnextjs-*'").stdout == ""
    assert not host.file("/opt/ptnextjs/bin/docker-vps").exists
    assert not host.file("/opt/ptnextjs/backup.json").exists
    assert not host.file("/opt/ptnextjs/watch.json").exists
    assert len([name for name in host.file("/var/backups/ptnextjs").listdir() if name.startswith("manifest-")]) == 2
