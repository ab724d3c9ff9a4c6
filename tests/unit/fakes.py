# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins at the ports: clock, engine and its feed of news, host. Nothing here sleeps or needs Docker."""

from __future__ import annotations

import fnmatch
import json
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import EngineUnreachable
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import ContainerSnapshot, snapshot

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/unit/fixtures"
ENGINES = sorted(path.name for path in (FIXTURES / "inspect").iterdir() if path.is_dir())
STATES = sorted(path.stem for path in (FIXTURES / "inspect" / ENGINES[0]).glob("*.json"))

Json = Mapping[str, Any]


def inspected(state: str, engine: str = ENGINES[0]) -> dict[str, Any]:
    """Return what a real engine said about a container in a state; see fixtures/inspect/capture.py."""
    found: dict[str, Any] = json.loads((FIXTURES / "inspect" / engine / f"{state}.json").read_text(encoding="utf-8"))
    return found


def seen(captured: str, /, **changes: Any) -> ContainerSnapshot:
    """Return a captured state as a snapshot of "app", with some fields changed; ``absent`` is no container."""
    return replace(snapshot("app", None if captured == "absent" else inspected(captured)), **changes)


def hear_of_everything(hook: Callable[[str, tuple[Any, ...]], object]) -> None:
    """Have a function called with all that the interpreter does, from now on; see sys.addaudithook.

    Threads are no longer measured then: while the function hears of one that is about to be, another one that begins
    would be refused and end at once (RuntimeError: Cannot install a trace function ...), and its work never be done.
    """
    threading.settrace(None)  # type: ignore[arg-type]  # as Python 3.10 documents it
    sys.addaudithook(hook)


class FakeClock:
    """Time that passes only while someone sleeps or waits. It does not begin at zero, as no machine's does."""

    def __init__(self) -> None:
        self.began = 5000.0
        self.passed = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.began + self.passed

    def sleep(self, seconds: float) -> None:
        assert seconds > 0, f"slept for {seconds} s"
        self.slept.append(seconds)
        self.passed += seconds


@dataclass
class FakeEngine:
    """An engine whose containers change at given seconds, and which tells so at once.

    Attributes:
        timeline: per name, from which second on the container is what.
        outages: from which to which second the engine does not answer.
        breaks: seconds at which only the stream of events ends.
        silent: events are lost.
        lines: per name, what the container wrote.
        out_of_memory: at which seconds a process of which container ran out of memory.
    """

    clock: FakeClock
    timeline: Mapping[str, Sequence[tuple[float, ContainerSnapshot]]]
    outages: Sequence[tuple[float, float]] = ()
    breaks: Sequence[float] = ()
    silent: bool = False
    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    out_of_memory: Sequence[tuple[float, str]] = ()
    feeds: list[FakeFeed] = field(default_factory=list)
    looks: list[tuple[float, str]] = field(default_factory=list)

    def look(self, name: str) -> ContainerSnapshot:
        self.answer()
        self.looks.append((self.clock.passed, name))
        return self.at(name, self.clock.passed)

    def listen(self, names: Sequence[str]) -> FakeFeed:
        self.answer()
        self.feeds.append(FakeFeed(self, names))
        return self.feeds[-1]

    def answer_of(self, name: str) -> str:
        return self.answers.get(name, "")

    def logs(self, name: str, lines: int) -> list[str]:
        return list(self.lines.get(name, ()))[-lines:]

    def at(self, name: str, second: float) -> ContainerSnapshot:
        """Return a container as it is at a second."""
        return [one for begins, one in self.timeline[name] if begins <= second][-1]

    def answer(self) -> None:
        """Answer, unless there is an outage."""
        if any(begins <= self.clock.passed < ends for begins, ends in self.outages):
            raise EngineUnreachable("the fake engine is away")


class FakeFeed:
    """News of a fake engine's containers."""

    def __init__(self, engine: FakeEngine, names: Sequence[str]) -> None:
        self._engine = engine
        self.names = list(names)
        self.closed = 0

    def wait(self, seconds: float) -> bool:
        assert not self.closed, "waited on a closed feed"
        assert seconds > 0, f"waited for {seconds} s"
        engine, now = self._engine, self._engine.clock.passed
        ends = [second for second in (*engine.breaks, *(begins for begins, _unused in engine.outages)) if second > now]
        events = (
            [] if engine.silent else [at for name in self.names for at, _unused in engine.timeline[name] if at > now]
        )
        happens = engine.clock.passed = min([*ends, *events, now + seconds])
        if happens in ends:
            raise EngineUnreachable("the fake engine ended its stream")
        return happens in events

    def ran_out_of_memory(self, name: str) -> bool:
        return any(name == whose and at <= self._engine.clock.passed for at, whose in self._engine.out_of_memory)

    def close(self) -> None:
        self.closed += 1


@dataclass
class FakeHostEngine:
    """An engine on which things of certain names exist."""

    facts: Json = field(default_factory=lambda: HOST_INFO)
    containers: Mapping[str, Json] = field(default_factory=dict)
    volumes: Mapping[str, Json] = field(default_factory=dict)
    networks: Mapping[str, Json] = field(default_factory=dict)
    images: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def info(self) -> Json:
        return self.facts

    def container(self, name: str) -> Optional[Json]:
        return self.containers.get(name)

    def volume(self, name: str) -> Optional[Json]:
        return self.volumes.get(name)

    def network(self, name: str) -> Optional[Json]:
        return self.networks.get(name)

    def image(self, name: str) -> Optional[Json]:
        return {"Id": name}

    def tags(self, repository: str) -> Sequence[str]:
        return self.images.get(repository, ())


@dataclass
class FakeHost:
    """A host with a disk, a clock, plugins of the docker command and files."""

    plugins: Mapping[str, str] = field(default_factory=lambda: {"compose": "2.26.1", "buildx": "0.13.1"})
    commands: Sequence[str] = ("git", "docker", "dockerd")
    free: Mapping[str, int] = field(default_factory=lambda: {"/var/lib/docker": 20 * 1024**3})
    now: float = 1_790_000_000.0
    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    composed: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    python: str = "/usr/bin/python3"
    sdk: bool = True
    fault: str = ""

    def sdk_fault(self) -> str:
        return self.fault

    def absent(self, commands: Sequence[str]) -> list[str]:
        return [command for command in commands if command not in self.commands]

    def plugin_versions(self, plugins: Sequence[str]) -> list[str]:
        self.asked += plugins
        return [self.plugins.get(plugin, "") for plugin in plugins]

    def disk_free(self, path: str) -> Optional[int]:
        return self.free.get(path)

    def time(self) -> float:
        return self.now

    def file(self, path: str) -> Optional[tuple[str, str]]:
        return self.files.get(path)

    def compose_owner(self, path: str) -> str:
        return self.composed.get(path, "")

    def matches(self, pattern: str) -> list[str]:
        return fnmatch.filter(self.files, pattern)


HOST_INFO: Json = {"ServerVersion": "26.1.5", "MemTotal": 4 * 1024**3, "DockerRootDir": "/var/lib/docker"}
