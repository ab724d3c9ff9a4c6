# SPDX-License-Identifier: GPL-3.0-or-later
"""Which archives name which of the chunks that they share."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import Dict, List, Set, Tuple

from .._core.archive_index import END, references
from .files import open_regular
from .packed import CHUNK_NAME, CHUNKS, LARGEST_INDEX, missing


class References:
    """What the indexes in one directory name. Each index is read once, and each chunk is checked once.

    Of a chunk, its digest is kept, and a number with a bit for each index that names it. Chunks of the same indexes
    have one number in common, so this takes little more memory than a set of digests.

    ``proven`` are the digests of what was read to its end and is what was written, for ``opened`` in packed.py.
    """

    def __init__(self) -> None:
        self.proven: Set[str] = set()
        self._bits: Dict[Tuple[str, str], int] = {}
        self._users: Dict[bytes, int] = {}
        self._wrong: Dict[bytes, str] = {}

    def bit(self, index: str, sha256: str = "") -> int:
        """Return the bit of an index; 0 when it cannot be read, or is not what was written.

        Args:
            index: its path; the chunks are beside it.
            sha256: its digest (hexadecimal); without one, it need only be whole.
        """
        key = index, sha256
        if key not in self._bits:
            bit = 1 << len(self._bits)
            try:
                self._bits[key] = bit if self._read(index, sha256, bit) else 0
            except (OSError, UnicodeDecodeError):
                self._bits[key] = 0
        return self._bits[key]

    def wrong(self, bit: int) -> List[str]:
        """Return what is wrong at a glance with the chunks that an index names."""
        return [why for digest, why in self._wrong.items() if self._users[digest] & bit]

    def unused(self, folder: str, bits: int) -> Tuple[List[str], int]:
        """Return the names of the chunks in a folder that no index with one of these bits names, and their bytes."""
        names, size = [], 0
        with os.scandir(folder) as chunks:
            for chunk in chunks:
                if CHUNK_NAME.fullmatch(chunk.name) and not self._users.get(bytes.fromhex(chunk.name), 0) & bits:
                    names.append(chunk.name)
                    with suppress(FileNotFoundError):
                        size += chunk.stat(follow_symlinks=False).st_size
        return names, size

    def _read(self, index: str, sha256: str, bit: int) -> bool:
        numbers: Dict[int, int] = {}  # each kept once, however many chunks have it
        folder, whole, line = os.path.join(os.path.dirname(index), CHUNKS), hashlib.sha256(), b""
        with open_regular(index) as file:
            if os.fstat(file.fileno()).st_size > LARGEST_INDEX:
                return False
            for line in file:
                whole.update(line)
                for chunk in references(line.decode("ascii")):
                    digest = bytes.fromhex(chunk.sha256)
                    if digest not in self._users:
                        self._wrong.update((digest, why) for why in missing(folder, [chunk]))
                    number = self._users.get(digest, 0) | bit
                    self._users[digest] = numbers.setdefault(number, number)
        return whole.hexdigest() == sha256 if sha256 else line.decode() == END
