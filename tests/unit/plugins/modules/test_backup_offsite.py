# SPDX-License-Identifier: GPL-3.0-or-later
"""The module backup_offsite: its parameters, and that nothing it says holds a secret."""

from __future__ import annotations

import json
import syslog
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.plugins.modules.backup_offsite import main
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import FakeProgram, publish_packed

LOGIN, PASSWORD, KEY = "l0gin-word", "repos1tory-word", "s3cr3t-key"
REPOSITORY = f"rest:https://user:{LOGIN}@backup.example.com/shop"
GIVEN = {
    "app": "shop",
    "repository": REPOSITORY,
    "password": PASSWORD,
    "environment": {"AWS_SECRET_ACCESS_KEY": KEY, "AWS_REGION": "eu", "NUMBER": 1},
}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProgram:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return FakeProgram(tmp_path / "bin")


def test_a_copy(
    program: FakeProgram, tmp_path: Path, exit_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(syslog, "syslog", lambda _priority, text: logged.append(text))

    publish_packed(Sets(str(tmp_path / "backups"), "shop"), db=b"database")
    summary = {"message_type": "summary", "snapshot_id": "9b87ab0b", "data_added": 8}
    program.answer(snapshots={"out": "[]"}, backup={"out": json.dumps(summary)})
    ended = exit_of(main, directory=str(tmp_path / "backups"), **GIVEN)
    assert ended.code == 0
    assert ended.result["sets"][0]["bytes"] == 8
    assert ended.result["repository"] == "rest:https://user:***@backup.example.com/shop"
    shown = ended.result["invocation"]["module_args"]
    assert shown["environment"] == {"AWS_SECRET_ACCESS_KEY": "(hidden)", "AWS_REGION": "(hidden)", "NUMBER": "(hidden)"}
    assert (shown["password"], shown["repository"]) == ("(hidden)", ended.result["repository"])
    assert logged
    for secret in (LOGIN, PASSWORD, KEY):
        assert secret not in ended.text
        assert secret not in "".join(logged)
    assert program.calls()[0][1]["NUMBER"] == "1"


def test_a_retention_that_cannot_be_meant(program: FakeProgram, tmp_path: Path, exit_of: Callable[..., Any]) -> None:
    ended = exit_of(main, state="pruned", directory=str(tmp_path), daily=0, weekly=0, monthly=0, **GIVEN)
    assert ended.code == 1
    assert "would remove every set but the newest" in ended.result["msg"]
    assert program.calls() == []
