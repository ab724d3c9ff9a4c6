# SPDX-License-Identifier: GPL-3.0-or-later
"""The line of restic's output that tells most, and which locks are stale."""

from __future__ import annotations

import json
import socket
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.restic_output import (
    ABSENT,
    IN_VAIN,
    cause,
    judged,
    next_step,
)

BUCKET = "Stat(<config/>) returned error, retrying after 728ms: Stat: The specified bucket does not exist"


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("", ""),
        ("Fatal: Fatal: no\n", "no"),
        (
            BUCKET + "\nFatal: unable to open config file: context canceled\n",
            "Stat: The specified bucket does not exist",
        ),
        ("Fatal: one\nsubprocess ssh: two\nthree\n", "subprocess ssh: two"),
        ("main.f\n\tmain.go:1\nthe cause.\nmain.g\n\tmain.go:2\n", "the cause"),
        (json.dumps({"message": "Fatal: wrapped"}), "wrapped"),
        ('{"code": 1}\n', '{"code": 1}'),
    ],
)
def test_the_cause(output: str, line: str) -> None:
    assert cause(output) == line


def test_what_waiting_does_not_change() -> None:
    assert ABSENT.search(BUCKET)
    assert IN_VAIN.search(BUCKET)
    assert not IN_VAIN.search("Stat: dial tcp 127.0.0.1:9: connect: connection refused")
    assert next_step("anything else").startswith("Is the storage up")


@pytest.mark.parametrize("zone", ["Z", "+00:00", ".106294429Z", ".1+00:00"])
@pytest.mark.parametrize(
    ("host", "process", "minutes", "stale"),
    [
        (socket.gethostname(), 1, 29, False),
        (socket.gethostname(), 1, 31, True),
        (socket.gethostname(), 2**22 + 1, 0, True),  # Linux numbers none that high
        ("elsewhere", 2**22 + 1, 29, False),
        ("elsewhere", 2**22 + 1, 31, True),
    ],
)
def test_a_stale_lock(host: str, process: int, minutes: int, stale: bool, zone: str) -> None:
    at = datetime.now(timezone.utc) - timedelta(minutes=minutes)
    lock = {"time": f"{at:%Y-%m-%dT%H:%M:%S}{zone}", "hostname": host, "pid": process, "exclusive": False}
    assert judged(json.dumps(lock)) == (host, stale)
