# SPDX-License-Identifier: GPL-3.0-or-later
"""A tar archive is split at its members, whatever comes at once, and no byte but its end is lost."""

from __future__ import annotations

import io
import random
import tarfile
from typing import Iterator, Optional, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.archive_index import CHUNK, LARGE
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.tar_members import Damaged
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.tar_stream import Splitter
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = "./"


class Pieces:
    """Takes the stream: what is between two ends of chunks."""

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.rest = b""

    def write(self, data: memoryview) -> None:
        self.rest += bytes(data)

    def end_chunk(self) -> None:
        if self.rest:
            self.done.append(self.rest)
        self.rest = b""


def packed(*members: tuple[str, bytes, int, Optional[dict[str, str]]]) -> bytes:
    """Return a tar archive of members: name, type, size, further pax records."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, size, records in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.pax_headers = kind, size, records or {"mtime": "1.5"}
            content = (
                random.Random(name).getrandbits(8 * size + 8).to_bytes(size + 1, "big")[1:]
                if kind == tarfile.REGTYPE
                else b""
            )
            tar.addfile(member, io.BytesIO(content))
    # tarfile takes the slash away from the name of a directory.
    return file.getvalue().replace(b".".ljust(100, b"\0") + b"0000644", b"./".ljust(100, b"\0") + b"0000644")


def file(
    name: str, size: int, records: Optional[dict[str, str]] = None
) -> tuple[str, bytes, int, Optional[dict[str, str]]]:
    return name, tarfile.REGTYPE, size, records


def fed(data: bytes, steps: Iterator[int], kept: Sequence[bool] = ()) -> tuple[Splitter, Pieces]:
    pieces, roots = Pieces(), iter(kept)
    splitter = Splitter(pieces, lambda: next(roots))
    at = 0
    while at < len(data):
        step = next(steps, None) or splitter.wanted
        splitter.feed(data[at : at + step])
        at += step
    splitter.end()
    return splitter, pieces


def without_end(data: bytes) -> bytes:
    """Return an archive without the zeros at its end; its last member must end with something else."""
    return data[: -(-len(data.rstrip(b"\0")) // 512) * 512]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 511, 512, 513, 5000, LARGE - 1, LARGE, LARGE + 1, CHUNK + 700]), max_size=5),
    steps=st.lists(st.integers(1, 700_000), max_size=12),
)
def test_nothing_is_lost(sizes: list[int], steps: list[int]) -> None:
    data = packed(*(file(f"./{number}", size) for number, size in enumerate(sizes)), file("./last", 3))
    splitter, pieces = fed(data, iter(steps))
    assert b"".join([*pieces.done, pieces.rest]) == without_end(data)
    assert (splitter.files, splitter.members) == (len(sizes) + 1, len(sizes) + 1)


def test_what_is_something_of_its_own() -> None:
    root = packed((".", tarfile.DIRTYPE, 0, None))[:1536]
    assert root[1024:1027] == b"./\0"
    small, large, last = (without_end(packed(one)) for one in (file("./a", 9), file("./b", LARGE), file("./c", 9)))
    stream = b"".join([root, small, root, small, large, small, root, last, root, bytes(1024)])
    splitter, pieces = fed(stream, iter([]), kept=[True, False, False, True])
    pieces.end_chunk()
    header = len(large) - LARGE
    assert pieces.done == [root, small, small, large[:header], large[header:], small, last, root]
    assert (splitter.files, splitter.members) == (5, 7)


def test_the_content_of_a_large_file_comes_as_whole_chunks() -> None:
    data = packed(file("./a", 3), file("./b", 3 * CHUNK + 5))
    pieces = Pieces()
    splitter = Splitter(pieces, lambda: True)
    splitter.feed(data[:4000])
    assert splitter.wanted == CHUNK - (4000 - 1536 - 512 - 1536)
    splitter.feed(data[4000 : 4000 + splitter.wanted])
    assert splitter.wanted == CHUNK
    at = 1536 + 512 + 1536 + CHUNK
    splitter.feed(data[at : at + 2 * CHUNK])
    assert splitter.wanted == 512  # what is left of the last block
    splitter.feed(data[at + 2 * CHUNK :])
    assert splitter.wanted == CHUNK
    splitter.end()


def test_a_size_that_no_header_takes() -> None:
    """More than 8 GiB stands in an extended header, or as a binary number; what looks like one in a value does not."""
    tricky = {"SCHILY.xattr.user.x": "\n12 size=9\n size=5"}
    data = packed(file("./a", 700, tricky), file("./b", 4))
    assert fed(data, iter([]))[0].members == 2
    large = packed(file("./a", LARGE, {"size": str(LARGE)}))
    for digits in (b"00000000000\0", b"\x80" + bytes(7) + LARGE.to_bytes(4, "big")):
        altered = large[: 1024 + 124] + digits + large[1024 + 136 :]
        records = altered if digits[:1] == b"0" else large[1024 : 1024 + 124] + digits + large[1024 + 136 :]
        splitter, pieces = fed(records, iter([]))
        assert splitter.members == 1
        assert len(pieces.done[-1]) == LARGE


def test_an_archive_without_its_end_is_damaged() -> None:
    data = packed(file("./a", 700))
    for size in (0, 100, 600, 1536, 1600, len(without_end(data))):
        with pytest.raises(Damaged, match="GNU tar ended before its archive did"):
            fed(data[:size], iter([]))


def test_what_is_no_archive_is_damaged() -> None:
    with pytest.raises(Damaged, match="letters instead of a number"):
        fed(b"no archive at all".ljust(1024, b"x"), iter([]))
