# SPDX-License-Identifier: GPL-3.0-or-later
"""The members of a tar archive: what their headers say, and which of them may not be restored.

Formats: POSIX.1-2001 ``pax`` (ustar blocks and extended headers) with the long names and numbers of GNU tar; see
https://www.gnu.org/software/tar/manual/html_node/Standard.html. The reader is stricter than GNU tar: whatever two
programs could understand in two ways is damaged, so that what was judged here is what GNU tar restores.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from .errors import DockerVpsError
from .text import counted, short

BLOCK = 512
ZEROS = bytes(BLOCK)
AGAIN = b"again"
"""The pax comment of a member that repeats an earlier one."""

REGULAR, HARD_LINK, SYMBOLIC_LINK, DIRECTORY, FIFO = b"0", b"1", b"2", b"5", b"6"
_KINDS = (REGULAR, HARD_LINK, SYMBOLIC_LINK, DIRECTORY, FIFO)
_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"
_ABOUT_THE_NEXT = (_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK)
_ESCAPES = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_SHOWN = 5
_MUCH = 1 << 20
_NOTES_LIMIT = 16 << 20
"""Bytes of extended headers; those of a sparse file list its extents."""
_SINGLE = (b"path", b"linkpath", b"size", b"comment", b"GNU.sparse.name")

Read = Callable[[int], bytes]
"""Gives so many bytes, fewer at the end only."""
Sink = Callable[[bytes], object]


class Damaged(DockerVpsError):
    """An archive is not what was written, or not what may be restored."""


@dataclass(frozen=True)
class Member:
    """One member: its kind, name and link target (undecodable bytes as surrogates), its data in bytes."""

    kind: bytes
    name: str
    link: str
    size: int
    again: bool = False

    @property
    def is_file(self) -> bool:
        """A regular file, or one more name of it."""
        return self.kind in (REGULAR, HARD_LINK)


@dataclass(frozen=True)
class Examined:
    """What is in an archive.

    ``files`` counts names of regular files, ``members`` everything, also what is repeated, ``outside_links`` symbolic
    links out of the tree. ``plain_bytes`` is the size of the tar archive.
    """

    files: int
    members: int
    plain_bytes: int
    outside_links: int


def every(_member: Member) -> bool:
    """Choose every member."""
    return True


def walk(read: Read, allow_outside_links: bool, sink: Sink, chosen: Callable[[Member], bool] = every) -> Examined:
    """Judge each member of an archive, then pass on what is chosen; nothing from the first that is refused.

    Raises:
        Damaged: the archive is, or members may not be restored; the first few are named.
    """
    files = members = size = outside_links = refused = 0
    links: Dict[str, str] = {}
    reasons: List[str] = []
    for member, headers in iter(lambda: next_member(read), None):
        members += 1
        files += member.is_file and not member.again
        size += len(headers) + padded(member.size)
        outside_links += leads_out(member.kind, member.name, member.link)
        behind = _behind(member, links, allow_outside_links)
        reason = refusal(member.kind, member.name, member.link, allow_outside_links) or behind
        if reason:
            refused += 1
            reasons[_SHOWN:] = [f"{short(repr(member.name))}: {reason}"]
        forward = sink if not refused and chosen(member) else _nowhere
        forward(headers)
        _forward(read, padded(member.size), forward)
    if refused:
        raise Damaged(
            f"{counted(refused, 'member')} may not be restored, so nothing is: {'; '.join(reasons[:_SHOWN])}."
        )
    return Examined(files, members, size + _end(read, sink), outside_links)


def _behind(member: Member, links: Dict[str, str], allow_outside_links: bool) -> Optional[str]:
    """Return why a member may not be restored after the symbolic links before it, to which it is added if it is one.

    A hard link to a symbolic link is one more name of that: it leads somewhere else where it is deeper or higher.
    """
    if links and any(parent in links for parent in parents(member.name)):
        return "it is behind a symbolic link"
    if member.kind == SYMBOLIC_LINK:
        links[plain(member.name)] = member.link
    elif links and member.kind == HARD_LINK:
        if any(parent in links for parent in parents(member.link)):
            return f"it is a hard link to {member.link}, which is behind a symbolic link"
        target = links.get(plain(member.link))
        if target is not None:
            links[plain(member.name)] = target
            if not allow_outside_links and leads_out(SYMBOLIC_LINK, member.name, target):
                return f"it is a hard link to {member.link}, a symbolic link that leads out of the tree from here"
    return None


def padded(size: int) -> int:
    """Return what so many bytes take in an archive, in bytes: whole blocks."""
    return -(-size // BLOCK) * BLOCK


def next_member(read: Read) -> Optional[Tuple[Member, bytes]]:
    """Return the next member and the bytes of all its headers; None at the first block of zeros, the end.

    Raises:
        Damaged: this is no header, or one that programs understand differently.
    """
    raw = b""
    notes: Dict[bytes, bytes] = {}
    seen = b""
    while True:
        block = _exactly(read, BLOCK)
        if block == ZEROS and not raw:
            return None
        kind, name, link, size = _header(block)
        raw += block
        if kind not in _ABOUT_THE_NEXT:
            return _member(kind, name, link, size, notes), raw
        if kind in seen or size > _NOTES_LIMIT:
            raise Damaged("The archive is damaged: a member has several or too large extended headers.")
        seen += kind
        data = _exactly(read, padded(size))
        raw += data
        for key, value in _notes(kind, data[:size]):
            if key in notes and key in _SINGLE:
                raise Damaged(f"The archive is damaged: a member has two values of {_text(key)}.")
            notes[key] = value


def refusal(kind: bytes, name: str, link: str, allow_outside_links: bool) -> Optional[str]:
    """Return why a member may not be restored, or None.

    Args:
        kind: the type flag of its header.
        name: its name, relative to the tree.
        link: what it links to; a hard link's target is relative to the tree, a symbolic link's to its own directory.
        allow_outside_links: symbolic links may lead out of the tree.
    """
    if kind not in _KINDS:
        return "it is a device or of an unknown kind"
    if _leaves(name):
        return "its name leads out of the tree"
    if kind == HARD_LINK and _leaves(link):
        return f"it is a hard link out of the tree, to {link}"
    if not allow_outside_links and leads_out(kind, name, link):
        return f"it is a symbolic link out of the tree, to {link}"
    return None


def leads_out(kind: bytes, name: str, link: str) -> bool:
    """Return whether a member is a symbolic link out of the tree.

    ``..`` after a name counts as out of it: that name may itself be a link, so where it leads is not known.
    """
    if kind != SYMBOLIC_LINK:
        return False
    steps = _steps(link)
    up = 0
    while steps[up : up + 1] == [".."]:
        up += 1
    return link.startswith("/") or ".." in steps[up:] or up > len(_steps(name)) - 1


def parents(name: str) -> Iterator[str]:
    """Give the directories above a member: ``a`` and ``a/b`` for ``./a/b/c``."""
    steps = _steps(name)
    return ("/".join(steps[:count]) for count in range(1, len(steps)))


def plain(name: str) -> str:
    """Return a member's name without ``./`` and closing slashes; empty for the tree itself."""
    return "/".join(_steps(name))


def unquoted(name: bytes) -> str:
    """Return a name that GNU tar wrote in the quoting style "escape"."""
    return _text(re.sub(rb"\\([0-7]{3}|.)", _unescaped, name))


def _forward(read: Read, size: int, sink: Sink) -> None:
    while size:
        data = read(min(size, _MUCH))
        if not data:
            raise Damaged("The archive is damaged: it ends within a file.")
        sink(data)
        size -= len(data)


def _end(read: Read, sink: Sink) -> int:
    """Read the rest, which must be zeros: the second of the two blocks that end an archive, and padding."""
    size = BLOCK
    for data in iter(lambda: read(_MUCH), b""):
        size += len(data)
        if data.strip(b"\0"):
            raise Damaged("The archive is damaged: something follows its end.")
    if size < 2 * BLOCK:
        raise Damaged("The archive is damaged: its end is missing.")
    sink(bytes(2 * BLOCK))
    return size


def _nowhere(_data: bytes) -> None:
    """Take what is not passed on."""


def _unescaped(match: re.Match[bytes]) -> bytes:
    what = match[1]
    return bytes([int(what, 8)]) if len(what) == 3 else _ESCAPES.get(what, what)


def _leaves(name: str) -> bool:
    return not name or name.startswith("/") or ".." in _steps(name)


def _steps(name: str) -> List[str]:
    return [step for step in name.split("/") if step not in ("", ".")]


def _exactly(read: Read, size: int) -> bytes:
    data = read(size)
    if len(data) != size:
        raise Damaged("The archive is damaged: it ends within a member.")
    return data


def _header(block: bytes) -> Tuple[bytes, bytes, bytes, int]:
    if sum(block) - sum(block[148:156]) + 8 * ord(" ") != number(block[148:156]):
        raise Damaged("The archive is damaged: the checksum of a header is wrong.")
    name = _until_nul(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        name = _until_nul(block[345:500]) + b"/" + name
    return block[156:157].replace(b"\0", REGULAR), name, _until_nul(block[157:257]), number(block[124:136])


def _notes(kind: bytes, data: bytes) -> Iterator[Tuple[bytes, bytes]]:
    if kind == _LONG_NAME:
        yield b"path", _until_nul(data)
    elif kind == _LONG_LINK:
        yield b"linkpath", _until_nul(data)
    else:
        for key, value in records(data):
            if kind == _EXTENDED:
                yield key, value
            elif key != b"comment":
                raise Damaged(f"The archive is damaged: it sets {_text(key)} for all members at once.")


def records(data: bytes) -> Iterator[Tuple[bytes, bytes]]:
    r"""Give the records ``LENGTH KEY=VALUE\n`` of an extended header; LENGTH is that of the whole record.

    Raises:
        Damaged: there is something else in it.
    """
    start = 0
    while start < len(data):
        space = data.find(b" ", start)
        digits = data[start:space] if space > 0 else b""
        end = start + _decimal(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or end > len(data) or data[end - 1 : end] != b"\n":
            raise Damaged("The archive is damaged: an extended header cannot be read.")
        yield key, value
        start = end


def _member(kind: bytes, name: bytes, link: bytes, size: int, notes: Dict[bytes, bytes]) -> Member:
    names = notes.get(b"path", name), notes.get(b"GNU.sparse.name", b"")
    # A sparse file has a made-up path beside its name; GNU tar restores the latter.
    name = names[1] or names[0]
    size = _decimal(notes[b"size"]) if b"size" in notes else size
    if name.endswith(b"/") if kind == REGULAR else size:
        raise Damaged(f"The archive is damaged: {_text(name)} is of one kind and looks like another.")
    link = notes.get(b"linkpath", link)
    if b"\0" in name + link:
        raise Damaged("The archive is damaged: a name has a zero byte.")
    return Member(kind, _text(name), _text(link), size, notes.get(b"comment") == AGAIN)


def number(field: bytes) -> int:
    """Return a number of a header.

    Raises:
        Damaged: it is none.
    """
    if field[0] == 0x80:  # GNU's base 256, for what does not fit into octal digits.
        return int.from_bytes(field[1:], "big")
    digits = field.rstrip(b" \0").lstrip(b" ")
    if digits.strip(b"01234567"):
        raise Damaged("The archive is damaged: a header has letters instead of a number.")
    return int(digits or b"0", 8)


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise Damaged("The archive is damaged: an extended header has something else instead of a number.")
    return int(digits)


def _until_nul(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
