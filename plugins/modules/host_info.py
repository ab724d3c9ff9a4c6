#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at a host before anything is changed on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Check whether a host can run an application
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Looks at the Docker engine, Compose, Buildx, memory, free disk space, the clock, and at containers and volumes with
    the names of the application's, and fails with everything that is wrong at once. Changes nothing.
  - Says what is not installed even when no engine answers.
  - Checks only what is asked for. Returns everything it has seen, so that one task serves a whole play.
options:
  engine_version_min:
    description: The oldest accepted version of the engine, for example V(23.0); any version when empty.
    type: str
    default: ""
  compose_version_min:
    description: The oldest accepted version of Compose, for example V(2.20); Compose is not needed when empty.
    type: str
    default: ""
  buildx:
    description: Whether images will be built on the host, which needs Buildx.
    type: bool
    default: false
  memory_min:
    description: The memory the host must have, for example V(768M).
    type: str
    default: "0"
  disk_free_min:
    description: The space that must be free where the engine keeps images and volumes, for example V(2G).
    type: str
    default: "0"
  commands:
    description: Commands that must be installed, such as V(git).
    type: list
    elements: str
    default: []
  clock_tolerance:
    description:
      - Seconds by which the host's clock may differ from the controller's.
      - The controller's clock is read before and after the host's, so the time that the request takes does not count.
    type: float
    default: 30
  project:
    description: The Compose project of the application.
    type: str
    default: ptnextjs
  containers:
    description: Names of containers that must not exist, or belong to O(project).
    type: list
    elements: str
    default: []
  starts:
    description: Whether O(containers) are to be started. When only an image is built, for example, they are not, and
      another application's container may still have one of their names.
    type: bool
    default: true
  volumes:
    description: Names of volumes that must not exist, or belong to O(project).
    type: list
    elements: str
    default: []
  networks:
    description: Names of networks to check.
    type: list
    elements: str
    default: []
  images:
    description: Names of images, without a tag, whose tags to list.
    type: list
    elements: str
    default: []
  files:
    description: Paths of files to check.
    type: list
    elements: path
    default: []
  patterns:
    description: Paths to look for; the last part may contain C(*).
    type: list
    elements: path
    default: []
  directory:
    description: The directory of the application, whose releases to check; empty to leave that out.
    type: path
    default: ""
  env_file:
    description: The env file of the application.
    type: path
    default: ""
  environment:
    description:
      - What the env file has to be, as C(values), C(data_mount), C(owner) and C(group) of
        M(ptnextjs.docker_vps.env_file); empty to leave that out. No value is shown.
    type: dict
    default: {}
extends_documentation_fragment:
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes.info
  - ptnextjs.docker_vps.attributes.action
"""

EXAMPLES = r"""
- name: Check the host before the first deploy
  ptnextjs.docker_vps.host_info:
    project: ptnextjs
    containers: [ptnextjs-app]
    volumes: [ptnextjs-db, ptnextjs-media]
    engine_version_min: "23.0"
    compose_version_min: "2.20"
    memory_min: 768M
    disk_free_min: 6G
    commands: [git]
"""

RETURN = r"""
findings:
  description: All checks; when no engine answers, only those of what is installed.
  returned: always, unless the host cannot be reached
  type: list
  elements: dict
  contains:
    check:
      description: What was checked.
      type: str
      sample: engine
    ok:
      description: Whether it is as expected.
      type: bool
      sample: true
    expected:
      description: What is needed.
      type: str
      sample: 23.0 or newer
    found:
      description: What there is.
      type: str
      sample: 26.1.5
    remedy:
      description: What to do when it is not ok.
      type: str
      sample: upgrade Docker
engine_version:
  description: The engine's version.
  returned: when the engine answers
  type: str
  sample: 26.1.5
compose_version:
  description: The version of Compose, empty when there is none.
  returned: when the engine answers
  type: str
  sample: 2.26.1
memory:
  description: The host's memory in bytes.
  returned: when the engine answers
  type: int
  sample: 4106039296
memory_limit:
  description: A memory limit for the application's container that suits the host.
  returned: when the engine answers
  type: str
  sample: 2G
disk_free:
  description: Free bytes where the engine keeps its data; null when that is not on this host.
  returned: when the engine answers
  type: int
  sample: 21474836480
networks:
  description: Those of O(networks) that exist, by name. If C(icc) is true, containers on the network reach each other.
  returned: when the engine answers
  type: dict
  sample: {"proxy": {"driver": "bridge", "scope": "local", "icc": true, "subnets": ["172.18.0.0/16"]}}
images:
  description:
    - The existing images with the names in O(images), as C(name:tag). Of each name those come first that O(containers)
      were made of, and then the newest.
  returned: when the engine answers
  type: list
  elements: str
  sample: ["ptnextjs-app:3f2a9c41d07b"]
up_to_date:
  description:
    - Whether the live release is as it was released; its files are in their places, and all of O(containers) run, are
      healthy, and have its image and its definition.
  returned: when the engine answers
  type: bool
  sample: true
live:
  description: The id of the live release, empty when there is none.
  returned: when the engine answers
  type: str
  sample: 20260131-020000
env_file_due:
  description: Whether M(ptnextjs.docker_vps.env_file) would change the env file, or refuse to.
  returned: when the engine answers, with O(environment)
  type: bool
  sample: false
time:
  description: The host's time in seconds since 1970.
  returned: always, unless the host cannot be reached
  type: float
  sample: 1790000000.25
files:
  description: Those of O(files) that exist, by path, with SHA-256 and mode.
  returned: when the engine answers
  type: dict
  sample: {"/opt/ptnextjs/compose.yml": {"sha256": "9f86d081884c7d65", "mode": "0640"}}
matches:
  description: The paths that O(patterns) match.
  returned: when the engine answers
  type: list
  elements: str
  sample: [/opt/ptnextjs/ansible.x7qz.docker_vps]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.this_host import ThisHost
from ..module_utils._module.engine import ENGINE_TOGETHER, engine_if_sdk
from ..module_utils._module.host_look import HOST_ARGUMENTS, params_of
from ..module_utils._module.module_exit import finish, hide_values
from ..module_utils._release.host_info import run


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=HOST_ARGUMENTS, required_together=ENGINE_TOGETHER, supports_check_mode=True)
    shown = hide_values(module, "environment")
    finish(module, lambda: run(params_of(module.params), lambda: engine_if_sdk(module.params), ThisHost()), shown)


if __name__ == "__main__":
    main()
