#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make a backup set of a database file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_import
short_description: Make a backup set from a SQLite database file
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Makes a set with one archive of a database file, for example one that Litestream restored to a point in time. The
    set is listed, verified and restored like any other one; restoring it leaves other volumes alone.
  - The file is checked first and is not changed. The restored database has the same owner as the file.
options:
  file:
    description: The database file on the managed host.
    type: path
    required: true
  archive:
    description: The name of the archive.
    type: str
    default: db
  path:
    description: The path of the database in its volume.
    type: str
    default: payload.db
  volume:
    description: The volume that a restore writes to.
    type: str
    default: ptnextjs-db
  reason:
    description: Why the set is made, to be shown in lists.
    type: str
    default: ""
extends_documentation_fragment:
  - ptnextjs.docker_vps.app
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Checks the file and writes nothing.
requirements:
  - GNU tar on the managed host
seealso:
  - module: ptnextjs.docker_vps.volume_restore
"""

EXAMPLES = r"""
- name: Make a set of a database that was found elsewhere
  ptnextjs.docker_vps.backup_import:
    app: ptnextjs
    file: /root/payload.db
    volume: ptnextjs-db
    reason: from the old host
"""

RETURN = r"""
set:
  description: The set, as its manifest says, with the C(directory) where it is, its C(bytes), and C(verified).
  returned: success, empty in check mode
  type: dict
  sample:
    app: ptnextjs
    id: 20260131-020000
    directory: /var/backups/ptnextjs
    bytes: 12034
    reason: from the old host
summary:
  description: The result in one sentence.
  returned: success
  type: str
  sample: "Set 20260131-020000 of ptnextjs: 1 archive, 12 KiB, 1 database sound, in /var/backups/ptnextjs."
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backup.set_import import Params, run
from ..module_utils._engine.sdk import SystemClock
from ..module_utils._module.backups import APP_ARGUMENTS, sets_of
from ..module_utils._module.module_exit import finish


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **APP_ARGUMENTS,
            "file": {"type": "path", "required": True},
            "archive": {"type": "str", "default": "db"},
            "path": {"type": "str", "default": "payload.db"},
            "volume": {"type": "str", "default": "ptnextjs-db"},
            "reason": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params = Params(**{name: module.params[name] for name in ("file", "archive", "path", "volume", "reason")})
    finish(module, lambda: run(params, sets_of(module.params), SystemClock(), module.check_mode))


if __name__ == "__main__":
    main()
