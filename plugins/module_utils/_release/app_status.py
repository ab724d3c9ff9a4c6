# SPDX-License-Identifier: GPL-3.0-or-later
"""Look how an application is on this host, part by part; what cannot be inspected says why. Nothing is changed."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Callable, Iterable, Mapping, Optional, Protocol

from .._backup import verify
from .._core import dotenv, status, watch
from .._core.clock import WallClock
from .._core.errors import DockerVpsError
from .._core.health import snapshot
from .._core.releases import Release, made_of
from .._core.remedies import play
from .._core.secrets import Mask, secrets_of, without_logins
from .._engine.watched_host import WatchedHost
from .._store import files, watch_state
from .._store.releases import ENVIRONMENT, Releases
from .._store.sets import Sets

Json = Mapping[str, Any]
RELEASES = 20  # the most that are returned
SENTENCES = ("not_looked_at", "drift", "watch", "problems", "message", "reason")
"""Where facts have text that others have written, or that quotes it."""
NO_WATCH = f"nothing watches this host between two checks; {play('schedule')} installs what does"


class StatusEngine(Protocol):
    """What is needed of an engine."""

    def info(self) -> Json:
        """Return the engine's facts."""
        raise NotImplementedError

    def container(self, name: str) -> Optional[Json]:
        """Return a container or None."""
        raise NotImplementedError

    def image(self, name: str) -> Optional[Json]:
        """Return an image, by its name or its id, or None."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """What to look at, and from how many percent used on a disk is told of."""

    app: str
    container: str
    most_disk: float = 90


@dataclass(frozen=True)
class StatusWorld:
    """Where to look. ``timers`` returns the next runs (UTC) by the names of an application's timers."""

    releases: Releases
    sets: Sets
    connect: Callable[[], StatusEngine]
    timers: Callable[[str], Mapping[str, str]]
    clock: WallClock


def run(params: Params, world: StatusWorld) -> dict[str, Any]:
    """Return the facts; a part that could not be checked is None there, and ``not_looked_at`` says why."""
    facts: dict[str, Any] = _masked(_Look(params, world).all(), mask_of(world.releases))
    return {**facts, "findings": status.findings(facts, params.most_disk)}


def _masked(value: Any, mask: Callable[[str], str], sentence: bool = False) -> Any:
    """Return facts with their sentences masked; names and paths stay."""
    if isinstance(value, str):
        return mask(value) if sentence else value
    if isinstance(value, dict):
        return {key: _masked(item, mask, sentence or key in SENTENCES) for key, item in value.items()}
    return [_masked(item, mask, sentence) for item in value] if isinstance(value, list) else value


def mask_of(releases: Releases) -> Callable[[str], str]:
    """Return what keeps the application's secrets, and passwords in addresses, out of sentences."""
    kept = None
    with contextlib.suppress(DockerVpsError):  # what is written down has no secrets; this is for those of others
        kept = files.read(releases.live[ENVIRONMENT])
    mask = Mask(secrets_of(dotenv.parse(kept.text)) if kept else {})
    return lambda text: without_logins(mask(text))


class _Look:
    """One look at everything."""

    def __init__(self, params: Params, world: StatusWorld) -> None:
        self.params, self.world = params, world
        self.unseen: dict[str, str] = {}

    def all(self) -> dict[str, Any]:
        """Look at each part, whatever became of the others."""
        world, engine = self.world, self.part("container", self.world.connect)
        return {
            "changed": False,
            "app": self.params.app,
            "time": status.stated(world.clock.utc()),
            "releases": self.part("releases", self.listing),
            "release": self.part("release", self.live, "releases"),
            "container": self.part("container", lambda: self.container(engine), "container"),
            "drift": self.part("drift", lambda: self.drift(engine), "container", "releases"),
            "backup": self.part("backup", lambda: status.backup(verify.run(verify.Params(), world.sets, world.clock))),
            "timers": self.part("timers", lambda: dict(world.timers(self.params.app))),
            "disks": self.part("disks", lambda: self.disks(engine)),
            "watch": self.part("watch", self.watch),
            "not_looked_at": self.unseen,
        }

    def part(self, name: str, look: Callable[[], Any], *needs: str) -> Any:
        """Return what a look finds, and None when it could not be had, or other parts that it needs could not."""
        try:
            if not self.unseen.keys() & set(needs):
                return look()
            self.unseen[name] = next(self.unseen[need] for need in needs if need in self.unseen)
        except DockerVpsError as error:
            self.unseen[name] = " ".join(error.message.split())
        except OSError as error:
            self.unseen[name] = files.unforeseen("The look", error).message
        return None

    def listing(self) -> list[dict[str, Any]]:
        """Return the newest releases."""
        releases = self.world.releases
        return status.history(
            [vars(release) for release in releases.listing()], releases.current(), releases.unfinished(), RELEASES
        )

    def live(self) -> dict[str, Any]:
        """Return what is live, empty when nothing is."""
        found = self.current()
        if found is None:
            return {}
        releases = self.world.releases
        (row,) = status.history([vars(found)], found.id, releases.unfinished(), 1)
        return {**row, "digest": found.image_id, "environment": found.environment, "seconds": found.seconds}

    def current(self) -> Optional[Release]:
        """Return the release that is live by our records."""
        current = self.world.releases.current()
        return self.world.releases.read(current) if current else None

    def container(self, engine: StatusEngine) -> dict[str, Any]:
        """Return how the container is; ``uptime`` in seconds, None when it does not run."""
        inspected = engine.container(self.params.container)
        seen = snapshot(self.params.container, inspected)
        started = str(((inspected or {}).get("State") or {}).get("StartedAt", "")) if seen.state == "running" else ""
        began = status.moment(started)
        return {
            "name": seen.name,
            "image": seen.image,
            "state": seen.state or "absent",
            "health": seen.health or "",
            "status": seen.status,
            "started_at": status.stated(began) if began else "",
            "uptime": int((self.world.clock.utc() - began).total_seconds()) if began else None,
            "restarts": seen.restart_count,
        }

    def drift(self, engine: StatusEngine) -> list[str]:
        """Return what is live otherwise than it was released.

        Raises:
            DockerVpsError: no release is live, or its files cannot be read.
        """
        changed = [f"{path} is not as it was released." for path in self.world.releases.unreleased()]
        live, container = self.current(), engine.container(self.params.container)
        if live and container and not made_of(live, container, engine.image(container["Image"])):
            changed.append(f"{self.params.container} is not what release {live.id} made. Run {play('deploy')}.")
        return changed

    def disks(self, engine: Optional[StatusEngine]) -> list[dict[str, Any]]:
        """Return how full the disks are on which the application, its sets and the engine are; each disk once."""
        places = [self.world.releases.home, self.world.sets.directory]
        with contextlib.suppress(DockerVpsError):
            places += [str(engine.info()["DockerRootDir"])] if engine else []
        return list(_disks(places))

    def watch(self) -> Optional[list[str]]:
        """Return what the watch of the host found when it last looked; None when it did not within an hour."""
        now = self.world.clock.utc().timestamp()
        kept, problem = watch_state.read(os.path.join(self.world.releases.home, watch_state.STATE), now)
        if not kept.state.look:
            self.unseen["watch"] = problem or NO_WATCH
        elif now - kept.state.at > watch.HOUR:
            last = status.stated(datetime.fromtimestamp(kept.state.at, timezone.utc))
            self.unseen["watch"] = f"the watch of this host looked last at {last}; see systemctl list-timers"
        else:
            return [watch.line(alert.finding) for alert in kept.state.alerts.values() if alert.bad]
        return None


def _disks(places: Iterable[str]) -> Iterable[dict[str, Any]]:
    known = set()
    for place in places:
        path = files.nearest(place)
        device, facts = WatchedHost().disk(path)
        if device in known:
            continue
        known.add(device)
        yield {
            "path": path,
            "used": facts.total - facts.free,
            "free": facts.free,
            "inodes": facts.inodes,
            "inodes_free": facts.inodes_free,
        }
