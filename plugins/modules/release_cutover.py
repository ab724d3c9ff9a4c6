#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put a version of an application live."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_cutover
short_description: Put a version of an application live, unless it already is
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Creates a container from a Compose definition, starts it under a name that no proxy asks for, waits until it is
    healthy, gives it the name by which the proxy reaches it, watches it, and only then removes the old version. With
    O(backup), a backup is made first.
  - When a step fails, and also when this module or its controller is killed, the old container, definition, environment
    and, if the new version has run on it, the database are put back as they were. A watching process does so at once;
    after a power failure the next run does.
  - Each cutover is a release, kept below C(releases/) in O(directory) with its definition, its environment and, if it
    failed, its log.
  - Does nothing when the version is live and healthy, and starts it when it is live but does not run.
options:
  definition:
    description:
      - The content of C(compose.yml). Its only service must be C(app), with O(container) as its C(container_name).
    type: str
    required: true
  image:
    description: The image that the definition names. It must be on the host already, except in check mode.
    type: str
    required: true
  pulled:
    description: For an image that was pulled, its name in the registry with its digest, for the record of the release.
    type: str
    default: ""
  revision:
    description: The revision of the sources, for the record of the release.
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
      - Whether an earlier task of the play would change the env file, so that a release is due even if nothing else
        differs.
      - Used in check mode only, since the file is otherwise written before.
    type: bool
    default: false
  secret_pending:
    description:
      - Whether an earlier task of the play would put another E(PAYLOAD_SECRET) into the env file.
      - Used in check mode only, as O(env_pending) is.
    type: bool
    default: false
  secrets:
    description:
      - The keys of the environment whose values the container gets as files. O(definition) must name, for each, the
        secret C(<directory>/releases/{release}/secrets/<key>), and as its env file
        C(<directory>/releases/{release}/container.env). What is in braces becomes the id of the release, in whose
        folder these files are made of the env file.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ptnextjs.docker_vps.place
  - ptnextjs.docker_vps.cutover
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
  - ptnextjs.docker_vps.attributes.diff
  - ptnextjs.docker_vps.progress
  - ptnextjs.docker_vps.progress.followed
attributes:
  check_mode:
    details: Says what would be done; nothing is written.
  diff_mode:
    details: Shows the definition. M(ptnextjs.docker_vps.env_file) shows which keys of the environment differ.
requirements:
  - Docker Compose v2 and GNU cp on the managed host
seealso:
  - module: ptnextjs.docker_vps.release_rollback
  - module: ptnextjs.docker_vps.release_info
"""

EXAMPLES = r"""
- name: Put a version live
  ptnextjs.docker_vps.release_cutover:
    app: ptnextjs
    definition: "{{ lookup('ansible.builtin.template', 'compose.yml.j2') }}"
    image: ptnextjs-app:3f2a9c41d07b
    backup:
      volumes:
        db: ptnextjs-db
        media: ptnextjs-media

- name: Put a version live without a pause, on a database that two versions can use at once
  ptnextjs.docker_vps.release_cutover:
    app: shop
    definition: "{{ lookup('ansible.builtin.file', 'shop.yml') }}"
    image: shop-app:2.1.0
    strategy: start-first
    smoke_test_command: [wget, --quiet, --spider, "http://127.0.0.1:3000/"]
"""

RETURN = r"""
release:
  description:
    - The release that is live, or would be in check mode. Its C(environment), C(definition) and C(schema) are
      fingerprints.
  returned: success, and on a failure that was undone, where it is the failed release
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
    pulled: ""
    base: docker.io/library/node:22-alpine@sha256:0c5d1c3a6cf1e30a1b7d2f2c5b9ef3a3b6f04c3e4f0d8a5c6f7e8d9c0b1a2f3e
    secrets: [PAYLOAD_SECRET]
cautions:
  description: Problems that did not stop the release.
  returned: success
  type: list
  elements: str
  sample: []
pruned:
  description: The images that were removed because no kept release needs them.
  returned: success
  type: list
  elements: str
  sample: ["ptnextjs-app:88ab01c9be42"]
summary:
  description: What was done, as a sentence.
  returned: success
  type: str
  sample: >-
    Release 20260131-020000, ptnextjs-app:3f2a9c41d07b, is live and healthy after 14.2 s; for 1.6 s nothing served, with
    backup 20260131-020000 made before.
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER
from ..module_utils._module.module_exit import FOLLOWED_ARGUMENTS, finish
from ..module_utils._module.releases import CUTOVER_ARGUMENTS, WAYS, cutover_of, sets_of_releases, world_of
from ..module_utils._release.cutover import run
from ..module_utils._release.preconditions import Params


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: one cannot be right.
    """
    names = ("definition", "image", "pulled", "revision", "data_on_failure", "env_pending", "secret_pending")
    return cutover_of(given, secrets=tuple(given["secrets"]), **{key: given[key] for key in names})


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "definition": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "pulled": {"type": "str", "default": ""},
            "revision": {"type": "str", "default": ""},
            "data_on_failure": {"type": "str", "choices": list(WAYS), "default": WAYS[0]},
            "env_pending": {"type": "bool", "default": False},
            "secret_pending": {"type": "bool", "default": False, "no_log": False},
            "secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
            **CUTOVER_ARGUMENTS,
            **ENGINE_ARGUMENTS,
            **FOLLOWED_ARGUMENTS,
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
