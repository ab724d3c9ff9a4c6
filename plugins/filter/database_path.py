# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter database_path."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import environment

DOCUMENTATION = r"""
name: database_path
short_description: The path in its volume of the database that DATABASE_URI names
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Reads E(DATABASE_URI) in the same way as M(ptnextjs.docker_vps.env_file) does when it checks it.
options:
  _input:
    description: The value of E(DATABASE_URI).
    type: str
    required: true
  mount:
    description: Where the volume of the database is mounted in the container.
    type: str
    default: /data
"""

EXAMPLES = r"""
- name: Name the database of a backup
  ansible.builtin.set_fact:
    backup_database: "db/{{ 'file:///data/my%20shop.db' | ptnextjs.docker_vps.database_path }}"  # db/my shop.db
"""

RETURN = r"""
_value:
  description: The path below O(mount); empty when the value names a server, or a file elsewhere.
  type: str
"""


def database_path(uri: object, mount: str = "/data") -> str:
    """Return the path of a database in its volume."""
    return environment.database_path(str(uri), mount)


class FilterModule:
    """Announce the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return filters by name."""
        return {"database_path": database_path}
