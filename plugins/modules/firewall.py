#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Close a host but for SSH, HTTP and HTTPS, without ever closing it to whoever does so."""

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall
short_description: Let SSH, HTTP and HTTPS in and nothing else, and take that back unless a new connection confirms it
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Makes the table C(inet docker_vps) of nftables, in one transaction. It closes all ports of the host to other hosts,
    over IPv4 and IPv6, but those of SSH, 80, 443 and further ones. Ports that Docker publishes are closed, too. Tables
    and chains of others stay as they are, and a warning names those that drop what is to be open.
  - Where ufw is switched on, that rules the host's own ports. It gets rules for the same ports, and the table has only
    what ufw does not see, the ports that Docker publishes.
  - Before the rules are loaded, systemd is told to take them back after O(confirm_timeout) seconds. O(state=confirmed)
    stops that, and has the rules loaded at each boot. It has to come by another connection than O(state=present) did.
options:
  state:
    description:
      - V(present) loads the rules when they differ from what is there.
      - V(confirmed) keeps what V(present) has loaded, and fails when that has been taken back already.
      - V(absent) removes the table, the files and the rules of ufw.
    type: str
    choices: [present, confirmed, absent]
    default: present
  ssh_ports:
    description:
      - The ports of SSH. Empty stands for those on which an SSH server or a socket unit of one listens, and the one by
        which this connection came.
      - A port on which nobody listens is refused.
    type: list
    elements: int
    default: []
  tcp_ports:
    description: Further TCP ports that are open.
    type: list
    elements: int
    default: []
  udp_ports:
    description: Further UDP ports that are open.
    type: list
    elements: int
    default: []
  trusted_interfaces:
    description: Interfaces from which everything is let in, besides C(lo) and the bridges of Docker. C(*) at the end
      stands for any characters.
    type: list
    elements: str
    default: []
  confirm_timeout:
    description: Seconds after which the rules are taken back unless they are confirmed.
    type: float
    default: 60
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.diff
requirements:
  - nft >= 1.0
  - systemd
"""

EXAMPLES = r"""
- name: Close the host but for SSH, HTTP and HTTPS
  ptnextjs.docker_vps.firewall:
    trusted_interfaces: [wg0]
  register: firewall

# A play closes its connection in between by ansible.builtin.meta: reset_connection
- name: Confirm it by a new connection
  ptnextjs.docker_vps.firewall:
    state: confirmed
"""

RETURN = r"""
pending:
  description: Whether the rules were loaded and are taken back unless they are confirmed.
  returned: success
  type: bool
  sample: true
ssh_ports:
  description: The ports that are open for SSH.
  returned: success
  type: list
  elements: int
  sample: [22]
closed:
  description: What listens on this host or is published by a container, and other hosts do not reach with these rules.
  returned: success
  type: list
  elements: str
  sample: ["3000/tcp (container shop-app)", "5432/tcp (postgres)"]
"""

import os
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.nftables import Nftables, Ufw
from ..module_utils._engine.service import EngineService
from ..module_utils._engine.sockets import Sockets
from ..module_utils._engine.systemd import later, systemctl
from ..module_utils._module.module_exit import finish
from ..module_utils._release.firewall import Params, World, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    return Params(**given)


def main() -> None:
    """Run as an Ansible module."""
    ports = {"type": "list", "elements": "int", "default": []}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "confirmed", "absent"], "default": "present"},
            "ssh_ports": ports,
            "tcp_ports": ports,
            "udp_ports": ports,
            "trusted_interfaces": {"type": "list", "elements": "str", "default": []},
            "confirm_timeout": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    world = World(Nftables(), Ufw(), Sockets(), EngineService(), systemctl, later, os.getpid())
    finish(module, lambda: run(params_of(module.params), world, module.check_mode))


if __name__ == "__main__":
    main()
