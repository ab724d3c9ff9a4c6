# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive is read alike from one file and from shared chunks, and each byte of the latter is proved."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Optional, Set

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.archive_index import (
    Chunk,
    Index,
    Run,
    write,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.tar_members import Damaged
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.packed import CHUNKS, Source, missing, opened

PARTS = [b"one", b"two" * 1000, b"one", b"three"]


def chunk(data: bytes) -> Chunk:
    return Chunk(hashlib.sha256(data).hexdigest(), len(data), 2 * len(data))


@pytest.fixture(name="index")
def an_index(tmp_path: Path) -> Path:
    """An archive of shared chunks."""
    path = tmp_path / "media-20260131-020000.index"
    path.write_text(write(Index("gzip", (Run("", 1, 1, tuple(map(chunk, PARTS))),))))
    (tmp_path / CHUNKS).mkdir()
    for part in PARTS:
        (tmp_path / CHUNKS / chunk(part).sha256).write_bytes(part)
    return path


def whole(path: Path, proven: Optional[Set[str]] = None) -> tuple[bytes, str]:
    def read(source: Source) -> bytes:
        return b"".join(iter(lambda: source.read(700), b""))

    with opened(str(path), proven) as source:
        data = read(source)
        return data, source.sha256


def test_shared_chunks_are_read_as_one(index: Path) -> None:
    data, sha256 = whole(index)
    assert data == b"".join(PARTS)
    assert sha256 == hashlib.sha256(index.read_bytes()).hexdigest()


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "media-20260131-020000.tar.gz").write_bytes(b"".join(PARTS))
    data, sha256 = whole(tmp_path / "media-20260131-020000.tar.gz")
    assert (data, sha256) == (b"".join(PARTS), hashlib.sha256(data).hexdigest())


def test_what_was_proved_is_passed_over(index: Path) -> None:
    proven: set[str] = set()
    assert whole(index, proven)[0] == b"".join(PARTS[:2]) + PARTS[3]  # the third is the first
    assert proven == {chunk(part).sha256 for part in PARTS}
    assert whole(index, proven)[0] == b""


@pytest.mark.parametrize("proven", [None, set()])
def test_a_chunk_that_is_damaged_or_gone_is_told(index: Path, proven: Optional[Set[str]]) -> None:
    path = index.parent / CHUNKS / chunk(PARTS[1]).sha256
    for altered in (b"twx" + PARTS[1][3:], PARTS[1][:-1], PARTS[1] + b"x"):
        path.write_bytes(altered)
        with pytest.raises(Damaged, match=f"The chunk {path}, which sets share, is not what was written"):
            whole(index, proven)
    path.unlink()
    with pytest.raises(Damaged, match=f"The chunk {path}, which sets share, is missing"):
        whole(index, proven)


def test_a_link_in_place_of_a_chunk_is_not_followed(index: Path, tmp_path: Path) -> None:
    path = index.parent / CHUNKS / chunk(PARTS[1]).sha256
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="it is a symbolic link"):
        whole(index)


def test_what_is_no_index_is_damaged(index: Path) -> None:
    index.write_bytes(b"\xff{")
    with pytest.raises(Damaged, match="This is not the index of an archive"):
        whole(index)


def test_an_index_of_any_size_is_not_read(index: Path) -> None:
    with index.open("r+b") as file:
        file.truncate((256 << 20) + 1)
    with pytest.raises(Damaged, match="has 268435457 bytes, and 268435456 are the most"):
        whole(index)


def test_what_is_wrong_at_a_glance(index: Path) -> None:
    folder, chunks = index.parent / CHUNKS, [chunk(part) for part in PARTS[:2] + PARTS[3:]]
    assert [*missing(str(folder), chunks)] == []
    (folder / chunks[0].sha256).write_bytes(b"1")
    (folder / chunks[2].sha256).unlink()
    assert [*missing(str(folder), chunks)] == [
        f"the chunk {chunks[0].sha256} has 1 bytes, and 3 are right",
        f"the chunk {chunks[2].sha256} cannot be found: No such file or directory",
    ]
