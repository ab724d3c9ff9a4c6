# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive is written to, made of new chunks and of those of the archive before it.

An archive that is the same as the one before is one more name (hard link) of its file: so nobody may ever write into
such a file, or change its mode or owner, once it is published. The same holds for the files of shared chunks.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO, Dict, Iterator, List, Optional, Protocol, Set

from .._core.archive_index import Chunk, Index
from .._core.errors import DockerVpsError
from .._core.tar_members import Damaged
from .compression import Packed
from .files import open_regular, sync_file_system
from .packed import digest_of, missing, proved


class Unusable(DockerVpsError):
    """An earlier archive cannot be read, or is not what was written."""


@dataclass(frozen=True)
class Earlier:
    """An archive that is there already: its file, its digest (hexadecimal) and size in bytes, and its index.

    ``unread`` is how many archives, with this one, were made since the whole content was read.
    """

    path: str
    sha256: str
    bytes: int
    index: Index
    unread: int = 0


class Target(Protocol):
    """What an archive is written to.

    Its chunks come in their order. ``sha256`` (hexadecimal) and ``bytes`` are those of the archive when it is closed,
    and ``new_bytes`` counts what takes space beside that of earlier ones. Where it has no file, its digest is empty.
    """

    sha256: str
    bytes: int
    new_bytes: int

    def fetch(self, chunk: Chunk) -> Packed:
        """Return a chunk of the earlier archive, without its bytes where they are not needed; any thread may ask.

        Raises:
            Unusable: the earlier archive is.
        """
        raise NotImplementedError

    def take(self, packed: Packed) -> None:
        """Add a chunk.

        Raises:
            Unusable: the earlier archive is.
            OSError: it cannot be written.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Finish the archive, durably.

        Raises:
            Unusable: the earlier archive is.
            OSError: it cannot be written.
        """
        raise NotImplementedError

    def discard(self) -> None:
        """Remove what was written."""
        raise NotImplementedError


class Chunks:
    """Reads chunks of an earlier archive, from several threads at once."""

    def __init__(self, earlier: Earlier, file: BinaryIO) -> None:
        self.earlier = earlier
        self._file = file
        self._places: Dict[str, int] = {}

    @classmethod
    @contextmanager
    def of(cls, earlier: Earlier) -> Iterator[Chunks]:
        """Open an earlier archive.

        Raises:
            Unusable: it cannot be opened, or its size is not that of its chunks.
        """
        try:
            file = open_regular(earlier.path)
        except OSError as error:
            raise Unusable(f"{earlier.path} cannot be read: {error.strerror}") from error
        with file:
            chunks = cls(earlier, file)
            if not chunks.find() == earlier.bytes == os.fstat(file.fileno()).st_size:
                raise Unusable(f"{earlier.path} has another size than its index says")
            yield chunks

    def find(self) -> int:
        """Take note of where each chunk is, and return how many bytes they have together."""
        place = 0
        for chunk in self.earlier.index.chunks:
            self._places.setdefault(chunk.sha256, place)
            place += chunk.bytes
        return place

    def read(self, chunk: Chunk) -> Packed:
        """Return a chunk.

        Raises:
            Unusable: it cannot be read, or is not what was written.
        """
        try:
            data = os.pread(self._file.fileno(), chunk.bytes, self._places[chunk.sha256])
        except OSError as error:
            raise Unusable(f"{self.earlier.path} cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != chunk.sha256:
            raise Unusable(f"{self.earlier.path} is not what was written")
        return Packed(data, chunk.sha256, chunk.bytes, chunk.plain_bytes)

    def whole(self) -> bool:
        """Read the file to its end, and return whether it is what was written."""
        try:
            return digest_of(self.earlier.path) == self.earlier.sha256
        except OSError:
            return False


_FLUSHED = 1 << 26
"""Bytes after which the disk gets to write: else it would have nothing to do until the end, and then all at once."""


class ArchiveFile:
    """Writes an archive into a new file (mode 0600); see Target.

    While all chunks are those of the earlier archive nothing is written. If that stays so, the file becomes one more
    name of that one.

    Args:
        target: the file; there must be none.
        chunks: those of the earlier archive, if there is one.
        follow: whether the new archive is expected to be the same.
    """

    def __init__(self, target: str, chunks: Optional[Chunks], follow: bool) -> None:
        self.sha256 = ""
        self.bytes = 0
        self.new_bytes = 0
        self._target = target
        self._chunks = chunks
        self._file: Optional[BinaryIO] = None
        self._flusher = ThreadPoolExecutor(1)
        self._flushing: Optional[Future[None]] = None
        self._unflushed = 0
        self._digest = hashlib.sha256()
        self._follow = follow
        self._passed: List[Chunk] = []  # those of the earlier archive that this one has as well, but for the file
        self._expected = chunks.earlier.index.chunks if chunks and follow else iter(())

    def fetch(self, chunk: Chunk) -> Packed:
        """Return a chunk of the earlier archive."""
        if self._follow or not self._chunks:
            return Packed(None, chunk.sha256, chunk.bytes, chunk.plain_bytes)
        return self._chunks.read(chunk)

    def take(self, packed: Packed) -> None:
        """Add a chunk."""
        if self._follow:
            chunk = next(self._expected, None)
            if chunk and chunk.sha256 == packed.sha256:
                self._passed.append(chunk)
                return
            self._write_passed()
        self._put(packed)

    def close(self) -> None:
        """Finish the archive."""
        if self._follow and next(self._expected, None) is None and self._link():
            return
        self._write_passed()
        file = self._opened()
        self.sha256 = self._digest.hexdigest()
        file.flush()
        self._flusher.shutdown()
        self._see_flushed()
        if not (self._chunks and self._is_same(self._chunks) and self._link()):
            os.fsync(file.fileno())
        file.close()

    def discard(self) -> None:
        """Remove what was written."""
        self._flusher.shutdown()
        if not self._file:
            return
        with suppress(OSError):  # what could not be written before cannot be written now
            self._file.close()
        with suppress(FileNotFoundError):
            os.unlink(self._target)

    def _is_same(self, chunks: Chunks) -> bool:
        """Return whether the earlier archive is the same; it is read, or a damaged one would take the place of this."""
        return (chunks.earlier.sha256, chunks.earlier.bytes) == (self.sha256, self.bytes) and chunks.whole()

    def _link(self) -> bool:
        """Make the file one more name of the earlier one; some file systems have no such thing, or no more of them."""
        if not self._chunks:
            return False
        earlier, name = self._chunks.earlier, f"{self._target}.same"
        try:
            if self._file:
                os.link(earlier.path, name, follow_symlinks=False)
                os.rename(name, self._target)
            else:
                os.link(earlier.path, self._target, follow_symlinks=False)
        except OSError:
            with suppress(FileNotFoundError):
                os.unlink(name)
            return False
        self.sha256, self.bytes, self.new_bytes = earlier.sha256, earlier.bytes, 0
        return True

    def _write_passed(self) -> None:
        self._follow = False
        for chunk in self._passed:
            self._put(self.fetch(chunk))
        self._passed = []

    def _put(self, packed: Packed) -> None:
        data = packed.data
        if data is None:  # asked for when it was not needed yet
            data = self.fetch(Chunk(packed.sha256, packed.bytes, packed.plain_bytes)).data or b""
        self._opened().write(data)
        self._flush_some(len(data))
        self._digest.update(data)
        self.bytes += len(data)
        self.new_bytes += len(data)

    def _flush_some(self, number: int) -> None:
        self._unflushed += number
        if self._unflushed >= _FLUSHED and (not self._flushing or self._flushing.done()):
            self._see_flushed()
            self._unflushed = 0
            self._flushing = self._flusher.submit(os.fdatasync, self._opened().fileno())

    def _see_flushed(self) -> None:
        """Raise what went wrong, of which the kernel does not tell again."""
        if self._flushing:
            self._flushing.result()

    def _opened(self) -> BinaryIO:
        if not self._file:
            self._file = os.fdopen(
                os.open(self._target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
            )
        return self._file


class NewChunks:
    """Writes those chunks of an archive that are not shared yet into a folder, each a file (mode 0600); see Target.

    Args:
        folder: is made when something is written into it.
        shared: where the chunks of other archives are.
        read: whether what is there is read, so that damaged chunks are replaced.
    """

    def __init__(self, folder: str, shared: str, read: bool) -> None:
        self.sha256 = ""
        self.bytes = 0
        self.new_bytes = 0
        self._folder = folder
        self._shared = shared
        self._read = read
        self._there: Set[str] = set()

    def fetch(self, chunk: Chunk) -> Packed:
        """Return a chunk of the earlier archive."""
        for wrong in missing(self._shared, [chunk]):
            raise Unusable(wrong)
        return Packed(None, chunk.sha256, chunk.bytes, chunk.plain_bytes)

    def take(self, packed: Packed) -> None:
        """Add a chunk."""
        self.bytes += packed.bytes
        if packed.data is None or packed.sha256 in self._there:
            return
        self._there.add(packed.sha256)
        if not self._is_shared(Chunk(packed.sha256, packed.bytes, packed.plain_bytes)):
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            path = os.path.join(self._folder, packed.sha256)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
                file.write(packed.data)
            self.new_bytes += packed.bytes

    def close(self) -> None:
        """Finish the archive."""
        if self.new_bytes:
            sync_file_system(self._folder)

    def discard(self) -> None:
        """Leave what was written to whoever removes the folder; what was made once may be of use."""

    def _is_shared(self, chunk: Chunk) -> bool:
        if not self._read:
            return not [*missing(self._shared, [chunk])]
        try:
            return bool(proved(self._shared, chunk))
        except (Damaged, OSError):
            return False
