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
  - Never removes the newest good set, a set dated in the future, or a damaged one while no newer set is good, nor the
    last set before a loss of content, nor the one with the data before the live release.
  - Leaves sets of other applications, manifests that cannot be read and archives without a manifest alone, and reports
    them.
  - Also removes the data that the last restore replaced and kept beside the volumes, when it is old enough; see
    O(before_days).
options:
  last:
    description: How many of the newest sets to keep.
    type: int
    default: 0
  daily:
    description: Keep the newest set of each of the last so many days that have one.
    type: int
    default: 7
  weekly:
    description: Keep the newest set of each of the last so many ISO weeks that have one.
    type: int
    default: 4
  monthly:
    description: Keep the newest set of each of the last so many months that have one.
    type: int
    default: 3
  yearly:
    description: Keep the newest set of each of the last so many years that have one.
    type: int
    default: 0
  verify:
    description:
      - How thoroughly sets are checked; a damaged one never takes the place of a good one.
      - V(exists) compares the sizes of the files with the manifest, V(checksum) reads them and compares their SHA-256.
    type: str
    choices: [exists, checksum]
    default: exists
  before_days:
    description: The age in days at which to remove the data that a restore replaced and kept beside the volumes.
    type: float
    default: 7
  expected:
    description:
      - The names of the archives of the set that a backup makes before this module runs.
      - Used in check mode only, where that backup was not made, to count such a set as made now.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ptnextjs.docker_vps.app
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Decides which sets would go, and removes nothing.
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
  returned: success
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
  returned: success
  type: list
  elements: str
  sample: [20251024-020000]
kept:
  description: The sets that stay.
  returned: success
  type: list
  elements: str
  sample: [20260131-020000]
safety_copies:
  description: The directories with replaced data beside the volumes that were removed.
  returned: success
  type: list
  elements: str
  sample: [/var/lib/docker/volumes/ptnextjs-db/_data.before-20260110-101500]
left:
  description:
    - Safety copies that are not needed any more and could not be removed, for example because of C(chattr +i) on a file
      in them. Each later run tries again.
  returned: success
  type: list
  elements: str
  sample: []
freed:
  description: How many bytes were freed.
  returned: success
  type: int
  sample: 48211
unreadable:
  description: One sentence for each manifest that cannot be used and was left alone.
  returned: success
  type: list
  elements: str
  sample: []
orphaned:
  description: Archives without a manifest, which were left alone.
  returned: success
  type: list
  elements: str
  sample: []
summary:
  description: The result in one sentence.
  returned: success
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
