# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host before anything is changed on it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Callable, Iterable, Mapping, Optional, Protocol, Sequence

from .._core.errors import DockerVpsError, EngineError
from .._core.host import (
    FILES_LABEL,
    PROJECT_LABEL,
    HostFacts,
    Needs,
    Tools,
    disks,
    findings,
    installed,
    memory_limit,
    no_engine,
    refusal,
)
from .._core.releases import HEALTHY, as_released
from .._store import env_file
from .._store.releases import DEFINITION, Releases

Json = Mapping[str, Any]
_PROGRAMS = ("docker", "dockerd")
_ICC = "com.docker.network.bridge.enable_icc"


class HostEngine(Protocol):
    """What is needed of an engine."""

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

    def image(self, name: str) -> Optional[Json]:
        """Return an image, by its name or its id, or None."""
        raise NotImplementedError

    def tags(self, repository: str) -> Sequence[str]:
        """Return the images of a name, as name:tag, the newest first."""
        raise NotImplementedError


class Host(Protocol):
    """What is needed of the host itself."""

    python: str
    sdk: bool

    def sdk_fault(self) -> str:
        """Return why the Docker SDK cannot reach any engine, empty when it can."""
        raise NotImplementedError

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
    """What is needed, and what to check.

    Attributes:
        starts: whether the containers are to be started, so that nobody else may have their names.
        environment: what the env file has to be, see env_file.due.
    """

    needs: Needs
    commands: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    starts: bool = True
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    directory: str = ""
    env_file: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def compose_file(self) -> str:
        """Where the role stack writes what Compose reads."""
        return os.path.join(self.directory, DEFINITION) if self.directory else ""


def run(params: Params, connect: Callable[[], HostEngine], host: Host) -> dict[str, Any]:
    """Look and return the result.

    Raises:
        DockerVpsError: something will not do; the message names all of it.
        EngineError: the engine does not answer, and nothing else was seen to be wrong.
    """
    # Commands take far longer than the engine, so they run meanwhile.
    with ThreadPoolExecutor() as pool:
        pending_tools = pool.submit(_tools, params, host)
        try:
            engine = connect()
            containers = {name: engine.container(name) for name in params.containers}
            facts = _look(params, engine, host, containers if params.starts else {})
        except EngineError as error:
            found = installed(pending_tools.result(), params.needs)
            bare = host.absent(_PROGRAMS) == list(_PROGRAMS)
            found += [no_engine(params.needs)] * bare
            evidence = {"findings": [asdict(finding) for finding in found], "time": host.time()}
            reason = "" if bare else error.message
            raise DockerVpsError(f"{refusal(found)} {reason}".strip(), **evidence) from error
        tools = pending_tools.result()
        found = [*installed(tools, params.needs), *findings(facts, params.needs)]
        result = {
            "changed": False,
            "findings": [asdict(finding) for finding in found],
            "engine_version": facts.engine_version,
            "compose_version": tools.compose_version,
            "memory": facts.memory,
            "memory_limit": memory_limit(facts.memory),
            "disk_free": facts.disk_free,
            "networks": {
                name: _network(network) for name in params.networks for network in [engine.network(name)] if network
            },
            "images": _images(params, engine, containers.values()),
            **_live(params, engine, containers.values()),
            "files": {
                path: {"sha256": file[0], "mode": file[1]}
                for path in params.files
                for file in [host.file(path)]
                if file
            },
            **({"env_file_due": env_file.due(params.env_file, params.environment)} if params.environment else {}),
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
        sdk_fault=host.sdk_fault(),
    )


def _look(params: Params, engine: HostEngine, host: Host, containers: Mapping[str, Optional[Json]]) -> HostFacts:
    info = engine.info()
    looked = [("container", name, container) for name, container in containers.items()]
    looked += [("volume", name, engine.volume(name)) for name in params.volumes]
    owners = {(kind, name): _project(inspected, params.compose_file) for kind, name, inspected in looked if inspected}
    writer = host.compose_owner(params.compose_file)
    measured = [host.disk_free(place) for place in disks(info)]
    free = [space for space in measured if space is not None]
    return HostFacts(
        engine_version=info["ServerVersion"],
        memory=info["MemTotal"],
        disk_free=min(free, default=None),
        owners={**owners, **({("file", params.compose_file): writer} if writer else {})},
    )


def _live(params: Params, engine: HostEngine, containers: Iterable[Optional[Json]]) -> dict[str, Any]:
    """Return which release is live, and whether its containers and its files are as it left them."""
    releases = Releases(params.directory, params.env_file)
    current = releases.current() if params.directory else ""
    try:
        live = releases.read(current) if current else None
        if live is None or live.result != HEALTHY or releases.unreleased():
            return {"live": current, "up_to_date": False}
    except DockerVpsError:  # whoever changes something will say what is wrong with it
        return {"live": current, "up_to_date": False}
    seen = [(container, engine.image(container["Image"]) if container else None) for container in containers]
    return {"live": current, "up_to_date": all(as_released(live, *each) for each in seen)}


def _images(params: Params, engine: HostEngine, containers: Iterable[Optional[Json]]) -> list[str]:
    """Return the images of the names; first those that the containers were made of, and then the newest."""
    used = {(container.get("Config") or {}).get("Image") for container in containers if container}
    return [tag for name in params.images for tag in sorted(engine.tags(name), key=lambda tag: tag not in used)]


def _project(inspected: Json, compose_file: str) -> str:
    """Return the Compose project that a container or volume belongs to, empty for none.

    A container of a project of the same name, but from another Compose file, is of somebody else.
    """
    labels = (inspected.get("Config") or inspected).get("Labels") or {}
    project, file = str(labels.get(PROJECT_LABEL, "")), labels.get(FILES_LABEL, compose_file)
    return project if file == compose_file or not compose_file else f"{project} of {file}"


def _network(network: Json) -> dict[str, Any]:
    pools = (network.get("IPAM") or {}).get("Config") or []
    return {
        "driver": network["Driver"],
        "scope": network["Scope"],
        "icc": (network.get("Options") or {}).get(_ICC) != "false",
        "subnets": [pool["Subnet"] for pool in pools if pool.get("Subnet")],
    }
