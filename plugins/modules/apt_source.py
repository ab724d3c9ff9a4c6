#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Have apt find packages in a repository whose key is pinned."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_source
short_description: Have apt find packages in a repository whose key is known by its fingerprint
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Writes a file that names the repository, and its key beside it, and has apt read the lists of this repository.
  - The key is fetched when it is not there. It is refused when its fingerprint is another one, or when it is not alone.
  - Other entries of the same repository are switched off, since two with different keys make every run of apt fail.
    A file that has no entry left is removed.
  - When the key cannot be had, or apt cannot use the repository, everything is as it was before.
options:
  name:
    description: What the files are called.
    type: str
    required: true
  url:
    description: The address of the repository.
    type: str
    required: true
  suite:
    description: Its suite, such as the code name of the distribution.
    type: str
    required: true
  component:
    description: Its component.
    type: str
    required: true
  key_url:
    description: The address of its armored OpenPGP key.
    type: str
    required: true
  fingerprint:
    description: The fingerprint of the key, in hexadecimal digits. Spaces make no difference.
    type: str
    required: true
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: The key is not fetched, and nothing is asked of the repository.
requirements:
  - apt >= 2.4
"""

EXAMPLES = r"""
- name: Have apt find Docker's own packages
  ptnextjs.docker_vps.apt_source:
    name: docker
    url: https://download.docker.com/linux/debian
    suite: trixie
    component: stable
    key_url: https://download.docker.com/linux/debian/gpg
    fingerprint: 9DC8 5822 9FC7 DD38 854A  E2D8 8D81 803C 0EBF CD88
"""

RETURN = r"""
files:
  description: The files that were changed, also those that were removed.
  returned: success
  type: list
  elements: str
  sample: [/etc/apt/keyrings/docker.asc, /etc/apt/sources.list.d/docker.sources]
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.apt import Apt
from ..module_utils._engine.web import fetch
from ..module_utils._module.module_exit import finish
from ..module_utils._release.apt_source import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    names = ("name", "url", "suite", "component", "key_url")
    return Params(**{name: given[name] for name in names}, fingerprint="".join(given["fingerprint"].split()).upper())


def main() -> None:
    """Run as an Ansible module."""
    names = ("name", "url", "suite", "component", "key_url", "fingerprint")
    module = AnsibleModule(
        argument_spec={name: {"type": "str", "required": True, "no_log": False} for name in names},
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), Apt(), fetch, module.check_mode))


if __name__ == "__main__":
    main()
