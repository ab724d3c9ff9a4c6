# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages a host lacks for the engine, Compose, Buildx and our modules, and where they come from.

The packages of Docker's own repository, and which ones of a distribution stand in their way, are as in
https://docs.docker.com/engine/install/debian/ and https://docs.docker.com/engine/install/ubuntu/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Mapping, Sequence

from .errors import InvalidInput
from .host import version
from .os_release import System
from .remedies import setting

DOCKER, DISTRIBUTION = "docker", "distribution"


@dataclass(frozen=True)
class Found:
    """What a host has; an empty version for what it has not.

    Attributes:
        sdk: whether Python's Docker SDK can be used.
        packages: the names of all packages that are installed.
        absent: of the commands that are needed, those that are not there.
    """

    engine: str
    compose: str
    buildx: str
    sdk: bool
    packages: Collection[str]
    absent: Collection[str]


@dataclass(frozen=True)
class Wanted:
    """What has to be there.

    Attributes:
        engine: the oldest version that will do, as of Compose.
        source: where what is lacking comes from, DOCKER or DISTRIBUTION.
        packages: further ones, each perhaps with others that will do, as ``chrony | ntpsec``.
    """

    engine: str
    compose: str
    source: str
    packages: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """What to do.

    Attributes:
        packages: those to install, or to upgrade.
        repository: whether Docker's own repository is needed for them.
        replaced: packages of the distribution that go, since Docker's take their place. Some have the same files, and
            not all of Docker's say so, hence apt has to be told.
    """

    packages: Sequence[str]
    repository: bool
    replaced: Sequence[str]


@dataclass(frozen=True)
class _Family:
    engine: Sequence[str]
    compose: str
    buildx: str


_OF_DOCKER = _Family(("docker-ce", "docker-ce-cli", "containerd.io"), "docker-compose-plugin", "docker-buildx-plugin")
_OF_DEBIAN = _Family(("docker.io", "docker-cli"), "docker-compose", "docker-buildx")
_OF_UBUNTU = _Family(("docker.io",), "docker-compose-v2", "docker-buildx")
# Debian 12 has an engine of 2021 and no Compose that is a plugin.
_SYSTEMS: Mapping[tuple[str, str], Sequence[_Family]] = {
    ("debian", "12"): (_OF_DOCKER,),
    ("debian", "13"): (_OF_DOCKER, _OF_DEBIAN),
    ("ubuntu", "22.04"): (_OF_DOCKER, _OF_UBUNTU),
    ("ubuntu", "24.04"): (_OF_DOCKER, _OF_UBUNTU),
    ("ubuntu", "26.04"): (_OF_DOCKER, _OF_UBUNTU),
}
_SUPPORTED = "Debian 12 and 13, and Ubuntu 22.04, 24.04 and 26.04"
_REPLACED = {
    "engine": ("docker.io", "docker-cli", "docker-doc", "podman-docker"),
    "compose": ("docker-compose", "docker-compose-v2"),
    "buildx": ("docker-buildx",),
}
_COMMANDS = {"git": "git", "ssh": "openssh-client", "ssh-keygen": "openssh-client"}


def plan(system: System, found: Found, wanted: Wanted) -> Plan:
    """Return what to install. An engine, a Compose and a Buildx that will do are left alone.

    Raises:
        InvalidInput: the distribution is not supported, or does not have what is wanted, or somebody has installed the
            engine without its packages.
    """
    families = _SYSTEMS.get((system.id, system.version))
    lacking, further = _lacking(found, wanted), _further(found, wanted)
    if families is None and (lacking or further or not found.sdk or found.absent):
        raise InvalidInput(
            f"This host runs {system.name or system.id or 'an unknown system'}, and setup knows {_SUPPORTED}. Install "
            "Docker with Compose and Buildx as https://docs.docker.com/engine/install/ says, and git and Python's "
            "Docker SDK; all other plays only ask whether they are there."
        )
    family = _family(system, families or (), found, wanted) if lacking else _OF_DOCKER
    theirs = family is _OF_DOCKER and bool(lacking)
    installed = {part: [name for name in names if name in found.packages] for part, names in _REPLACED.items()}
    if "engine" in lacking:  # a newer one refuses older clients, which Compose is, too
        lacking = list(_REPLACED)
    packages = [package for part in lacking for package in _packages(family, part)]
    packages += sorted({_COMMANDS.get(command, command) for command in found.absent})
    packages += [*([] if found.sdk else ["python3-docker"]), *further]
    replaced = [package for part in lacking if theirs for package in installed[part]]
    return Plan(packages, theirs, replaced)


def _lacking(found: Found, wanted: Wanted) -> list[str]:
    parts = [
        ("engine", found.engine, wanted.engine),
        ("compose", found.compose, wanted.compose),
        ("buildx", found.buildx, ""),
    ]
    return [part for part, have, least in parts if not have or version(have) < version(least)]


def _further(found: Found, wanted: Wanted) -> list[str]:
    """Return the first of those that will do, unless one of them is there."""
    choices = [[name.strip() for name in package.split("|")] for package in wanted.packages]
    return [names[0] for names in choices if not any(name in found.packages for name in names)]


def _packages(family: _Family, part: str) -> Sequence[str]:
    return {"engine": family.engine, "compose": (family.compose,), "buildx": (family.buildx,)}[part]


def _family(system: System, families: Sequence[_Family], found: Found, wanted: Wanted) -> _Family:
    """Return whose packages to take: those of the engine that will do, or of the source."""
    installed = [family for family in (_OF_DOCKER, _OF_DEBIAN, _OF_UBUNTU) if family.engine[0] in found.packages]
    if found.engine and version(found.engine) >= version(wanted.engine):
        if not installed:
            raise InvalidInput(
                f"This host has engine {found.engine}, which no package has brought (docker-ce or docker.io), so that "
                "setup cannot tell which Compose and Buildx go with it. Install both as you have installed the engine."
            )
        return next((family for family in families if family.engine[0] == installed[0].engine[0]), installed[0])
    if wanted.source == DISTRIBUTION and len(families) == 1:
        raise InvalidInput(
            f"{system.name} has no engine that is new enough, and no Compose v2. Take Docker's own packages: "
            f"{setting('engine_source', DOCKER)}."
        )
    return families[-1] if wanted.source == DISTRIBUTION else families[0]
