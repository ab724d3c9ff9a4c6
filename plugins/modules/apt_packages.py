#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Install packages instead of others."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_packages
short_description: Install packages, or upgrade them, instead of others
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Reads the lists of all repositories, then installs packages or upgrades them, and removes those whose place they
    take, all in one step of apt. What is only recommended is not installed.
  - Waits up to five minutes for another process that holds a lock of apt or dpkg, such as the first upgrades of a new
    host, and says which one it was. Needs no bindings of apt for Python.
options:
  names:
    description: The packages to install, or to upgrade.
    type: list
    elements: str
    required: true
  replaced:
    description: Packages to remove in the same step.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Judges by the lists on the host, which are not read again.
requirements:
  - apt >= 2.2
seealso:
  - module: ptnextjs.docker_vps.engine_setup_info
"""

EXAMPLES = r"""
- name: Have Docker's engine instead of the distribution's
  ptnextjs.docker_vps.apt_packages:
    names: [docker-ce, docker-ce-cli, containerd.io]
    replaced: [docker.io]
"""

RETURN = r"""
packages:
  description: Names and versions of what was installed, upgraded or removed; of an upgrade, both versions.
  returned: when it is no dry run
  type: list
  elements: str
  sample: ["containerd.io 1.7.27-1", "docker-ce 5:28.5.2-1~debian.13~trixie"]
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.apt import Apt
from ..module_utils._module.module_exit import finish
from ..module_utils._release.apt_packages import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    return Params(given["names"], given["replaced"])


def main() -> None:
    """Run as an Ansible module."""
    names: dict[str, Any] = {"type": "list", "elements": "str"}
    module = AnsibleModule(
        argument_spec={"names": {**names, "required": True}, "replaced": {**names, "default": []}},
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), Apt(), module.check_mode))


if __name__ == "__main__":
    main()
