# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that an application in JavaScript cannot read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.unsafe_integers import unreadable

END = "whole numbers beyond 2^53 - 1, which an application in JavaScript cannot read"


def tables(database: sqlite3.Connection) -> list[str]:
    return [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE TABLE%'")]


def finding(*statements: str, value: Any = 0) -> str:
    with closing(sqlite3.connect(":memory:")) as database:
        for statement in statements:
            database.execute(statement, (value,) if "?" in statement else ())
        return unreadable(database, tables(database))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (2**53 - 1, False),
        (2**53, True),
        (-(2**53) + 1, False),
        (-(2**53), True),
        (2**63 - 1, True),
        (-(2**63), True),
        (1e300, False),
        (9007199254740993.5, False),
        ("9007199254740993", False),
        (b"\xff" * 9, False),
        (None, False),
    ],
)
def test_whole_numbers_only(value: Any, found: bool) -> None:
    table = "CREATE TABLE vendors (id INTEGER PRIMARY KEY, anything)"
    rows = (
        "INSERT INTO vendors VALUES (1, 7)",
        "INSERT INTO vendors VALUES (2, ?)",
        "INSERT INTO vendors VALUES (3, 0)",
    )
    assert finding(table, *rows, value=value) == (f"vendors.anything has {END}" if found else "")


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("numeric", True),
        ("INTEGER", True),
        ("bigint", True),
        ("charint", True),
        ("varchar(9)", False),
        ("TEXT", False),
        ("double", False),
    ],
)
def test_what_a_column_makes_of_a_number(kind: str, found: bool) -> None:
    assert bool(finding(f"CREATE TABLE t (a {kind})", "INSERT INTO t VALUES (9007199254740993)")) is found


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        ((), ""),
        (("CREATE TABLE empty (a)",), ""),
        (('CREATE TABLE "a ""b""" ("c "" d")', f'INSERT INTO "a ""b""" VALUES ({2**60})'), 'a "b".c " d has'),
        (("CREATE TABLE k (a TEXT PRIMARY KEY, b) WITHOUT ROWID", f"INSERT INTO k VALUES ('x', {2**60})"), "k.b has"),
        (("CREATE TABLE g (a, b AS (a * 2))", f"INSERT INTO g(a) VALUES ({2**52})"), ""),
        (("CREATE TABLE i (id INTEGER PRIMARY KEY)", f"INSERT INTO i VALUES ({2**60})"), "i.id has"),
        (("CREATE TABLE w (a, b, c)", f"INSERT INTO w VALUES ({2**60}, 1, {-(2**60)})"), "w.a, w.c have"),
        (
            ("CREATE TABLE m (a, b, c, d, e, f, g)", f"INSERT INTO m VALUES ({','.join([str(2**60)] * 7)})"),
            "m.a, m.b, m.c, m.d, m.e and 2 more have",
        ),
    ],
)
def test_columns_are_named(statements: Sequence[str], named: str) -> None:
    assert finding(*statements) == (f"{named} {END}" if named else "")


def test_a_table_whose_name_is_no_text_hides_no_other() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE b (n)")
        database.execute("INSERT INTO b VALUES (?)", (2**60,))
        assert unreadable(database, ["a\udcff", "b"]) == f"b.n has {END}"


def test_a_table_that_is_gone_hides_no_other() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE b (n)")
        database.execute("INSERT INTO b VALUES (?)", (2**60,))
        assert unreadable(database, ["a", "b"]) == f"b.n has {END}"


def test_a_limit_ends_it_without_an_error() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE a (n)")
        database.execute("INSERT INTO a VALUES (?)", (2**60,))
        database.set_progress_handler(lambda: True, 1)
        assert unreadable(database, ["a"]) == ""
