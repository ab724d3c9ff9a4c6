# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of the documentation that name plays, timers and tests for each line name such as there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT

LINES = {"docs/maintenance.md": 9, "docs/troubleshooting.md": 13}
NAMED = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")
TIMER = re.compile(r"`(\w+)`")


def rows(page: str) -> list[list[str]]:
    """Return the cells of the lines that name a test."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if NAMED.search(line)]


@pytest.mark.parametrize("page", LINES)
def test_each_line_names_a_test_that_exists(page: str) -> None:
    named = [NAMED.search(row[-1]) for row in rows(page)]
    assert len(named) == LINES[page]
    for found in named:
        assert found
        path = ROOT / "tests" / found[1]
        assert f"def {found[2]}(" in path.read_text(encoding="utf-8"), found[0]


def test_each_line_of_the_schedule_names_a_playbook_and_timers_that_exist() -> None:
    variables = yaml.safe_load(Path(ROOT / "roles/common/defaults/main.yml").read_text(encoding="utf-8"))
    for _when, what, play, timer, _test in rows("docs/maintenance.md"):
        playbooks = [name for name in TIMER.findall(play) if not name.startswith("docker_vps_")]
        assert playbooks, what
        assert all((ROOT / f"playbooks/{name}.yml").exists() for name in playbooks), play
        assert timer.startswith("none: ") or TIMER.search(timer), what
        assert set(TIMER.findall(timer)) <= set(variables["docker_vps_schedule_jobs"]), timer
