# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the engine's configuration, and see that it works with it; otherwise the one before is put back."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Protocol, Sequence

from .._core.daemon_config import (
    LIVE_RESTORE,
    Config,
    changed,
    merged,
    needs_restart,
    networks_of,
    overlap,
    parsed,
    text_of,
)
from .._core.errors import DockerVpsError, InvalidInput
from .._store import files

PATH = "/etc/docker/daemon.json"
_LIMIT = 1 << 20  # bytes
_SWARM = "active"


class Daemon(Protocol):
    """What is needed of the engine as a service of the host."""

    def swarm(self) -> str:
        """Return whether it is a node of a swarm, as it says; empty when it does not answer."""
        raise NotImplementedError

    def routes(self) -> Sequence[str]:
        """Return the destinations of the host's routes that are not the engine's."""
        raise NotImplementedError

    def validate(self, path: str) -> None:
        """Check a file."""
        raise NotImplementedError

    def runs(self) -> bool:
        """Return whether the service is active."""
        raise NotImplementedError

    def reload(self) -> None:
        """Have it read its configuration."""
        raise NotImplementedError

    def restart(self) -> None:
        """Restart it, and wait for its answer."""
        raise NotImplementedError

    def running(self) -> Sequence[str]:
        """Return the names of the containers that run."""
        raise NotImplementedError

    def check(self, containers: Sequence[str]) -> None:
        """See that it gives addresses, and that containers run again."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """See the module engine_config."""

    options: Config
    path: str = PATH


def run(params: Params, daemon: Daemon, check_mode: bool) -> dict[str, Any]:
    """Merge options into the file and return the result.

    Raises:
        DockerVpsError: the file is not JSON, an option cannot be, or the engine does not work with it; the file is as
            it was before then.
    """
    kept = files.read(params.path, limit=_LIMIT)
    before = parsed(kept.text if kept else "", params.path)
    wanted, cautions = _without_live_restore(params.options, daemon)
    after = merged(before, wanted)
    names = changed(before, after)
    result = {
        "changed": bool(names),
        "options": names,
        "restarted": False,
        "warnings": cautions,
        "diff": {"before": _shown(before, names), "after": _shown(after, names)},
    }
    _check_networks(after, names, daemon)
    if not names or check_mode:
        return result
    return {**result, "restarted": _apply(params.path, kept, after, daemon, needs_restart(names))}


def _without_live_restore(options: Config, daemon: Daemon) -> tuple[Config, list[str]]:
    if not options.get(LIVE_RESTORE) or daemon.swarm() != _SWARM:
        return options, []
    rest = {name: value for name, value in options.items() if name != LIVE_RESTORE}
    return rest, [
        f"This host is a node of a swarm, with which no engine starts that has {LIVE_RESTORE}: it was left out."
    ]


def _check_networks(config: Config, names: Sequence[str], daemon: Daemon) -> None:
    networks = networks_of(config, names)
    hit = overlap(networks, daemon.routes()) if networks else None
    if hit:
        (option, network), route = hit
        raise InvalidInput(
            f"The network {network} in {option} overlaps the route to {route} of this host, which would not be reached "
            "any more. Choose another one; ip route shows which ones are taken. Nothing was changed."
        )


def _apply(path: str, before: Optional[files.Kept], config: Config, daemon: Daemon, restart: bool) -> bool:
    """Put a configuration in place, and return whether the engine was restarted."""
    files.make_directory(os.path.dirname(path))
    trial = f"{path}.new"
    try:
        files.rewrite(trial, text_of(config), before)
        daemon.validate(trial)
    finally:
        if os.path.exists(trial):
            os.unlink(trial)
    runs = daemon.runs()
    containers = daemon.running() if runs else ()
    files.rewrite(path, text_of(config), before)
    if not runs:
        return False
    try:
        daemon.restart() if restart else daemon.reload()
        daemon.check(containers)
    except DockerVpsError as error:
        files.put_back(path, before)
        try:
            daemon.restart()
            error.also(f"{path} is as it was before, and the engine runs with it again.")
        except DockerVpsError as worse:
            error.also(f"{path} is as it was before, and the engine does not start with it either: {worse.message}")
        raise
    return restart


def _shown(config: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return those options alone that change; others may hold a password, such as that of a proxy."""
    return json.dumps({name: config[name] for name in names if name in config}, indent=2) + "\n"
