#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Back up the volumes of an application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_backup
short_description: Back up Docker volumes consistently while the application runs
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Writes one backup set into a directory, one archive per volume and a manifest, for example
    C(db-20260131-020000.tar.gz), C(media-20260131-020000.tar.gz) and C(manifest-20260131-020000.json).
    C(tar xzf) opens the archives.
  - Every SQLite database in the first volume, and the one that O(database) names, counts as the application's own. It
    is copied with SQLite's online backup while the application keeps writing, checked, and archived instead of the
    live file with its C(-wal) and C(-shm). All are copied before any other file is read. To copy between two writes,
    the module waits up to 5 seconds in total.
  - Databases in other volumes are treated as ordinary files. They are archived byte for byte and checked, within
    limits, by a separate process; a damaged one is only a warning.
  - O(directory) is created when missing, accessible to its owner only. A set appears as a whole or not at all. What a
    killed run left is removed at once by a watching process, or by the next run.
  - Reads the volumes directly on the host, without a helper container or image, and compresses on all CPUs.
  - Fails without a set when a database of the application is damaged, when all volumes are empty, or when there is not
    enough disk space.
options:
  volumes:
    description:
      - The volumes by the names of their archives, in the order in which they are written. The first one should hold
        the database.
    type: dict
    required: true
  compression:
    description:
      - How the archives are compressed. V(zstd) needs python3-zstandard on the managed host (or Python 3.14).
      - V(gzip) is faster with python3-isal, which is used when it is there.
    type: str
    choices: [gzip, zstd, none]
    default: gzip
  store:
    description:
      - Where the content of the set is. With V(files), in one archive for each volume. An archive in which nothing
        changed is one more name (hard link) of the last one's file.
      - With V(shared), in chunks below C(chunks) in O(directory), which all sets share, so that a set takes only the
        space of what changed. M(ptnextjs.docker_vps.backup_export) makes archives of such a set.
    type: str
    choices: [files, shared]
    default: files
  reread:
    description:
      - Every how many sets the whole content of the volumes is read. In between, files whose size, times, inode, owner
        and mode are as they were in the last set are not read again. V(1) reads everything each time.
    type: int
    default: 7
  consistency:
    description:
      - V(online) leaves the application alone. It suits SQLite, and files that are written once.
      - V(pause) freezes every container that uses the volumes while they are read, and V(stop) stops it. They are for
        other databases. The containers continue afterwards, even when the backup fails or is killed.
    type: str
    choices: [online, pause, stop]
    default: online
  database:
    description:
      - The application's database as archive/path, such as V(db/payload.db); empty when unknown.
      - It counts as the application's own whichever volume it is in. When it is absent or empty, the set has a warning.
      - An encrypted database cannot be copied while the application runs, so O(consistency) must be V(pause) or
        V(stop). It is archived as it is, and counted as not checked. The same goes for encrypted databases in the first
        volume.
    type: str
    default: ""
  uploads:
    description:
      - When given, checks that every upload that the copied database names is in an archive. Missing ones are listed in
        the manifest.
    type: dict
    suboptions:
      query:
        description: A query whose first column is the path of an upload, relative to the volume.
        type: str
        default: SELECT filename FROM media WHERE filename IS NOT NULL
      archive:
        description: The archive that holds the uploads.
        type: str
        default: media
  reason:
    description: Why the set is made, to be shown in lists.
    type: str
    default: ""
  loss_rows:
    description:
      - A table that has lost more than this percentage of its rows since the last set counts as a loss. V(100) switches
        this off. Tables of fewer than 10 rows are not compared.
      - The set is made nevertheless and reports the loss, and M(ptnextjs.docker_vps.backup_prune) keeps the set before
        it until the rows are back or the loss is accepted.
    type: float
    default: 50
  loss_files:
    description: The same percentage for the files of a volume.
    type: float
    default: 50
  loss_ignore:
    description:
      - Patterns with C(*) and C(?) of names of tables, or of paths of databases, whose rows come and go in normal
        operation.
    type: list
    elements: str
    default: ["payload_locked_documents*", "payload_jobs*", payload_kv, users_sessions]
  accept_loss:
    description:
      - Accept what is gone since earlier sets, so that those may be pruned again.
      - Also needed to make a set when a volume no longer has any database, or any file, although the last set had some.
        This is refused otherwise, since sets without the data would in time replace those that have it.
    type: bool
    default: false
extends_documentation_fragment:
  - ptnextjs.docker_vps.app
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
  - ptnextjs.docker_vps.progress
  - ptnextjs.docker_vps.progress.followed
attributes:
  check_mode:
    details: Looks at the volumes and the disk, and predicts the size; writes nothing.
requirements:
  - GNU tar on the managed host
seealso:
  - module: ptnextjs.docker_vps.volume_restore
  - module: ptnextjs.docker_vps.backup_info
  - module: ptnextjs.docker_vps.backup_prune
"""

EXAMPLES = r"""
- name: Back up while the application runs
  ptnextjs.docker_vps.volume_backup:
    app: ptnextjs
    volumes:
      db: ptnextjs-db
      media: ptnextjs-media
    uploads: {}

- name: Back up a PostgreSQL volume, frozen for as long as it is read
  ptnextjs.docker_vps.volume_backup:
    app: shop
    directory: /srv/backups/shop
    volumes: {pg: shop-pg}
    compression: zstd
    consistency: pause
    reason: before the upgrade
"""

RETURN = r"""
set:
  description: The set, as its manifest says, with the C(directory) where it is, its C(bytes), and C(verified).
  returned: success, not in check mode
  type: dict
  sample:
    app: ptnextjs
    id: 20260131-020000
    directory: /var/backups/ptnextjs
    bytes: 48211
    consistency: online
    downtime: 0.0
    archives:
      - name: db
        volume: ptnextjs-db
        file: db-20260131-020000.tar.gz
        sha256: 0c5d1c3a6cf1e30a1b7d2f2c5b9ef3a3b6f04c3e4f0d8a5c6f7e8d9c0b1a2f3e
        bytes: 12034
        files: 1
        databases:
          - path: payload.db
            journal_mode: wal
            check: sound
            tables: {vendors: 3, media: 1}
    uploads: {named: 1, missing: [], problem: ""}
    warnings: []
    losses: []
    lost_since: []
cautions:
  description: >-
    What is gone since earlier sets, unless it was accepted; and which containers somebody stopped while a backup that
    was killed had paused them.
  returned: success
  type: list
  elements: str
  sample: []
new_bytes:
  description: How many bytes of the set take space on the disk; what earlier sets have as well takes none.
  returned: success, not in check mode
  type: int
  sample: 12034
predicted_bytes:
  description: The maximum size of the set in bytes, as estimated before it was made.
  returned: success
  type: int
  sample: 52428800
summary:
  description: The set and its warnings, or in check mode what would be made, in sentences.
  returned: success
  type: str
  sample: >-
    Set 20260131-020000 of ptnextjs: 2 archives, 48 KiB, 1 database sound, 1 upload proved, in
    /var/backups/ptnextjs.
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backup.backup import Params, Query, run
from ..module_utils._core.manifest import SUFFIXES
from ..module_utils._module.backups import (
    APP_ARGUMENTS,
    LOSS_ARGUMENTS,
    LOSS_IGNORE,
    STORE_ARGUMENTS,
    limits_of,
    reread_of,
    volumes_of,
)
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER
from ..module_utils._module.module_exit import FOLLOWED_ARGUMENTS
from ..module_utils._module.volumes import finish_on_volumes


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: no volume is named.
    """
    uploads = given["uploads"]
    return Params(
        app=given["app"],
        volumes=volumes_of(given["volumes"]),
        compression=given["compression"],
        store=given["store"],
        reread=reread_of(given),
        consistency=given["consistency"],
        database=given["database"],
        uploads=None if uploads is None else Query(uploads["query"], uploads["archive"]),
        reason=given["reason"],
        accept_loss=given["accept_loss"],
        limits=limits_of(given, given["loss_ignore"]),
    )


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **APP_ARGUMENTS,
            "volumes": {"type": "dict", "required": True},
            "compression": {"type": "str", "choices": list(SUFFIXES), "default": "gzip"},
            **STORE_ARGUMENTS,
            "consistency": {"type": "str", "choices": ["online", "pause", "stop"], "default": "online"},
            "database": {"type": "str", "default": ""},
            "uploads": {
                "type": "dict",
                "options": {
                    "query": {"type": "str", "default": "SELECT filename FROM media WHERE filename IS NOT NULL"},
                    "archive": {"type": "str", "default": "media"},
                },
            },
            "reason": {"type": "str", "default": ""},
            **LOSS_ARGUMENTS,
            "loss_ignore": LOSS_IGNORE,
            "accept_loss": {"type": "bool", "default": False},
            **ENGINE_ARGUMENTS,
            **FOLLOWED_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish_on_volumes(module, run, params_of)


if __name__ == "__main__":
    main()
