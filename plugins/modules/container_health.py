#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait until containers are healthy."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_health
short_description: Wait until containers are healthy, running, stopped or unhealthy
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Waits within one deadline until all containers named are in the wanted state, and says precisely why when they are
    not.
  - Judges by the state of the container and by its health check together. A container without a health check, a stopped
    one that was healthy before, and an C(unhealthy) one never count as healthy.
  - Listens to the engine's events instead of polling, so it returns as soon as the state changes.
  - Ends at once when waiting cannot help, for example because the container exited, is restarted in a loop or is
    unhealthy.
  - If the engine is restarted meanwhile, the wait goes on as soon as it answers again.
options:
  containers:
    description: Names or ids of the containers.
    type: list
    elements: str
    required: true
    aliases: [name, names, container]
  state:
    description:
      - What to wait for.
      - V(healthy) and V(unhealthy) need a health check. V(running) does not look at health.
      - V(stopped) is also reached by a container that does not exist.
    type: str
    choices: [healthy, running, stopped, unhealthy]
    default: healthy
  timeout:
    description: Maximum seconds to wait, for all containers together. V(0) looks once.
    type: float
    default: 60
  tolerate_unhealthy:
    description:
      - Keep waiting when a container is reported unhealthy, since it may recover before the deadline.
    type: bool
    default: false
  max_restarts:
    description:
      - How many restarts by the engine to tolerate during the wait; one more counts as a restart loop.
    type: int
    default: 0
  log_lines:
    description: How many of the last log lines to return for a container that failed.
    type: int
    default: 50
extends_documentation_fragment:
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    details: Looks once and does not wait; a container that is not yet in the wanted state is no failure.
seealso:
  - module: community.docker.docker_container_info
"""

EXAMPLES = r"""
- name: Wait until the application is healthy
  ptnextjs.docker_vps.container_health:
    containers: ptnextjs-app
    timeout: 60

- name: Wait for two containers within one deadline, and tolerate a flapping health check
  ptnextjs.docker_vps.container_health:
    containers: [shop-app, shop-worker]
    timeout: 120
    tolerate_unhealthy: true

- name: Ask whether a container is healthy right now
  ptnextjs.docker_vps.container_health:
    containers: ptnextjs-app
    timeout: 0
  register: health
  failed_when: false

- name: Wait until the old version is gone
  ptnextjs.docker_vps.container_health:
    containers: ptnextjs-app
    state: stopped
    timeout: 30
"""

RETURN = r"""
reached:
  description: Whether all containers are in the wanted state.
  returned: always, unless the engine cannot be reached
  type: bool
  sample: true
waited:
  description: Seconds until the verdict.
  returned: always, unless the engine cannot be reached
  type: float
  sample: 2.14
engine_losses:
  description: How many times the engine stopped answering during the wait.
  returned: always, unless the engine cannot be reached
  type: int
  sample: 0
containers:
  description: One entry per container, in the order given.
  returned: always, unless the engine cannot be reached
  type: list
  elements: dict
  contains:
    name:
      description: The name as it was given.
      type: str
      sample: ptnextjs-app
    id:
      description: The container's id, empty when there is no such container.
      type: str
      sample: 5b2b24f90fbe
    image:
      description: The image it was created from.
      type: str
      sample: ptnextjs-app:3f2a9c41d07b
    state:
      description: The state of the container, V(absent) when there is none.
      type: str
      sample: running
    health:
      description: The health status, null when it has no health check.
      type: str
      sample: healthy
    reason:
      description:
        - Why the wait ended for this container. One of V(reached), V(timeout), V(unhealthy), V(exited),
          V(out_of_memory), V(restarting), V(paused), V(dead), V(no_health_check), V(not_found), V(engine_lost), and
          V(waiting) when another container ended the wait.
      type: str
      sample: reached
    message:
      description: The reason as a sentence.
      type: str
      sample: Container ptnextjs-app is running (healthy) after 2.1 s.
    waited:
      description: Seconds until the verdict on this container.
      type: float
      sample: 2.14
    exit_code:
      description: The exit code of its last run.
      type: int
      sample: 0
    oom_killed:
      description: Whether it was killed because it ran out of memory.
      type: bool
      sample: false
    restart_count:
      description: How many times the engine restarted it.
      type: int
      sample: 0
    health_log:
      description: The last runs of its health check, oldest first.
      type: list
      elements: dict
      sample: [{"start": "2026-01-31T12:00:00Z", "end": "2026-01-31T12:00:01Z", "exit_code": 0, "output": ""}]
    logs:
      description: Its last log lines; empty unless it failed.
      type: list
      elements: str
      sample: []
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.errors import InvalidInput
from ..module_utils._core.health import HealthRules, WantedHealth
from ..module_utils._engine.sdk import SystemClock
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._release.container_health import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: no container is named, or a number is below zero.
    """
    names = tuple(name.strip().lstrip("/") for name in given["containers"])
    if not names or not all(names):
        raise InvalidInput("containers must name at least one container, and no name may be empty.")
    for key in ("timeout", "max_restarts", "log_lines"):
        if not given[key] >= 0:
            raise InvalidInput(f"{key} must not be below 0, but is {given[key]}.")
    rules = HealthRules(WantedHealth(given["state"]), given["tolerate_unhealthy"], given["max_restarts"])
    return Params(names, rules, given["timeout"], given["log_lines"])


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "containers": {
                "type": "list",
                "elements": "str",
                "required": True,
                "aliases": ["name", "names", "container"],
            },
            "state": {"type": "str", "choices": [wanted.value for wanted in WantedHealth], "default": "healthy"},
            "timeout": {"type": "float", "default": 60},
            "tolerate_unhealthy": {"type": "bool", "default": False},
            "max_restarts": {"type": "int", "default": 0},
            "log_lines": {"type": "int", "default": 50},
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish(
        module,
        lambda: run(params_of(module.params), engine_of(module), SystemClock(), module.check_mode),
    )


if __name__ == "__main__":
    main()
