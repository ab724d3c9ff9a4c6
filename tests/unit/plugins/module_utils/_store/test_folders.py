# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of a tree, each once, whatever happens to them meanwhile."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.folders import LONGEST, folders, is_too_long


def test_each_directory_once_with_what_is_in_it(tmp_path: Path) -> None:
    for path in ("a/b", "c"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "file").touch()
    os.symlink(tmp_path / "a", tmp_path / "link")
    found = {folder: sorted(os.listdir(descriptor)) for folder, descriptor in folders(str(tmp_path))}
    assert found == {"": ["a", "c", "link"], "a": ["b"], "a/b": ["file"], "c": ["file"]}


def test_one_that_goes_meanwhile_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    found = []
    for folder, _descriptor in folders(str(tmp_path)):
        found.append(folder)
        if folder == "a":
            shutil.rmtree(tmp_path / "a/b")
            (tmp_path / "a/b").touch()
    assert found == ["", "a"]


@pytest.mark.parametrize("root", ["none", "file", "link"])
def test_what_is_no_directory(tmp_path: Path, root: str) -> None:
    (tmp_path / "file").touch()
    os.symlink(tmp_path, tmp_path / "link")
    with pytest.raises(OSError, match=f"{root}"):
        list(folders(str(tmp_path / root)))


def test_nothing_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    before = os.listdir("/proc/self/fd")
    list(folders(str(tmp_path)))
    for _folder in folders(str(tmp_path)):
        break
    with pytest.raises(OSError):
        list(folders(str(tmp_path / "none")))
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_what_is_too_long() -> None:
    assert not is_too_long("x" * LONGEST)
    assert is_too_long("x" * LONGEST + "y")
    assert is_too_long("ä" * (LONGEST // 2) + "y")
