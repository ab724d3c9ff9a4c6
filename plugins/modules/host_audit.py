#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Audit how well an application, its engine and its host are secured."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_audit
short_description: Audit how well an application, its engine and its host are secured
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Looks at the container of an application, the other containers, the engine, files, the firewall, open ports, sshd,
    updates and backups, and judges them by rules that are listed in the page on audits. Each rule has an id that stays.
  - What could not be checked is kept apart from what is as wanted; without root much cannot be.
  - It changes nothing and sends no packet. Which ports are open is decided by what listens and by the kernel's filter.
options:
  app:
    description: The name of the application.
    type: str
    default: ptnextjs
  container:
    description: The name of its container; V(<app>-app) when not given.
    type: str
  directory:
    description: The directory of its files on the host; V(/opt/<app>) when not given.
    type: path
  env_file:
    description: Its env file; C(.env.production) in O(directory) when not given.
    type: path
  sets_directory:
    description: The directory of its backup sets; V(/var/backups/<app>) when not given.
    type: path
  secret_files:
    description: Files that hold a secret each, as patterns of a shell.
    type: list
    elements: path
    default: []
  ports:
    description:
      - Ports that may be open to everybody, such as V(443/tcp), on the host itself or published by other containers.
      - Those of sshd are added where C(sshd -T) tells them.
    type: list
    elements: str
    default: [22/tcp, 80/tcp, 443/tcp, 443/udp]
  engine_version_min:
    description: The oldest version of the engine that is good enough; any when empty.
    type: str
    default: ""
  compose_version_min:
    description: The oldest version of Compose that is good enough; any when empty.
    type: str
    default: ""
  max_image_age:
    description: Days after which the image of the application is too old, since it lacks security updates.
    type: float
    default: 90
  max_backup_age:
    description: Hours after which the newest backup set is too old.
    type: float
    default: 26
  offsite:
    description: Whether the inventory has backup sets copied off the host.
    type: bool
    default: false
  fail_at:
    description: The severity from which on a finding makes the task fail.
    type: str
    choices: [never, low, medium, high, critical]
    default: never
extends_documentation_fragment:
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes
attributes:
  check_mode:
    description: Whether it runs in check mode. It only reads, so check mode makes no difference.
notes:
  - Numbers of the CIS Docker Benchmark are those of version 1.6.0.
seealso:
  - module: ptnextjs.docker_vps.host_info
  - module: ptnextjs.docker_vps.image_sbom
"""

EXAMPLES = r"""
- name: Audit the host
  ptnextjs.docker_vps.host_audit:
    app: ptnextjs

- name: Fail when something severe is found, where a mail server is meant to be open
  ptnextjs.docker_vps.host_audit:
    app: ptnextjs
    ports: [22/tcp, 25/tcp, 80/tcp, 443/tcp, 443/udp]
    fail_at: high
"""

RETURN = r"""
rules:
  description: All rules with what came of them; findings are the first, the worst before others.
  returned: success, and on a failure for O(fail_at)
  type: list
  elements: dict
  contains:
    id:
      description: What the rule is called.
      type: str
      sample: app-published-ports
    severity:
      description: How much a finding of it matters, V(low), V(medium), V(high) or V(critical).
      type: str
      sample: high
    area:
      description: What it is about, V(app), V(others), V(engine), V(file), V(host) or V(backup).
      type: str
      sample: app
    result:
      description: What came of it, V(ok), V(finding) or V(not_looked_at).
      type: str
      sample: finding
    looked_at:
      description: Where the answer is.
      type: str
      sample: the ports that the container publishes other than on loopback
    found:
      description: What is there, or why it was not checked.
      type: str
      sample: 3000/tcp on 0.0.0.0:3000
    wanted:
      description: What should be there.
      type: str
      sample: none; the proxy reaches it on their network
    remedy:
      description: What fixes a finding; empty for anything else.
      type: str
      sample: deploy.yml recreates the container, without published ports.
    source:
      description: Where the rule comes from.
      type: str
      sample: CIS 5.9
counts:
  description: How many rules had each result, and how many findings have each severity.
  returned: success, and on a failure for O(fail_at)
  type: dict
  sample: {"ok": 60, "finding": 3, "not_looked_at": 2, "low": 1, "medium": 1, "high": 1, "critical": 0}
summary:
  description: The findings and what was not checked, a line each, and the counts.
  returned: success, and on a failure for O(fail_at)
  type: list
  elements: str
  sample: ["3 findings (1 high, 1 medium, 1 low), 2 not checked, 60 ok."]
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.audit import NEVER, SEVERITIES
from ..module_utils._engine.audited_host import AuditedHost
from ..module_utils._engine.sdk import SystemClock
from ..module_utils._module.backups import sets_of
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._release.host_audit import Params, run


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    directory = given["directory"] or f"/opt/{given['app']}"
    same = ("engine_version_min", "compose_version_min", "max_image_age", "max_backup_age", "offsite", "fail_at")
    return Params(
        container=given["container"] or f"{given['app']}-app",
        directory=directory,
        env_file=given["env_file"] or f"{directory}/.env.production",
        socket=given["docker_host"].partition("unix://")[2],
        secret_files=tuple(given["secret_files"]),
        ports=tuple(given["ports"]),
        **{name: given[name] for name in same},
    )


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "app": {"type": "str", "default": "ptnextjs"},
            "container": {"type": "str"},
            "directory": {"type": "path"},
            "env_file": {"type": "path"},
            "sets_directory": {"type": "path"},
            "secret_files": {"type": "list", "elements": "path", "default": [], "no_log": False},  # their paths
            "ports": {"type": "list", "elements": "str", "default": ["22/tcp", "80/tcp", "443/tcp", "443/udp"]},
            "engine_version_min": {"type": "str", "default": ""},
            "compose_version_min": {"type": "str", "default": ""},
            "max_image_age": {"type": "float", "default": 90},
            "max_backup_age": {"type": "float", "default": 26},
            "offsite": {"type": "bool", "default": False},
            "fail_at": {"type": "str", "choices": [NEVER, *SEVERITIES], "default": NEVER},
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    given = module.params
    sets = sets_of({"app": given["app"], "directory": given["sets_directory"]})
    finish(module, lambda: run(params_of(given), lambda: engine_of(module), AuditedHost(), sets, SystemClock()))


if __name__ == "__main__":
    main()
