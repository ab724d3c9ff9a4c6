#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let one play at a time work on an application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_lock
short_description: Let only one play at a time work on an application
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Takes a lock, which is a file on the managed host that says who holds it and since when. Fails at once, naming the
    holder, when another play holds it. Taking it twice in the same run of C(ansible-playbook) is no failure.
  - A play that was killed blocks nobody. If its process ran on this controller and is gone, its lock is taken over; the
    lock of another controller expires after O(max_age).
  - The directory of the file is created when missing, and then removed with the lock if nothing else is in it.
  - With O(backups), waits for a backup or restore, such as one started by a timer, that has stopped or paused the
    application.
  - Taking and releasing are not counted as changes.
options:
  path:
    description: The file of the lock.
    type: path
    required: true
  state:
    description: V(held) takes the lock, and V(released) gives it back if this play holds it.
    type: str
    choices: [held, released]
    default: held
  purpose:
    description: What the play does, such as V(deploy); shown to those who are refused meanwhile.
    type: str
    default: ""
  max_age:
    description: Age in seconds from which the lock of another controller is taken over.
    type: float
    default: 3600
  force:
    description: Take the lock whoever holds it.
    type: bool
    default: false
  backups:
    description:
      - The directory of backup sets. Before taking the lock, wait for a backup or restore that works on them and has
        stopped or paused containers. Check mode does not wait.
    type: path
  wait:
    description:
      - Maximum seconds to wait for such a backup or restore; see O(backups). After that the module fails, and says what
        runs.
    type: float
    default: 300
  look:
    description:
      - What to inspect on the host once the lock is held, as options of M(ptnextjs.docker_vps.host_info); nothing when
        empty. One run of a module takes less time than two. When the host is refused, the lock is held all the same.
      - Where a release was interrupted, that is finished or undone first.
    type: dict
    default: {}
  env_file:
    description: The env file of the application. When given, a release that was interrupted is finished or undone as
      M(ptnextjs.docker_vps.release_recover) does.
    type: str
    default: ""
  app:
    description: The name of the application, which is needed with O(env_file).
    type: str
    default: ""
  owner:
    description: Who takes the lock. The action fills this in on the controller; do not set it.
    type: dict
    default: {}
  gone:
    description:
      - Processes of this controller that have ended. The action fills this in; do not set it.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ptnextjs.docker_vps.attributes
  - ptnextjs.docker_vps.attributes.action
attributes:
  check_mode:
    details: Only says who holds the lock, and looks at the host.
requirements:
  - flock (util-linux or busybox) on the managed host, to release it
  - with O(look), what M(ptnextjs.docker_vps.host_info) needs
"""

EXAMPLES = r"""
- name: Take the lock before something that a deploy must not meet
  ptnextjs.docker_vps.deploy_lock:
    path: /opt/ptnextjs/deploy.lock
    purpose: migration

- name: Give it back, in the always part of a block
  ptnextjs.docker_vps.deploy_lock:
    path: /opt/ptnextjs/deploy.lock
    state: released
"""

RETURN = r"""
held:
  description: Whether this play holds the lock now.
  returned: success
  type: bool
  sample: true
message:
  description: A notice, such as from whom the lock was taken over; usually empty.
  returned: success
  type: str
  sample: Took the lock over from deploy of me@laptop (process 4711), whose process is gone.
interrupted:
  description: The ids of releases in the directory of the lock whose cutover was interrupted or has not ended.
  returned: success, with O(state=held)
  type: list
  elements: str
  sample: []
recovered:
  description: The ids of the releases that were finished or undone, or would be in check mode.
  returned: success, with O(state=held)
  type: list
  elements: str
  sample: ["20260131-020000"]
began:
  description: When the controller began with this, in seconds since 1970.
  returned: success, with O(state=held)
  type: float
  sample: 1790000000.25
ended:
  description: When the controller had the answer, in seconds since 1970.
  returned: success, with O(state=held)
  type: float
  sample: 1790000001.25
host:
  description: What M(ptnextjs.docker_vps.host_info) returns.
  returned: with O(look), when the lock is held, and in check mode
  type: dict
  sample: {"live": "20260131-020000", "up_to_date": true}
"""

import time
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.deploy_lock import LockRules, owner_of
from ..module_utils._module.action_options import DEPLOY_LOCK
from ..module_utils._module.host_look import look_of
from ..module_utils._module.module_exit import finish, hide_values
from ..module_utils._release.deploy_lock import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: there is no owner.
    """
    rules = LockRules(given["max_age"], given["force"], tuple(given["gone"]))
    return Params(given["path"], owner_of(given["owner"]), rules, given["backups"] or "", given["wait"])


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "max_age": {"type": "float", "default": 3600},
            "force": {"type": "bool", "default": False},
            "backups": {"type": "path"},
            "wait": {"type": "float", "default": 300},
            "look": {"type": "dict", "default": {}, "no_log": True},
            "owner": {"type": "dict", "default": {}},
            "gone": {"type": "list", "elements": "str", "default": []},
            **DEPLOY_LOCK,
        },
        supports_check_mode=True,
    )
    shown, given = hide_values(module, "look"), module.params
    finish(module, lambda: run(params_of(given), time.time(), module.check_mode, look_of(given["look"])), shown)


if __name__ == "__main__":
    main()
