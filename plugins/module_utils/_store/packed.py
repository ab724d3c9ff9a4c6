# SPDX-License-Identifier: GPL-3.0-or-later
"""The compressed bytes of an archive, from one file or from chunks that archives share.

Shared chunks are in the folder ``chunks`` of a backup directory, each in a file named by its SHA-256, as in the stores
of casync. An archive then is its index alone.
"""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import BinaryIO, Collection, Iterator, List, Optional, Protocol, Set

from .._core.archive_index import Chunk, parse
from .._core.errors import DockerVpsError
from .._core.manifest import is_index
from .._core.remedies import once
from .._core.tar_members import Damaged
from .compression import keep_freed_memory
from .files import open_regular

CHUNKS = "chunks"
_BLOCK = 1 << 20
"""Bytes that are read at once."""
CHUNK_NAME = re.compile(r"[0-9a-f]{64}")
LARGEST_INDEX = 256 * 1024**2
"""Bytes of an index. One of 1 TiB of large files takes half of it."""


class Source(Protocol):
    """Compressed bytes, one after the other. When all are read, ``sha256`` is what the manifest should say of them."""

    @property
    def sha256(self) -> str:
        """A digest (hexadecimal) of all that was read."""
        raise NotImplementedError

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end."""
        raise NotImplementedError


class OneFile:
    """The bytes of an open file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The digest of what was read."""
        return self._digest.hexdigest()

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end."""
        data = self._file.read(size)
        self._digest.update(data)
        return data


class SharedChunks:
    """The bytes of chunks, each of which is given when it was proved as a whole.

    ``sha256`` is that of the index, which names the digests of all.

    Args:
        folder: where the chunks are.
        text: the index.
        proven: digests of chunks that are passed over, to which those are added that were proved; None proves and gives
            all.
    """

    def __init__(self, folder: str, text: bytes, proven: Optional[Set[str]] = None) -> None:
        self._folder = folder
        self._text = text
        self._proven = proven
        self._left: Optional[List[Chunk]] = None
        self._data = b""

    @property
    def sha256(self) -> str:
        """The digest of the index."""
        return hashlib.sha256(self._text).hexdigest()

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end.

        Raises:
            Damaged: the index is, or a chunk is, or is not there.
            OSError: a chunk cannot be read.
        """
        if self._left is None:
            try:
                self._left = [*parse(self._text.decode("utf-8", "replace")).chunks][::-1]
            except DockerVpsError as error:
                raise Damaged(error.message) from error
        while not self._data and self._left:
            chunk = self._left.pop()
            if self._proven is None or chunk.sha256 not in self._proven:
                self._data = proved(self._folder, chunk)
                if self._proven is not None:
                    self._proven.add(chunk.sha256)
        data, self._data = self._data[:size], self._data[size:]
        return data


class _Ahead:
    """Reads a source in a thread of its own: to prove what comes next takes as long as to decompress what is there."""

    def __init__(self, source: Source, pool: ThreadPoolExecutor) -> None:
        self._source = source
        self._pool = pool
        self._next: Optional[Future[bytes]] = None
        self._data = memoryview(b"")

    @property
    def sha256(self) -> str:
        """The digest of the source."""
        return self._source.sha256

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end."""
        if not self._data:
            block = (self._next or self._begun()).result()
            self._next = self._begun() if block else None
            self._data = memoryview(block)
        data, self._data = self._data[:size], self._data[size:]
        return bytes(data)

    def _begun(self) -> Future[bytes]:
        return self._pool.submit(self._source.read, _BLOCK)


def proved(folder: str, chunk: Chunk) -> bytes:
    """Return a chunk.

    Raises:
        Damaged: it is not what was written, or not there.
        OSError: it cannot be read.
    """
    path = os.path.join(folder, chunk.sha256)
    try:
        with open_regular(path) as file:
            data = file.read(chunk.bytes + 1)
    except FileNotFoundError as error:
        raise Damaged(f"The chunk {path}, which sets share, is missing. {_made_anew()}") from error
    if hashlib.sha256(data).hexdigest() != chunk.sha256:
        raise Damaged(f"The chunk {path}, which sets share, is not what was written. {_made_anew()}")
    return data


def _made_anew() -> str:
    return f"While the data itself is intact, a backup with {once('backup_reread', '1')} makes it again."


def missing(folder: str, chunks: Collection[Chunk]) -> Iterator[str]:
    """Yield what is wrong with chunks at a glance: they are not there, or have another size."""
    for chunk in chunks:
        try:
            size = os.lstat(os.path.join(folder, chunk.sha256)).st_size
        except OSError as error:
            yield f"the chunk {chunk.sha256} cannot be found: {error.strerror}"
            continue
        if size != chunk.bytes:
            yield f"the chunk {chunk.sha256} has {size} bytes, and {chunk.bytes} are right"


def digest_of(path: str, proven: Optional[Set[str]] = None) -> str:
    """Read an archive to its end, and return what the manifest should say of it; arguments as of ``opened``.

    Raises:
        Damaged: a chunk is, or is not there.
        OSError: it cannot be read.
    """
    with opened(path, proven) as source:
        while source.read(_BLOCK):
            pass
    return source.sha256


@contextmanager
def opened(path: str, proven: Optional[Set[str]] = None) -> Iterator[Source]:
    """Open an archive by its file, or by its index when its chunks are shared; ``proven`` as of SharedChunks.

    Raises:
        OSError: it cannot be opened.
    """
    with open_regular(path) as file, ThreadPoolExecutor(1, initializer=keep_freed_memory) as pool:
        if not is_index(path):
            yield _Ahead(OneFile(file), pool)
            return
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_INDEX:
            raise Damaged(f"{path} has {size} bytes, and {LARGEST_INDEX} are the most. Use another set.")
        yield _Ahead(SharedChunks(os.path.join(os.path.dirname(path), CHUNKS), file.read(), proven), pool)
