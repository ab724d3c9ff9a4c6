# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be removed, when a VACUUM pays and has space, and what is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.maintenance import (
    MARGIN,
    Ages,
    DueAfter,
    Pages,
    Room,
    Unnamed,
    cache_record,
    cached_bytes,
    due,
    long_ago,
    shortened,
    stale,
    unneeded,
    why_no_room,
)

NOW = datetime(2026, 2, 8, tzinfo=timezone.utc)
MIB = 1 << 20
ROW = {"ID": "a1", "Size": 5, "CreatedAt": "2026-01-01T00:00:00.5Z", "LastUsedAt": "2026-02-01T00:00:00.123456789Z"}


def test_what_a_container_or_a_release_has_stays() -> None:
    rows = [Unnamed("sha256:a", "sha256:1", 7), Unnamed("sha256:b", "sha256:2", 7), Unnamed("sha256:c", "sha256:3", 7)]
    assert unneeded(rows, {"sha256:a"}, {"sha256:2"}) == [rows[2]]
    assert unneeded(rows, set(), set()) == rows


def test_build_cache_is_stale_when_nobody_used_it_for_long() -> None:
    limit = long_ago(NOW, 7)
    records = [
        cache_record(ROW),
        cache_record({**ROW, "ID": "a2", "LastUsedAt": "2026-02-01T00:00:01Z"}),
        cache_record({**ROW, "ID": "a3", "InUse": True}),
        cache_record({**ROW, "ID": "a4", "LastUsedAt": None, "Shared": True}),
    ]
    assert [record.id for record in stale(records, limit)] == ["a1", "a4"]
    assert cached_bytes(stale(records, limit)) == 5


@pytest.mark.parametrize(
    ("count", "free", "worth"), [(1280, 256, True), (1280, 255, False), (1281, 256, False), (100, 90, False)]
)
def test_a_vacuum_pays_from_a_fifth_and_a_mebibyte_on(count: int, free: int, worth: bool) -> None:
    assert Pages(True, 4096, count, free).worth is worth


def test_a_vacuum_needs_room_where_the_database_lies_and_for_its_temporary_file() -> None:
    pages = Pages(True, 4096, 1280, 512)  # 5 MiB, of which 2 are free
    here = Room("/v", 10 * MIB + MARGIN, "/var/tmp", 0)
    assert why_no_room(pages, here) == ""
    assert why_no_room(pages, replace(here, free=here.free - 1)) == "it needs 74 MiB at /v, and 74 MiB are free"
    apart = Room("/v", 5 * MIB + MARGIN, "/var/tmp", 3 * MIB + MARGIN, same=False)
    assert why_no_room(pages, apart) == ""
    assert why_no_room(pages, replace(apart, free=0)) == "it needs 69 MiB at /v, and 0 bytes are free"
    assert why_no_room(pages, replace(apart, scratch_free=1)) == "it needs 67 MiB at /var/tmp, and 1 byte are free"


def test_what_is_due() -> None:
    hour, day = 3600.0, 86400.0
    assert due(Ages(25 * hour, 34 * day, 7 * day, 89 * day), DueAfter()) == []
    assert due(Ages(27 * hour, 36 * day, 9 * day, 91 * day), DueAfter()) == [
        "The newest backup set is 27 hours old: ⟦play backup⟧ is due.",
        "A restore last proved a set 36 days ago: ⟦play restore_drill⟧ is due.",
        "All sets were last read 9 days ago: ⟦play verify⟧ is due.",
        "The image of the application is 91 days old: ⟦play update⟧ with ⟦setting base_refresh always⟧ is due.",
    ]
    assert due(Ages(None, None, None, None), DueAfter()) == [
        "There is no backup set: ⟦play backup⟧ is due.",
        "No restore has proved a set: ⟦play restore_drill⟧ is due.",
        "The sets were never read in full: ⟦play verify⟧ is due.",
    ]
    assert due(Ages(None, None, None, None), DueAfter(0, 0, 0, 0)) == []


def test_the_end_of_a_log_begins_with_a_line() -> None:
    assert shortened(b"st\nsecond\nthird\xff\n", 1000) == "[1003 bytes before this were cut off]\nsecond\nthird�\n"
