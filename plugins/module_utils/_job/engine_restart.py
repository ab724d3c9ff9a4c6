# SPDX-License-Identifier: GPL-3.0-or-later
"""Start again what the engine itself ended when it came back after a crash."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Protocol, Sequence

from .._core.health import Start, ended_by_engine

PROJECT = "com.docker.compose.project"


class Containers(Protocol):
    """What is needed of an engine."""

    def all_containers(self) -> Sequence[Mapping[str, Any]]:
        """Return all containers in short."""
        raise NotImplementedError

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return a container."""
        raise NotImplementedError

    def start(self, container: str) -> None:
        """Start one."""
        raise NotImplementedError


def bring_back(engine: Containers, project: str, start: Start) -> list[str]:
    """Start the containers of a Compose project that the engine ended, and return a sentence for each.

    Raises:
        DockerVpsError: the engine refuses.
    """
    ids = [one["Id"] for one in engine.all_containers() if (one.get("Labels") or {}).get(PROJECT) == project]
    there = [one for one in map(engine.container, ids) if one and ended_by_engine(one, start)]
    for one in there:
        engine.start(one["Id"])
    return [
        f"{one['Name'].lstrip('/')} was ended by the engine when that came back, and was started again."
        for one in there
    ]
