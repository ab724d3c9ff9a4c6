# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a host that is well, for tests that change one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import ContainerSnapshot
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import (
    AppFacts,
    BackupFacts,
    CpuFacts,
    DatabaseFacts,
    DiskFacts,
    Facts,
    History,
    ImageFacts,
    MemoryFacts,
    RequestFacts,
    remembered,
)

NOW = 1_800_000_000.0
GIB = 1 << 30
PERIOD = 300.0
HEALTHY = ContainerSnapshot("shop-app", id="A1", state="running", health="healthy")

WELL = Facts(
    at=NOW,
    boot="b1",
    uptime=9 * 86400.0,
    engine="26.1.5",
    app=AppFacts(HEALTHY, age=3600.0),
    memory=MemoryFacts(100 << 20, 512 << 20, 0),
    cpu=CpuFacts(100.0, 2.0),
    disks=(DiskFacts("/var/lib/docker", 100 * GIB, 60 * GIB, 1000, 900),),
    database=DatabaseFacts("/v/db/payload.db", 1 << 20, 0),
    request=RequestFacts("", 80.0, 90.0),
    backups=BackupFacts(NOW - 3600, NOW - 86400, 5 << 20),
    images=ImageFacts(0, 0),
    clock=0.1,
    busy=0,
    connections=2,
    unfinished=(),
)


def app(**changes: Any) -> AppFacts:
    """Return an application; what is not about its container is a fact beside it."""
    own = {name: changes.pop(name) for name in ("log", "stopped", "ended", "age", "log_bytes") if name in changes}
    return AppFacts(replace(HEALTHY, **changes), **{"age": 3600.0, **own})


def at(number: int, **changes: Any) -> Facts:
    """Return the facts of a look, of which the first has number 0."""
    passed = number * PERIOD
    facts = replace(WELL, at=NOW + passed, uptime=WELL.uptime + passed)
    recent = BackupFacts(facts.at - 3600, facts.at - 86400, 5 << 20)
    return replace(facts, **{"backups": recent, **changes})


def history(*looks: Facts) -> History:
    """Return what is remembered of checks."""
    known = History()
    for facts in looks:
        known = remembered(facts, known)
    return known
