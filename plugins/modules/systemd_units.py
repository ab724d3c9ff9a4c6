#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write, start and remove the systemd units of an application in one go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_units
short_description: Write, start and remove the systemd units of an application in one go
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Writes unit files, has systemd read them, enables and starts the timers among them, and stops and removes units that
    are no longer wanted. One task does all of it, which is faster than a task for each unit.
  - Services are not started here; their timers start them.
options:
  units:
    description: The content of each unit, by the name of its file.
    type: dict
    required: true
  owned:
    description:
      - The names of all unit files that belong to the application. Those that are not in O(units) are removed, after
        their timers have been stopped.
    type: list
    elements: str
    default: []
  directory:
    description: The directory of the unit files.
    type: path
    default: /etc/systemd/system
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.diff
requirements:
  - systemd on the host
"""

EXAMPLES = r"""
- name: Install a timer and its service, and remove those of an earlier job
  ptnextjs.docker_vps.systemd_units:
    units:
      shop-backup.service: "{{ lookup('ansible.builtin.template', 'backup.service.j2') }}"
      shop-backup.timer: "{{ lookup('ansible.builtin.template', 'backup.timer.j2') }}"
    owned: [shop-backup.service, shop-backup.timer, shop-verify.service, shop-verify.timer]
"""

RETURN = r"""
written:
  description: The files that were written.
  returned: success
  type: list
  elements: str
  sample: [shop-backup.service, shop-backup.timer]
removed:
  description: The files that were removed.
  returned: success
  type: list
  elements: str
  sample: [shop-verify.service, shop-verify.timer]
started:
  description: The timers that were started.
  returned: success
  type: list
  elements: str
  sample: [shop-backup.timer]
next:
  description:
    - When timers run next (UTC, ISO 8601), by their names. Empty for one that waits for a start of something.
    - In check mode without those that would be written or started.
  returned: success, as far as systemd tells
  type: dict
  sample: {shop-backup.timer: "2026-02-01T02:07:41Z"}
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._command.units import Params, run
from ..module_utils._core.errors import InvalidInput
from ..module_utils._core.validators import not_strings
from ..module_utils._engine.systemd import systemctl
from ..module_utils._module.module_exit import finish


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: a unit is not a string.
    """
    wrong = not_strings("units", given["units"])
    if wrong:
        raise InvalidInput(" ".join(wrong))
    return Params(given["units"], given["owned"], given["directory"])


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "dict", "required": True},
            "owned": {"type": "list", "elements": "str", "default": []},
            "directory": {"type": "path", "default": "/etc/systemd/system"},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), systemctl, module.check_mode))


if __name__ == "__main__":
    main()
