# SPDX-License-Identifier: GPL-3.0-or-later
"""An index is read back as it was written, and a new file moves few borders of runs."""

from __future__ import annotations

import json
import random
from typing import Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.archive_index import (
    CHUNK,
    LARGE,
    Chunk,
    Index,
    Run,
    RunLength,
    parse,
    references,
    write,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError

DIGEST = "5f" * 32
INDEX = Index(
    "zstd",
    (
        Run("", 0, 1, (Chunk(DIGEST, 60, 1024),)),
        Run("ab12", 2, 3, (Chunk("a" * 64, 5, 6), Chunk(DIGEST, 60, 1024))),
        Run("cd34", 0, 0, ()),
    ),
)


def test_an_index_is_read_back() -> None:
    assert parse(write(INDEX)) == INDEX
    assert parse(write(Index("none", ()))) == Index("none", ())


def test_what_is_in_it() -> None:
    assert [chunk.bytes for chunk in INDEX.chunks] == [60, 5, 60]
    assert list(INDEX.by_key) == ["ab12", "cd34"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"format": 2, "compression": "gzip", "runs": []}',
        '{"format": 1, "compression": "gzip", "runs": [["", 0]]}',
        '{"format": 1, "compression": "gzip", "runs": [["", 0, 0, [["../../etc/passwd", 1, 1]]]]}',
        '{"format": 1, "compression": "gzip", "runs": [["", 0, 0, [[5, 1, 1]]]]}',
        '{"format": 1, "compression": "gzip", "runs": [["", 0, 0, [["' + DIGEST + '", 1.5, 1]]]]}',
        '{"format": 1, "compression": "gzip", "runs": [["", 0, 0, [["' + DIGEST + '", 4611686018427387904, 1]]]]}',
        '{"format": 1, "compression": "gzip", "runs": [["", 0, 0, [["' + DIGEST + '", 1, 1048577]]]]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_index_is_refused(text: str) -> None:
    with pytest.raises(DockerVpsError, match=r"This is not the index of an archive: .*Make a new backup\."):
        parse(text)


def test_chunks_are_found_without_reading_all() -> None:
    assert list(references(write(INDEX))) == list(INDEX.chunks)


def test_a_line_is_a_run() -> None:
    assert len(write(INDEX).splitlines()) == 1 + len(INDEX.runs) + 1
    assert json.loads(write(INDEX))["runs"][1][0] == "ab12"


def runs(files: Sequence[tuple[bytes, int]]) -> list[tuple[tuple[bytes, int], ...]]:
    length, found, run = RunLength(), [], []
    for name, size in files:
        if run and length.stands_alone(size):
            found.append(tuple(run))
            run = []
            length.begin()
        run.append((name, size))
        if length.ends_after(name, size):
            found.append(tuple(run))
            run = []
    return [*found, tuple(run)] if run else found


def test_a_large_file_is_a_run_of_its_own() -> None:
    assert runs([(b"a", 1), (b"b", LARGE), (b"c", 1), (b"d", LARGE - 1)]) == [
        ((b"a", 1),),
        ((b"b", LARGE),),
        ((b"c", 1), (b"d", LARGE - 1)),
    ]


@pytest.mark.parametrize("largest", [100, 20_000, 200_000])
def test_a_new_file_moves_few_borders(largest: int) -> None:
    by = random.Random(largest)
    files = [(b"%06d.jpg" % number, by.randrange(largest)) for number in range(20_000)]
    before = runs(files)
    assert all(sum(size + 2048 for _name, size in run) < 2 * CHUNK for run in before)
    place = by.randrange(1000)
    after = runs([*files[:place], (b"%06d new" % (place - 1), 50), *files[place:]])
    assert len(set(after) - set(before)) <= 6
    assert len(before) > 20
