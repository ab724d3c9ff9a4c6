# SPDX-License-Identifier: GPL-3.0-or-later
"""apt and dpkg of the host."""

from __future__ import annotations

import os
import time
from typing import Callable, Sequence

from .._core.errors import DockerVpsError
from .._core.remedies import again
from .compose import complete, run

WITHIN = 1800.0  # seconds for a slow line
LOCKED = 300.0  # seconds for another process that holds the lock, such as the first upgrades of a new host
_HELD = "Could not get lock"
_ENVIRONMENT = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


class Apt:
    """What is asked of them. What takes a lock waits for another process that holds it."""

    def __init__(self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._now, self._sleep = now, sleep

    def architecture(self) -> str:
        """Return the architecture of the host's packages.

        Raises:
            DockerVpsError: there is no dpkg.
        """
        return _run("dpkg", "--print-architecture").strip()

    def installed(self) -> set[str]:
        """Return the names of all packages that are installed; none where there is no dpkg."""
        return {line.split()[0] for line in self.versions()}

    def versions(self) -> set[str]:
        """Return all packages that are installed, each with its version; none where there is no dpkg."""
        try:
            lines = _run(
                "dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Package} ${Version}\\n"
            ).splitlines()
        except DockerVpsError:
            return set()
        return {line[3:] for line in lines if line.startswith("ii ")}

    def update(self, path: str = "") -> str:
        """Read the lists of the repositories that a file names, or of all.

        Returns:
            The process whose lock was waited for, in apt's words; empty when there was none.

        Raises:
            DockerVpsError: one of them cannot be read, or another process holds the lock all the time.
        """
        only = {"Dir::Etc::SourceList": path, "Dir::Etc::SourceParts": "-", "APT::Get::List-Cleanup": "0"}
        how = {**(only if path else {}), "APT::Update::Error-Mode": "any"}
        holder, why = self._get("update", "--quiet", *(f"--option={name}={value}" for name, value in how.items()))
        if why:
            raise DockerVpsError(f"apt cannot use what {path or '/etc/apt'} names: {why}. Fix that, and {again()}.")
        return holder

    def install(self, packages: Sequence[str], replaced: Sequence[str]) -> str:
        """Install packages, or upgrade them, and remove others in the same step.

        Returns:
            As ``update``.

        Raises:
            DockerVpsError: that cannot be done, or another process holds the lock all the time.
        """
        kept = [f"--option=Dpkg::Options::={option}" for option in ("--force-confdef", "--force-confold")]
        names = [*packages, *(f"{name}-" for name in replaced)]
        holder, why = self._get("install", "--quiet", "--yes", "--no-install-recommends", *kept, *names)
        if why:
            raise DockerVpsError(f"apt cannot install {', '.join(packages)}: {why}. Fix that, and {again()}.")
        return holder

    def would_change(self, packages: Sequence[str]) -> bool:
        """Return whether packages would be installed or upgraded, as far as the lists on the host tell."""
        try:
            lines = _run("apt-get", "install", "--simulate", "--no-install-recommends", *packages).splitlines()
        except DockerVpsError:  # a list is not there yet
            return True
        return any(line.startswith("Inst ") for line in lines)

    def _get(self, *arguments: str) -> tuple[str, str]:
        """Run apt-get as soon as no other process holds its locks; return who held one, and why it failed."""
        end, holder = self._now() + LOCKED, ""
        while True:
            try:
                done = complete(["apt-get", *arguments], WITHIN, {**os.environ, **_ENVIRONMENT})
            except TimeoutError as error:
                raise DockerVpsError(f"apt-get {arguments[0]} {error}.") from error
            lines = [line.partition(": ")[2] for line in done.stderr.splitlines() if line.startswith(("E: ", "W: "))]
            held = next((line for line in lines if _HELD in line), "")
            if not done.returncode:
                return holder, ""
            if not held or self._now() >= end:
                return holder, held or " ".join(lines) or "it gave no reason"
            holder = held
            self._sleep(2)


def _run(*command: str) -> str:
    return run(list(command), 60, {**os.environ, **_ENVIRONMENT})
