#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask for an application at its public address."""

from __future__ import annotations

DOCUMENTATION = r"""
module: public_url_info
short_description: See whether visitors reach an application
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Asks for a page as a browser does, without a proxy of the environment, and says at which stage that breaks,
    which may be the name, the port, TLS, the reverse proxy or the application.
  - Redirections that stay at the same scheme, host and port are followed. Certificates are verified against those that
    the host trusts.
options:
  url:
    description: The public address.
    type: str
    required: true
  text:
    description: What the page must contain.
    type: str
    default: ""
  container:
    description: The application as the reverse proxy knows it, for the message.
    type: str
    default: the application
  here:
    description:
      - Whether this is the host of the reverse proxy. Then it is also asked at C(127.0.0.1) under the same name when
        the page does not come, so that a name which leads elsewhere is distinguished from an application that is not
        served.
    type: bool
    default: false
  asked_from:
    description: What the machine that asks is called in the message, such as V(the controller).
    type: str
    default: ""
  fail:
    description: Whether to fail when visitors are not served.
    type: bool
    default: false
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes.info
"""

EXAMPLES = r"""
- name: See from the controller whether the site is served
  ptnextjs.docker_vps.public_url_info:
    url: https://www.example.com/
    text: Welcome
    asked_from: the controller
    fail: true
  delegate_to: localhost
"""

RETURN = r"""
served:
  description: Whether visitors get the page.
  returned: success
  type: bool
  sample: true
status:
  description: The status of the answer, V(0) when there was none.
  returned: success
  type: int
  sample: 200
days_left:
  description: For how many days the certificate is valid.
  returned: success, V(null) without a valid certificate
  type: float
  sample: 61.3
summary:
  description: What is broken at which stage, as a sentence; empty if nothing is.
  returned: success
  type: str
  sample: ""
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.public_check import FAIL, WARN
from ..module_utils._engine.visitor import visit
from ..module_utils._module.module_exit import finish
from ..module_utils._release.public_check import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    mode = FAIL if given["fail"] else WARN
    return Params(given["url"], mode, given["text"], given["container"], given["here"], given["asked_from"])


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "text": {"type": "str", "default": ""},
            "container": {"type": "str", "default": "the application"},
            "here": {"type": "bool", "default": False},
            "asked_from": {"type": "str", "default": ""},
            "fail": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), visit))


if __name__ == "__main__":
    main()
