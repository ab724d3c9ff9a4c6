# SPDX-License-Identifier: GPL-3.0-or-later
"""A cutover under way, written down before each step, so that whoever comes after can finish or undo it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Callable, Mapping, Optional, Protocol, Sequence

from .._core.clock import WallClock
from .._core.errors import DockerVpsError
from .._engine.port import EnginePort
from .._engine.visitor import visit
from .._store import files
from .._store.releases import JOURNAL, Releases
from .public_check import Visitor

NEXT, OLD = "-next", "-old"  # behind the name of the container
COPY, SPOILT = ".release-", ".failed-"  # behind the directory of the volume
AUTO, KEEP, RESTORE = "auto", "keep", "restore"  # what becomes of data on a way back
_BOOT = "/proc/sys/kernel/random/boot_id"


class Commands(Protocol):
    """What a cutover needs of Compose and of the host."""

    def create(self, project: str, directory: str, definitions: Sequence[str]) -> None:
        """Create a project's containers."""
        raise NotImplementedError

    def up(self, project: str, directory: str, definition: str, recreate: bool = False) -> None:
        """Bring a project up, also with containers made again."""
        raise NotImplementedError

    def config_hash(self, project: str, directory: str, definition: str, service: str) -> str:
        """Return the hash of a service."""
        raise NotImplementedError

    def execute(self, container: str, command: Sequence[str], within: float) -> None:
        """Run a command in a container."""
        raise NotImplementedError

    def here(self, command: Sequence[str], within: float) -> None:
        """Run a command on this host."""
        raise NotImplementedError


@dataclass(frozen=True)
class CutoverWorld:
    """Where a cutover takes place: its records, the engine, the commands, the time, and visitors."""

    releases: Releases
    connect: Callable[[], EnginePort]
    commands: Commands
    clock: WallClock
    visit: Visitor = visit


@dataclass(frozen=True)
class UnderWay:
    """What is needed to finish a cutover or to undo it.

    Attributes:
        previous: the release that was live.
        old: the id of its container, which was ``called`` so, ``ran`` or not, and was ``retired``: asked to end,
            at ``retired_at`` (seconds since 1970; 0 when it was not, or by a version that did not say).
        new: the id of the new container, empty before it was made.
        volume: the database's volume, with its directory ``live``, and the ``copy`` as it was when the old version had
            stopped, valid once it is ``copied``; a copy that is not ``durable`` is worth nothing after a reboot.
        exchanged: whether the live data is that of a backup set, and the copy all there is of the data before.
        others: containers that were stopped to exchange the data.
        reachable: whether users may have reached the new version.
        rows: by table by database when they first could, if the new version's data differs; empty when unknown.
        shrunk: whether it goes because it has lost rows, so that its data is no good for the old version either.
        health_timeout: seconds to wait for health.
    """

    id: str
    project: str
    container: str
    previous: str = ""
    old: str = ""
    called: str = ""
    new: str = ""
    ran: bool = False
    retired: bool = False
    retired_at: float = 0.0
    volume: str = ""
    live: str = ""
    copy: str = ""
    copied: bool = False
    durable: bool = False
    boot: str = ""
    exchanged: bool = False
    others: tuple[str, ...] = ()
    reachable: bool = False
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    shrunk: bool = False
    health_timeout: float = 60.0
    log_lines: int = 50
    proxy_reload_command: tuple[str, ...] = ()
    data: str = AUTO

    def write(self, releases: Releases, **changes: Any) -> UnderWay:
        """Change it durably and return it."""
        changed = replace(self, **changes)
        text = json.dumps(asdict(changed))
        files.replace(releases.path(self.id, JOURNAL), files.own(text))
        return changed


def read(releases: Releases, release_id: str) -> Optional[UnderWay]:
    """Return what is written down of a cutover, None when it was not begun or has ended."""
    kept = files.read(releases.path(release_id, JOURNAL))
    if kept is None:
        return None
    known = {field.name for field in fields(UnderWay)}  # a later version may write more
    try:
        given: dict[str, Any] = json.loads(kept.text)
        facts: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in given.items() if key in known
        }
        return UnderWay(**facts)
    except (ValueError, TypeError, AttributeError) as error:
        path = releases.path(release_id, JOURNAL)
        raise DockerVpsError(
            f"{path} cannot be read ({error}). See with docker ps which version runs, and remove that file."
        ) from error


def boot() -> str:
    """Return what tells this run of the machine from others."""
    with open(_BOOT, encoding="ascii") as file:
        return file.read().strip()
