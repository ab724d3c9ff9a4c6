# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules reach a restic repository, and what they may show of that."""

from __future__ import annotations

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from .._store.restic import Restic

RESTIC_ARGUMENTS: dict[str, Any] = {
    "repository": {"type": "str", "required": True, "no_log": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "host": {"type": "str", "default": ""},
    "environment": {"type": "dict", "default": {}, "no_log": True},
    "options": {"type": "dict", "default": {}},
}


def restic_of(given: Mapping[str, Any]) -> Restic:
    """Return the repository that the parameters name."""
    environment, options = (
        {str(name): str(value) for name, value in given[key].items()} for key in ("environment", "options")
    )
    return Restic(given["repository"], given["password"], environment, options)


def hide_secrets(module: AnsibleModule, restic: Restic) -> dict[str, Any]:
    """Return what may be shown of the parameters.

    Declared no_log, they are kept out of syslog; but then Ansible also blanks the repository's address, and every
    short value of the environment, in the whole result. So here it learns which of them are secrets.
    """
    module.no_log_values = set(restic.secrets)
    hidden = dict.fromkeys(module.params["environment"], "(hidden)")
    shown = {"repository": restic.name, "password": "(hidden)", "environment": hidden}
    return {"module_args": {**module.params, **shown}}
