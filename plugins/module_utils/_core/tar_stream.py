# SPDX-License-Identifier: GPL-3.0-or-later
"""What GNU tar writes, split where members begin and end, while it comes.

Members are only told apart here, as fast as Python can; ``tar_members`` judges them when an archive is read.
"""

from __future__ import annotations

from typing import Callable, Optional, Protocol, Tuple

from .archive_index import CHUNK, LARGE
from .tar_members import BLOCK, ZEROS, Damaged, number, padded, records

_EXTENDED, _DIRECTORY, _REGULAR, _LINK = b"x501"
_ROOT = b"./\0"


class Out(Protocol):
    """Whoever takes the stream."""

    def write(self, data: memoryview) -> object:
        """Take bytes."""
        raise NotImplementedError

    def end_chunk(self) -> object:
        """Take what follows as something of its own."""
        raise NotImplementedError


class Splitter:
    """Passes on a tar archive of the format pax but for the zeros at its end.

    The content of each large file is something of its own, and so is what is between two members of the root
    directory. ``files`` counts names of regular files, ``members`` everything, both since they were set to 0.
    ``wanted`` is how many bytes should come next, so that as few as possible are copied.

    Args:
        out: takes it.
        root: called when the root comes; returns whether that is passed on, and then it is something of its own, too.
    """

    def __init__(self, out: Out, root: Callable[[], bool]) -> None:
        self.files = 0
        self.members = 0
        self.wanted = CHUNK
        self._out = out
        self._root = root
        self._rest = b""
        self._content = 0
        self._large = 0
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Take what comes next.

        Raises:
            Damaged: it is no such archive.
        """
        data = self._rest + data if self._rest else data
        view, start, at = memoryview(data), 0, 0
        while not self._ended:
            at = self._skip_content(len(data), at)
            if self._content:
                break
            if self._large:
                self._large = 0
                self._pass_on(view[start:at])
                start = at
            header, size = _header(data, at)
            if header < 0:
                break
            body, kind = header + BLOCK, data[header + 156]
            if not kind and data[header:body] == ZEROS:
                self._ended = True
            elif kind == _DIRECTORY and data[header : header + 3] == _ROOT:
                self._pass_on(view[start:at])
                start = at = self._root_came(view[at:body], body)
            elif kind == _REGULAR and size >= LARGE:
                self._pass_on(view[start:at])
                self._pass_on(view[at:body])
                start = at = body
                self._large = self._begin(kind, size)
            else:
                at = body
                self._begin(kind, size)
        self._keep(data, view[start:at], at)

    def _skip_content(self, end: int, at: int) -> int:
        step = min(self._content, end - at)
        self._content -= step
        return at + step

    def _begin(self, kind: int, size: int) -> int:
        self.members += 1
        self.files += kind in (_REGULAR, _LINK)
        self._content = padded(size)
        return self._content

    def _root_came(self, headers: memoryview, body: int) -> int:
        if self._root():
            self.members += 1
            self._pass_on(headers)
        return body

    def _keep(self, data: bytes, passed: memoryview, at: int) -> None:
        if passed:
            self._out.write(passed)
        self._rest = b"" if self._ended else data[at:]
        self.wanted = min(self._content, CHUNK - (self._large - self._content) % CHUNK) if self._large else CHUNK

    def end(self) -> None:
        """Check that all has come.

        Raises:
            Damaged: it has not.
        """
        if not self._ended:
            raise Damaged("GNU tar ended before its archive did. Run the backup again.")

    def _pass_on(self, data: memoryview) -> None:
        if data:
            self._out.write(data)
        self._out.end_chunk()


def _header(data: bytes, at: int) -> Tuple[int, int]:
    """Return where the header of a member is whose extended one may come first, and the size of its content.

    The former is less than 0 when it has not come as a whole.
    """
    header, longer = at, None
    if len(data) - at < BLOCK:
        return -1, 0
    if data[at + 156] == _EXTENDED:
        notes, length = at + BLOCK, _size(data, at)
        header = notes + padded(length)
        if len(data) - header < BLOCK:
            return -1, 0
        if data.find(b" size=", notes, header) >= 0:  # of a file with more bytes than a header has digits for
            longer = _noted_size(data[notes : notes + length])
    return header, _size(data, header) if longer is None else longer


def _size(data: bytes, header: int) -> int:
    try:
        return int(data[header + 124 : header + 135], 8)
    except ValueError:
        return number(data[header + 124 : header + 136])


def _noted_size(notes: bytes) -> Optional[int]:
    for key, value in records(notes):
        if key == b"size":
            return int(value)
    return None
