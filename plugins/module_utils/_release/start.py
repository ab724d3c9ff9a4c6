# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the live release, or start it again, and make its container again only when that is not as it was released."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from .._core.errors import EngineError
from .._core.releases import Release, made_of
from .._core.remedies import play
from .._core.summary import stop
from .._engine.port import EnginePort
from .._store.releases import DEFINITION
from .cutover_state import CutoverWorld
from .preconditions import SERVICE

_ID = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Params:
    """The Compose project of the application and its container, and whether one that runs is stopped first."""

    project: str
    container: str
    restart: bool = False


def run(params: Params, world: CutoverWorld, check_mode: bool) -> dict[str, Any]:
    """Start the live release, and return whether there was anything to do.

    Raises:
        DockerVpsError: it cannot be started.
    """
    engine = world.connect()
    before = engine.container(params.container)
    runs = before is not None and before["State"]["Running"] and not before["State"].get("Paused")
    ended = ""
    if before and params.restart:
        ended = _stopped(params, engine, before, check_mode)
    elif before and runs and _as_made(params, world, engine, before):
        return {"changed": False, "summary": f"{params.container} runs already."}
    if not check_mode:
        try:
            bring_up(params, world, engine)
        except EngineError as error:
            raise EngineError(
                f"{error.message} When its image, env file or network is gone, {play('deploy')} makes them again; the "
                "data is untouched in its volumes."
            ) from error
    verb = "would be" if check_mode else "was"
    return {"changed": True, "summary": f"{ended} {params.container} {verb} started.".strip()}


def _stopped(params: Params, engine: EnginePort, before: Mapping[str, Any], check_mode: bool) -> str:
    """Stop a container, and return how it ended."""
    runs, grace = before["State"]["Running"], (before.get("Config") or {}).get("StopTimeout")
    if runs and not check_mode:
        engine.stop(before["Id"])
    after = engine.container(before["Id"]) or before
    return stop({**before}, {"changed": runs, "container": after}, params.container, grace or 10, check_mode)


def bring_up(params: Params, world: CutoverWorld, engine: EnginePort) -> None:
    """Have the container of the live release run.

    The engine starts one that is as it was released, since another version of Compose than the one that made it could
    make it again. Compose makes one that is missing, another one, or on a network that is gone.

    Raises:
        EngineError: the engine or Compose refuses.
    """
    container = engine.container(params.container)
    stale = container is not None and not all(map(engine.has_network, networks_of(container)))
    if container and not stale and _as_made(params, world, engine, container):
        if container["State"].get("Paused"):
            engine.unpause(container["Id"])
        engine.start(container["Id"])
    else:
        world.commands.up(params.project, world.releases.home, world.releases.live[DEFINITION], recreate=stale)


def networks_of(container: Mapping[str, Any]) -> list[str]:
    """Return the ids of the networks that an inspected container is on.

    One that does not run keeps them, also when something else is made meanwhile under the name of such a network.
    """
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    ids = [str((network or {}).get("NetworkID") or "") for network in networks.values()]
    ids.append(str((container.get("HostConfig") or {}).get("NetworkMode") or ""))
    return sorted({each for each in ids if _ID.fullmatch(each)})


def hash_now(project: str, world: CutoverWorld) -> str:
    """Return what Compose hashes of the live definition."""
    definition = world.releases.path(world.releases.current(), DEFINITION)
    return world.commands.config_hash(project, world.releases.home, definition, SERVICE)


def _as_made(params: Params, world: CutoverWorld, engine: EnginePort, container: Mapping[str, Any]) -> bool:
    live = _live(world)
    image = engine.image(container["Image"])
    return live is not None and made_of(live, container, image, lambda: hash_now(params.project, world))


def _live(world: CutoverWorld) -> Optional[Release]:
    current = world.releases.current()
    return world.releases.read(current) if current else None
