# SPDX-License-Identifier: GPL-3.0-or-later
"""List the releases, and say whether the live one runs. Nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Protocol

from .._core.health import ContainerSnapshot
from .._core.images import digest, identity_of, short
from .._core.releases import HEALTHY, Release
from .._core.remedies import play
from .._store.releases import LOG, Releases

REVISION = 12  # characters of a revision in a line


class LookingEngine(Protocol):
    """What is needed of an engine."""

    def look(self, name: str) -> ContainerSnapshot:
        """Return a container as it is now."""
        raise NotImplementedError

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about an image, by its name or its id."""
        raise NotImplementedError

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about a container."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """The container to compare with."""

    container: str


def run(params: Params, releases: Releases, engine: LookingEngine) -> dict[str, Any]:
    """Return the releases.

    Raises:
        DockerVpsError: one cannot be read, or the engine does not answer.
    """
    known, current, under_way = releases.listing(), releases.current(), releases.unfinished()
    seen = engine.look(params.container)
    container = engine.container(params.container)
    lines = [_line(release, release.id == current, release.id in under_way, releases) for release in known]
    live = next((release for release in known if release.id == current), None)
    if not known:
        lines.append("There are no releases yet.")
    elif live and (not container or identity_of(container, engine.image(container["Image"])) != live.image_id):
        what = f"{params.container} runs {seen.image}" if container else f"there is no container {params.container}"
        lines.append(f"Release {live.id} should be live, but {what}. Run {play('deploy')}.")
    elif live and seen.health != "healthy":
        lines.append(f"{params.container} is {seen.status}.")
    if under_way:
        lines.append(
            f"The cutover to {', '.join(under_way)} is under way or was interrupted; the next deploy recovers it."
        )
    return {
        "changed": False,
        "releases": [vars(release) for release in known],
        "current": current,
        "under_way": under_way,
        "running": {"image": seen.image, "state": seen.status},
        "summary": lines,
    }


def _line(release: Release, live: bool, under_way: bool, releases: Releases) -> str:
    state = "under way" if under_way else "live" if live and release.result == HEALTHY else release.result
    facts = []
    if release.downtime:
        facts.append(f"downtime {release.downtime:.1f} s")
    if release.backup:
        facts.append(f"backup {release.backup}")
    if release.base:
        facts.append(f"base {release.base.partition('@')[0]}@{short(digest(release.base))}")
    if release.rolled_back_to:
        facts.append(f"rolled back to {release.rolled_back_to}")
    if release.message:
        what, log = release.message.split("\n")[0].rstrip("."), releases.path(release.id, LOG)
        facts.append(what)
        if log not in what and releases.has_log(release.id):
            facts.append(f"log {log}")
    revision, deployer = release.revision[:REVISION] or "-", release.deployed_by or "-"
    return f"{release.id}  {state:<9}  {release.image}  {revision}  {deployer}  {', '.join(facts)}".rstrip()
