# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed files, written by several threads in bounded memory, and read back with what proves them whole.

The data is cut into chunks. Each is a gzip member (RFC 1952) or a zstd frame (RFC 8878) of its own; one after the other
they are one file that ``gzip`` and ``zstd`` read. Neither the number of threads nor the time
changes a byte of it; only another compression library does.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from threading import Semaphore
from types import MappingProxyType
from typing import (
    Any,
    Callable,
    Deque,
    Iterator,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Type,
    Union,
)

from .._core.archive_index import CHUNK, Chunk
from .._core.errors import DockerVpsError
from .._core.tar_members import Damaged
from .progress_file import count_bytes

Data = Union[bytes, bytearray, memoryview]

MOST_THREADS = 8
"""More would need more than 64 MiB."""
_LEVEL = 1
"""Backups are written far more often than they are read; the next levels cost more than they save."""
_PLAIN = 1 << 20
"""So many plain bytes are made at once at most, where the library lets us say so."""
_LARGEST_FREED = 31 << 20


@dataclass(frozen=True)
class Codec:
    """A way to compress, by one library.

    ``decode(frame, data)`` returns plain bytes and what of the data is left; ``frame`` is what ``start`` returned and
    has ``eof``. ``reads`` is how many bytes are read at once.
    """

    pack: Callable[[Data], bytes]
    start: Callable[[], Any]
    decode: Callable[[Any, bytes], Tuple[bytes, bytes]]
    reads: int
    broken: Type[Exception]


def gzip_by(library: Any) -> Codec:
    """Return gzip by zlib, or by isal's module of the same shape, which is several times faster."""

    def member(data: Data, level: int, by: Any) -> bytes:
        packer = by.compressobj(level, by.DEFLATED, 31)
        return bytes(packer.compress(data) + packer.flush())

    def pack(data: Data) -> bytes:
        # Images and videos do not get smaller, and to find that out costs most of the time. Samples tell.
        view = memoryview(data)
        samples = b"".join(view[start : start + 4096] for start in range(0, len(view), CHUNK // 4))
        small = len(member(samples, _LEVEL, library)) < 0.95 * len(samples)
        return member(data, _LEVEL, library) if small else member(data, 0, import_module("zlib"))

    def decode(frame: Any, data: bytes) -> Tuple[bytes, bytes]:
        return frame.decompress(data, _PLAIN), frame.unused_data or frame.unconsumed_tail

    return Codec(pack, lambda: library.decompressobj(31), decode, 1 << 17, library.error)


def zstd_by_zstandard(library: Any) -> Codec:
    """Return zstd by the package zstandard.

    Raises:
        ImportError: it is older than 0.19 and does not tell where a frame ends.
    """
    if not hasattr(library.ZstdDecompressor().decompressobj(), "unused_data"):
        raise ImportError("zstandard is too old")

    def pack(data: Data) -> bytes:
        return bytes(library.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(data))

    def decode(frame: Any, data: bytes) -> Tuple[bytes, bytes]:
        return frame.decompress(data), frame.unused_data

    # It cannot be asked for a number of plain bytes, so it gets few packed ones.
    return Codec(pack, lambda: library.ZstdDecompressor().decompressobj(), decode, 1 << 14, library.ZstdError)


def zstd_by_python(library: Any) -> Codec:
    """Return zstd by ``compression.zstd``, which Python has since 3.14."""
    options = {library.CompressionParameter.compression_level: _LEVEL, library.CompressionParameter.checksum_flag: 1}

    def decode(frame: Any, data: bytes) -> Tuple[bytes, bytes]:
        if frame.needs_input:
            return frame.decompress(data, _PLAIN), frame.unused_data
        return frame.decompress(b"", _PLAIN), frame.unused_data + data

    return Codec(
        lambda data: bytes(library.compress(data, options=options)),
        library.ZstdDecompressor,
        decode,
        1 << 17,
        library.ZstdError,
    )


def keep_freed_memory() -> None:
    """Have glibc keep freed blocks of the size of chunks; else the kernel clears all memory again for each of them.

    Blocks up to the size of the largest one that was freed so far are kept: see M_MMAP_THRESHOLD in mallopt(3).
    """
    bytes(_LARGEST_FREED)  # zeros that nobody looks at, which take no memory


Libraries = Mapping[str, Sequence[Tuple[str, Callable[[Any], Codec]]]]

LIBRARIES: Libraries = MappingProxyType(
    {
        "gzip": (("isal.isal_zlib", gzip_by), ("zlib", gzip_by)),
        "zstd": (("zstandard", zstd_by_zstandard), ("compression.zstd", zstd_by_python)),
        "none": (),
    }
)
"""The libraries of each kind of compression, the preferred one first."""


class Readable(Protocol):
    """What compressed bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""
        raise NotImplementedError


class Packed(NamedTuple):
    """A chunk: compressed bytes, their digest (hexadecimal) and number, and the number of plain bytes in them.

    ``data`` is None where whoever takes it knows where to find it.
    """

    data: Optional[bytes]
    sha256: str
    bytes: int
    plain_bytes: int


class Compressor:
    """A context manager that compresses what is written to it, and gives it to ``take`` chunk by chunk, in order.

    ``take`` and what is to be done then are called by a thread of their own; what they raise, one of the next calls
    raises. ``close``, which the end of the context does unless an error ends it, waits for what is under way.
    ``plain_bytes`` counts what was written.

    Raises:
        DockerVpsError: no library for this kind is installed.
    """

    def __init__(
        self,
        take: Callable[[Packed], object],
        kind: str,
        threads: Optional[int] = None,
        libraries: Libraries = LIBRARIES,
    ) -> None:
        threads = min(threads or os.cpu_count() or 1, MOST_THREADS)
        self.plain_bytes = 0
        self._pack = _packer(_codec(kind, libraries))
        self._take = take
        self._rest = bytearray()
        self._empty = True
        self._room = Semaphore(threads + 2)
        self._pool = ThreadPoolExecutor(threads, initializer=keep_freed_memory)
        self._taker = ThreadPoolExecutor(1)
        self._taking: Deque[Future[object]] = deque()

    def __enter__(self) -> Compressor:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], *_rest: object) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            for future in self._taking:
                future.cancel()
            self._pool.shutdown()
            self._taker.shutdown()

    def write(self, data: Data) -> None:
        """Take plain bytes; waits while the threads are behind."""
        self._count(len(data))
        if not self._rest and len(data) == CHUNK:
            self._submit(self._pack, data)  # the usual case of a large file, and copying costs a tenth of the time
            return
        self._rest += data
        while len(self._rest) >= CHUNK:
            chunk, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
            self._submit(self._pack, chunk)

    def end_chunk(self) -> None:
        """Begin a chunk with what is written next."""
        if self._rest:
            chunk, self._rest = self._rest, bytearray()
            self._submit(self._pack, chunk)

    def insert(self, fetch: Callable[[Chunk], Packed], chunk: Chunk) -> None:
        """Put a chunk that is compressed already behind what was written; ``fetch`` is called by one of the threads."""
        self.end_chunk()
        self._count(chunk.plain_bytes)
        self._submit(fetch, chunk)

    def then(self, action: Callable[[], object]) -> None:
        """Do something when all is taken that was written; behind a chunk that is at its end."""
        self._queue(action)

    def close(self) -> None:
        """Compress what is left; without any byte that is one empty chunk."""
        if self._rest or self._empty:
            chunk, self._rest = self._rest, bytearray()
            self._submit(self._pack, chunk)
        while self._taking:
            self._taking.popleft().result()

    def _count(self, number: int) -> None:
        self.plain_bytes += number
        count_bytes(number)

    def _submit(self, work: Callable[[Any], Packed], what: object) -> None:
        self._empty = False
        self._room.acquire()
        self._queue(self._taken, self._pool.submit(work, what))

    def _taken(self, packed: Future[Packed]) -> None:
        try:
            self._take(packed.result())
        finally:
            self._room.release()

    def _queue(self, action: Callable[..., object], *arguments: object) -> None:
        while self._taking and self._taking[0].done():
            self._taking.popleft().result()
        self._taking.append(self._taker.submit(action, *arguments))


def _packer(codec: Optional[Codec]) -> Callable[[Data], Packed]:
    def pack(data: Data) -> Packed:
        packed = codec.pack(data) if codec else bytes(data)
        return Packed(packed, hashlib.sha256(packed).hexdigest(), len(packed), len(data))

    return pack


class Decompressed:
    """A stream of the plain bytes of a compressed binary file. ``bytes`` and ``plain_bytes`` count what was read.

    Raises:
        DockerVpsError: no library for this kind is installed.
    """

    def __init__(self, file: Readable, kind: str, libraries: Libraries = LIBRARIES) -> None:
        self.bytes = 0
        self.plain_bytes = 0
        self._file = file
        self._blocks = self._plain(_codec(kind, libraries))
        self._block = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return so many plain bytes; fewer at the end only.

        Raises:
            Damaged: the file is cut off, altered, or followed by something else.
        """
        parts = []
        wanted = size
        while wanted:
            part = self._block[self._at : self._at + wanted]
            if not part:
                self._block, self._at = next(self._blocks, b""), 0
                if not self._block:
                    break
            self._at += len(part)
            wanted -= len(part)
            parts.append(part)
        self.plain_bytes += size - wanted
        count_bytes(size - wanted)
        return b"".join(parts)

    def _plain(self, codec: Optional[Codec]) -> Iterator[bytes]:
        yield from self._decoded(codec) if codec else iter(lambda: self._raw(_PLAIN), b"")

    def _decoded(self, codec: Codec) -> Iterator[bytes]:
        data = self._raw(codec.reads)
        while True:
            frame = codec.start()
            while not frame.eof:
                data = data or self._raw(codec.reads)
                cut_off = not data
                try:
                    block, data = codec.decode(frame, data)
                except codec.broken as error:
                    raise Damaged(f"The compressed file is damaged after byte {self.plain_bytes}: {error}.") from error
                if block:
                    yield block
                elif cut_off and not frame.eof:
                    raise Damaged(f"The compressed file is damaged: it ends too early, after byte {self.bytes}.")
            data = data or self._raw(codec.reads)
            if not data:
                return

    def _raw(self, size: int) -> bytes:
        data = self._file.read(size)
        self.bytes += len(data)
        return data


def _codec(kind: str, libraries: Libraries) -> Optional[Codec]:
    if kind == "none":
        return None
    for name, codec in libraries[kind]:
        try:
            return codec(import_module(name))
        except ImportError:
            continue
    raise DockerVpsError(
        f"Nothing on this host compresses with {kind}. Install python3-zstandard (0.19 or newer) for the Python "
        "that Ansible uses there, or choose gzip."
    )
