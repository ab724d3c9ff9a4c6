#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""List the backup sets that are off-site."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_offsite_info
short_description: List the backup sets in a restic repository, and verify the repository
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Lists the sets of one host and one application that M(ptnextjs.docker_vps.backup_offsite) has copied into a
    repository. A set is listed only when all of it is there.
  - Secrets are passed to restic in its environment only, and never shown.
options:
  app:
    description: The name of the application; sets of other applications in the repository are not listed.
    type: str
    default: ptnextjs
  verify:
    description:
      - Whether to run C(restic check) as well, and fail when the repository is damaged.
      - Restic locks the repository while it checks.
    type: bool
    default: false
  read_data:
    description:
      - How much of the data O(verify) also reads, for example V(5%), or V(1/7) for the first of seven parts.
      - When empty, only the structure of the repository is verified.
    type: str
    default: ""
extends_documentation_fragment:
  - ptnextjs.docker_vps.restic
  - ptnextjs.docker_vps.attributes.info
seealso:
  - module: ptnextjs.docker_vps.backup_offsite
  - module: ptnextjs.docker_vps.backup_info
"""

EXAMPLES = r"""
- name: See which sets of this host are off-site
  ptnextjs.docker_vps.backup_offsite_info:
    app: ptnextjs
    repository: sftp:backup@backup.example.com:/srv/restic/ptnextjs
    password: "{{ vault_restic_password }}"
  register: offsite

- name: Verify the repository, and read a part of the data
  ptnextjs.docker_vps.backup_offsite_info:
    repository: sftp:backup@backup.example.com:/srv/restic/ptnextjs
    password: "{{ vault_restic_password }}"
    verify: true
    read_data: 5%
"""

RETURN = r"""
repository:
  description: The repository, without a password.
  returned: success
  type: str
  sample: rest:https://user:***@backup.example.com/
host:
  description: The host whose sets these are.
  returned: success
  type: str
  sample: web1
hosts:
  description: How many whole sets of this application each host has in the repository.
  returned: success
  type: dict
  sample: {"web1": 14, "web2": 14}
unknown:
  description:
    - How many snapshots may belong to sets of this application, but form no whole set because somebody changed them.
    - M(ptnextjs.docker_vps.backup_offsite) removes none of these.
  returned: success
  type: int
  sample: 0
sets:
  description: The sets of O(host), newest first.
  returned: success
  type: list
  elements: dict
  contains:
    set:
      description: The timestamp of the set (UTC).
      type: str
      sample: 20260131-020000
    archives:
      description: The names of its archives.
      type: list
      elements: str
      sample: [db, media]
    bytes:
      description: The uncompressed size of its archives in bytes.
      type: int
      sample: 104882176
summary:
  description: The result in one sentence.
  returned: success
  type: str
  sample: "1 set of ptnextjs on web1 in s3:https://s3.example.com/backups: 20260131-020000."
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backup.offsite_info import Params, run
from ..module_utils._module.backups import APP_ARGUMENTS
from ..module_utils._module.module_exit import finish
from ..module_utils._module.restic import RESTIC_ARGUMENTS, hide_secrets, restic_of


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: the name of the host cannot be one.
    """
    return Params(given["app"], given["host"], given["verify"], given["read_data"])


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "app": APP_ARGUMENTS["app"],
            **RESTIC_ARGUMENTS,
            "verify": {"type": "bool", "default": False},
            "read_data": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    restic = restic_of(module.params)
    shown = hide_secrets(module, restic)
    finish(module, lambda: run(params_of(module.params), restic), shown)


if __name__ == "__main__":
    main()
