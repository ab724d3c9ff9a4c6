# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees go into an archive and come back the same, whatever happens to them meanwhile, and whatever was made before."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import resource
import shutil
import socket
import stat
import struct
import subprocess
import tarfile
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Iterator, Mapping, Optional, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.archive_index import LARGE
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.archive_index import write as write_index
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.tar_members import Damaged, Examined
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.archive import (
    Written,
    examine,
    extract,
    extract_content,
    write,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.archive_file import Earlier
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.packed import CHUNKS
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.runs import planned
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = os.geteuid() == 0
KINDS = pytest.mark.parametrize("kind", ["gzip", "zstd", "none"])
NOISE = random.Random(1).getrandbits(24 << 20).to_bytes(3 << 20, "big")


@pytest.fixture(name="tree")
def a_tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def packed(
    tree: Path,
    kind: str = "none",
    instead: Mapping[str, str] = MappingProxyType({}),
    leave_out: Sequence[str] = (),
    wanted: Sequence[str] = (),
) -> Written:
    target = tree.parent / "archive"
    target.unlink(missing_ok=True)
    return write(str(target), str(tree), kind, instead=instead, leave_out=leave_out, wanted=wanted)


def restored(tree: Path, kind: str = "none", **options: object) -> Path:
    into = tree.parent / "restored"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    extract(str(tree.parent / "archive"), kind, str(into), **options)  # type: ignore[arg-type]
    return into


def facts(root: Path) -> dict[bytes, tuple[object, ...]]:
    """Everything about a tree that a backup must keep."""
    found: dict[bytes, tuple[object, ...]] = {}
    first_names: dict[int, bytes] = {}
    for directory, directories, files in os.walk(os.fsencode(root)):
        for name in (b".", *sorted(directories), *sorted(files)):
            path = os.path.join(directory, name)
            about = os.lstat(path)
            relative = os.path.relpath(path, os.fsencode(root))
            content: object = None
            if stat.S_ISREG(about.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).digest() if about.st_size < 1 << 30 else about.st_size
            elif stat.S_ISLNK(about.st_mode):
                content = os.readlink(path)
            attributes = {key: os.getxattr(path, key, follow_symlinks=False) for key in attribute_names(path)}
            owner = (about.st_mode, about.st_uid, about.st_gid)
            same = first_names.setdefault(about.st_ino, relative)
            found[relative] = (*owner, about.st_mtime_ns, content, attributes, same)
    return found


def attribute_names(path: bytes) -> list[str]:
    return sorted(os.listxattr(path, follow_symlinks=False))


def set_attribute(path: Path, name: str, value: bytes) -> None:
    with suppress(OSError):  # Not every file system takes every attribute.
        os.setxattr(path, name, value)


def furnish(tree: Path) -> None:
    """Make one of everything."""
    (tree / "empty directory").mkdir(mode=0o2770)
    names = ["plain", "--checkpoint=1", "*", "[a]?", "new\nline", "tab\t", "back\\nslash", "colon: x", " link to ", "ä"]
    for name in [*names, os.fsdecode(b"caf\xe9\xff"), "n" * 255]:
        (tree / name).write_text(name, errors="surrogateescape")
    deep = tree
    for letter in "abc":
        deep /= letter * 120
    deep.mkdir(parents=True)
    (deep / "deep").write_bytes(NOISE[:100_000])
    os.link(tree / "plain", deep / "hard link to ")
    (tree / "link").symlink_to(os.path.join("a" * 120, "b" * 120, "c" * 120, "deep"))
    (tree / "dangling").symlink_to("nowhere\n")
    os.mkfifo(tree / "fifo", 0o620)
    (tree / "setuid").write_bytes(b"")
    (tree / "setuid").chmod(0o6755)
    with open(tree / "sparse", "wb") as file:
        file.truncate(9 << 30)
        file.seek(8 << 30)
        file.write(b"far away")
    set_attribute(tree / "plain", "user.colour", b"blue\0green")
    set_attribute(tree, "user.root", b"yes")
    # An access list: owner rw, user 1234 r, group r, mask r, others nothing. See acl(5) and linux/posix_acl_xattr.h.
    entries = [(1, 6, -1), (2, 4, 1234), (4, 4, -1), (16, 4, -1), (32, 0, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    set_attribute(tree / "ä", "system.posix_acl_access", acl)
    set_attribute(tree / "empty directory", "system.posix_acl_default", acl)
    if ROOT:
        os.chown(tree / "*", 54321, 65432)
        os.chown(tree / "dangling", 54321, 65432, follow_symlinks=False)
        # cap_net_bind_service, permitted and effective; see linux/capability.h.
        set_attribute(tree / "setuid", "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
    for number, path in enumerate(sorted(tree.rglob("*"), reverse=True)):
        os.utime(path, ns=(0, 1_600_000_000_123_456_789 + number), follow_symlinks=False)
    tree.chmod(0o1751)
    os.utime(tree, ns=(0, 987_654_321))


@KINDS
def test_a_tree_comes_back_the_same(tree: Path, kind: str) -> None:
    furnish(tree)
    before = facts(tree)
    written = packed(tree, kind)
    target = tree.parent / "archive"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert written.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert written.bytes == target.stat().st_size
    assert (written.inconsistent, written.vanished, written.skipped, written.missing) == ((), (), (), ())
    examined = examine(str(target), kind, sha256=written.sha256)
    assert examined == Examined(written.files, written.members, written.plain_bytes, 0)
    kinds = [stat.S_IFMT(os.lstat(os.path.join(os.fsencode(tree), name)).st_mode) for name in before]
    assert written.files == kinds.count(stat.S_IFREG)
    into = restored(tree, kind, sha256=written.sha256)
    assert facts(into) == before
    assert (into / "sparse").stat().st_blocks < 1000


@KINDS
def test_an_unchanged_tree_gives_the_same_bytes(tree: Path, kind: str) -> None:
    furnish(tree)
    first = packed(tree, kind)
    restored(tree, kind)
    assert packed(tree, kind) == first


@pytest.mark.parametrize(("kind", "options"), [("gzip", "xzf"), ("zstd", "--zstd -xf"), ("none", "xf")])
def test_plain_tar_opens_it(tree: Path, kind: str, options: str) -> None:
    (tree / "zeros").write_bytes(bytes(2 << 20))
    (tree / "text").write_text("text\n" * 300_000)
    (tree / "noise").write_bytes(NOISE)
    (tree / "link").symlink_to("text")
    packed(tree, kind, instead={"copy": str(tree / "text")})
    into = tree.parent / "restored"
    into.mkdir()
    command = ["tar", *options.split(), str(tree.parent / "archive"), "-C", str(into)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    (tree / "copy").write_text((tree / "text").read_text())
    assert {path.name: path.read_bytes() for path in into.iterdir()} == {
        path.name: path.read_bytes() for path in tree.iterdir()
    }


def test_what_others_packed_is_restored(tree: Path) -> None:
    furnish(tree)
    (tree / "sparse").unlink()
    subprocess.run(["tar", "-C", tree, "-czf", tree.parent / "archive", "."], check=True)
    into = restored(tree, "gzip")
    assert (into / "new\nline").read_text() == "new\nline"
    assert len(facts(into)) == len(facts(tree))


@pytest.mark.parametrize("size", [1, 511, 512, 10_240, (1 << 19) - 512, (1 << 19) + 1, 3 << 20])
def test_zeros_at_the_end_are_kept(tree: Path, size: int) -> None:
    # --sparse finds no holes here: the zeros are data.
    (tree / "z").write_bytes(b"x" + bytes(size))
    other = tree.parent / "other"
    other.write_bytes(b"y" + bytes(size))
    packed(tree, instead={"zz": str(other)})
    into = restored(tree)
    assert (into / "z").read_bytes() == b"x" + bytes(size)
    assert (into / "zz").read_bytes() == b"y" + bytes(size)


def test_files_are_taken_instead_and_left_out(tree: Path) -> None:
    odd = "sub/* \\n\n--x"
    (tree / "sub").mkdir()
    (tree / "sub" / "keep").write_text("keep")
    (tree / "subx").write_text("keep")
    (tree / odd).write_text("live")
    for name in ("db", "db-wal", "db-shm", "x-wal", "[x]"):
        (tree / name).write_text("live")
    (tree / "cache").mkdir()
    (tree / "cache" / "much").write_text("much")
    copy = tree.parent / "a copy"
    copy.write_text("consistent")
    copy.chmod(0o640)
    os.utime(copy, ns=(0, 1_500_000_000_000_000_001))
    written = packed(
        tree,
        instead={"db": str(copy), odd: os.path.relpath(copy)},
        leave_out=["db-wal", "./db-shm", "cache/", "[x]", "*-wal"],
        wanted=["db", odd, "sub/keep", "db-wal", "gone", "sub"],
    )
    assert written.missing == ("db-wal", "gone", "sub")
    assert written.files == 5
    into = restored(tree)
    assert sorted(str(path.relative_to(into)) for path in into.rglob("*")) == sorted(
        ["db", "sub", "sub/keep", "subx", "x-wal", odd]
    )
    assert facts(into)[b"db"][:5] == facts(tree.parent)[b"a copy"][:5]
    assert (into / odd).read_text() == "consistent"


def test_a_root_of_any_name_and_by_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "-a\\n *\n: b"
    tree.mkdir()
    (tree / "file").write_text("x")
    monkeypatch.chdir(tree.parent)
    written = write("archive", tree.name, "gzip", instead={"other": f"{tree.name}/file"}, leave_out=[])
    assert written.files == 2
    assert sorted(path.name for path in restored(tree, "gzip").iterdir()) == ["file", "other"]


def test_sockets_are_reported(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("a \n:socket")
        written = packed(tree)
    assert written.skipped == ("a \n:socket",)


def test_options_of_the_user_are_not_used(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAR_OPTIONS", "--no-such-option")
    assert packed(tree).members == 2


TREES = st.recursive(
    st.one_of(st.binary(max_size=600), st.integers(0, 5000).map(bytes), st.text("./ab", min_size=1, max_size=9)),
    lambda children: st.dictionaries(
        st.binary(min_size=1, max_size=40).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b"..")),
        children,
        max_size=4,
    ),
    max_leaves=6,
)


def build(place: bytes, content: object) -> None:
    if isinstance(content, dict):
        os.mkdir(place)
        for name, below in content.items():
            build(os.path.join(place, name), below)
    elif isinstance(content, str):
        os.symlink(content, place)
    elif isinstance(content, bytes):
        Path(os.fsdecode(place)).write_bytes(content)


@settings(max_examples=12, deadline=None)
@given(content=st.dictionaries(st.sampled_from([b"a", b"\xff", b"-"]), TREES, max_size=3))
def test_any_tree_comes_back_the_same(content: dict[bytes, object]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch, "tree")
        build(os.fsencode(tree), content)
        packed(tree, "gzip")
        assert facts(restored(tree, "gzip", allow_outside_links=True)) == facts(tree)


class Series:
    """Archives of a tree, each made with the one before, long after the tree was changed."""

    def __init__(self, tree: Path, kind: str = "gzip", shared: bool = False, trust: int = 6) -> None:
        self.tree, self.kind, self.trust = tree, kind, trust
        self.shared = str(tree.parent / CHUNKS) if shared else ""
        self.made: list[Written] = []
        self.earlier: Optional[Earlier] = None

    def make(self, instead: Mapping[str, str] = MappingProxyType({}), **options: Any) -> Written:
        """Make the next one."""
        number = len(self.made)
        place = self.tree.parent / f"set {number}" if self.shared else self.tree.parent
        place.mkdir(exist_ok=True)
        path = place / f"{number}{'.index' if self.shared else ''}"
        written = write(
            str(path),
            str(self.tree),
            self.kind,
            instead=instead,
            leave_out=[],
            earlier=self.earlier,
            trust=self.trust,
            shared=self.shared,
            now=time.time() + 1000,
            **options,
        )
        if self.shared:
            text = write_index(written.index)
            path = self.tree.parent / path.name
            path.write_text(text)
            written = replace(written, sha256=hashlib.sha256(text.encode()).hexdigest())
            Path(self.shared).mkdir(exist_ok=True)
            for chunk in (place / CHUNKS).glob("*"):
                chunk.rename(Path(self.shared, chunk.name))
        self.made.append(written)
        self.earlier = Earlier(str(path), written.sha256, written.bytes, written.index, written.unread)
        return written

    def restored(self, number: int) -> dict[bytes, tuple[object, ...]]:
        """Unpack one of them, and return all about it."""
        into = self.tree.parent / "restored"
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        path = self.tree.parent / f"{number}{'.index' if self.shared else ''}"
        extract(str(path), self.kind, str(into), sha256=self.made[number].sha256, allow_outside_links=True)
        return facts(into)

    def inode(self, number: int) -> int:
        return (self.tree.parent / str(number)).stat().st_ino


SHARED = pytest.mark.parametrize("shared", [False, True], ids=["files", "shared"])


@KINDS
def test_an_unchanged_archive_is_one_more_name_of_the_last_one(tree: Path, kind: str) -> None:
    furnish(tree)
    before = facts(tree)
    series = Series(tree, kind)
    first, second, third = series.make(), series.make(), series.make()
    assert (first.new_bytes, second.new_bytes, third.new_bytes) == (first.bytes, 0, 0)
    assert series.inode(0) == series.inode(1) == series.inode(2)
    for later in (second, third):
        assert replace(later, new_bytes=first.new_bytes, unread=0) == first
    assert [written.unread for written in series.made] == [0, 1, 2]
    assert series.restored(2) == before


@KINDS
@SHARED
def test_what_changed_is_in_the_next_archive(tree: Path, kind: str, shared: bool) -> None:
    furnish(tree)
    (tree / "noise").write_bytes(NOISE)
    series = Series(tree, kind, shared)
    series.make()
    states = [facts(tree)]
    (tree / "tab\t").write_text("changed")
    (tree / "new").write_text("new")
    (tree / "dangling").unlink()
    states.append(facts(tree))
    assert series.make().new_bytes < (400_000 if shared else series.made[0].bytes + 20_000)
    shutil.rmtree(tree / ("a" * 120))
    (tree / "noise").write_bytes(NOISE[:-5] + b"other")
    states.append(facts(tree))
    assert series.make().new_bytes < (1_500_000 if shared else series.made[0].bytes)
    assert [series.restored(number) for number in range(3)] == states


@SHARED
@settings(max_examples=8, deadline=None)
@given(
    states=st.lists(
        st.dictionaries(st.sampled_from([b"a", b"\xff", b"-", b"b", b"c", b"d"]), TREES), min_size=2, max_size=4
    ),
    sizes=st.lists(st.sampled_from([10, LARGE - 1, LARGE, LARGE + 5000, 3 << 20]), min_size=4, max_size=4),
)
def test_any_tree_after_any_other_comes_back_the_same(
    shared: bool, states: list[dict[bytes, object]], sizes: list[int]
) -> None:
    """What is the same in both stays as it is, and all else goes, comes, or is another."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch, "tree")
        tree.mkdir()
        series = Series(tree, shared=shared)
        before: dict[bytes, object] = {}
        expected = []
        for state, size in zip(states, sizes):
            for name in before:
                if before[name] != state.get(name):
                    subprocess.run(["rm", "-rf", "--", os.path.join(os.fsencode(tree), name)], check=True)
            for name in state:
                if name not in before or before[name] != state[name]:
                    build(os.path.join(os.fsencode(tree), name), state[name])
            (tree / "z").write_bytes(NOISE[:size])
            before = state
            expected.append(facts(tree))
            series.make()
        assert [series.restored(number) for number in range(len(expected))] == expected


def test_names_of_one_file_stay_names_of_one_file(tree: Path) -> None:
    """Though they are in several runs, of which one has changed: GNU tar sees all of the names, or none."""
    for name in ("a", "m", "z"):
        (tree / name).mkdir()
        (tree / name / "large").write_bytes(NOISE[: LARGE + ord(name)])
    (tree / "a" / "one").write_bytes(b"x")
    os.link(tree / "a" / "one", tree / "m" / "one")
    os.link(tree / "m" / "one", tree / "z" / "one")
    series = Series(tree)
    series.make()
    (tree / "m" / "new").write_text("new")
    series.make()
    assert series.restored(1) == facts(tree)
    (tree / "a" / "one").unlink()
    series.make()
    assert series.restored(2) == facts(tree)


@SHARED
def test_after_so_many_archives_all_is_read(tree: Path, shared: bool) -> None:
    furnish(tree)
    series = Series(tree, shared=shared, trust=2)
    counts = [series.make().unread for _turn in range(5)]
    assert counts == [0, 1, 2, 0, 1]
    assert [written.new_bytes for written in series.made[1:]] == [0] * 4


def test_what_only_reading_finds_is_found_then(tree: Path) -> None:
    """A disk that changed a file by itself, so that nothing of the file system tells."""
    (tree / "a").write_text("good")
    series = Series(tree, trust=1)
    index = series.make().index
    (tree / "a").write_text("evil")
    (now,) = planned(str(tree), (), io.BytesIO(), io.BytesIO(), time.time() + 1000, set(), print)
    assert series.earlier is not None
    told = tuple(replace(run, key=now.key) if run.key else run for run in index.runs)
    series.earlier = replace(series.earlier, index=replace(index, runs=told))
    for number, found in ((1, b"good"), (2, b"evil")):
        series.make()
        assert hashlib.sha256(found).digest() in series.restored(number)[b"a"]


@KINDS
def test_a_damaged_archive_is_not_used(tree: Path, kind: str) -> None:
    (tree / "noise").write_bytes(NOISE)
    (tree / "text").write_text("text")
    series = Series(tree, kind)
    series.make()
    path = tree.parent / "0"
    data = path.read_bytes()
    path.write_bytes(data[:70_000] + bytes([data[70_000] ^ 1]) + data[70_001:])
    (tree / "text").write_text("other")
    assert series.make().useless == f"{path} is not what was written"
    assert series.restored(1) == facts(tree)
    for wrong in (data[:-1], data + b"x"):
        path.write_bytes(wrong)
        series.earlier = Earlier(str(path), series.made[0].sha256, series.made[0].bytes, series.made[0].index)
        assert series.make().useless == f"{path} has another size than its index says"
        assert series.restored(len(series.made) - 1) == facts(tree)
    path.unlink()
    series.earlier = Earlier(str(path), series.made[0].sha256, series.made[0].bytes, series.made[0].index)
    assert series.make().useless == f"{path} cannot be read: No such file or directory"


def test_a_chunk_that_is_gone_is_made_again(tree: Path) -> None:
    (tree / "noise").write_bytes(NOISE)
    series = Series(tree, shared=True)
    series.make()
    chunk = max(Path(series.shared).iterdir(), key=lambda path: path.stat().st_size)
    chunk.unlink()
    assert chunk.name in series.make().useless
    assert chunk.exists()
    assert series.restored(0) == series.restored(1) == facts(tree)


def test_a_chunk_that_is_damaged_is_mended_when_all_is_read(tree: Path) -> None:
    (tree / "noise").write_bytes(NOISE)
    series = Series(tree, shared=True, trust=1)
    series.make()
    chunk = max(Path(series.shared).iterdir(), key=lambda path: path.stat().st_size)
    data = chunk.read_bytes()
    chunk.write_bytes(bytes(len(data)))
    assert series.make().useless == ""
    with pytest.raises(Damaged, match="is not what was written"):
        series.restored(1)
    assert series.make().new_bytes == len(data)
    assert series.restored(0) == series.restored(1) == series.restored(2) == facts(tree)


def test_where_there_are_no_hard_links_the_archive_is_copied(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(tree)
    series = Series(tree)
    series.make()

    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    second = series.make()
    assert second.new_bytes == second.bytes == series.made[0].bytes
    assert series.inode(0) != series.inode(1)
    assert series.restored(1) == facts(tree)
    assert not [*tree.parent.glob("*.same")]


@SHARED
def test_a_copy_that_takes_the_place_of_a_file_is_new_each_time(tree: Path, shared: bool) -> None:
    """But takes no space when it is the same."""
    (tree / "a").write_text("a")
    copy = tree.parent / "copy"
    copy.write_bytes(NOISE)
    series = Series(tree, shared=shared)
    series.make(instead={"db": str(copy)})
    assert series.make(instead={"db": str(copy)}).new_bytes == 0
    copy.write_bytes(NOISE[: 1 << 20] + b"changed" + NOISE[(1 << 20) + 7 :])
    third = series.make(instead={"db": str(copy)})
    assert third.new_bytes < (1_200_000 if shared else third.bytes + 1)
    into = tree.parent / "restored"
    series.restored(2)
    assert (into / "db").read_bytes() == copy.read_bytes()


def test_what_vanished_with_its_directory_is_there_when_that_is_back(tree: Path, meanwhile: Meanwhile) -> None:
    (tree / "a").write_bytes(NOISE)
    (tree / "b").mkdir()
    (tree / "b" / "c").write_text("c")
    script = f"test -e {tree.parent}/away || mv {tree}/b {tree.parent}/away"
    series = Series(tree)
    before = facts(tree)
    meanwhile(script)
    assert series.make().vanished == ("b", "b/c")
    (tree.parent / "away").rename(tree / "b")
    (tree.parent / "away").mkdir()
    series.make()
    after = series.restored(1)
    assert after[b"b/c"] == before[b"b/c"]


@SHARED
def test_a_name_of_a_file_whose_first_name_went_elsewhere_is_a_file(tree: Path, shared: bool) -> None:
    """Nothing of the other name has changed, not even the number of its names, and yet it cannot stay a link."""
    for name in ("a", "b"):
        (tree / name).mkdir()
        (tree / name / "large").write_bytes(NOISE[: LARGE + ord(name)])
    (tree / "a" / "one").write_bytes(b"one")
    os.link(tree / "a" / "one", tree / "b" / "one")
    series = Series(tree, shared=shared)
    series.make()
    (tree / "a").rename(tree.parent / "elsewhere")
    series.make()
    assert series.restored(1) == facts(tree)
    (tree.parent / "elsewhere").rename(tree / "a")
    series.make()
    assert series.restored(2) == facts(tree)


@pytest.mark.skipif(not ROOT, reason="only root mounts a tree so that no link in it is followed")
def test_a_link_in_the_place_of_a_directory_is_not_followed(tree: Path, meanwhile: Meanwhile) -> None:
    (tree / "a").mkdir()
    (tree / "a" / "0").write_bytes(NOISE)
    (tree / "a" / "secret").write_text("of the tree")
    outside = tree.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("of the host")
    meanwhile(f"test -L {tree}/a || {{ mv {tree}/a {tree.parent}/away; ln -s {outside} {tree}/a; }}")
    written = packed(tree)
    assert written.vanished == ("a/secret",)
    assert b"of the host" not in (tree.parent / "archive").read_bytes()


def test_directories_that_were_exchanged_and_are_back_are_read_again(tree: Path, meanwhile: Meanwhile) -> None:
    for name, text in (("a", "OLD"), ("a.new", "NEW")):
        (tree / name).mkdir()
        (tree / name / "0").write_bytes(NOISE)
        (tree / name / "x").write_text(text)
    exchange = f"mv {tree}/a {tree}/t; mv {tree}/a.new {tree}/a; mv {tree}/t {tree}/a.new"
    once = tree.parent / "once"
    meanwhile(f"test -e {once} || {{ touch {once}; {exchange}; }}")
    series = Series(tree)
    series.make()
    subprocess.run(["sh", "-c", exchange], check=True)
    series.make()
    assert series.restored(1) == facts(tree)


def test_a_wanted_file_in_a_run_that_is_kept_is_not_missing(tree: Path) -> None:
    (tree / "a").write_text("a")
    series = Series(tree)
    series.make()
    assert series.make(wanted=["a", "b"]).missing == ("b",)


class Meanwhile:
    """Runs a script in the midst of GNU tar's work: each time when it has put half a MiB out."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._place = place
        self._place.mkdir()
        self._path = os.environ["PATH"]
        monkeypatch.setenv("PATH", str(place), prepend=os.pathsep)

    def __call__(self, script: str, before: str = "") -> None:
        action = f"--checkpoint=1 --checkpoint-action=exec={self._place}/script"
        lines = {"script": script, "tar": f"{before}\nPATH='{self._path}'\nexec tar {action} \"$@\""}
        for name, text in lines.items():
            (self._place / name).write_text(f"#!/bin/sh\n{text}\n")
            (self._place / name).chmod(0o755)


@pytest.fixture(name="meanwhile")
def tar_with_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    return Meanwhile(tmp_path / "bin", monkeypatch)


@pytest.mark.parametrize("change", ["echo more >> {0}", "truncate -s 100000 {0}"])
def test_a_file_that_changes_is_read_again(tree: Path, meanwhile: Meanwhile, change: str) -> None:
    (tree / "a").write_bytes(b"a")
    (tree / "log").write_bytes(NOISE)
    os.link(tree / "log", tree / "b")
    os.link(tree / "log", tree / "left out")
    (tree / "zeros").write_bytes(bytes(1 << 20))
    once = tree.parent / "once"
    meanwhile(f"test -e {once} || {{ {change.format(tree / 'log')}; touch {once}; }}")
    written = packed(tree, leave_out=["left out"])
    assert written.inconsistent == ()
    assert (written.files, written.members) == (4, 4 + 2 + 2 + 1)
    target = str(tree.parent / "archive")
    assert examine(target, "none") == Examined(written.files, written.members, written.plain_bytes, 0)
    into = restored(tree)
    expected = facts(tree)
    del expected[b"left out"]
    assert facts(into) == expected
    assert (into / "b").samefile(into / "log")


def test_a_file_that_never_stops_changing_is_torn(tree: Path, meanwhile: Meanwhile) -> None:
    (tree / "log").write_bytes(NOISE)
    meanwhile(f"echo more >> '{tree}/log'; echo . >> {tree.parent}/count")
    written = packed(tree)
    assert written.inconsistent == ("log",)
    # The tree's own directory at the start and the end, and the file and the directory again, three times.
    assert (written.files, written.members) == (1, 3 + 3 * 2)


def test_a_file_that_goes_while_it_is_read_is_torn(tree: Path, meanwhile: Meanwhile) -> None:
    (tree / "log").write_bytes(NOISE)
    meanwhile(f"rm -f '{tree}/log'")
    written = packed(tree, wanted=["log"])
    assert (written.inconsistent, written.vanished, written.missing) == (("log",), (), ())
    assert (restored(tree) / "log").read_bytes() == NOISE


def test_a_file_that_goes_before_it_is_read_again_is_torn(tree: Path, meanwhile: Meanwhile) -> None:
    (tree / "log").write_bytes(NOISE)
    once = tree.parent / "once"
    script = f"test -e {once} || {{ echo more >> '{tree}/log'; touch {once}; }}"
    meanwhile(script, before=f"if test -e {once}; then rm '{tree}/log'; fi")
    written = packed(tree)
    assert written.inconsistent == ("log",)
    assert written.vanished == ()


def test_a_file_that_is_gone_has_vanished(tree: Path, meanwhile: Meanwhile) -> None:
    (tree / "big").write_bytes(NOISE)
    (tree / "c d").write_bytes(b"")
    meanwhile(f"rm -f '{tree}/c d'")
    written = packed(tree, wanted=["big", "c d"])
    assert (written.vanished, written.missing, written.inconsistent) == (("c d",), ("c d",), ())


def test_names_that_come_and_go_do_not_make_a_directory_torn(tree: Path, meanwhile: Meanwhile) -> None:
    (tree / "sub").mkdir()
    (tree / "sub" / "big").write_bytes(NOISE)
    meanwhile(f"date +%N > '{tree}/sub/'$$")
    written = packed(tree)
    assert (written.inconsistent, written.files) == ((), 1)


def test_a_copy_must_not_change(tree: Path, meanwhile: Meanwhile) -> None:
    copy = tree.parent / "copy"
    copy.write_bytes(NOISE)
    meanwhile(f"echo more >> {copy}")
    with pytest.raises(DockerVpsError, match="The copy of db changed while it was archived"):
        packed(tree, instead={"db": str(copy)})
    assert not (tree.parent / "archive").exists()


def no_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def test_nothing_is_overwritten(tree: Path) -> None:
    target = tree.parent / "archive"
    target.write_text("precious")
    with pytest.raises(DockerVpsError, match="archive of .* cannot be written: File exists"):
        write(str(target), str(tree), "gzip", instead={}, leave_out=[])
    assert target.read_text() == "precious"


@KINDS
def test_a_full_disk_leaves_nothing(tree: Path, kind: str) -> None:
    (tree / "big").write_bytes(NOISE * 3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(DockerVpsError, match="cannot be written: File too large. Choose a disk that takes"):
            packed(tree, kind)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tree.parent / "archive").exists()
    assert no_children()


@pytest.mark.parametrize("kind", ["gzip", "zstd", "none"])
def test_nothing_is_read_beyond_what_the_manifest_says(tree: Path, kind: str) -> None:
    """Zeros, of which a small archive may hold any number: as a file, and behind the end of the archive."""
    with (tree / "zeros").open("wb") as file:
        file.write(bytes(64 << 20))
    written = write(str(tree.parent / "archive"), str(tree), kind, instead={}, leave_out=[])
    path, into = str(tree.parent / "archive"), tree.parent / "into"
    assert examine(path, kind, plain_bytes=written.plain_bytes).plain_bytes == written.plain_bytes
    into.mkdir()
    with pytest.raises(Damaged, match=r"archive: It holds more than the 1024 bytes that its manifest says\."):
        extract(path, kind, str(into), plain_bytes=1024)
    assert sum(one.stat().st_size for one in into.rglob("*") if one.is_file()) < 2 << 20


def test_what_stands_in_the_place_of_an_archive_makes_nobody_wait(tree: Path) -> None:
    os.mkfifo(tree.parent / "pipe")
    (tree.parent / "link").symlink_to("/dev/zero")
    with pytest.raises(DockerVpsError, match="pipe cannot be read: it is a pipe or a device"):
        examine(str(tree.parent / "pipe"), "none")
    with pytest.raises(DockerVpsError, match="link cannot be read: it is a symbolic link"):
        extract(str(tree.parent / "link"), "none", str(tree))


def test_a_hard_link_to_a_symbolic_link_comes_back(tree: Path) -> None:
    (tree / "sub").mkdir(exist_ok=True)
    (tree / "first").symlink_to("sub")
    os.link(tree / "first", tree / "sub/second", follow_symlinks=False)
    packed(tree, "none")
    into = restored(tree, "none")
    assert os.readlink(into / "first") == os.readlink(into / "sub/second") == "sub"
    assert (into / "first").lstat().st_ino == (into / "sub/second").lstat().st_ino


def test_a_missing_tree_or_copy_is_an_error(tree: Path) -> None:
    with pytest.raises(DockerVpsError, match=r"gone cannot be archived: No such file"):
        packed(tree / "gone")
    with pytest.raises(DockerVpsError, match="The copy of db changed"):
        packed(tree, instead={"db": str(tree / "gone")})
    assert no_children()


def fake(monkeypatch: pytest.MonkeyPatch, place: Path, name: str, script: str) -> None:
    place.mkdir()
    (place / name).write_text(f"#!/bin/sh\n{script}\n")
    (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(place), prepend=os.pathsep)


def test_any_other_word_of_tar_is_an_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.which("tar")
    fake(monkeypatch, tree.parent / "bin", "tar", f'echo "tar: ./x: Read error at byte 0" >&2; exec {real} "$@"')
    with pytest.raises(DockerVpsError, match=r"cannot be archived: tar: \./x: Read error at byte 0\."):
        packed(tree)


def test_a_tar_that_is_killed_is_an_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, tree.parent / "bin", "tar", "kill -9 $$")
    with pytest.raises(DockerVpsError, match="cannot be archived: tar was stopped with no output"):
        packed(tree)


def test_more_is_left_out_than_a_command_line_holds(tree: Path) -> None:
    before = packed(tree).members
    names = [f"{'tenant-' * 25}{number}.db-journal" for number in range(15_000)]
    for name in names[:50]:
        (tree / name).write_text("left out")
    assert sum(map(len, names)) > 2_500_000
    assert packed(tree, leave_out=names).members == before


@pytest.mark.parametrize("name", ["a\nb", " a", "a ", "a\t", "a\r", "#a", "!a", "a\\", "a*", "\udcff", "ä"])
def test_names_are_left_out_letter_by_letter(tree: Path, name: str) -> None:
    for path in (name, "a", "a\n", "b", "ab", f"{name}b"):
        (tree / path).write_text("x")
    packed(tree, leave_out=[name])
    assert {*os.listdir(tree)} - {*os.listdir(restored(tree))} == {name}


def test_any_number_of_names_of_any_kind_is_left_out(tree: Path) -> None:
    """More than a command line takes."""
    names = [f"{'x' * 240}{number}\n" for number in range(15_000)]
    (tree / names[-1]).write_text("x")
    (tree / names[-1].strip()).write_text("y")
    assert packed(tree, leave_out=names).files == 1


def test_a_host_without_tar_is_told_so(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tree))
    message = "GNU tar cannot be started: No such file or directory. Install it: apt-get install tar"
    with pytest.raises(DockerVpsError, match=message):
        packed(tree)


def test_an_archive_that_cannot_be_read_is_told(tree: Path) -> None:
    with pytest.raises(DockerVpsError, match="nothing cannot be read: No such file"):
        examine(str(tree / "nothing"), "gzip")


@KINDS
def test_a_damaged_archive_is_not_restored(tree: Path, kind: str) -> None:
    (tree / "noise").write_bytes(NOISE)
    written = packed(tree, kind)
    target = tree.parent / "archive"
    whole = target.read_bytes()
    with pytest.raises(Damaged, match=f"has the SHA-256 {written.sha256}, not 00"):
        examine(str(target), kind, sha256="00")
    with pytest.raises(Damaged, match="not 00"):
        restored(tree, kind, sha256="00")
    target.write_bytes(whole[:-12_000])
    with pytest.raises(Damaged, match="archive: .* damaged"):
        examine(str(target), kind, sha256=written.sha256)
    with pytest.raises(Damaged, match="archive: .* damaged"):
        restored(tree, kind)
    assert no_children()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"") -> tuple[object, object]:
    about = tarfile.TarInfo(name)
    about.type, about.linkname, about.size, about.mode = kind, link, len(content), 0o644
    return about, io.BytesIO(content)


def malicious() -> Iterator[tuple[str, list[tuple[object, object]]]]:
    yield "absolute", [member("/{0}/evil", content=b"evil")]
    yield "up", [member("../evil", content=b"evil")]
    yield "hard link", [member("link", tarfile.LNKTYPE, "/{0}/victim"), member("link", content=b"evil")]
    yield "symbolic link", [member("link", tarfile.SYMTYPE, "../victim"), member("link", content=b"evil")]
    yield "device", [member("device", tarfile.CHRTYPE)]


@pytest.mark.parametrize(
    ("what", "members"), list(malicious()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_malicious_archives_are_refused(
    tree: Path, what: str, members: list[tuple[tarfile.TarInfo, io.BytesIO]]
) -> None:
    (tree.parent / "victim").write_text("precious")
    with tarfile.open(tree.parent / "archive", "w") as archive:
        archive.addfile(tarfile.TarInfo("good"))
        for about, content in members:
            about.name = about.name.format(tree.parent)
            about.linkname = about.linkname.format(tree.parent)
            archive.addfile(about, content)
    with pytest.raises(Damaged, match="members? may not be restored"):
        restored(tree)
    assert [path.name for path in (tree.parent / "restored").iterdir()] in ([], ["good"])
    assert sorted(path.name for path in tree.parent.iterdir()) == ["archive", "restored", "tree", "victim"]
    assert (tree.parent / "victim").read_text() == "precious"


def test_nothing_is_written_through_a_link_even_when_links_out_are_allowed(tree: Path) -> None:
    outside = tree.parent / "outside"
    outside.mkdir()
    with tarfile.open(tree.parent / "archive", "w") as archive:
        for about, content in (member("d", tarfile.SYMTYPE, str(outside)), member("d/evil", content=b"evil")):
            archive.addfile(about, content)  # type: ignore[arg-type]
    with pytest.raises(Damaged, match="behind a symbolic link"):
        restored(tree, allow_outside_links=True)
    assert list(outside.iterdir()) == []


def test_links_out_are_counted_and_need_leave(tree: Path) -> None:
    (tree / "link").symlink_to("/etc/hostname")
    packed(tree)
    assert examine(str(tree.parent / "archive"), "none", allow_outside_links=True).outside_links == 1
    with pytest.raises(Damaged, match="symbolic link out of the tree, to /etc/hostname"):
        examine(str(tree.parent / "archive"), "none")
    assert os.readlink(restored(tree, allow_outside_links=True) / "link") == "/etc/hostname"


@pytest.mark.parametrize("size", [1, len(NOISE)])
def test_what_tar_says_ends_a_restore(tree: Path, size: int) -> None:
    (tree / "file").write_bytes(NOISE[:size])
    packed(tree)
    with pytest.raises(DockerVpsError, match=r"cannot be restored into .*gone: tar: .*gone: Cannot open"):
        extract(str(tree.parent / "archive"), "none", str(tree / "gone"))
    assert no_children()


def test_a_restore_that_may_not_last_is_an_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed(tree)
    fake(monkeypatch, tree.parent / "bin", "sync", "echo 'sync: error syncing' >&2; exit 1")
    with pytest.raises(DockerVpsError, match="restored, but may not last: sync: error syncing"):
        restored(tree)


def mounted(place: Path) -> bool:
    done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False)
    return done.returncode == 0


def test_deeper_mounts_are_not_followed_and_the_tree_may_be_one(tree: Path) -> None:
    if not mounted(tree):
        pytest.skip("no file system can be mounted here")
    try:
        (tree / "mount").mkdir()
        (tree / "file").write_text("x")
        assert mounted(tree / "mount")
        (tree / "mount" / "other").write_text("x")
        written = packed(tree)
    finally:
        for place in (tree / "mount", tree):
            subprocess.run(["umount", place], capture_output=True, check=False)
    assert (written.files, written.skipped) == (1, ("mount",))
    assert sorted(path.name for path in restored(tree).rglob("*")) == ["file", "mount"]


@KINDS
def test_the_content_of_one_file_is_restored_with_its_holes(tree: Path, kind: str) -> None:
    (tree / "deep").mkdir()
    with (tree / "deep/sparse").open("wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 20)
        file.write(b"data")
    (tree / "other").write_bytes(b"other")
    packed(tree, kind)
    into = tree.parent / "content"
    into.mkdir()
    chosen = str(tree.parent / "archive"), kind, str(into), lambda member: member.name.endswith("sparse")
    extract_content(*chosen, allow_outside_links=False)
    (found,) = [path for path in into.rglob("*") if path.is_file()]
    assert (found.relative_to(into), found.stat().st_size) == (Path("deep/sparse"), 1 << 30)
    assert found.stat().st_blocks * 512 < 1 << 22


def test_an_archive_that_changed_since_it_was_examined_gives_no_content(tree: Path) -> None:
    (tree / "file").write_bytes(b"content")
    packed(tree)
    path = tree.parent / "archive"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(Damaged):
        extract_content(str(path), "none", str(tree.parent), lambda _member: True, allow_outside_links=False)
