# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed files, written by several threads in bounded memory, and read back with what proves them whole.

The data is cut into chunks of a fixed size. Each is a gzip member (RFC 1952) or a zstd frame (RFC 8878) of its own;
one after the other they are one file that ``gzip`` and ``zstd`` read. Neither the number of threads nor the time
changes a byte of it; only another compression library does.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, BinaryIO, Callable, Deque, Iterator, Mapping, Optional, Sequence, Tuple, Type, Union

from .._core.errors import DockerVpsError
from .._core.tar_members import Damaged
from .progress_file import count_bytes

Data = Union[bytes, bytearray, memoryview]

CHUNK = 1 << 20
"""Bytes; larger ones are no faster and compress no better."""
MOST_THREADS = 8
"""More would need more than 64 MiB."""
_LEVEL = 1
"""Backups are written far more often than they are read; the next levels cost more than they save."""
_PLAIN = 1 << 20
"""So many plain bytes are made at once at most, where the library lets us say so."""


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


Libraries = Mapping[str, Sequence[Tuple[str, Callable[[Any], Codec]]]]

LIBRARIES: Libraries = MappingProxyType(
    {
        "gzip": (("isal.isal_zlib", gzip_by), ("zlib", gzip_by)),
        "zstd": (("zstandard", zstd_by_zstandard), ("compression.zstd", zstd_by_python)),
        "none": (),
    }
)
"""The libraries of each kind of compression, the preferred one first."""


class Compressor:
    """A context manager that compresses what is written to it into an open binary file.

    After ``close``, which the end of the context does unless an error ends it: ``sha256`` (hexadecimal) and ``bytes``
    of what went into the file, and ``plain_bytes``.

    Raises:
        DockerVpsError: no library for this kind is installed.
        OSError: the file cannot be written.
    """

    def __init__(
        self, file: BinaryIO, kind: str, threads: Optional[int] = None, libraries: Libraries = LIBRARIES
    ) -> None:
        threads = min(threads or os.cpu_count() or 1, MOST_THREADS)
        self.bytes = 0
        self.plain_bytes = 0
        self.sha256 = ""
        self._codec = _codec(kind, libraries)
        self._file = file
        self._digest = hashlib.sha256()
        self._rest = bytearray()
        self._waiting: Deque[Future[bytes]] = deque()
        self._room = threads + 2
        self._pool = ThreadPoolExecutor(threads)

    def __enter__(self) -> Compressor:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], *_rest: object) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            for future in self._waiting:
                future.cancel()
            self._pool.shutdown()

    def write(self, data: Data) -> None:
        """Take plain bytes; waits while the threads are behind."""
        self.plain_bytes += len(data)
        count_bytes(len(data))
        if not self._codec:
            self._put(data)
            return
        if not self._rest and len(data) == CHUNK:
            self._hand_over(self._codec, data)  # the usual case, and copying costs a tenth of the time
            return
        self._rest += data
        while len(self._rest) >= CHUNK:
            chunk, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
            self._hand_over(self._codec, chunk)

    def close(self) -> None:
        """Write what is left."""
        if self._codec and (self._rest or not self.plain_bytes):
            self._hand_over(self._codec, self._rest)
        while self._waiting:
            self._put(self._waiting.popleft().result())
        self.sha256 = self._digest.hexdigest()

    def _hand_over(self, codec: Codec, chunk: Data) -> None:
        if len(self._waiting) == self._room:
            self._put(self._waiting.popleft().result())
        self._waiting.append(self._pool.submit(codec.pack, chunk))

    def _put(self, data: Data) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.bytes += len(data)


class Decompressed:
    """A stream of the plain bytes of a compressed binary file.

    At its end ``sha256`` (hexadecimal) and ``bytes`` are those of the whole file as it is.

    Raises:
        DockerVpsError: no library for this kind is installed.
    """

    def __init__(self, file: BinaryIO, kind: str, libraries: Libraries = LIBRARIES) -> None:
        self.bytes = 0
        self.plain_bytes = 0
        self.sha256 = ""
        self._file = file
        self._digest = hashlib.sha256()
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
        self.sha256 = self._digest.hexdigest()

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
        self._digest.update(data)
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
