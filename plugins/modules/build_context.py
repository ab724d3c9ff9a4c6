#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring what the build of an image reads to the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: build_context
short_description: Prepare on the host what the build of an image reads
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Makes a new directory on the host for one build; remove RV(place) after the build.
  - Of sources on the controller it copies the files that the build would see, by their C(.dockerignore), or the
    C(Dockerfile.dockerignore) beside their own Dockerfile, read as BuildKit does.
options:
  directory:
    description: Where the new directory is made. It is created with its parents when missing.
    type: path
    required: true
  path:
    description: A directory of sources on the controller. Either this or O(context) is needed.
    type: path
  context:
    description: A directory of sources on the host, which is not changed.
    type: path
  archive:
    description: An archive of sources on the host. The action makes it of O(path); do not set it.
    type: path
  dockerfile:
    description: The content of the Dockerfile to use for sources that have none.
    type: str
    required: true
  ignore:
    description: The content of the C(.dockerignore) to use for sources that have neither such a file nor a Dockerfile.
    type: str
    default: ""
  docker_cli:
    description: The content of a program to run in place of the command C(docker); it is put beside the Dockerfile.
    type: str
    required: true
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
"""

EXAMPLES = r"""
- name: Send the sources
  ptnextjs.docker_vps.build_context:
    directory: /opt/shop
    path: /home/me/shop
    dockerfile: |
      FROM node:22-alpine
      COPY . .
    docker_cli: |
      #!/bin/sh
      exec docker "$@"
  register: build
"""

RETURN = r"""
place:
  description: The new directory.
  returned: success, unless in check mode
  type: str
  sample: /opt/shop/ansible.x1_k2.docker_vps
path:
  description: The directory of the sources on the host.
  returned: success, unless in check mode
  type: str
  sample: /opt/shop/ansible.x1_k2.docker_vps/context
dockerfile:
  description: The Dockerfile to build with.
  returned: success, unless in check mode
  type: str
  sample: /opt/shop/ansible.x1_k2.docker_vps/Dockerfile
own_dockerfile:
  description: The content of the sources' own Dockerfile, empty when they have none.
  returned: success, unless in check mode
  type: str
  sample: ""
docker_cli:
  description: The program to build with.
  returned: success, unless in check mode
  type: str
  sample: /opt/shop/ansible.x1_k2.docker_vps/docker
"""


from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.module_exit import finish
from ..module_utils._store.build_context import Params, run


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "path": {"type": "path"},
            "context": {"type": "path"},
            "archive": {"type": "path"},
            "dockerfile": {"type": "str", "required": True},
            "ignore": {"type": "str", "default": ""},
            "docker_cli": {"type": "str", "required": True},
        },
        required_one_of=[("path", "context", "archive")],
        mutually_exclusive=[("path", "context"), ("context", "archive")],
        supports_check_mode=True,
    )
    given = {name: value for name, value in module.params.items() if name != "path"}
    finish(module, lambda: run(Params(**given), module.check_mode))


if __name__ == "__main__":
    main()
