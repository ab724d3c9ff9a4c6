# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter play_summary."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import summary

DOCUMENTATION = r"""
name: play_summary
short_description: The lines that a play ends with
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Adds to what a play did how many seconds each phase took, and which command is useful next.
options:
  _input:
    description: What the play did, as sentences. Empty ones are left out.
    type: list
    elements: str
    required: true
  phases:
    description: C(name) of each phase of the play, and C(at), when it began, in seconds since 1970.
    type: list
    elements: dict
    required: true
  ended:
    description: When the last phase ended, in seconds since 1970.
    type: float
    required: true
  then:
    description: A play or a command and what it does, without a full stop; empty when nothing is useful next.
    type: str
    required: true
  check_mode:
    description: Whether the play was a dry run, after which the same play in earnest is useful next.
    type: bool
    required: true
  changes:
    description: Whether the play changed anything, or would in earnest, as far as that is known.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Say what there is now
  ansible.builtin.debug:
    msg: >-
      {{ [made.summary] | ptnextjs.docker_vps.play_summary(
         phases=[{'name': 'backup', 'at': began}], ended=now().timestamp(),
         then='restore_drill.yml proves that a set can be restored', check_mode=ansible_check_mode) }}
"""

RETURN = r"""
_value:
  description: The lines; the last ones begin with C(Seconds:) and C(Next:).
  type: list
  elements: str
"""


class FilterModule:
    """Announce the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return filters by name."""
        return {"play_summary": summary.closing}
