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
  - Checks the variables of roles against their argument specs, their ranges (C(meta/ranges.yml)) and, for the words of
    an inventory, against misspelling. Fails with everything that is
    wrong at once; the ranges of a role are checked when the types of its variables are right.
  - The environment that the role P(ptnextjs.docker_vps.env_file#role) would write is checked as its module does it, but
    for a secret that is not given, which is on the host or generated there.
  - Runs on the controller and touches no host.
options:
  roles:
    description: Names of roles of this collection.
    type: list
    elements: str
    required: true
  words:
    description: The variables beginning with O(prefix) that something reads. Any other one is refused as a misspelling.
    type: list
    elements: str
    default: []
  prefix:
    description: How those variables begin; they are not looked at when this is empty.
    type: str
    default: ""
  wired:
    description:
      - Variables that the play sets itself, so that setting them in an inventory has no effect.
      - With O(prefix), a problem of such a variable is told of the one in the inventory that it is made of.
    type: list
    elements: str
    default: []
  flags:
    description:
      - Variables that the play reads with the filter P(ansible.builtin.bool#filter), which takes every word that it
        does not know to mean false.
    type: list
    elements: str
    default: []
  also:
    description: Sentences about what else is wrong, which are told with the rest.
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
