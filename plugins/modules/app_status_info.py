#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say how an application on a host is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: app_status_info
short_description: Say how an application on a host is, with its releases, backups, timers and disks
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Looks at the live release and whether what runs is as it was released, at the container, the backup sets and what
    proves them, the timers and the disks, all in one run.
  - A part that cannot be inspected is null, and RV(not_looked_at) says why; that is never a failure.
  - Sizes are those of manifests and of file systems. Nothing walks through volumes, so a large host takes no longer.
  - What is secret in the env file, and passwords in addresses, are replaced in all sentences.
options:
  container:
    description: The container's name; V(<app>-app) when not given.
    type: str
  sets_directory:
    description: The directory of the backup sets on the managed host; V(/var/backups/<app>) when not given.
    type: path
  max_disk:
    description: Percent of a disk, of its bytes or of its inodes, that may be used.
    type: float
    default: 90
extends_documentation_fragment:
  - ptnextjs.docker_vps.place
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes.info
seealso:
  - module: ptnextjs.docker_vps.release_info
  - module: ptnextjs.docker_vps.backup_info
  - module: ptnextjs.docker_vps.status_page
"""

EXAMPLES = r"""
- name: Look how the application is
  ptnextjs.docker_vps.app_status_info:
    app: ptnextjs
  register: looked
"""

RETURN = r"""
app:
  description: The name of the application.
  returned: success
  type: str
  sample: ptnextjs
time:
  description: When it was looked (UTC, the host's clock).
  returned: success
  type: str
  sample: "2026-02-01T03:00:00Z"
findings:
  description: What is wrong, one sentence each, the most urgent first.
  returned: success
  type: list
  elements: str
  sample: ["ptnextjs-app is running (unhealthy)."]
not_looked_at:
  description: Why parts of this result are null, by their names.
  returned: success
  type: dict
  sample: {"watch": "nothing watches this host between two checks; schedule.yml installs what does"}
release:
  description: The live release; empty when there is none.
  returned: success
  type: dict
  sample: {"id": "20260131-020000", "image": "ptnextjs-app:3f2a9c41d07b", "state": "live"}
releases:
  description:
    - The newest releases, newest first, with what became of them, as V(live), V(under way), V(healthy), V(failed) or
      V(degraded).
  returned: success
  type: list
  elements: dict
  sample: [{"id": "20260131-020000", "image": "ptnextjs-app:3f2a9c41d07b", "state": "live"}]
container:
  description: How the container is, and for how many seconds it has been up, null when it does not run.
  returned: success
  type: dict
  sample: {"name": "ptnextjs-app", "state": "running", "health": "healthy", "uptime": 86400, "restarts": 0}
drift:
  description: What is otherwise than it was released, one sentence each.
  returned: success
  type: list
  elements: str
  sample: ["/opt/ptnextjs/compose.yml is not as it was released."]
backup:
  description:
    - The backup sets, newest first, with what is known of each (V(drill), V(read), V(files) or V(bad)).
    - C(rpo) is the age of the newest good set in seconds. C(rto) is the seconds from the beginning of the restore until
      the application was healthy in the last drill that passed. They are null when there is none.
  returned: success
  type: dict
  sample: {"rpo": 3600, "rto": 5.9, "last": {"id": "20260201-020000", "proof": "drill"}}
timers:
  description: When each timer of the application runs next (UTC); empty for one that waits for the next boot.
  returned: success
  type: dict
  sample: {"ptnextjs-backup.timer": "2026-02-02T02:00:00Z"}
disks:
  description: The file systems of the application, its sets and the engine, each once, in bytes and inodes.
  returned: success
  type: list
  elements: dict
  sample: [{"path": "/opt", "used": 4294967296, "free": 17179869184, "inodes": 1310720, "inodes_free": 1000000}]
watch:
  description: What C(docker-vps watch) found when it last looked, one sentence each.
  returned: success
  type: list
  elements: str
  sample: []
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.sdk import SystemClock
from ..module_utils._engine.systemd import timers
from ..module_utils._module.backups import sets_of
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._module.releases import PLACE_ARGUMENTS, releases_of
from ..module_utils._release.app_status import Params, StatusWorld, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    return Params(given["app"], given["container"] or f"{given['app']}-app", given["max_disk"])


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **PLACE_ARGUMENTS,
            "container": {"type": "str"},
            "sets_directory": {"type": "path"},
            "max_disk": {"type": "float", "default": 90},
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    given = module.params
    sets = sets_of({"app": given["app"], "directory": given["sets_directory"]})
    world = StatusWorld(releases_of(given), sets, lambda: engine_of(module), timers, SystemClock())
    finish(module, lambda: run(params_of(given), world))


if __name__ == "__main__":
    main()
