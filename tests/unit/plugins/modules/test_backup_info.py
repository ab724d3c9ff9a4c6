# SPDX-License-Identifier: GPL-3.0-or-later
"""The module backup_info: its exits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.plugins.modules.backup_info import main
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import SET_ID, publish


@pytest.fixture
def sets(tmp_path: Path) -> Sets:
    sets = Sets(str(tmp_path / "backups"), "shop")
    publish(sets)
    return sets


@pytest.mark.parametrize("check", [False, True])
def test_main(exit_of: Any, sets: Sets, check: bool) -> None:
    ended = exit_of(main, check=check, app="shop", directory=sets.directory)
    assert ended.code == 0
    assert ended.result["changed"] is False
    assert [row["id"] for row in ended.result["sets"]] == [SET_ID]
    assert ended.result["newest_good"]["id"] == SET_ID
    assert len(ended.result["summary"]) == 2


def test_main_looks_as_closely_as_is_wanted(exit_of: Any, sets: Sets) -> None:
    publish(sets, "20260130-020000")
    ended = exit_of(main, app="shop", directory=sets.directory, set=SET_ID, verify="full")
    (row,) = ended.result["sets"]
    assert len(row["problems"]) == 2
    ended = exit_of(main, app="shop", directory=sets.directory, verify="full", fail_on_problems=True)
    assert ended.code == 1
    assert ended.result["msg"].startswith(f"Backups of shop in {sets.directory} cannot be relied on")
    assert len(ended.result["sets"]) == 2
