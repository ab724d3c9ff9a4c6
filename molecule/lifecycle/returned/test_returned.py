# SPDX-License-Identifier: GPL-3.0-or-later
"""After stop, start, restart, and the way back to the first release with its data."""

from __future__ import annotations

from testinfra.host import Host
from vps import assert_alone_and_healthy, columns, live, releases


def test_the_first_version_runs_on_its_own_schema(host: Host) -> None:
    assert_alone_and_healthy(host, 1)
    assert columns(host) == "id,name"


def test_the_way_back_is_a_release(host: Host) -> None:
    first = releases(host)[0]
    assert live(host)["rolled_back_to"] == first["id"]
    assert live(host)["environment"] == first["environment"]
