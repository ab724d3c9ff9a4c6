# SPDX-License-Identifier: GPL-3.0-or-later
"""After the deploy, and a second one that changed nothing."""

from __future__ import annotations

from testinfra.host import Host
from vps import assert_alone_and_healthy, releases


def test_there_is_one_release(host: Host) -> None:
    assert_alone_and_healthy(host, 0)
    assert [one["result"] for one in releases(host)] == ["healthy"]
    assert not host.file("/var/backups/ptnextjs").exists
