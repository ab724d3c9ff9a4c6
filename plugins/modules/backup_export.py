#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write a backup set into another directory as plain archives."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_export
short_description: Write a backup set into another directory as plain archives
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Writes the archives of a set, each of which any C(tar) opens, and its manifest into a directory on the managed host.
    Works for sets of both stores of M(ptnextjs.docker_vps.volume_backup).
  - The directory then is a backup directory. M(ptnextjs.docker_vps.volume_restore) restores the set from there, also
    on another host, by the path of its manifest.
  - Every byte is verified while it is written, and the set is there only when all of it is durable. A set that is there
    as a whole already is read and left alone; one that is damaged there is rewritten.
options:
  set:
    description: The set to export, as V(latest), its timestamp, or the path of its manifest or of one of its archives.
    type: str
    default: latest
  to:
    description:
      - The directory on the managed host, outside of that in which the set is.
      - Made for its owner only when it is missing. One into which others may write is refused.
    type: path
    required: true
extends_documentation_fragment:
  - ptnextjs.docker_vps.app
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
  - ptnextjs.docker_vps.progress
  - ptnextjs.docker_vps.progress.followed
attributes:
  check_mode:
    details: Reads and verifies the whole set, looks for space, and writes nothing.
seealso:
  - module: ptnextjs.docker_vps.volume_backup
  - module: ptnextjs.docker_vps.volume_restore
  - module: ptnextjs.docker_vps.backup_info
"""

EXAMPLES = r"""
- name: Write the newest set onto another disk
  ptnextjs.docker_vps.backup_export:
    app: ptnextjs
    to: /mnt/usb/ptnextjs

- name: Write an older set, which may be restored on another host once the directory is there
  ptnextjs.docker_vps.backup_export:
    app: ptnextjs
    set: 20260131-020000
    to: /srv/ptnextjs-export
"""

RETURN = r"""
set:
  description:
    - The set as its manifest in O(to) says, with the C(directory) where it is, its C(bytes), and C(verified).
    - Empty in check mode when it is to be written.
  returned: success
  type: dict
  sample:
    app: ptnextjs
    id: 20260131-020000
    directory: /mnt/usb/ptnextjs
    bytes: 1203400
    reason: ""
summary:
  description: The result in one or two sentences.
  returned: success
  type: str
  sample: "Set 20260131-020000 of ptnextjs is already in /mnt/usb/ptnextjs: db-20260131-020000.tar.gz, 12 KiB."
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backup.export import Params, run
from ..module_utils._engine.sdk import SystemClock
from ..module_utils._module.backups import APP_ARGUMENTS, sets_of
from ..module_utils._module.module_exit import FOLLOWED_ARGUMENTS, finish


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **APP_ARGUMENTS,
            **FOLLOWED_ARGUMENTS,
            "set": {"type": "str", "default": "latest"},
            "to": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params = Params(module.params["set"], module.params["to"])
    finish(module, lambda: run(params, sets_of(module.params), SystemClock(), module.check_mode))


if __name__ == "__main__":
    main()
