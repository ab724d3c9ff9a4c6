# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of images as files: cut into compressed chunks, each named after its SHA-256, and put together again.

A file has its name only when it is whole, so whatever has the name of a chunk can be used when its digest is right.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import re
import tarfile
import tempfile
import time
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Collection, Deque, Iterable, Iterator, Optional, Protocol

from .._core.errors import DockerVpsError
from .._core.image_layout import CHUNK, Blob, Chunk, Layout, documents, path_of
from . import files
from .compression import Codec, gzip_by

_NAME = re.compile(r"[0-9a-f]{64}")
_PIECE = 1 << 20
_THREADS = min(os.cpu_count() or 1, 4)
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_UNPACKED = 4  # times as large; zstd need not say
LAYOUT = ".json"
"""How the name of a file ends that describes an image; it begins with the digest of its configuration."""
LOCK = ".lock"
UNUSED = 86400.0  # seconds for which another host of a play, or another application, may still need what is here


class Broken(DockerVpsError):
    """Parts of an image are not what they were when they were exported."""


class Known(Protocol):
    """Blobs whose chunks are there already."""

    def get(self, digest: str) -> Optional[Blob]:
        """Return a blob or None."""
        raise NotImplementedError


class Chunks:
    """The chunks in a directory, which only its owner can read."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def make(self) -> None:
        """Make the directory.

        Raises:
            DockerVpsError: it cannot be made.
        """
        files.make_directory(self.directory)
        try:
            os.chmod(self.directory, 0o700)
        except OSError as error:
            raise files.refused(f"The directory {self.directory} cannot be made private", error) from error

    def path(self, name: str) -> str:
        """Return where a chunk is."""
        return os.path.join(self.directory, name)

    def sound(self, chunks: Iterable[Chunk]) -> set[str]:
        """Return the names of those of the chunks that are here and are what they were; damaged ones are removed."""
        asked = list(dict.fromkeys(chunks))
        with ThreadPoolExecutor(_THREADS) as pool:
            judged = dict(zip(asked, pool.map(self._is_sound, asked)))
        for chunk in [chunk for chunk in asked if not judged[chunk]]:
            with contextlib.suppress(OSError):
                os.unlink(self.path(chunk.sha256))
        return {chunk.sha256 for chunk in asked if judged[chunk]}

    def _is_sound(self, chunk: Chunk) -> bool:
        digest = hashlib.sha256()
        try:
            with files.open_regular(self.path(chunk.sha256)) as file:
                for piece in iter(lambda: file.read(_PIECE), b""):
                    digest.update(piece)
        except OSError:
            return False
        return digest.hexdigest() == chunk.sha256

    def put(self, data: bytes) -> Chunk:
        """Keep a chunk.

        Raises:
            OSError: it cannot be written.
        """
        chunk = Chunk(hashlib.sha256(data).hexdigest(), len(data))
        descriptor, partial = tempfile.mkstemp(suffix=files.PARTIAL, dir=self.directory)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.replace(partial, self.path(chunk.sha256))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
        return chunk

    def adopt(self, path: str, chunk: Chunk) -> None:
        """Give a file of the same file system its place as a chunk.

        Raises:
            Broken: it is something else; the file is removed.
        """
        os.replace(path, self.path(chunk.sha256))
        if not self.sound([chunk]):
            raise Broken(f"What has arrived in {self.directory} as {chunk.sha256} is something else. Run it again.")

    def retain(self, chunks: Iterable[Chunk]) -> None:
        """Note that chunks are in use, and remove what has not been for a day."""
        for chunk in chunks:
            with contextlib.suppress(OSError):
                os.utime(self.path(chunk.sha256))
        for entry in [entry for entry in os.scandir(self.directory) if entry.name != LOCK]:
            with contextlib.suppress(OSError):
                if entry.stat().st_mtime < time.time() - UNUSED:
                    os.unlink(entry.path)

    def layouts(self) -> list[str]:
        """Return the names of files that describe images."""
        return sorted(name for name in os.listdir(self.directory) if name.endswith(LAYOUT))

    def keep(self, names: Collection[str]) -> None:
        """Remove all chunks but these, and what a killed process has left of one."""
        for name in os.listdir(self.directory):
            if (_NAME.fullmatch(name) and name not in names) or name.endswith(files.PARTIAL):
                with contextlib.suppress(OSError):
                    os.unlink(self.path(name))

    def cut(self, file: BinaryIO, size: Optional[int] = None) -> Blob:
        """Cut a blob into chunks and keep them; several threads compress.

        Args:
            size: so many bytes have to be there; otherwise it ends with the file.

        Raises:
            OSError: they cannot be written.
        """
        codec, digest, chunks = gzip_by(zlib), hashlib.sha256(), []
        first, last, length = b"", b"", 0
        waiting: Deque[Future[Chunk]] = deque()
        with ThreadPoolExecutor(_THREADS) as pool:
            for data in _pieces(file, size):
                digest.update(data)
                length += len(data)
                first, last = first or data[:4], (last + data)[-4:]
                waiting.append(pool.submit(self._packed, codec, data))
                if len(waiting) > _THREADS:
                    chunks.append(waiting.popleft().result())
            chunks += [future.result() for future in waiting]
        return Blob(f"sha256:{digest.hexdigest()}", length, _unpacked(first, last, length), tuple(chunks))

    def _packed(self, codec: Codec, data: bytes) -> Chunk:
        return self.put(codec.pack(data))

    def plain(self, blob: Blob) -> Iterator[bytes]:
        """Yield a blob again, in pieces.

        Raises:
            Broken: a chunk is damaged, or what the chunks make is another blob.
        """
        digest = hashlib.sha256()
        for chunk in blob.chunks:
            try:
                with open(self.path(chunk.sha256), "rb") as file:
                    data = gzip.decompress(file.read())
            except (OSError, EOFError, zlib.error) as error:
                raise Broken(
                    f"A part of {blob.digest} cannot be read in {self.directory}: {error}. Export the image again."
                ) from error
            digest.update(data)
            yield data
        if f"sha256:{digest.hexdigest()}" != blob.digest:
            raise Broken(f"What was exported as {blob.digest} is something else. Export the image again.")

    def text(self, blob: Blob) -> str:
        """Return a blob that is text.

        Raises:
            Broken: it is damaged.
        """
        return b"".join(self.plain(blob)).decode("utf-8", "replace")


def _pieces(file: BinaryIO, size: Optional[int]) -> Iterator[bytes]:
    left = size
    while left != 0:
        data = file.read(CHUNK if left is None else min(CHUNK, left))
        if not data and left is None:
            return
        if not data:
            raise Broken("The engine has written an archive that ends too early. Export the image again.")
        left = None if left is None else left - len(data)
        yield data


def _unpacked(first: bytes, last: bytes, size: int) -> int:
    """Return how many bytes a blob has unpacked; gzip says it at its end, for less than 4 GiB."""
    if first.startswith(_GZIP):
        return max(size, int.from_bytes(last, "little"))
    return size * _ZSTD_UNPACKED if first == _ZSTD else size


def archive(chunks: Chunks, layout: Layout, name: str, blobs: Iterable[Blob]) -> Iterator[bytes]:
    """Yield an archive that an engine loads, with only these blobs of the image.

    Raises:
        Broken: one is damaged; whoever reads the archive must not take it for whole then.
    """
    for folder in ("blobs", "blobs/sha256"):
        yield _header(folder, 0, tarfile.DIRTYPE, 0o755)
    for blob in blobs:
        yield _header(path_of(blob.digest), blob.size)
        yield from chunks.plain(blob)
        yield _padding(blob.size)
    for path, data in documents(layout, name).items():
        yield _header(path, len(data)) + data + _padding(len(data))
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(name: str, size: int, kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.mode = size, kind, mode
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


class Stream(io.RawIOBase):
    """A file to read from pieces as they come."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill a buffer as far as the next piece goes."""
        space = memoryview(buffer)  # type: ignore[arg-type]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(space), len(self._rest))
        space[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def blobs_in(pieces: Iterator[bytes], chunks: Chunks, known: Known) -> tuple[dict[str, Blob], bytes]:
    """Cut the blobs of an archive that an engine writes into chunks, and return them by digest, with its index.

    Args:
        known: blobs whose chunks are there already.

    Raises:
        Broken: a blob is not what its name says.
        OSError: chunks cannot be written.
    """
    found, index = {}, b""
    with tarfile.open(fileobj=io.BufferedReader(Stream(pieces), _PIECE), mode="r|") as tar:
        for member in tar:
            digest = f"sha256:{os.path.basename(member.name)}"
            file = tar.extractfile(member) if member.isfile() else None
            if file and member.name == "index.json":
                index = file.read()
            elif file and member.name == path_of(digest):
                found[digest] = known.get(digest) or _checked(chunks.cut(file, member.size), digest)  # type: ignore[arg-type]
    return found, index


def _checked(blob: Blob, digest: str) -> Blob:
    if blob.digest != digest:
        raise Broken(f"The engine has written a part of the image as {digest} that is {blob.digest}. Build it again.")
    return blob
