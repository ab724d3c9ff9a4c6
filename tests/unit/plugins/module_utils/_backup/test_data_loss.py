# SPDX-License-Identifier: GPL-3.0-or-later
"""What would be lost, in numbers and in a sentence."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.data_loss import Contents, contents, losses
from ansible_collections.ptnextjs.docker_vps.tests.unit.databases import nameless
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import database
from hypothesis import given
from hypothesis import strategies as st

SINCE = datetime(2026, 1, 31, 2, tzinfo=timezone.utc)


def test_rows_and_newer_files() -> None:
    live = Contents({"db/a": {"vendors": 5, "media": 2, "logs": 1}, "db/new": {"vendors": 3}}, (), 1)
    assert losses(live, {"db/a": {"vendors": 1, "media": 1, "logs": 7}, "db/gone": {"x": 1}}, SINCE) == {
        "tables": {"vendors": 7, "media": 1},
        "newer_files": 1,
        "uploads_gone": 0,
        "summary": "Would be lost: 1 row of media, 7 rows of vendors, "
        "what changed in 1 file since 2026-01-31 02:00:00 UTC.",
    }


def test_what_could_not_be_read_is_said() -> None:
    assert losses(Contents({}, ("db/x is odd.",), 0), {}, SINCE)["summary"] == "Nothing would be lost. db/x is odd."


TABLES = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9))
DATABASES = st.dictionaries(st.sampled_from(["x", "y"]), TABLES)


@given(live=DATABASES, kept=DATABASES)
def test_nothing_is_lost_when_all_is_kept_and_never_more_than_there_was(
    live: dict[str, dict[str, int]], kept: dict[str, dict[str, int]]
) -> None:
    assert losses(Contents(live, (), 0), live, SINCE)["tables"] == {}
    lost = losses(Contents(live, (), 0), kept, SINCE)["tables"]
    for table, number in lost.items():
        assert 0 < number <= sum(rows.get(table, 0) for rows in live.values())


def test_looking_into_volumes(tmp_path: Path) -> None:
    database(tmp_path / "db/payload.db", vendors=3, media=1)
    database(tmp_path / "db/sub/other.db", wal=False, vendors=2)
    (tmp_path / "media").mkdir()
    for name, age in (("old", -10), ("new", 10)):
        (tmp_path / f"media/{name}").touch()
        os.utime(tmp_path / f"media/{name}", (SINCE.timestamp() + age,) * 2)
    roots = {"shop-db": str(tmp_path / "db"), "shop-media": str(tmp_path / "media")}
    found = contents(roots, SINCE.timestamp())
    assert found == Contents(
        {"shop-db/payload.db": {"vendors": 3, "media": 1}, "shop-db/sub/other.db": {"vendors": 2}}, (), 3
    )
    assert contents(roots).newer == 0


def test_a_table_whose_name_is_no_text_is_no_failure(tmp_path: Path) -> None:
    nameless(tmp_path / "odd.db")
    found = contents({"db": str(tmp_path)})
    assert found.tables == {"db/odd.db": {"t": 3}}
    assert found.unreadable == ("The rows of ttt\\xff in db/odd.db cannot be counted.",)


def test_a_damaged_database_is_no_failure(tmp_path: Path) -> None:
    path = database(tmp_path / "half.db", wal=False, vendors=2000)
    data = bytearray(path.read_bytes())
    data[-4096:] = b"\xa5" * 4096
    path.write_bytes(data)
    whole = database(tmp_path / "none.db", wal=False, vendors=1)
    whole.write_bytes(whole.read_bytes()[:100] + b"\xa5" * 3996 + whole.read_bytes()[4096:])
    found = contents({"db": str(tmp_path)})
    assert found.unreadable[0] == "The rows of vendors in db/half.db cannot be counted."
    assert "SQLite cannot read" in found.unreadable[1]
    assert list(found.tables) == ["db/half.db"]
