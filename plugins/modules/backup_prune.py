#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Remove old backup sets of an application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_prune
short_description: Remove the backup sets that no rule keeps
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Keeps the newest set of each of the last days, ISO weeks, months and years, as C(restic forget) does, and removes
    the others. Days without a set do not count. The calendar is UTC.
  - Never removes the newest good set, a set dated in the future, or a damaged one while no newer set is good.
  - Leaves sets of other applications, manifests that cannot be read and archives without a manifest alone, and reports
    them.
  - Also removes the data that the last restore left beside the volumes, when it is old enough.
options:
  last:
    description: How many of the newest sets are kept.
    type: int
    default: 0
  daily:
    description: For how many days a set is kept.
    type: int
    default: 7
  weekly:
    description: For how many weeks a set is kept.
    type: int
    default: 4
  monthly:
    description: For how many months a set is kept.
    type: int
    default: 3
  yearly:
    description: For how many years a set is kept.
    type: int
    default: 0
  verify:
    description:
      - How closely sets are looked at; a damaged one is never kept in place of a good one.
      - V(exists) compares the sizes of the files with the manifest, V(checksum) reads them and compares their SHA-256.
    type: str
    choices: [exists, checksum]
    default: exists
  before_days:
    description: After how many days to remove the data that a restore replaced and kept beside the volumes.
    type: float
    default: 7
  expected:
    description:
      - The archives of the set that a backup makes before this module runs.
      - Only check mode uses it, where no backup is made, to count such a set as one made now.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ptnextjs.docker_vps.app
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Decides, and removes nothing.
seealso:
  - module: ptnextjs.docker_vps.volume_backup
  - module: ptnextjs.docker_vps.backup_info
notes:
  - The engine is needed only when an earlier backup or restore was killed, to finish or undo that.
"""

EXAMPLES = r"""
- name: Keep a week of days, a month of weeks and a quarter of months
  ptnextjs.docker_vps.backup_prune:
    app: ptnextjs

- name: Keep the last ten sets only
  ptnextjs.docker_vps.backup_prune:
    app: shop
    directory: /srv/backups/shop
    last: 10
    daily: 0
    weekly: 0
    monthly: 0
"""

RETURN = r"""
decisions:
  description: What was decided about each set, newest first.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The timestamp that names the set.
      type: str
      sample: 20260131-020000
    keep:
      description: Whether it stays.
      type: bool
      sample: true
    reasons:
      description: The rules that keep it, or why none does.
      type: list
      elements: str
      sample: ["daily 2026-01-31", "weekly 2026-W05", "newest good set"]
removed:
  description: The sets that were removed.
  returned: always
  type: list
  elements: str
  sample: [20251024-020000]
kept:
  description: The sets that stay.
  returned: always
  type: list
  elements: str
  sample: [20260131-020000]
safety_copies:
  description: The directories that restores had left beside volumes and that were removed.
  returned: always
  type: list
  elements: str
  sample: [/var/lib/docker/volumes/ptnextjs-db/_data.before-20260110-101500]
left:
  description:
    - Safety copies that are not needed any more and could not be removed, for example because of C(chattr +i) on
      a file in them. It is tried again each time.
  returned: always
  type: list
  elements: str
  sample: []
freed:
  description: The bytes that were freed.
  returned: always
  type: int
  sample: 48211
unreadable:
  description: Manifests that cannot be used and were left alone, as one sentence each.
  returned: always
  type: list
  elements: str
  sample: []
orphaned:
  description: Archives without a manifest, which were left alone.
  returned: always
  type: list
  elements: str
  sample: []
summary:
  description: The result in one sentence.
  returned: always
  type: str
  sample: 1 set of ptnextjs removed (47 KiB), 12 stay in /var/backups/ptnextjs.
"""

from dataclasses import fields
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backup.prune import Params, run
from ..module_utils._core.errors import InvalidInput
from ..module_utils._core.retention import Policy
from ..module_utils._module.backups import APP_ARGUMENTS
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER
from ..module_utils._module.volumes import finish_on_volumes


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: a number is below zero, or nothing would be kept.
    """
    if not given["before_days"] >= 0:
        raise InvalidInput(f"before_days must not be below 0, but is {given['before_days']}.")
    policy = Policy(**{field.name: given[field.name] for field in fields(Policy)})
    return Params(policy, given["verify"], given["before_days"], tuple(given["expected"]))


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **APP_ARGUMENTS,
            **{field.name: {"type": "int", "default": field.default} for field in fields(Policy)},
            "verify": {"type": "str", "choices": ["exists", "checksum"], "default": "exists"},
            "before_days": {"type": "float", "default": 7},
            "expected": {"type": "list", "elements": "str", "default": []},
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish_on_volumes(module, run, params_of)


if __name__ == "__main__":
    main()
