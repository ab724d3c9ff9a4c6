# SPDX-License-Identifier: GPL-3.0-or-later
"""One at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import ROOM, Locked, holder, locked


def test_the_second_is_told_who_is_first(tmp_path: Path) -> None:
    path = str(tmp_path / ".lock")
    with locked(path, "a backup of shop"), pytest.raises(Locked) as caught, locked(path, "a restore of shop"):
        raise AssertionError("two at once")
    message = caught.value.message
    assert message.startswith("Cannot begin a restore of shop: a backup of shop")
    assert f"process {os.getpid()}" in message
    assert "for 0 s" in message


def test_it_is_free_afterwards_and_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    for _turn in range(2):
        with locked(str(path), "a backup"):
            assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text().strip("\0") == ""
        assert path.stat().st_blocks * 512 == ROOM


def test_it_is_free_after_a_failure(tmp_path: Path) -> None:
    path = str(tmp_path / ".lock")
    with pytest.raises(RuntimeError), locked(path, "a backup"):
        raise RuntimeError
    with locked(path, "a backup"):
        pass


def test_a_killed_holders_lock_is_stale(tmp_path: Path) -> None:
    path = str(tmp_path / ".lock")
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        with locked(path, "a backup of shop"):
            os.write(mouth, b".")
            signal.pause()
    os.read(ear, 1)
    with pytest.raises(Locked, match=f"process {child}"), locked(path, "a restore of shop"):
        raise AssertionError("two at once")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert str(child) in Path(path).read_text()
    with locked(path, "a restore of shop"):
        pass


def test_a_holder_that_has_not_said_who_it_is(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with locked(str(path), "a backup"):
        path.write_text("?")
        with pytest.raises(Locked, match="another process is running"), locked(str(path), "a restore"):
            raise AssertionError("two at once")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(DockerVpsError, match="Cannot begin a backup: "), locked(str(tmp_path / ".lock"), "a backup"):
        raise AssertionError("followed")
    assert not (tmp_path / "victim").exists()


def test_it_waits_for_the_holder(tmp_path: Path) -> None:
    path = str(tmp_path / ".lock")
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(path, "a release"):
            ready.set()
            done.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    ready.wait(10)
    threading.Timer(0.05, done.set).start()
    with locked(path, "another release", wait=60):
        assert done.is_set()
        assert "another release" in Path(path).read_text()
    holder.join()


def test_it_waits_only_as_long_as_asked(tmp_path: Path) -> None:
    path = str(tmp_path / ".lock")
    began = time.monotonic()
    with locked(path, "a release"), pytest.raises(Locked, match="a release"), locked(path, "another", wait=0.01):
        raise AssertionError("two at once")
    assert 0.01 <= time.monotonic() - began < 10


def test_a_full_disk_takes_no_text_and_is_locked_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / ".lock")

    def full(descriptor: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with locked(path, "a backup"), pytest.raises(Locked, match="another process is running"), locked(path, "a restore"):
        raise AssertionError("two at once")


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    message = r"Cannot begin a backup: the lock .*/\.lock cannot be taken: No locks available\. That file system has no"
    with pytest.raises(DockerVpsError, match=message), locked(str(tmp_path / ".lock"), "a backup"):
        raise AssertionError("locked")


def test_what_is_no_file_is_no_lock(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".lock")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(DockerVpsError, match="is not a regular file, so it is not a lock. Remove it"):
        locked(str(tmp_path / ".lock"), "a backup").__enter__()
    with pytest.raises(DockerVpsError, match="cannot be made: No such file or directory"):
        locked(str(tmp_path / "none/.lock"), "a backup").__enter__()
    assert len(os.listdir("/proc/self/fd")) == before


def test_who_is_at_work_is_seen_without_the_lock(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    assert holder(str(path)) is None
    with locked(str(path), "a backup of shop"):
        held = holder(str(path))
        assert held
        assert str(held) == f"a backup of shop (process {os.getpid()})"
        assert held.pid == os.getpid()
        assert 0 <= time.time() - held.since < 60
    assert holder(str(path)) is None
    for content in (
        '{"what": "a backup", "pid": 99999999, "since": 1}',
        f'{{"what": "a backup", "pid": {os.getpid()}}}',
        '{"what": "a backup", "pid": 1e400, "since": 1}',
        '{"what": "a backup"}',
        "[]",
        "{",
        '{"what": 1, "pid": "x"}',
    ):
        path.write_text(content)
        assert holder(str(path)) is None
