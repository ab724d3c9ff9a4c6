# SPDX-License-Identifier: GPL-3.0-or-later
"""Install packages of the distribution or of a repository, instead of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Collection, Protocol, Sequence


class Apt(Protocol):
    """What is needed of apt."""

    def versions(self) -> Collection[str]:
        """Return all packages that are installed, each with its version."""
        raise NotImplementedError

    def update(self) -> str:
        """Read all lists, and return whose lock was waited for."""
        raise NotImplementedError

    def install(self, packages: Sequence[str], replaced: Sequence[str]) -> str:
        """Install packages and remove others, and return whose lock was waited for."""
        raise NotImplementedError

    def would_change(self, packages: Sequence[str]) -> bool:
        """Return whether packages would be installed or upgraded."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """See the module apt_packages."""

    names: Sequence[str]
    replaced: Sequence[str]


def run(params: Params, apt: Apt, check_mode: bool) -> dict[str, Any]:
    """Install what is lacking or older than what can be had, and return the result.

    Raises:
        DockerVpsError: apt refuses.
    """
    if check_mode:
        return {"changed": apt.would_change(params.names), "warnings": []}
    before = set(apt.versions())
    waits = [apt.update(), apt.install(params.names, params.replaced)]
    changes = sorted(before.symmetric_difference(apt.versions()))
    return {"changed": bool(changes), "packages": changes, "warnings": waited(waits)}


def waited(holders: Sequence[str]) -> list[str]:
    """Return what is to be said of the processes that were waited for."""
    return [f"apt had to wait for another process: {holder}" for holder in dict.fromkeys(filter(None, holders))]
