#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a bill of materials of an image, and ask for known vulnerabilities."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_sbom
short_description: Keep a bill of materials (SBOM) of an image, and ask for known vulnerabilities of its packages
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Writes which packages an image has, as CycloneDX 1.5, to C(<tag>.cdx.json) in O(directory). These are packages of
    npm in C(node_modules), of Python (C(*.dist-info)), and those of dpkg and apk, each with its version, its package
    URL and its places.
  - The image is not run, and it does not matter what has built it. All of its files pass once; when the file is there
    for this very image, none does.
  - Of the same image, the file is the same to the byte.
  - Files of tags that the engine does not have any more are removed.
  - What a bundler has compiled into other files, and packages in archives, are not seen.
options:
  image:
    description: The image on the machine, with its tag.
    type: str
    required: true
  directory:
    description: Where the bills of materials of the images of this name are kept.
    type: path
    required: true
  scan:
    description:
      - Whether O(scan_registry) is asked for known vulnerabilities of the packages of npm.
      - It is sent the names and versions of those that are not marked as private, and nothing else.
      - Of other packages nothing is asked.
    type: bool
    default: false
  scan_fail:
    description:
      - How severe a known vulnerability is at least with which the module fails.
      - That the registry does not answer fails nothing.
    type: str
    choices: [never, critical, high]
    default: never
  scan_registry:
    description: The address of a registry that answers C(npm audit).
    type: str
    default: https://registry.npmjs.org
extends_documentation_fragment:
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Reads no image. Known vulnerabilities are asked for when the file is there for this very image.
seealso:
  - module: ptnextjs.docker_vps.image_pull
"""

EXAMPLES = r"""
- name: Keep a bill of materials
  ptnextjs.docker_vps.image_sbom:
    image: shop-app:3f2a9c41d07b
    directory: /opt/shop/sbom

- name: Refuse an image with critical vulnerabilities
  ptnextjs.docker_vps.image_sbom:
    image: shop-app:3f2a9c41d07b
    directory: /opt/shop/sbom
    scan: true
    scan_fail: critical
"""

RETURN = r"""
path:
  description: The file of the image.
  returned: success
  type: str
  sample: /opt/shop/sbom/3f2a9c41d07b.cdx.json
packages:
  description: How many packages it has, 0 in check mode when that is not known yet.
  returned: success
  type: int
  sample: 312
advisories:
  description: Known vulnerabilities, the most severe first.
  returned: success
  type: list
  elements: dict
  contains:
    package:
      description: The name of the package.
      type: str
      sample: lodash
    version:
      description: The version in the image.
      type: str
      sample: 4.17.15
    severity:
      description: How severe the registry says that it is.
      type: str
      sample: high
    id:
      description: What it is called.
      type: str
      sample: GHSA-35jh-r3h4-6jhm
    title:
      description: What it is.
      type: str
      sample: Command Injection in lodash
    fixed:
      description: The first version without it, empty when that is not known.
      type: str
      sample: 4.17.21
severities:
  description: How many known vulnerabilities there are of each severity.
  returned: success
  type: dict
  sample: {critical: 0, high: 1, moderate: 2, low: 0, info: 0}
not_scanned:
  description: Why known vulnerabilities could not be asked for, empty when they were, or were not to be.
  returned: success
  type: str
  sample: ""
cautions:
  description: What to report of vulnerabilities, or that they could not be asked for.
  returned: success
  type: list
  elements: str
  sample: []
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.advisories import NEVER
from ..module_utils._engine.npm_registry import NpmRegistry
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._release.image_sbom import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    return Params(given["image"], given["directory"], given["scan"], given["scan_fail"])


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "scan": {"type": "bool", "default": False},
            "scan_fail": {"type": "str", "choices": [NEVER, "critical", "high"], "default": NEVER},
            "scan_registry": {"type": "str", "default": "https://registry.npmjs.org"},
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )

    def body() -> dict[str, Any]:
        registry = NpmRegistry(module.params["scan_registry"])
        return run(params_of(module.params), engine_of(module), registry, module.check_mode)

    finish(module, body)


if __name__ == "__main__":
    main()
