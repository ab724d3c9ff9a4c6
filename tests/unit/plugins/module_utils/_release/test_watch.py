# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at a host, with an engine and a host of the test."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Iterator, Optional, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import job_history
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit import Unseen
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.control_groups import cpu_2, memory_2
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, EngineUnreachable
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.public_check import Leg, Visit
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import (
    BackupFacts,
    CpuFacts,
    DatabaseFacts,
    DiskFacts,
    ImageFacts,
    MemoryFacts,
    RequestFacts,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.watch import (
    CACHE_WITHIN,
    Params,
    Seen,
    WatchWorld,
    look,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import Releases
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.watch_state import Remembered
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeWallClock
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import publish

CGROUP = {
    "memory.max": "536870912\n",
    "memory.current": "200\n",
    "memory.stat": "anon 5\ninactive_file 50\n",
    "memory.events": "low 0\noom 1\noom_kill 2\n",
    "cpu.max": "150000 100000\n",
    "cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
}
PERIOD = 300.0


@dataclass
class FakeWatched:
    """An engine and a host, as far as a watch asks them."""

    place: Path
    clock: FakeWallClock
    state: dict[str, Any] = field(default_factory=dict)
    events: Sequence[str] = ()
    wrote: Sequence[str] = ()
    up: float = 9999.0
    answers: bool = True
    takes: float = 0.0
    page: Visit = Visit(None, "", "192.0.2.1", 200, 60.0, 90.0)  # noqa: RUF009
    restarted: list[str] = field(default_factory=list)
    after: Optional[dict[str, Any]] = None
    labels: dict[str, str] = field(default_factory=lambda: {"com.docker.compose.project": "shop"})
    proxy: bool = True
    cgroups: dict[str, str] = field(default_factory=lambda: dict(CGROUP))

    def __post_init__(self) -> None:
        self.runs()

    def runs(self, health: str = "healthy", streak: int = 0, status: str = "running", **more: Any) -> None:
        """Let the container be so."""
        health_log = {"Health": {"Status": health, "FailingStreak": streak, "Log": []}}
        running = {"Status": status, "Pid": 77 if status == "running" else 0, **health_log}
        self.state = {"StartedAt": "2026-02-01T01:00:00.5Z", "FinishedAt": "2026-02-01T01:30:00Z", **running, **more}

    def info(self) -> Any:
        self.clock.passed += self.takes
        if not self.answers:
            raise EngineUnreachable("No Docker engine answers at unix:///e: nothing listens there.")
        return {"ServerVersion": "26.1.5", "DockerRootDir": str(self.place)}

    def container(self, name: str) -> Any:
        if not self.state:
            return None
        return {
            "Id": "A1",
            "Name": f"/{name}",
            "Created": "2026-02-01T01:00:00Z",
            "Config": {"Image": "shop:1", "Env": ["PAYLOAD_SECRET=sesame-sesame", "PORT=3000"], "Labels": self.labels},
            "HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}},
            "LogPath": str(self.place / "c.log"),
            "State": self.state,
        }

    def volume(self, name: str) -> Any:
        return {"Mountpoint": str(self.place / name)} if (self.place / name).exists() else None

    def logs(self, name: str, lines: int) -> Sequence[str]:
        return list(self.wrote)[-lines:]

    def log(self, name: str, tail: int, since: str = "", until: str = "") -> Iterator[bytes]:
        assert since.isdigit()
        text = "\n".join(self.wrote).encode()
        yield text[:20]
        yield text[20:]

    def last_events(self, container: str) -> Sequence[str]:
        return self.events

    def build_cache(self, within: float) -> Sequence[dict[str, Any]]:
        assert within == CACHE_WITHIN
        used = {"LastUsedAt": "2026-01-31T02:00:00Z", "InUse": False}
        return [{"ID": "a", "Size": 7, "Shared": False, **used}, {"ID": "b", "Size": 90, "Shared": True, **used}]

    def all_containers(self) -> Sequence[dict[str, Any]]:
        rows = [(80, 8080, "tcp"), (8444, 443, "udp"), (8443, 443, "tcp")]
        ports = [{"PrivatePort": inner, "PublicPort": outer, "Type": kind} for inner, outer, kind in rows]
        return [{"Id": "A0", "Ports": None}, *([{"Id": "W1", "Ports": ports}] if self.proxy else [])]

    def connections(self, pid: int, port: int) -> int:
        return {(77, 8443): 12, (os.getpid(), 443): 34}[pid, port]

    def unnamed_images(self) -> Sequence[int]:
        return [100, 50]

    def restart(self, container: str) -> None:
        self.restarted.append(container)
        self.runs("starting")

    def boot(self) -> str:
        return "b1"

    def uptime(self) -> float:
        return self.up

    def disk(self, path: str) -> tuple[int, DiskFacts]:
        return 1, DiskFacts(path, 1000, 600, 10, 9)

    def memory(self, pid: int) -> MemoryFacts:
        assert pid == 77
        return memory_2(self.cgroups.__getitem__)

    def cpu(self, pid: int) -> CpuFacts:
        assert pid == 77
        return cpu_2(self.cgroups.__getitem__, cpus=4)

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def sizes(self, path: str) -> int:
        return os.stat(path).st_size

    def clock_offset(self, server: str) -> float:
        return 0.25


class Watched:
    """A host that is watched."""

    def __init__(self, place: Path) -> None:
        self.clock = FakeWallClock()
        self.fake = FakeWatched(place, self.clock)
        self.sets = Sets(str(place / "sets"), "shop")
        self.releases = Releases(str(place / "shop"), str(place / "shop/.env"))
        self.releases.prepare()
        self.sets.prepare()
        (place / "shop-db").mkdir()
        (place / "shop-db/payload.db").write_bytes(b"d" * 10)
        (place / "c.log").write_bytes(b"l" * 3)
        self.params = Params("shop", "shop-app", {"db": "shop-db"}, "db/payload.db", "https://shop.example.com")
        self.before = Remembered()

    @property
    def world(self) -> WatchWorld:
        def visit(url: str, text: str, address: str) -> Visit:
            return self.fake.page

        return WatchWorld(lambda: self.fake, self.fake, self.clock, visit, self.sets, self.releases)

    def look(self, check_mode: bool = False, **params: Any) -> Seen:
        self.clock.passed += PERIOD
        seen = look(replace(self.params, **params), self.world, self.before, self.clock.passed, check_mode)
        self.before = seen.remembered
        return seen

    def heal(self, looks: int = 2, **params: Any) -> Seen:
        """Return the last of checks that heal, of a container that was healthy before them."""
        state = self.fake.state
        self.fake.runs()
        self.look()
        self.fake.state = state
        return [self.look(heal=True, **params) for _turn in range(looks)][-1]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_all_facts_of_a_host_that_is_well(watched: Watched) -> None:
    publish(watched.sets, "20260201-010000")
    watched.look()
    seen = watched.look(time_server="192.0.2.9")
    facts = seen.facts
    assert dict(seen.unseen) == {}
    assert facts.engine == "26.1.5"
    assert facts.memory == MemoryFacts(150, 512 << 20, 2)
    assert facts.cpu == CpuFacts(2.5, 1.5)
    assert facts.disks == (DiskFacts(str(watched.fake.place), 1000, 600, 10, 9),)
    assert facts.database == DatabaseFacts(str(watched.fake.place / "shop-db/payload.db"), 10, 0)
    assert facts.request == RequestFacts("", 60.0, 90.0)
    assert facts.images == ImageFacts(2, 150, 7)
    assert (facts.clock, facts.busy, facts.connections) == (0.25, 0, 12)
    assert (facts.unfinished, facts.boot) == ((), "b1")
    assert isinstance(facts.backups, BackupFacts)
    assert facts.backups.last == 1769907600.0
    assert not isinstance(facts.app, Unseen)
    assert (facts.app.log, facts.app.log_bytes, facts.app.age) == ((), 3, 4200.0)
    assert [finding.id for finding in seen.findings] == ["backup-proof"]
    assert seen.healed == ""


def test_connections_at_a_proxy_that_is_a_process_of_the_host_or_elsewhere(watched: Watched) -> None:
    watched.fake.proxy = False
    assert watched.look().facts.connections == 34
    assert watched.look(proxy_here=False).unseen["connections"] == "the proxy is elsewhere"
    assert "names no address" in watched.look(url="").unseen["connections"]


def test_a_drill_proves_whoever_began_it(watched: Watched) -> None:
    job_history.record(watched.sets.directory, "drill", job_history.Run("2026-02-01T00:00:00Z", True, 1.0, "well"))
    backups = watched.look().facts.backups
    assert backups == BackupFacts(None, 1769904000.0)


def test_an_engine_that_is_silent(watched: Watched) -> None:
    watched.fake.answers = False
    seen = watched.look()
    assert seen.findings[0].id == "engine-answer"
    assert seen.unseen["app"] == "the engine does not answer"
    assert {"disk", "backup"} & set(seen.unseen) == set()


def test_what_is_odd_or_too_late_keeps_nobody_from_the_rest(watched: Watched) -> None:
    watched.fake.cgroups = {"memory.max": "512\n", "memory.current": "nonsense", "cpu.max": "odd"}
    (watched.fake.place / "shop-db/payload.db").unlink()
    (watched.fake.place / "c.log").unlink()
    seen = watched.look(url="", time_server="")
    assert seen.unseen["memory"].startswith("what was read is not as expected: ValueError")
    assert seen.unseen["database"].endswith("payload.db: No such file or directory")
    assert seen.unseen["request"] == "⟦setting server_url⟧ names no address"
    assert seen.unseen["clock"] == "⟦setting watch_time_server⟧ names no server"
    assert not isinstance(seen.facts.app, Unseen)
    watched.fake.takes = 61.0
    assert watched.look().unseen["backup"] == "the 60 s of the look were over"


def test_a_database_elsewhere(watched: Watched) -> None:
    assert watched.look(database="").unseen["database"] == "the database is no file in a volume"
    assert watched.look(volumes={"db": "gone"}).unseen["database"] == "there is no volume gone"


def test_what_it_wrote_last_is_without_secrets(watched: Watched) -> None:
    watched.fake.wrote = [f"line {number}" for number in range(30)] + ["secret is sesame-sesame", "x" * 999]
    watched.fake.runs("unhealthy", 3)
    (finding,) = [finding for finding in watched.look().findings if finding.id == "app-state"]
    assert len(finding.log) == 20
    assert finding.log[-2] == "secret is <PAYLOAD_SECRET>"
    assert len(finding.log[-1]) == 301


def test_busy_databases_are_counted_in_the_log(watched: Watched) -> None:
    watched.fake.wrote = ["SQLITE_BUSY: database is locked", "fine", "Error: database is locked"]
    assert watched.look().unseen["busy"] == "there is no container, or no look before"
    assert watched.look().facts.busy == 2


def test_the_way_of_visitors_is_asked_only_when_the_application_is_well(watched: Watched) -> None:
    watched.fake.page = Visit(Leg.PROXY, "answers 502", "192.0.2.1", 502)
    seen = watched.look()
    assert "request-served" in [finding.id for finding in seen.findings]
    assert "the reverse proxy answers 502" in next(f.found for f in seen.findings if f.id == "request-served")
    watched.fake.runs("unhealthy", 3)
    assert watched.look().unseen["request"] == "the application is not healthy"


@pytest.mark.parametrize(
    ("events", "stopped"), [(["kill", "die", "stop"], True), (["kill", "die"], False), ([], None), (["exec_die"], None)]
)
def test_who_ended_it(watched: Watched, events: Sequence[str], stopped: Optional[bool]) -> None:
    watched.fake.runs(status="exited")
    watched.fake.events = events
    facts = watched.look().facts.app
    assert not isinstance(facts, Unseen)
    assert facts.stopped is stopped
    watched.fake.events = []
    again = watched.look().facts.app
    assert not isinstance(again, Unseen)
    assert again.stopped is stopped  # which is remembered, also when the engine has forgotten


def test_no_container(watched: Watched) -> None:
    watched.fake.state = {}
    seen = watched.look(heal=True)
    assert "app-state" in [finding.id for finding in seen.findings]
    assert seen.unseen["memory"] == "the container does not run"
    assert seen.healed == "shop-app is left alone: there is no container."


def test_right_after_the_start_of_the_host_nothing_is_judged(watched: Watched) -> None:
    watched.fake.up = 30.0
    watched.fake.runs(status="exited")
    assert watched.look().unseen["app"] == "the host started 30 s ago"


def play_at_work(watched: Watched, **owner: str) -> None:
    given = {"who": "ann", "purpose": "deploy", "controller": "c", "process": "1:2", "host": "h", **owner}
    lock = {"owner": given, "since": int(watched.clock.utc().timestamp()), "made_directory": False}
    Path(watched.world.deploy_lock).write_text(json.dumps(lock))


def test_while_somebody_is_at_work_a_container_that_is_not_well_is_not_judged_for_a_while(watched: Watched) -> None:
    watched.look()
    watched.fake.runs(status="exited")
    play_at_work(watched)
    assert watched.look().unseen["app"] == "deploy of ann (process 1) is running"
    assert watched.look().unseen["request"] == "the application is not healthy"
    watched.clock.passed += 1800
    play_at_work(watched)
    assert "app-state" in [finding.id for finding in watched.look().findings]


def test_an_old_lock_of_a_play_counts_no_more(watched: Watched) -> None:
    play_at_work(watched)
    watched.clock.passed += 3600
    watched.fake.runs(status="exited")
    assert "app" not in watched.look().unseen


def test_it_is_restarted_at_the_second_failed_look_and_all_locks_are_given_back(watched: Watched) -> None:
    watched.fake.runs("unhealthy", 3)
    assert "failed check 1 of 2" in watched.heal(1).healed
    seen = watched.look(heal=True)
    assert seen.healed == "shop-app was restarted, since it is running (unhealthy) at 2 checks in a row."
    assert (seen.restarted, watched.fake.restarted) == (True, ["A1"])
    assert "heal-restart" in [finding.id for finding in seen.findings]
    assert not os.path.exists(watched.world.deploy_lock)
    with watched.releases.lock("a test", 0.0), watched.sets.lock("a test"):
        pass


def test_what_was_killed_is_started_and_what_was_stopped_is_not(watched: Watched) -> None:
    watched.fake.runs(status="exited")
    watched.fake.events = ["kill", "die", "stop"]
    assert watched.heal().healed == "shop-app is left alone: somebody stopped it."
    watched.before = Remembered()
    watched.fake.events = ["kill", "die"]
    assert watched.heal().restarted


def test_check_mode_restarts_nothing(watched: Watched) -> None:
    watched.fake.runs("unhealthy", 3)
    watched.heal(1)
    seen = watched.look(check_mode=True, heal=True)
    assert seen.healed == "shop-app would be restarted, since it is running (unhealthy) at 2 checks in a row."
    assert watched.fake.restarted == []


@pytest.mark.parametrize("which", ["plays", "releases", "backups"])
def test_nobody_restarts_it_while_somebody_has_a_lock(watched: Watched, which: str) -> None:
    watched.fake.runs("unhealthy", 3)
    if which == "plays":
        play_at_work(watched)
        assert "deploy of ann (process 1) is running" in watched.heal(9).healed
        watched.clock.passed += 1800
        play_at_work(watched)
    path = {"releases": watched.releases.directory, "backups": watched.sets.directory}.get(which)
    if path:
        with locked(os.path.join(path, ".lock"), "a backup of shop"):
            assert f"a backup of shop (process {os.getpid()}) is running" in watched.heal(9).healed
    assert watched.fake.restarted == []


def test_whoever_takes_a_lock_at_the_last_moment_is_left_alone(watched: Watched) -> None:
    """A holder that does not say so is seen by the lock itself."""
    watched.fake.runs("unhealthy", 3)
    watched.heal(1)
    path = Path(watched.releases.directory) / ".lock"
    with locked(str(path), "a release"):
        path.write_text("")
        seen = watched.look(heal=True)
    assert seen.healed.startswith("shop-app was not restarted: Cannot begin restarting what is not well:")
    assert not os.path.exists(watched.world.deploy_lock)
    assert watched.fake.restarted == []


def test_it_looks_again_when_it_has_the_locks(watched: Watched) -> None:
    watched.fake.runs("unhealthy", 3)
    watched.heal(1)
    states = [watched.fake.state, {**watched.fake.state, "Status": "paused"}]
    watched.fake.container = lambda name, ask=watched.fake.container: (  # type: ignore[method-assign, misc]
        {**ask(name), "State": states.pop(0) if len(states) > 1 else states[0]}
    )
    assert watched.look(heal=True).healed == "shop-app is left alone after all: it is paused."


def test_the_lock_of_a_watch_that_was_killed_is_taken_over(watched: Watched) -> None:
    play_at_work(watched, controller="the watch of this host", host="x", process="1")
    watched.fake.runs("unhealthy", 3)
    assert watched.heal().restarted


def test_a_disk_that_is_full_is_no_reason_to_restart(watched: Watched) -> None:
    watched.fake.disk = lambda path: (1, DiskFacts(path, 1000, 1, 10, 9))  # type: ignore[method-assign]
    watched.fake.runs("unhealthy", 3)
    assert "is full, which no restart fixes" in watched.heal().healed


def test_an_engine_that_refuses_to_restart(watched: Watched) -> None:
    def refuses(container: str) -> None:
        raise DockerVpsError("The Docker engine refused: port is already allocated.")

    watched.fake.restart = refuses  # type: ignore[method-assign]
    watched.fake.runs("unhealthy", 3)
    assert watched.heal().healed == "shop-app was not restarted: The Docker engine refused: port is already allocated."


def test_a_release_that_was_interrupted(watched: Watched) -> None:
    folder = Path(watched.releases.directory) / "20260201-020000"
    folder.mkdir()
    (folder / "journal.json").write_text("{}")
    assert watched.look().facts.unfinished == ("20260201-020000",)
    play_at_work(watched)
    assert watched.look().facts.unfinished == ()


def test_hosts_without_any_folder_yet(tmp_path: Path) -> None:
    host = Watched(tmp_path)
    os.rmdir(host.sets.directory)
    os.rmdir(host.releases.directory)
    host.fake.runs("unhealthy", 3)
    assert host.heal().restarted
    assert timedelta(seconds=host.clock.passed) > timedelta(0)
