# SPDX-License-Identifier: GPL-3.0-or-later
"""What the indexes of a directory name is known after one look at each."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.references import References
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import SET_ID, publish_shared

LATER = "20260201-020000"


@pytest.fixture
def sets(tmp_path: Path) -> Sets:
    sets = Sets(str(tmp_path / "backups"), "shop")
    publish_shared(sets, SET_ID, "one", "two", "one")
    publish_shared(sets, LATER, "two", "three!")
    return sets


def bits(sets: Sets, references: References) -> tuple[int, int]:
    earlier, later = (os.path.join(sets.directory, f"db-{set_id}.index") for set_id in (SET_ID, LATER))
    return references.bit(earlier), references.bit(later)


def chunk(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def test_each_chunk_is_known_by_who_names_it(sets: Sets) -> None:
    references = References()
    earlier, later = bits(sets, references)
    assert references.unused(sets.chunks, earlier | later) == ([], 0)
    assert references.unused(sets.chunks, earlier) == ([chunk("three!")], 6)
    assert references.unused(sets.chunks, later) == ([chunk("one")], 3)
    assert sorted(references.unused(sets.chunks, 0)[0]) == sorted(map(chunk, ("one", "two", "three!")))


def test_what_is_wrong_with_a_chunk_is_told_of_all_who_name_it(sets: Sets) -> None:
    (Path(sets.chunks) / chunk("two")).write_text("2")
    (Path(sets.chunks) / chunk("one")).unlink()
    references = References()
    earlier, later = bits(sets, references)
    assert references.wrong(later) == [f"the chunk {chunk('two')} has 1 bytes, and 3 are right"]
    assert [why.split()[2] for why in references.wrong(earlier)] == [chunk("one"), chunk("two")]


def test_an_index_is_read_once_also_when_it_is_damaged(sets: Sets, files_opened: list[str]) -> None:
    (Path(sets.directory) / f"db-{LATER}.index").write_bytes(b"\xff\n")
    references = References()
    files_opened.clear()
    assert [bool(bit) for _turn in range(2) for bit in bits(sets, references)] == [True, False] * 2
    assert files_opened == [f"db-{SET_ID}.index", f"db-{LATER}.index"]


def test_another_digest_is_another_index(sets: Sets) -> None:
    """A set that is replaced by hand meanwhile is not taken for the one that was read."""
    path, references = Path(sets.directory) / f"db-{SET_ID}.index", References()
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert references.bit(str(path), "5f" * 32) == 0
    assert references.bit(str(path), right) > 0
