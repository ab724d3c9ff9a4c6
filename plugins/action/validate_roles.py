# SPDX-License-Identifier: GPL-3.0-or-later
"""Action validate_roles; documented in plugins/modules/validate_roles.py."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.action import ActionBase
from ansible.vars.plugins import get_vars_from_inventory_sources, get_vars_from_path
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import environment, validators
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.text import tidy
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded

ROLES = Path(__file__).parents[2] / "roles"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module."""

    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the result, failed when a variable is wrong."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _unused, asked = self.validate_argument_spec(
            {
                "roles": {"type": "list", "elements": "str", "required": True},
                "words": {"type": "list", "elements": "str", "default": []},
                "prefix": {"type": "str", "default": ""},
                "wired": {"type": "list", "elements": "str", "default": []},
                "flags": {"type": "list", "elements": "str", "default": []},
                "also": {"type": "list", "elements": "str", "default": []},
            }
        )
        try:
            problems = self._problems(asked, variables)
        except AnsibleError:
            problems = self._unreadable(asked["prefix"], variables) if asked["prefix"] else []
            if not problems:
                raise
        problems = [tidy(worded(one)) for one in [*problems, *asked["also"]]]
        result: dict[str, Any] = {"changed": False, "problems": problems}
        if problems:
            result.update(failed=True, msg="Nothing was touched, because variables are wrong: " + " ".join(problems))
        return result

    def _problems(self, asked: Mapping[str, Any], variables: Mapping[str, Any]) -> list[str]:
        problems = validators.unread(variables, asked["prefix"], asked["words"]) if asked["prefix"] else []
        problems += self._conflicts(asked["prefix"], variables) if asked["prefix"] else []
        wiring = {name: str(variables[name]) for name in asked["wired"] if name in variables}
        words = validators.words_behind(asked["prefix"], wiring) if asked["prefix"] else {}
        problems += self._overridden(asked["wired"], variables, words)
        flags = {name: variables[name] for name in asked["flags"] if name in variables}
        problems += validators.not_flags(self._templar.template(flags))
        wrong = [one for role in asked["roles"] for one in self._wrong(role, variables)]
        return [*problems, *validators.in_words(wrong, words)]

    def _unreadable(self, prefix: str, variables: Mapping[str, Any]) -> list[str]:
        """Return the words whose templates or vaults cannot be read, which Ansible itself would not name."""
        found = []
        for name in sorted(name for name in variables if name.startswith(prefix)):
            try:
                self._templar.template(variables[name])
            except AnsibleError as error:
                found.append(f"{name} cannot be read: {str(error.message).splitlines()[0].rstrip('.')}.")
        return found

    def _conflicts(self, prefix: str, variables: Mapping[str, Any]) -> list[str]:
        """Return the words to which groups that have nothing to do with each other give several values."""
        manager = self._task.get_variable_manager()
        host = manager._inventory.get_host(variables["inventory_hostname"]) if manager else None
        if host is None:
            return []

        def words(one: Any) -> dict[str, Any]:
            files = get_vars_from_inventory_sources(self._loader, manager._inventory._sources, [one], "task")
            beside = get_vars_from_path(self._loader, self._loader.get_basedir(), [one], "task")
            return {**one.get_vars(), **files, **beside}

        found: list[str] = []
        ranks: dict[int, dict[str, Any]] = {}
        above: dict[str, list[str]] = {}
        for group in host.get_groups():
            ranks.setdefault(group.priority, {})[group.name] = words(group)
            above[group.name] = [one.name for one in group.get_ancestors()]
        decided = {*words(host), *manager.extra_vars}
        for groups in ranks.values():
            found += validators.conflicts(host.name, groups, above, prefix, decided)
        return found

    def _overridden(self, wired: Sequence[str], variables: Mapping[str, Any], words: Mapping[str, str]) -> list[str]:
        """Return the variables of an inventory that the play sets itself."""
        inventory = variables["hostvars"][variables["inventory_hostname"]] if wired else {}
        given = [name for name in wired if name in inventory]
        # Those of the command line win over the play's, and so have an effect.
        lost = [name for name in given if self._templar.template(variables[name]) != inventory[name]]
        return [
            f"{name} has no effect in this play; set {words.get(name, 'the variable that stands for it')} instead "
            "(docs/variables.md)."
            for name in lost
        ]

    def _wrong(self, role: str, variables: Mapping[str, Any]) -> Sequence[str]:
        spec = _read(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
        given = self._templar.template({name: variables[name] for name in spec if name in variables})
        ranges = _read(role, "meta/ranges.yml")
        # First, since the validator ends with an exception at a date.
        wrong = [
            one
            for name in ranges.get("strings", ())
            if isinstance(given.get(name), Mapping)
            for one in validators.not_strings(name, given[name])
        ]
        numbers = [name for kind in validators.NUMBERS for name in ranges["kinds"].get(kind, ())]
        wrong += validators.not_text(given, spec, numbers)
        if wrong:
            return wrong
        checked = ArgumentSpecValidator(spec).validate(given, validate_role_argument_spec=True)
        if checked.error_messages:
            return [f"{validators.unconvertible(message)}." for message in checked.error_messages]
        text = validators.coerced(given, {name: spec[name]["type"] for name in given})
        if text:
            return text
        # The validator adds every variable that is not given, as None.
        right = {name: checked.validated_parameters[name] for name in given}
        values = {**_read(role, "defaults/main.yml"), **right}
        found = [
            *validators.wrong(ranges["kinds"], values, os.path.isdir),
            *validators.missing(ranges.get("needs", {}), values),
            *validators.excess(ranges.get("at_most", {}), values),
        ]
        keys = environment.foreseen(ranges["environment"], values, found) if "environment" in ranges else []
        return [*found, f"The environment is not right: {'; '.join(keys)}."] if keys else found


def _read(role: str, name: str) -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml_load((ROLES / role / name).read_text(encoding="utf-8"))
    return content
