# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host can take the application: facts, needs, findings with a remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Mapping, Optional

GIB = 1024**3
_LEFT_ALONE = re.compile(r"(DRY-RUN MODE - +)?Container \S+ +Running")
PROJECT_LABEL = "com.docker.compose.project"
FILES_LABEL = "com.docker.compose.project.config_files"


@dataclass(frozen=True)
class Facts:
    """What was seen on the host.

    Attributes:
        memory: bytes of memory.
        disk_free: bytes free where the engine keeps images and volumes; None when that is
            not on this host.
        clock_offset: seconds by which the host is ahead of the controller; None when not compared.
        owners: per container and volume of our names that exists, the Compose project it
            carries as label (empty: made by hand).
    """

    engine_version: str
    compose_version: str
    buildx_version: str
    memory: int
    disk_free: Optional[int]
    clock_offset: Optional[float]
    owners: Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Needs:
    """What the application needs; sizes in bytes, tolerance in seconds, an empty version for any."""

    engine_version: str
    compose_version: str
    buildx: bool
    memory: int
    disk_free: int
    clock_tolerance: float
    project: str


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was expected and found, and what to do when it is wrong."""

    check: str
    ok: bool
    expected: str
    found: str
    remedy: str = ""


def findings(facts: Facts, needs: Needs) -> list[Finding]:
    """Return every finding, good and bad, in the order in which a person would look."""
    compose = "install the Compose plugin (docker-compose v1 is not enough)"
    return [
        *_version("engine", facts.engine_version, needs.engine_version, "upgrade Docker"),
        *_version("compose", facts.compose_version, needs.compose_version, compose),
        *([_buildx(facts)] if needs.buildx else []),
        _memory(facts, needs),
        _disk(facts, needs),
        _clock(facts, needs),
        *(_owner(kind, name, owner, needs.project) for (kind, name), owner in facts.owners.items()),
    ]


def version(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, ``v2.26.1-ds1`` as (2, 26, 1)."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def settled(rehearsal: str) -> bool:
    """Return whether ``docker compose up --dry-run`` said that it would leave every container as it is."""
    lines = [line.strip() for line in rehearsal.splitlines() if line.strip()]
    return bool(lines) and all(_LEFT_ALONE.fullmatch(line) for line in lines)


def memory_limit(memory: int) -> str:
    """Return the container's memory limit for a host: 1 GB 512M, 2 GB 1G, 4 GB and more 2G.

    A host sold with 2 GB reports some percent less, so the steps are at 7/8 of the size.
    """
    if memory >= 3.5 * GIB:
        return "2G"
    return "1G" if memory >= 1.75 * GIB else "512M"


def size(count: int) -> str:
    """Return a number of bytes for people."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / 1024**2:.0f} MiB"


def _version(check: str, found: str, wanted: str, remedy: str) -> list[Finding]:
    if not wanted:
        return []
    ok = bool(found) and version(found) >= version(wanted)
    return [Finding(check, ok, f"{wanted} or newer", found or "not installed", remedy)]


def _buildx(facts: Facts) -> Finding:
    found = facts.buildx_version
    return Finding(
        "buildx", bool(found), "installed", found or "not installed", "install the Buildx plugin (docker-buildx)"
    )


def _memory(facts: Facts, needs: Needs) -> Finding:
    ok = facts.memory >= needs.memory
    return Finding(
        "memory",
        ok,
        f"at least {size(needs.memory)}",
        size(facts.memory),
        "use a larger host or lower preflight_memory_min",
    )


def _disk(facts: Facts, needs: Needs) -> Finding:
    if facts.disk_free is None:
        return Finding("disk", True, f"at least {size(needs.disk_free)} free", "not on this host, not checked")
    ok = facts.disk_free >= needs.disk_free
    found = f"{size(facts.disk_free)} free"
    return Finding(
        "disk", ok, f"at least {size(needs.disk_free)} free", found, "free some with: docker builder prune --all"
    )


def _clock(facts: Facts, needs: Needs) -> Finding:
    expected = f"within {needs.clock_tolerance:.0f} s of the controller's"
    if facts.clock_offset is None:
        return Finding("clock", True, expected, "not compared")
    found = f"{facts.clock_offset:+.0f} s"
    return Finding(
        "clock",
        abs(facts.clock_offset) <= needs.clock_tolerance,
        expected,
        found,
        "turn on time synchronisation (timedatectl set-ntp true)",
    )


def _owner(kind: str, name: str, owner: str, project: str) -> Finding:
    found = f"it belongs to the Compose project {owner}" if owner else "it was not made by Compose"
    remedy = f"choose another name, or remove it with: docker {kind} rm {name}"
    if kind == "volume":
        remedy = "choose another name, or set stack_external_volumes: true to use it as it is"
    return Finding(f"{kind} {name}", owner == project, f"absent, or of the Compose project {project}", found, remedy)
