#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Push the image of a release to a registry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_push
short_description: Push the image of a release to a registry
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Pushes an image to a repository of a registry, under the tag that it has on the machine, and returns its digest
    there.
  - What the registry has under this tag is never replaced, since the tag is the name of a release.
  - The registry is not asked for an image that the machine has pulled from this repository.
  - The name that the push needs is removed again, so that nothing but its digest there remains of it on the machine.
options:
  name:
    description: The image on the machine, with its tag.
    type: str
    required: true
  repository:
    description: The repository in the registry, without a tag.
    type: str
    required: true
extends_documentation_fragment:
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.registry
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Asks the registry and pushes nothing. Whether the account may push is known only of a push.
seealso:
  - module: ptnextjs.docker_vps.image_pull
"""

EXAMPLES = r"""
- name: Push what was built
  ptnextjs.docker_vps.image_push:
    name: shop-app:3f2a9c41d07b
    repository: ghcr.io/acme/shop
    registry_username: deploy
    registry_password: "{{ vault_registry_token }}"
  register: pushed
"""

RETURN = r"""
digest:
  description: The digest that the registry has under the tag, empty in check mode when there is none yet.
  returned: success
  type: str
  sample: sha256:0c5d1c3a6cf1e30a1b7d2f2c5b9ef3a3b6f04c3e4f0d8a5c6f7e8d9c0b1a2f3e
image:
  description: Its name in the registry with this digest, empty in check mode when there is none yet.
  returned: success
  type: str
  sample: ghcr.io/acme/shop:3f2a9c41d07b@sha256:0c5d1c3a6cf1e30a1b7d2f2c5b9ef3a3b6f04c3e4f0d8a5c6f7e8d9c0b1a2f3e
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._module.registry import LOGIN_ARGUMENTS, login_of
from ..module_utils._release.image_push import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: an account has no password, or a password no account.
    """
    return Params(given["name"], given["repository"], login_of(given, given["repository"]))


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "repository": {"type": "str", "required": True},
            **LOGIN_ARGUMENTS,
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), engine_of(module), module.check_mode))


if __name__ == "__main__":
    main()
