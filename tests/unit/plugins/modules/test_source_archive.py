# SPDX-License-Identifier: GPL-3.0-or-later
"""The module source_archive on a real directory."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.modules.source_archive import main, run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "site/node_modules").mkdir(parents=True)
    for name in ("package.json", "page.tsx", "node_modules/index.js"):
        (tmp_path / "site" / name).write_text(name)
    return tmp_path / "site"


def packed(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def test_what_is_chosen_is_packed(root: Path, tmp_path: Path) -> None:
    dest = tmp_path / "site.tar.gz"
    assert run(str(root), str(dest), "page.tsx\nnode_modules", False) == {"changed": True, "files": 1}
    assert packed(dest) == ["package.json"]


def test_check_mode_counts_and_packs_nothing(root: Path, tmp_path: Path) -> None:
    dest = tmp_path / "site.tar.gz"
    assert run(str(root), str(dest), "", True) == {"changed": True, "files": 3}
    assert not dest.exists()


def test_no_sources_make_no_archive(root: Path, tmp_path: Path) -> None:
    dest = tmp_path / "site.tar.gz"
    with pytest.raises(InvalidInput, match="hold no files"):
        run(str(root), str(dest), "*", False)
    assert not dest.exists()


@pytest.mark.parametrize("check", [False, True])
def test_main_chooses_as_docker_does(exit_of: Any, root: Path, tmp_path: Path, check: bool) -> None:
    dest = tmp_path / "site.tar.gz"
    ended = exit_of(main, check=check, path=str(root), dest=str(dest), ignore="**/node_modules\n")
    assert (ended.code, ended.result["files"], ended.result["changed"]) == (0, 2, True)
    if check:
        assert not dest.exists()
    else:
        assert packed(dest) == ["package.json", "page.tsx"]


def test_main_fails_with_a_sentence(exit_of: Any, tmp_path: Path) -> None:
    ended = exit_of(main, path=str(tmp_path / "none"), dest=str(tmp_path / "x"))
    assert ended.code == 1
    assert (
        ended.result["msg"]
        == f"The sources {tmp_path}/none are not a directory on the controller. Correct docker_vps_source_path."
    )
