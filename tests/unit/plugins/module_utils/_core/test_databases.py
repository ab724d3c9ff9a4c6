# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.databases import (
    DAMAGED,
    NOT_CHECKED,
    SOUND,
    belongs,
    brief,
    comparable,
    holds_changes,
    is_finding,
    is_own,
    judged,
    looks_random,
    other_rows,
    stops,
    tally,
    unable,
)

WAL = b"\x37\x7f\x06\x82" + bytes(28)
JOURNAL = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(24)


@pytest.mark.parametrize(
    ("archive", "path", "database", "own"),
    [
        ("db", "payload.db", "", True),
        ("db", "tenants/1.db", "db/payload.db", True),
        ("media", "phone.db", "", False),
        ("media", "phone.db", "db/phone.db", False),
        ("media", "data/payload.db", "media/data/payload.db", True),
    ],
)
def test_the_application_owns_the_first_volume_and_what_its_uri_names(
    archive: str, path: str, database: str, own: bool
) -> None:
    assert is_own(archive, path, "db", database) == own


def test_only_an_own_database_that_is_damaged_stops_a_backup() -> None:
    stopped = [(own, check) for own in (True, False) for check in (SOUND, DAMAGED, NOT_CHECKED) if stops(own, check)]
    assert stopped == [(True, DAMAGED)]


@pytest.mark.parametrize(
    ("name", "start", "part"),
    [
        ("a.db-wal", b"", True),
        ("a.db-wal", WAL, True),
        ("a.db-wal", b"\x37\x7f\x06\x83", True),
        ("a.db-wal", b"a letter", False),
        ("a.db-shm", b"\x18\xe2\x2d\0", True),
        ("a.db-journal", b"", True),
        ("a.db-journal", bytes(28), True),
        ("a.db-journal", bytes(12) + b"\xd7\xcd\x0a\xba", True),  # under way, and not flushed yet
        ("a.db-journal", JOURNAL, True),
        ("a.db-journal", b"Monday: rain", False),
        ("a.db-journal", WAL, False),
    ],
)
def test_a_sidecar_is_what_sqlite_takes_for_one(name: str, start: bytes, part: bool) -> None:
    assert belongs(name, start) == part


def test_what_sqlite_has_written() -> None:
    assert [holds_changes(start) for start in (WAL, JOURNAL, b"", bytes(8), b"text")] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("start", "noise"),
    [
        (os.urandom(4096), True),
        (os.urandom(1000), False),
        (bytes(4096), False),
        (b"Lorem ipsum dolor sit amet, consectetur " * 103, False),
        (zlib.compress(os.urandom(9000))[:100] + bytes(4000), False),
    ],
    ids=["noise", "too short to tell", "zeros", "text", "mostly zeros"],
)
def test_noise_is_told_from_other_content(start: bytes, noise: bool) -> None:
    assert looks_random(start[:4096]) == noise


@pytest.mark.parametrize(
    ("lines", "check", "why"),
    [
        (["ok"], SOUND, ""),
        (["Page 3: btreeInitPage() returns error code 11"], DAMAGED, "Page 3: btreeInitPage() returns error code 11"),
        (["row 1 missing from index i", "NULL value in t.a"], DAMAGED, "row 1 missing from index i"),
        (
            ["unable to validate the inverted index for FTS5 table main.f: no such tokenizer: words"],
            NOT_CHECKED,
            "unable to validate the inverted index for FTS5 table main.f: no such tokenizer: words",
        ),
        (
            ["NULL value in t.a", "CHECK constraint failed in t"],
            SOUND,
            "some rows break rules of their tables: NULL value in t.a; CHECK constraint failed in t",
        ),
    ],
)
def test_what_a_check_says(lines: list[str], check: str, why: str) -> None:
    assert judged(lines) == (check, why)


def test_what_was_found_is_cut_to_what_people_read() -> None:
    assert brief("row 1 missing from index i; wrong # of entries") == "row 1 missing from index i; wrong # of entries"
    assert brief("x" * 300 + "; y") == "x" * 300 + "; y"
    assert brief("x" * 301 + "; y") == "x" * 300 + "…; y"
    assert brief("; ".join(["x" * 1000] * 10)) == "; ".join(["x" * 300 + "…"] * 10)[:2000] + "…"


@pytest.mark.parametrize(
    ("error", "finding"),
    [
        ("database disk image is malformed", True),
        ("file is not a database", True),
        ('malformed database schema (v) - near "ORDER": syntax error', False),
        ("unknown function: slug()", False),
        ("no such collation sequence: theirs", False),
        ("no such module: vec0", False),
        ("out of memory", False),
        ("interrupted", False),
        ("database is locked", False),
        ("unsupported file format", False),
    ],
)
def test_what_sqlite_finds_is_told_from_what_it_cannot_do(error: str, finding: bool) -> None:
    assert is_finding(error) == finding


def test_why_it_could_not_be_checked() -> None:
    assert unable("unknown function: slug()", 3040001, 3051003) == (
        "SQLite 3.40.1 of this host says: unknown function: slug(); SQLite 3.51.3 last wrote it"
    )
    assert unable("x", 3040001, 0).endswith("; which SQLite last wrote it is not known")


@dataclass(frozen=True)
class Tables:
    tables: Mapping[str, int]
    uncounted: tuple[str, ...] = ()
    schema: str = "5f"


def test_rows_that_were_not_counted_say_nothing() -> None:
    recorded = Tables({"a": 1, "b": 2, "c": 3}, ("d",))
    assert other_rows(recorded, recorded) == ()
    assert other_rows(recorded, Tables({"a": 1, "b": 3})) == ("b", "c")
    assert other_rows(recorded, Tables({"a": 1, "d": 3}, ("b", "c"))) == ()
    nothing = Tables({}, schema="")
    assert other_rows(recorded, nothing) == other_rows(nothing, recorded) == ()
    assert other_rows(recorded, Tables({})) == ("a", "b", "c")


def test_what_can_be_compared() -> None:
    assert comparable(Tables({"a": 1, "b": 2}, ("c",)), Tables({"a": 3, "c": 4}, ("b",))) == ({"a": 1}, {"a": 3})


@pytest.mark.parametrize(
    ("checks", "sentence"),
    [
        ([], "0 databases"),
        ([SOUND], "1 database sound"),
        ([NOT_CHECKED, SOUND, SOUND], "2 databases sound, 1 not checked"),
        ([NOT_CHECKED], "1 database not checked"),
        ([DAMAGED, NOT_CHECKED, DAMAGED], "2 databases damaged, 1 not checked"),
    ],
)
def test_how_many_are_what(checks: list[str], sentence: str) -> None:
    assert tally(checks) == sentence
