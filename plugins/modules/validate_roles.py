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
  - Checks the types and values of the inventory variables that roles read, and looks for misspelt names. Fails with
    everything that is wrong at once; values are checked once all types are right.
  - The environment that the role P(ptnextjs.docker_vps.env_file#role) would write is checked as its module does, except
    for a secret that is not given, which is on the host or is generated there.
  - Runs on the controller and touches no host.
options:
  roles:
    description: Names of roles of this collection whose variables to check.
    type: list
    elements: str
    required: true
  variables:
    description: Further variables to check, which the play reads itself.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
attributes:
  check_mode:
    details: Does the same in check mode, since it only reads.
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
