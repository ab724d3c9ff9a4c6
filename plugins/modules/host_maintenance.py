#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Remove what nobody needs any more, tend the databases of an application, and say what is due."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_maintenance
short_description: Remove what nobody needs any more, tend the databases of an application, and say what is due
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Removes images without a name that no container and no release on record has, and build cache that was not used for
    some days. Images with a name stay, whosever they are, so that a rollback finds what it needs.
  - Cuts the logs of builds and of releases that failed. Those of containers are rotated by the engine.
  - Runs C(PRAGMA optimize) on the application's SQLite databases where SQLite finds that due, and C(VACUUM) on demand
    where that pays. Containers that use the volume are paused meanwhile, mostly for less than a second, so requests are
    late, and none fails.
  - The command C(docker-vps maintenance) of the role C(schedule) does the same.
  - What a part cannot do keeps no other part, and is among RV(cautions).
options:
  container:
    description: The name of the container; V(<app>-app) when not given.
    type: str
  sets_directory:
    description: The directory of the backup sets, whose lock is held; V(/var/backups/<app>) when not given.
    type: path
  volumes:
    description: The volumes by the names of their archives; the first is that of the databases.
    type: dict
    default: {}
  database:
    description: The database as archive/path, such as V(db/payload.db), when it is in another volume.
    type: str
    default: ""
  prune:
    description: Whether to remove images and build cache.
    type: bool
    default: true
  cache_days:
    description: Days after which build cache that nobody used goes.
    type: float
    default: 7
  logs:
    description: The paths of logs to cut besides those of releases that failed.
    type: list
    elements: path
    default: []
  log_size:
    description: How long a log may be. Of a longer one the last half of that stays.
    type: str
    default: 10M
  vacuum:
    description:
      - Whether to give back what is free in a database, when that is a fifth of it and 1 MiB at least.
      - The disk must have twice the size of the database free, or it is left alone. Tables without an
        C(INTEGER PRIMARY KEY) may get other rowids.
    type: bool
    default: false
  pause:
    description: Seconds for which the application may be paused at once; a C(VACUUM) that takes longer is undone.
    type: float
    default: 30
  due_image_days:
    description: Days after which the image of the application is too old; V(0) is never.
    type: float
    default: 90
  due_backup_hours:
    description: Hours after which a backup is due; V(0) is never.
    type: float
    default: 26
  due_proof_days:
    description: Days after which a restore has to prove a backup; V(0) is never.
    type: float
    default: 35
extends_documentation_fragment:
  - ptnextjs.docker_vps.place
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Tells what would be done, with the same numbers; of a C(VACUUM), what is free in the database.
seealso:
  - module: ptnextjs.docker_vps.backup_prune
  - module: ptnextjs.docker_vps.base_images
"""

EXAMPLES = r"""
- name: See what would be removed
  ptnextjs.docker_vps.host_maintenance:
    app: ptnextjs
    volumes: {db: ptnextjs-db, media: ptnextjs-media}
  check_mode: true
  register: maintained

- name: Give the disk back what a large deletion has left
  ptnextjs.docker_vps.host_maintenance:
    app: ptnextjs
    volumes: {db: ptnextjs-db}
    prune: false
    vacuum: true
"""

RETURN = r"""
images:
  description: The images that were removed, by their ids, with the bytes that no other image shares.
  returned: success
  type: list
  elements: dict
  sample: [{"id": "sha256:2c26b46b68ff", "bytes": 52428800}]
build_cache:
  description: How many pieces of build cache were removed, and their bytes.
  returned: success
  type: dict
  sample: {"records": 12, "bytes": 104857600}
logs:
  description: The logs that were cut, and by how many bytes.
  returned: success
  type: list
  elements: dict
  sample: [{"path": "/opt/ptnextjs/build.log", "freed": 20971520}]
databases:
  description: What became of each database.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The volume and the path in it.
      type: str
      sample: ptnextjs-db/payload.db
    bytes:
      description: Its size with its write-ahead log, in the end.
      type: int
      sample: 1048576
    optimized:
      description: The tables whose statistics were brought up to date.
      type: list
      elements: str
      sample: [posts]
    vacuumed:
      description: Whether it was rewritten.
      type: bool
      sample: false
    freed:
      description: The bytes that this gave back.
      type: int
      sample: 0
    paused:
      description: For how many seconds the application was paused at most.
      type: float
      sample: 0.1
    note:
      description: Why there was no C(VACUUM) although it was asked for; empty when there was, or nobody asked.
      type: str
      sample: ""
    problem:
      description: What could not be done; empty when all was.
      type: str
      sample: ""
freed:
  description: The bytes that were given back in all.
  returned: success
  type: int
  sample: 178257920
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 4.2
due:
  description: What is due, one sentence each.
  returned: success
  type: list
  elements: str
  sample: ["No restore has proved a set: restore_drill.yml is due."]
cautions:
  description: What could not be done, one sentence each.
  returned: success
  type: list
  elements: str
  sample: []
summary:
  description: All of this in lines for people.
  returned: success
  type: list
  elements: str
  sample: ["2 images without a name and without a user were removed, which alone had 50 MiB.", "50 MiB freed in 4.2 s."]
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backup import database_upkeep
from ..module_utils._core.errors import InvalidInput
from ..module_utils._core.maintenance import DueAfter
from ..module_utils._engine.sdk import SystemClock
from ..module_utils._module.backups import sets_of, volumes_of
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._module.releases import PLACE_ARGUMENTS, releases_of
from ..module_utils._module.sizes import bytes_of
from ..module_utils._release.maintenance import MaintenanceWorld, Params, run

NUMBERS = ("cache_days", "pause", "due_image_days", "due_backup_hours", "due_proof_days")


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: a number is negative, a size is none, or a volume has no name.
    """
    for name in NUMBERS:
        if not given[name] >= 0:
            raise InvalidInput(f"{name} must be 0 or more, but is {given[name]:g}.")
    volumes = volumes_of(given["volumes"]) if given["volumes"] else {}
    return Params(
        app=given["app"],
        container=given["container"] or f"{given['app']}-app",
        databases=database_upkeep.Params(volumes, given["database"], given["vacuum"], given["pause"]),
        prune=given["prune"],
        cache_days=given["cache_days"],
        logs=given["logs"],
        log_bytes=bytes_of(given, "log_size"),
        after=DueAfter(
            backup=given["due_backup_hours"] * 3600.0,
            proof=given["due_proof_days"] * 86400.0,
            read=0.0,  # known only of the job of a timer
            image=given["due_image_days"] * 86400.0,
        ),
    )


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **PLACE_ARGUMENTS,
            "container": {"type": "str"},
            "sets_directory": {"type": "path"},
            "volumes": {"type": "dict", "default": {}},
            "database": {"type": "str", "default": ""},
            "prune": {"type": "bool", "default": True},
            "cache_days": {"type": "float", "default": 7},
            "logs": {"type": "list", "elements": "path", "default": []},
            "log_size": {"type": "str", "default": "10M"},
            "vacuum": {"type": "bool", "default": False},
            "pause": {"type": "float", "default": 30},
            "due_image_days": {"type": "float", "default": 90},
            "due_backup_hours": {"type": "float", "default": 26},
            "due_proof_days": {"type": "float", "default": 35},
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    given = module.params
    sets = sets_of({"app": given["app"], "directory": given["sets_directory"]})
    world = MaintenanceWorld(lambda: engine_of(module), SystemClock(), sets, releases_of(given))
    finish(module, lambda: run(params_of(given), world, module.check_mode))


if __name__ == "__main__":
    main()
