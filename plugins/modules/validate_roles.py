#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin validate_roles, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: validate_roles
short_description: Refuse wrong variables of this collection's roles, all at once
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Checks the variables of an inventory that roles read against their types, their ranges, and misspelling. Fails with
    everything that is wrong at once; ranges are checked when all types are right.
  - The environment that the role P(ptnextjs.docker_vps.env_file#role) would write is checked as its module does it, but
    for a secret that is not given, which is on the host or generated there.
  - Runs on the controller and touches no host.
options:
  roles:
    description: Names of roles of this collection.
    type: list
    elements: str
    required: true
  variables:
    description: Further variables of the inventory, which a play reads itself.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
"""

EXAMPLES = r"""
- name: Check the variables of two roles before either does anything
  ptnextjs.docker_vps.validate_roles:
    roles: [env_file, stack]
"""

RETURN = r"""
problems:
  description: One sentence per wrong variable.
  returned: always
  type: list
  elements: str
  sample: []
"""
