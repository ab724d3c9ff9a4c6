# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed files: whole, the same each time, read by others, and in bounded memory."""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import sys
from itertools import permutations
from types import SimpleNamespace
from typing import Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.archive_index import CHUNK, Chunk
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.tar_members import Damaged
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import compression
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.compression import (
    LIBRARIES,
    Compressor,
    Decompressed,
    Libraries,
    Packed,
    gzip_by,
    zstd_by_python,
    zstd_by_zstandard,
)

GZIP: dict[str, Libraries] = {"zlib": {"gzip": [("zlib", gzip_by)]}, "isal": {"gzip": [("isal.isal_zlib", gzip_by)]}}
ZSTD: dict[str, Libraries] = {"zstandard": {"zstd": [("zstandard", zstd_by_zstandard)]}}
if sys.version_info >= (3, 14):
    ZSTD["python"] = {"zstd": [("compression.zstd", zstd_by_python)]}
elif sys.version_info >= (3, 9):  # the same for Pythons before it, but for no older ones
    ZSTD["python"] = {"zstd": [("backports.zstd", zstd_by_python)]}


def each_of(libraries: dict[str, Libraries]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("libraries", libraries.values(), ids=list(libraries))


PACKED = each_of({**GZIP, **ZSTD})
ALL = each_of({**GZIP, **ZSTD, "none": {"none": ()}})

TEXT = b"".join(b"GET /media/%d HTTP/1.1\n" % number for number in range(120_000))[: 2 * CHUNK]
NOISE = random.Random(1).getrandbits(8 * CHUNK).to_bytes(CHUNK, "big")
MIXED = TEXT + NOISE + bytes(CHUNK) + b"rest"


def packed(data: bytes, libraries: Libraries, threads: int = 2, step: int = 700_001) -> bytes:
    chunks: list[Packed] = []
    with Compressor(chunks.append, next(iter(libraries)), threads, libraries) as out:
        for start in range(0, len(data), step):
            out.write(data[start : start + step])
    assert out.plain_bytes == sum(chunk.plain_bytes for chunk in chunks) == len(data)
    for chunk in chunks:
        assert chunk.data is not None
        assert (chunk.sha256, chunk.bytes) == (hashlib.sha256(chunk.data).hexdigest(), len(chunk.data))
    return b"".join(chunk.data or b"" for chunk in chunks)


def unpacked(data: bytes, libraries: Libraries, step: int = 300_007) -> bytes:
    stream = Decompressed(io.BytesIO(data), next(iter(libraries)), libraries)
    parts = list(iter(lambda: stream.read(step), b""))
    assert all(len(part) == step for part in parts[:-1])
    assert (stream.bytes, stream.plain_bytes) == (len(data), sum(map(len, parts)))
    return b"".join(parts)


@ALL
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, len(MIXED)])
def test_what_is_written_is_read_back(libraries: Libraries, size: int) -> None:
    assert unpacked(packed(MIXED[:size], libraries), libraries) == MIXED[:size]


@ALL
def test_threads_and_steps_change_no_byte(libraries: Libraries) -> None:
    assert packed(MIXED, libraries, threads=1) == packed(MIXED, libraries, threads=5, step=3_000_000)


@PACKED
def test_text_gets_small_and_noise_no_larger(libraries: Libraries) -> None:
    assert len(packed(TEXT, libraries)) < len(TEXT) / 3
    assert len(packed(NOISE, libraries)) < len(NOISE) * 1.001


def test_libraries_read_each_other() -> None:
    for group in (GZIP.values(), ZSTD.values()):
        for writer, reader in permutations(group, 2):
            assert unpacked(packed(MIXED, writer), reader) == MIXED


def program(command: list[str], data: bytes) -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@PACKED
def test_ordinary_programs_read_it_and_are_read(libraries: Libraries) -> None:
    kind = next(iter(libraries))
    zeros = bytes(8 * CHUNK)
    assert program([kind, "-dc"], packed(MIXED, libraries)) == MIXED
    for data in (MIXED, zeros, b""):
        assert unpacked(program([kind, "-c"], data), libraries) == data
    two = program([kind, "-c"], MIXED) + program([kind, "-c"], zeros) + program([kind, "-c"], b"end")
    assert unpacked(two, libraries) == MIXED + zeros + b"end"


@PACKED
def test_a_file_that_is_cut_off_is_damaged(libraries: Libraries) -> None:
    whole = packed(MIXED, libraries)
    for size in (0, 1, 9, 1000, len(whole) - 500_000, len(whole) - 5, len(whole) - 1):
        with pytest.raises(Damaged, match="ends too early"):
            unpacked(whole[:size], libraries)


@PACKED
def test_a_file_that_something_follows_is_damaged(libraries: Libraries) -> None:
    with pytest.raises(Damaged, match="damaged"):
        unpacked(packed(MIXED, libraries) + b"something else, of no known kind", libraries)


@PACKED
def test_a_file_that_was_altered_is_damaged(libraries: Libraries) -> None:
    whole = packed(MIXED, libraries)
    for place in (0, len(whole) // 2, len(whole) - 1):
        altered = whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        with pytest.raises(Damaged, match="damaged"):
            unpacked(altered, libraries)


@PACKED
def test_no_more_than_a_few_chunks_wait(libraries: Libraries) -> None:
    waiting: list[int] = []

    def take(_chunk: Packed) -> None:
        waiting.append(out.plain_bytes // CHUNK - len(waiting))

    with Compressor(take, next(iter(libraries)), 1, libraries) as out:
        for _turn in range(12):
            out.write(TEXT[:CHUNK])
    assert len(waiting) == 12
    # One thread and two more, and the chunk that was just given.
    assert max(waiting) == 4


def full_disk(_chunk: Packed) -> None:
    raise OSError(28, "No space left on device")


@ALL
def test_what_the_disk_says_is_passed_on(libraries: Libraries) -> None:
    with pytest.raises(OSError, match="No space left"):
        compress_twelve_chunks(full_disk, libraries)


def compress_twelve_chunks(take: Callable[[Packed], None], libraries: Libraries) -> None:
    with Compressor(take, next(iter(libraries)), 1, libraries) as out:
        for _turn in range(12):
            out.write(TEXT)


def test_nothing_more_is_written_after_an_error() -> None:
    chunks: list[Packed] = []
    out = Compressor(chunks.append, "gzip")
    with pytest.raises(ZeroDivisionError), out:
        out.write(bytes(1 // len(chunks)))
    assert chunks == []


def test_what_comes_ready_and_what_is_to_be_done_keep_their_places() -> None:
    ready = Packed(b"ready", hashlib.sha256(b"ready").hexdigest(), 5, 7)
    seen: list[object] = []
    with Compressor(lambda chunk: seen.append(chunk.data), "none") as out:
        out.then(lambda: seen.append("first"))
        out.write(b"one")
        out.insert(lambda _chunk: ready, Chunk(ready.sha256, 5, 7))
        out.then(lambda: seen.append("then"))
        out.write(b"two")
        out.end_chunk()
        out.end_chunk()
        out.write(b"three")
    assert seen == ["first", b"one", b"ready", "then", b"two", b"three"]
    assert out.plain_bytes == 18


def test_the_preferred_library_comes_first_and_the_next_takes_its_place() -> None:
    assert [name for name, _codec in LIBRARIES["gzip"]] == ["isal.isal_zlib", "zlib"]
    absent: Libraries = {"gzip": [("no_such_library", gzip_by), ("zlib", gzip_by)]}
    assert packed(TEXT, absent) == packed(TEXT, GZIP["zlib"]) != packed(TEXT, GZIP["isal"])


@pytest.mark.parametrize("stream", [Compressor, Decompressed])
def test_without_a_library_it_is_said_what_to_install(stream: type) -> None:
    with pytest.raises(DockerVpsError, match=r"compresses with zstd\. Install python3-zstandard .* or choose gzip"):
        stream(io.BytesIO().read, "zstd", libraries={"zstd": [("no_such_library", zstd_by_zstandard)]})


def test_a_zstandard_that_does_not_tell_where_a_frame_ends_is_as_good_as_none() -> None:
    frame = SimpleNamespace(decompress=bytes)
    old = SimpleNamespace(ZstdDecompressor=lambda: SimpleNamespace(decompressobj=lambda: frame))
    with pytest.raises(ImportError, match="too old"):
        zstd_by_zstandard(old)


def test_memory_that_is_kept_takes_none_before() -> None:
    program = (
        "import re, sys; sys.path = sys.argv[1:]\n"
        f"from {compression.__name__} import keep_freed_memory\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "before = peak(); keep_freed_memory(); print(peak() - before)\n"
    )
    grown = subprocess.run([sys.executable, "-c", program, *sys.path], capture_output=True, check=True).stdout
    assert int(grown) < 2048  # KiB
