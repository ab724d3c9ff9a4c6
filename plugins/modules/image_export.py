#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write an image into files that image_import sends to hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_export
short_description: Export an image of the engine, to send it to hosts without a registry
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Writes the parts of an image (its layers, its configuration and its manifest) as compressed files, each named after
    its SHA-256, and describes them. M(ptnextjs.docker_vps.image_import) sends to a host what that lacks.
  - Parts that an earlier export into the same directory has written are not written again. What no export has used for
    a day is removed there. The directory can be removed at any time.
  - What has to be written is read where the engine keeps it, when that is on this machine, the module runs as root, and
    the store is known (overlay2, containerd). Otherwise the engine is asked for the whole image, which takes longer.
  - It runs on the machine that has built the image, for example with C(delegate_to). When that is not the controller,
    the files are fetched to the controller, and only those that it lacks.
options:
  name:
    description: The image, with its tag.
    type: str
    required: true
  directory:
    description:
      - Where the files are kept, on the machine that has the image and on the controller. Only its owner can read it.
      - Applications can share one, and the layers that their images share are there once then.
    type: path
    required: true
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.progress
requirements:
  - Docker engine >= 25, which writes images in the format of the OCI
seealso:
  - module: ptnextjs.docker_vps.image_import
"""

EXAMPLES = r"""
- name: Export the image that the controller has built
  ptnextjs.docker_vps.image_export:
    name: shop:1
    directory: ~/.cache/docker_vps/images
  delegate_to: localhost
  register: exported
"""

RETURN = r"""
image:
  description: What the image consists of. Give it to M(ptnextjs.docker_vps.image_import) as it is.
  returned: success, unless in check mode
  type: dict
  sample: {"source": "sha256:4e0af0bb", "platform": "linux/amd64", "manifest": {}, "config": {}, "layers": []}
directory:
  description: Where the files are on the machine that has the image.
  returned: success, unless in check mode
  type: str
  sample: /root/.cache/docker_vps/images
read:
  description:
    - How the image was read. With V(store), only what no earlier export has, where an engine of this machine keeps it;
      that takes root. With V(save), the engine has written all of it. With V(earlier), an earlier export was whole.
  returned: success, unless in check mode
  type: str
  sample: store
source:
  description: Where the files are on the controller.
  returned: success, unless in check mode
  type: str
  sample: /home/me/.cache/docker_vps/images
"""


from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.action_options import IMAGE_EXPORT
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._release.image_export import Params, run


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            **IMAGE_EXPORT,
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    params = Params(module.params["name"], module.params["directory"])
    finish(module, lambda: run(params, engine_of(module), module.check_mode))


if __name__ == "__main__":
    main()
