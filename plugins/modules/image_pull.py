#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pull an image and give it a name of the application's own."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_pull
short_description: Pull an image for a release
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Asks the registry which digest a reference has, pulls that unless it is there, and gives it the tag
    C(<name>:<identity>), which stays when the tag in the registry moves.
  - The identity is the digest of the image's config, or with the containerd image store that of what the config says.
    So an index that was pushed again for the same image is no other release.
  - A reference with a digest that is there already is not asked for.
  - An image of another platform than the host's is refused before it is pulled.
options:
  image:
    description: The reference in the registry.
    type: str
    required: true
  name:
    description: The name of the application's images on the host.
    type: str
    required: true
  tag:
    description:
      - The tag on the host, instead of the identity.
      - What has it there already is not asked for, unless O(image) has a digest.
    type: str
    default: ""
extends_documentation_fragment:
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.registry
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Asks the registry and pulls nothing. What RV(release) would be is known only of an image that is there.
seealso:
  - module: ptnextjs.docker_vps.image_push
  - module: ptnextjs.docker_vps.release_cutover
"""

EXAMPLES = r"""
- name: Pull what was built elsewhere
  ptnextjs.docker_vps.image_pull:
    image: ghcr.io/acme/site:main
    name: ptnextjs-app
    registry_username: deploy
    registry_password: "{{ vault_registry_token }}"
"""

RETURN = r"""
image:
  description: Its name on the host; in check mode that in the registry, when it is not there yet.
  returned: success
  type: str
  sample: ptnextjs-app:3f2a9c41d07b
release:
  description: The first digits of its identity, empty in check mode when it is not there yet.
  returned: success
  type: str
  sample: 3f2a9c41d07b
revision:
  description: Its label C(org.opencontainers.image.revision), empty when it has none.
  returned: success
  type: str
  sample: 4f2c1d9a0b7e6f5d4c3b2a1908f7e6d5c4b3a291
pulled:
  description: Its name in the registry with the digest that was found there; empty when O(tag) names another image.
  returned: success
  type: str
  sample: ghcr.io/acme/site:main@sha256:0c5d1c3a6cf1e30a1b7d2f2c5b9ef3a3b6f04c3e4f0d8a5c6f7e8d9c0b1a2f3e
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._module.registry import LOGIN_ARGUMENTS, login_of
from ..module_utils._release.image_pull import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: an account has no password, or a password no account.
    """
    return Params(given["image"], given["name"], login_of(given, given["image"]), given["tag"])


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "tag": {"type": "str", "default": ""},
            **LOGIN_ARGUMENTS,
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), engine_of(module), module.check_mode))


if __name__ == "__main__":
    main()
