# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the pages of a SQLite database without understanding its schema: https://www.sqlite.org/fileformat2.html.

For databases that the host's SQLite library cannot check, because their schema needs a newer one or functions of the
application. Each page has to be reached exactly once, and to be what it is reached as; so an overwritten page is found.
Values are not checked, nor whether an index has the rows of its table.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from .databases import HEADER
from .text import counted

MOST = 10
"""Findings that are kept."""
_LOCK_BYTE = 0x40000000  # is in a page that is never used
_INDEX_NODE, _TABLE_NODE, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13
_LEAVES = {_INDEX_NODE: _INDEX_LEAF, _TABLE_NODE: _TABLE_LEAF, _INDEX_LEAF: _INDEX_LEAF, _TABLE_LEAF: _TABLE_LEAF}
_LENGTHS = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)  # bytes of a value by its type; others are strings and blobs
_WIDE = {2: "utf-16-le", 3: "utf-16-be"}
_SCHEMA = 1  # the page where the table sqlite_master begins

Read = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Pages:
    """What was found, nothing when all pages are whole; and the rows of the ordinary tables."""

    findings: Tuple[str, ...]
    rows: Mapping[str, int]


class _Wrong(Exception):
    """Something is not as it must be."""


def look(read: Read, size: int) -> Pages:
    """Look at all pages.

    Args:
        read: gives bytes of the file: from which offset on, and how many.
        size: of the file, in bytes.
    """
    try:
        database = _Look(read, size)
    except _Wrong as error:
        return Pages((str(error),), {})
    rows = database.everything()
    return Pages(tuple(database.findings[:MOST]), rows)


class _Look:
    def __init__(self, read: Read, size: int) -> None:
        self.findings: List[str] = []
        self._read = read
        header = self._header = read(0, HEADER)
        number = int.from_bytes(header[16:18], "big")
        self._size = 65536 if number == 1 else number
        self._usable = self._size - header[20]
        if self._size < 512 or self._size & (self._size - 1) or self._usable < 480:
            raise _Wrong("its header names an impossible size of pages")
        self._count = self._counted(size // self._size)
        self._seen = bytearray(self._count + 2)  # by number; those at the ends stand for no page
        index = (self._usable - 12) * 64 // 255 - 23
        self._most = {_INDEX_NODE: index, _INDEX_LEAF: index, _TABLE_LEAF: self._usable - 35}
        self._least = (self._usable - 12) * 32 // 255 - 23

    def _counted(self, existing: int) -> int:
        """Return how many pages there are; the header's number counts when the last writer wrote it."""
        claimed = _number(self._header, 28) if self._header[24:28] == self._header[92:96] else 0
        if claimed > existing:
            raise _Wrong(f"the file ends after {existing} of {counted(claimed, 'page')}")
        return claimed or existing

    def everything(self) -> Mapping[str, int]:
        """Look at everything, and return the rows by table."""
        rows: Dict[str, int] = {}
        self._pass_over()
        self._noted("the list of free pages", self._free)
        entries: List[bytes] = []
        self._noted("the schema", lambda: self._tree(_SCHEMA, entries))
        for kind, name, root in self._roots(entries):
            count = self._noted(f"the {kind} {name}", lambda page=root: self._tree(page))  # type: ignore[misc]
            if kind == "table" and count is not None:
                rows[name] = count
        lost = self._seen.count(0, 1, self._count + 1)
        if lost and not self.findings:
            self.findings.append(f"pages that nothing leads to: {lost}, the first is page {self._seen.index(0, 1)}")
        return rows

    def _noted(self, what: str, step: Callable[[], int]) -> Optional[int]:
        try:
            return step()
        except _Wrong as error:
            self.findings.append(f"{what}: {error}")
            return None

    def _roots(self, entries: List[bytes]) -> Iterator[Tuple[str, str, int]]:
        for entry in entries:
            try:
                kind, name, _table, root = _first_values(entry, 4)
            except (_Wrong, IndexError):
                self.findings.append("the schema: an entry makes no sense")
                continue
            if int.from_bytes(root, "big"):  # views, triggers and virtual tables have no pages
                wide = _WIDE.get(_number(self._header, 56))
                kind_, name_ = (
                    value.decode(wide, "replace") if wide else value.decode("utf-8", "surrogateescape")
                    for value in (kind, name)
                )
                yield kind_, name_, int.from_bytes(root, "big")

    def _pass_over(self) -> None:
        """Take the pages that hold no data for seen: the one never used, and those that say who points to a page."""
        never = _LOCK_BYTE // self._size + 1
        self._seen[min(never, self._count + 1)] = 1
        if _number(self._header, 52):
            page, step = 2, self._usable // 5 + 1
            while page <= self._count:
                self._seen[page + (page == never)] = 1
                page += step

    def _page(self, number: int) -> bytes:
        if not 0 < number <= self._count:
            raise _Wrong(f"it leads to page {number} of {self._count}")
        if self._seen[number]:
            raise _Wrong(f"page {number} is reached twice")
        self._seen[number] = 1
        page = self._read((number - 1) * self._size, self._size)
        if len(page) < self._size:
            raise _Wrong(f"page {number} cannot be read")
        return page

    def _free(self) -> int:
        trunk, found = _number(self._header, 32), 0
        while trunk:
            page = self._page(trunk)
            trunk, leaves = struct.unpack_from(">II", page)
            if leaves > self._usable // 4 - 2:
                raise _Wrong(f"a page of it names {counted(leaves, 'page')}")
            for leaf in struct.unpack_from(f">{leaves}I", page, 8):
                self._page(leaf)
            found += 1 + leaves
        if found != _number(self._header, 36):
            raise _Wrong(f"it has {counted(found, 'page')}, and the header says {_number(self._header, 36)}")
        return found

    def _tree(self, root: int, entries: Optional[List[bytes]] = None) -> int:
        """Walk a tree and return how many entries it has; they are kept where wanted."""
        pending, leaf_kind, count = [root], 0, 0
        while pending:
            number = pending.pop()
            page = self._page(number)
            start = HEADER if number == _SCHEMA else 0
            kind = page[start]
            leaf_kind = leaf_kind or _LEAVES.get(kind, 0)
            if not leaf_kind or _LEAVES.get(kind) != leaf_kind:
                raise _Wrong(f"page {number} is no page of it")
            cells = self._cells(page, start, number)
            if kind in (_INDEX_NODE, _TABLE_NODE):
                pending.append(_number(page, start + 8))
                pending.extend(_number(page, cell) for cell in cells)
            if kind != _TABLE_NODE:
                count += len(cells)
                self._payloads(page, kind, cells, number, entries)
        return count

    def _cells(self, page: bytes, start: int, number: int) -> Tuple[int, ...]:
        """Return where the entries of a page of a tree begin."""
        count, content = struct.unpack_from(">HH", page, start + 3)
        first = start + (12 if page[start] in (_INDEX_NODE, _TABLE_NODE) else 8)
        end = first + 2 * count
        if end > self._usable or not end <= (content or 65536) <= self._usable:
            raise _Wrong(f"the header of page {number} makes no sense")
        cells = struct.unpack_from(f">{count}H", page, first)
        if cells and (min(cells) < content or max(cells) > self._usable - 3):
            raise _Wrong(f"page {number} has entries outside its content")
        return cells

    def _payloads(
        self, page: bytes, kind: int, cells: Tuple[int, ...], number: int, entries: Optional[List[bytes]]
    ) -> None:
        """Follow the entries of a page that are longer than their share of it."""
        ahead, local = 4 if kind == _INDEX_NODE else 0, min(self._most[kind], 127)
        try:
            for cell in cells:
                if page[cell + ahead] > local or entries is not None:
                    payload = self._payload(page, kind, cell + ahead)
                    if entries is not None:
                        entries.append(payload)
        except IndexError:
            raise _Wrong(f"page {number} has an entry that goes beyond it") from None

    def _payload(self, page: bytes, kind: int, at: int) -> bytes:
        length, at = _varint(page, at)
        if kind == _TABLE_LEAF:
            _rowid, at = _varint(page, at)
        if length <= self._most[kind]:
            if at + length > self._usable:
                raise IndexError
            return page[at : at + length]
        local = self._least + (length - self._least) % (self._usable - 4)
        local = local if local <= self._most[kind] else self._least
        if at + local + 4 > self._usable or length > self._count * self._size:
            raise IndexError
        return page[at : at + local] + self._overflow(_number(page, at + local), length - local)

    def _overflow(self, number: int, left: int) -> bytes:
        """Follow a chain of pages, and return the beginning of what it holds."""
        held = b""
        while left > 0:
            page = self._page(number)
            held = held or page[4 : 4 + min(left, self._usable - 4)]
            left -= self._usable - 4
            number = _number(page, 0)
        if number:
            raise _Wrong("a chain of pages is longer than its entry")
        return held


def _first_values(record: bytes, wanted: int) -> List[bytes]:
    """Return the first values of a record: https://www.sqlite.org/fileformat2.html#record_format."""
    size, at = _varint(record, 0)
    if size > len(record):
        raise _Wrong
    values, value = [], size
    for _turn in range(wanted):
        kind, at = _varint(record, at)
        length = _LENGTHS[kind] if kind < len(_LENGTHS) else (kind - 12) // 2
        values.append(b"\1" if kind == 9 else record[value : value + length])
        value += length
    return values


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    """Return a number of 1 to 9 bytes, and where the next begins."""
    value = 0
    for place in range(at, at + 8):
        byte = data[place]
        value = value << 7 | byte & 127
        if byte < 128:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
