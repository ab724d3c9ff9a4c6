# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look at an application and its host means: facts, looks before and thresholds become findings.

What could not be checked is never taken for well. Times are seconds since 1970, sizes are bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import median
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union

from .audit import Unseen
from .health import ContainerSnapshot, HealthRules, Reason, WantedHealth, explain, judge, succeeded_at
from .remedies import play, setting
from .text import counted, size

INFO, WARNING, CRITICAL = "info", "warning", "critical"
SEVERITIES = (INFO, WARNING, CRITICAL)
HOUR, DAY = 3600.0, 86400.0
RECENT = 13
"""Looks that are remembered one by one: an hour of them."""
SERIES = 14 * 24
"""Samples that are remembered, one an hour."""
_SPAN = 2 * DAY  # a trend takes at least so long, or a nightly job would be one
_ENOUGH = 24  # samples of a trend
_MOST = 96  # samples that a trend is made of; it takes all pairs of them
_BUSY_WINDOW = "an hour"
_CROWDED = 3  # looks

T = TypeVar("T")


@dataclass(frozen=True)
class AppFacts:
    """The container of the application.

    Attributes:
        log: what it wrote last, when it is not well.
        stopped: whether somebody stopped it; None when that is not known.
        ended: what distinguishes its last end from others.
        age: seconds since it was started.
        log_bytes: of its log files on the disk; None when they are not files here.
    """

    seen: ContainerSnapshot
    log: Tuple[str, ...] = ()
    stopped: Optional[bool] = False
    ended: str = ""
    age: float = 0.0
    log_bytes: Optional[int] = None


@dataclass(frozen=True)
class MemoryFacts:
    """What a container uses without caches, what it may use (0 for all), and how often the kernel killed in it."""

    used: int
    limit: int
    kills: int


@dataclass(frozen=True)
class CpuFacts:
    """Seconds of all CPUs that a container has used since it was started, and how many CPUs it may use (0 for all)."""

    seconds: float
    cpus: float


@dataclass(frozen=True)
class DiskFacts:
    """A file system, by the directory that made us look at it."""

    place: str
    total: int
    free: int
    inodes: int
    inodes_free: int

    @property
    def free_percent(self) -> float:
        """What is free, of all."""
        return 100.0 * self.free / self.total if self.total else 100.0


@dataclass(frozen=True)
class DatabaseFacts:
    """The files of the database: it, and the log that SQLite keeps beside it."""

    path: str
    bytes: int
    wal: int


@dataclass(frozen=True)
class RequestFacts:
    """A request on the way that visitors take.

    Attributes:
        problem: why it was not answered, empty when it was.
        days_left: of the certificate that was shown.
        lifetime: of that certificate, from its first to its last day, in days.
    """

    problem: str
    days_left: Optional[float] = None
    lifetime: Optional[float] = None


@dataclass(frozen=True)
class BackupFacts:
    """When the last set was made, and when one was last proven by a restore; None for never."""

    last: Optional[float]
    proven: Optional[float]
    media: int = 0


@dataclass(frozen=True)
class ImageFacts:
    """Images that nothing names and no container uses, and the bytes of build cache that no image shares."""

    dangling: int
    bytes: int
    cache: int = 0


@dataclass(frozen=True)
class Facts:
    """All that was checked, at a time.

    Attributes:
        boot: what distinguishes this run of the host from others.
        uptime: of the host, in seconds; it never jumps.
        clock: how far the host's clock is ahead, measured, in seconds.
        busy: how often the database was busy since the look before, by the application's log.
        connections: how many connections visitors have open at the reverse proxy.
        unfinished: releases that were interrupted.
    """

    at: float
    boot: str
    uptime: float
    engine: Union[str, Unseen]
    app: Union[AppFacts, Unseen]
    memory: Union[MemoryFacts, Unseen]
    cpu: Union[CpuFacts, Unseen]
    disks: Union[Tuple[DiskFacts, ...], Unseen]
    database: Union[DatabaseFacts, Unseen]
    request: Union[RequestFacts, Unseen]
    backups: Union[BackupFacts, Unseen]
    images: Union[ImageFacts, Unseen]
    clock: Union[float, Unseen]
    busy: Union[int, Unseen]
    connections: Union[int, Unseen]
    unfinished: Union[Tuple[str, ...], Unseen]


@dataclass(frozen=True)
class Look:
    """What is remembered of a look; None for what was not checked."""

    at: float
    boot: str
    uptime: float
    container: str = ""
    restarts: Optional[int] = None
    kills: Optional[int] = None
    cpu: Optional[float] = None
    busy: Optional[int] = None
    connections: Optional[int] = None
    skew: Optional[float] = None


@dataclass(frozen=True)
class Sample:
    """What is remembered of an hour: free bytes by place, and the sizes of database and media."""

    at: float
    free: Mapping[str, int]
    database: Optional[int] = None
    media: Optional[int] = None


@dataclass(frozen=True)
class History:
    """What is remembered of checks before.

    Attributes:
        looks: those of the last hour.
        series: the samples of the last two weeks.
        healthy: the id of the container that was last seen healthy.
        stopped: the end of a container that somebody stopped; the engine soon forgets that.
        died: the end of one that nobody stopped.
    """

    looks: Tuple[Look, ...] = ()
    series: Tuple[Sample, ...] = ()
    healthy: str = ""
    stopped: str = ""
    died: str = ""


@dataclass(frozen=True)
class Thresholds:
    """From where on something is a finding; 0 switches that off, but for restarts.

    Attributes:
        memory: percent of the limit.
        cpu: percent of what the container may use, over an hour.
        disk: percent that are used, of bytes or of inodes.
        disk_full: likewise, from where on the disk counts as full.
        disk_floor: percent that are free, below which it counts when the disk will be full.
        disk_days: days until it is full.
        database: bytes.
        wal: bytes.
        log: bytes.
        images: bytes.
        cache: bytes.
        certificate: percent of its lifetime that are left. Proxies renew when a third is left.
        backup: seconds since the last one.
        proof: seconds since the last one.
        skew: seconds, ahead or behind.
        restarts: within an hour.
        busy: within an hour.
        connections: open at each of three checks.
        start: seconds until a container that was started should be healthy.
    """

    memory: float = 90.0
    cpu: float = 90.0
    disk: float = 90.0
    disk_full: float = 98.0
    disk_floor: float = 25.0
    disk_days: float = 7.0
    database: int = 10 << 30
    wal: int = 1 << 30
    log: int = 1 << 30
    images: int = 10 << 30
    cache: int = 20 << 30
    certificate: float = 30.0
    backup: float = 26 * HOUR
    proof: float = 35 * DAY
    skew: float = 5.0
    restarts: int = 3
    busy: int = 20
    connections: int = 50
    start: float = 600.0


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        id: what it is called for good; the first word is its area.
        looked_at: where the answer is.
        remedy: what fixes it.
        log: what the application wrote last, if that can tell more.
    """

    id: str
    severity: str
    looked_at: str
    found: str
    wanted: str
    remedy: str
    log: Tuple[str, ...] = ()


def area(finding_id: str) -> str:
    """Return what a finding is about, which is what may not have been checked."""
    return finding_id.partition("-")[0]


def findings(facts: Facts, history: History, thresholds: Thresholds) -> list[Finding]:
    """Return what is not as it should be, the worst first."""
    found = [finding for rule in _RULES for finding in rule(facts, history, thresholds)]
    return sorted(found, key=lambda finding: -SEVERITIES.index(finding.severity))


def unseen(facts: Facts) -> dict[str, str]:
    """Return the areas that were not checked, with the reasons."""
    return {name: group.reason for name, group in areas(facts).items() if isinstance(group, Unseen)}


def areas(facts: Facts) -> Mapping[str, object]:
    """Return what was seen by areas."""
    return {
        "app": facts.app,
        "memory": facts.memory,
        "cpu": facts.cpu,
        "disk": facts.disks,
        "database": facts.database,
        "request": facts.request,
        "certificate": _certificate(facts),
        "backup": facts.backups,
        "images": facts.images,
        "clock": facts.clock,
        "busy": facts.busy,
        "connections": facts.connections,
        "release": facts.unfinished,
    }


def _certificate(facts: Facts) -> Union[RequestFacts, Unseen]:
    if isinstance(facts.request, RequestFacts) and facts.request.days_left is None:
        return Unseen("no valid certificate was shown")
    return facts.request


def remembered(facts: Facts, history: History) -> History:
    """Return the history with a look more; what is dated later than that is forgotten."""
    looks = [look for look in history.looks if look.at <= facts.at]
    series = [sample for sample in history.series if sample.at <= facts.at]
    if not series or facts.at - series[-1].at >= HOUR - 60:  # the times of timers vary a little
        series.append(_sample(facts))
    kept = replace(history, looks=tuple([*looks, _look(facts)][-RECENT:]), series=tuple(series[-SERIES:]))
    if isinstance(facts.app, Unseen):
        return kept
    if facts.app.seen.state == "running" and facts.app.seen.health == "healthy":
        kept = replace(kept, healthy=facts.app.seen.id)
    ended, stopped = facts.app.ended, facts.app.stopped
    return replace(kept, stopped=ended if stopped else "", died=ended if stopped is False else "")


def _look(facts: Facts) -> Look:
    look = Look(facts.at, facts.boot, facts.uptime)
    if isinstance(facts.app, AppFacts):
        look = replace(look, container=facts.app.seen.id, restarts=facts.app.seen.restart_count)
    if isinstance(facts.memory, MemoryFacts):
        look = replace(look, kills=facts.memory.kills)
    if isinstance(facts.cpu, CpuFacts):
        look = replace(look, cpu=facts.cpu.seconds)
    return replace(look, busy=_seen(facts.busy), connections=_seen(facts.connections), skew=_seen(facts.clock))


def _sample(facts: Facts) -> Sample:
    free = {disk.place: disk.free for disk in _seen(facts.disks) or ()}
    database, backups = _seen(facts.database), _seen(facts.backups)
    return Sample(facts.at, free, database.bytes if database else None, backups.media if backups else None)


def _seen(fact: Union[T, Unseen]) -> Optional[T]:
    return None if isinstance(fact, Unseen) else fact


def days_until_full(free: int, samples: Sequence[Tuple[float, int]]) -> Optional[float]:
    """Return when nothing will be free, in days; None when that is not to be expected, or too little is known.

    The trend is the median of the slopes between all pairs of samples, which a spike, a backup or a pruning does not
    move (Theil 1950, Sen 1968).

    Args:
        free: bytes that are free now.
        samples: times, and what was free then.
    """
    if len(samples) < _ENOUGH or samples[-1][0] - samples[0][0] < _SPAN:
        return None
    chosen = samples[:: -(-len(samples) // _MOST)]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(chosen, 2) if b[0] > a[0]]
    slope = median(slopes) if slopes else 0.0
    return free / -slope / DAY if slope < 0 else None


def cpu_percent(facts: Facts, history: History) -> Optional[float]:
    """Return what the container used of the CPUs that it may use, since the oldest look that can be compared."""
    if not isinstance(facts.cpu, CpuFacts) or not isinstance(facts.app, AppFacts):
        return None
    for look in history.looks:
        passed = facts.uptime - look.uptime
        same = look.boot == facts.boot and look.container == facts.app.seen.id
        if same and look.cpu is not None and passed >= 60 and facts.cpu.seconds >= look.cpu:
            return 100.0 * (facts.cpu.seconds - look.cpu) / passed / (facts.cpu.cpus or 1.0)
    return None


def _reached(value: float, limit: float) -> bool:
    """Return whether a value is a finding; a limit of 0 has none."""
    return limit > 0 and value >= limit


def _engine(facts: Facts, _history: History, _limits: Thresholds) -> Iterator[Finding]:
    if isinstance(facts.engine, Unseen):
        yield Finding(
            "engine-answer",
            CRITICAL,
            "the Docker engine",
            facts.engine.reason,
            "an answer",
            "See journalctl -u docker.",
        )


def _app(facts: Facts, history: History, limits: Thresholds) -> Iterator[Finding]:
    if isinstance(facts.app, Unseen):
        return
    seen, looked_at = facts.app.seen, f"the container {facts.app.seen.name}"
    reason = judge(
        seen, HealthRules(WantedHealth.HEALTHY, max_restarts=limits.restarts), _restarts_before(facts.app, history)
    )
    if reason not in (Reason.REACHED, Reason.WAITING, Reason.NO_HEALTH_CHECK):
        purpose = "; somebody stopped it" if facts.app.stopped else ""
        fixes = play("restart") if seen.state == "running" else play("start")  # which leaves one that runs as it is
        yield Finding(
            "app-state",
            WARNING if facts.app.stopped else CRITICAL,
            looked_at,
            explain(seen, reason, WantedHealth.HEALTHY, 0.0)[len(f"Container {seen.name} ") :].rstrip(".") + purpose,
            "running and healthy",
            f"Run {fixes}, and see by {play('logs')} what it wrote.",
            facts.app.log,
        )
    elif reason is Reason.WAITING and limits.start and facts.app.age > limits.start and not _was_paused(seen, facts.at):
        yield Finding(
            "app-start",
            WARNING,
            looked_at,
            f"{seen.status} for {facts.app.age:.0f} s",
            f"healthy within {limits.start:.0f} s ({setting('health_wait')})",
            f"It is left alone, since a migration may take long; see by {play('logs')} what it does.",
            facts.app.log,
        )
    if limits.log and (facts.app.log_bytes or 0) > limits.log:
        yield Finding(
            "app-log",
            WARNING,
            f"the log files of {seen.name}",
            size(facts.app.log_bytes or 0),
            f"at most {size(limits.log)}",
            f"See {setting('log_max_size')} and {setting('log_max_file')}.",
        )


def _was_paused(seen: ContainerSnapshot, now: float) -> bool:
    """Return whether it waits for its next health check only since a pause, which a backup or maintenance makes."""
    succeeded = succeeded_at(seen)
    return succeeded is not None and now - succeeded.timestamp() < HOUR


def _restarts_before(app: AppFacts, history: History) -> int:
    """Return how often the engine had restarted it an hour ago; what it did before is not held against it."""
    known = [look.restarts for look in history.looks if look.container == app.seen.id and look.restarts is not None]
    return min([*known, app.seen.restart_count])


def _memory(facts: Facts, history: History, limits: Thresholds) -> Iterator[Finding]:
    if isinstance(facts.memory, Unseen):
        return
    memory = facts.memory
    percent = 100.0 * memory.used / memory.limit if memory.limit else 0.0
    remedy = f"Raise {setting('memory_limit')}, or find what needs so much."
    if _reached(percent, limits.memory):
        found = f"{size(memory.used)} of {size(memory.limit)} ({percent:.0f} %)"
        wanted = f"below {limits.memory:g} %"
        yield Finding("memory-limit", WARNING, "the memory of the container", found, wanted, remedy)
    kills = _risen([look.kills for look in history.looks] + [memory.kills])
    if kills:
        found = f"out of memory: the kernel killed {counted(kills, 'time')} within an hour"
        yield Finding("memory-killed", CRITICAL, "the control group of the container", found, "none", remedy)


def _risen(numbers: Sequence[Optional[int]]) -> int:
    """Return by how much a counter rose in all, which begins again when the container does."""
    known = [number for number in numbers if number is not None]
    return sum(after - before if after >= before else after for before, after in zip(known, known[1:]))


def _cpu(facts: Facts, history: History, limits: Thresholds) -> Iterator[Finding]:
    full_hour = len(history.looks) >= RECENT - 1
    percent = cpu_percent(facts, history) if full_hour else None
    if percent is not None and _reached(percent, limits.cpu):
        yield Finding(
            "cpu-limit",
            WARNING,
            "the CPU time of the container within an hour",
            f"{percent:.0f} % of what it may use",
            f"below {limits.cpu:g} %",
            f"Raise {setting('cpu_limit')}, or find what needs so much.",
        )


def _disks(facts: Facts, history: History, limits: Thresholds) -> Iterator[Finding]:
    for disk in _seen(facts.disks) or ():
        yield from _disk(disk, history, limits)
        used = 100.0 * (1 - disk.inodes_free / disk.inodes) if disk.inodes else 0.0
        full = _reached(used, limits.disk_full)
        if full or _reached(used, limits.disk):
            yield Finding(
                f"disk-inodes:{disk.place}",
                CRITICAL if full else WARNING,
                f"the inodes of the disk at {disk.place}",
                f"{used:.0f} % used",
                f"below {limits.disk_full if full else limits.disk:g} %",
                "Find the directory with so many files: du --inodes -x -d 3 " + disk.place,
            )


def _disk(disk: DiskFacts, history: History, limits: Thresholds) -> Iterator[Finding]:
    used = 100.0 - disk.free_percent
    looked_at, free = f"the disk at {disk.place}", f"{used:.0f} % used, {size(disk.free)} free"
    remedy = f"Run {play('prune')} for old backups and {play('maintenance')} for images, or get a larger disk."
    if _reached(used, limits.disk_full):
        yield Finding(f"disk-full:{disk.place}", CRITICAL, looked_at, free, f"below {limits.disk_full:g} %", remedy)
    if _reached(used, limits.disk):
        yield Finding(f"disk-low:{disk.place}", WARNING, looked_at, free, f"below {limits.disk:g} %", remedy)
    if disk.free_percent < limits.disk_floor:
        samples = [(sample.at, sample.free[disk.place]) for sample in history.series if disk.place in sample.free]
        days = days_until_full(disk.free, samples)
        if days is not None and days < limits.disk_days:
            found = f"{free}; full in {counted(math.ceil(days), 'day')} if it goes on so"
            wanted = f"at least {limits.disk_days:g} days"
            yield Finding(f"disk-forecast:{disk.place}", WARNING, looked_at, found, wanted, remedy)


def _database(facts: Facts, history: History, limits: Thresholds) -> Iterator[Finding]:
    database = _seen(facts.database)
    if database and limits.wal and database.wal > limits.wal:
        yield Finding(
            "database-wal",
            WARNING,
            f"{database.path}-wal",
            size(database.wal),
            f"at most {size(limits.wal)}",
            "A transaction or a reader that does not end keeps SQLite from emptying it; a restart ends that.",
        )
    if database and limits.database and database.bytes > limits.database:
        yield Finding(
            "database-size",
            INFO,
            database.path,
            size(database.bytes),
            f"at most {size(limits.database)}",
            "See which tables grow, and whether old versions and jobs of Payload can go.",
        )


def _busy(facts: Facts, history: History, limits: Thresholds) -> Iterator[Finding]:
    if isinstance(facts.busy, Unseen) or not limits.busy:
        return
    number = sum(look.busy or 0 for look in history.looks[1 - RECENT :]) + facts.busy
    if number >= limits.busy:
        yield Finding(
            "busy-database",
            INFO,
            "the application's log",
            f"the database was busy {number} times within {_BUSY_WINDOW}",
            f"less than {limits.busy} times",
            "So many write at once that they wait for each other: make transactions shorter, or consider PostgreSQL.",
        )


def _connections(facts: Facts, history: History, limits: Thresholds) -> Iterator[Finding]:
    before = [look.connections for look in history.looks if look.connections is not None]
    if isinstance(facts.connections, Unseen) or not limits.connections:
        return
    counts = [*before[1 - _CROWDED :], facts.connections]
    if len(counts) == _CROWDED and min(counts) >= limits.connections:
        yield Finding(
            "connections-many",
            INFO,
            "the connections of visitors at the reverse proxy",
            f"{min(counts)} or more at each of {_CROWDED} looks",
            f"less than {limits.connections}",
            "See whether answers have become slow, and whether the database was busy: only then consider PostgreSQL.",
        )


def _request(facts: Facts, _history: History, _limits: Thresholds) -> Iterator[Finding]:
    request = _seen(facts.request)
    if request and request.problem:
        yield Finding(
            "request-served",
            CRITICAL,
            "a request on the path of visitors' requests",
            request.problem,
            "the page",
            "See there.",
        )


def _certificates(facts: Facts, _history: History, limits: Thresholds) -> Iterator[Finding]:
    request = _seen(facts.request)
    if request is None or request.days_left is None or not request.lifetime:
        return
    share = 100.0 * request.days_left / request.lifetime
    if share < limits.certificate:
        left = f"{request.days_left:.1f} days" if request.days_left >= 2 else f"{request.days_left * 24:.1f} hours"
        yield Finding(
            "certificate-ends",
            CRITICAL if share < limits.certificate / 3 else WARNING,
            "the certificate that visitors get",
            f"{left} of {request.lifetime:.1f} days are left",
            f"at least {limits.certificate:g} %: the proxy renews it when a third is left",
            "See in the proxy's log why it was not renewed.",
        )


def _backups(facts: Facts, _history: History, limits: Thresholds) -> Iterator[Finding]:
    backups = _seen(facts.backups)
    if backups is None:
        return
    ages: Sequence[Tuple[str, Optional[float], float, str, str]] = (
        (
            "backup-age",
            backups.last,
            limits.backup,
            "the last backup",
            f"Run {play('backup')}.",
        ),
        ("backup-proof", backups.proven, limits.proof, "the last proven restore", f"Run {play('restore_drill')}."),
    )
    for finding_id, at, most, what, remedy in ages:
        age = None if at is None else max(0.0, facts.at - at)
        if most and (age is None or age > most):
            found = "there is none" if age is None else f"{lasting(age)} ago"
            severity = CRITICAL if finding_id == "backup-age" else WARNING
            yield Finding(finding_id, severity, what, found, f"at most {lasting(most)} ago", remedy)


def lasting(seconds: float) -> str:
    """Return how long something takes, for people."""
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (60.0, "minute")):
        if seconds >= 2 * unit:
            return counted(int(seconds // unit), name)
    return counted(int(seconds), "second")


def _clock(facts: Facts, history: History, limits: Thresholds) -> Iterator[Finding]:
    before = history.looks[-1].skew if history.looks else None
    if isinstance(facts.clock, Unseen) or before is None or not limits.skew:
        return
    if min(abs(facts.clock), abs(before)) >= limits.skew:
        how = "ahead" if facts.clock > 0 else "behind"
        found = f"{abs(facts.clock):.1f} s {how}, at two checks"
        remedy = "Have chrony or systemd-timesyncd keep it: timedatectl set-ntp true."
        yield Finding("clock-skew", WARNING, "the host's clock", found, f"less than {limits.skew:g} s", remedy)


def _images(facts: Facts, _history: History, limits: Thresholds) -> Iterator[Finding]:
    images = _seen(facts.images)
    if images and limits.images and images.bytes > limits.images:
        found = f"{counted(images.dangling, 'image')} with up to {size(images.bytes)}"
        wanted = f"at most {size(limits.images)}"
        yield Finding("images-dangling", INFO, "images without a name", found, wanted, f"Run {play('maintenance')}.")
    if images and limits.cache and images.cache > limits.cache:
        found, wanted = size(images.cache), f"at most {size(limits.cache)}"
        yield Finding("images-cache", INFO, "the engine's build cache", found, wanted, f"Run {play('maintenance')}.")


def _host(facts: Facts, history: History, _limits: Thresholds) -> Iterator[Finding]:
    if any(look.boot != facts.boot for look in history.looks):
        found = f"started {lasting(facts.uptime)} ago"
        yield Finding("host-restart", INFO, "the host", found, "no restart that nobody meant", "See last -x reboot.")


def _release(facts: Facts, _history: History, _limits: Thresholds) -> Iterator[Finding]:
    for release in _seen(facts.unfinished) or ():
        found = f"{release} was interrupted"
        wanted = "each finished or undone"
        yield Finding("release-unfinished", WARNING, "the releases", found, wanted, f"Run {play('recover')}.")


Rule = Callable[[Facts, History, Thresholds], Iterator[Finding]]
_RULES: Tuple[Rule, ...] = (
    _engine,
    _disks,
    _memory,
    _app,
    _request,
    _certificates,
    _database,
    _busy,
    _connections,
    _cpu,
    _backups,
    _clock,
    _release,
    _images,
    _host,
)


def summary(found: Sequence[Finding], areas: Mapping[str, str]) -> List[str]:
    """Return what people read of a look: a line for each finding, and what was not checked."""
    lines = [line(finding) for finding in found]
    lines += [f"not checked: {name}, because {reason}" for name, reason in areas.items()]
    return [*lines, f"{counted(len(found), 'finding')}, {counted(len(areas), 'area')} not checked."]


def line(finding: Finding) -> str:
    """Return a finding in one line."""
    return (
        f"{finding.severity}: {finding.looked_at}: {finding.found}; wanted: {finding.wanted}. {finding.remedy} "
        f"({finding.id})"
    )


def by_severity(found: Sequence[Finding]) -> Dict[str, int]:
    """Return how many findings there are of each severity."""
    return {severity: sum(finding.severity == severity for finding in found) for severity in SEVERITIES}
