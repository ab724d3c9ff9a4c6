#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin source_digest, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: source_digest
short_description: Calculate a digest of the sources of an application
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Returns the SHA-256 of the names, kinds and contents of the files that an image build would see, by the ignore file
    beside the sources' own Dockerfile, named after it as in C(Dockerfile.dockerignore), or else the C(.dockerignore) at
    the top of the context, read as BuildKit does.
  - Runs on the controller and touches no host.
options:
  path:
    description: The directory of the sources on the controller.
    type: str
    required: true
  upload_max:
    description:
      - The bytes of the largest request that the reverse proxy lets through. With it, RV(cautions) also says where the
        limits of Next.js and Payload in the sources differ from that.
    type: int
    default: 0
extends_documentation_fragment:
  - ptnextjs.docker_vps.context
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
attributes:
  check_mode:
    details: Does the same in check mode, since it only reads.
seealso:
  - module: ptnextjs.docker_vps.build_context
"""

EXAMPLES = r"""
- name: Name a version after its sources
  ptnextjs.docker_vps.source_digest:
    path: /home/me/site
  register: sources
"""

RETURN = r"""
digest:
  description: The digest, as hexadecimal digits.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
files:
  description: How many files the digest covers.
  returned: success
  type: int
  sample: 212
dockerfile:
  description: The content of the sources' own Dockerfile, empty when they have none.
  returned: success
  type: str
  sample: ""
cautions:
  description:
    - What the configuration of the application in the sources says that is known to end badly, in sentences. It is
      read, and never run.
  returned: success
  type: list
  elements: str
  sample: []
package_manager:
  description: What installs the dependencies of the sources, as M(ptnextjs.docker_vps.git_checkout) returns it.
  returned: success
  type: dict
  sample: {name: pnpm, package: pnpm@10.4.1, lockfile: pnpm-lock.yaml}
"""
