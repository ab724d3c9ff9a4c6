# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as a loss, from when on, for how long it stays one, and which sets stay because of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.data_loss import (
    NEXT_STEP,
    LossLimits,
    held_back,
    loss_sentences,
    lost,
    shrunk,
    unaccepted,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import IMPORTED, Archive, Manifest
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import DATABASE, archive_of, manifest_of
from hypothesis import given
from hypothesis import strategies as st

LIMITS = LossLimits()


def set_id(day: int) -> str:
    return f"202601{day:02d}-020000"


def db(day: int, **tables: int) -> Archive:
    return archive_of("db", set_id(day), databases=(replace(DATABASE, tables=tables),))


def a_set(day: int, *archives: Archive, **more: Any) -> Manifest:
    return manifest_of(set_id(day), archives=archives, **more)


def next_set(day: int, earlier: list[Manifest], *archives: Archive, accept: bool = False) -> list[Manifest]:
    """Return the sets with one more, made as a backup makes it, newest first."""
    found = lost(archives, earlier, LIMITS)
    more = a_set(day, *archives, losses=tuple(found.values()), lost_since=() if accept else tuple(found))
    return [more, *earlier]


@pytest.mark.parametrize(
    ("had", "has", "percent", "loss"),
    [
        (500, 0, 50, True),
        (500, 249, 50, True),
        (500, 250, 50, False),
        (500, 600, 50, False),
        (10, 4, 50, True),
        (9, 0, 50, False),
        (10, 9, 0, True),
        (10, 10, 0, False),
        (10, 0, 100, False),
        (1000, 874, 12.5, True),
        (1000, 875, 12.5, False),
    ],
)
def test_a_loss_is_more_than_so_many_percent_of_enough(had: int, has: int, percent: float, loss: bool) -> None:
    earlier = [a_set(1, db(1, vendors=had))]
    rows = lost([db(2, vendors=has)], earlier, LossLimits(rows=percent))
    assert rows == (
        {set_id(1): f"Gone since set {set_id(1)}: {had - has} of {had} rows of vendors in payload.db."} if loss else {}
    )
    earlier = [a_set(1, archive_of("media", set_id(1), files=had))]
    files = lost([archive_of("media", set_id(2), files=has)], earlier, LossLimits(files=percent))
    assert files == ({set_id(1): f"Gone since set {set_id(1)}: {had - has} of {had} files of media."} if loss else {})


def test_a_table_or_a_database_that_is_gone() -> None:
    earlier = [a_set(1, db(1, vendors=20, pages=30))]
    assert lost([db(2, vendors=20)], earlier, LIMITS)[set_id(1)].endswith(": 30 of 30 rows of pages in payload.db.")
    assert lost([archive_of("db", set_id(2), databases=())], earlier, LIMITS)[set_id(1)].endswith(
        ": 30 of 30 rows of pages in payload.db, 20 of 20 rows of vendors in payload.db."
    )


def test_nothing_is_claimed_where_nothing_was_counted() -> None:
    earlier = [a_set(1, db(1, vendors=20, pages=30))]
    unchecked = replace(DATABASE, check="not checked", tables={"pages": 3}, uncounted=("vendors",))
    (told_of,) = lost([archive_of("db", set_id(2), databases=(unchecked,))], earlier, LIMITS).values()
    assert told_of == f"Gone since set {set_id(1)}: 27 of 30 rows of pages in payload.db."
    partly = replace(DATABASE, tables={"pages": 30}, uncounted=("vendors",))
    assert lost([archive_of("db", set_id(2), databases=(partly,))], earlier, LIMITS) == {}
    assert lost([db(2, vendors=20)], [], LIMITS) == {}
    assert lost([db(2, vendors=20)], [a_set(1, archive_of("media", set_id(1), files=50))], LIMITS) == {}


@pytest.mark.parametrize("pattern", ["carts", "c?rt*", "payload.db", "*"])
def test_what_comes_and_goes_by_itself(pattern: str) -> None:
    earlier = [a_set(1, db(1, carts=20))]
    assert lost([db(2, carts=0)], earlier, LIMITS)
    assert lost([db(2, carts=0)], earlier, LossLimits(ignore=(pattern,))) == {}


@pytest.mark.parametrize("table", ["payload_locked_documents", "payload_locked_documents_rels", "users_sessions"])
def test_what_payload_writes_and_deletes_by_itself(table: str) -> None:
    assert lost([db(2, **{table: 0})], [a_set(1, db(1, **{table: 50}))], LIMITS) == {}


def test_what_a_replica_keeps_does_not_count() -> None:
    earlier = [a_set(1, archive_of("db", set_id(1), files=65, replica_files=64))]
    assert lost([archive_of("db", set_id(2), files=3, replica_files=2)], earlier, LIMITS) == {}


def test_an_adopted_set_is_no_base_and_neither_is_one_without_the_archive() -> None:
    full = a_set(1, db(1, vendors=500), archive_of("media", set_id(1), files=40))
    imported = a_set(2, db(2, vendors=1), consistency=IMPORTED)
    alone = a_set(3, db(3, vendors=400))
    now = [db(4, vendors=390), archive_of("media", set_id(4), files=2)]
    assert lost(now, [alone, imported, full], LIMITS) == {
        set_id(1): f"Gone since set {set_id(1)}: 38 of 40 files of media."
    }
    assert list(lost([db(4, vendors=1)], [imported, full], LIMITS)) == [set_id(1)]


def test_a_loss_stays_one_until_the_rows_are_back() -> None:
    """The second empty set is compared with an empty one, and the full one must not go for that."""
    sets = [a_set(1, db(1, vendors=500))]
    for day in (2, 3, 4):
        sets = next_set(day, sets, db(day, vendors=0))
        assert sets[0].lost_since == (set_id(1),)
        assert list(held_back(sets)) == [set_id(1)]
        assert unaccepted(sets) == [sets[0]]
    sets = next_set(5, sets, db(5, vendors=500))
    assert (sets[0].losses, sets[0].lost_since, held_back(sets), unaccepted(sets)) == ((), (), {}, [])


def test_a_loss_is_accepted_by_one_set_for_all() -> None:
    sets = next_set(2, [a_set(1, db(1, vendors=500))], db(2, vendors=0))
    sets = next_set(3, sets, db(3, vendors=0), accept=True)
    assert sets[0].losses == (f"Gone since set {set_id(1)}: 500 of 500 rows of vendors in payload.db.",)
    assert loss_sentences(sets[0]) == [*sets[0].losses, "That was accepted."]
    assert held_back(sets) == {}
    sets = next_set(4, sets, db(4, vendors=0))
    assert (loss_sentences(sets[0]), held_back(sets)) == ([], {})


def test_one_loss_after_another_holds_each_last_set() -> None:
    sets = next_set(2, [a_set(1, db(1, vendors=1000))], db(2, vendors=400))
    sets = next_set(3, sets, db(3, vendors=100))
    assert sets[0].lost_since == (set_id(1), set_id(2))
    assert loss_sentences(sets[0]) == [
        f"Gone since set {set_id(1)}: 900 of 1000 rows of vendors in payload.db.",
        f"Gone since set {set_id(2)}: 300 of 400 rows of vendors in payload.db.",
        f"Sets {set_id(1)}, {set_id(2)} stay until this is fixed or accepted: {NEXT_STEP}",
    ]
    assert held_back(sets) == dict.fromkeys(
        (set_id(1), set_id(2)), f"the last before a loss that set {set_id(3)} tells of"
    )


def test_a_set_that_was_removed_is_no_base_any_more() -> None:
    sets = next_set(2, [a_set(1, db(1, vendors=500))], db(2, vendors=0))
    assert lost([db(3, vendors=0)], sets[:1], LIMITS) == {}


def test_the_last_set_of_each_archive_speaks_for_it() -> None:
    full = a_set(1, db(1, vendors=500), archive_of("media", set_id(1), files=40))
    without = next_set(2, [full], db(2, vendors=500), archive_of("media", set_id(2), files=0))
    sets = next_set(3, without, db(3, vendors=500))
    assert list(held_back(sets)) == [set_id(1)]
    imported = a_set(4, archive_of("media", set_id(4)), consistency=IMPORTED)
    assert list(held_back([imported, *sets])) == [set_id(1)]
    assert held_back(next_set(4, sets, archive_of("media", set_id(4), files=0), accept=True)) == {}


def test_what_a_set_tells() -> None:
    (one, _unused) = next_set(2, [a_set(1, db(1, vendors=500))], db(2, vendors=0))
    assert loss_sentences(one) == [
        f"Gone since set {set_id(1)}: 500 of 500 rows of vendors in payload.db.",
        f"Set {set_id(1)} stays until this is fixed or accepted: {NEXT_STEP}",
    ]
    assert loss_sentences(a_set(1)) == []


def test_tables_that_shrank() -> None:
    before = {"v/a.db": {"pages": 12, "pages_tags": 40, "carts": 3, "one": 1}, "v/b.db": {"x": 2}}
    after = {"v/a.db": {"pages": 12, "pages_tags": 0, "new": 1}}
    assert shrunk(before, after, ("carts",)) == [
        "1 of 1 row of one",
        "40 of 40 rows of pages_tags",
        "2 of 2 rows of x",
    ]
    assert shrunk(before, before, ()) == []


TABLES = st.dictionaries(st.sampled_from("abc"), st.integers(0, 99))


@given(before=TABLES, after=TABLES)
def test_a_loss_is_told_where_rows_went_and_nowhere_else(before: dict[str, int], after: dict[str, int]) -> None:
    gone = {table for table, had in before.items() if after.get(table, 0) < had}
    assert len(shrunk({"d": before}, {"d": after}, ())) == len(gone)
    found = lost([db(2, **after)], [a_set(1, db(1, **before))], LossLimits(rows=0, ignore=()))
    assert bool(found) == any(before[table] >= 10 for table in gone)
    assert lost([db(2, **before)], [a_set(1, db(1, **before))], LossLimits(rows=0, files=0, ignore=())) == {}
