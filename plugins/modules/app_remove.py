#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Remove an application from a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_remove
short_description: Remove an application, and on request its data
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Removes the containers of a Compose project, the images that no other container uses, and what is in the
    application's directory. Backups and networks stay.
  - Fails unless O(confirm) is the name of the application; the message then says what would go and what would stay.
  - Makes no backup itself. RV(backup) says what a last backup has to hold.
options:
  state:
    description:
      - V(absent) removes the application.
      - V(planned) changes nothing and fails where V(absent) would, for plays that have something to do first.
    type: str
    choices: [absent, planned]
    default: absent
  confirm:
    description: The name of the application, to confirm the removal. Not needed in check mode.
    type: str
    default: ""
  data:
    description:
      - Also remove O(volumes), the env file and O(directory) itself.
      - Fails when a container that is not the application's uses a volume, by its name or by a path.
    type: bool
    default: false
  volumes:
    description:
      - The volumes that are removed with the data.
      - V(<app>-db) and V(<app>-media) when not given.
    type: list
    elements: str
  images:
    description:
      - The names of the application's images. Tags and digests in them are ignored.
      - V(<app>-app) when not given.
    type: list
    elements: str
  backup_volumes:
    description:
      - The volumes that a last backup will hold, by the names of their archives.
      - When given, the module refuses to remove a volume with data that this backup would leave out.
    type: dict
  backup_directory:
    description:
      - The directory of the backup sets. They stay, even when it is inside O(directory).
      - V(/var/backups/<app>) when not given.
    type: path
  jobs:
    description: Scheduled jobs of the application that something else removes. They are only listed in RV(goes).
    type: list
    elements: str
    default: []
  site_files:
    description: Files of its site in a reverse proxy that something else removes. They are only listed in RV(goes).
    type: list
    elements: str
    default: []
  network:
    description: The shared network. It is only listed in RV(stays).
    type: str
    default: ""
  host:
    description:
      - The name of the host in messages.
      - Its own host name when not given.
    type: str
extends_documentation_fragment:
  - ptnextjs.docker_vps.place
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.diff
attributes:
  check_mode:
    details: Says what would go. O(confirm) is not needed.
  diff_mode:
    details: Shows what goes, by its kind, and no contents of files.
seealso:
  - module: ptnextjs.docker_vps.volume_backup
notes:
  - C(deploy.lock) in O(directory) is left to M(ptnextjs.docker_vps.deploy_lock), unless the directory goes.
"""

EXAMPLES = r"""
- name: Remove the application, and keep its data
  ptnextjs.docker_vps.app_remove:
    app: ptnextjs
    confirm: ptnextjs

- name: See what would go with the data, before a last backup is made
  ptnextjs.docker_vps.app_remove:
    app: shop
    state: planned
    confirm: shop
    data: true
    backup_volumes: {db: shop-db, media: shop-media}
  register: planned
"""

RETURN = r"""
goes:
  description:
    - What was removed, or would be in check mode and with O(state=planned), by its kind; empty when there is nothing.
  returned: success
  type: list
  elements: str
  sample:
    - containers ptnextjs-app
    - images ptnextjs-app:3f2a9c41d07b
    - "in /opt/ptnextjs: bin, compose.yml, releases"
stays:
  description: What stays.
  returned: success
  type: list
  elements: str
  sample:
    - volumes ptnextjs-db (48 KiB), ptnextjs-media (1.2 GiB)
    - /opt/ptnextjs/.env.production, since its PAYLOAD_SECRET belongs to the data
    - the network proxy, and the backups in /var/backups/ptnextjs
containers:
  description: The names of the containers that go.
  returned: success
  type: list
  elements: str
  sample: [ptnextjs-app]
images:
  description: The images that go, by name, or by id when they have no name.
  returned: success
  type: list
  elements: str
  sample: ["ptnextjs-app:3f2a9c41d07b"]
volumes:
  description: The volumes that go.
  returned: success
  type: list
  elements: str
  sample: [ptnextjs-db, ptnextjs-media]
files:
  description: The paths in the directory that go.
  returned: success
  type: list
  elements: str
  sample: [/opt/ptnextjs/compose.yml, /opt/ptnextjs/releases]
backup:
  description:
    - What a last backup has to hold, as O(backup_volumes) has it, without volumes that do not exist.
    - Empty when none is needed, since no data goes.
  returned: success
  type: dict
  sample: {"db": "ptnextjs-db", "media": "ptnextjs-media"}
summary:
  description: What went and what stays, one line for each kind.
  returned: success
  type: list
  elements: str
  sample:
    - "Gone: containers ptnextjs-app"
    - "Stays: the network proxy, and the backups in /var/backups/ptnextjs"
"""

import os
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._module.releases import PLACE_ARGUMENTS
from ..module_utils._release.removal import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    app = given["app"]
    directory = given["directory"] or f"/opt/{app}"
    return Params(
        app=app,
        directory=directory,
        env_file=given["env_file"] or f"{directory}/.env.production",
        images=tuple([f"{app}-app"] if given["images"] is None else given["images"]),
        volumes=tuple((f"{app}-db", f"{app}-media") if given["volumes"] is None else given["volumes"]),
        backups=given["backup_directory"] or f"/var/backups/{app}",
        data=given["data"],
        confirm=given["confirm"],
        planned=given["state"] == "planned",
        archives=given["backup_volumes"],
        jobs=tuple(given["jobs"]),
        site_files=tuple(given["site_files"]),
        network=given["network"],
        host=given["host"] or os.uname().nodename,
    )


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["absent", "planned"], "default": "absent"},
            "confirm": {"type": "str", "default": ""},
            "data": {"type": "bool", "default": False},
            "volumes": {"type": "list", "elements": "str"},
            "images": {"type": "list", "elements": "str"},
            "backup_volumes": {"type": "dict"},
            "backup_directory": {"type": "path"},
            "jobs": {"type": "list", "elements": "str", "default": []},
            "site_files": {"type": "list", "elements": "str", "default": []},
            "network": {"type": "str", "default": ""},
            "host": {"type": "str"},
            **PLACE_ARGUMENTS,
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), engine_of(module), module.check_mode))


if __name__ == "__main__":
    main()
