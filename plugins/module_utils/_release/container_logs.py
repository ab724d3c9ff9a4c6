# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a container wrote, without the secrets it knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Iterator, Mapping, Optional, Protocol

from .._core import images, logs, secret_files
from .._core.clock import Clock
from .._core.dotenv import parse
from .._core.errors import DockerVpsError, InvalidInput
from .._core.health import snapshot
from .._core.secrets import Mask, secrets_of
from .._store import files

END = 1000  # entries of the log that are read first, since they are mostly enough
AGAIN = 0.25  # seconds between two checks of a wait


class LogEngine(Protocol):
    """What is needed of an engine."""

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about a container, or None."""
        raise NotImplementedError

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about an image, or None."""
        raise NotImplementedError

    def log(self, name: str, tail: int, since: str = "", until: str = "") -> Iterator[bytes]:
        """Yield what a container wrote."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """Which lines of which container; wait in seconds."""

    container: str
    wanted: logs.WantedLines
    env_file: str
    wait: float


def run(params: Params, engine: LogEngine, clock: Clock) -> dict[str, Any]:
    """Read the log, wait for a line if that is asked for, and return the result.

    Raises:
        DockerVpsError: there is no such container, or the env file cannot be read.
        EngineError: the engine does not answer, or cannot read this log.
    """
    deadline = clock.now() + params.wait
    wanted = params.wanted
    while True:
        inspected = engine.container(params.container)
        if inspected is None:
            raise DockerVpsError(
                f"Container {params.container} does not exist; see which containers do with: docker ps --all.",
                absent=True,
            )
        now = snapshot(params.container, inspected)
        ended = now.state in ("exited", "dead")
        found = _read(engine, params.container, wanted, bool(inspected["Config"].get("Tty")), ended)
        left = deadline - clock.now()
        if found.lines or found.damage or ended or left <= 0:
            break
        wanted = replace(wanted, after=found.last)
        clock.sleep(min(AGAIN, left))
    masked = _masks(params.env_file, engine, inspected)
    return {
        "changed": False,
        "lines": [{"time": line.time, "stream": line.stream, "text": masked(line.text)} for line in found.lines],
        "last": logs.place(found.last),
        "truncated": found.truncated,
        "damage": _damage(params.container, found.damage, inspected),
        "container": {"name": now.name, "id": now.id, "state": now.state, "exit_code": now.exit_code},
    }


def _damage(name: str, evidence: str, inspected: Mapping[str, Any]) -> str:
    if not evidence:
        return ""
    file = inspected.get("LogPath") or "its log"
    return (
        f"The log of container {name} is damaged, as after a power failure, and the engine shows nothing beyond that "
        f"place, nor always all before ({evidence}). Read {file} on the host; the next release begins a new log."
    )


def _read(engine: LogEngine, name: str, wanted: logs.WantedLines, tty: bool, ended: bool) -> logs.FoundLines:
    earliest = min(wanted.after.values())
    if wanted.tail or earliest:
        end = engine.log(name, max(END, 2 * wanted.tail))
        found = logs.choose(logs.lines(logs.entries(end, tty), ended), wanted, whole=False)
        if found.enough:
            return found
    everything = engine.log(name, 0, logs.unix(earliest), logs.unix(wanted.until))
    return logs.choose(logs.lines(logs.entries(everything, tty), ended), wanted, whole=True)


def _masks(env_file: str, engine: LogEngine, inspected: Mapping[str, Any]) -> Callable[[str], str]:
    """Return the function that takes the secrets out of a string."""
    public = images.environment(engine.image(inspected["Image"]))
    own = dict(pair.partition("=")[::2] for pair in inspected["Config"].get("Env") or () if pair not in public)
    given = {name: files.read(path) for name, path in secret_files.mounted(inspected).items()}
    own.update({name: kept.text for name, kept in given.items() if kept})
    masks = [Mask(secrets_of(own)), Mask(secrets_of(_values_of(env_file) if env_file else {}))]
    return lambda text: masks[1](masks[0](text))[: logs.LONGEST]


def _values_of(path: str) -> Mapping[str, str]:
    kept = files.read(path)
    if kept is None:
        raise InvalidInput(f"env_file {path} must be an env file on the host, but there is none.")
    try:
        return parse(kept.text)
    except InvalidInput as error:
        raise InvalidInput(f"env_file {path} cannot be read: {error.message}.") from error
