#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""List the releases of an application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: List the releases of an application, and say whether the live one runs
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Reads what M(ptnextjs.docker_vps.release_cutover) has written down, and compares it with what the engine runs.
options:
  container:
    description: The container's name; V(<app>-app) when not given.
    type: str
extends_documentation_fragment:
  - ptnextjs.docker_vps.place
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes.info
seealso:
  - module: ptnextjs.docker_vps.release_cutover
  - module: ptnextjs.docker_vps.release_rollback
"""

EXAMPLES = r"""
- name: See which releases there are
  ptnextjs.docker_vps.release_info:
    app: ptnextjs
  register: releases
"""

RETURN = r"""
releases:
  description: The releases, newest first, as in M(ptnextjs.docker_vps.release_cutover).
  returned: success
  type: list
  elements: dict
  sample: [{"id": "20260131-020000", "image": "ptnextjs-app:3f2a9c41d07b", "result": "healthy"}]
current:
  description: The id of the live release, empty when there is none.
  returned: success
  type: str
  sample: 20260131-020000
under_way:
  description: The ids of releases whose cutover has not ended, or was interrupted and not undone yet.
  returned: success
  type: list
  elements: str
  sample: []
running:
  description: The image and the state of the container that runs.
  returned: success
  type: dict
  sample: {"image": "ptnextjs-app:3f2a9c41d07b", "state": "running (healthy)"}
summary:
  description: One line per release for people, and what does not agree.
  returned: success
  type: list
  elements: str
  sample:
    - "20260131-020000  live       ptnextjs-app:3f2a9c41d07b  4f2c1d9a0b7e  alice@laptop  downtime 1.6 s"
    - "20260130-181500  healthy    ptnextjs-app:88ab01c9be42  0b7e4f2c1d9a  alice@laptop"
"""

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Protocol

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.health import ContainerSnapshot
from ..module_utils._core.releases import HEALTHY, Release
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish
from ..module_utils._module.releases import PLACE_ARGUMENTS, releases_of
from ..module_utils._store.releases import LOG, Releases

REVISION = 12  # characters of a revision in a line


class LookingEngine(Protocol):
    """What this module needs from an engine."""

    def look(self, name: str) -> ContainerSnapshot:
        """Return a container as it is now."""
        raise NotImplementedError

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about a container."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """The container to compare with."""

    container: str


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters."""
    return Params(given["container"] or f"{given['app']}-app")


def run(params: Params, releases: Releases, engine: LookingEngine) -> dict[str, Any]:
    """Return the releases.

    Raises:
        DockerVpsError: one cannot be read, or the engine does not answer.
    """
    known, current, under_way = releases.listing(), releases.current(), releases.unfinished()
    seen = engine.look(params.container)
    there = engine.container(params.container)
    lines = [_line(one, one.id == current, one.id in under_way, releases) for one in known]
    live = next((one for one in known if one.id == current), None)
    if not known:
        lines.append("There are no releases yet.")
    elif live and (not there or there["Image"] != live.image_id):
        what = f"{params.container} runs {seen.image}" if there else f"there is no container {params.container}"
        lines.append(f"Release {live.id} should be live, but {what}. Run deploy.yml.")
    elif live and seen.health != "healthy":
        lines.append(f"{params.container} is {seen.status}.")
    if under_way:
        lines.append(
            f"The cutover to {', '.join(under_way)} is under way or was interrupted; the next deploy recovers it."
        )
    return {
        "changed": False,
        "releases": [vars(one) for one in known],
        "current": current,
        "under_way": under_way,
        "running": {"image": seen.image, "state": seen.status},
        "summary": lines,
    }


def _line(one: Release, live: bool, under_way: bool, releases: Releases) -> str:
    state = "under way" if under_way else "live" if live and one.result == HEALTHY else one.result
    facts = []
    if one.downtime:
        facts.append(f"downtime {one.downtime:.1f} s")
    if one.backup:
        facts.append(f"backup {one.backup}")
    if one.rolled_back_to:
        facts.append(f"rolled back to {one.rolled_back_to}")
    if one.message:
        facts.append(one.message.split("\n")[0])
        if releases.has_log(one.id):
            facts.append(f"log {releases.path(one.id, LOG)}")
    revision = one.revision[:REVISION] or "-"
    return f"{one.id}  {state:<9}  {one.image}  {revision}  {one.deployed_by or '-'}  {', '.join(facts)}".rstrip()


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={**PLACE_ARGUMENTS, "container": {"type": "str"}, **ENGINE_ARGUMENTS},
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), releases_of(module.params), engine_of(module)))


if __name__ == "__main__":
    main()
