#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copy backup sets off-site and bring them back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_offsite
short_description: Copy backup sets off-site with restic, and bring them back
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Copies finished backup sets into a restic repository, encrypted and deduplicated, on any storage that restic knows
    (SFTP, S3, a REST server and others).
  - Sends the archives uncompressed, so that an unchanged media library is sent and stored only once.
  - A set counts as copied only when all of it is there. An archive that does not match its checksum is not sent.
  - A repository may serve many hosts. Sets are sent, fetched and removed for one host and one application only,
    identified by restic's host name and the tag C(app). C(restic tag), C(restic copy) and C(restic rewrite) may be used
    on them.
  - Secrets are passed to restic in its environment only, and never shown.
options:
  state:
    description:
      - V(copied) sends the sets that are not there yet, and creates the repository when there is none.
      - V(fetched) brings sets back from the repository into O(directory), uncompressed, where they can be restored like
        any other. A set that is already there as a whole is left alone.
      - V(pruned) removes the sets that no rule keeps, each as a whole, and what interrupted copies left. Snapshots that
        it does not recognise stay, and nothing is removed when no set in the repository is whole.
    type: str
    choices: [copied, fetched, pruned]
    default: copied
  set:
    description:
      - Which set to copy or fetch, as V(latest), V(all), or a timestamp such as V(20260131-020000).
      - A set to copy may also be named by the path of its manifest.
    type: str
    default: latest
  only_kept:
    description:
      - Whether V(copied) with O(set=all) leaves out sets that V(pruned) with the same rules would remove at once.
      - That can be the oldest set in O(directory), which is kept there for being the oldest, when the repository has an
        older one.
    type: bool
    default: false
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
extends_documentation_fragment:
  - ptnextjs.docker_vps.app
  - ptnextjs.docker_vps.restic
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
  - ptnextjs.docker_vps.progress
  - ptnextjs.docker_vps.progress.followed
attributes:
  check_mode:
    details: Reads the repository and says what would be sent, fetched or removed.
seealso:
  - module: ptnextjs.docker_vps.backup_offsite_info
  - module: ptnextjs.docker_vps.volume_backup
  - module: ptnextjs.docker_vps.volume_restore
  - module: ptnextjs.docker_vps.backup_prune
"""

EXAMPLES = r"""
- name: Copy the newest set
  ptnextjs.docker_vps.backup_offsite:
    app: ptnextjs
    repository: sftp:backup@backup.example.com:/srv/restic/ptnextjs
    password: "{{ vault_restic_password }}"

- name: Copy whatever is not there yet, to S3
  ptnextjs.docker_vps.backup_offsite:
    set: all
    repository: s3:https://s3.example.com/backups
    password: "{{ vault_restic_password }}"
    environment:
      AWS_ACCESS_KEY_ID: "{{ vault_s3_key }}"
      AWS_SECRET_ACCESS_KEY: "{{ vault_s3_secret }}"

- name: Keep 14 days and 12 months off-site
  ptnextjs.docker_vps.backup_offsite:
    state: pruned
    repository: sftp:backup@backup.example.com:/srv/restic/ptnextjs
    password: "{{ vault_restic_password }}"
    daily: 14
    monthly: 12

- name: Bring a set back on a new host
  ptnextjs.docker_vps.backup_offsite:
    state: fetched
    host: the-old-host
    set: 20260131-020000
    repository: sftp:backup@backup.example.com:/srv/restic/ptnextjs
    password: "{{ vault_restic_password }}"
"""

RETURN = r"""
repository:
  description: The repository, without a password.
  returned: success
  type: str
  sample: rest:https://user:***@backup.example.com/
created:
  description: Whether this run created the repository, or would have in check mode.
  returned: success
  type: bool
  sample: false
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
    - V(pruned) removes none of these.
  returned: success
  type: int
  sample: 0
sets:
  description: What became of each set that was asked for, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    set:
      description: The timestamp of the set (UTC).
      type: str
      sample: 20260131-020000
    status:
      description:
        - One of V(sent), V(there) (already), V(left out), V(fetched), V(kept) and V(removed); in check mode, what it
          would be.
      type: str
      sample: sent
    why:
      description: Why V(pruned) keeps or removes it, or V(copied) leaves it out.
      type: str
      sample: ""
    archives:
      description: The names of its archives.
      type: list
      elements: str
      sample: [db, media]
    bytes:
      description: The uncompressed size of its archives in bytes.
      type: int
      sample: 104882176
    added:
      description: How many bytes were sent because the repository did not have them; restic compresses them.
      type: int
      sample: 81920
    seconds:
      description: How long it took, in seconds.
      type: float
      sample: 3.201
summary:
  description: The result in one sentence.
  returned: success
  type: str
  sample: "Set 20260131-020000 of ptnextjs on web1 in s3:https://s3.example.com/backups: 9 MiB copied, 1 KiB of it new."
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backup.offsite import Params, run
from ..module_utils._core.retention import Policy
from ..module_utils._engine.sdk import SystemClock
from ..module_utils._module.backups import APP_ARGUMENTS, sets_of
from ..module_utils._module.module_exit import FOLLOWED_ARGUMENTS, finish
from ..module_utils._module.restic import RESTIC_ARGUMENTS, hide_secrets, restic_of

RULES = ("last", "daily", "weekly", "monthly", "yearly")


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: the retention cannot be meant.
    """
    return Params(
        state=given["state"],
        which=given["set"],
        policy=Policy(**{rule: given[rule] for rule in RULES}),
        host=given["host"],
        only_kept=given["only_kept"],
    )


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **APP_ARGUMENTS,
            **RESTIC_ARGUMENTS,
            **FOLLOWED_ARGUMENTS,
            "state": {"type": "str", "choices": ["copied", "fetched", "pruned"], "default": "copied"},
            "set": {"type": "str", "default": "latest"},
            "only_kept": {"type": "bool", "default": False},
            "last": {"type": "int", "default": 0},
            "daily": {"type": "int", "default": 7},
            "weekly": {"type": "int", "default": 4},
            "monthly": {"type": "int", "default": 3},
            "yearly": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    restic = restic_of(module.params)
    shown = hide_secrets(module, restic)
    finish(
        module,
        lambda: run(params_of(module.params), sets_of(module.params), restic, SystemClock(), module.check_mode),
        shown,
    )


if __name__ == "__main__":
    main()
