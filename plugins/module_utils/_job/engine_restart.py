# SPDX-License-Identifier: GPL-3.0-or-later
"""Start again what the engine itself ended when it came back after a crash."""

from __future__ import annotations

from .._core.health import Start, ended_by_engine
from .._core.host import PROJECT_LABEL
from .journal import Containers


def bring_back(engine: Containers, project: str, start: Start) -> list[str]:
    """Start the containers of a Compose project that the engine ended, and return a sentence for each.

    Raises:
        DockerVpsError: the engine refuses.
    """
    ids = [one["Id"] for one in engine.all_containers() if (one.get("Labels") or {}).get(PROJECT_LABEL) == project]
    there = [one for one in map(engine.container, ids) if one and ended_by_engine(one, start)]
    for one in there:
        engine.start(one["Id"])
    return [
        f"{one['Name'].lstrip('/')} was ended by the engine when that came back, and was started again."
        for one in there
    ]
