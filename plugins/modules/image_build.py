#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin image_build, which runs a module of community.docker on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_build
short_description: Build an image and show how far that is
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Runs M(community.docker.docker_image_build) as a job on the host, so that no connection has to bear minutes of
    silence. Meanwhile it shows host, step, and the seconds since it began.
  - When the build fails, it prints what the failing step said, line by line, whatever the callback makes of the result.
options:
  build:
    description: The options of M(community.docker.docker_image_build).
    type: dict
    required: true
  log:
    description: The file on the host with the log of the build in BuildKit's plain form, from which the step is known.
    type: path
    required: true
  timeout:
    description: Seconds after which the job is ended.
    type: int
    required: true
  lines:
    description: How many lines of a failing step to print at most.
    type: int
    default: 30
  secrets:
    description:
      - Build secrets by their ids, as strings or mappings with C(value). What is printed has their ids instead of
        their values.
    type: dict
    default: {}
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
  - ptnextjs.docker_vps.progress
"""

EXAMPLES = r"""
- name: Build
  ptnextjs.docker_vps.image_build:
    build:
      name: shop:1
      path: /opt/shop/source
    log: /opt/shop/build.log
    timeout: 1800
  no_log: true
"""

RETURN = r"""
said:
  description: What was printed of the failing step.
  returned: failure of the build
  type: list
  elements: str
  sample: ["Error: Cannot find module 'sesame'"]
timed_out:
  description: That the job was ended since its time was over.
  returned: when that is so
  type: bool
  sample: true
"""
