# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive consists of, so that the next one need not be read, compressed and written as a whole.

An archive is a row of chunks, each a gzip member or zstd frame of its own. Chunks belong to runs: a run is a number of
members that follow each other, and ends where one ends. Its key is a digest of what the file system says of its files;
while that is the same, so are the members, and the chunks that were made of them can be used again.

Where a run ends is decided by the names and sizes in it, not by what came before, so that a new file moves only the
next few borders. The idea is that of content-defined chunking, as restic and casync have it, with names for content.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import Any, Dict, Iterator, Mapping, Sequence, Tuple

from .errors import DockerVpsError

FORMAT = 1
FILES, SHARED = "files", "shared"
"""Where the chunks of an archive are: in a file of its own, or each in a file that all archives share."""
REREAD = 7
"""Every how many archives the whole content is read."""
CHUNK = 1 << 20
"""Plain bytes of a chunk at most; larger ones are no faster and compress no better."""
LARGE = 1 << 18
"""A file of so many bytes is a run of its own, so that other ones can change without it."""
END = "]}\n"
"""The last line of an index."""
_HEADERS = 2048
"""About how many bytes the headers of a member take."""
_USUAL = 1 << 18
"""Bytes of small members after which a run ends at the next chance; it has twice as many in the mean."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REFERENCE = re.compile(r'\["([0-9a-f]{64})", ([0-9]{1,10}), ([0-9]{1,10})\]')


@dataclass(frozen=True)
class Chunk:
    """Compressed bytes: their digest (hexadecimal) and number, and the number of plain bytes in them."""

    sha256: str
    bytes: int
    plain_bytes: int


@dataclass(frozen=True)
class Run:
    """Members that follow each other; ``key`` is empty where nothing tells whether they are as before.

    ``files`` counts names of regular files, ``members`` everything.
    """

    key: str
    files: int
    members: int
    chunks: Tuple[Chunk, ...]


@dataclass(frozen=True)
class Index:
    """The runs of an archive, one after the other. An unchanged tree has the same index."""

    compression: str
    runs: Tuple[Run, ...]

    @property
    def chunks(self) -> Iterator[Chunk]:
        """All chunks of the archive, in their order."""
        return (chunk for run in self.runs for chunk in run.chunks)

    @property
    def by_key(self) -> Mapping[str, Run]:
        """The runs that can be used again."""
        return {run.key: run for run in self.runs if run.key}


class RunLength:
    """Decides where runs end.

    >>> length = RunLength()
    >>> length.ends_after(b"a.jpg", 300_000)
    True
    """

    def __init__(self) -> None:
        self._bytes = 0

    def ends_after(self, name: bytes, size: int) -> bool:
        """Return whether a run ends after a member with this name and so many bytes of content."""
        length = size + _HEADERS
        self._bytes += length
        # A number for the name, and a chance for each byte: so many small files, or a few larger ones, end a run.
        due = self._bytes >= _USUAL and zlib.crc32(name) * _USUAL < length << 32
        if due or self._bytes >= CHUNK or size >= LARGE:
            self._bytes = 0
            return True
        return False

    @staticmethod
    def stands_alone(size: int) -> bool:
        """Return whether a file of so many bytes is a run of its own."""
        return size >= LARGE

    def begin(self) -> None:
        """Begin a run, whatever came before."""
        self._bytes = 0


def write(index: Index) -> str:
    """Return an index as JSON, from which it can be read back; one line for each run."""
    runs = [
        json.dumps(
            [run.key, run.files, run.members, [[chunk.sha256, chunk.bytes, chunk.plain_bytes] for chunk in run.chunks]]
        )
        for run in index.runs
    ]
    head = json.dumps({"format": FORMAT, "compression": index.compression})
    return head[:-1] + ', "runs": [\n' + ",\n".join(runs) + "\n" + END


def parse(text: str) -> Index:
    """Read an index.

    Raises:
        DockerVpsError: it is none, or one of another version.
    """
    try:
        given: Dict[str, Any] = json.loads(text)
        if given["format"] != FORMAT:
            raise ValueError(f"its format is {given['format']!r:.40}, and this version reads {FORMAT}")
        return Index(str(given["compression"]), tuple(map(_run, given["runs"])))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DockerVpsError(f"This is not the index of an archive: {error!s:.200}. Make a new backup.") from error


def references(text: str) -> Iterator[Chunk]:
    """Yield the chunks that an index names, or a line of it, each as often; unjudged; much faster than ``parse``."""
    for found in _REFERENCE.finditer(text):
        yield Chunk(found[1], int(found[2]), int(found[3]))


def _run(given: Sequence[Any]) -> Run:
    key, files, members, chunks = given
    return Run(str(key), _count(files), _count(members), tuple(map(_chunk, chunks)))


def _chunk(given: Sequence[Any]) -> Chunk:
    sha256, packed, plain = given
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r:.80} is no digest")
    if not (_count(packed) <= 2 * CHUNK and _count(plain) <= CHUNK):
        raise ValueError(f"a chunk has {packed!r:.40} bytes, {plain!r:.40} before it was compressed")
    return Chunk(sha256, packed, plain)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r:.40} is no number of something")
    return value
