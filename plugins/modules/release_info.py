#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""List the releases of an application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: List the releases of an application, and whether the live one runs
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Reads the records of M(ptnextjs.docker_vps.release_cutover), and compares them with what the engine runs.
options:
  container:
    description: The container's name; V(<app>-app) when not given.
    type: str
extends_documentation_fragment:
  - ptnextjs.docker_vps.place
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes.info
seealso:
  - module: ptnextjs.docker_vps.release_cutover
  - module: ptnextjs.docker_vps.release_rollback
"""

EXAMPLES = r"""
- name: See which releases there are
  ptnextjs.docker_vps.release_info:
    app: ptnextjs
  register: releases
"""

RETURN = r"""
releases:
  description: The releases, newest first, as in M(ptnextjs.docker_vps.release_cutover).
  returned: success
  type: list
  elements: dict
  sample: [{"id": "20260131-020000", "image": "ptnextjs-app:3f2a9c41d07b", "result": "healthy"}]
current:
  description: The id of the live release, empty when there is none.
  returned: success
  type: str
  sample: 20260131-020000
under_way:
  description: The ids of releases whose cutover has not ended, or was interrupted and not undone yet.
  returned: success
  type: list
  elements: str
  sample: []
running:
  description: The image and the state of the container.
  returned: success
  type: dict
  sample: {"image": "ptnextjs-app:3f2a9c41d07b", "state": "running (healthy)"}
summary:
  description: One line per release, and what does not agree with the container.
  returned: success
  type: list
  elements: str
  sample:
    - "20260131-020000  live       ptnextjs-app:3f2a9c41d07b  4f2c1d9a0b7e  alice@laptop  downtime 1.6 s"
    - "20260130-181500  healthy    ptnextjs-app:88ab01c9be42  0b7e4f2c1d9a  alice@laptop"
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._module.releases import PLACE_ARGUMENTS, releases_of
from ..module_utils._release.release_info import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    return Params(given["container"] or f"{given['app']}-app")


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={**PLACE_ARGUMENTS, "container": {"type": "str"}, **ENGINE_ARGUMENTS},
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), releases_of(module.params), engine_of(module)))


if __name__ == "__main__":
    main()
