# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out what is wrong with an application on a host now. Nothing is changed.

Checks run side by side, each in a thread of its own, and the look ends in time whatever becomes of them: what has not
ended by then says so, and ends with the process.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Callable, Dict, Generic, List, Mapping, Optional, Protocol, Sequence, Tuple, TypeVar
from urllib.parse import urlsplit

from .._backup import job_history
from .._core import data_loss, doctor, watch
from .._core.audit import CannotTell, Unseen
from .._core.clock import WallClock
from .._core.data_loss import COUNTS_FROM, LossLimits
from .._core.databases import DAMAGED, MAGIC, NOT_CHECKED, SIDECARS, is_finding
from .._core.doctor_rules import (
    RULES,
    BuildSeen,
    DatabaseSeen,
    FileSeen,
    LockSeen,
    NamesSeen,
    ProxySeen,
    Wanted,
    WriterSeen,
)
from .._core.errors import DockerVpsError
from .._core.health import ALIVE
from .._core.images import identity_of
from .._core.manifest import Archive, Manifest
from .._core.public_check import THIS_HOST, Visit, port_of, unserved
from .._core.releases import Release, made_of, schema_of
from .._core.remedies import setting
from .._core.reverse_proxy import MOUNTED
from .._core.text import counted
from .._core.watch import AppFacts, Look, RequestFacts, Thresholds
from .._store import deploy_lock, sqlite, watch_state
from .._store.database_checker import CheckLimits, DatabaseChecker
from .._store.lock import LOCK, holder
from .._store.releases import Releases
from .._store.sets import Sets
from . import watch as watching
from .app_status import mask_of
from .public_check import Visitor
from .watch import WatchEngine, WatchWorld

Json = Mapping[str, Any]
Check = Tuple[str, Callable[[], Any]]
T = TypeVar("T")

BUILD_FAILURE = "build-failure.json"
_EXAMINED = CheckLimits(4.0, 512 << 20)
_SAMPLED = 1.5  # seconds in which a lock is held all the time by somebody who does not let go
_HOUR = 3600
_CONFIGS = {"/etc/nginx": True, "/etc/caddy": False, MOUNTED: False}
"""Where the configuration of a proxy may be in its container, and whether only Nginx has it there."""
_MOST = 50  # containers that are checked closely


class DoctorEngine(WatchEngine, Protocol):
    """What is needed of an engine; each call ends by itself."""

    def image(self, name: str) -> Optional[Json]:
        """Return an image, by its name or its id, or None."""
        raise NotImplementedError

    def network(self, name: str) -> Optional[Json]:
        """Return a network or None."""
        raise NotImplementedError

    def all_containers(self) -> Sequence[Json]:
        """Return all containers in short."""
        raise NotImplementedError

    def texts(self, container: str, path: str) -> str:
        """Return the text of all small files below a directory of a container."""
        raise NotImplementedError

    def answer_of(self, name: str) -> str:
        """Return what an application says to its health check."""
        raise NotImplementedError


class Host(watching.Host, Protocol):
    """What is needed of the host itself; what cannot be inspected is an OSError or CannotTell."""

    def file(self, path: str) -> Optional[FileSeen]:
        """Return owner and mode of what is at a path."""
        raise NotImplementedError

    def readonly(self, path: str) -> bool:
        """Return whether a file system is mounted read-only."""
        raise NotImplementedError

    def writer(self, path: str, seconds: float) -> Optional[WriterSeen]:
        """Return who keeps a database locked all the time."""
        raise NotImplementedError

    def names(self, host: str) -> NamesSeen:
        """Return whether this host finds a name, and which name servers answer."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """What to look at.

    Attributes:
        wanted: what the inventory says.
        volumes: by the names of their archives.
        text: what the public page must contain.
        hide: names of hosts that the report for strangers does not have.
        fail_at: the severity from which on a finding is a failure; any other word for none.
        within: seconds for all checks.
    """

    wanted: Wanted
    volumes: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    time_server: str = ""
    thresholds: Thresholds = field(default_factory=Thresholds)
    hide: Tuple[str, ...] = ()
    fail_at: str = ""
    within: float = 7.0


@dataclass(frozen=True)
class DoctorWorld:
    """Where a doctor looks; ``compose`` returns the version of Compose."""

    connect: Callable[[], DoctorEngine]
    host: Host
    clock: WallClock
    visit: Visitor
    compose: Callable[[], str]
    sets: Sets
    releases: Releases


def run(params: Params, world: DoctorWorld) -> Dict[str, Any]:
    """Look at everything and return what was found.

    Raises:
        DockerVpsError: a finding is as severe as params.fail_at; it carries the result.
    """
    facts = _Looking(params, world).facts()
    found, unseen = doctor.judged(RULES, facts)
    areas, seen = {rule.id for rule in RULES}, facts["watch"]
    if isinstance(seen, Unseen):
        unseen["watch"] = seen.reason
    else:
        runs = isinstance(seen.app, AppFacts) and seen.app.seen.state == "running"
        found += doctor.of_watch(watch.findings(seen, facts["history"], params.thresholds), runs)
        unseen.update(watch.unseen(seen))
        areas |= set(watch.areas(seen))
    looked_at = sorted(areas - set(unseen))
    rows = doctor.ranked(found)
    rows_of = {
        "findings": [{**asdict(row), "log": list(row.log)} for row in rows],
        "not_looked_at": unseen,
        "looked_at": looked_at,
        "summary": doctor.summary(rows, unseen, len(looked_at)),
    }
    result = _masked(rows_of, mask_of(world.releases))
    hide = (urlsplit(params.wanted.url).hostname or "", *params.hide)
    report = _masked({**result, "app": params.wanted.app}, lambda text: doctor.anonymous(text, hide))
    result = {"changed": False, **result, "report": report}
    if doctor.as_severe(rows, params.fail_at):
        raise DockerVpsError(_refusal(params.wanted.app, result["findings"]), **result)
    return result


def _refusal(app: str, found: Sequence[Json]) -> str:
    return (
        f"{app} has {counted(len(found), 'finding')}, the first of which is {found[0]['id']}: "
        f"{found[0]['found'].rstrip('.')}. {found[0]['remedy']}"
    )


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {name: _masked(each, mask) for name, each in value.items()}
    return [_masked(each, mask) for each in value] if isinstance(value, list) else value


class _Once(Generic[T]):
    """A question that the checks of a thread share: it is asked once, and its answer or failure is kept."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._answers: List[T] = []
        self._failure: Optional[DockerVpsError] = None

    def __call__(self) -> T:
        if self._failure:
            raise self._failure
        if not self._answers:
            try:
                self._answers.append(self._ask())
            except DockerVpsError as error:
                self._failure = error
                raise
        return self._answers[0]


class _Looking:
    """The facts of one look."""

    def __init__(self, params: Params, world: DoctorWorld) -> None:
        self.params, self.world = params, world
        self.wanted = params.wanted

    def facts(self) -> Dict[str, Any]:
        """Gather them side by side, and put together what depends on several."""
        now = self.world.clock.utc().timestamp()
        home = self.world.releases.home
        before, _problem = watch_state.read(os.path.join(home, watch_state.STATE), now)
        facts = self._side_by_side(self._groups(before.history, now))
        facts.update(wanted=self.wanted, now=now, history=before.history)
        facts.update(self._joined(facts))
        facts["watch"], facts["history"] = self._watched(facts)
        return facts

    def _groups(self, history: watch.History, now: float) -> List[List[Check]]:
        """Return the checks by threads; those of one run one after the other."""
        world = self.world
        of_engine, of_data, asked = (_Once(world.connect) for _thread in range(3))
        container = _Once(lambda: of_engine().container(self.wanted.container))
        beside = _Once(lambda: self._beside(of_engine()))
        return [
            [
                ("engine", lambda: of_engine().info()),
                ("container", container),
                ("network", lambda: of_engine().network(self.wanted.network)),
                ("volumes", lambda: {name: of_engine().volume(name) for name in self.wanted.mounts.values()}),
                ("image", lambda: self._image(of_engine(), container())),
                ("others", lambda: self._others(of_engine(), beside())),
                ("proxy", lambda: self._proxy(of_engine(), beside)),
            ],
            [
                ("database", lambda: self._database(of_data())),
                ("media", lambda: self._media(of_data())),
                ("roots", lambda: self._roots(of_data())),
            ],
            [("watch", lambda: watching.facts_of(self._watch_params(), self._watch_world(), history))],
            [
                ("live", self._live),
                ("releases", world.releases.listing),
                ("changed", world.releases.unreleased),
                ("build", self._build),
                ("env_files", self._env_files),
                ("shown", lambda: bool(self.wanted.flag) and os.path.exists(self.wanted.flag)),
            ],
            [
                ("lock", lambda: self._lock(now)),
                ("runs", lambda: job_history.read(world.sets.directory)),
                ("manifests", lambda: world.sets.listing().earlier(world.clock.utc())),
            ],
            [("public", lambda: self._visit(""))],
            [("here", lambda: self._visit(THIS_HOST))],
            [("answer", lambda: asked().answer_of(self.wanted.container)), ("busy", lambda: self._busy(asked(), now))],
            [("names", self._names)],
            [("skew", self._skew)],
            [("compose", world.compose)],
        ]

    def _side_by_side(self, groups: Sequence[Sequence[Check]]) -> Dict[str, Any]:
        found: Dict[str, Any] = {}

        def look(checks: Sequence[Check]) -> None:
            for name, check in checks:
                found[name] = _fact(check)

        threads = [threading.Thread(target=look, args=(checks,), daemon=True) for checks in groups]
        until = self.world.clock.now() + self.params.within
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(until - self.world.clock.now(), 0.0))
        late = Unseen(f"it did not end within {self.params.within:g} s")
        return {name: found.get(name, late) for checks in groups for name, _check in checks}

    def _joined(self, facts: Json) -> Dict[str, Any]:
        """Return the facts that are made of those of several checks."""
        seen, sets = facts["watch"], facts["manifests"]
        app = seen.app if isinstance(seen, watch.Facts) else seen
        container, image, live = facts["container"], facts["image"], facts["live"]
        database, media = facts["database"], facts["media"]

        def made() -> bool:
            if live is None or container is None:
                raise CannotTell("no release is live" if live is None else "there is no container")
            return made_of(live, container, image)

        return {
            "stopped": app.stopped if isinstance(app, AppFacts) else app,
            "image_id": _of((container, image), lambda: identity_of(container, image) if container else ""),
            "made": _of((container, image, live), made),
            "sets": _of((sets,), lambda: [manifest.id for manifest in sets]),
            "schema": _of((database,), lambda: schema_of({_below(self._path()): database.schema})),
            "lost": _of((database, media, sets), lambda: _lost(self._path(), database, media, sets)),
        }

    def _watched(self, facts: Json) -> Tuple[Any, watch.History]:
        """Return the facts of the watch with the request and the clock, which were checked beside it."""
        seen, history = facts["watch"], facts["history"]
        if isinstance(seen, Unseen):
            return seen, history
        skew = facts["skew"]
        if not isinstance(skew, Unseen):
            before = Look(seen.at, seen.boot, seen.uptime, skew=skew[0])
            history = replace(history, looks=(*history.looks, before))
            skew = skew[1]
        return replace(seen, clock=skew, request=self._request(facts)), history

    def _request(self, facts: Json) -> Any:
        public, here = facts["public"], facts["here"]
        if isinstance(public, Unseen):
            return public
        well = public.broken is None or (not isinstance(here, Unseen) and here.broken is None)
        shown = public if public.days_left is not None or isinstance(here, Unseen) else here
        by_address = None if isinstance(here, Unseen) else here
        problem = "" if well else unserved(self.wanted.url, public, by_address, self.wanted.container).rstrip(".")
        return RequestFacts(problem, shown.days_left, shown.lifetime)

    def _watch_params(self) -> watching.Params:
        wanted, within = self.wanted, self.params.within
        return watching.Params(
            wanted.app,
            wanted.container,
            self.params.volumes,
            wanted.database,
            wanted.url,
            thresholds=self.params.thresholds,
            lock_max_age=wanted.lock_max_age,
            within=within,
            patient=False,
            asks=False,
        )

    def _watch_world(self) -> WatchWorld:
        world = self.world
        return WatchWorld(world.connect, world.host, world.clock, world.visit, world.sets, world.releases)

    def _path(self) -> str:
        return self.wanted.database

    # The checks

    def _live(self) -> Optional[Release]:
        current = self.world.releases.current()
        return self.world.releases.read(current) if current else None

    def _image(self, engine: DoctorEngine, container: Optional[Json]) -> Optional[Json]:
        live = self._live()
        name = container["Image"] if container else live.image if live else ""
        return engine.image(name) if name else None

    def _others(self, engine: DoctorEngine, beside: Sequence[Json]) -> List[Json]:
        """Return the containers that run on the network besides the application."""
        on_network = [
            each
            for each in beside
            if each["State"] in ALIVE
            and self.wanted.network in ((each.get("NetworkSettings") or {}).get("Networks") or {})
        ]
        return _inspected(engine, on_network, f"that run on {self.wanted.network}")

    def _beside(self, engine: DoctorEngine) -> List[Json]:
        """Return in short the containers besides the application."""
        name = f"/{self.wanted.container}"
        return [each for each in engine.all_containers() if name not in each["Names"]]

    def _proxy(self, engine: DoctorEngine, beside: Callable[[], Sequence[Json]]) -> Optional[ProxySeen]:
        name = self.wanted.proxy or self._publisher(engine, beside())
        if not name:
            return None
        inspected = engine.container(name)
        if inspected is None or not inspected["State"]["Running"]:
            return ProxySeen(name, inspected)
        texts = {place: engine.texts(name, place) for place in _CONFIGS}
        nginx = any(only and texts[place] for place, only in _CONFIGS.items())
        return ProxySeen(name, inspected, "\n".join(texts.values()).strip(), nginx)

    def _publisher(self, engine: DoctorEngine, beside: Sequence[Json]) -> str:
        """Return the container that publishes the port of visitors.

        The list has no port of one that does not run, or is on no network.
        """
        port, silent = port_of(self.wanted.url) if self.wanted.url else 443, []
        for each in beside:
            published = [row["PublicPort"] for row in each.get("Ports") or () if row.get("PublicPort")]
            if port in published:
                return str(each["Names"][0]).lstrip("/")
            silent += [] if published else [each]
        for each in _inspected(engine, silent, "of which no port is published now"):
            bindings = (each.get("HostConfig") or {}).get("PortBindings") or {}
            if str(port) in [binding.get("HostPort") for several in bindings.values() for binding in several or ()]:
                return str(each["Name"]).lstrip("/")
        return ""

    def _root(self, engine: DoctorEngine, archive: str) -> str:
        name = self.params.volumes.get(archive, "")
        volume = engine.volume(name) if name else None
        if volume is None:
            raise CannotTell(f"there is no volume {name}")
        return str(volume["Mountpoint"])

    def _database(self, engine: DoctorEngine) -> DatabaseSeen:
        archive, _slash, path = self.wanted.database.partition("/")
        if not path:
            raise CannotTell("the database is no file in a volume")
        file, host = os.path.join(self._root(engine, archive), path), self.world.host
        beside = [file, *(file + suffix for suffix in SIDECARS), os.path.dirname(file)]
        seen = tuple(each for each in map(host.file, beside) if each)
        found = DatabaseSeen(file, any(each.path == file for each in seen), seen)
        if not found.exists:
            return found
        return replace(_examined(found), readonly=host.readonly(file), writer=host.writer(file, _SAMPLED))

    def _media(self, engine: DoctorEngine) -> Mapping[str, bool]:
        """Return by the names of archives whether their volumes have anything at all."""
        return {name: any(True for _each in os.scandir(self._root(engine, name))) for name in self.params.volumes}

    def _roots(self, engine: DoctorEngine) -> List[FileSeen]:
        """Return the directories of all volumes but that of the database, which is checked with its files."""
        others = (name for name in self.params.volumes if name != self._path().partition("/")[0])
        return [each for each in map(self.world.host.file, [self._root(engine, name) for name in others]) if each]

    def _build(self) -> Optional[BuildSeen]:
        """Return the last build when it failed, by what the role image has written then."""
        try:
            with open(os.path.join(self.world.releases.home, BUILD_FAILURE), encoding="utf-8") as file:
                kept, at = json.load(file), os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None
        return BuildSeen(at, kept["why"], tuple(kept["lines"]), kept["log"])

    def _env_files(self) -> List[FileSeen]:
        seen = self.world.host.file(self.wanted.env_file)
        return [seen] if seen else []

    def _lock(self, now: float) -> LockSeen:
        world = self.world
        play = deploy_lock.look(os.path.join(world.releases.home, "deploy.lock"))
        seen = LockSeen(play, float(play.age(now)) if play else 0.0)
        for directory in (world.releases.directory, world.sets.directory):
            held = holder(os.path.join(directory, LOCK))
            if held:
                return replace(seen, holder=str(held), pid=held.pid, held=max(now - held.since, 0.0))
        return seen

    def _visit(self, address: str) -> Visit:
        if not self.wanted.url:
            raise CannotTell(f"{setting('server_url')} names no address")
        return self.world.visit(self.wanted.url, self.params.text, address)

    def _busy(self, engine: DoctorEngine, now: float) -> int:
        return watching.busy_entries(engine, self.wanted.container, now - _HOUR)

    def _names(self) -> NamesSeen:
        host = urlsplit(self.wanted.url).hostname or ""
        if not host:
            raise CannotTell(f"{setting('server_url')} names no address")
        return self.world.host.names(host)

    def _skew(self) -> Tuple[float, float]:
        server = self.params.time_server
        if not server:
            raise CannotTell(f"{setting('watch_time_server')} names no server")
        return self.world.host.clock_offset(server), self.world.host.clock_offset(server)


def _inspected(engine: DoctorEngine, short: Sequence[Json], which: str) -> List[Json]:
    """Return what the engine knows about containers of its list, as far as they are still there."""
    if len(short) > _MOST:
        raise CannotTell(f"there are {len(short)} containers {which}, and {_MOST} are checked")
    return [each for each in (engine.container(each["Id"]) for each in short) if each]


def _fact(ask: Callable[[], Any]) -> Any:
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


def _of(given: Sequence[Any], ask: Callable[[], Any]) -> Any:
    """Return what is made of facts, or why one of them could not be had."""
    return next((fact for fact in given if isinstance(fact, Unseen)), None) or _fact(ask)


def _below(database: str) -> str:
    return database.partition("/")[2]


def _examined(seen: DatabaseSeen) -> DatabaseSeen:
    start = sqlite.beginning(seen.path, len(MAGIC))
    if start != MAGIC:
        why = "it is empty" if not start else "it does not begin as an SQLite 3 database does"
        return replace(seen, check=DAMAGED if start else NOT_CHECKED, why=why)
    try:
        with DatabaseChecker() as examiner:
            facts = examiner.facts(seen.path, live=True, wait=1.0, limits=_EXAMINED)
    except DockerVpsError as error:
        return replace(seen, check=DAMAGED if is_finding(error.message) else NOT_CHECKED, why=error.message)
    return replace(
        seen,
        check=facts.check,
        why=facts.why,
        journal_mode=facts.journal_mode,
        warning=facts.warning,
        schema=facts.schema,
        tables=facts.tables,
    )


def _lost(path: str, seen: DatabaseSeen, filled: Mapping[str, bool], sets: Sequence[Manifest]) -> Sequence[str]:
    """Return what the last set has and the volumes have not, as sentences; see data_loss.lost."""
    if not sets or not seen.exists or not seen.schema:
        raise CannotTell("there is no backup, or the database was not read")
    now = [_now(archive, path, seen, filled) for archive in sets[0].archives]
    return list(data_loss.lost(now, sets, LossLimits()).values())


def _now(before: Archive, path: str, seen: DatabaseSeen, filled: Mapping[str, bool]) -> Archive:
    databases = tuple(
        replace(each, tables=seen.tables, schema=seen.schema, uncounted=())
        if f"{before.name}/{each.path}" == path
        else each
        for each in before.databases
    )
    empty = not filled.get(before.name, True) and before.files >= COUNTS_FROM
    return replace(before, databases=databases, files=0 if empty else before.files)
