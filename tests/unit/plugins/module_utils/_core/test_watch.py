# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look means."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit import Unseen
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import Probe
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import (
    CRITICAL,
    DAY,
    HOUR,
    INFO,
    RECENT,
    SERIES,
    WARNING,
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
    Sample,
    Thresholds,
    area,
    by_severity,
    days_until_full,
    findings,
    lasting,
    remembered,
    summary,
    unseen,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.watching import (
    GIB,
    HEALTHY,
    NOW,
    PERIOD,
    WELL,
    app,
    at,
    history,
)

LIMITS = Thresholds()
NO_HISTORY = History()
NOT = Unseen("nobody looked")


def ids(facts: Facts, known: History = NO_HISTORY, limits: Thresholds = LIMITS) -> dict[str, str]:
    return {finding.id: finding.severity for finding in findings(facts, known, limits)}


def only(facts: Facts, known: History = NO_HISTORY, limits: Thresholds = LIMITS) -> Finding:
    (finding,) = findings(facts, known, limits)
    return finding


def disk(free: float, place: str = "/data", inodes_free: int = 900) -> tuple[DiskFacts, ...]:
    return (DiskFacts(place, 100 * GIB, int(free * GIB), 1000, inodes_free),)


def test_a_host_that_is_well_has_no_finding() -> None:
    assert findings(WELL, History(), LIMITS) == []
    assert findings(WELL, history(*(at(number) for number in range(-20, 0))), LIMITS) == []
    assert unseen(WELL) == {}


def test_what_nobody_looked_at_is_neither_well_nor_a_finding_but_for_the_engine() -> None:
    names = [field.name for field in fields(Facts) if field.name not in ("at", "boot", "uptime")]
    blind = replace(WELL, **dict.fromkeys(names, NOT))
    assert ids(blind, history(blind, WELL, blind)) == {"engine-answer": CRITICAL}
    assert set(unseen(blind)) == {
        *("app", "memory", "cpu", "disk", "database", "request", "certificate", "backup", "images", "clock", "busy"),
        "connections",
        "release",
    }
    assert set(unseen(blind).values()) == {"nobody looked"}


@pytest.mark.parametrize(
    ("facts", "finding", "severity", "found"),
    [
        (app(exists=False), "app-state", CRITICAL, "does not exist"),
        (app(state="exited", exit_code=137), "app-state", CRITICAL, "exited with code 137"),
        (app(state="exited", stopped=True), "app-state", WARNING, "; somebody stopped it"),
        (app(state="exited", stopped=None), "app-state", CRITICAL, "exited with code 0"),
        (app(state="paused"), "app-state", CRITICAL, "is paused"),
        (app(state="dead"), "app-state", CRITICAL, "is dead"),
        (app(health="unhealthy", failing_streak=3), "app-state", CRITICAL, "3 health checks in a row failed"),
        (app(health="starting", age=601.0), "app-start", WARNING, "running (starting) for 601 s"),
        (app(state="created", health=None, age=601.0), "app-start", WARNING, "created for 601 s"),
        (app(log_bytes=GIB + 1), "app-log", WARNING, "1.0 GiB"),
    ],
)
def test_the_state_of_the_application(facts: Any, finding: str, severity: str, found: str) -> None:
    seen = only(replace(WELL, app=facts))
    assert (seen.id, seen.severity) == (finding, severity)
    assert found in seen.found


@pytest.mark.parametrize("facts", [app(health=None), app(health="starting", age=599.0)])
def test_what_is_no_finding_of_the_application(facts: Any) -> None:
    assert ids(replace(WELL, app=facts)) == {}


def test_after_a_pause_the_next_health_check_is_waited_for_but_not_for_ever() -> None:
    asked = datetime.fromtimestamp(NOW, timezone(timedelta(hours=5))).isoformat()  # as an engine of that zone says it
    known, failed = (Probe(asked, asked, code, "") for code in (0, 1))
    days = {"health": "starting", "age": 3e6}  # what the engine calls unhealthy without a failure; see snapshot
    assert ids(at(0, app=app(probes=(failed, known), **days))) == {}
    assert ids(at(13, app=app(probes=(known,), **days))) == {"app-start": WARNING}
    assert ids(at(0, app=app(probes=(known, failed), **days))) == {"app-start": WARNING}


def test_what_an_application_wrote_last_goes_with_its_finding() -> None:
    assert only(replace(WELL, app=app(state="exited", log=("boom",)))).log == ("boom",)


def test_restarts_are_counted_within_an_hour() -> None:
    before = history(*(at(number, app=app(restart_count=40)) for number in range(RECENT)))
    loops = at(RECENT, app=app(restart_count=44))
    assert "restart 44" in only(loops, before).found
    assert ids(at(RECENT, app=app(restart_count=43)), before) == {}
    assert ids(at(RECENT, app=app(restart_count=43, id="B2")), before) == {}


def test_memory_and_what_the_kernel_killed() -> None:
    full = replace(WELL, memory=MemoryFacts(470 << 20, 512 << 20, 0))
    assert only(full).found == "470 MiB of 512 MiB (92 %)"
    assert ids(replace(WELL, memory=MemoryFacts(8 * GIB, 0, 0))) == {}
    before = history(at(0, memory=MemoryFacts(1, 0, 2)), at(1, memory=NOT), at(2, memory=MemoryFacts(1, 0, 0)))
    killed = only(at(3, memory=MemoryFacts(1, 0, 1)), before)
    assert (killed.id, killed.severity) == ("memory-killed", CRITICAL)
    assert "1 time within" in killed.found
    assert ids(at(3, memory=MemoryFacts(1, 0, 0)), before) == {}


def test_cpu_counts_when_it_was_busy_for_an_hour() -> None:
    def busy(number: int, share: float = 0.95) -> Facts:
        return at(number, cpu=CpuFacts(number * PERIOD * 2 * share, 2.0))

    before = history(*map(busy, range(12)))
    assert only(busy(12), before).found == "95 % of what it may use"
    assert ids(busy(11), history(*map(busy, range(11)))) == {}
    assert ids(busy(12, 0.5), before) == {}
    assert ids(replace(busy(12), boot="b2"), before) == {"host-restart": INFO}
    assert ids(replace(busy(12), cpu=CpuFacts(1.0, 2.0)), before) == {}  # it was restarted
    assert ids(replace(busy(12), app=app(id="B2")), before) == {}
    assert ids(replace(busy(12), app=NOT), before) == {}
    assert ids(busy(12), history(*(at(number, cpu=NOT) for number in range(12)))) == {}


def test_a_disk_that_is_low_or_full() -> None:
    assert ids(replace(WELL, disks=disk(10))) == {"disk-low:/data": WARNING}
    assert ids(replace(WELL, disks=disk(1))) == {"disk-full:/data": CRITICAL, "disk-low:/data": WARNING}
    assert ids(replace(WELL, disks=disk(60, inodes_free=90))) == {"disk-inodes:/data": WARNING}
    assert ids(replace(WELL, disks=disk(60, inodes_free=5))) == {"disk-inodes:/data": CRITICAL}
    only_full = replace(LIMITS, disk=0.0)
    assert ids(replace(WELL, disks=disk(60, inodes_free=5)), limits=only_full) == {"disk-inodes:/data": CRITICAL}
    assert ids(replace(WELL, disks=disk(60, inodes_free=90)), limits=only_full) == {}
    assert ids(replace(WELL, disks=(DiskFacts("/proc", 0, 0, 0, 0),))) == {}


Use = Callable[[int], float]
"""From the number of an hour to what is free then, in GiB of 100."""


@pytest.mark.parametrize(
    ("free", "full"),
    [
        (lambda hour: 20 - hour * 0.1, True),  # grows by 2.4 GiB a day
        (lambda hour: 20 - hour * 0.1 - (9 if hour % 24 < 3 else 0), True),  # and a nightly job
        (lambda hour: 40 - hour * 0.1, False),  # above the floor
        (lambda hour: 20 - (9 if hour % 24 < 3 else 0), False),  # a spike each night
        (lambda hour: 20 - (hour % 24) * 0.1, False),  # a log, rotated each day
        (lambda hour: 12 if hour < 36 else 22, False),  # pruned once
        (lambda hour: 22 if hour < 70 else 12, False),  # filled once
    ],
)
def test_a_trend_needs_more_than_a_spike(free: Use, full: bool) -> None:
    series = tuple(Sample(NOW - (72 - hour) * HOUR, {"/data": int(free(hour) * GIB)}) for hour in range(72))
    found = ids(replace(WELL, disks=disk(free(72))), History(series=series))
    assert ("disk-forecast:/data" in found) is full


def test_a_full_disk_stays_a_finding_whatever_the_trend() -> None:
    series = tuple(Sample(NOW - (72 - hour) * HOUR, {"/data": 0}) for hour in range(72))
    assert ids(replace(WELL, disks=disk(0)), History(series=series)) == {
        "disk-full:/data": CRITICAL,
        "disk-low:/data": WARNING,
    }


def test_no_trend_of_too_little() -> None:
    falling = [(NOW + hour * HOUR, 1000 - hour) for hour in range(49)]
    assert days_until_full(952, falling) == pytest.approx(952 / 24)
    assert days_until_full(952, falling[:48]) is None
    assert days_until_full(952, falling[:1] + falling[-1:]) is None
    assert days_until_full(952, [(at, 1000 + number) for number, (at, _free) in enumerate(falling)]) is None


def test_a_disk_that_was_not_looked_at_before_has_no_trend() -> None:
    series = tuple(Sample(NOW - hour * HOUR, {}) for hour in range(72, 0, -1))
    assert ids(replace(WELL, disks=disk(20)), History(series=series)) == {}


def test_the_database_and_its_log() -> None:
    assert ids(replace(WELL, database=DatabaseFacts("/p", 11 * GIB, 2 * GIB))) == {
        "database-wal": WARNING,
        "database-size": INFO,
    }


def test_many_visitors_count_when_they_are_there_at_three_looks() -> None:
    before = history(at(0, connections=90), at(1, connections=60))
    assert "60 or more at each of 3" in only(at(2, connections=70), before).found
    assert ids(at(2, connections=49), before) == ids(at(2, connections=NOT), before) == {}
    assert ids(at(1, connections=70), history(at(0, connections=90))) == {}
    assert ids(at(2, connections=70), history(at(0, connections=NOT), at(1, connections=60))) == {}
    between = history(at(0, connections=90), at(1, connections=60), at(2, connections=NOT))
    assert ids(at(3, connections=70), between) == {"connections-many": INFO}, "what was not checked counts for nothing"
    assert ids(at(2, connections=70), before, replace(LIMITS, connections=0)) == {}


def test_postgresql_is_considered_only_where_the_database_was_busy() -> None:
    before = history(*(at(number, busy=10) for number in range(RECENT)))
    assert "busy 130 times" in only(at(RECENT, busy=10), before).found
    assert ids(at(RECENT, busy=10), history(at(0, busy=NOT))) == {}
    assert ids(at(RECENT, busy=10), before, replace(LIMITS, busy=0)) == {}


def test_a_request_that_is_not_served() -> None:
    assert only(replace(WELL, request=RequestFacts("no"))).id == "request-served"
    assert unseen(replace(WELL, request=RequestFacts("no"))) == {"certificate": "no valid certificate was shown"}


@pytest.mark.parametrize("lifetime", [0.5, 6.0, 45.0, 90.0, 365.0])
def test_a_certificate_is_judged_by_its_lifetime(lifetime: float) -> None:
    for share, severity in ((0.34, None), (0.31, None), (0.29, WARNING), (0.09, CRITICAL)):
        found = ids(replace(WELL, request=RequestFacts("", share * lifetime, lifetime)))
        assert found == ({"certificate-ends": severity} if severity else {})


def test_how_long_a_certificate_lasts_is_said_in_hours_at_last() -> None:
    assert only(replace(WELL, request=RequestFacts("", 0.1, 0.5))).found.startswith("2.4 hours of 0.5 days")
    assert only(replace(WELL, request=RequestFacts("", 20, 90))).found.startswith("20.0 days of 90.0 days")
    assert ids(replace(WELL, request=RequestFacts("", 20, None))) == {}


@pytest.mark.parametrize(
    ("last", "proven", "found"),
    [
        (None, None, {"backup-age": CRITICAL, "backup-proof": WARNING}),
        (NOW - 27 * HOUR, NOW - 36 * DAY, {"backup-age": CRITICAL, "backup-proof": WARNING}),
        (NOW - 25 * HOUR, NOW - 34 * DAY, {}),
        (NOW + HOUR, NOW + HOUR, {}),
    ],
)
def test_backups_are_judged_by_the_age_of_the_last_success(last: Any, proven: Any, found: Any) -> None:
    assert ids(replace(WELL, backups=BackupFacts(last, proven))) == found
    off = replace(LIMITS, backup=0, proof=0)
    assert ids(replace(WELL, backups=BackupFacts(last, proven)), limits=off) == {}


def test_a_clock_is_judged_by_two_looks() -> None:
    late = replace(WELL, clock=-7.0)
    assert ids(late) == {}
    assert ids(late, history(at(-1, clock=0.0))) == {}
    assert ids(late, history(at(-1, clock=NOT))) == {}
    assert only(late, history(at(-1, clock=-8.0))).found == "7.0 s behind, at two checks"
    assert only(replace(WELL, clock=6.0), history(at(-1, clock=6.0))).found.startswith("6.0 s ahead")


def test_images_releases_and_a_restart_of_the_host() -> None:
    assert ids(replace(WELL, images=ImageFacts(4, 11 * GIB))) == {"images-dangling": INFO}
    assert ids(replace(WELL, images=ImageFacts(0, 0, 21 * GIB))) == {"images-cache": INFO}
    assert ids(replace(WELL, unfinished=("20260201-020000",))) == {"release-unfinished": WARNING}
    assert ids(replace(WELL, boot="b2", uptime=90.0), history(at(-1))) == {"host-restart": INFO}


def test_the_worst_comes_first_and_people_read_all() -> None:
    found = findings(replace(WELL, images=ImageFacts(4, 11 * GIB), disks=disk(1)), History(), LIMITS)
    assert [finding.severity for finding in found] == [CRITICAL, WARNING, INFO]
    assert by_severity(found) == {CRITICAL: 1, WARNING: 1, INFO: 1}
    lines = summary(found, {"clock": "no server is named"})
    assert lines[0].startswith(
        "critical: the disk at /data: 99 % used, 1.0 GiB free; wanted: below 98 %. Run ⟦play prune⟧"
    )
    assert lines[-2:] == [
        "not checked: clock, because no server is named",
        "3 findings, 1 area not checked.",
    ]
    assert area("disk-full:/a-b") == "disk"


def test_what_is_remembered_is_bounded() -> None:
    known = history(*(at(number) for number in range(SERIES * 12 + 200)))
    assert len(known.looks) == RECENT
    assert len(known.series) == SERIES
    assert known.healthy == HEALTHY.id


def test_what_is_dated_later_is_forgotten() -> None:
    known = history(at(100), at(50))
    assert [look.at for look in known.looks] == [at(50).at]
    assert [sample.at for sample in known.series] == [at(50).at]


def test_what_was_not_looked_at_is_not_remembered() -> None:
    blind = at(0, app=NOT, memory=NOT, cpu=NOT, disks=NOT, database=NOT, backups=NOT, busy=NOT, clock=NOT)
    known = history(at(-20), blind)
    (*_before, look), (*_older, sample) = known.looks, known.series
    assert (look.container, look.restarts, look.kills, look.cpu, look.busy, look.skew) == ("", *[None] * 5)
    assert (sample.free, sample.database, sample.media) == ({}, None, None)
    assert known.healthy == HEALTHY.id


def test_that_somebody_stopped_it_is_remembered_until_it_runs() -> None:
    stopped = app(state="exited", stopped=True, ended="A1 10:00")
    known = history(at(0), at(1, app=stopped))
    assert (known.stopped, known.healthy) == ("A1 10:00", "A1")
    assert remembered(at(2), known).stopped == ""
    died = history(at(0), at(1, app=app(state="exited", stopped=False, ended="A1 10:00")))
    assert (died.stopped, died.died) == ("", "A1 10:00")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2 hours"), (3e5, "3 days")],
)
def test_how_long_something_lasts(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def test_a_threshold_of_0_switches_its_finding_off() -> None:
    off = Thresholds(**{field.name: 0 for field in fields(Thresholds)})
    bad = replace(
        WELL,
        app=app(log_bytes=99 * GIB),
        memory=MemoryFacts(512 << 20, 512 << 20, 0),
        disks=disk(0, inodes_free=0),
        database=DatabaseFacts("/p", 99 * GIB, 99 * GIB),
        request=RequestFacts("", 0.1, 90.0),
        backups=BackupFacts(None, None),
        images=ImageFacts(4, 99 * GIB),
        clock=99.0,
        busy=99,
    )
    before = history(*(at(number, cpu=CpuFacts(number * PERIOD * 2, 2.0), clock=99.0) for number in range(-12, 0)))
    assert len(ids(bad, before)) > 9
    assert ids(bad, before, off) == {}
