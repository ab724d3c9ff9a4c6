# SPDX-License-Identifier: GPL-3.0-or-later
"""What a watch has measured, for Prometheus: the text format of node_exporter's textfile collector.

https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/practices/naming/. Each
application has a file of its own, so all of them have the same metrics with the same help, told apart by ``app``.
"""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence, Tuple, Union

from .audit import Unseen
from .watch import AppFacts, BackupFacts, CpuFacts, DatabaseFacts, Facts, Finding, ImageFacts, MemoryFacts, RequestFacts

_DAY = 86400.0
PREFIX = "dockervps_"

Labels = Mapping[str, str]
Row = Tuple[str, Labels, float]
"""The name of a metric without its prefix, labels besides ``app``, and its value."""

# Each metric: its type, and what it says.
METRICS: Mapping[str, Tuple[str, str]] = {
    "last_run_timestamp_seconds": ("gauge", "When the watch last looked, in seconds since 1970."),
    "last_run_success": ("gauge", "Whether the last check told everybody what there was to tell."),
    "looked_at": ("gauge", "Whether an area was checked."),
    "finding": ("gauge", "A finding that is there, by its id and severity."),
    "findings": ("gauge", "Number of findings by severity."),
    "up": ("gauge", "Whether the container runs, and is healthy if it has a health check."),
    "restarts_total": ("counter", "How often the engine has restarted the container since it was made."),
    "log_bytes": ("gauge", "Size of the log files of the container."),
    "memory_used_bytes": ("gauge", "Memory of the container without caches."),
    "memory_limit_bytes": ("gauge", "Memory that the container may use; 0 without a limit."),
    "memory_kills_total": ("counter", "How often the kernel has killed a process of the container for memory."),
    "cpu_seconds_total": ("counter", "Time of all CPUs that the container has used."),
    "cpu_limit": ("gauge", "CPUs that the container may use."),
    "disk_total_bytes": ("gauge", "Size of a disk without what is reserved for root."),
    "disk_free_bytes": ("gauge", "What is free on a disk for others than root."),
    "disk_inodes": ("gauge", "Number of inodes of a disk."),
    "disk_free_inodes": ("gauge", "Number of free inodes of a disk."),
    "database_bytes": ("gauge", "Size of the database's file."),
    "database_wal_bytes": ("gauge", "Size of the database's write-ahead log."),
    "media_bytes": ("gauge", "Size of the volumes besides that of the database, as of the last backup."),
    "backup_last_timestamp_seconds": ("gauge", "When the last backup was made, in seconds since 1970."),
    "backup_proven_timestamp_seconds": ("gauge", "When a restore last proved a backup, in seconds since 1970."),
    "served": ("gauge", "Whether a request on the path of visitors' requests was answered."),
    "certificate_left_seconds": ("gauge", "For how long the certificate is still valid."),
    "certificate_lifetime_seconds": ("gauge", "For how long the certificate is valid in all."),
    "connections": ("gauge", "Connections that visitors have open at the reverse proxy."),
    "clock_offset_seconds": ("gauge", "By how much the clock is ahead of the time server."),
    "dangling_images": ("gauge", "Number of images without a name."),
    "dangling_images_bytes": ("gauge", "Sizes of the images without a name; what they share is counted in each."),
    "build_cache_bytes": ("gauge", "Size of the engine's build cache without what images share with it."),
}
_AREAS = (
    "app",
    "memory",
    "cpu",
    "disk",
    "database",
    "request",
    "certificate",
    "backup",
    "images",
    "clock",
    "busy",
    "connections",
    "release",
)


def text_of(
    app: str, facts: Facts, findings: Sequence[Finding], unseen: Mapping[str, str], at: float, failed: bool
) -> str:
    """Return the content of a file; what was not checked has no value."""
    rows: List[Row] = [("last_run_timestamp_seconds", {}, at), ("last_run_success", {}, float(not failed))]
    rows += [("looked_at", {"area": area}, float(area not in unseen)) for area in _AREAS]
    rows += [("finding", {"id": finding.id, "severity": finding.severity}, 1.0) for finding in findings]
    rows += [
        ("findings", {"severity": severity}, float(sum(finding.severity == severity for finding in findings)))
        for severity in ("info", "warning", "critical")
    ]
    rows += _measured(facts)
    lines = []
    for name, (kind, text) in METRICS.items():
        values = [_line(app, row) for row in rows if row[0] == name]
        if values:
            lines += [f"# HELP {PREFIX}{name} {text}", f"# TYPE {PREFIX}{name} {kind}", *values]
    return "\n".join(lines) + "\n"


def _measured(facts: Facts) -> List[Row]:
    rows: List[Row] = []
    for fact in (facts.app, facts.memory, facts.cpu, facts.database, facts.backups, facts.request, facts.images):
        rows += _rows_of(fact)
    for disk in () if isinstance(facts.disks, Unseen) else facts.disks:
        place = {"place": disk.place}
        rows += [
            ("disk_total_bytes", place, disk.total),
            ("disk_free_bytes", place, disk.free),
            ("disk_inodes", place, disk.inodes),
            ("disk_free_inodes", place, disk.inodes_free),
        ]
    numbers = {"clock_offset_seconds": facts.clock, "connections": facts.connections}
    return rows + [(name, {}, fact) for name, fact in numbers.items() if not isinstance(fact, Unseen)]


_Fact = Union[AppFacts, MemoryFacts, CpuFacts, DatabaseFacts, BackupFacts, RequestFacts, ImageFacts, Unseen]


def _rows_of(fact: _Fact) -> List[Row]:
    values = {name: value for name, value in _values(fact).items() if value is not None}
    return [(name, {}, float(value)) for name, value in values.items()]


def _values(fact: _Fact) -> Mapping[str, Optional[float]]:
    if isinstance(fact, AppFacts):
        up = fact.seen.state == "running" and fact.seen.health in ("healthy", None)
        return {"up": up, "restarts_total": fact.seen.restart_count, "log_bytes": fact.log_bytes}
    if isinstance(fact, MemoryFacts):
        return {"memory_used_bytes": fact.used, "memory_limit_bytes": fact.limit, "memory_kills_total": fact.kills}
    if isinstance(fact, CpuFacts):
        return {"cpu_seconds_total": fact.seconds, "cpu_limit": fact.cpus}
    if isinstance(fact, DatabaseFacts):
        return {"database_bytes": fact.bytes, "database_wal_bytes": fact.wal}
    if isinstance(fact, BackupFacts):
        return {
            "backup_last_timestamp_seconds": fact.last,
            "backup_proven_timestamp_seconds": fact.proven,
            "media_bytes": fact.media,
        }
    return _further_values(fact)


def _further_values(fact: Union[RequestFacts, ImageFacts, Unseen]) -> Mapping[str, Optional[float]]:
    if isinstance(fact, RequestFacts):
        return {
            "served": not fact.problem,
            "certificate_left_seconds": None if fact.days_left is None else fact.days_left * _DAY,
            "certificate_lifetime_seconds": None if fact.lifetime is None else fact.lifetime * _DAY,
        }
    if isinstance(fact, ImageFacts):
        cache = {"build_cache_bytes": fact.cache}
        return {"dangling_images": fact.dangling, "dangling_images_bytes": fact.bytes, **cache}
    return {}


def _line(app: str, row: Row) -> str:
    name, labels, value = row
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in {"app": app, **labels}.items())
    number = str(int(value)) if value == int(value) else repr(value)
    return f"{PREFIX}{name}{{{inner}}} {number}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
