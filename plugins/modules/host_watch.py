#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look once how an application and its host are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_watch
short_description: Look once how an application and its host are, and restart it on demand
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Looks at the container, its memory and CPUs, disks, the database, the path of visitors' requests, the certificate,
    backups and their proof, and the clock, as the command C(docker-vps watch) of the role C(schedule) does every five
    minutes. What
    that remembers is used for trends, and is left as it is; nobody is notified.
  - What could not be checked is kept apart from what is well.
options:
  volumes:
    description: The volumes by the names of their archives, to find the database.
    type: dict
    default: {}
  database:
    description: The database as archive/path, such as V(db/payload.db); none when empty.
    type: str
    default: ""
  heal:
    description:
      - Whether to restart the application now if it is unhealthy, hangs or has ended. It is left alone when a person
        has stopped it, when this version was never healthy, while another job is running, and when the cause is the
        disk or the data.
    type: bool
    default: false
extends_documentation_fragment:
  - ptnextjs.docker_vps.place
  - ptnextjs.docker_vps.look
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Looks, and says whether the application would be restarted.
seealso:
  - module: ptnextjs.docker_vps.host_audit
  - module: ptnextjs.docker_vps.container_health
"""

EXAMPLES = r"""
- name: See whether all is well
  ptnextjs.docker_vps.host_watch:
    app: ptnextjs
    url: https://www.example.com
    fail_at: critical
"""

RETURN = r"""
findings:
  description: What is not as it should be, the worst first.
  returned: success, and on a failure for O(fail_at)
  type: list
  elements: dict
  contains:
    id:
      description: What it is called.
      type: str
      sample: backup-age
    severity:
      description: How much it matters, V(info), V(warning) or V(critical).
      type: str
      sample: critical
    looked_at:
      description: Where the answer is.
      type: str
      sample: the last backup
    found:
      description: What is there.
      type: str
      sample: 3 days ago
    wanted:
      description: What should be there.
      type: str
      sample: at most 26 hours ago
    remedy:
      description: What fixes it.
      type: str
      sample: Run backup.yml.
    log:
      description: What the application wrote last, without secrets, if that can tell more.
      type: list
      elements: str
      sample: []
not_looked_at:
  description: The areas that could not be checked, with the reasons.
  returned: success, and on a failure for O(fail_at)
  type: dict
  sample: {"clock": "docker_vps_watch_time_server names no server"}
healed:
  description: What was done about an application that is not well, or why nothing; empty when it is well.
  returned: success, and on a failure for O(fail_at)
  type: str
  sample: ""
restarted:
  description: Whether the application was restarted; in check mode, whether it would be.
  returned: success, and on a failure for O(fail_at)
  type: bool
  sample: false
summary:
  description: All of this in lines for people.
  returned: success, and on a failure for O(fail_at)
  type: list
  elements: str
  sample: ["0 findings, 1 area not checked."]
"""

from dataclasses import replace
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._command.watch import run, thresholds_of
from ..module_utils._core.heal import HealRules
from ..module_utils._engine.sdk import SystemClock
from ..module_utils._engine.visitor import visit
from ..module_utils._engine.watched_host import WatchedHost
from ..module_utils._module.backups import sets_of
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.look import LOOK_ARGUMENTS
from ..module_utils._module.module_exit import finish
from ..module_utils._module.releases import releases_of
from ..module_utils._release.watch import Params, WatchWorld

SAME = ("app", "volumes", "database", "url", "text", "time_server", "heal")


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: a threshold is unknown or no number.
    """
    params = Params(container=given["container"] or f"{given['app']}-app", **{name: given[name] for name in SAME})
    # Whoever asks for it has looked already.
    return replace(params, thresholds=thresholds_of(given["thresholds"]), heal_rules=HealRules(looks=1))


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            **LOOK_ARGUMENTS,
            "volumes": {"type": "dict", "default": {}},
            "database": {"type": "str", "default": ""},
            "heal": {"type": "bool", "default": False},
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    given = module.params
    sets = sets_of({"app": given["app"], "directory": given["sets_directory"]})
    world = WatchWorld(lambda: engine_of(module), WatchedHost(), SystemClock(), visit, sets, releases_of(given))
    finish(module, lambda: run(params_of(given), world, given["fail_at"], module.check_mode))


if __name__ == "__main__":
    main()
