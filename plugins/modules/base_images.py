#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refresh the base images of a build."""

from __future__ import annotations

DOCUMENTATION = r"""
module: base_images
short_description: Refresh the base images of a build
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Asks the registries which digests the images have that a Dockerfile names in its lines C(FROM), pulls those that
    have moved, and gives them the names by which the build looks for them.
  - An image that its registry does not give stays as it is, with a caution. One that is named by a digest is not asked
    for. One whose name has a variable without a known value is left to the build.
  - Accounts at registries are those that C(docker login) has left for the user on the host.
options:
  dockerfile:
    description: The content of the Dockerfile. When empty, there are no base images.
    type: str
    required: true
  args:
    description: The build arguments. Those count that the Dockerfile declares before its first line C(FROM).
    type: dict
    default: {}
  target:
    description: The stage that becomes the image; the last one when empty.
    type: str
    default: ""
extends_documentation_fragment:
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Asks the registries and pulls nothing.
seealso:
  - module: ptnextjs.docker_vps.build_context
"""

EXAMPLES = r"""
- name: Refresh what the build is based on
  ptnextjs.docker_vps.base_images:
    dockerfile: |
      ARG BASE_IMAGE=node:22-alpine
      FROM ${BASE_IMAGE}
      COPY . .
    args:
      BASE_IMAGE: node:22-bookworm-slim
  register: bases
"""

RETURN = r"""
bases:
  description: The base images, in the order of the Dockerfile.
  returned: success
  type: list
  elements: dict
  sample: [{name: "node:22-alpine", digest: "sha256:0c5d1c3a6cf1", confirmed: true, refreshed: true}]
  contains:
    name:
      description: Its name, with its tag.
      type: str
      sample: node:22-alpine
    digest:
      description: The digest that counts, empty when none is known.
      type: str
      sample: sha256:0c5d1c3a6cf1e30a1b7d2f2c5b9ef3a3b6f04c3e4f0d8a5c6f7e8d9c0b1a2f3e
    confirmed:
      description: Whether that is the digest in its registry now.
      type: bool
      sample: true
    refreshed:
      description: Whether it was pulled, or would be in check mode.
      type: bool
      sample: true
name:
  description: The name in full of the base of the stage that becomes the image; empty when its digest is not known.
  returned: success
  type: str
  sample: docker.io/library/node:22-alpine
digest:
  description: The digest of that base, empty when it is not known.
  returned: success
  type: str
  sample: sha256:0c5d1c3a6cf1e30a1b7d2f2c5b9ef3a3b6f04c3e4f0d8a5c6f7e8d9c0b1a2f3e
fingerprint:
  description: Hexadecimal digits that stand for the digests of all, empty when one is not known.
  returned: success
  type: str
  sample: 3f2a9c41
confirmed:
  description: Whether all digests are those in the registries now.
  returned: success
  type: bool
  sample: true
cautions:
  description: What could not be refreshed, and why, in sentences.
  returned: success
  type: list
  elements: str
  sample: []
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._release.base_images import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    return Params(given["dockerfile"], given["args"], given["target"])


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "dockerfile": {"type": "str", "required": True},
            "args": {"type": "dict", "default": {}},
            "target": {"type": "str", "default": ""},
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), engine_of(module), module.check_mode))


if __name__ == "__main__":
    main()
