# SPDX-License-Identifier: GPL-3.0-or-later
"""Files appear whole or not at all, with their mode from the start."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import threading
from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import files
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.files import (
    Kept,
    copy_tree,
    make_directory,
    open_regular,
    read,
    refused,
    remove_tree,
    replace,
    sync_tree,
)

ME, MINE = os.geteuid(), os.getegid()
NEW = Kept("new\r\nGrüße\n", 0o600, ME, MINE)


def listing(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace(str(path), NEW)
    assert path.read_bytes() == "new\r\nGrüße\n".encode()
    assert read(str(path)) == NEW
    assert listing(tmp_path) == ["file"]


@pytest.mark.parametrize("wanted", [0o600, 0o640, 0o644, 0o400])
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path, wanted: int, umask: int) -> None:
    before = os.umask(umask)
    try:
        replace(str(tmp_path / "file"), Kept("x", wanted, ME, MINE))
    finally:
        os.umask(before)
    assert mode(tmp_path / "file") == wanted


@pytest.mark.skipif(ME != 0, reason="only root can give files away")
def test_the_owner_is_set(tmp_path: Path) -> None:
    replace(str(tmp_path / "file"), Kept("x", 0o600, 1234, 2345))
    assert read(str(tmp_path / "file")) == Kept("x", 0o600, 1234, 2345)


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with open(path) as reader:
        replace(str(path), NEW)
        # Who has opened the old file still reads all of it: it was not written into.
        assert reader.read() == "old"
        assert os.fstat(reader.fileno()).st_nlink == 0
    assert read(str(path)) == NEW


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [letter * 300_000 for letter in "ab"]
    replace(str(path), Kept(contents[0], 0o600, ME, MINE))
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for turn in range(20):
        replace(str(path), Kept(contents[turn % 2], 0o600, ME, MINE))
    done.set()
    watcher.join()
    assert seen
    assert seen <= set(contents)


def test_what_an_interrupted_run_left_does_not_stop_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_text("half of something much longer than the new content")
    (tmp_path / "file.partial").chmod(0o666)
    replace(str(tmp_path / "file"), NEW)
    assert read(str(tmp_path / "file")) == NEW
    assert listing(tmp_path) == ["file"]


def test_a_link_in_the_place_of_the_partial_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "file.partial").symlink_to(victim)
    with pytest.raises(DockerVpsError, match="file cannot be written"):
        replace(str(tmp_path / "file"), NEW)
    assert victim.read_text() == "precious"
    assert not (tmp_path / "file").exists()


def test_a_file_that_is_a_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "file").symlink_to("target")
    replace(str(tmp_path / "file"), NEW)
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "target").read_text() == "precious"


def directory_in_the_way(place: Path) -> Path:
    (place / "file").mkdir()
    return place / "file"


def no_directory(place: Path) -> Path:
    return place / "none/file"


def file_for_a_directory(place: Path) -> Path:
    (place / "plain").write_text("x")
    return place / "plain/file"


WHY = [
    (directory_in_the_way, "Is a directory"),
    (no_directory, "No such file or directory"),
    (file_for_a_directory, "Not a directory"),
]


@pytest.mark.parametrize(("make", "why"), WHY)
def test_a_failure_to_write_is_told_and_leaves_nothing(tmp_path: Path, make: Callable[[Path], Path], why: str) -> None:
    path = make(tmp_path)
    before = listing(tmp_path)
    with pytest.raises(DockerVpsError) as caught:
        replace(str(path), NEW)
    assert caught.value.message.startswith(f"{path} cannot be written: {why}. See with ls -l")
    assert listing(tmp_path) == before


def test_a_text_that_cannot_be_encoded_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        replace(str(path), Kept("\udc80", 0o600, ME, MINE))
    assert path.read_text() == "old"
    assert listing(tmp_path) == ["file"]


def test_a_name_without_a_directory_is_in_the_working_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    replace("file", NEW)
    make_directory("")
    assert read("file") == NEW


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert read(str(tmp_path / "none")) is None
    assert read(str(tmp_path / "none/none")) is None


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    with pytest.raises(DockerVpsError) as caught:
        read(str(tmp_path / "latin"))
    assert caught.value.message == (f"{tmp_path}/latin cannot be read: it is not UTF-8 text. Move it away or fix it.")
    with pytest.raises(DockerVpsError, match="cannot be read: Is a directory"):
        read(str(tmp_path))


def test_a_directory_is_made_with_its_parents_once(tmp_path: Path) -> None:
    place = tmp_path / "a/b"
    make_directory(str(place))
    assert mode(place) == 0o750
    place.chmod(0o700)
    make_directory(str(place))
    assert mode(place) == 0o700


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(DockerVpsError) as caught:
        make_directory(str(tmp_path / "dangling"))
    assert caught.value.message.startswith(
        f"The directory {tmp_path}/dangling cannot be created: File exists. See with ls -l"
    )


def test_nothing_is_left_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for _turn in range(3):
        replace(str(tmp_path / "file"), NEW)
        read(str(tmp_path / "file"))
        with pytest.raises(DockerVpsError):
            replace(str(tmp_path / "none/file"), NEW)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_it_is_durable_before_it_is_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def fsync(descriptor: int, real: Callable[[int], None] = os.fsync) -> None:
        facts = os.fstat(descriptor)
        calls.append("sync directory" if stat.S_ISDIR(facts.st_mode) else f"sync file of {facts.st_size} bytes")
        real(descriptor)

    def rename(old: str, new: str, real: Callable[[str, str], None] = os.replace) -> None:
        calls.append(f"rename {Path(old).name} to {Path(new).name}, mode {mode(Path(old)):o}")
        real(old, new)

    def give(descriptor: int, uid: int, gid: int, real: Callable[[int, int, int], None] = os.fchown) -> None:
        calls.append(f"give away, mode {stat.S_IMODE(os.fstat(descriptor).st_mode):o}")
        real(descriptor, uid, gid)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    monkeypatch.setattr(os, "fchown", give)
    (tmp_path / "file.partial").touch()
    (tmp_path / "file.partial").chmod(0o666)
    replace(str(tmp_path / "file"), Kept("text", 0o644, ME, MINE))
    assert calls == [
        "give away, mode 600",
        "sync file of 4 bytes",
        "rename file.partial to file, mode 644",
        "sync directory",
    ]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DockerVpsError, match="file cannot be written: No space left on device"):
        replace(str(tmp_path / "file"), NEW)
    assert (tmp_path / "file").read_text() == "old"
    assert listing(tmp_path) == ["file"]


def test_a_directory_is_copied_as_it_is(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep/er").mkdir(parents=True, mode=0o750)
    (source / "deep/file").write_bytes(b"x" * 5000)
    os.chmod(source / "deep/file", 0o640)
    os.utime(source / "deep/file", ns=(1_000_000_001, 2_000_000_002))
    os.link(source / "deep/file", source / "same")
    os.symlink("/nowhere", source / "link")
    os.mkfifo(source / "pipe")
    with open(source / "holes", "wb") as file:
        file.truncate(10**7)
    copy_tree(str(source), str(target))
    sync_tree(str(target))
    assert (target / "deep/file").read_bytes() == b"x" * 5000
    facts = (target / "deep/file").stat()
    assert (mode(target / "deep/file"), facts.st_mtime_ns, facts.st_nlink) == (0o640, 2_000_000_002, 2)
    assert (target / "same").stat().st_ino == facts.st_ino
    assert os.readlink(target / "link") == "/nowhere"
    assert stat.S_ISFIFO((target / "pipe").lstat().st_mode)
    assert (target / "holes").stat().st_blocks < 100
    assert mode(target / "deep/er") == mode(source / "deep/er")


def test_a_directory_that_is_not_there_is_not_copied(tmp_path: Path) -> None:
    with pytest.raises(DockerVpsError, match=r"/a cannot be copied to .*/b: No such file or directory\."):
        copy_tree(str(tmp_path / "a"), str(tmp_path / "b"))
    assert listing(tmp_path) == []


def test_a_host_without_cp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    message = r"GNU cp cannot be started: No such file or directory\. Install it: apt-get install coreutils\."
    with pytest.raises(DockerVpsError, match=message):
        copy_tree(str(tmp_path / "a"), str(tmp_path / "b"))


def test_what_cp_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    fake = tmp_path / "cp"
    fake.write_text("#!/bin/sh\necho \"cp: cannot open '$5/x': Input/output error\" >&2; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(DockerVpsError) as caught:
        copy_tree(str(tmp_path / "a"), str(tmp_path / "b"))
    assert caught.value.message == (
        f"{tmp_path}/a cannot be copied to {tmp_path}/b: cp: cannot open '{tmp_path}/a/x': Input/output error. "
        "Fix that, and run it again."
    )


def test_paths_that_the_kernel_takes_only_from_the_directory(tmp_path: Path) -> None:
    low = "/".join(["d" * 200] * 19 + ["n" * 150])
    (tmp_path / "a").mkdir()
    top = os.open(tmp_path / "a", os.O_RDONLY)
    for depth in range(1, 20):
        os.mkdir("/".join(["d" * 200] * depth), dir_fd=top)
    os.close(os.open(low, os.O_WRONLY | os.O_CREAT, dir_fd=top))
    os.close(top)
    with pytest.raises(OSError, match="File name too long"):
        os.lstat(tmp_path / ("x" * 200) / low)
    long = tmp_path / ("b" * 250)
    copy_tree(str(tmp_path / "a"), str(long))
    sync_tree(str(long))
    top = os.open(long, os.O_RDONLY)
    assert stat.S_ISREG(os.lstat(low, dir_fd=top).st_mode)
    os.close(top)
    assert [remove_tree(str(one)) for one in (long, tmp_path / "a")] == ["", ""]
    assert listing(tmp_path) == []


def test_a_tree_that_is_not_there_needs_no_removal(tmp_path: Path) -> None:
    assert remove_tree(str(tmp_path / "none")) == ""


@pytest.mark.skipif(ME != 0, reason="only root can forbid its own removals")
def test_what_stays_of_a_tree_is_told(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").touch()
    (tmp_path / "tree/other").touch()
    immutable(tmp_path / "tree/file", "+i")
    try:
        assert (
            remove_tree(str(tmp_path / "tree")) == f"rm: cannot remove '{tmp_path}/tree/file': Operation not permitted"
        )
        assert listing(tmp_path / "tree") == ["file"]
    finally:
        immutable(tmp_path / "tree/file", "-i")
    assert remove_tree(str(tmp_path / "tree")) == ""


def immutable(path: Path, how: str) -> None:
    subprocess.run(["chattr", how, path], check=True)


def test_a_directory_that_cannot_be_made_durable(tmp_path: Path) -> None:
    with pytest.raises(DockerVpsError, match=r"/a/b cannot be made durable: No such file or directory\."):
        sync_tree(str(tmp_path / "a/b"))


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(path))


def a_directory(path: Path) -> None:
    path.mkdir()


def a_link(path: Path) -> None:
    path.with_name("target").write_text("x")
    path.symlink_to("target")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (a_pipe, "it is a pipe or a device"),
        (a_socket, "it is a socket"),
        (a_directory, "Is a directory"),
        (a_link, "it is a symbolic link"),
    ],
)
def test_what_stands_in_the_place_of_a_file_makes_nobody_wait(
    tmp_path: Path, make: Callable[[Path], None], why: str
) -> None:
    make(tmp_path / "x")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(DockerVpsError, match=f"/x cannot be read: {why}"):
        read(str(tmp_path / "x"), links=False)
    with pytest.raises(OSError):
        open_regular(str(tmp_path / "x"))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_below_a_directory_that_is_open(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("below")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with open_regular(b"x", folder=folder) as file:
            assert file.read() == b"below"
    finally:
        os.close(folder)


def test_a_link_is_followed_where_that_is_wanted(tmp_path: Path) -> None:
    a_link(tmp_path / "x")
    found = read(str(tmp_path / "x"))
    assert found
    assert found.text == "x"


def test_a_file_of_an_absurd_size_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(DockerVpsError, match="it has 1000000000000 bytes, and 1000 are the most"):
        read(str(tmp_path / "x"), limit=1000)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_of_a_full_disk_its_place_is_told(tmp_path: Path, number: int) -> None:
    error = OSError(number, os.strerror(number))
    message = refused("/a/x cannot be written", error, str(tmp_path / "not/there")).message
    assert message.startswith(f"/a/x cannot be written: {os.strerror(number)} (the disk at /")
    assert " KiB free). " in message
    assert "become" not in message


def test_an_error_without_a_text_is_told_by_its_name() -> None:
    assert refused("x cannot be read", OSError()).message.startswith("x cannot be read: OSError. ")


@pytest.mark.parametrize(("number", "borne"), [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False)])
def test_a_file_system_that_cannot_make_renames_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, borne: bool
) -> None:
    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    if borne:
        replace(str(tmp_path / "x"), NEW)
    else:
        with pytest.raises(DockerVpsError, match=r"x cannot be written: Input/output error\. The disk has errors"):
            replace(str(tmp_path / "x"), NEW)
    assert read(str(tmp_path / "x")) == NEW


def test_an_error_of_the_disk_is_no_lack_of_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()

    def broken(descriptor: int) -> None:
        number = errno.EIO if stat.S_ISDIR(os.fstat(descriptor).st_mode) else errno.EINVAL
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(DockerVpsError, match="Invalid argument"):
        sync_tree(str(tmp_path))
    (tmp_path / "file").unlink()
    with pytest.raises(DockerVpsError, match=r"Input/output error\. The disk has errors"):
        sync_tree(str(tmp_path))


def test_a_file_system_that_is_read_only_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: object, **_words: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(os, "mkdir", refuse)
    message = r"Read-only file system\. That file system is mounted read-only"
    for act in (lambda: replace(str(tmp_path / "file"), NEW), lambda: make_directory(str(tmp_path / "new"))):
        with pytest.raises(DockerVpsError, match=message):
            act()


def test_a_file_is_written_again_with_its_mode_and_put_back(tmp_path: Path) -> None:
    path = str(tmp_path / "daemon.json")
    files.rewrite(path, "{}", None)
    made = files.read(path)
    assert made
    assert (made.text, made.mode) == ("{}", 0o644)
    os.chmod(path, 0o600)
    before = files.read(path)
    files.rewrite(path, "[]", before)
    after = files.read(path)
    assert after
    assert (after.text, after.mode) == ("[]", 0o600)
    files.put_back(path, before)
    assert files.read(path) == before
    for _turn in range(2):
        files.put_back(path, None)
        assert files.read(path) is None
