#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take an image that image_export has written elsewhere."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_import
short_description: Send an image that was exported elsewhere to a host that lacks it, or a part of it
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Sends what the host lacks of an image over the connection that Ansible has to it, and loads it. No registry and no
    further port are needed.
  - With the classic image store, layers that any image of the host has are not sent. With that of containerd, parts
    that were sent to O(directory) with an image that the host still has are not sent.
  - Each part is checked by its digest when it has arrived. After a break, only what has not arrived is sent.
  - Before anything is sent, it is checked that host and image are of one platform, and that there is space for what is
    sent and for what the engine makes of it.
  - The image has its name only when all of it is there. An image of another name or tag is never touched.
options:
  name:
    description: What the image is called on the host, with a tag.
    type: str
    required: true
  image:
    description: What the image consists of, as M(ptnextjs.docker_vps.image_export) has returned it.
    type: dict
    required: true
  source:
    description: The directory of the controller that has the files of the image.
    type: path
    required: true
  directory:
    description:
      - Where the host keeps what was sent until it is loaded. Only its owner can read what is in it.
      - Give each application a directory of its own.
    type: path
    required: true
  load:
    description: Whether what was sent is loaded. The action sets it; do not.
    type: bool
    default: false
  whole:
    description: Whether everything counts as lacking, since a part could not be loaded. The action sets it; do not.
    type: bool
    default: false
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.progress
seealso:
  - module: ptnextjs.docker_vps.image_export
"""

EXAMPLES = r"""
- name: Send the image to the host
  ptnextjs.docker_vps.image_import:
    name: shop:1
    image: "{{ exported.image }}"
    source: "{{ exported.source }}"
    directory: /opt/shop/images
"""

RETURN = r"""
bytes:
  description: How large all parts of the image are together.
  returned: success
  type: int
  sample: 532000000
lacking:
  description: The digests of the parts that the host lacks, with manifest and configuration, after the module.
  returned: success
  type: list
  elements: str
  sample: []
staging:
  description: Where the host keeps what was sent until it is loaded; removed then.
  returned: success
  type: str
  sample: /opt/shop/images/71946f60ccb075567ba895c0c356e2832c57ad1832ec3915a492f8ab4e479b93
staged:
  description: The names of files that were sent and are not loaded, after the module.
  returned: success
  type: list
  elements: str
  sample: []
loaded:
  description: Whether the host has the image, after the module.
  returned: success
  type: bool
  sample: true
whole:
  description: Whether everything was sent, since the engine could not use what it seemed to have.
  returned: success
  type: bool
  sample: false
sent:
  description: How many bytes of the image were sent.
  returned: success
  type: int
  sample: 1200000
"""


from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.image_layout import layout_of
from ..module_utils._engine.this_host import ThisHost
from ..module_utils._module.action_options import IMAGE_IMPORT
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._release.image_import import Params, run


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "image": {"type": "dict", "required": True},
            "directory": {"type": "path", "required": True},
            "load": {"type": "bool", "default": False},
            "whole": {"type": "bool", "default": False},
            **IMAGE_IMPORT,
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    given = {name: module.params[name] for name in ("name", "directory", "load", "whole")}

    def body() -> dict[str, object]:
        params = Params(image=layout_of(module.params["image"]), **given)
        return run(params, engine_of(module), ThisHost(), module.check_mode)

    finish(module, body, {"module_args": {**given, "image": "(described by image_export)"}})


if __name__ == "__main__":
    main()
