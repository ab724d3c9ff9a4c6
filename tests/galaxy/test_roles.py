# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of the installed roles: Ansible explains each, and refuses what has the wrong type."""

from __future__ import annotations

import json
from typing import Any

import yaml
from ansible_collections.ptnextjs.docker_vps.tests.galaxy.conftest import Installed
from variables import entries, roles

WRONG = {"bool": "perhaps", "int": "many", "float": "much", "dict": "[]", "list": {}}
"""A value for each type that no conversion makes one of it."""


def test_ansible_explains_each_entry(installed: Installed) -> None:
    names = [f"ptnextjs.docker_vps.{role}" for role in roles()]
    explained = json.loads(installed.run("ansible-doc", "--type", "role", "--json", *names))
    assert {name: set(about["entry_points"]) for name, about in explained.items()} == {
        f"ptnextjs.docker_vps.{role}": {*entries(role)} for role in roles()
    }
    printed = installed.run("ansible-doc", "--type", "role", *names)
    assert [name for name in names if name not in printed] == []


def test_a_wrong_type_is_refused_by_each_entry(installed: Installed) -> None:
    """With tasks_from Ansible checks nothing unless the entry has a spec of its own."""
    tasks, all_strings = [], []
    for role in roles():
        spec = yaml.safe_load((installed.path / f"roles/{role}/meta/argument_specs.yml").read_text(encoding="utf-8"))
        for entry in entries(role):
            options = spec["argument_specs"][entry]["options"]
            name = next((name for name in reversed(options) if options[name]["type"] in WRONG), "")
            if name:
                tasks.append(_refused(role, entry, name, WRONG[options[name]["type"]]))
            else:
                all_strings.append(f"{role}.{entry}")
    play = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
    (installed.home / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    printed = installed.run("ansible-playbook", "play.yml")
    assert printed.count("was refused") == len(tasks) >= 40
    # Each value of these can be made a string.
    assert all_strings == [
        "backup.export",
        "replica.absent",
        "schedule.look",
        "stack.absent",
        "stack.releases",
        "stack.stop",
    ]


def _refused(role: str, entry: str, variable: str, value: Any) -> dict[str, Any]:
    """Return a task that fails unless an entry is refused for the type of a variable, before it does anything."""
    called = {"name": f"ptnextjs.docker_vps.{role}", "tasks_from": entry}
    report = f"{role}.{entry} {{{{ 'was refused' if wrong in ansible_failed_result.msg else 1 / 0 }}}}"
    return {
        "block": [
            {"ansible.builtin.include_role": called, "vars": {variable: value}},
            {"ansible.builtin.meta": "end_play"},
        ],
        "rescue": [{"ansible.builtin.debug": {"msg": report}, "vars": {"wrong": f"argument '{variable}' is of type"}}],
    }
