# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter unstarted."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import why_unstarted

DOCUMENTATION = r"""
name: unstarted
short_description: Why a command was not even started
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Tells a command that the host could not start from one that failed. Of the former Ansible says
    C(Error executing command), with the number of the kernel's error for an exit code.
options:
  _input:
    description: The result of a failed task that runs a command.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say why
  ansible.builtin.fail:
    msg: "The command cannot be started: {{ result | ptnextjs.docker_vps.unstarted }}."
  when: result | ptnextjs.docker_vps.unstarted
"""

RETURN = r"""
_value:
  description: The reason; empty when the command was started.
  type: str
"""


def unstarted(result: Mapping[str, Any]) -> str:
    """Return why the command of a failed task was not started; empty when it was."""
    if "Error executing command" not in str(result.get("msg", "")):
        return ""
    return why_unstarted(int(result.get("rc", 0)))


class FilterModule:
    """Announce the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return filters by name."""
        return {"unstarted": unstarted}
