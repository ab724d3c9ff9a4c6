#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at a host before anything is changed on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Look at a host, and check whether it can take an application
version_added: 0.1.0
author:
  - The ptnextjs.docker_vps contributors (!UNKNOWN)
description:
  - Looks at the Docker engine, Compose, Buildx, memory, free disk, the clock, and at containers and volumes that bear
    the names the application wants, and fails with everything that is wrong at once. Changes nothing.
  - What is not installed is told also when there is no engine that answers.
  - What is not asked for is not checked. Everything seen is returned, so that one look serves a whole play.
options:
  engine_version_min:
    description: The oldest engine that will do, for example V(23.0); any will when empty.
    type: str
    default: ""
  compose_version_min:
    description: The oldest Compose that will do, for example V(2.20); none is needed when empty.
    type: str
    default: ""
  buildx:
    description: Whether images will be built on the host, which needs Buildx.
    type: bool
    default: false
  memory_min:
    description: The memory the host must have, for example V(768M).
    type: str
    default: "0"
  disk_free_min:
    description: What must be free where the engine keeps images and volumes, for example V(2G).
    type: str
    default: "0"
  commands:
    description: Commands that must be there, such as V(git).
    type: list
    elements: str
    default: []
  clock_tolerance:
    description:
      - Seconds by which the host's clock may differ from the controller's.
      - The controller's is read before and after the host's, so the time that it takes to ask counts for neither side.
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
  networks:
    description: Names of networks to look at.
    type: list
    elements: str
    default: []
  images:
    description: Names of images without a tag, whose tags to look at.
    type: list
    elements: str
    default: []
  files:
    description: Paths of files to look at.
    type: list
    elements: path
    default: []
  patterns:
    description: Paths to look for, whose last part may have a C(*) in it.
    type: list
    elements: path
    default: []
  compose_file:
    description: The Compose file of O(project), to rehearse bringing it up; not rehearsed when empty.
    type: path
    default: ""
extends_documentation_fragment:
  - ptnextjs.docker_vps.engine
  - ptnextjs.docker_vps.attributes.info
  - ptnextjs.docker_vps.attributes.action
"""

EXAMPLES = r"""
- name: Check the host before the first deploy
  ptnextjs.docker_vps.host_info:
    project: ptnextjs
    containers: [ptnextjs-app]
    volumes: [ptnextjs-db, ptnextjs-media]
    engine_version_min: "23.0"
    compose_version_min: "2.20"
    memory_min: 768M
    disk_free_min: 6G
    commands: [git]
"""

RETURN = r"""
findings:
  description: Everything that was looked at; only what is installed when there is no engine that answers.
  returned: always, unless the host cannot be reached
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
networks:
  description: Of the networks asked for, those that exist, by name. With C(icc), containers on it reach each other.
  returned: when the engine answers
  type: dict
  sample: {"proxy": {"driver": "bridge", "scope": "local", "icc": true, "subnets": ["172.18.0.0/16"]}}
images:
  description: The images there are of the names asked for, as C(name:tag).
  returned: when the engine answers
  type: list
  elements: str
  sample: ["ptnextjs-app:3f2a9c41d07b"]
up_to_date:
  description:
    - Whether Compose would leave every container of O(compose_file) as it is, and all of O(containers) run and are
      healthy.
  returned: when the engine answers
  type: bool
  sample: true
time:
  description: The host's time in seconds since 1970.
  returned: always, unless the host cannot be reached
  type: float
  sample: 1790000000.25
files:
  description: Of the files asked for, those that exist, by path, with SHA-256 and mode.
  returned: when the engine answers
  type: dict
  sample: {"/opt/ptnextjs/compose.yml": {"sha256": "9f86d081884c7d65", "mode": "0640"}}
matches:
  description: The paths that O(patterns) match.
  returned: when the engine answers
  type: list
  elements: str
  sample: [/opt/ptnextjs/ansible.x7qz.docker_vps]
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Callable, Mapping, Optional, Protocol, Sequence

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.formatters import human_to_bytes

from ..module_utils._core.errors import DockerVpsError, EngineError, InvalidInput
from ..module_utils._core.health import snapshot
from ..module_utils._core.host import (
    FILES_LABEL,
    PROJECT_LABEL,
    HostFacts,
    Needs,
    Tools,
    disks,
    findings,
    installed,
    memory_limit,
    refusal,
    up_to_date,
)
from ..module_utils._engine.sdk import SDK_MISSING
from ..module_utils._engine.this_host import ThisHost
from ..module_utils._module.engine import ENGINE_ARGUMENTS, ENGINE_TOGETHER, engine_of
from ..module_utils._module.module_exit import finish

Json = Mapping[str, Any]
_ICC = "com.docker.network.bridge.enable_icc"


class HostEngine(Protocol):
    """What this module needs from an engine."""

    def info(self) -> Json:
        """Return the engine's facts."""
        raise NotImplementedError

    def container(self, name: str) -> Optional[Json]:
        """Return a container or None."""
        raise NotImplementedError

    def volume(self, name: str) -> Optional[Json]:
        """Return a volume or None."""
        raise NotImplementedError

    def network(self, name: str) -> Optional[Json]:
        """Return a network or None."""
        raise NotImplementedError

    def tags(self, repository: str) -> Sequence[str]:
        """Return the images of a name, as name:tag."""
        raise NotImplementedError


class Host(Protocol):
    """What this module needs from the host itself."""

    python: str
    sdk: bool

    def absent(self, commands: Sequence[str]) -> list[str]:
        """Return those of the commands that are not there."""
        raise NotImplementedError

    def plugin_versions(self, plugins: Sequence[str]) -> list[str]:
        """Return the versions of plugins of the docker command, empty for each that there is not."""
        raise NotImplementedError

    def disk_free(self, path: str) -> Optional[int]:
        """Return the free bytes on the file system of a directory, None when it is not here."""
        raise NotImplementedError

    def time(self) -> float:
        """Return seconds since 1970."""
        raise NotImplementedError

    def compose_rehearsal(self, project: str, file: str) -> str:
        """Return what Compose says it would do to bring a project up, empty when it cannot tell."""
        raise NotImplementedError

    def file(self, path: str) -> Optional[tuple[str, str]]:
        """Return the SHA-256 and the mode of a file, None when there is none."""
        raise NotImplementedError

    def compose_owner(self, path: str) -> str:
        """Return the project of a Compose file that the role stack has written, empty of any other and of none."""
        raise NotImplementedError

    def matches(self, pattern: str) -> list[str]:
        """Return the paths that a pattern matches, which stands in their last part."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """The module's parameters."""

    needs: Needs
    commands: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    compose_file: str = ""


def params_of(given: Json) -> Params:
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
        project=given["project"],
    )
    names = ("commands", "containers", "volumes", "networks", "images", "files", "patterns")
    return Params(needs, compose_file=given["compose_file"], **{key: tuple(given[key]) for key in names})


def _bytes(given: Json, key: str) -> int:
    try:
        return int(human_to_bytes(given[key]))
    except ValueError:
        raise InvalidInput(f"{key} must be a size such as 512M or 2G, but is {given[key]!r}.") from None


def run(params: Params, connect: Callable[[], HostEngine], host: Host) -> dict[str, Any]:
    """Look and return the result.

    Raises:
        DockerVpsError: something will not do; the message names all of it.
        EngineError: the engine does not answer, and nothing else was seen to be wrong.
    """
    # Commands take far longer than the engine, so they run meanwhile.
    with ThreadPoolExecutor() as pool:
        tools = pool.submit(_tools, params, host)
        rehearsal = pool.submit(host.compose_rehearsal, params.needs.project, params.compose_file)
        try:
            engine = connect()
            facts = _look(params, engine, host)
        except EngineError as error:
            found = installed(tools.result(), params.needs)
            evidence = {"findings": [asdict(one) for one in found], "time": host.time()}
            raise DockerVpsError(f"{refusal(found)} {error.message}".strip(), **evidence) from error
        there = tools.result()
        found = [*installed(there, params.needs), *findings(facts, params.needs)]
        result = {
            "changed": False,
            "findings": [asdict(one) for one in found],
            "engine_version": facts.engine_version,
            "compose_version": there.compose_version,
            "memory": facts.memory,
            "memory_limit": memory_limit(facts.memory),
            "disk_free": facts.disk_free,
            "networks": {name: _network(one) for name in params.networks for one in [engine.network(name)] if one},
            "images": [tag for name in params.images for tag in engine.tags(name)],
            "up_to_date": _up_to_date(params, engine, rehearsal.result()),
            "files": {
                path: {"sha256": one[0], "mode": one[1]} for path in params.files for one in [host.file(path)] if one
            },
            "matches": [path for pattern in params.patterns for path in host.matches(pattern)],
            "time": host.time(),
        }
    if refusal(found):
        raise DockerVpsError(refusal(found), **result)
    return result


def _tools(params: Params, host: Host) -> Tools:
    needs = params.needs
    plugins = [plugin for plugin, asked in (("compose", needs.compose_version), ("buildx", needs.buildx)) if asked]
    versions = dict(zip(plugins, host.plugin_versions(plugins)))
    return Tools(
        python=host.python,
        sdk=host.sdk,
        compose_version=versions.get("compose", ""),
        buildx_version=versions.get("buildx", ""),
        absent=host.absent(params.commands),
    )


def _look(params: Params, engine: HostEngine, host: Host) -> HostFacts:
    info = engine.info()
    looked = [("container", name, engine.container(name)) for name in params.containers]
    looked += [("volume", name, engine.volume(name)) for name in params.volumes]
    owners = {(kind, name): _project(one, params.compose_file) for kind, name, one in looked if one}
    writer = host.compose_owner(params.compose_file)
    measured = [host.disk_free(place) for place in disks(info)]
    free = [one for one in measured if one is not None]
    return HostFacts(
        engine_version=info["ServerVersion"],
        memory=info["MemTotal"],
        disk_free=min(free, default=None),
        owners={**owners, **({("file", params.compose_file): writer} if writer else {})},
    )


def _up_to_date(params: Params, engine: HostEngine, rehearsal: str) -> bool:
    if not params.compose_file:
        return False
    seen = [snapshot(name, engine.container(name)) for name in params.containers]
    healthy = all(one.state == "running" and one.health == "healthy" for one in seen)
    return healthy and up_to_date(rehearsal)


def _project(one: Json, compose_file: str) -> str:
    """Return the Compose project that a container or volume belongs to, empty for none.

    A container of a project of the same name, but from another Compose file, is of somebody else.
    """
    labels = (one.get("Config") or one).get("Labels") or {}
    project, file = str(labels.get(PROJECT_LABEL, "")), labels.get(FILES_LABEL, compose_file)
    return project if file == compose_file or not compose_file else f"{project} of {file}"


def _network(one: Json) -> dict[str, Any]:
    pools = (one.get("IPAM") or {}).get("Config") or []
    return {
        "driver": one["Driver"],
        "scope": one["Scope"],
        "icc": (one.get("Options") or {}).get(_ICC) != "false",
        "subnets": [pool["Subnet"] for pool in pools if pool.get("Subnet")],
    }


def _engine(module: AnsibleModule) -> HostEngine:
    if SDK_MISSING:
        raise EngineError("The engine was not asked for more.")
    return engine_of(module)


def main() -> None:
    """Run as an Ansible module."""
    names: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "engine_version_min": {"type": "str", "default": ""},
            "compose_version_min": {"type": "str", "default": ""},
            "buildx": {"type": "bool", "default": False},
            "memory_min": {"type": "str", "default": "0"},
            "disk_free_min": {"type": "str", "default": "0"},
            "commands": names,
            "project": {"type": "str", "default": "ptnextjs"},
            "containers": names,
            "volumes": names,
            "networks": names,
            "images": names,
            "compose_file": {"type": "path", "default": ""},
            "files": {"type": "list", "elements": "path", "default": []},
            "patterns": {"type": "list", "elements": "path", "default": []},
            **ENGINE_ARGUMENTS,
        },
        required_together=ENGINE_TOGETHER,
        supports_check_mode=True,
    )
    finish(module, lambda: run(params_of(module.params), lambda: _engine(module), ThisHost()))


if __name__ == "__main__":
    main()
