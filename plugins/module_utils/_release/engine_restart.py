# SPDX-License-Identifier: GPL-3.0-or-later
"""Start again what the engine itself ended when it came back after a crash."""

from __future__ import annotations

from .._backup.ownership import app_of
from .._core.health import Start, ended_by_engine
from .._engine.port import EnginePort


def bring_back(engine: EnginePort, app: str, start: Start) -> list[str]:
    """Start the containers of an application, its replica's among them, that the engine ended; return sentences.

    Raises:
        DockerVpsError: the engine refuses.
    """
    ids = [container["Id"] for container in engine.all_containers() if app_of(container.get("Labels")) == app]
    ended = [container for container in map(engine.container, ids) if container and ended_by_engine(container, start)]
    for container in ended:
        engine.start(container["Id"])
    return [
        f"{container['Name'].lstrip('/')} was ended by the engine when that came back, and was started again."
        for container in ended
    ]
