#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Show the backup sets of an application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: Show backup sets and what is wrong with them
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Lists the backup sets of an application, newest first, with what their manifests say and what is wrong with them.
    Also says when a set was last verified by a drill, and how the last scheduled jobs ended.
  - Changes nothing, needs no engine, and may run while a backup does.
options:
  set:
    description:
      - Look at one set only, given as V(latest), its timestamp, or the path of its manifest or of one of its archives.
      - All sets when not given.
    type: str
    default: ""
  verify:
    description:
      - How thoroughly the sets are checked.
      - V(exists) compares the sizes of the files with the manifest. V(checksum) reads every file and compares its
        SHA-256. V(full) also checks every member of every archive, and the integrity and the number of rows of every
        database, for which it needs space for the databases in C(/var/tmp).
    type: str
    choices: [exists, checksum, full]
    default: exists
  fail_on_problems:
    description: Whether to fail when a set is damaged or a manifest cannot be read.
    type: bool
    default: false
extends_documentation_fragment:
  - ptnextjs.docker_vps.app
  - ptnextjs.docker_vps.attributes.info
seealso:
  - module: ptnextjs.docker_vps.volume_backup
  - module: ptnextjs.docker_vps.backup_drill
"""

EXAMPLES = r"""
- name: List the sets
  ptnextjs.docker_vps.backup_info:
    app: ptnextjs

- name: Read every set completely, and fail when one is damaged
  ptnextjs.docker_vps.backup_info:
    app: ptnextjs
    verify: full
    fail_on_problems: true

- name: Fail when the newest good set is older than a day
  ptnextjs.docker_vps.backup_info:
    app: ptnextjs
  register: backups
  failed_when: (backups.newest_good.age | default(99999999)) > 86400
"""

RETURN = r"""
directory:
  description: The directory of the sets.
  returned: success, and on a failure for O(fail_on_problems)
  type: str
  sample: /var/backups/ptnextjs
sets:
  description: The sets, newest first.
  returned: success, and on a failure for O(fail_on_problems)
  type: list
  elements: dict
  contains:
    id:
      description: The timestamp that names the set.
      type: str
      sample: 20260131-020000
    time:
      description: When the backup began (UTC).
      type: str
      sample: "2026-01-31T02:00:00Z"
    age:
      description: Its age in seconds; below zero when it is dated in the future.
      type: int
      sample: 86400
    reason:
      description: Why it was made, as given to the backup.
      type: str
      sample: before the upgrade
    consistency:
      description:
        - How the application was treated during the backup, as V(online), V(pause) or V(stop); V(imported) for an
          imported set.
      type: str
      sample: online
    release:
      description: The release that ran when the set was made.
      type: str
      sample: 3f2a9c41d07b
    revision:
      description: The revision of the sources of that release.
      type: str
      sample: 3f2a9c41d07b5e8a
    image:
      description: The image that ran when the set was made.
      type: str
      sample: ptnextjs-app:3f2a9c41d07b
    bytes:
      description: The size of all archives in bytes.
      type: int
      sample: 48211
    files:
      description: How many files are in its archives.
      type: int
      sample: 42
    archives:
      description: The archives in the directory.
      type: list
      elements: str
      sample: [db-20260131-020000.tar.gz, media-20260131-020000.tar.gz]
    databases:
      description:
        - The application's databases in the archives, with the rows of their tables, and the result of their check when
          the set was made, V(sound), V(damaged) or V(not checked), and why.
      type: list
      elements: dict
      sample:
        - archive: db
          path: payload.db
          check: sound
          why: ""
          tables: {"vendors": 3, "media": 1}
    uploads_missing:
      description: The uploads that its database names and that were missing in the volume.
      type: list
      elements: str
      sample: []
    losses:
      description: What earlier sets have and this one lacks.
      type: list
      elements: str
      sample: ["Gone since set 20260130-020000: 480 of 500 rows of vendors in payload.db."]
    held:
      description:
        - Why M(ptnextjs.docker_vps.backup_prune) keeps it whatever the rules say; empty when it follows the rules.
      type: str
      sample: the last before a loss that set 20260131-020000 reports
    checks:
      description: How many of its databases are sound, damaged and not checked.
      type: dict
      sample: {"sound": 1, "damaged": 0, "not checked": 0}
    warnings:
      description: What the backup warned of.
      type: list
      elements: str
      sample: []
    verified:
      description: Whether its last drill passed.
      type: bool
      sample: true
    last_drill:
      description: Its last drill, as M(ptnextjs.docker_vps.backup_drill) returns it; empty when there was none.
      type: dict
      sample: {"at": "2026-01-31T04:00:00Z", "passed": true, "reason": "", "seconds": 6.3, "recovery": 5.9}
    problems:
      description: What is wrong with it, as far as O(verify) looks.
      type: list
      elements: str
      sample: []
    notes:
      description: What could not be checked, and why. It is not counted as a problem.
      type: list
      elements: str
      sample: []
unreadable:
  description: One sentence for each manifest that cannot be used.
  returned: success, and on a failure for O(fail_on_problems)
  type: list
  elements: str
  sample: []
orphaned:
  description: Archives without a manifest.
  returned: success, and on a failure for O(fail_on_problems)
  type: list
  elements: str
  sample: []
newest_good:
  description: The newest set listed that has no problem and is not dated in the future; empty when there is none.
  returned: success, and on a failure for O(fail_on_problems)
  type: dict
  sample: {"id": "20260131-020000", "age": 86400}
last_verified:
  description: The listed set that a drill verified last, and how many seconds ago; empty when there is none.
  returned: success, and on a failure for O(fail_on_problems)
  type: dict
  sample: {"id": "20260131-020000", "at": "2026-01-31T04:00:00Z", "age": 79200}
cautions:
  description: Losses that nobody has accepted, and what to do about them.
  returned: success, and on a failure for O(fail_on_problems)
  type: list
  elements: str
  sample: []
runs:
  description: How the last run of each scheduled job ended.
  returned: success, and on a failure for O(fail_on_problems)
  type: dict
  sample: {"backup": {"at": "2026-01-31T02:00:00Z", "success": true, "seconds": 7.2, "message": "2 archives, 48 KiB."}}
summary:
  description: All of this as lines for people.
  returned: success, and on a failure for O(fail_on_problems)
  type: list
  elements: str
  sample:
    - "20260131-020000: 24 hours ago, 47 KiB, files: 42, 1 database sound, rows in databases: 4, of shop:1,
      verified by a drill"
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backup.verify import LEVELS, Params, run
from ..module_utils._engine.sdk import SystemClock
from ..module_utils._module.backups import APP_ARGUMENTS, sets_of
from ..module_utils._module.module_exit import finish


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **APP_ARGUMENTS,
            "set": {"type": "str", "default": ""},
            "verify": {"type": "str", "choices": list(LEVELS), "default": "exists"},
            "fail_on_problems": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    params = Params(given["set"], given["verify"], given["fail_on_problems"])
    finish(module, lambda: run(params, sets_of(given), SystemClock()))


if __name__ == "__main__":
    main()
