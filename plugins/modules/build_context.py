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
  - Of sources on the controller it copies the files that the build would see, by the ignore file beside their own
    Dockerfile, named after it as in C(Dockerfile.dockerignore), or else the C(.dockerignore) at the top of the context,
    read as BuildKit does.
  - Never shows the value of a secret.
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
  docker_cli:
    description: The content of a program to run instead of the command C(docker); it is put beside the Dockerfile.
    type: str
    required: true
  secrets:
    description:
      - What the build mounts as secrets, by their ids. A string, or a mapping with C(value), is put into a file below
        RV(place) that only root reads. A mapping with C(file) names a file of the host.
    type: dict
    default: {}
  keys:
    description:
      - Secrets for the build of sources that have no Dockerfile of their own, by their ids, as paths of files on the
        host. A file that is not there is made, for root alone, with base64 of 32 random bytes, and is kept then.
      - An id that O(secrets) has, too, is taken from there.
    type: dict
    default: {}
extends_documentation_fragment:
  - ptnextjs.docker_vps.context
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

- name: Send a part of the sources, with a token for the packages that it installs
  ptnextjs.docker_vps.build_context:
    directory: /opt/shop
    path: /home/me/shop
    dockerfile_path: docker/Dockerfile.prod
    context_path: apps/web
    dockerfile: ""
    docker_cli: ""
    secrets:
      npm_token: "{{ vault_npm_token }}"
      ca: {file: /etc/ssl/certs/ca-certificates.crt}
  register: build
"""

RETURN = r"""
place:
  description: The new directory.
  returned: success, unless in check mode
  type: str
  sample: /opt/shop/ansible.x1_k2.docker_vps
path:
  description: The directory on the host that is the context of the build.
  returned: success, unless in check mode
  type: str
  sample: /opt/shop/ansible.x1_k2.docker_vps/context
dockerfile:
  description: The Dockerfile to build with. Beside it is the ignore file that counts.
  returned: success, unless in check mode
  type: str
  sample: /opt/shop/ansible.x1_k2.docker_vps/build/Dockerfile
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
secrets:
  description: The secrets as M(community.docker.docker_image_build) takes them, as files.
  returned: success, unless in check mode
  type: list
  elements: dict
  sample: [{id: npm_token, type: file, src: /opt/shop/ansible.x1_k2.docker_vps/secrets/0}]
key_ids:
  description:
    - By the ids of O(keys), 12 digits of the SHA-256 of each one, empty when the sources bring a Dockerfile.
    - As an argument of the build, this keeps it from taking what was built with another key from the cache.
  returned: success, unless in check mode
  type: dict
  sample: {server_actions_key: 9f86d081884c}
"""

import secrets
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core import validators
from ..module_utils._core.environment import actions_key
from ..module_utils._core.errors import InvalidInput
from ..module_utils._module.module_exit import finish, hide_values
from ..module_utils._store.build_context import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: a secret is none.
    """
    wrong = validators.not_build_secrets("secrets", given["secrets"])
    if wrong:
        raise InvalidInput(" ".join(wrong))
    return Params(**{name: value for name, value in given.items() if name != "path"})


def main() -> None:
    """Run as an Ansible module."""
    text = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "path": {"type": "path"},
            "context": {"type": "path"},
            "archive": {"type": "path"},
            "dockerfile": {"type": "str", "required": True},
            "ignore": text,
            "docker_cli": {"type": "str", "required": True},
            "dockerfile_path": text,
            "context_path": text,
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "keys": {"type": "dict", "default": {}, "no_log": False},
        },
        required_one_of=[("path", "context", "archive")],
        mutually_exclusive=[("path", "context"), ("context", "archive")],
        supports_check_mode=True,
    )
    shown = hide_values(module, "secrets")
    finish(
        module,
        lambda: run(params_of(module.params), lambda: actions_key(secrets.token_bytes), module.check_mode),
        shown,
    )


if __name__ == "__main__":
    main()
