#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Change the engine's daemon.json key by key."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_config
short_description: Merge options into the engine's daemon.json, and see that it works with them
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Merges options into C(/etc/docker/daemon.json) key by key. What else is there stays, and a file that is not JSON is
    refused and left as it is.
  - The engine checks the new file before it is put in place. Then it is reloaded, or restarted when a running engine
    does not take one of the changed options over; the containers that ran have to run again, the engine's bridge has to
    have an address, and a network can be made. Otherwise the file is as it was before, and the engine is started with
    that again.
  - Pools of addresses that overlap a route of the host are refused.
options:
  options:
    description:
      - What is to be in the file, as in L(the reference of dockerd, https://docs.docker.com/reference/cli/dockerd/).
      - Objects are merged, such as C(log-opts). Everything else is replaced, a list too.
      - C(live-restore) is left out on a node of a swarm, where the engine would not start with it.
    type: dict
    required: true
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.diff
attributes:
  diff_mode:
    details: Shows the options that change and no others, which may hold a password.
notes:
  - C(log-opts) counts for containers that are made afterwards.
requirements:
  - systemd
"""

EXAMPLES = r"""
- name: Rotate the logs of all containers, and let them run while the engine is upgraded
  ptnextjs.docker_vps.engine_config:
    options:
      log-driver: json-file
      log-opts: {max-size: 10m, max-file: "3"}
      live-restore: true
"""

RETURN = r"""
options:
  description: The options that were changed.
  returned: success
  type: list
  elements: str
  sample: [live-restore, log-driver, log-opts]
restarted:
  description: Whether the engine was restarted.
  returned: success
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.service import EngineService
from ..module_utils._module.module_exit import finish
from ..module_utils._release.engine_config import Params, run


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec={"options": {"type": "dict", "required": True}}, supports_check_mode=True)
    shown = {"module_args": {"options": sorted(module.params["options"])}}
    finish(module, lambda: run(Params(module.params["options"]), EngineService(), module.check_mode), shown)


if __name__ == "__main__":
    main()
