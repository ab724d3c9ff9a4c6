# SPDX-License-Identifier: GPL-3.0-or-later
"""Action validate_roles; documented in plugins/modules/validate_roles.py."""

from __future__ import annotations

import datetime
import functools
import os
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.action import ActionBase
from ansible.vars.plugins import get_vars_from_inventory_sources, get_vars_from_path
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import (
    environment,
    reverse_proxy,
    secret_files,
    validators,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.text import tidy
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.certificate import check_certificate

ROLES = Path(__file__).parents[2] / "roles"
PREFIX = "docker_vps_"
"""How the variables of an inventory begin."""
_MAPPINGS = {"strings": validators.not_strings, "build_secrets": validators.not_build_secrets}
"""What judges mappings of these kinds."""


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
                "variables": {"type": "list", "elements": "str", "default": []},
            }
        )
        try:
            problems = self._problems(asked, variables)
        except AnsibleError:
            problems = self._unreadable(variables)
            if not problems:
                raise
        problems = [tidy(worded(problem)) for problem in problems]
        result: dict[str, Any] = {"changed": False, "problems": problems}
        if problems:
            result.update(failed=True, msg="Nothing was touched, because variables are wrong: " + " ".join(problems))
        return result

    def _problems(self, asked: Mapping[str, Any], variables: Mapping[str, Any]) -> list[str]:
        known = _variables()
        problems = validators.unread(variables, PREFIX, known)
        problems += self._conflicts(variables)
        flags = {name: variables[name] for name in known if known[name]["type"] == "bool" and name in variables}
        no_flags = validators.not_flags(self._templar.template(flags))
        unclear = {sentence.split(" ", 1)[0] for sentence in no_flags}
        spec = {name: option for role in asked["roles"] for name, option in _spec(role).items()}
        spec.update({name: _option(known[name]) for name in asked["variables"]})
        given = self._templar.template(
            {name: variables[name] for name in spec if name in variables and name not in unclear}
        )
        return [*problems, *no_flags, *_wrong(asked["roles"], spec, given, variables.get("inventory_dir") or ".")]

    def _unreadable(self, variables: Mapping[str, Any]) -> list[str]:
        """Return the variables whose templates or vaults cannot be read, which Ansible itself would not name."""
        found = []
        for name in sorted(name for name in variables if name.startswith(PREFIX)):
            try:
                self._templar.template(variables[name])
            except AnsibleError as error:
                found.append(f"{name} cannot be read: {str(error.message).splitlines()[0].rstrip('.')}.")
        return found

    def _conflicts(self, variables: Mapping[str, Any]) -> list[str]:
        """Return the variables to which groups that have nothing to do with each other give several values."""
        manager = self._task.get_variable_manager()
        host = manager._inventory.get_host(variables["inventory_hostname"]) if manager else None
        if host is None:
            return []

        def variables_of(entity: Any) -> dict[str, Any]:
            files = get_vars_from_inventory_sources(self._loader, manager._inventory._sources, [entity], "task")
            beside = get_vars_from_path(self._loader, self._loader.get_basedir(), [entity], "task")
            return {**entity.get_vars(), **files, **beside}

        found: list[str] = []
        ranks: dict[int, dict[str, Any]] = {}
        above: dict[str, list[str]] = {}
        for group in host.get_groups():
            ranks.setdefault(group.priority, {})[group.name] = variables_of(group)
            above[group.name] = [ancestor.name for ancestor in group.get_ancestors()]
        decided = {*variables_of(host), *manager.extra_vars}
        for groups in ranks.values():
            found += validators.conflicts(host.name, groups, above, PREFIX, decided)
        return found


def _wrong(
    roles: Sequence[str], spec: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any], inventory: str
) -> list[str]:
    """Return what is wrong with values; of those whose type is wrong, that only.

    Args:
        inventory: the directory of the inventory, where the files of hooks are.
    """
    variables = _variables()
    rules = {name: variables.get(name, {}) for name in given}
    found: list[str] = []
    values: dict[str, Any] = {}
    for name, value in given.items():
        mistyped, converted = _typed(name, value, spec[name], rules[name].get("kind", ""))
        found += mistyped
        if not mistyped:
            values[name] = converted
    found += validators.ruled(rules, values, roles, os.path.isdir)
    for name in [name for name in values if rules[name].get("kind") == "hooks"]:
        found += _hooks(name, values[name], inventory)
    found += _clashes(values, found)
    found += _secrets(values)
    for section in _sections():
        names = section.get("one_of", ())
        if {*roles} & {*section.get("required_by", ())} and {*names} <= {*values}:
            found += validators.one_of(names, values)
    if "reverse_proxy" in roles:
        found += _proxy({name[len(PREFIX) :]: value for name, value in values.items()})
    sources = _environment(variables)
    if "env_file" in roles and {*sources["keys"].values(), sources["extra"], sources["mount"]} <= {*values}:
        keys = environment.foreseen(sources, values, found)
        found += [f"The environment is invalid: {'; '.join(keys)}."] if keys else []
    return found


def _proxy(values: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the site that a reverse proxy is to serve, and with its certificate."""
    found = reverse_proxy.foreseen(values)
    certificate, key = values.get("tls_certificate"), values.get("tls_key")
    given = reverse_proxy.is_served(values) and values.get("tls") == reverse_proxy.CERTIFICATE
    if given and certificate and key and values.get("domains"):
        try:
            check_certificate(certificate, key, values["domains"])
        except InvalidInput as error:
            found.append(error.message)
    return found


def _clashes(values: Mapping[str, Any], refused: Sequence[str]) -> list[str]:
    """Return which volumes are mounted where another one is, unless what says so is wrong in itself."""
    further = "docker_vps_volumes"
    names = [f"docker_vps_{which}_{what}" for which in ("database", "media") for what in ("volume", "mount")]
    wrong = {sentence.split(" ", 1)[0] for sentence in refused}
    if not {further, *names} <= {*values} - wrong:
        return []
    pairs = [(values[volume], values[mount]) for volume, mount in zip(names[::2], names[1::2]) if values[volume]]
    return validators.clashes(further, pairs, values[further])


def _secrets(values: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the keys that are given to the container as files."""
    listed, extra, mode = "docker_vps_secret_keys", "docker_vps_env", "docker_vps_secrets"
    if not {listed, extra, mode} <= {*values}:
        return []
    return secret_files.problems(values[listed], values[extra] or {}, values[mode])


def _typed(name: str, value: Any, option: Mapping[str, Any], kind: str) -> tuple[list[str], Any]:
    """Return what is wrong with the type of a value, and the value converted to its type."""
    if kind == "moment" and isinstance(value, datetime.datetime):
        value = value.isoformat()  # what YAML reads of it; roles do the same
    elif value is None and option["type"] in ("str", "path") and "choices" not in option:
        value = ""  # what AWX makes of an answer that is empty
    # First, since the validator ends with an exception at a date.
    wrong = _MAPPINGS[kind](name, value) if kind in _MAPPINGS and isinstance(value, Mapping) else []
    wrong += validators.mistyped({name: value}, {name: option}, [name] if kind in validators.NUMBERS else [])
    if wrong:
        return wrong, None
    checked = ArgumentSpecValidator({name: option}).validate({name: value}, validate_role_argument_spec=True)
    wrong = [f"{validators.unconvertible(message)}." for message in checked.error_messages]
    return wrong or validators.coerced({name: value}, {name: option["type"]}), checked.validated_parameters[name]


def _hooks(name: str, hooks: Sequence[Any], inventory: str) -> list[str]:
    """Return what is wrong with hooks, whose files are where the inventory does, or are named by a whole path."""
    paths = [Path(inventory) / hook for hook in hooks if isinstance(hook, str)]
    gone = [
        f"{name} names {path}, and there is no such file on the controller." for path in paths if not path.is_file()
    ]
    return [*validators.not_hooks(name, hooks), *gone]


def _read(path: str) -> Any:
    return yaml_load((ROLES / path).read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=None)
def _sections() -> Sequence[Mapping[str, Any]]:
    sections: Sequence[Mapping[str, Any]] = _read("common/meta/variables.yml")
    return sections


def _variables() -> dict[str, Mapping[str, Any]]:
    """Return all variables of an inventory with what is right for them."""
    return {name: about for section in _sections() for name, about in section["variables"].items()}


def _spec(role: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the options of a role of this collection; the role common has all variables and wants none of them."""
    if role == "common":
        return {}
    options: Mapping[str, Mapping[str, Any]] = _read(f"{role}/meta/argument_specs.yml")["argument_specs"]["main"][
        "options"
    ]
    return options


def _option(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a variable's part of an argument spec."""
    return {key: about[key] for key in ("type", "elements", "choices", "no_log") if key in about}


def _environment(variables: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return where the keys of the environment come from that have a rule of their own."""
    keys = {about["env"]: name for name, about in variables.items() if "env" in about}
    return {"keys": keys, "extra": "docker_vps_env", "mount": "docker_vps_database_mount"}
