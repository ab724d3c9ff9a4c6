#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return to a release that was live before."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_rollback
short_description: Return to a release that was live before, with or without its data
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Puts the definition, the environment and the image of an earlier release live, as
    M(ptnextjs.docker_vps.release_cutover) does. This becomes a new release.
  - When the schema of the database has changed since, says before anything changes what restoring the database as it
    was then would lose.
options:
  to:
    description:
      - The id of the release to return to; when empty, the one before the live release. After a rollback, that is the
        one before the release returned to.
    type: str
    default: ""
  rollback_data:
    description:
      - V(auto) keeps the data when its schema is the one that the release left. Otherwise it restores the database from
        the backup made when the release was replaced, but only if that loses nothing; if it would lose anything, the
        module refuses and says what.
      - V(restore) restores the database in any case; the uploaded files stay. V(keep) keeps the data in any case.
    type: str
    choices: [auto, restore, keep]
    default: auto
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
    details: Says what would be done and lost; nothing is written.
  diff_mode:
    details:
      - Shows the release with its image, revision and base, the definition, and which keys of the environment differ,
        never a value. When the database is restored, it names the set.
requirements:
  - Docker Compose v2, GNU cp and GNU tar on the managed host
seealso:
  - module: ptnextjs.docker_vps.release_cutover
  - module: ptnextjs.docker_vps.release_info
  - module: ptnextjs.docker_vps.volume_restore
"""

EXAMPLES = r"""
- name: Return to the version before
  ptnextjs.docker_vps.release_rollback:
    app: ptnextjs
    backup:
      volumes:
        db: ptnextjs-db
        media: ptnextjs-media

- name: Return to a release and to the database as it left it
  ptnextjs.docker_vps.release_rollback:
    app: ptnextjs
    to: 20260131-020000
    rollback_data: restore
    backup:
      volumes:
        db: ptnextjs-db
        media: ptnextjs-media
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
    pulled: ""
    base: docker.io/library/node:22-alpine@sha256:0c5d1c3a6cf1e30a1b7d2f2c5b9ef3a3b6f04c3e4f0d8a5c6f7e8d9c0b1a2f3e
    secrets: [PAYLOAD_SECRET]
    rolled_back_to: ""
cautions:
  description: Problems that did not stop the rollback.
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
rolled_back_to:
  description: The id of the release that was returned to.
  returned: success
  type: str
  sample: 20260130-181500
restored:
  description: The timestamp of the backup set from which the database was restored; empty when the data was kept.
  returned: success
  type: str
  sample: 20260131-020000
would_lose:
  description:
    - Which rows and newer files the restored set lacks, compared with the data before; empty when the data was kept.
  returned: success, and when the rollback is refused because of it
  type: dict
  sample: {"tables": {"vendors": 2}, "newer_files": 1, "uploads_gone": 0, "summary": "Would be lost: 2 rows of x."}
summary:
  description: What was done, in sentences.
  returned: success
  type: str
  sample: >-
    Release 20260131-021500, ptnextjs-app:88ab01c9be42, is live and healthy after 13.0 s; for 1.5 s nothing served. It
    is release 20260130-181500 of 2026-01-30T18:15:00Z. The data stays as it is.
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER
from ..module_utils._module.module_exit import FOLLOWED_ARGUMENTS, finish
from ..module_utils._module.releases import CUTOVER_ARGUMENTS, WAYS, cutover_of, sets_of_releases, world_of
from ..module_utils._release.rollback import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: one cannot be right.
    """
    return Params(given["to"], given["rollback_data"], cutover_of(given, definition="", image=""))


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "to": {"type": "str", "default": ""},
            "rollback_data": {"type": "str", "choices": list(WAYS), "default": WAYS[0]},
            **CUTOVER_ARGUMENTS,
            **ENGINE_ARGUMENTS,
            **FOLLOWED_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish(
        module,
        lambda: run(params_of(module.params), sets_of_releases(module.params), world_of(module), module.check_mode),
    )


if __name__ == "__main__":
    main()
