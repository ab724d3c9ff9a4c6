# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter wrong_values."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.kinds import wrong

DOCUMENTATION = r"""
name: wrong_values
short_description: Say which variables are out of range
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Argument specs know types and choices. This knows ports, durations, sizes, names and the like.
options:
  _input:
    description: Per kind a mapping of variable names to values.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Check
  ansible.builtin.assert:
    that: wrong | length == 0
    fail_msg: "{{ wrong | join(' ') }}"
  vars:
    wrong: "{{ {'port': {'my_port': my_port}, 'duration': {'my_interval': my_interval}} | ptnextjs.docker_vps.wrong_values }}"
"""

RETURN = r"""
_value:
  description: One sentence per wrong value.
  type: list
  elements: str
"""


def wrong_values(values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return one sentence per wrong value."""
    try:
        return wrong(values)
    except InvalidInput as error:
        raise AnsibleFilterError(error.message) from error


class FilterModule:
    """Announce the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return filters by name."""
        return {"wrong_values": wrong_values}
