# SPDX-License-Identifier: GPL-3.0-or-later
"""The module backup_offsite_info: that it only reads, and that a failure shows no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.modules.backup_offsite_info import main
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import FakeProgram
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.modules.test_backup_offsite import (
    GIVEN,
    KEY,
    LOGIN,
    PASSWORD,
    REPOSITORY,
)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProgram:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return FakeProgram(tmp_path)


@pytest.mark.parametrize("check", [False, True])
def test_it_reads_in_check_mode_as_otherwise(program: FakeProgram, exit_of: Callable[..., Any], check: bool) -> None:
    program.answer(snapshots={"out": "[]"})
    ended = exit_of(main, check=check, host="web1", verify=True, read_data="5%", **GIVEN)
    assert ended.code == 0
    assert (ended.result["changed"], ended.result["sets"]) == (False, [])
    assert program.calls()[-1][0][-1] == "--read-data-subset=5%"
    assert ended.result["invocation"]["module_args"]["password"] == "(hidden)"


def test_a_failure_shows_no_secret(program: FakeProgram, exit_of: Callable[..., Any]) -> None:
    program.answer(cat={"code": 1, "err": f"Fatal: {REPOSITORY} {PASSWORD} {KEY} eu 1\n"})
    ended = exit_of(main, **GIVEN)
    assert ended.code == 1
    assert "*** *** eu 1. Is the storage up" in ended.result["msg"]
    for secret in (LOGIN, PASSWORD, KEY):
        assert secret not in ended.text
