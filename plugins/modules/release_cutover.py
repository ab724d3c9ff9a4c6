#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put a version of an application live."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_cutover
short_description: Put a version of an application live, or leave the one that is
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Makes a container from a Compose definition, starts it under a name that no proxy asks for, waits until it is
    healthy, gives it the name by which it is reached, watches it, and only then removes the old version. A backup is
    made before.
  - When a step fails, and also when this module or its controller is killed, the old container, definition, environment
    and, if the new version has run on it, the database are put back as they were. A process that watches does it at
    once; after a power failure the next run does.
  - Each cutover is a release, kept under C(releases/) with its definition, environment and the log of a failed version.
  - Does nothing when the version is live and healthy, and starts it when it does not run.
options:
  definition:
    description: The text of C(compose.yml). Its only service is C(app), with O(container) as its C(container_name).
    type: str
    required: true
  image:
    description: The image that the definition names. It has to be on the host; only check mode may go on without it.
    type: str
    required: true
  revision:
    description: The revision of the sources, written down.
    type: str
    default: ""
  data_on_failure:
    description:
      - What becomes of the data when the new version fails after users may have reached it and has changed the schema.
      - V(auto) puts the database back unless that loses rows; then the failed version stays, and the message says what
        would be lost. V(restore) puts it back in any case, and V(keep) never does.
    type: str
    choices: [auto, restore, keep]
    default: auto
  env_pending:
    description:
      - Whether the env file is about to change, so that a release is due whatever else is the same.
      - Only check mode asks, since the file is written before otherwise.
    type: bool
    default: false
extends_documentation_fragment:
  - ptnextjs.docker_vps.place
  - ptnextjs.docker_vps.cutover
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.diff
attributes:
  check_mode:
    details: Says what would be done; nothing is written.
  diff_mode:
    details: Shows the definition; the environment is shown by M(ptnextjs.docker_vps.env_file).
requirements:
  - Docker Compose v2 and GNU cp on the managed host
seealso:
  - module: ptnextjs.docker_vps.release_rollback
  - module: ptnextjs.docker_vps.release_info
"""

EXAMPLES = r"""
- name: Put what compose.yml says live
  ptnextjs.docker_vps.release_cutover:
    app: ptnextjs
    definition: "{{ lookup('ansible.builtin.template', 'compose.yml.j2') }}"
    image: ptnextjs-app:3f2a9c41d07b
    backup:
      volumes:
        db: ptnextjs-db
        media: ptnextjs-media

- name: Put a version live without a pause, on a database that bears two versions
  ptnextjs.docker_vps.release_cutover:
    app: shop
    definition: "{{ lookup('ansible.builtin.file', 'shop.yml') }}"
    image: shop-app:2.1.0
    strategy: start-first
    smoke_test_command: [wget, --quiet, --spider, "http://127.0.0.1:3000/"]
"""

RETURN = r"""
release:
  description: The release that is live, in check mode the one that would be. Fingerprints give no value away.
  returned: success, and as the failed one on a failure that was undone
  type: dict
  sample:
    id: 20260131-020000
    at: "2026-01-31T02:00:00Z"
    deployed_by: alice@laptop
    revision: 4f2c1d9a0b7e6f5d4c3b2a1908f7e6d5c4b3a291
    image: ptnextjs-app:3f2a9c41d07b
    image_id: sha256:0c5d1c3a6cf1e30a1b7d2f2c5b9ef3a3b6f04c3e4f0d8a5c6f7e8d9c0b1a2f3e
    environment: 5b2b24f90fbe
    definition: 0d1f2e3c4b5a
    schema: 77aa01c9be42
    strategy: stop-first
    backup: 20260131-020000
    result: healthy
    message: ""
    downtime: 1.61
    seconds: 14.2
    rolled_back_to: ""
cautions:
  description: What went wrong without stopping the release.
  returned: success
  type: list
  elements: str
  sample: []
pruned:
  description: The names of images that no kept release needs, and were removed.
  returned: success
  type: list
  elements: str
  sample: ["ptnextjs-app:88ab01c9be42"]
summary:
  description: What was done, in a sentence for people.
  returned: success
  type: str
  sample: >-
    Release 20260131-020000, ptnextjs-app:3f2a9c41d07b, is live and healthy after 14.2 s; for 1.6 s nothing served, with
    backup 20260131-020000 made before.
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER
from ..module_utils._module.module_exit import finish
from ..module_utils._module.releases import CUTOVER_ARGUMENTS, WAYS, cutover_of, sets_of_releases, world_of
from ..module_utils._release.cutover import run
from ..module_utils._release.preconditions import Params


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: one cannot be right.
    """
    more = {key: given[key] for key in ("definition", "image", "revision", "data_on_failure", "env_pending")}
    return cutover_of(given, **more)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "definition": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "revision": {"type": "str", "default": ""},
            "data_on_failure": {"type": "str", "choices": list(WAYS), "default": WAYS[0]},
            "env_pending": {"type": "bool", "default": False},
            **CUTOVER_ARGUMENTS,
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    given = module.params
    finish(
        module,
        lambda: run(params_of(given), sets_of_releases(given), world_of(module), module.check_mode),
    )


if __name__ == "__main__":
    main()
