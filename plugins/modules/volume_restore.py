#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restore the volumes of an application from a backup set."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_restore
short_description: Restore a backup set into Docker volumes, or undo a restore
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Extracts every archive of a set beside the live data while the application may keep running, verifies checksums,
    every database and its numbers of rows, and only then exchanges directories. So the data is either the old or the
    new one, never a mixture, and a damaged set changes nothing.
  - The data from before is kept as C(_data.before-<time>) beside the volume's C(_data), until the next restore of the
    same volume succeeds, or until M(ptnextjs.docker_vps.backup_prune) removes it, after 7 days by default. Removing the
    volume removes it too.
  - A missing volume is created with the driver and the labels recorded in the set, so that Compose accepts it as its
    own.
  - If the module is killed, a watching process undoes or finishes what was begun, and starts what was stopped. After a
    power failure the next run of any backup module does so.
  - Compares the live data with the set, and says what would be lost, before anything is changed.
  - Does not wait for the application's health; see M(ptnextjs.docker_vps.container_health).
options:
  set:
    description:
      - The set to restore, as V(latest), a timestamp such as V(20260131-020000), or the path of a manifest or an
        archive, which may be in another directory.
    type: str
    default: latest
  volumes:
    description:
      - The volumes to restore into, by the names of the archives, for example to try a set in other volumes. Archives
        that are not named are not restored.
      - When not given, all archives are restored into the volumes that they came from.
      - With O(undo=true), only these volumes are undone.
    type: dict
  stop_app:
    description:
      - Stop the containers that use the volumes while the data is exchanged, and start them again.
      - When false, the restore is refused while such a container runs.
    type: bool
    default: false
  force:
    description: Accept a set of another application.
    type: bool
    default: false
  allow_outside_links:
    description: Restore symbolic links that lead out of the volume. When false, a set that has some is refused.
    type: bool
    default: false
  undo:
    description:
      - Put back the data from before the last restore, instead of restoring a set. A second undo puts back what the
        first one replaced.
    type: bool
    default: false
  safety_copy:
    description: Keep the data from before. When false, it is removed after success, and the restore cannot be undone.
    type: bool
    default: true
  uploads:
    description:
      - How to find the uploads that the rows of a set name. When the database is restored without the uploads, those
        that no longer exist are reported before anything is changed. For this the database's archive is briefly
        unpacked below C(/var/tmp).
      - Not checked when not given, or when O(uploads.volume) is restored as well.
    type: dict
    suboptions:
      query:
        description: A query whose first column is the path of an upload, relative to the volume.
        type: str
        default: SELECT filename FROM media WHERE filename IS NOT NULL
      volume:
        description: The volume that holds the uploads.
        type: str
        required: true
extends_documentation_fragment:
  - ptnextjs.docker_vps.app
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
  - ptnextjs.docker_vps.progress
  - ptnextjs.docker_vps.progress.followed
attributes:
  check_mode:
    details:
      - Reads the archives completely and compares them with the live data. Changes nothing, and is not refused while
        containers run.
requirements:
  - GNU tar on the managed host
seealso:
  - module: ptnextjs.docker_vps.volume_backup
  - module: ptnextjs.docker_vps.container_health
"""

EXAMPLES = r"""
- name: Restore the last set, stopping the application briefly
  ptnextjs.docker_vps.volume_restore:
    app: ptnextjs
    stop_app: true

- name: Try a set in another volume
  ptnextjs.docker_vps.volume_restore:
    app: ptnextjs
    set: 20260131-020000
    volumes: {db: trial-db}

- name: Undo the restore
  ptnextjs.docker_vps.volume_restore:
    app: ptnextjs
    undo: true
    stop_app: true
"""

RETURN = r"""
set:
  description: The timestamp of the set; with O(undo), of the one whose restore was undone.
  returned: success
  type: str
  sample: 20260131-020000
volumes:
  description: The volumes whose data was exchanged.
  returned: success
  type: list
  elements: str
  sample: [ptnextjs-db, ptnextjs-media]
created:
  description: Those of the volumes that were missing and have been created.
  returned: success
  type: list
  elements: str
  sample: []
files:
  description: How many files are restored.
  returned: success
  type: int
  sample: 214
bytes:
  description: The size of the restored files, in bytes.
  returned: success
  type: int
  sample: 52428800
would_lose:
  description:
    - What is in the live data and not in the set. C(tables) says how many rows fewer each table has in the set,
      C(newer_files) how many files were written since, without those of a replica, and C(uploads_gone) how many
      O(uploads) that the rows of the set name are gone. C(summary) says all of it in sentences.
  returned: success, and when the restore was refused because a container runs
  type: dict
  sample:
    tables: {vendors: 2}
    newer_files: 3
    uploads_gone: 0
    summary: "Would be lost: 2 rows of vendors, what changed in 3 files since 2026-01-31 02:00:00 UTC."
stopped:
  description: The containers that were stopped and started again, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [ptnextjs-app]
downtime:
  description: For how many seconds containers were stopped.
  returned: success
  type: float
  sample: 0.61
safety_copies:
  description: The directories in which the data from before is kept.
  returned: success
  type: list
  elements: str
  sample: [/var/lib/docker/volumes/ptnextjs-db/_data.before-20260201-093000]
left:
  description: Earlier safety copies that are not needed any more and could not be removed. Each later run tries again.
  returned: success
  type: list
  elements: str
  sample: []
notes:
  description: The databases that could not be checked before the exchange, and why.
  returned: success
  type: list
  elements: str
  sample: []
summary:
  description: What was done, in sentences.
  returned: success
  type: str
  sample: "Set 20260131-020000 of ptnextjs is in ptnextjs-db, ptnextjs-media: 214 files, 50 MiB."
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backup.restore import run
from ..module_utils._backup.restore_source import Params
from ..module_utils._backup.uploads import UploadsQuery
from ..module_utils._module.backups import APP_ARGUMENTS, volumes_of
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER
from ..module_utils._module.module_exit import FOLLOWED_ARGUMENTS
from ..module_utils._module.volumes import finish_on_volumes


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: the name of a volume is not a string.
    """
    return Params(
        app=given["app"],
        set=given["set"],
        volumes=volumes_of(given["volumes"]) if given["volumes"] else {},
        stop_app=given["stop_app"],
        force=given["force"],
        allow_outside_links=given["allow_outside_links"],
        undo=given["undo"],
        safety_copy=given["safety_copy"],
        uploads=UploadsQuery(given["uploads"]["query"], given["uploads"]["volume"]) if given["uploads"] else None,
    )


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **APP_ARGUMENTS,
            "set": {"type": "str", "default": "latest"},
            "volumes": {"type": "dict"},
            "stop_app": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            "allow_outside_links": {"type": "bool", "default": False},
            "undo": {"type": "bool", "default": False},
            "safety_copy": {"type": "bool", "default": True},
            "uploads": {
                "type": "dict",
                "options": {
                    "query": {"type": "str", "default": "SELECT filename FROM media WHERE filename IS NOT NULL"},
                    "volume": {"type": "str", "required": True},
                },
            },
            **ENGINE_ARGUMENTS,
            **FOLLOWED_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish_on_volumes(module, run, params_of)


if __name__ == "__main__":
    main()
