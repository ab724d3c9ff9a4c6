# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter secret_names."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import secret_files

DOCUMENTATION = r"""
name: secret_names
short_description: The keys of an application's environment whose values are secret
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Names E(PAYLOAD_SECRET), E(SENDGRID_API_KEY), E(NEXT_SERVER_ACTIONS_ENCRYPTION_KEY), the keys that are listed, and
    those whose value is an address with a password. A key without a value is left out.
options:
  _input:
    description: The environment.
    type: dict
    required: true
  listed:
    description: Further keys.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Name what is to be given as files
  ansible.builtin.debug:  # PAYLOAD_SECRET, S3_KEY
    msg: "{{ {'PAYLOAD_SECRET': 'x', 'S3_KEY': 'y', 'PORT': '1'} | ptnextjs.docker_vps.secret_names(['S3_KEY']) }}"
"""

RETURN = r"""
_value:
  description: The keys, sorted.
  type: list
  elements: str
"""


class FilterModule:
    """Announce the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return filters by name."""
        return {"secret_names": secret_files.names}
