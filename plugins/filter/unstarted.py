# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter unstarted."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import why_unstarted

DOCUMENTATION = r"""
name: unstarted
short_description: Why a command could not be started
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Distinguishes a command that the host could not start from one that ran and failed. For the former, Ansible reports
    C(Error executing command), and the error number of the kernel as the exit code.
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
