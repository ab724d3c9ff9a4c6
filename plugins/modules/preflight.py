#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at a host before anything is changed on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check whether a host can take an application
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Looks at the Docker engine, Compose, Buildx, memory, free disk, the clock, and at containers and volumes that bear the
    names the application wants, and fails with everything that is wrong at once. Changes nothing.
options:
  engine_version_min:
    description: The oldest engine that will do.
    type: str
    default: "23.0"
  compose_version_min:
    description: The oldest Compose that will do.
    type: str
    default: "2.20"
  buildx:
    description: Whether images will be built on the host.
    type: bool
    default: true
  memory_min:
    description: The memory the host must have, for example V(768M).
    type: str
    default: 768M
  disk_free_min:
    description: What must be free where the engine keeps images and volumes, for example V(2G).
    type: str
    default: 2G
  controller_time:
    description: Seconds since 1970 on the controller, to compare the clocks; they are not compared when left out.
    type: float
  clock_tolerance:
    description: Seconds by which the clocks may differ; the time to run the module counts as well.
    type: float
    default: 30
  project:
    description: The Compose project that the application will be.
    type: str
    default: ptnextjs
  containers:
    description: Container names that must be free or of the project.
    type: list
    elements: str
    default: []
  volumes:
    description: Volume names that must be free or of the project.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ptnextjs.docker_vps.engine
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Check the host before the first deploy
  ptnextjs.docker_vps.preflight:
    project: ptnextjs
    containers: [ptnextjs-app]
    volumes: [ptnextjs-db, ptnextjs-media]
    disk_free_min: 6G
    controller_time: "{{ now(utc=true).timestamp() }}"
"""

RETURN = r"""
findings:
  description: Everything that was looked at.
  returned: when the engine answers
  type: list
  elements: dict
  contains:
    check:
      description: What was looked at.
      type: str
      sample: engine
    ok:
      description: Whether it will do.
      type: bool
      sample: true
    expected:
      description: What is needed.
      type: str
      sample: 23.0 or newer
    found:
      description: What there is.
      type: str
      sample: 26.1.5
    remedy:
      description: What to do when it will not do.
      type: str
      sample: upgrade Docker
engine_version:
  description: The engine's version.
  returned: when the engine answers
  type: str
  sample: 26.1.5
compose_version:
  description: The version of Compose, empty when there is none.
  returned: when the engine answers
  type: str
  sample: 2.26.1
memory:
  description: The host's memory in bytes.
  returned: when the engine answers
  type: int
  sample: 4106039296
memory_limit:
  description: The memory limit for the application's container that suits the host.
  returned: when the engine answers
  type: str
  sample: 2G
disk_free:
  description: Free bytes where the engine keeps its data; none when that is not on this host.
  returned: when the engine answers
  type: int
  sample: 21474836480
"""

import os
import subprocess
import time
from dataclasses import asdict, dataclass
from typing import Any, Mapping, Optional, Protocol

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.formatters import human_to_bytes

from ..module_utils._core.errors import DockerVpsError, InvalidInput
from ..module_utils._core.host import PROJECT_LABEL, Facts, Finding, Needs, findings, memory_limit
from ..module_utils._module.glue import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of, finish


class HostEngine(Protocol):
    """What this module needs from an engine."""

    def info(self) -> Mapping[str, Any]:
        """Return the engine's facts."""
        raise NotImplementedError

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return a container or None."""
        raise NotImplementedError

    def volume(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return a volume or None."""
        raise NotImplementedError


class Host(Protocol):
    """What this module needs from the host itself."""

    def plugin_version(self, plugin: str) -> str:
        """Return the version of a plugin of the docker command, empty when there is none."""
        raise NotImplementedError

    def disk_free(self, path: str) -> Optional[int]:
        """Return the free bytes on the file system of a directory, None when it is not here."""
        raise NotImplementedError

    def time(self) -> float:
        """Return seconds since 1970."""
        raise NotImplementedError


class ThisHost:
    """The host that the module runs on."""

    def plugin_version(self, plugin: str) -> str:
        """Ask the docker command."""
        try:
            done = subprocess.run(["docker", plugin, "version"], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        words = done.stdout.split() if done.returncode == 0 else []
        return next((word.lstrip("v") for word in words if word.lstrip("v")[:1].isdigit()), "")

    def disk_free(self, path: str) -> Optional[int]:
        """Ask the file system; only what an unprivileged process may use counts as free."""
        try:
            facts = os.statvfs(path)
        except OSError:
            return None
        return facts.f_bavail * facts.f_frsize

    def time(self) -> float:
        """Ask the clock."""
        return time.time()


@dataclass(frozen=True)
class Params:
    """The module's parameters; times in seconds."""

    needs: Needs
    containers: tuple[str, ...]
    volumes: tuple[str, ...]
    controller_time: Optional[float]


def params_of(given: Mapping[str, Any]) -> Params:
    """Read the parameters.

    Raises:
        InvalidInput: a size is not one.
    """
    needs = Needs(
        engine_version=given["engine_version_min"],
        compose_version=given["compose_version_min"],
        buildx=given["buildx"],
        memory=_bytes(given, "memory_min"),
        disk_free=_bytes(given, "disk_free_min"),
        clock_tolerance=given["clock_tolerance"],
        project=given["project"],
    )
    return Params(needs, tuple(given["containers"]), tuple(given["volumes"]), given["controller_time"])


def _bytes(given: Mapping[str, Any], key: str) -> int:
    try:
        return int(human_to_bytes(given[key]))
    except ValueError:
        raise InvalidInput(f"{key} must be a size such as 512M or 2G, but is {given[key]!r}.") from None


def run(params: Params, engine: HostEngine, host: Host) -> dict[str, Any]:
    """Look and return the result.

    Raises:
        DockerVpsError: something will not do; the message names all of it.
        EngineError: the engine does not answer.
    """
    facts = _look(params, engine, host)
    found = findings(facts, params.needs)
    result = {
        "changed": False,
        "findings": [asdict(one) for one in found],
        "engine_version": facts.engine_version,
        "compose_version": facts.compose_version,
        "memory": facts.memory,
        "memory_limit": memory_limit(facts.memory),
        "disk_free": facts.disk_free,
    }
    wrong = [one for one in found if not one.ok]
    if wrong:
        raise DockerVpsError("This host cannot take the application yet: " + " ".join(map(_sentence, wrong)), **result)
    return result


def _look(params: Params, engine: HostEngine, host: Host) -> Facts:
    info = engine.info()
    owners = {}
    for name in params.containers:
        container = engine.container(name)
        if container:
            owners["container", name] = _project(container["Config"].get("Labels"))
    for name in params.volumes:
        volume = engine.volume(name)
        if volume:
            owners["volume", name] = _project(volume.get("Labels"))
    return Facts(
        engine_version=info["ServerVersion"],
        compose_version=host.plugin_version("compose"),
        buildx_version=host.plugin_version("buildx") if params.needs.buildx else "",
        memory=info["MemTotal"],
        disk_free=host.disk_free(info["DockerRootDir"]),
        clock_offset=None if params.controller_time is None else host.time() - params.controller_time,
        owners=owners,
    )


def _project(labels: Optional[Mapping[str, str]]) -> str:
    return (labels or {}).get(PROJECT_LABEL, "")


def _sentence(finding: Finding) -> str:
    return f"{finding.check}: expected {finding.expected}, found {finding.found}; {finding.remedy}."


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "engine_version_min": {"type": "str", "default": "23.0"},
            "compose_version_min": {"type": "str", "default": "2.20"},
            "buildx": {"type": "bool", "default": True},
            "memory_min": {"type": "str", "default": "768M"},
            "disk_free_min": {"type": "str", "default": "2G"},
            "controller_time": {"type": "float"},
            "clock_tolerance": {"type": "float", "default": 30},
            "project": {"type": "str", "default": "ptnextjs"},
            "containers": {"type": "list", "elements": "str", "default": []},
            "volumes": {"type": "list", "elements": "str", "default": []},
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), engine_of(module), ThisHost()))


if __name__ == "__main__":
    main()
