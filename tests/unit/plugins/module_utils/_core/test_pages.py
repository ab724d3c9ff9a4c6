# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of real databases: whole ones have no finding, and what an overwritten page hides is found.

The witness is SQLite's own check, which the schema of these databases does not keep from working.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.pages import Pages, look

SIZES = (512, 1024, 4096, 65536)
VACUUM = ("NONE", "FULL")


def looked(data: bytes) -> Pages:
    return look(lambda offset, length: data[offset : offset + length], len(data))


def made(path: Path, size: int = 1024, vacuum: str = "NONE", encoding: str = "UTF-8") -> bytes:
    """Return a database with long and short rows, free pages, indexes and a schema that fills more than its page."""
    chance = random.Random(size)
    with closing(sqlite3.connect(path, isolation_level=None)) as live:
        for pragma in (f"page_size = {size}", f"auto_vacuum = {vacuum}", f"encoding = '{encoding}'"):
            live.execute(f"PRAGMA {pragma}")
        live.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b, c)")
        live.execute("CREATE INDEX i ON t (b)")
        live.execute("CREATE TABLE w (k PRIMARY KEY, v) WITHOUT ROWID")
        live.execute("CREATE TABLE gone (x)")
        live.execute(f"CREATE VIEW v AS SELECT '{'x' * 3 * size}'")
        live.execute("BEGIN")
        for number in range(300):
            short, long = chance.choice((1, 90, 300)), chance.choice((0, 10, 500, 3000))
            rowid = number + 1000 * 10 ** (number % 16)
            live.execute("INSERT INTO t VALUES (?, ?, ?)", (rowid, "b" * short, bytes(long)))
            live.execute("INSERT INTO w VALUES (?, ?)", (f"{number}{'k' * short}", bytes(long)))
            live.execute("INSERT INTO gone VALUES (?)", (bytes(long),))
        live.execute("COMMIT")
        live.execute("DROP TABLE gone")
    return path.read_bytes()


@pytest.mark.parametrize("vacuum", VACUUM)
@pytest.mark.parametrize("size", SIZES)
def test_whole_pages_have_no_finding_and_tell_the_rows(tmp_path: Path, size: int, vacuum: str) -> None:
    found = looked(made(tmp_path / "a.db", size, vacuum))
    with closing(sqlite3.connect(tmp_path / "a.db")) as live:
        (rows,) = live.execute("SELECT count(*) FROM t").fetchone()
    assert (found.findings, dict(found.rows)) == ((), {"t": rows, "w": 300})


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_names_of_tables_in_each_encoding(tmp_path: Path, encoding: str) -> None:
    assert set(looked(made(tmp_path / "a.db", encoding=encoding)).rows) == {"t", "w"}


@pytest.mark.parametrize("vacuum", VACUUM)
@pytest.mark.parametrize("size", SIZES[:3])
def test_what_sqlite_finds_in_overwritten_pages_is_found(tmp_path: Path, size: int, vacuum: str) -> None:
    whole, chance = made(tmp_path / "a.db", size, vacuum), random.Random(1)
    missed = found = 0
    for _turn in range(25):
        page = chance.randrange(len(whole) // size)
        start = page * size + (100 if page == 0 else 0)
        with_ = chance.choice((b"\xaa" * size, bytes(size), chance.getrandbits(8 * size).to_bytes(size, "big")))
        data = whole[:start] + with_[start - page * size :] + whole[(page + 1) * size :]
        (tmp_path / "b.db").write_bytes(data)
        theirs, ours = said_by_sqlite(tmp_path / "b.db"), looked(data).findings
        assert not (ours and theirs == ["ok"]), (page, ours)
        found += theirs != ["ok"]
        missed += theirs != ["ok"] and not ours
    assert found > 8
    assert missed <= found // 8  # the pages that say who points to a page, which only SQLite's own way back needs


def said_by_sqlite(path: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as live:
        try:
            return [line for (line,) in live.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            return [str(error)]


def put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def free_list(data: bytes) -> int:
    return (int.from_bytes(data[32:36], "big") - 1) * 1024


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda data: put(data, 16, b"\0\7"), "impossible size of pages"),
        (lambda data: put(data, 20, b"\xff"), ""),
        (lambda data: data[:-1024], "the file ends after"),
        (lambda data: put(data[:-1024], 92, b"\0\0\0\0"), "it leads to page"),
        (lambda data: put(data, 36, b"\0\0\0\1"), "and the header says 1"),
        (lambda data: put(data, free_list(data) + 4, b"\xff\0\0\0"), "a page of it names"),
        (lambda data: put(data, free_list(data) + 8, b"\0\0\0\1"), "page 1 is reached twice"),
        (lambda data: put(data, 32, bytes(8)), "pages that nothing leads to"),
        (lambda data: put(data, 1024, b"\7"), "page 2 is no page of it"),
        (lambda data: put(data, 1024 + 5, b"\0\1"), "the header of page 2 makes no sense"),
        (lambda data: put(data, 1024 + 3, b"\xff\xff"), "the header of page 2 makes no sense"),
        (lambda data: put(data, 1024 + 12, b"\0\1"), "page 2 has entries outside its content"),
        (lambda data: put(data, 1024 + 12, b"\x03\xff"), "page 2 has entries outside its content"),
        (lambda data: put(data, 1024 + 8, b"\0\0\0\1"), "page 1 is reached twice"),
    ],
)
def test_each_finding_is_named(tmp_path: Path, change: Callable[[bytes], bytes], finding: str) -> None:
    assert finding in "; ".join(looked(change(made(tmp_path / "a.db"))).findings)


def entry_of_w(data: bytes) -> int:
    """Return where the entry of w in the schema begins, in its payload: the length of its header and types follow."""
    return data.index(b"\x07\x17\x0f\x0f\x01")


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda data, at: put(data, at, b"\x7f"), "the schema: an entry makes no sense"),
        (lambda data, at: put(data, at, b"\x07" + b"\xff" * 9), ""),
        (lambda data, at: put(data, at - 2, b"\xff" * 9), "an entry that goes beyond it"),
        (lambda data, at: put(data, at - 2, b"\x87\x0f"), "an entry that goes beyond it"),
        (lambda data, at: put(data, at - 2, b"\x04"), "the schema: an entry makes no sense"),
    ],
)
def test_a_schema_that_makes_no_sense(tmp_path: Path, change: Callable[[bytes, int], bytes], finding: str) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as live:
        live.execute("PRAGMA page_size = 1024")
        live.execute("CREATE TABLE w (k)")
    data = (tmp_path / "a.db").read_bytes()
    at = data.index(b"tablew") - 6
    assert data[at : at + 1] == b"\x06"
    assert finding in "; ".join(looked(change(data, at)).findings)


def test_a_chain_of_pages_that_goes_on(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as live:
        live.execute("PRAGMA page_size = 1024")
        live.execute("CREATE TABLE w (k)")
        live.execute("INSERT INTO w VALUES (zeroblob(1500))")
        live.commit()
    data = (tmp_path / "a.db").read_bytes()
    assert looked(data).findings == ()
    assert "longer than its entry" in looked(put(data, 2048, b"\0\0\0\7")).findings[0]


def test_a_file_that_becomes_shorter_meanwhile(tmp_path: Path) -> None:
    data = made(tmp_path / "a.db")
    found = look(lambda offset, length: data[: len(data) // 2][offset : offset + length], len(data))
    assert any("cannot be read" in one for one in found.findings)


def test_the_page_that_is_never_used(tmp_path: Path) -> None:
    """Of a database of more than a gibibyte, whose other pages were freed; only their numbers are checked."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as live:
        live.execute("PRAGMA page_size = 65536")
        live.execute("PRAGMA auto_vacuum = FULL")
        live.execute("CREATE TABLE w (k)")
    start = (tmp_path / "a.db").read_bytes()
    count = 0x40000000 // 65536 + 3
    start = put(start, 28, count.to_bytes(4, "big"))
    found = look(lambda offset, length: start[offset : offset + length].ljust(length, b"\0"), count * 65536)
    maps = len(range(2, count + 1, 65536 // 5 + 1))
    assert found.findings == (f"pages that nothing leads to: {count - 2 - maps - 1}, the first is page 4",)
