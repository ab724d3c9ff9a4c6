# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter replica_point_in_time."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.replica import point_in_time

DOCUMENTATION = r"""
name: replica_point_in_time
short_description: The point in time of a database that Litestream restored
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - The database can be of an earlier point in time than was asked for, since a replica merges older changes into pieces
    of several seconds, and ends with its newest change. Needs the output of Litestream 0.5.12 or newer.
options:
  _input:
    description: What C(litestream restore -json) printed.
    type: str
    required: true
  listed:
    description: What C(litestream ltx -json -level all) printed.
    type: str
    required: true
  asked:
    description: The point in time that was asked for.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show which point in time was restored
  ansible.builtin.debug:
    msg: "{{ (restored.stdout | ptnextjs.docker_vps.replica_point_in_time(listed.stdout, asked)).sentence }}"
  vars:
    asked: "2026-01-31T14:30:00Z"
"""

RETURN = r"""
_value:
  description:
    - A dictionary of C(got), the point in time of the database, empty when it is not known, and C(sentence), which
      explains it.
  type: dict
"""


def replica_point_in_time(restored: str, listed: str, asked: str) -> dict[str, Any]:
    """Return of which point in time a restored database is, and a sentence about it."""
    found = point_in_time(restored, listed, asked)
    return {"got": found.got, "sentence": found.sentence}


class FilterModule:
    """Announce the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return filters by name."""
        return {"replica_point_in_time": replica_point_in_time}
