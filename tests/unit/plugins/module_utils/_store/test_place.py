# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that can be exchanged, and refusals; real file systems are in tests/integration/test_places.py."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import re
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import place
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.place import LOOK, few, hindrance, holds

ROOT = os.geteuid() == 0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    made = tmp_path / "volume/_data"
    (made / "deep").mkdir(parents=True)
    return made


@pytest.fixture
def events(data: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A file system without unnamed files, and what is done in it."""
    done: list[str] = []
    real_open: Callable[..., int] = os.open

    def opened(path: Any, flags: int, *more: Any, **keywords: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real_open(path, flags, *more, **keywords)

    def noted(name: str) -> None:
        real = getattr(os, name)

        def act(*paths: Any, **keywords: Any) -> None:
            real(*paths, **keywords)
            done.append(" ".join([name, *(os.path.basename(one) for one in paths if isinstance(one, str))]))

        monkeypatch.setattr(os, name, act)

    monkeypatch.setattr(os, "open", opened)
    for name in ("mkdir", "rename", "rmdir"):
        noted(name)
    return done


def test_an_ordinary_place_and_nothing_is_left(data: Path) -> None:
    before = data.parent.stat().st_mtime_ns
    assert hindrance(str(data)) == ""
    assert os.listdir(data.parent) == ["_data"]
    assert data.parent.stat().st_mtime_ns == before


def test_where_no_file_goes_without_a_name(data: Path, events: list[str]) -> None:
    (data.parent / f"{LOOK}-2").mkdir()  # left by one who was killed
    events.clear()
    assert hindrance(str(data)) == ""
    one, two = LOOK, f"{LOOK}-2"
    tried = [f"mkdir {one}", f"rename {one} {two}", f"rename {two} {one}", f"rmdir {one}"]
    assert events == [f"rmdir {two}", *tried]
    assert os.listdir(data.parent) == ["_data"]


@pytest.mark.parametrize("by_name", [False, True])
def test_a_file_system_that_gives_nothing_away(
    data: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, by_name: bool
) -> None:
    if by_name:
        request.getfixturevalue("events")

    def refuse(_descriptor: int, uid: int, gid: int) -> None:
        assert (uid, gid) == (1, 1)
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", refuse)
    message = (
        f"The file system of {data.parent} gives nothing to another user (Operation not permitted), so the owners of"
    )
    assert hindrance(str(data)).startswith(message)
    assert os.listdir(data.parent) == ["_data"]


def test_who_is_not_root_gives_nothing_away(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "fchown", None)
    assert hindrance(str(data)) == ""


def test_a_file_system_that_renames_nothing(data: Path, events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_old: str, _new: str) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "rename", refuse)
    assert hindrance(str(data)).startswith(
        f"Nothing can be made, renamed and removed in {data.parent}: Invalid cross-device link. The data of a volume"
    )
    assert os.listdir(data.parent) == ["_data"]


def test_a_full_disk_is_told_as_such(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., int] = os.open

    def full(path: Any, flags: int, *more: Any, **keywords: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, flags, *more, **keywords)

    monkeypatch.setattr(os, "open", full)
    assert "No space left on device. The data of a volume is prepared beside it. Free some space" in hindrance(
        str(data)
    )


def test_attributes_are_those_of_the_kernel(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_descriptor: int, question: int, _flags: bytearray) -> None:
        assert question in (0x80086601, 0x80046601)
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    monkeypatch.setattr(fcntl, "ioctl", unknown)
    assert hindrance(str(data)) == ""

    def fixed(_descriptor: int, _question: int, flags: bytearray) -> None:
        flags[:4] = (0x10).to_bytes(4, sys.byteorder)

    monkeypatch.setattr(fcntl, "ioctl", fixed)
    assert hindrance(str(data)) == (
        f"{data} has the attribute immutable, so it cannot be renamed. Run chattr -i {data} first."
    )


def test_a_mount_point(tmp_path: Path) -> None:
    assert hindrance("/proc").startswith("/proc is a mount point, so it cannot be exchanged")


def test_what_is_mounted_below() -> None:
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        points = {line.split(" ")[4] for line in lines}
    fleeting = ("/proc", "/run", "/var/lib/docker")  # as those of containers
    above = {os.path.dirname(one) for one in points if not one.startswith(fleeting)} - points
    least = min(above, key=lambda folder: sum(1 for _folder in itertools.islice(os.walk(folder), 5000)))
    message = hindrance(least)
    assert re.match(r"(Another file system is|Other file systems are) mounted at ", message)
    assert f"moved aside with {least}. Unmount " in message


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    assert hindrance(str(tmp_path / "none")).startswith(f"{tmp_path}/none cannot be searched: No such file or")


def test_a_name_that_leaves_no_room_for_one_beside_it(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 229)
    long.mkdir()
    assert hindrance(str(long)) == ""
    longer = tmp_path / ("x" * 230)
    longer.mkdir()
    assert hindrance(str(longer)).startswith(f"The name of {longer} is too long")


def test_what_holds_what() -> None:
    assert holds("/a/b", "/a/b")
    assert holds("/a/b", "/a/b/c")
    assert holds("/", "/a")
    assert not holds("/a/b", "/a/bc")
    assert not holds("/a/b", "/a")


def test_few_of_many() -> None:
    assert few(["a", "b"]) == "a, b"
    assert few(["x" * 4000]) == "x" * 200 + "…"
    assert few(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert place.LOOK.startswith(".")
