# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook with each number and flag as a string, which is what -e and the surveys of AWX give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Mapping

import pytest
import variables
from ansible_collections.ptnextjs.docker_vps.tests.support.sites import verbs
from lab import STANDIN, App, MakeApp, copied

NAME = "it-strings"
# These change this machine, or want what it does not have; Molecule has scenarios of them.
ELSEWHERE = ("replica", "setup")
# In this order, since each needs what those before have left.
WET: Mapping[str, Mapping[str, str]] = {
    "deploy": {},
    "update": {},
    "backup": {},
    "backup_list": {"docker_vps_backup_verify": "full"},
    "backup_export": {"docker_vps_export_directory": "{{ inventory_dir }}/export"},
    "restore": {"docker_vps_restore_stop_app": "true"},
    "restore_drill": {},
    "rotate_secret": {},
    "releases": {},
    "schedule": {"docker_vps_schedule_state": "absent"},
    "rollback": {},
    "stop": {},
    "start": {},
    "restart": {},
    "logs": {"docker_vps_logs_tail": "3"},
    "health": {},
    "doctor": {},
    "audit": {},
    "status": {},
    "maintenance": {"docker_vps_maintenance_base": "keep"},
    "remove": {"docker_vps_remove_confirm": NAME, "docker_vps_remove_data": "true"},
}


def strings(given: Mapping[str, Any]) -> dict[str, str]:
    """Return all numbers and flags of an inventory as strings, at their defaults but for what is given."""
    known = variables.variables()
    scalars = {name for name, about in known.items() if about["type"] in ("bool", "int", "float")}
    values = {name: given.get(name, known[name]["default"]) for name in scalars}
    return {name: str(value).lower() for name, value in values.items()}


@pytest.fixture(scope="module")
def app(make_app: MakeApp) -> App:
    return make_app(NAME)


def test_all_playbooks_are_tried() -> None:
    assert sorted([*WET, *ELSEWHERE]) == verbs()


@pytest.mark.parametrize("verb", WET)
def test_a_playbook_takes_strings(app: App, verb: str) -> None:
    given = {**strings(app.variables), **WET[verb]}
    assert len(given) > 70
    app.playbook(verb, "-e", json.dumps(given)).succeeded()


def test_a_build_that_fails_says_why(app: App, sources: Path) -> None:
    copied(STANDIN, sources, **{"build.js": "throw new Error('radish')"})
    given = json.dumps({**strings(app.variables), "docker_vps_build_log_lines": "40"})
    assert "Error: radish" in app.deploy("-e", given, docker_vps_source_path=str(sources)).failed().text
