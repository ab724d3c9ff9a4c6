# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter stop_summary."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import summary

DOCUMENTATION = r"""
name: stop_summary
short_description: What stopping a container came to
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Says how the container ended, and warns when the engine had to kill it.
options:
  _input:
    description:
      - C(container) of M(community.docker.docker_container_info) before it was stopped, empty when there is none.
    type: dict
    required: true
  stopped:
    description: The result of M(community.docker.docker_container), which stopped it.
    type: dict
    required: true
  container:
    description: Its name.
    type: str
    required: true
  grace:
    description: The seconds that it was given between SIGTERM and SIGKILL.
    type: int
    required: true
  check_mode:
    description: Whether the play was a dry run.
    type: bool
    required: true
"""

EXAMPLES = r"""
- name: Say how it ended
  ansible.builtin.debug:
    msg: "{{ before.container | ptnextjs.docker_vps.stop_summary(stopped, 'ptnextjs-app', 10, ansible_check_mode) }}"
"""

RETURN = r"""
_value:
  description: A sentence.
  type: str
"""


class FilterModule:
    """Announce the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return filters by name."""
        return {"stop_summary": summary.stop}
