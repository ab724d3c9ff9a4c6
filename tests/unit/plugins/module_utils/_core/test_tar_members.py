# SPDX-License-Identifier: GPL-3.0-or-later
"""What the headers of tar archives say, and what may not be restored."""

from __future__ import annotations

import io
import tarfile
from typing import Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.tar_members import (
    BLOCK,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMBOLIC_LINK,
    Damaged,
    Examined,
    Member,
    next_member,
    padded,
    parents,
    plain,
    refusal,
    unquoted,
    walk,
)
from hypothesis import given, settings
from hypothesis import strategies as st

END = bytes(2 * BLOCK)
POSIX, GNU, OLD = b"ustar\x0000", b"ustar  \0", bytes(8)


def header(
    name: bytes = b"./file",
    kind: bytes = REGULAR,
    link: bytes = b"",
    size: bytes = b"00000000000\0",
    magic: bytes = POSIX,
    prefix: bytes = b"",
) -> bytes:
    fields = name.ljust(100, b"\0") + b"0000644\0" * 3 + size + b"00000000000\0" + b" " * 8 + kind
    block = (fields + link.ljust(100, b"\0") + magic + bytes(80) + prefix.ljust(155, b"\0")).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def note(data: bytes, kind: bytes = b"x") -> bytes:
    return header(kind=kind, size=b"%011o\0" % len(data)) + data.ljust(padded(len(data)), b"\0")


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    data = b""
    for record in records:
        length = len(record) + 2
        while length != len(b"%d %s\n" % (length, record)):
            length += 1
        data += b"%d %s\n" % (length, record)
    return note(data, kind)


def first(archive: bytes) -> Member:
    found = next_member(io.BytesIO(archive).read)
    assert found
    return found[0]


@pytest.mark.parametrize(
    ("archive", "expected"),
    [
        (header(), Member(REGULAR, "./file", "", 0)),
        (header(kind=b"\0", magic=OLD, prefix=b"data"), Member(REGULAR, "./file", "", 0)),
        (header(magic=GNU, prefix=b"data"), Member(REGULAR, "./file", "", 0)),
        (header(prefix=b"./deep"), Member(REGULAR, "./deep/./file", "", 0)),
        (header(b"f" * 100, prefix=b"d" * 155), Member(REGULAR, "d" * 155 + "/" + "f" * 100, "", 0)),
        (header(size=b" 17 \0".ljust(12, b"\0")), Member(REGULAR, "./file", "", 15)),
        (header(size=bytes(12)), Member(REGULAR, "./file", "", 0)),
        (header(size=b"\x80" + (9 << 30).to_bytes(11, "big")), Member(REGULAR, "./file", "", 9 << 30)),
        (header(kind=HARD_LINK, link=b"./other"), Member(HARD_LINK, "./file", "./other", 0)),
        (header(b"caf\xe9"), Member(REGULAR, "caf\udce9", "", 0)),
        (pax(b"path=./a\nb=c", b"size=7") + header(), Member(REGULAR, "./a\nb=c", "", 7)),
        (pax(b"linkpath=x y") + header(kind=SYMBOLIC_LINK, link=b"z"), Member(SYMBOLIC_LINK, "./file", "x y", 0)),
        (pax(b"comment=again") + header(), Member(REGULAR, "./file", "", 0, again=True)),
        (pax(b"comment=else") + header(), Member(REGULAR, "./file", "", 0)),
        (pax(b"comment=again", kind=b"g") + header(), Member(REGULAR, "./file", "", 0)),
        (
            pax(b"path=made/up", b"GNU.sparse.name=./real", b"GNU.sparse.offset=0", b"GNU.sparse.offset=9") + header(),
            Member(REGULAR, "./real", "", 0),
        ),
        (note(b"./long\0", b"L") + note(b"target\0", b"K") + header(kind=b"2"), Member(b"2", "./long", "target", 0)),
    ],
)
def test_a_header_is_understood(archive: bytes, expected: Member) -> None:
    assert next_member(io.BytesIO(archive + END).read) == (expected, archive)


@pytest.mark.parametrize(("kind", "file"), [(REGULAR, True), (HARD_LINK, True), (DIRECTORY, False), (FIFO, False)])
def test_names_of_files_are_told_from_other_members(kind: bytes, file: bool) -> None:
    assert first(header(kind=kind)).is_file is file


@pytest.mark.parametrize(
    ("archive", "why"),
    [
        (b"", "ends within"),
        (header()[:-1], "ends within"),
        (note(b"x" * 600, b"L")[:-1], "ends within"),
        (header().replace(b"file", b"life", 1).replace(b"./", b".."), "checksum"),
        (pax(b"path=a") + END, "checksum"),
        (header(size=b"0000000008\0\0"), "letters"),
        (header(size=b"1 1\0".ljust(12, b"\0")), "letters"),
        (pax(b"path=a") + pax(b"size=1") + header(), "several"),
        (header(kind=b"x", size=b"%011o\0" % (17 << 20)), "too large"),
        (pax(b"path=a", b"path=b") + header(), "two values of path"),
        (pax(b"path=a") + note(b"b\0", b"L") + header(), "two values of path"),
        (pax(b"GNU.sparse.name=a", b"GNU.sparse.name=b") + header(), r"two values of GNU\.sparse\.name"),
        (pax(b"path=a", kind=b"g") + header(), "sets path for all"),
        (note(b"9 path=a\n ") + header(), "extended header"),
        (note(b"9 path=ab") + header(), "cannot be read"),
        (note(b"99 path=a\n") + header(), "cannot be read"),
        (note(b"7 path\n") + header(), "cannot be read"),
        (note(b"x path=a\n") + header(), "something else instead of a number"),
        (note(b"path=a\n") + header(), "something else instead of a number"),
        (note(b"9" * 5000 + b" path=a\n") + header(), "something else instead of a number"),
        (pax(b"size=-1") + header(), "something else instead of a number"),
        (pax(b"path=a\0b") + header(), "zero byte"),
        (header(b"./name/"), "looks like another"),
        (header(kind=SYMBOLIC_LINK, size=b"00000000001\0"), "looks like another"),
    ],
)
def test_what_programs_could_understand_differently_is_damaged(archive: bytes, why: str) -> None:
    with pytest.raises(Damaged, match=why):
        next_member(io.BytesIO(archive).read)


NAMES = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name and not name.endswith(b"/"))


@settings(max_examples=60, deadline=None)
@given(name=NAMES, link=NAMES, layout=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
def test_names_are_read_as_python_writes_them(name: bytes, link: bytes, layout: int) -> None:
    about = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
    about.type, about.linkname = SYMBOLIC_LINK, link.decode("utf-8", "surrogateescape")
    member = first(about.tobuf(layout, "utf-8", "surrogateescape"))
    assert (member.name, member.link) == (about.name, about.linkname)


@pytest.mark.parametrize(
    ("kind", "name", "link"),
    [
        (DIRECTORY, "./", ""),
        (DIRECTORY, ".", ""),
        (REGULAR, "./a..b/..c", ""),
        (FIFO, "-", ""),
        (HARD_LINK, "./a/b", "./c"),
        (SYMBOLIC_LINK, "./a", "b"),
        (SYMBOLIC_LINK, "./a/b", "../c"),
        (SYMBOLIC_LINK, "./a/b", ".//.././c/d"),
        (SYMBOLIC_LINK, "./a/b/c", "../.."),
    ],
)
def test_what_stays_in_the_tree_is_restored(kind: bytes, name: str, link: str) -> None:
    assert refusal(kind, name, link, allow_outside_links=False) is None


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize(
    ("kind", "name", "link", "why"),
    [
        (b"3", "./null", "", "device"),
        (b"4", "./disk", "", "device"),
        (b"S", "./old sparse", "", "unknown kind"),
        (REGULAR, "", "", "its name"),
        (REGULAR, "/etc/passwd", "", "its name"),
        (REGULAR, "../passwd", "", "its name"),
        (DIRECTORY, "./a/../b", "", "its name"),
        (SYMBOLIC_LINK, "a/..", "b", "its name"),
        (HARD_LINK, "./a", "/etc/passwd", "hard link out of the tree, to /etc/passwd"),
        (HARD_LINK, "./a", "./b/../../c", "hard link out of the tree"),
    ],
)
def test_what_leaves_the_tree_is_refused(kind: bytes, name: str, link: str, why: str, allowed: bool) -> None:
    assert why in (refusal(kind, name, link, allowed) or "")


@pytest.mark.parametrize(
    ("name", "link"),
    [("./a", "/etc"), ("./a", ".."), ("./a/b", "../../c"), ("./a/b", "c/.."), ("./a/b", "../x/../..")],
)
def test_symbolic_links_out_of_the_tree_are_refused_unless_allowed(name: str, link: str) -> None:
    assert "symbolic link out of the tree" in (refusal(SYMBOLIC_LINK, name, link, allow_outside_links=False) or "")
    assert refusal(SYMBOLIC_LINK, name, link, allow_outside_links=True) is None


def test_names_are_taken_apart() -> None:
    assert list(parents("./a//b/c")) == ["a", "a/b"]
    assert list(parents("./")) == []
    assert [plain(name) for name in ("./", ".", "./a/./b/", "-x")] == ["", "", "a/b", "-x"]
    assert [padded(size) for size in (0, 1, 512, 513)] == [0, 512, 512, 1024]


def test_names_quoted_by_tar_are_read() -> None:
    assert unquoted(rb"./a\ b\:\\n\n\t\303\244\377\\303") == "./a b:\\n\n\tä\udcff\\303"


def walked(archive: bytes, outside: bool = False) -> tuple[Examined, bytes]:
    seen: list[bytes] = []
    return walk(io.BytesIO(archive).read, outside, seen.append), b"".join(seen)


FILE = header(size=b"00000001000\0") + b"x" * 512


def test_an_archive_is_counted_and_passed_on() -> None:
    members = header(b"./", DIRECTORY) + FILE + header(b"./l", HARD_LINK, b"./file") + header(b"./s", b"2", b"/")
    archive = members + pax(b"comment=again") + FILE
    examined, seen = walked(archive + bytes(8192), outside=True)
    assert examined == Examined(files=2, members=5, plain_bytes=len(archive) + 8192, outside_links=1)
    assert seen == archive + END
    assert walked(END) == (Examined(0, 0, 1024, 0), END)


def test_only_what_is_chosen_is_passed_on() -> None:
    seen: list[bytes] = []
    other = header(b"./other", size=b"00000000001\0") + b"y" * 512
    asked: list[str] = []

    def chosen(member: Member) -> bool:
        asked.append(member.name)
        return member.name == "./other"

    walk(io.BytesIO(FILE + other + FILE + END).read, True, seen.append, chosen)
    assert b"".join(seen) == other + END
    assert len(asked) == 3


def test_nothing_is_passed_on_from_the_first_that_is_refused() -> None:
    seen: list[bytes] = []
    bad = b"".join(header(b"../%d" % number, size=b"00000000001\0") + bytes(512) for number in range(7))
    with pytest.raises(Damaged, match="7 members may not be restored, so nothing is: '../0': its name") as caught:
        walk(io.BytesIO(FILE + bad + FILE + END).read, True, seen.append)
    assert b"".join(seen) == FILE
    assert "../4" in caught.value.message
    assert "../5" not in caught.value.message


@pytest.mark.parametrize("outside", [False, True])
def test_a_hard_link_to_a_symbolic_link_is_one_too(outside: bool) -> None:
    """Higher up, the same text leads out of the tree; and what is behind it would be written there."""
    link = header(b"./a/b/up", SYMBOLIC_LINK, b"../../c")
    again = header(b"./up", HARD_LINK, b"./a/b/up")
    with pytest.raises(Damaged, match=r"'\./up/passwd': it is behind a symbolic link"):
        walked(link + again + header(b"./up/passwd") + END, outside)
    with pytest.raises(Damaged, match=r"'\./x': it is a hard link to \./up/passwd, which is behind a symbolic link"):
        walked(link + again + header(b"./x", HARD_LINK, b"./up/passwd") + END, outside)
    if outside:
        assert walked(link + again + END, outside)[0].members == 2
    else:
        with pytest.raises(Damaged, match="a symbolic link that leads out of the tree from here"):
            walked(link + again + END)


def test_a_hard_link_to_a_symbolic_link_that_stays_in_the_tree() -> None:
    link, again = header(b"./a/up", SYMBOLIC_LINK, b"../c"), header(b"./b/up", HARD_LINK, b"./a/up")
    assert walked(link + again + FILE + END)[0].members == 3


def test_a_member_behind_a_symbolic_link_is_refused() -> None:
    link = header(b"./a/link", SYMBOLIC_LINK, b"b")
    with pytest.raises(Damaged, match=r"1 member .*'a/link/x': it is behind a symbolic link"):
        walked(link + header(b"./a/linked") + header(b"a/link/x") + END)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda archive: archive[:-512], "its end is missing"),
        (lambda archive: archive[:-1024], "ends within a member"),
        (lambda archive: archive[:1000], "ends within a file"),
        (lambda archive: archive + b"x", "something follows"),
        (lambda archive: archive[:-512] + FILE + END, "something follows"),
    ],
)
def test_an_archive_that_is_cut_off_or_continued_is_damaged(change: Callable[[bytes], bytes], why: str) -> None:
    with pytest.raises(Damaged, match=why):
        walked(change(FILE + END))
