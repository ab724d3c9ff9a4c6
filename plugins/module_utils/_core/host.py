# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host can take the application: facts, needs, findings with a remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from .remedies import play, setting
from .text import size

GIB = 1024**3
PROJECT_LABEL = "com.docker.compose.project"
FILES_LABEL = "com.docker.compose.project.config_files"
SDK, ENGINE = "Docker SDK for Python", "engine"
_ABSENT = "not installed"
HASH_LABEL = "com.docker.compose.config-hash"
"""Where Compose keeps on a container what it hashed of its definition."""


@dataclass(frozen=True)
class HostFacts:
    """What the engine says, and what was seen where it is.

    Attributes:
        memory: bytes of memory.
        disk_free: bytes free where the engine keeps images and volumes; None when that is
            not on this host.
        owners: per container and volume of our names that exists, the Compose project it
            carries as label (empty: made by hand); also of a Compose file of ours in our place.
    """

    engine_version: str
    memory: int
    disk_free: Optional[int]
    owners: Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Tools:
    """What is installed on the host; an empty version for what is not.

    Attributes:
        python: the interpreter that runs modules.
        sdk: whether it has the Docker SDK.
        sdk_fault: why that cannot reach any engine, with what it consists of; empty when it can.
        absent: of the commands that are needed, those that are not there.
    """

    python: str
    sdk: bool
    compose_version: str
    buildx_version: str
    absent: Sequence[str]
    sdk_fault: str = ""


@dataclass(frozen=True)
class Needs:
    """What the application needs; sizes in bytes, an empty version for any."""

    engine_version: str
    compose_version: str
    buildx: bool
    memory: int
    disk_free: int
    project: str


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: what was expected and found, and what to do when it is wrong."""

    check: str
    ok: bool
    expected: str
    found: str
    remedy: str = ""


def installed(tools: Tools, needs: Needs) -> list[Finding]:
    """Return every finding about what is installed, which can be had without the engine."""
    compose = "install the Compose plugin (docker-compose v1 is not enough)"
    return [
        _sdk(tools),
        *at_least("compose", tools.compose_version, needs.compose_version, compose),
        *([_buildx(tools)] if needs.buildx else []),
        *(_absent(command) for command in tools.absent),
    ]


def findings(facts: HostFacts, needs: Needs) -> list[Finding]:
    """Return every other finding, good and bad, in the order in which a person would look."""
    return [
        *at_least(ENGINE, facts.engine_version, needs.engine_version, "upgrade Docker"),
        _memory(facts, needs),
        _disk(facts, needs),
        *(_owner(kind, name, owner, needs.project) for (kind, name), owner in facts.owners.items()),
    ]


def clock(before: float, remote: float, after: float, tolerance: float) -> Finding:
    """Return whether a host's clock is right, as far as two readings of the controller's tell.

    The module is sent and started between them, which may take longer than the tolerance.

    Args:
        before: the controller's time before the host's was read, in seconds since 1970.
        remote: the host's.
        after: the controller's when the answer was there.
        tolerance: seconds by which the clocks may differ.
    """
    least, most = remote - after, remote - before  # by how much the host may be ahead
    off = least if least > tolerance else most if most < -tolerance else 0.0
    return Finding(
        "clock",
        off == 0.0,
        f"within {tolerance:.0f} s of the controller's",
        f"at least {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}" if off else "no measurable difference",
        "turn on time synchronisation (timedatectl set-ntp true)",
    )


def refusal(found: Sequence[Finding]) -> str:
    """Return one sentence per bad finding, after one that says what they mean; nothing when all are good."""
    wrong = [
        f"{finding.check}: expected {finding.expected}, found {finding.found}; {finding.remedy}."
        for finding in found
        if not finding.ok
    ]
    setup = [f"{play('setup')} installs what is lacking."] * any(_is_installed_by_setup(finding) for finding in found)
    return " ".join(["This host cannot take the application yet:", *wrong, *setup]) if wrong else ""


def _is_installed_by_setup(finding: Finding) -> bool:
    if finding.check == SDK:
        return finding.found == _ABSENT
    return not finding.ok and (finding.check in (ENGINE, "compose", "buildx") or finding.check.startswith("command "))


def _sdk(tools: Tools) -> Finding:
    if tools.sdk_fault:
        return Finding(SDK, False, "one that works", tools.sdk_fault, _sdk_remedy(tools.python))
    remedy = f"install it for {tools.python}, on Debian and Ubuntu with: apt-get install python3-docker"
    return Finding(SDK, tools.sdk, "installed", "installed" if tools.sdk else _ABSENT, remedy)


def broken_sdk(python: str, fault: str) -> str:
    """Return what is to be said of a Docker SDK whose parts do not go together."""
    return f"The Docker SDK of {python} does not work: {fault}. To fix it, {_sdk_remedy(python)}."


def _sdk_remedy(python: str) -> str:
    return (
        f"take all parts from one place: {python} -m pip uninstall docker requests urllib3 leaves those of the "
        f"distribution, and {python} -m pip install --upgrade docker brings newer ones"
    )


def no_engine(needs: Needs) -> Finding:
    """Return what is to be said of a host on which no engine is installed."""
    expected = f"{needs.engine_version} or newer" if needs.engine_version else "installed"
    return Finding(ENGINE, False, expected, "not installed", "install Docker")


def version(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, ``v2.26.1-ds1`` as (2, 26, 1)."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def memory_limit(memory: int) -> str:
    """Return the container's memory limit for a host: 1 GB 512M, 2 GB 1G, 4 GB and more 2G.

    A host sold with 2 GB reports some percent less, so the steps are at 7/8 of the size.
    """
    if memory >= 3.5 * GIB:
        return "2G"
    return "1G" if memory >= 1.75 * GIB else "512M"


def at_least(check: str, found: str, wanted: str, remedy: str = "") -> list[Finding]:
    """Return whether something is installed in a version or a newer one; nothing when any will do."""
    if not wanted:
        return []
    ok = bool(found) and version(found) >= version(wanted)
    return [Finding(check, ok, f"{wanted} or newer", found or "not installed", remedy)]


_PACKAGES = {"ssh": "openssh-client", "ssh-keygen": "openssh-client"}


def _absent(command: str) -> Finding:
    package = _PACKAGES.get(command, command)
    remedy = f"install it, on Debian and Ubuntu with: apt-get install {package}"
    return Finding(f"command {command}", False, "installed", "not installed", remedy)


def _buildx(tools: Tools) -> Finding:
    found = tools.buildx_version
    return Finding(
        "buildx", bool(found), "installed", found or "not installed", "install the Buildx plugin (docker-buildx)"
    )


def _memory(facts: HostFacts, needs: Needs) -> Finding:
    ok = facts.memory >= needs.memory
    return Finding(
        "memory",
        ok,
        f"at least {size(needs.memory)}",
        size(facts.memory),
        f"use a larger host or lower {setting('memory_min')}",
    )


def disks(info: Mapping[str, Any]) -> list[str]:
    """Return the directories in which an engine keeps volumes and images, by what it says of itself.

    With the containerd image store, images are not below its own directory; that of containerd is not reported, and
    /var/lib/containerd unless somebody has changed it. See https://docs.docker.com/engine/storage/containerd/
    """
    return [info["DockerRootDir"], *(["/var/lib/containerd"] if containerd_store(info) else [])]


def containerd_store(info: Mapping[str, Any]) -> bool:
    """Return whether an engine keeps images in containerd, by what it says of itself."""
    status = dict(info.get("DriverStatus") or ())
    return str(status.get("driver-type", "")).startswith("io.containerd.snapshotter")


def _disk(facts: HostFacts, needs: Needs) -> Finding:
    if facts.disk_free is None:
        return Finding("disk", True, f"at least {size(needs.disk_free)} free", "not on this host, not checked")
    ok = facts.disk_free >= needs.disk_free
    found = f"{size(facts.disk_free)} free"
    return Finding(
        "disk", ok, f"at least {size(needs.disk_free)} free", found, "free some with: docker builder prune --all"
    )


def _owner(kind: str, name: str, owner: str, project: str) -> Finding:
    found = f"it belongs to the Compose project {owner}" if owner else "it was not made by Compose"
    remedies = {
        "file": f"give each application a {setting('directory')} of its own",
        "volume": f"choose another name, or set {setting('external_volumes', 'true')} to use it as it is",
    }
    remedy = remedies.get(kind, f"choose another name, or remove it with: docker {kind} rm {name}")
    return Finding(f"{kind} {name}", owner == project, f"absent, or of the Compose project {project}", found, remedy)
