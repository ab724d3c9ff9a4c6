#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Start the live release, or start it again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_start
short_description: Start the live release, or start it again
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Starts the container of the release that is live, unless it runs. With O(restart), one that runs is stopped first,
    so that it is away no longer than it takes to end and to start.
  - A container that is as it was released is started by the engine, so that another version of Compose does not make it
    again. Compose makes one that is missing or another one, and one whose network was recreated meanwhile.
  - Does not wait until it is healthy; M(ptnextjs.docker_vps.container_health) does.
options:
  project:
    description: The Compose project; O(app) when not given.
    type: str
  container:
    description: The name of the container; V(<app>-app) when not given.
    type: str
  restart:
    description:
      - Whether a container that runs is stopped first, within the grace period that it was created with. It is always
        started then.
    type: bool
    default: false
extends_documentation_fragment:
  - ptnextjs.docker_vps.place
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Says whether it would be started.
seealso:
  - module: ptnextjs.docker_vps.container_health
  - module: ptnextjs.docker_vps.release_recover
"""

EXAMPLES = r"""
- name: Start the application
  ptnextjs.docker_vps.release_start:
    app: ptnextjs

- name: Start it again
  ptnextjs.docker_vps.release_start:
    app: ptnextjs
    restart: true
"""

RETURN = r"""
summary:
  description: What was done, in one sentence, or in two when it was stopped first.
  returned: success
  type: str
  sample: ptnextjs-app was started.
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER
from ..module_utils._module.module_exit import finish
from ..module_utils._module.releases import PLACE_ARGUMENTS, world_of
from ..module_utils._release.start import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    app = given["app"]
    return Params(given["project"] or app, given["container"] or f"{app}-app", given["restart"])


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "project": {"type": "str"},
            "container": {"type": "str"},
            "restart": {"type": "bool", "default": False},
            **PLACE_ARGUMENTS,
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), world_of(module), module.check_mode))


if __name__ == "__main__":
    main()
