# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter schedule_summary."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import summary

DOCUMENTATION = r"""
name: schedule_summary
short_description: What a host does by itself, and when
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Says what was changed, when each job runs, which backup sets are kept, and where copies of them go.
  - A password in the address of the copies is masked.
options:
  _input:
    description:
      - When each job runs, by its name, as systemd or cron has it.
      - It is empty, or C(@reboot), for one that runs at each start.
    type: dict
    required: true
  by:
    description: What runs the jobs.
    type: str
    required: true
  changed:
    description: What is another one than before.
    type: list
    elements: str
    required: true
  next_runs:
    description: When jobs run next, by their names, as far as that is known.
    type: dict
    required: true
  keep:
    description: How many sets each rule of the retention keeps, C(last), C(daily), C(weekly), C(monthly) and C(yearly).
    type: dict
    required: true
  repository:
    description: Where copies of the sets go; empty for nowhere.
    type: str
    required: true
  check_mode:
    description: Whether the play was a dry run.
    type: bool
    required: true
"""

EXAMPLES = r"""
- name: Say what is scheduled
  ansible.builtin.debug:
    msg: >-
      {{ {'backup': '*-*-* 02:00:00 UTC'} | ptnextjs.docker_vps.schedule_summary(
         by='systemd', changed=['shop-backup.timer'], next_runs={'backup': '2026-02-01T02:07:41Z'},
         keep={'daily': 7}, repository='', check_mode=ansible_check_mode) }}
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""


class FilterModule:
    """Announce the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return filters by name."""
        return {"schedule_summary": summary.schedule}
