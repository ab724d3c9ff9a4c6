#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prove a backup set by restoring and starting it beside the application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_drill
short_description: Test a backup set by starting the application on it, beside the live one
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Unpacks a set into temporary volumes and verifies every byte, starts the image that ran when the set was made on
    them, waits until it is healthy, and compares the files and the rows of all tables with the manifest.
  - Fails when files, rows or a table are missing; what the start itself added is reported in RV(notes).
  - Writes the result, also a failure, into the set's manifest, where M(ptnextjs.docker_vps.backup_info) finds it.
  - Leaves the running application alone. The drill's container is on a network of its own, from which nothing outside
    can be reached, publishes no port, has the resource limits of the application, and gives way to everything else when
    memory or CPU time is short.
  - Removes everything it made, also when it fails or is killed.
options:
  set:
    description: The set to test, as V(latest), its timestamp, or the path of its manifest or of one of its archives.
    type: str
    default: latest
  env_file:
    description:
      - The env file on the managed host with which the application is started.
      - V(/opt/<app>/.env.production) when not given.
    type: path
  mounts:
    description: Where the volume of each archive is mounted in the container.
    type: dict
    default: {db: /data, media: /app/public/media}
  port:
    description: The port at which the application answers, unless E(PORT) in the env file names another.
    type: int
    default: 3000
  health_path:
    description:
      - The path that answers when the application is healthy, for O(health=probe).
    type: str
    default: /api/health
  health:
    description:
      - V(probe) requests O(health_path) in the container with C(wget), C(curl), C(node), C(python3) or C(bash),
        whichever the image has.
      - V(image) is the command of the C(HEALTHCHECK) of the image.
    type: str
    choices: [probe, image]
    default: probe
  health_command:
    description:
      - A command that is the health check instead of O(health), as a list, or as a string for the shell of the
        container.
    type: raw
    default: []
  timeout:
    description: Seconds within which the application must become healthy.
    type: float
    default: 60
extends_documentation_fragment:
  - ptnextjs.docker_vps.app
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
  - ptnextjs.docker_vps.progress
  - ptnextjs.docker_vps.progress.followed
attributes:
  check_mode:
    details: Finds the set, its image and the env file, and says what would be done.
requirements:
  - GNU tar on the managed host
seealso:
  - module: ptnextjs.docker_vps.backup_info
  - module: ptnextjs.docker_vps.volume_restore
"""

EXAMPLES = r"""
- name: Prove the newest set
  ptnextjs.docker_vps.backup_drill:
    app: ptnextjs

- name: Prove an older set of another application
  ptnextjs.docker_vps.backup_drill:
    app: shop
    set: 20260131-020000
    env_file: /srv/shop/.env
    mounts: {data: /var/lib/shop}
    port: 8080
    health_path: /healthz
    timeout: 120
"""

RETURN = r"""
set:
  description: The timestamp of the set.
  returned: success, and when the set does not pass
  type: str
  sample: 20260131-020000
image:
  description: The image that was started.
  returned: success, and when the set does not pass
  type: str
  sample: sha256:5b2b24f90fbe7ac9d1
files:
  description: How many files the set has.
  returned: success, and when the set does not pass
  type: int
  sample: 42
tables:
  description: How many tables the databases of the set have.
  returned: success, and when the set does not pass
  type: int
  sample: 17
rows:
  description: How many rows the tables of the set have together.
  returned: success, and when the set does not pass
  type: int
  sample: 1204
healthy_after:
  description: Seconds from the start of the container until it was healthy, or until the wait ended.
  returned: success, and when the set does not pass
  type: float
  sample: 3.1
notes:
  description: What the start added to the files, tables and rows, and which databases could not be checked.
  returned: success, and when the set does not pass
  type: list
  elements: str
  sample: ["the table sessions of payload.db has 2 rows, and the manifest says 1"]
drill:
  description:
    - The result as written into the manifest, with the seconds that the drill took; empty in check mode.
    - C(recovery) is the seconds from the beginning of the restore until the application was healthy, 0 when it was not.
  returned: success, and when the set does not pass
  type: dict
  sample:
    at: "2026-01-31T04:00:00Z"
    passed: true
    reason: ""
    image: shop:1
    seconds: 6.3
    recovery: 5.9
summary:
  description: The result in one sentence.
  returned: success, and when the set does not pass
  type: str
  sample: The set 20260131-020000 of ptnextjs is verified.
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._backup.drill import Params, run
from ..module_utils._core import health_check
from ..module_utils._core.errors import InvalidInput
from ..module_utils._module.backups import APP_ARGUMENTS
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER
from ..module_utils._module.module_exit import FOLLOWED_ARGUMENTS
from ..module_utils._module.volumes import finish_on_volumes


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: a value cannot be right.
    """
    if not given["timeout"] > 0:
        raise InvalidInput(f"timeout must be above 0, but is {given['timeout']}.")
    if not 1 <= given["port"] <= 65535:
        raise InvalidInput(f"port must be between 1 and 65535, but is {given['port']}.")
    if not given["health_path"].startswith("/"):
        raise InvalidInput(f"health_path must begin with /, but is {given['health_path']!r}.")
    for name, path in given["mounts"].items():
        if not isinstance(path, str) or not path.startswith("/"):
            raise InvalidInput(f"mounts.{name} must be an absolute path in the container, but is {path!r}.")
    command = given["health_command"]
    if not health_check.is_command(command):
        raise InvalidInput(f"health_command must be a list of strings, or a string, but is {command!r}.")
    return Params(
        app=given["app"],
        set=given["set"],
        env_file=given["env_file"] or f"/opt/{given['app']}/.env.production",
        mounts=given["mounts"],
        port=given["port"],
        health_path=given["health_path"],
        health=given["health"],
        health_command=command,
        timeout=given["timeout"],
    )


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **APP_ARGUMENTS,
            "set": {"type": "str", "default": "latest"},
            "env_file": {"type": "path"},
            "mounts": {"type": "dict", "default": {"db": "/data", "media": "/app/public/media"}},
            "port": {"type": "int", "default": 3000},
            "health_path": {"type": "str", "default": "/api/health"},
            "health": {"type": "str", "choices": ["probe", "image"], "default": "probe"},
            "health_command": {"type": "raw", "default": []},
            "timeout": {"type": "float", "default": 60},
            **ENGINE_ARGUMENTS,
            **FOLLOWED_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish_on_volumes(module, run, params_of)


if __name__ == "__main__":
    main()
