#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin status_page, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status_page
short_description: Sum up how the hosts of a fleet are, as a table, as data and as a page
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Takes the results of M(ptnextjs.docker_vps.app_status_info) of all hosts, also of those that were not reached.
  - Writes, by choice, one HTML file that loads nothing from anywhere and has no script.
  - Runs on the controller and touches no host.
options:
  results:
    description: What the task that looked has registered, by the names of hosts; empty for a host it did not get to.
    type: dict
    required: true
  path:
    description: The file on the controller that gets the page. None when empty.
    type: str
    default: ""
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.diff
  - ptnextjs.docker_vps.attributes.action
attributes:
  check_mode:
    details: The page is not written, and RV(ignore:changed) is as it would be.
notes:
  - The page is written at each run, since it states when that was. It counts as changed when something else in it is
    new.
seealso:
  - module: ptnextjs.docker_vps.app_status_info
"""

EXAMPLES = r"""
- name: Sum it up, and write a page
  ptnextjs.docker_vps.status_page:
    results: >-
      {{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars)
         | map(attribute='looked', default={}))) }}
    path: status.html
  run_once: true
"""

RETURN = r"""
summary:
  description:
    - Lines of at most 100 characters in a table, after what was found and before what was not checked.
    - The columns are the host, the tag of the live image, health, how long it has been up, whether it is otherwise than
      released, the age of the release, the age of the newest good set (RPO), what proves the newest set, how long the
      last drill took until the application was healthy (RTO), the time until the next run of a timer, how full the
      fullest disk is, and the number of findings. A question mark stands for what was not checked, behind
      that number for parts of a host.
  returned: success
  type: list
  elements: str
  sample:
    - "1 host: 1 healthy, 0 without an answer, 0 findings."
    - HOST  VERSION       HEALTH   UP   DRIFT  REL  RPO  PROOF  RTO  NEXT  DISK  !
    - web1  3f2a9c41d07b  healthy  24h  no     24h  3h   drill  5s   23h   40%   0
fleet:
  description:
    - C(hosts) has what M(ptnextjs.docker_vps.app_status_info) returned of each host but the lists of sets and releases,
      or C(down) with why there is no answer.
    - C(total) has the numbers of all, and the worst RPO and RTO in seconds.
  returned: success
  type: dict
  sample: {"hosts": {"web1": {"down": "unreachable: no route to host"}}, "total": {"hosts": 1, "down": 1}}
path:
  description: The file of the page.
  returned: when O(path) is given
  type: str
  sample: /srv/www/status.html
"""
