# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor on a real stack: three ways to break it, and the commands that it names. All are in ``make doctor``."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Iterator

import pytest
from lab import docker, until
from patients import HEALTHY_WITHIN, Stack

ENDS_WITHIN = 10.0  # seconds


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack("it-patient", tmp_path_factory.mktemp("it-patient"), 18089)
    made.build()
    until(made.is_well, HEALTHY_WITHIN, "the application is healthy")
    yield made
    made.remove()


def files_of(database: Path) -> list[tuple[str, int, int]]:
    facts = [(path.name, path.stat()) for path in sorted(database.parent.iterdir())]
    return [(name, stat.S_IMODE(seen.st_mode), seen.st_uid) for name, seen in facts]


def test_a_healthy_stack_has_no_finding_and_a_report_names_no_machine(stack: Stack) -> None:
    before = files_of(stack.database)
    report = stack.place / "report.json"
    played = stack.app.playbook("doctor", docker_vps_doctor_report=str(report)).succeeded()
    assert " 0 findings, " in played.text
    assert played.recap["changed"] == 0
    found = json.loads(report.read_text())
    assert found["findings"] == []
    assert {"database-damaged", "proxy-stale", "env-wrong", "backup"} <= set(found["looked_at"])
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert files_of(stack.database) == before


@pytest.mark.parametrize("cause", ["app-paused", "network-app", "database-modes"])
def test_the_cause_comes_first_and_its_command_mends_it(stack: Stack, cause: str) -> None:
    if cause == "app-paused":
        docker("pause", stack.container)
    elif cause == "network-app":
        docker("network", "disconnect", stack.app.network, stack.container)
    else:
        os.chown(f"{stack.database}-wal", 0, 0)
    result, seconds = stack.look()
    assert result["findings"][0]["id"] == cause, result["summary"]
    assert seconds < ENDS_WITHIN
    for _round in range(3):  # Nginx keeps an address from before
        stack.fix(result["findings"][0]["command"])
        until(stack.is_well, HEALTHY_WITHIN, "the application is healthy")
        result, _seconds = stack.look()
        if not result["findings"]:
            return
    raise AssertionError(result["summary"])
