# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables name what there is: those of the documentation plays, timers and tests; those of the code each other."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.action import new_site
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module import action_options
from ansible_collections.ptnextjs.docker_vps.tests.support import variables
from ansible_collections.ptnextjs.docker_vps.tests.unit.contents import PACKAGE
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._core import test_validators

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


@pytest.mark.parametrize("name", [name for name in vars(action_options) if name.isupper() and name != "PROGRESS"])
def test_an_action_acts_upon_the_options_of_its_name(name: str) -> None:
    action = importlib.import_module(f"{PACKAGE}.plugins.action.{name.lower()}")
    assert action.OWN is getattr(action_options, name)


def test_every_kind_of_a_variable_is_tried() -> None:
    elsewhere = {None, "strings", "hooks", "build_secrets"}
    of_variables = {about.get("kind") for about in variables.variables().values()} - elsewhere
    assert of_variables | {*new_site.KINDS} == {*test_validators.CASES}
