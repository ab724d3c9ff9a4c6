# SPDX-License-Identifier: GPL-3.0-or-later
"""The members of a tree come in GNU tar's order, and a run has another key when anything of it has changed."""

from __future__ import annotations

import io
import os
import resource
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Callable, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.archive_index import LARGE
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.runs import FRESH, Planned, linked_to, planned

LATER = time.time() + 1000


def plan(root: Path, leave_out: Sequence[str] = (), now: float = LATER) -> tuple[list[Planned], list[list[bytes]]]:
    """Return the runs of a tree, and the names in each."""
    names = io.BytesIO()
    runs = planned(str(root), leave_out, names, io.BytesIO(), now, set(), print)
    text = names.getvalue()
    assert [run.start for run in runs[1:]] == [run.end for run in runs[:-1]]
    return runs, [text[run.start : run.end].split(b"\0")[:-1] for run in runs]


def keys(root: Path) -> list[str]:
    return [run.key for run in plan(root)[0]]


@pytest.fixture(name="tree")
def a_tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for name in ("b/c/deep", "b/z", "b-", "b.txt", "a", "ä", "Z", "b/c.d/x", "new\nline"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    (tree / os.fsdecode(b"\xff\xfe")).write_text("not UTF-8")
    (tree / "large").write_bytes(bytes(LARGE))
    (tree / "link").symlink_to("b")
    os.mkfifo(tree / "b" / "fifo")
    (tree / "empty").mkdir()
    return tree


def test_the_order_is_that_of_gnu_tar(tree: Path) -> None:
    command = ["tar", "--create", "--file=-", "--sort=name", "--format=posix", f"--directory={tree}", "."]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as tar:
        listed = [os.fsencode(member.name) for member in tar]
    assert [name for run in plan(tree)[1] for name in run] == listed[1:]


def test_a_large_file_is_a_run_of_its_own(tree: Path) -> None:
    assert [b"./large"] in plan(tree)[1]


def test_what_is_left_out(tree: Path) -> None:
    found = [name for run in plan(tree, ["b", "new\nline", "empty"])[1] for name in run]
    assert [name for name in found if name.startswith(b"./b") or b"\n" in name or b"empty" in name] == [
        b"./b-",
        b"./b.txt",
    ]


def test_an_unchanged_tree_has_the_same_keys(tree: Path) -> None:
    assert keys(tree) == keys(tree)
    assert len(set(keys(tree))) == len(keys(tree))
    assert "" not in keys(tree)


def same_size_and_time(path: Path) -> None:
    about = path.stat()
    path.write_text("x" * about.st_size)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def other_inode(path: Path) -> None:
    shutil.copy2(path, path.parent / "copy")
    (path.parent / "copy").rename(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda path: path.write_text("other"),
    "content of the same size, with the time put back": same_size_and_time,
    "time": lambda path: os.utime(path, ns=(0, 5)),
    "mode": lambda path: path.chmod(0o600),
    "one more name": lambda path: os.link(path, path.parent.parent / "elsewhere"),
    "another name": lambda path: path.rename(path.parent / "y"),
    "name of its directory": lambda path: path.parent.rename(path.parent.parent / "e"),
    "another file": other_inode,
    "another kind": lambda path: (path.unlink(), path.mkdir()),
    "gone": lambda path: path.unlink(),
    "a neighbour": lambda path: (path.parent / "more").write_text("x"),
    "extended attribute": lambda path: os.setxattr(path, "user.x", b"y"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_what_has_changed_has_another_key(tree: Path, change: Callable[[Path], object]) -> None:
    before = keys(tree)
    try:
        change(tree / "b/c/deep")
    except OSError as error:
        pytest.skip(f"the file system has no such thing: {error}")
    after = keys(tree)
    assert after != before
    assert len(set(before) & set(after)) >= 1  # the large file and what comes after it


def test_what_is_fresh_has_no_key(tree: Path) -> None:
    """It may be changed again in the same moment as the file system counts them, and nothing would tell."""
    for path in tree.rglob("*"):
        os.utime(path, ns=(0, 10**9), follow_symlinks=False)
    now = (tree / "large").stat().st_ctime
    assert set(keys(tree)) - {""}
    assert {run.key for run in plan(tree, now=now + FRESH - 1)[0]} == {""}
    os.utime(tree / "large", (now + 5000, now + 5000))
    assert [run.key for run in plan(tree)[0]].count("") == 1


def test_names_of_one_file_belong_together() -> None:
    runs = [
        Planned("a", 0, 1, ((1, b""),)),
        Planned("b", 1, 2, ((2, b""),)),
        Planned("c", 2, 3, ()),
        Planned("d", 3, 4, ((1, b""), (3, b""))),
        Planned("e", 4, 5, ((3, b""),)),
    ]
    assert linked_to(runs, []) == set()
    assert linked_to(runs, [2]) == {2}
    assert linked_to(runs, [0]) == {0, 3, 4}
    assert linked_to(runs, [4, 1]) == {0, 1, 3, 4}


def test_a_tree_deeper_than_a_process_has_files(tmp_path: Path) -> None:
    deep = tmp_path / "tree"
    for _turn in range(300):
        deep /= "d"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        assert plan(tmp_path / "tree")[1][-1][-1] == b"./" + b"d/" * 300 + b"file"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_is_looked_for_and_there_is_taken_out(tree: Path) -> None:
    wanted = {"a", "b/c/deep", "b", "gone", "link"}
    planned(str(tree), (), io.BytesIO(), io.BytesIO(), LATER, wanted, print)
    assert wanted == {"b", "gone", "link"}


def test_what_goes_meanwhile_is_left_out(tree: Path) -> None:
    """A file, and a directory with what is in it, just when what comes before them was written down."""

    class Names(io.BytesIO):
        def write(self, data: object) -> int:
            if data == b"./a\0":
                (tree / "b.txt").unlink()
            if data == b"./b/c.d\0":
                shutil.rmtree(tree / "b" / "c.d")
            return super().write(data)  # type: ignore[arg-type]

    names = Names()
    planned(str(tree), (), names, io.BytesIO(), LATER, set(), print)
    found = names.getvalue().split(b"\0")
    assert b"./b.txt" not in found
    assert b"./b/c.d" in found  # GNU tar will say that it is gone
    assert b"./b/c.d/x" not in found
    assert b"./b/z" in found
