# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive is written to: one more name of the earlier file, a new file, or new chunks; see test_archive.py."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from pathlib import Path
from typing import Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.archive_index import Chunk, Index, Run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import archive_file
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.archive_file import (
    ArchiveFile,
    Chunks,
    Earlier,
    NewChunks,
    Unusable,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.compression import Packed

PARTS = [b"one", b"two", b"three"]


def packed(data: bytes, there: bool = True) -> Packed:
    return Packed(data if there else None, hashlib.sha256(data).hexdigest(), len(data), len(data))


def chunk(data: bytes) -> Chunk:
    return Chunk(hashlib.sha256(data).hexdigest(), len(data), len(data))


@pytest.fixture(name="earlier")
def an_earlier_archive(tmp_path: Path) -> Earlier:
    path = tmp_path / "earlier"
    path.write_bytes(b"".join(PARTS))
    index = Index("none", (Run("", 1, 1, tuple(map(chunk, PARTS))),))
    return Earlier(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, index)


def written(earlier: Optional[Earlier], target: Path, parts: list[Packed], follow: bool) -> ArchiveFile:
    if earlier is None:
        file = ArchiveFile(str(target), None, follow)
        for part in parts:
            file.take(part)
        file.close()
        return file
    with Chunks.of(earlier) as chunks:
        file = ArchiveFile(str(target), chunks, follow)
        for part in parts:
            file.take(part)
        file.close()
        return file


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_the_same_chunks_are_the_same_file(tmp_path: Path, earlier: Earlier, follow: bool, there: bool) -> None:
    file = written(earlier, tmp_path / "new", [packed(part, there) for part in PARTS], follow)
    assert (file.sha256, file.bytes, file.new_bytes) == (earlier.sha256, earlier.bytes, 0)
    assert (tmp_path / "new").samefile(earlier.path)


@pytest.mark.parametrize("parts", [PARTS[:2], [*PARTS, b"four"], [b"other", *PARTS[1:]], [PARTS[0], b"x", PARTS[2]]])
@pytest.mark.parametrize("follow", [True, False])
def test_other_chunks_are_another_file(tmp_path: Path, earlier: Earlier, parts: list[bytes], follow: bool) -> None:
    file = written(earlier, tmp_path / "new", [packed(part, part not in PARTS) for part in parts], follow)
    assert (tmp_path / "new").read_bytes() == b"".join(parts)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    assert file.sha256 == hashlib.sha256(b"".join(parts)).hexdigest()
    assert file.bytes == file.new_bytes == len(b"".join(parts))
    assert Path(earlier.path).read_bytes() == b"".join(PARTS)


@pytest.mark.parametrize("follow", [True, False])
def test_a_file_that_is_there_stays(tmp_path: Path, earlier: Earlier, follow: bool) -> None:
    (tmp_path / "new").write_text("precious")
    with pytest.raises(FileExistsError):
        written(earlier, tmp_path / "new", list(map(packed, PARTS)), follow)
    with pytest.raises(FileExistsError):
        written(None, tmp_path / "new", list(map(packed, PARTS)), follow=False)
    assert (tmp_path / "new").read_text() == "precious"


def test_a_chunk_that_is_another_by_now_is_not_used(tmp_path: Path, earlier: Earlier) -> None:
    Path(earlier.path).write_bytes(b"onetwOthree")
    with pytest.raises(Unusable, match="earlier is not what was written"):
        written(earlier, tmp_path / "new", [packed(b"other"), packed(b"two", there=False)], follow=True)


def test_only_new_chunks_are_written(tmp_path: Path) -> None:
    shared, folder = tmp_path / "shared", tmp_path / "folder"
    shared.mkdir()
    (shared / chunk(b"one").sha256).write_bytes(b"one")
    new = NewChunks(str(folder), str(shared), read=False)
    for part in (packed(b"one"), packed(b"two"), packed(b"two"), new.fetch(chunk(b"one"))):
        new.take(part)
    new.close()
    new.discard()
    assert [path.read_bytes() for path in folder.iterdir()] == [b"two"]
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]
    assert (new.bytes, new.new_bytes) == (12, 3)
    with pytest.raises(Unusable, match="cannot be found: No such file"):
        new.fetch(chunk(b"three"))


@pytest.mark.parametrize(("read", "found"), [(False, 0), (True, 3)])
def test_a_damaged_chunk_is_made_again_when_it_is_looked_at(tmp_path: Path, read: bool, found: int) -> None:
    (tmp_path / chunk(b"one").sha256).write_bytes(b"oNe")
    new = NewChunks(str(tmp_path / "folder"), str(tmp_path), read)
    new.take(packed(b"one"))
    new.close()
    assert new.new_bytes == found
    assert os.path.isdir(tmp_path / "folder") == bool(found)


@pytest.mark.parametrize("when", [0, 1, 2])
def test_what_the_disk_refuses_while_more_is_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    flushed: list[int] = []

    def flush(descriptor: int) -> None:
        flushed.append(descriptor)
        if len(flushed) == when + 1:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(archive_file, "_FLUSHED", 5)
    monkeypatch.setattr(os, "fdatasync", flush)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # the kernel tells of an error only once
    file = ArchiveFile(str(tmp_path / "new"), None, follow=False)
    with pytest.raises(OSError, match="Input/output error"):
        write_parts(file, flushed)
    file.discard()
    assert [*tmp_path.iterdir()] == []


def write_parts(file: ArchiveFile, flushed: list[int]) -> None:
    for number in range(3):
        file.take(packed(b"part %d" % number))
        while len(flushed) == number:
            time.sleep(0.001)
    file.close()
