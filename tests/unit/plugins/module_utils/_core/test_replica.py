# SPDX-License-Identifier: GPL-3.0-or-later
"""Of which point in time a database from a replica is. What Litestream prints is that of 0.5.17."""

from __future__ import annotations

import json

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.replica import (
    UNKNOWN,
    PointInTime,
    point_in_time,
)

ASKED = "2026-11-28T15:47:54.5Z"
FILES = [  # level, first and last transaction, time of the last one
    (0, "02a4", "02a4", "15:49:58"),
    (0, "02a5", "02a5", "15:49:59"),
    (1, "01ef", "020c", "15:47:29"),
    (1, "020d", "022b", "15:47:59"),
    (1, "022c", "02a5", "15:49:59"),
    (2, "0001", "020c", "15:47:30"),
    (9, "0001", "0002", "15:38:55"),
]


def listed(files: list[tuple[int, str, str, str]]) -> str:
    names = ("level", "min_txid", "max_txid", "timestamp")
    rows = [(level, f"{0:012}{first}", f"{0:012}{last}", f"2026-11-28T{at}Z") for level, first, last, at in files]
    return json.dumps([{**dict(zip(names, row)), "size": 1} for row in rows], indent=2)


def restored(txid: str) -> str:
    log = 'time=2026-11-28T16:00:45.040Z level=INFO msg="post-restore integrity check passed" db=p.db replica=file\n'
    printed = {"db_path": "/fetched/p.db", "replica": "file", "txid": f"{0:012}{txid}", "duration_ms": 80}
    return log + json.dumps(printed, indent=2) + "\n"


@pytest.mark.parametrize(
    ("txid", "got", "why"),
    [
        (
            "020c",
            "15:47:29",
            ". The replica keeps what was written after that until 2026-11-28T15:47:59Z in one piece, "
            "so none of it came back.",
        ),
        ("02a4", "15:49:58", "; the next change in the replica is of 2026-11-28T15:49:59Z."),
        ("02a5", "15:49:59", ", the newest state in the replica."),
    ],
)
def test_what_was_got_and_what_was_not(txid: str, got: str, why: str) -> None:
    at = f"2026-11-28T{got}Z"
    expected = PointInTime(at, f"Asked for {ASKED}, got the database as of {at}{why}")
    assert point_in_time(restored(txid), listed(FILES), ASKED) == expected
    assert point_in_time(restored(txid), listed(FILES[::-1]), ASKED) == expected


@pytest.mark.parametrize(
    ("came", "list_of"),
    [
        ("", listed(FILES)),
        (restored("020c"), ""),
        (restored("020c"), "no such replica"),
        (restored("020c"), "[]"),
        (restored("020c"), "[1]"),
        (restored("020c"), '[{"level": 0}]'),
        (restored("zz"), listed(FILES)),
        ('{"db_path": "/fetched/p.db"}', listed(FILES)),
        ("{", listed(FILES)),
        (restored("0210"), listed(FILES)),  # in the middle of a file: not what Litestream does
    ],
)
def test_what_is_not_understood_is_not_known(came: str, list_of: str) -> None:
    assert point_in_time(came, list_of, ASKED) == PointInTime("", UNKNOWN)
