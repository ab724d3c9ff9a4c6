# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter replica_moment."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.replica import moment

DOCUMENTATION = r"""
name: replica_moment
short_description: Which moment a database from a Litestream replica is of
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - A replica keeps older changes in pieces of several seconds, and has nothing newer than its newest change, so the
    database of a moment that was asked for can be an earlier one. Litestream 0.5.12 or newer tells which.
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
    description: The moment that was asked for.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Say what was got
  ansible.builtin.debug:
    msg: "{{ (restored.stdout | ptnextjs.docker_vps.replica_moment(listed.stdout, '2026-01-31T14:30:00Z')).sentence }}"
"""

RETURN = r"""
_value:
  description: C(got), the moment of the database or an empty text when it is not known, and C(sentence).
  type: dict
"""


def replica_moment(restored: str, listed: str, asked: str) -> dict[str, Any]:
    """Return which moment a restored database is of, and a sentence about it."""
    found = moment(restored, listed, asked)
    return {"got": found.got, "sentence": found.sentence}


class FilterModule:
    """Announce the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return filters by name."""
        return {"replica_moment": replica_moment}
