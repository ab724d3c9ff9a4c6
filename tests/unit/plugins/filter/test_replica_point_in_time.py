# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter replica_point_in_time."""

from __future__ import annotations

from ansible_collections.ptnextjs.docker_vps.plugins.filter.replica_point_in_time import FilterModule

RESTORED = '{"txid": "0000000000000002"}'
LISTED = '[{"level": 0, "min_txid": "0001", "max_txid": "0002", "timestamp": "2026-01-31T14:29:59Z"}]'


def test_what_commands_printed_becomes_a_moment_and_a_sentence() -> None:
    found = FilterModule().filters()["replica_point_in_time"](RESTORED, LISTED, "2026-01-31T14:30:00Z")
    assert found == {
        "got": "2026-01-31T14:29:59Z",
        "sentence": "Asked for 2026-01-31T14:30:00Z, got the database as of 2026-01-31T14:29:59Z, "
        "the newest state in the replica.",
    }
