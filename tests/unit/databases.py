# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases that this machine's SQLite cannot check, or that cost more than they look like."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Callable, Mapping

NEWER = "group_concat(n ORDER BY n)"  # SQLite 3.44
UNKNOWN = "later(n SINCE 4)"  # no SQLite that is


def filled(path: Path, *statements: str) -> Path:
    """Make a database with a table ``t`` of three rows, from an application that knows more than this SQLite."""
    with closing(sqlite3.connect(path, isolation_level=None)) as live:
        live.create_function("slug", 1, lambda value: value, deterministic=True)
        live.create_collation("theirs", lambda a, b: (a > b) - (a < b))
        live.execute("CREATE TABLE t (n, m)")
        live.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        for statement in statements:
            live.execute(statement)
    return path


def _declared(kind: str, sql: str) -> str:
    return f"INSERT INTO sqlite_master VALUES ('{kind}', 'x', '{'t' if kind == 'trigger' else 'x'}', 0, '{sql}')"


DIES = "/bin/false"
"""Instead of ``sys.executable``: the process that examines databases ends at once, as one without memory does."""
WRITABLE = "PRAGMA writable_schema = ON"
NOT_NULL = "UPDATE sqlite_master SET sql = 'CREATE TABLE {0} (n NOT NULL)' WHERE name = '{0}'"
UNCHECKABLE: Mapping[str, Callable[[Path], Path]] = {
    "a view in newer SQL": lambda path: filled(path, WRITABLE, _declared("view", f"CREATE VIEW x AS SELECT {UNKNOWN}")),
    "a trigger in newer SQL": lambda path: filled(
        path, WRITABLE, _declared("trigger", f"CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT {UNKNOWN}; END")
    ),
    "a table in newer SQL": lambda path: filled(
        path, "CREATE TABLE y (a)", WRITABLE, "UPDATE sqlite_master SET sql = sql || ' FROZEN' WHERE name = 'y'"
    ),
    "a generated column": lambda path: filled(path, "CREATE TABLE g (n, s NOT NULL AS (slug(n)))"),
    "a partial index": lambda path: filled(path, "CREATE INDEX i ON t (n) WHERE slug(m)"),
    "an index of expressions": lambda path: filled(path, "CREATE INDEX i ON t (slug(n))"),
    "a collation": lambda path: filled(path, "CREATE TABLE c (n COLLATE theirs PRIMARY KEY)"),
    "a collation without rowid": lambda path: filled(
        path, "CREATE TABLE c (n COLLATE theirs PRIMARY KEY) WITHOUT ROWID"
    ),
}
"""What keeps this SQLite from checking a database, by name."""


def nameless(path: Path) -> Path:
    """Make a database with a table ``t`` of three rows, and one whose name is not UTF-8 and whose row breaks a rule."""
    filled(path, "CREATE TABLE tttt (n)", "INSERT INTO tttt VALUES (NULL)", WRITABLE, NOT_NULL.format("tttt"))
    path.write_bytes(path.read_bytes().replace(b"tttt", b"ttt\xff"))
    return path


def unspeakable(path: Path) -> Path:
    """Make a database with a view that this SQLite does not understand, and says so with a name that is not UTF-8."""
    filled(
        path,
        WRITABLE,
        _declared("view", f"CREATE VIEW x AS SELECT {UNKNOWN}"),
        "UPDATE sqlite_master SET name = 'vvvv' WHERE type = 'view'",
    )
    path.write_bytes(path.read_bytes().replace(b"vvvv", b"vvv\xff"))
    return path


def long_winded(path: Path) -> Path:
    """Make a database in whose damage a name of a million letters is repeated, once for each row."""
    index = "i" * 1_000_000
    moved = f"UPDATE sqlite_master SET tbl_name = 't', sql = 'CREATE INDEX {index} ON t (n)' WHERE type = 'index'"
    return filled(path, "CREATE TABLE u (n)", f"CREATE INDEX {index} ON u (n)", WRITABLE, moved)


def far(root: Path, length: int) -> Path:
    """Make a database with a table ``t`` of three rows at a path of so many bytes."""
    left = length - len(os.fsencode(root))
    path = root.joinpath("d" * 200, "d" * (left - 402), "x" * 196 + ".db")
    path.parent.mkdir(parents=True)
    filled(root / "to-move.db").rename(path)
    return path


def costly(path: Path) -> Path:
    """Make a database of a few pages whose check builds a string of 16 million characters for each of 2000 rows."""
    with closing(sqlite3.connect(path)) as live:
        live.execute("CREATE TABLE t (n, g NOT NULL AS (n))")
        live.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(2000)])
        live.execute(WRITABLE)
        live.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE t (n, g NOT NULL AS (hex(zeroblob(8000000 + n))))'")
        live.commit()
    return path


def overwritten(path: Path, page: int = 2) -> Path:
    """Overwrite a page, as a bad disk does; page 2 begins the table ``t``."""
    data = bytearray(path.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = b"\xaa" * 4096
    path.write_bytes(data)
    return path
