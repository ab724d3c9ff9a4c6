#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Find out what is wrong with an application on a host now."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_doctor_info
short_description: Find out what is wrong with an application on a host now, the cause first
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - For a host on which something is broken. Looks at disks, memory, clock, name servers, the engine, the last build,
    the image, networks, volumes, the environment, the database, the container and its health, the reverse proxy, the
    path of visitors' requests, releases, locks and backups, side by side, and ends within ten seconds.
  - Findings are ranked. The first is the cause, and each that follows from another one names it. Each has the command
    or the playbook that fixes it.
  - What could not be checked is kept apart from what is well. Nothing is changed, also not the files of the database.
options:
  network:
    description: The network of the application and the reverse proxy.
    type: str
    default: proxy
  aliases:
    description: Further names of the application on that network.
    type: list
    elements: str
    default: []
  mounts:
    description:
      - The volumes by their places in the container, that of the database first.
      - V(<app>-db) at V(/data) and V(<app>-media) at V(/app/public/media) when not given.
    type: dict
  volumes:
    description:
      - The volumes by the names of their archives; V(<app>-db) as C(db) and V(<app>-media) as C(media) when not given.
    type: dict
  database:
    description: The database as archive/path; none when empty.
    type: str
    default: db/payload.db
  port:
    description: The port on which the application listens.
    type: int
    default: 3000
  proxy:
    description: The container of the reverse proxy. When empty, the one that publishes the port of the public address.
    type: str
    default: ""
  maintenance_flag:
    description: The file for which the proxy shows its page; none when empty.
    type: str
    default: ""
  engine_version_min:
    description: The oldest version of the engine that is good enough; any when empty.
    type: str
    default: ""
  compose_version_min:
    description: The oldest version of Compose that is good enough; any when empty.
    type: str
    default: ""
  lock_max_age:
    description: Seconds after which the lock of a play counts as left behind.
    type: float
    default: 3600
  health_wait:
    description: Seconds within which the application is healthy after its start.
    type: float
    default: 60
  hide:
    description: Names of hosts that RV(report) is not to have, besides that of the public address.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ptnextjs.docker_vps.place
  - ptnextjs.docker_vps.look
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes.info
seealso:
  - module: ptnextjs.docker_vps.host_watch
  - module: ptnextjs.docker_vps.host_audit
"""

EXAMPLES = r"""
- name: Find out why the site is down
  ptnextjs.docker_vps.host_doctor_info:
    app: ptnextjs
    url: https://www.example.com

- name: Fail when something is wrong
  ptnextjs.docker_vps.host_doctor_info:
    app: ptnextjs
    fail_at: warning
"""

RETURN = r"""
findings:
  description: What is wrong, the worst cause first, and behind each what follows from it. Empty when all is well.
  returned: success, and on a failure for O(fail_at)
  type: list
  elements: dict
  contains:
    id:
      description: What it is called; it stays.
      type: str
      sample: network-app
    severity:
      description: How much it matters, V(info), V(warning) or V(critical).
      type: str
      sample: critical
    looked_at:
      description: Where the answer is.
      type: str
      sample: the container's networks
    found:
      description: What is there.
      type: str
      sample: ptnextjs-app is not on proxy, only on none
    remedy:
      description: What fixes it, in sentences.
      type: str
      sample: Connect it, under the names by which the proxy asks for it.
    command:
      description: The one command, or playbook with its variables, that fixes it; empty when none does.
      type: str
      sample: docker network connect --alias ptnextjs-app proxy ptnextjs-app
    cause:
      description: The finding from which it follows; empty for a cause.
      type: str
      sample: ""
    log:
      description: What the application, or the step of a build that failed, wrote last, if that can tell more; without
        secrets.
      type: list
      elements: str
      sample: []
looked_at:
  description: What was checked.
  returned: success, and on a failure for O(fail_at)
  type: list
  elements: str
  sample: [app, backup, clock]
not_looked_at:
  description: What could not be checked, with the reasons.
  returned: success, and on a failure for O(fail_at)
  type: dict
  sample: {"clock": "docker_vps_watch_time_server names no server"}
summary:
  description: All of this in lines for people.
  returned: success, and on a failure for O(fail_at)
  type: list
  elements: str
  sample: ["0 findings, 55 checks made, 1 not checked."]
report:
  description: All of this for strangers, without the names and addresses of machines.
  returned: success, and on a failure for O(fail_at)
  type: dict
  sample: {"app": "ptnextjs", "findings": [], "looked_at": [], "not_looked_at": {}, "summary": []}
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._command.watch import thresholds_of
from ..module_utils._core.doctor_rules import Wanted
from ..module_utils._engine.patient import Patient
from ..module_utils._engine.sdk import SystemClock
from ..module_utils._engine.this_host import ThisHost
from ..module_utils._engine.visitor import visit
from ..module_utils._module.backups import sets_of
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.look import LOOK_ARGUMENTS
from ..module_utils._module.module_exit import finish
from ..module_utils._module.releases import releases_of
from ..module_utils._release.doctor import DoctorWorld, Params, run
from ..module_utils._store.releases import ENVIRONMENT

ENGINE_WITHIN = 4  # seconds for an answer of the engine
_STRING: dict[str, Any] = {"type": "str", "default": ""}
_NAMES: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
ARGUMENTS: dict[str, Any] = {
    **LOOK_ARGUMENTS,
    "network": {"type": "str", "default": "proxy"},
    "aliases": _NAMES,
    "mounts": {"type": "dict"},
    "volumes": {"type": "dict"},
    "database": {"type": "str", "default": "db/payload.db"},
    "port": {"type": "int", "default": 3000},
    "proxy": _STRING,
    "maintenance_flag": _STRING,
    "engine_version_min": _STRING,
    "compose_version_min": _STRING,
    "lock_max_age": {"type": "float", "default": 3600},
    "health_wait": {"type": "float", "default": 60},
    "hide": _NAMES,
}


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: a threshold is unknown or no number.
    """
    app = given["app"]
    releases = releases_of(given)
    wanted = Wanted(
        app=app,
        container=given["container"] or f"{app}-app",
        mounts=given["mounts"] or {"/data": f"{app}-db", "/app/public/media": f"{app}-media"},
        env_file=releases.live[ENVIRONMENT],
        home=releases.home,
        aliases=tuple(given["aliases"]),
        flag=given["maintenance_flag"],
        engine_version=given["engine_version_min"],
        compose_version=given["compose_version_min"],
        start=given["health_wait"],
        **{name: given[name] for name in ("network", "database", "port", "url", "proxy", "lock_max_age")},
    )
    return Params(
        wanted,
        volumes=given["volumes"] or {"db": f"{app}-db", "media": f"{app}-media"},
        text=given["text"],
        time_server=given["time_server"],
        thresholds=thresholds_of(given["thresholds"]),
        hide=tuple(given["hide"]),
        fail_at=given["fail_at"],
    )


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, **ENGINE_ARGUMENTS},
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    given = module.params
    world = DoctorWorld(
        lambda: engine_of(module, ENGINE_WITHIN),
        Patient(),
        SystemClock(),
        visit,
        lambda: ThisHost().plugin_versions(["compose"])[0],
        sets_of({"app": given["app"], "directory": given["sets_directory"]}),
        releases_of(given),
    )
    finish(module, lambda: run(params_of(given), world))


if __name__ == "__main__":
    main()
