# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written down of work under way, and what is left of it."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.progress import Work, work_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.progress_file import (
    ProgressFile,
    begin_step,
    count_bytes,
    new_name,
    reported,
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "run/docker-vps"


def test_steps_and_bytes_are_written_down_for_their_owner_only_and_removed(place: Path) -> None:
    name = new_name()
    with reported(name, str(place)):
        begin_step("db.tar.gz is written", 4096)
        written = work_of((place / name).read_text())
        assert written
        assert (written.step, written.done, written.total) == ("db.tar.gz is written", 0, 4096)
        assert stat.S_IMODE((place / name).stat().st_mode) == 0o600
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert list(place.iterdir()) == []
    begin_step("nobody has asked")
    count_bytes(1)


def test_it_is_removed_when_the_work_fails(place: Path) -> None:
    with pytest.raises(RuntimeError), reported(new_name(), str(place)):
        raise RuntimeError
    assert list(place.iterdir()) == []


def test_what_is_counted_is_written_once_a_second(tmp_path: Path) -> None:
    seconds = iter([0.0, 0.0, 0.4, 1.5, 1.6, 2.0, 2.0])
    path = tmp_path / "progress"
    with path.open("wb") as file:
        progress = ProgressFile(file.fileno(), lambda: next(seconds))

        def written() -> Work:
            found = work_of(path.read_text())
            assert found
            return found

        progress.begin("x" * 5000, 100)
        assert written() == Work("x" * 200, 0, 100, 0.0)
        progress.count(10)
        assert written().done == 0
        progress.count(10)
        assert written() == Work("x" * 200, 20, 100, 1.5)
        progress.count(10)
        assert written().done == 20
        progress.begin("next", 0)
        assert written() == Work("next", 0, 0, 0.0)
        assert path.stat().st_size == 4096


def test_a_step_of_letters_that_json_writes_long_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    with path.open("wb") as file:
        ProgressFile(file.fileno()).begin("\N{GRINNING FACE}" * 500, 1)
    assert work_of(path.read_text())


def test_what_killed_processes_left_is_removed_and_nothing_else(place: Path) -> None:
    place.mkdir(parents=True)
    left, at_work, other = (place / name for name in (new_name(), new_name(), "note"))
    for path in (left, at_work, other):
        path.touch()
    (place / new_name()).symlink_to(other)
    with at_work.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with reported(new_name(), str(place)):
            assert not left.exists()
            assert at_work.exists()
    assert other.exists()


@pytest.mark.parametrize("name", ["", "../progress-0123456789abcdef", "progress-x", "progress-0123456789abcdef/x"])
def test_another_name_than_ours_is_not_taken(place: Path, name: str) -> None:
    with reported(name, str(place)):
        begin_step("x")
    assert not place.exists()


def test_work_goes_on_where_nothing_can_be_written_down(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with reported(new_name(), str(tmp_path / "file/below")):
        begin_step("x")
    name = new_name()
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    with reported(name, str(tmp_path)):
        begin_step("x")
    assert not (tmp_path / "elsewhere").exists()
    nowhere = os.open(os.devnull, os.O_RDONLY)
    ProgressFile(nowhere).begin("x", 0)
    os.close(nowhere)
