# SPDX-License-Identifier: GPL-3.0-or-later
"""Look once at an application and its host, and restart the application when that is asked for and right.

Each look at something has a time of its own, none begins when the time of all is over, and none that fails keeps the
others. Volumes are not walked: their sizes are those of the disk, of single files, and of the manifests of sets.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Iterator, List, Mapping, Optional, Protocol, Sequence, Tuple, TypeVar, Union

from .._backup import job_history
from .._backup.ownership import app_of
from .._core import heal, public_check
from .._core.audit import CannotTell, Unseen
from .._core.clock import WallClock, instant
from .._core.errors import DockerVpsError
from .._core.heal import Case, Decision, HealRules
from .._core.health import snapshot
from .._core.maintenance import cache_record, cached_bytes
from .._core.public_check import Visit, port_of
from .._core.remedies import setting
from .._core.secrets import Mask, secrets_of
from .._core.text import short
from .._core.watch import (
    AppFacts,
    BackupFacts,
    CpuFacts,
    DatabaseFacts,
    DiskFacts,
    Facts,
    Finding,
    History,
    ImageFacts,
    MemoryFacts,
    RequestFacts,
    Thresholds,
    findings,
    remembered,
    unseen,
)
from .._store import deploy_lock
from .._store.lock import LOCK, holder
from .._store.releases import Releases
from .._store.sets import Sets
from .._store.watch_state import Remembered
from .alone import WATCH, alone
from .public_check import Params as CheckParams
from .public_check import Visitor
from .public_check import run as check

Json = Mapping[str, Any]
T = TypeVar("T")

LOG_LINES = 20
CACHE_WITHIN = 10.0
"""Seconds for the engine to tell of its build cache."""
_LONGEST_LINE = 300  # characters
_BUSY_LINES = 2000  # of a log, at most
_BUSY = (b"SQLITE_BUSY", b"database is locked")
_SETTLES = 120.0
"""Seconds after the start of a host in which everything starts."""
_PATIENCE = 1800.0
"""Seconds for which a container is not judged while another job is running on it."""
_NO_ENGINE = "the engine does not answer"


class WatchEngine(Protocol):
    """What is needed of an engine; each call ends by itself."""

    def info(self) -> Json:
        """Return the engine's facts."""
        raise NotImplementedError

    def container(self, name: str) -> Optional[Json]:
        """Return a container or None."""
        raise NotImplementedError

    def volume(self, name: str) -> Optional[Json]:
        """Return a volume or None."""
        raise NotImplementedError

    def logs(self, name: str, lines: int) -> Sequence[str]:
        """Return the last lines a container wrote."""
        raise NotImplementedError

    def log(self, name: str, tail: int, since: str = "", until: str = "") -> Iterator[bytes]:
        """Yield what a container wrote."""
        raise NotImplementedError

    def last_events(self, container: str) -> Sequence[str]:
        """Return what happened to a container since its last start."""
        raise NotImplementedError

    def all_containers(self) -> Sequence[Json]:
        """Return all containers in short."""
        raise NotImplementedError

    def unnamed_images(self) -> Sequence[int]:
        """Return the sizes of images without a name."""
        raise NotImplementedError

    def build_cache(self, within: float) -> Sequence[Json]:
        """Return the pieces of the build cache, as the engine tells of them within so many seconds."""
        raise NotImplementedError

    def restart(self, container: str) -> None:
        """Stop a container if it runs, and start it."""
        raise NotImplementedError


class Host(Protocol):
    """What is needed of the host itself; what cannot be inspected is an OSError or CannotTell."""

    def boot(self) -> str:
        """Return what distinguishes this run of the host."""
        raise NotImplementedError

    def uptime(self) -> float:
        """Return for how many seconds it runs."""
        raise NotImplementedError

    def disk(self, path: str) -> Tuple[int, DiskFacts]:
        """Return the device of a directory, and what is free there."""
        raise NotImplementedError

    def memory(self, pid: int) -> MemoryFacts:
        """Return the memory of the control group of a process."""
        raise NotImplementedError

    def cpu(self, pid: int) -> CpuFacts:
        """Return what the control group of a process uses of the CPUs."""
        raise NotImplementedError

    def connections(self, pid: int, port: int) -> int:
        """Return how many connections are open at a port in the network namespace of a process."""
        raise NotImplementedError

    def size(self, path: str) -> int:
        """Return the size of a file."""
        raise NotImplementedError

    def sizes(self, path: str) -> int:
        """Return the sizes of a file and of those whose names begin with its name."""
        raise NotImplementedError

    def clock_offset(self, server: str) -> float:
        """Return by how many seconds the clock is ahead of a time server."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """What to look at.

    Attributes:
        volumes: by the names of their archives.
        database: as archive/path; empty when there is none in a file.
        url: the public address; empty when there is none.
        text: what the page must contain.
        proxy_here: whether the proxy is on this host.
        time_server: by which the clock is measured; empty for none.
        heal: whether to restart the application.
        lock_max_age: seconds from which on the lock of a play that is gone counts no more.
        within: seconds after which no further look is begun.
        patient: whether an application is left unjudged that is not well for a reason that may pass by itself.
        asks: whether the address is asked for.
    """

    app: str
    container: str
    volumes: Mapping[str, str] = field(default_factory=dict)
    database: str = ""
    url: str = ""
    text: str = ""
    proxy_here: bool = True
    time_server: str = ""
    thresholds: Thresholds = field(default_factory=Thresholds)
    heal: bool = False
    heal_rules: HealRules = field(default_factory=HealRules)
    lock_max_age: float = 3600.0
    within: float = 60.0
    patient: bool = True
    asks: bool = True


@dataclass(frozen=True)
class WatchWorld:
    """Where a watch takes place."""

    connect: Callable[[], WatchEngine]
    host: Host
    clock: WallClock
    visit: Visitor
    sets: Sets
    releases: Releases

    @property
    def deploy_lock(self) -> str:
        """The path of the lock of plays."""
        return os.path.join(self.releases.home, "deploy.lock")


@dataclass(frozen=True)
class Seen:
    """What came of a look.

    Attributes:
        healed: what was done about the application or why nothing; empty when there was no cause.
        restarted: whether it was restarted, or would be.
    """

    facts: Facts
    findings: Sequence[Finding]
    unseen: Mapping[str, str]
    remembered: Remembered
    healed: str = ""
    restarted: bool = False


def facts_of(params: Params, world: WatchWorld, history: History) -> Facts:
    """Look once, and return what was seen."""
    return _Gathering(params, world, history).facts()


def look(params: Params, world: WatchWorld, before: Remembered, passed: float, check_mode: bool) -> Seen:
    """Look once, and restart the application if that is asked for.

    Args:
        before: what is remembered; what is to be remembered next is in the result, without its alerts.
        passed: the time as State.passed has it.
        check_mode: restart nothing.
    """
    gathering = _Gathering(params, world, before.history)
    facts = gathering.facts()
    found = findings(facts, before.history, params.thresholds)
    healing = heal.looked(before.heal, facts.app, passed)
    decision, summary, done = None, "", False
    if params.heal:
        case = _case(gathering, facts, found, passed)
        decision = heal.decide(case, healing, params.heal_rules)
        summary = f"{params.container} is left alone: {decision.why}."
        if decision.restart:
            summary, done = _restart(gathering, case, decision, check_mode)
            healing = heal.restarted(healing, passed) if done and not check_mode else healing
        elif isinstance(facts.app, AppFacts) and heal.well(facts.app):
            summary = ""
    found = [*found, *heal.findings_of(healing, decision)]
    state = replace(before, history=remembered(facts, before.history), heal=healing)
    return Seen(facts, found, unseen(facts), state, summary, done)


def _case(gathering: _Gathering, facts: Facts, found: Sequence[Finding], passed: float) -> Case:
    broken = [finding for finding in found if finding.id.startswith("disk-full")]
    return Case(
        facts.app,
        app_of((gathering.inspected.get("Config") or {}).get("Labels")) == gathering.params.app,
        gathering.history.healthy,
        gathering.at_work(),
        f"{broken[0].looked_at} is full, which no restart fixes" if broken else "",
        passed,
    )


def _restart(gathering: _Gathering, case: Case, decision: Decision, check_mode: bool) -> tuple[str, bool]:
    """Restart the application unless another job is running or it is well meanwhile; return a sentence, and whether."""
    container, world = gathering.params.container, gathering.world
    if check_mode:
        return f"{container} would be restarted, since {decision.why}.", True
    try:
        with alone(WATCH, "heal", "restarting what is not well", gathering.params.lock_max_age, world):
            again = replace(case, app=gathering.app_again(), at_work="")
            verdict = heal.decide(again, heal.HealState(gathering.params.heal_rules.looks), gathering.params.heal_rules)
            if not verdict.restart:
                return f"{container} is left alone after all: {verdict.why}.", False
            gathering.engine.restart(gathering.inspected["Id"])
    except DockerVpsError as error:
        return f"{container} was not restarted: {error.message}", False
    return f"{container} was restarted, since {decision.why}.", True


class _Gathering:
    """The facts of one look."""

    def __init__(self, params: Params, world: WatchWorld, history: History) -> None:
        self.params, self.world, self.history = params, world, history
        self.engine: Any = None
        self.inspected: Json = {}
        self.uptime = 0.0
        self.until = 0.0

    def facts(self) -> Facts:
        """Gather them."""
        world = self.world
        self.until = world.clock.now() + self.params.within
        self.uptime = world.host.uptime()
        engine = self._fact(self._connected)
        app = self._judged(self._of_engine(self._app))
        return Facts(
            at=world.clock.utc().timestamp(),
            boot=world.host.boot(),
            uptime=self.uptime,
            engine=engine,
            app=app,
            request=self._fact(lambda: self._request(app)),
            memory=self._fact(self._memory),
            cpu=self._fact(self._cpu),
            disks=self._fact(self._disks),
            database=self._of_engine(self._database),
            backups=self._fact(self._backups),
            images=self._of_engine(self._images),
            clock=self._fact(self._clock),
            busy=self._of_engine(self._busy),
            connections=self._of_engine(self._connections),
            unfinished=self._fact(self._unfinished),
        )

    def _fact(self, ask: Callable[[], T]) -> Union[T, Unseen]:
        if self.world.clock.now() > self.until:
            return Unseen(f"the {self.params.within:g} s of the look were over")
        try:
            return ask()
        except DockerVpsError as error:
            return Unseen(error.message.split("\n")[0].rstrip("."))
        except CannotTell as error:
            return Unseen(str(error))
        except OSError as error:
            return Unseen(f"{error.filename or 'it'}: {error.strerror or error}")
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            return Unseen(f"what was read is not as expected: {type(error).__name__} {error}")

    def _of_engine(self, ask: Callable[[], T]) -> Union[T, Unseen]:
        return self._fact(ask) if self.engine is not None else Unseen(_NO_ENGINE)

    def _connected(self) -> str:
        engine = self.world.connect()
        version = str(engine.info()["ServerVersion"])
        self.engine = engine
        return version

    def app_again(self) -> Union[AppFacts, Unseen]:
        """Look at the application once more."""
        return self._of_engine(self._app)

    def _app(self) -> AppFacts:
        inspected = self.engine.container(self.params.container)
        self.inspected = inspected or {}
        seen = snapshot(self.params.container, inspected)
        if inspected is None:
            return AppFacts(seen)
        well = heal.well(AppFacts(seen))
        state, ended = inspected["State"], ""
        stopped: Optional[bool] = False
        if seen.state == "exited":
            ended = f"{seen.id} {state.get('FinishedAt', '')}"
            stopped = self._stopped(seen.id, ended)
        started = instant(str(state.get("StartedAt") or inspected.get("Created")))
        age = (self.world.clock.utc() - started).total_seconds()
        return AppFacts(seen, () if well else self._log(), stopped, ended, max(age, 0.0), self._log_bytes())

    def _stopped(self, container: str, ended: str) -> Optional[bool]:
        if ended in (self.history.stopped, self.history.died):
            return ended == self.history.stopped
        events = self.engine.last_events(container)
        return True if "stop" in events else False if "die" in events else None

    def _log(self) -> Tuple[str, ...]:
        environment = dict(pair.partition("=")[::2] for pair in self.inspected["Config"].get("Env") or ())
        mask = Mask(secrets_of(environment))
        return tuple(short(mask(line), _LONGEST_LINE) for line in self.engine.logs(self.params.container, LOG_LINES))

    def _log_bytes(self) -> Optional[int]:
        try:
            return self.world.host.sizes(self.inspected["LogPath"]) if self.inspected.get("LogPath") else None
        except OSError:
            return None

    def _judged(self, app: Union[AppFacts, Unseen]) -> Union[AppFacts, Unseen]:
        """Return the application unless it is not well for a reason that passes by itself."""
        if isinstance(app, Unseen) or not self.params.patient or _may_be_well(app):
            return app
        if self.uptime < _SETTLES:
            return Unseen(f"the host started {self.uptime:.0f} s ago")
        busy = self.at_work()
        since = self._well_for()
        return Unseen(busy) if busy and since < _PATIENCE else app

    def _well_for(self) -> float:
        """Return since when the container was not seen well, in seconds; of a restart of the host nothing is known."""
        known = [seen.at for seen in self.history.looks if seen.container]
        return self.world.clock.utc().timestamp() - known[-1] if known else 0.0

    def at_work(self) -> str:
        """Return who deploys, releases, backs up or restores just now; empty for nobody."""
        world = self.world
        lock, now = deploy_lock.look(world.deploy_lock), world.clock.utc().timestamp()
        if lock and lock.owner.controller != WATCH and lock.age(now) <= self.params.lock_max_age:
            return f"{lock.play} is running"
        paths = (os.path.join(world.releases.directory, LOCK), os.path.join(world.sets.directory, LOCK))
        names = [name for name in map(holder, paths) if name]
        return f"{names[0]} is running" if names else ""

    def _request(self, app: Union[AppFacts, Unseen]) -> RequestFacts:
        params = self.params
        if not params.url:
            raise CannotTell(f"{setting('server_url')} names no address")
        if isinstance(app, Unseen) or not heal.well(app):
            raise CannotTell("the application is not healthy")
        if not params.asks:
            raise CannotTell("it was not asked for")
        visits: List[Visit] = []

        def visit(url: str, text: str, address: str) -> Visit:
            visits.append(self.world.visit(url, text, address))
            return visits[-1]

        result = check(
            CheckParams(params.url, public_check.WARN, params.text, params.container, params.proxy_here), visit
        )
        problem = "" if result["served"] else str(result["summary"])
        shown = next((seen for seen in visits if seen.days_left is not None), visits[0])
        return RequestFacts(problem, shown.days_left, shown.lifetime)

    def _pid(self) -> int:
        pid = int((self.inspected.get("State") or {}).get("Pid") or 0)
        if not pid:
            raise CannotTell("the container does not run")
        return pid

    def _memory(self) -> MemoryFacts:
        return self.world.host.memory(self._pid())

    def _cpu(self) -> CpuFacts:
        return self.world.host.cpu(self._pid())

    def _disks(self) -> Tuple[DiskFacts, ...]:
        root = [str(self.engine.info()["DockerRootDir"])] if self.engine is not None else []
        places = [*root, self.world.releases.home, self.world.sets.directory]
        found = dict(reversed([self.world.host.disk(place) for place in places if os.path.isdir(place)]))
        return tuple(reversed(list(found.values())))

    def _database(self) -> DatabaseFacts:
        archive, _slash, path = self.params.database.partition("/")
        if not path:
            raise CannotTell("the database is no file in a volume")
        volume = self.engine.volume(self.params.volumes[archive])
        if volume is None:
            raise CannotTell(f"there is no volume {self.params.volumes[archive]}")
        file = os.path.join(volume["Mountpoint"], path)
        try:
            wal = self.world.host.size(file + "-wal")
        except FileNotFoundError:
            wal = 0
        return DatabaseFacts(file, self.world.host.size(file), wal)

    def _backups(self) -> BackupFacts:
        now = self.world.clock.utc()
        manifests = [kept for kept in self.world.sets.listing().sets if kept.time <= now and not kept.imported]
        drills = [instant(drill.at).timestamp() for kept in manifests for drill in kept.manifest.drills if drill.passed]
        run = job_history.read(self.world.sets.directory).get("drill")
        drills += [instant(run.at).timestamp()] if run and run.success else []
        last = manifests[0] if manifests else None
        own = self.params.database.partition("/")[0]
        media = sum(each.plain_bytes for each in last.manifest.archives if each.name != own) if last else 0
        return BackupFacts(last.time.timestamp() if last else None, max(drills, default=None), media)

    def _images(self) -> ImageFacts:
        sizes = self.engine.unnamed_images()
        cache = cached_bytes([cache_record(row) for row in self.engine.build_cache(CACHE_WITHIN)])
        return ImageFacts(len(sizes), sum(sizes), cache)

    def _clock(self) -> float:
        if not self.params.time_server:
            raise CannotTell(f"{setting('watch_time_server')} names no server")
        return self.world.host.clock_offset(self.params.time_server)

    def _busy(self) -> int:
        if not self.inspected or not self.history.looks:
            raise CannotTell("there is no container, or no look before")
        return busy_entries(self.engine, self.params.container, self.history.looks[-1].at)

    def _connections(self) -> int:
        """Return how many connections are open where visitors come in, be that a container or a process of the host."""
        params = self.params
        if not params.url or not params.proxy_here:
            raise CannotTell(
                f"{setting('server_url')} names no address" if not params.url else "the proxy is elsewhere"
            )
        port = port_of(params.url)
        for each in self.engine.all_containers():
            rows = [(row.get("PublicPort"), row.get("Type"), row["PrivatePort"]) for row in each.get("Ports") or ()]
            inner = [private for public, kind, private in rows if (public, kind) == (port, "tcp")]
            if inner:
                pid = int(self.engine.container(each["Id"])["State"]["Pid"])
                return self.world.host.connections(pid, inner[0])
        return self.world.host.connections(os.getpid(), port)

    def _unfinished(self) -> Tuple[str, ...]:
        return () if self.at_work() else tuple(self.world.releases.unfinished())


def busy_entries(engine: WatchEngine, container: str, since: float) -> int:
    """Return how many lines of a log tell that SQLite was busy, since a time in seconds since 1970."""
    lines = b"".join(engine.log(container, _BUSY_LINES, str(int(since)))).splitlines()
    return sum(any(words in line for words in _BUSY) for line in lines)


def _may_be_well(app: AppFacts) -> bool:
    return app.seen.state == "running" and app.seen.health in ("healthy", "starting", None)
