# SPDX-License-Identifier: GPL-3.0-or-later
"""What the process that examines databases says, asked within this one."""

from __future__ import annotations

import io
import json
import resource
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.databases import DAMAGED, NOT_CHECKED, SOUND
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import examination, sqlite
from ansible_collections.ptnextjs.docker_vps.tests.unit.databases import (
    UNCHECKABLE,
    costly,
    filled,
    overwritten,
    unspeakable,
)


@pytest.fixture(autouse=True)
def limits() -> Iterator[None]:
    """Take back the limit of memory that a question sets."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def examined(path: Path, **asked: Any) -> dict[str, Any]:
    question = {"path": str(path), "live": False, "seconds": 30.0, "memory": 1 << 29, "wait": 0.1, **asked}
    return examination.answer(question)


@pytest.mark.parametrize("live", [True, False])
def test_a_sound_one(tmp_path: Path, live: bool) -> None:
    answer = examined(filled(tmp_path / "a.db"), live=live)
    assert (answer["check"], answer["why"], answer["tables"]) == (SOUND, "", {"t": 3})
    assert (answer["uncounted"], len(answer["schema"])) == ([], 64)
    assert answer["bytes"] == (tmp_path / "a.db").stat().st_size


@pytest.mark.parametrize("live", [True, False])
def test_a_sound_one_with_numbers_that_javascript_does_not_have(tmp_path: Path, live: bool) -> None:
    answer = examined(filled(tmp_path / "a.db", f"INSERT INTO t VALUES ({2**53}, 'd')"), live=live)
    assert (answer["check"], answer["tables"]) == (SOUND, {"t": 4})
    assert answer["why"] == "t.n has whole numbers beyond 2^53 - 1, which an application in JavaScript cannot read"


@pytest.mark.parametrize("kind", UNCHECKABLE)
def test_what_cannot_be_checked_is_not_damaged_and_its_rows_are_counted(tmp_path: Path, kind: str) -> None:
    answer = examined(UNCHECKABLE[kind](tmp_path / "a.db"))
    assert answer["check"] == NOT_CHECKED, answer
    assert f"SQLite {sqlite3.sqlite_version} of this host says: " in answer["why"]
    assert answer["why"].endswith("Its pages are whole")
    assert answer["tables"]["t"] == 3
    assert answer["uncounted"] == []


@pytest.mark.parametrize("kind", UNCHECKABLE)
def test_an_overwritten_page_is_found_all_the_same(tmp_path: Path, kind: str) -> None:
    answer = examined(overwritten(UNCHECKABLE[kind](tmp_path / "a.db")))
    assert answer["check"] == DAMAGED
    assert "the table t: page 2 is no page of it" in answer["why"]


def test_what_sqlite_says_may_not_be_utf8(tmp_path: Path) -> None:
    answer = examined(unspeakable(tmp_path / "a.db"))
    assert (answer["check"], answer["tables"]) == (NOT_CHECKED, {"t": 3})
    said = "malformed database schema (vvv\udcff)" if sys.version_info >= (3, 11) else sqlite.KEPT_BACK
    assert said in answer["why"]


def test_the_pages_of_a_live_one_are_left_alone(tmp_path: Path) -> None:
    answer = examined(UNCHECKABLE["a view in newer SQL"](tmp_path / "a.db"), live=True)
    assert (answer["check"], answer["tables"]) == (NOT_CHECKED, {"t": 3})
    assert "Its pages" not in answer["why"]


def test_damage_is_found(tmp_path: Path) -> None:
    answer = examined(overwritten(filled(tmp_path / "a.db")))
    assert (answer["check"], answer["tables"], answer["uncounted"]) == (DAMAGED, {}, ["t"])


def test_the_time_is_bounded_and_the_pages_are_looked_at(tmp_path: Path) -> None:
    answer = examined(costly(tmp_path / "a.db"), seconds=0.4)
    assert answer["check"] == NOT_CHECKED
    assert answer["why"] == "its check took longer than 0.2 seconds. Its pages are whole"
    assert answer["tables"] == {"t": 2000}


def test_all_steps_share_the_time(tmp_path: Path) -> None:
    path = costly(tmp_path / "a.db")
    examined(path, seconds=0.1)
    began = time.monotonic()
    answer = examined(path, seconds=2.0)
    assert answer["why"].startswith("its check took longer than 1 seconds")
    assert time.monotonic() - began < 2.0


def test_there_may_be_no_time_for_the_pages_either(tmp_path: Path) -> None:
    answer = examined(UNCHECKABLE["a partial index"](tmp_path / "a.db"), seconds=-1.0)
    assert answer["check"] == NOT_CHECKED
    assert "Its pages" not in answer["why"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="older ones offer no limits of SQLite")
def test_no_text_may_be_larger_than_a_part_of_the_memory(tmp_path: Path) -> None:
    answer = examined(costly(tmp_path / "a.db"), memory=64 << 20)
    assert answer["check"] == NOT_CHECKED
    assert "too big" in answer["why"]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (sqlite3.OperationalError("out of memory"), "its check needs more than 512 MiB of memory"),
        (MemoryError(), "its check needs more than 512 MiB of memory"),
        (sqlite3.OperationalError("database is locked"), "of this host says: database is locked"),
    ],
)
def test_what_sqlite_cannot_do_is_no_finding(error: Exception, why: str) -> None:
    class Connection:
        def execute(self, _statement: str) -> Any:
            raise error

        def set_progress_handler(self, *_handler: object) -> None:
            pass

        def interrupt(self) -> None:
            pass

    about = examination.Header(wal=False, version=3051003, stat=None)  # type: ignore[arg-type]
    check, said_why = examination._checked(Connection(), about, 1.0, 512 << 20)  # type: ignore[arg-type]
    assert (check, why in said_why) == (NOT_CHECKED, True)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"x" * 4096)
    assert "does not begin as an SQLite 3 database does" in examined(tmp_path / "a.db")["error"]


def test_questions_are_answered_in_turn_whatever_the_names(tmp_path: Path) -> None:
    filled(tmp_path / "a\udcff\n.db")
    question = {"path": str(tmp_path / "a\udcff\n.db"), "live": False, "seconds": 9.0, "memory": 1 << 29, "wait": 0.0}
    answers = io.StringIO()
    examination.serve(io.StringIO(2 * (json.dumps(question) + "\n")), answers)
    assert [json.loads(line)["tables"] for line in answers.getvalue().splitlines()] == [{"t": 3}] * 2


def test_nothing_is_written(tmp_path: Path) -> None:
    with closing(sqlite3.connect(filled(tmp_path / "a.db"))) as live:
        live.execute("PRAGMA journal_mode = WAL")
    before = [(one.name, one.stat().st_mtime_ns) for one in (tmp_path, *tmp_path.iterdir())]
    examined(tmp_path / "a.db")
    assert [(one.name, one.stat().st_mtime_ns) for one in (tmp_path, *tmp_path.iterdir())] == before
