#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what a container wrote."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_logs
short_description: Read, search and follow the log of a container
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Returns the last lines of a container's log, those of a period, or those that match a pattern.
  - Secrets of the container's environment are replaced by the names of their keys, as in C(<PAYLOAD_SECRET>), and
    colours and other control characters are left out. What the container has from its image does not count as a secret.
  - Needs little memory however long the log is, as long as O(tail) is not V(0). A line is cut at 65536 characters.
  - Can print the lines as they are written; an action plugin on the controller does that.
options:
  container:
    description: The name or id of the container. It need not be running.
    type: str
    required: true
  tail:
    description: How many lines to return at most, the last of those that the other options select; V(0) returns all.
    type: int
    default: 50
  since:
    description:
      - Only lines after this time (RFC 3339, in UTC unless it has an offset), or not older than this, such as V(10m) or
        V(1h30m).
      - Give the RV(last) of an earlier run to continue there; no line comes twice and none is lost.
    type: str
    default: ""
  until:
    description: Only lines up to this time, given as in O(since).
    type: str
    default: ""
  pattern:
    description: Only lines in which this regular expression (Python) is found.
    type: str
    default: ""
  env_file:
    description: An env file on the host whose secrets are replaced too, such as that of an earlier deployment.
    type: path
  wait:
    description:
      - Maximum seconds to wait for a line to return.
      - The wait ends early when the container has exited.
    type: float
    default: 0
  show:
    description:
      - Also print the lines, one below the other; with several hosts, each behind the name of its host.
    type: bool
    default: false
  timestamps:
    description: Whether printed lines begin with their time (UTC).
    type: bool
    default: true
  follow:
    description:
      - Keep printing new lines as they are written, until O(follow_for) is over or the container exits. When a
        container of that name runs again within 30 seconds, as after a release, it is followed.
      - Each host occupies one of Ansible's forks meanwhile.
    type: bool
    default: false
  follow_for:
    description: Seconds to follow. V(0) follows until interrupted, so use it in a terminal only.
    type: float
    default: 60
extends_documentation_fragment:
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
attributes:
  check_mode:
    details: Does the same in check mode, since it only reads.
"""

EXAMPLES = r"""
- name: Read the last lines
  ptnextjs.docker_vps.container_logs:
    container: ptnextjs-app
  register: log

- name: Look for errors of the last hour
  ptnextjs.docker_vps.container_logs:
    container: ptnextjs-app
    since: 1h
    pattern: (?i)error|fail
    tail: 0
    show: true

- name: Follow for five minutes
  ptnextjs.docker_vps.container_logs:
    container: ptnextjs-app
    follow: true
    follow_for: 300
"""

RETURN = r"""
lines:
  description: The lines, oldest first. With O(follow), only the last ones that were read.
  returned: success
  type: list
  elements: dict
  contains:
    time:
      description: When it was written (UTC, with nanoseconds).
      type: str
      sample: "2026-01-31T12:00:00.123456789Z"
    stream:
      description: V(stdout) or V(stderr). With a terminal (TTY) everything is V(stdout).
      type: str
      sample: stdout
    text:
      description: The line without its end.
      type: str
      sample: Ready in 412ms
last:
  description:
    - Where to continue, for O(since), as the times of the last lines of V(stdout) and V(stderr). A stream without lines
      has a time shortly before that of the other. Empty when nothing was written yet.
  returned: success
  type: str
  sample: "2026-01-31T12:00:00.123456789Z,2026-01-31T11:59:58.012345678Z"
truncated:
  description: Whether earlier lines were left out because of O(tail).
  returned: success
  type: bool
  sample: false
damage:
  description:
    - A sentence when the log is damaged and cannot be read any further, as after a power failure; otherwise empty.
  returned: success
  type: str
  sample: ""
container:
  description: The container.
  returned: success
  type: dict
  sample: {"name": "ptnextjs-app", "id": "5b2b24f90fbe", "state": "running", "exit_code": 0}
  contains:
    name:
      description: The name as it was given.
      type: str
      sample: ptnextjs-app
    id:
      description: Its id.
      type: str
      sample: 5b2b24f90fbe
    state:
      description: Its state.
      type: str
      sample: running
    exit_code:
      description: The exit code of its last run.
      type: int
      sample: 0
"""

import re
from datetime import datetime
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core import logs
from ..module_utils._core.errors import InvalidInput
from ..module_utils._engine.sdk import SystemClock
from ..module_utils._module.action_options import CONTAINER_LOGS
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._release.container_logs import Params, run


def params_of(given: Mapping[str, Any], now: datetime) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: a parameter cannot be right.
    """
    name = given["container"].strip().lstrip("/")
    if not name:
        raise InvalidInput("container must be the name of a container, but is empty.")
    for key in ("tail", "wait"):
        if not given[key] >= 0:
            raise InvalidInput(f"{key} must not be below 0, but is {given[key]}.")
    try:
        pattern = re.compile(given["pattern"]) if given["pattern"] else None
    except re.error as error:
        raise InvalidInput(
            f"pattern must be a regular expression, but {given['pattern']!r} is none: {error}."
        ) from error
    wanted = logs.WantedLines(
        given["tail"], logs.after(given["since"], now), logs.parse_time("until", given["until"], now), pattern
    )
    return Params(name, wanted, given["env_file"] or "", given["wait"])


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "container": {"type": "str", "required": True},
            "tail": {"type": "int", "default": 50},
            "since": {"type": "str", "default": ""},
            "until": {"type": "str", "default": ""},
            "pattern": {"type": "str", "default": ""},
            "env_file": {"type": "path"},
            "wait": {"type": "float", "default": 0},
            **CONTAINER_LOGS,
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    clock = SystemClock()
    finish(module, lambda: run(params_of(module.params, clock.utc()), engine_of(module), clock))


if __name__ == "__main__":
    main()
