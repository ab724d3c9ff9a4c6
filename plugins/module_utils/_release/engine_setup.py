# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at what a host lacks before anything can be deployed on it, and say what would be installed."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any, Collection, Protocol, Sequence

from .._core.apt_sources import WRITTEN
from .._core.engine_packages import Found, Wanted, plan
from .._core.errors import InvalidInput
from .._core.host import broken_sdk
from .._core.os_release import System
from .._store import files

OWN_PYTHON = "/usr/bin/python3"
"""The interpreter for which a distribution has packages."""


class Host(Protocol):
    """What is needed of the host itself."""

    python: str
    sdk: bool

    def sdk_fault(self) -> str:
        """Return why the Docker SDK cannot reach any engine, empty when it can."""
        raise NotImplementedError

    def absent(self, commands: Sequence[str]) -> list[str]:
        """Return those of the commands that are not there."""
        raise NotImplementedError

    def plugin_versions(self, plugins: Sequence[str]) -> list[str]:
        """Return the versions of plugins of the docker command, empty for each that there is not."""
        raise NotImplementedError


class Packages(Protocol):
    """What is needed of dpkg."""

    def installed(self) -> Collection[str]:
        """Return the names of all packages that are installed."""
        raise NotImplementedError


class Service(Protocol):
    """What is needed of the engine, whether there is one or not."""

    def version(self) -> str:
        """Return its version, also when it is stopped; empty when there is none."""
        raise NotImplementedError

    def holders_of_its_socket(self) -> Sequence[str]:
        """Return the names of the running containers that have its socket."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """See the module engine_setup_info.

    Attributes:
        apt_source: the file that names Docker's repository when setup has written it.
    """

    wanted: Wanted
    commands: Sequence[str]
    system: System
    apt_source: str = "/etc/apt/sources.list.d/docker.sources"


def run(params: Params, host: Host, packages: Packages, service: Service) -> dict[str, Any]:
    """Look and return the result.

    Raises:
        InvalidInput: what is lacking cannot be installed here.
    """
    compose, buildx = host.plugin_versions(["compose", "buildx"])
    found = Found(service.version(), compose, buildx, host.sdk, packages.installed(), host.absent(params.commands))
    if host.sdk_fault():
        raise InvalidInput(f"{broken_sdk(host.python, host.sdk_fault())} Nothing was changed.")
    what = plan(params.system, found, params.wanted)
    if not host.sdk and not _is_own(host.python):
        raise InvalidInput(
            f"The Docker SDK is to be installed for {host.python}, and the distribution has it for {OWN_PYTHON}. Set "
            f"ansible_python_interpreter to {OWN_PYTHON}, or install it with: {host.python} -m pip install docker"
        )
    return {
        "changed": False,
        **asdict(what),
        "repository": what.repository or _is_ours(params.apt_source),
        "engine_version": found.engine,
        "compose_version": found.compose,
        "buildx_version": found.buildx,
        "distribution": params.system.id,
        "codename": params.system.codename,
        "warnings": _cautions(found, what.packages, service),
    }


def _is_ours(path: str) -> bool:
    kept = files.read(path, limit=1 << 20)
    return kept is not None and kept.text.startswith(WRITTEN)


def _is_own(python: str) -> bool:
    return os.path.realpath(python) == os.path.realpath(OWN_PYTHON)


def _cautions(found: Found, packages: Sequence[str], service: Service) -> list[str]:
    """Return what may not bear another engine: whoever talks to this one in its own version of the API."""
    names = service.holders_of_its_socket() if found.engine and packages[:1] in (["docker-ce"], ["docker.io"]) else ()
    if not names:
        return []
    return [
        f"Engine {found.engine} is replaced by a newer one, which programs that talk to it may not understand. See "
        f"that these containers work afterwards: {', '.join(names)}."
    ]
