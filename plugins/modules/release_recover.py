#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finish or undo what an interrupted cutover has left."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_recover
short_description: Finish or undo a release that was interrupted
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Waits for a cutover that is under way, and finishes or undoes one that was interrupted, for example by a power
    failure. M(ptnextjs.docker_vps.release_cutover) does that itself; this module is for plays that do something else
    with the application.
options:
  put_back:
    description:
      - Also put the definition and the env file of the live release back where the files on the host differ and were
        never live. Those are kept beside them as C(<name>.previous).
      - Fails when no release was ever live.
    type: bool
    default: false
extends_documentation_fragment:
  - ptnextjs.docker_vps.place
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Says which releases would be recovered, and which files put back.
seealso:
  - module: ptnextjs.docker_vps.release_cutover
  - module: ptnextjs.docker_vps.release_info
"""

EXAMPLES = r"""
- name: Leave nothing half-done before the application is started by hand
  ptnextjs.docker_vps.release_recover:
    app: ptnextjs
    put_back: true
"""

RETURN = r"""
recovered:
  description: The ids of the releases that were finished or undone, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: ["20260131-020000"]
put_back:
  description: The files that were put back, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/opt/ptnextjs/.env.production]
summary:
  description: What became of each, in one sentence or more.
  returned: success
  type: list
  elements: str
  sample: ["Release 20260131-020000: failed. The run that was at it was killed. The version before was put back."]
"""


from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER
from ..module_utils._module.module_exit import finish
from ..module_utils._module.releases import PLACE_ARGUMENTS, world_of
from ..module_utils._release.release_recover import run


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={"put_back": {"type": "bool", "default": False}, **PLACE_ARGUMENTS, **ENGINE_ARGUMENTS},
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    given = module.params
    finish(module, lambda: run(given["app"], given["put_back"], world_of(module), module.check_mode))


if __name__ == "__main__":
    main()
