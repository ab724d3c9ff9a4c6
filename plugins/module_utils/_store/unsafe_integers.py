# SPDX-License-Identifier: GPL-3.0-or-later
"""Find numbers in a sound database that an application in JavaScript cannot read, which no count of rows notices."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Iterable, List

from .._core.text import listed
from .sqlite import FAILURES, quoted

LARGEST = 2**53 - 1  # Number.MAX_SAFE_INTEGER: libsql, for one, throws for a row with a larger one
_NAMED = 5
# Columns of these types turn whole numbers into something else: https://sqlite.org/datatype3.html#determination_of_column_affinity
_NEVER_WHOLE = ("CHAR", "CLOB", "TEXT", "REAL", "FLOA", "DOUB")


def unreadable(connection: sqlite3.Connection, tables: Iterable[str]) -> str:
    """Return which columns have such numbers, as the end of a sentence; nothing when there are none.

    Each row of the tables is read once. What cannot be read is passed over, and so is the rest when the connection's
    progress handler says that it is enough.
    """
    columns = [column for table in tables for column in _columns(connection, table)]
    if not columns:
        return ""
    return (
        f"{listed(columns, _NAMED)} {'has' if len(columns) == 1 else 'have'} whole numbers beyond 2^53 - 1, "
        "which an application in JavaScript cannot read"
    )


def _columns(connection: sqlite3.Connection, table: str) -> List[str]:
    with contextlib.suppress(*FAILURES):
        columns = connection.execute("SELECT name, upper(type) FROM pragma_table_info(?)", (table,)).fetchall()
        beyond = {
            name: _beyond(name)
            for name, kind in columns
            if "INT" in kind or not any(part in kind for part in _NEVER_WHOLE)
        }
        source = f"FROM {quoted(table)}"
        # Most tables have none, and one question for all columns is quick.
        if beyond and connection.execute(f"SELECT 1 {source} WHERE {' OR '.join(beyond.values())} LIMIT 1").fetchone():
            found = connection.execute(
                f"SELECT {', '.join(f'max({condition})' for condition in beyond.values())} {source}"
            )
            return [f"{table}.{name}" for name, is_beyond in zip(beyond, found.fetchone()) if is_beyond]
    return []


def _beyond(column: str) -> str:
    name = quoted(column)
    return f"({name} NOT BETWEEN {-LARGEST} AND {LARGEST} AND typeof({name}) = 'integer')"
