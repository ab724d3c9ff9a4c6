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
  ignore:
    description: The content of the C(.dockerignore) to use for sources that have neither such a file nor a Dockerfile.
    type: str
    default: ""
  dockerfile_path:
    description:
      - The path of the Dockerfile in the sources, which may lie outside of O(context_path). When empty, it is the
        C(Dockerfile) at the top of the context, if there is one.
    type: str
    default: ""
  context_path:
    description: The path of the build's context, a directory of the sources. When empty, it is their top.
    type: str
    default: ""
extends_documentation_fragment:
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
package_manager:
  description:
    - What installs the dependencies of the sources, by C(packageManager) in its C(package.json), or its only lockfile.
  returned: success
  type: dict
  sample: {name: pnpm, package: pnpm@10.4.1, lockfile: pnpm-lock.yaml}
  contains:
    name:
      description: One of V(npm), V(pnpm), V(yarn) and V(bun).
      type: str
      sample: pnpm
    package:
      description: What npm gets it from; empty for the npm that is there, and when RV(package_manager.program) is it.
      type: str
      sample: pnpm@10.4.1
    program:
      description: The file of the sources that C(yarnPath) names, when nothing else says which version it is.
      type: str
      sample: ""
    integrity:
      description: The hash that C(packageManager) wants, empty when it wants none.
      type: str
      sample: sha512.0a1b2c3d
    lockfile:
      description: The lockfile that counts.
      type: str
      sample: pnpm-lock.yaml
    cautions:
      description: What is unusual about it, in sentences.
      type: list
      elements: str
      sample: []
    problem:
      description: Why the dependencies cannot be installed, in sentences; empty when they can.
      type: str
      sample: ""
"""
