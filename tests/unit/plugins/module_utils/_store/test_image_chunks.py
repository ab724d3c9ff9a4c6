# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs as chunks, and archives of them."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from pathlib import Path
from typing import Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import CHUNK, Blob, Chunk, Layout
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.image_chunks import (
    Broken,
    Chunks,
    Stream,
    archive,
    blobs_in,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_images import built, digest_of, files_of, packed_as

LARGE = b"text " * (CHUNK // 4)  # more than one chunk


@pytest.fixture
def chunks(tmp_path: Path) -> Chunks:
    made = Chunks(str(tmp_path / "images"))
    made.make()
    return made


def cut(chunks: Chunks, data: bytes) -> Blob:
    return chunks.cut(io.BytesIO(data), len(data))


@pytest.mark.parametrize(
    "data",
    [b"", b"x", LARGE, random.Random(1).getrandbits(8 * CHUNK).to_bytes(CHUNK, "big"), bytes(6 * CHUNK)],
    ids=len,
)
def test_a_blob_is_cut_and_put_together(chunks: Chunks, data: bytes) -> None:
    blob = cut(chunks, data)
    assert blob.digest == digest_of(data)
    assert (blob.size, blob.unpacked) == (len(data), len(data))
    assert len(blob.chunks) == -(-len(data) // CHUNK)
    assert b"".join(chunks.plain(blob)) == data
    assert sum(chunk.size for chunk in blob.chunks) <= len(data) * 1.001 + 100
    files = list(Path(chunks.directory).iterdir())
    assert {file.name for file in files} == {chunk.sha256 for chunk in blob.chunks}
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert Path(chunks.directory).stat().st_mode & 0o777 == 0o700


def test_text_gets_smaller(chunks: Chunks) -> None:
    assert sum(chunk.size for chunk in cut(chunks, LARGE).chunks) < len(LARGE) / 20
    assert chunks.text(cut(chunks, b"{}")) == "{}"


def test_the_size_of_what_is_packed_already(chunks: Chunks) -> None:
    assert cut(chunks, gzip.compress(LARGE)).unpacked == len(LARGE)
    assert cut(chunks, b"\x28\xb5\x2f\xfd" + bytes(96)).unpacked == 400


def test_an_archive_that_ends_too_early(chunks: Chunks) -> None:
    with pytest.raises(Broken, match="an archive that ends too early"):
        chunks.cut(io.BytesIO(b"abc"), 4)


def test_what_is_damaged_counts_as_missing(chunks: Chunks) -> None:
    first, second, third = (cut(chunks, data).chunks[0] for data in (b"one", b"two", b"three"))
    Path(chunks.path(second.sha256)).write_bytes(b"something else")
    Path(chunks.path(third.sha256)).unlink()
    assert chunks.sound([first, second, third]) == {first.sha256}
    assert not Path(chunks.path(second.sha256)).exists()


def test_what_is_damaged_is_not_put_together(chunks: Chunks) -> None:
    blob = cut(chunks, b"one")
    path = Path(chunks.path(blob.chunks[0].sha256))
    path.write_bytes(gzip.compress(b"two"))
    with pytest.raises(Broken, match=f"What was exported as {blob.digest} is something else"):
        list(chunks.plain(blob))
    for content in (b"\x1f\x8b", b"no gzip", gzip.compress(b"x")[:-9] + bytes(9)):
        path.write_bytes(content)
        with pytest.raises(Broken, match=f"A part of {blob.digest} cannot be read in"):
            list(chunks.plain(blob))
    path.unlink()
    with pytest.raises(Broken, match="No such file"):
        list(chunks.plain(blob))


def test_what_has_arrived_is_looked_at(chunks: Chunks) -> None:
    blob = cut(chunks, b"one")
    path, arrived = Path(chunks.path(blob.chunks[0].sha256)), Path(chunks.path("arrived"))
    path.rename(arrived)
    chunks.adopt(str(arrived), blob.chunks[0])
    assert path.exists()
    arrived.write_bytes(b"two")
    with pytest.raises(Broken, match="is something else. Run it again"):
        chunks.adopt(str(arrived), blob.chunks[0])
    assert not path.exists()


def test_only_what_is_needed_is_kept(chunks: Chunks) -> None:
    first, second = cut(chunks, b"one").chunks[0], cut(chunks, b"two").chunks[0]
    Path(chunks.path("x.partial")).write_text("")
    Path(chunks.path("layout.json")).write_text("{}")
    chunks.keep({first.sha256})
    assert {path.name for path in Path(chunks.directory).iterdir()} == {first.sha256, "layout.json"}
    assert second.sha256 not in chunks.sound([second])


def test_nothing_is_left_of_what_does_not_fit(chunks: Chunks) -> None:
    Path(chunks.path(Chunk(digest_of(b"one")[7:], 3).sha256)).mkdir()  # a name that cannot be taken
    with pytest.raises(OSError, match="directory"):
        chunks.put(b"one")
    assert [path.name for path in Path(chunks.directory).iterdir()] == [digest_of(b"one")[7:]]


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DockerVpsError, match="file/images cannot be created"):
        Chunks(str(tmp_path / "file/images")).make()
    with pytest.raises(DockerVpsError, match="The directory /proc/sys cannot be made private: Operation not permitted"):
        Chunks("/proc/sys").make()


def test_a_stream_of_pieces() -> None:
    file = io.BufferedReader(Stream(iter([b"abc", b"", b"d" * 10, b"e"])), 4)
    assert (file.read(2), file.read(5), file.read()) == (b"ab", b"cdddd", b"dddddde")
    assert file.read(1) == b""


def pieces(files: dict[str, bytes]) -> Iterator[bytes]:
    return iter([packed_as(files)])


def test_what_an_engine_writes(chunks: Chunks) -> None:
    image = built(b"base", b"code")
    blobs, index = blobs_in(pieces({**files_of(image), "blobs/sha256/x/y": b"", "repositories": b"{}"}), chunks, {})
    assert index == files_of(image)["index.json"]
    assert {name: b"".join(chunks.plain(blob)) for name, blob in blobs.items()} == image.blobs
    # What is known is not read again.
    known = Blob(digest_of(b"base"), 4, 4, ())
    blobs, _index = blobs_in(pieces(files_of(image)), chunks, {known.digest: known})
    assert blobs[known.digest] is known


def test_a_blob_that_is_not_what_its_name_says(chunks: Chunks) -> None:
    with pytest.raises(Broken, match=f"as sha256:{'a' * 64} that is {digest_of(b'x')}"):
        blobs_in(pieces({f"blobs/sha256/{'a' * 64}": b"x"}), chunks, {})


def test_an_archive_for_an_engine(chunks: Chunks) -> None:
    manifest, config, base, code = (cut(chunks, data) for data in (b"{}", b"{ }", LARGE, b"code"))
    image = Layout("sha256:id", "linux/amd64", manifest, config, (base, code))
    written = b"".join(archive(chunks, image, "shop:1", (manifest, config, code)))
    with tarfile.open(fileobj=io.BytesIO(written)) as tar:
        names = tar.getnames()
        assert tar.extractfile(f"blobs/sha256/{code.digest[7:]}").read() == b"code"  # type: ignore[union-attr]
    assert names[:2] == ["blobs", "blobs/sha256"]
    assert names[5:] == ["oci-layout", "index.json", "manifest.json"]
    assert f"blobs/sha256/{base.digest[7:]}" not in names
    assert len(written) % 512 == 0
