# SPDX-License-Identifier: GPL-3.0-or-later
"""apt and dpkg of the host."""

from __future__ import annotations

import os
import time
from typing import Callable

from .._core.errors import DockerVpsError
from .._core.remedies import again
from .compose import complete, run

WITHIN = 600.0  # seconds for reading lists over a slow line
LOCKED = 300.0  # seconds for another process that holds the lock, such as the first upgrades of a new host
_HELD = "Could not get lock"
_ENVIRONMENT = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


class Apt:
    """Commands that read, or fetch lists."""

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
        try:
            lines = _run("dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${Package}\\n").splitlines()
        except DockerVpsError:
            return set()
        return {line.split()[1] for line in lines if line.startswith("ii ")}

    def update(self, path: str) -> None:
        """Read the lists of the repositories that a file names, and of no others.

        Raises:
            DockerVpsError: one of them cannot be read, or another process holds the lock all the time.
        """
        only = {"Dir::Etc::SourceList": path, "Dir::Etc::SourceParts": "-", "APT::Get::List-Cleanup": "0"}
        options = {**only, "APT::Update::Error-Mode": "any"}
        command = ["apt-get", "update", "--quiet", *(f"--option={name}={value}" for name, value in options.items())]
        end = self._now() + LOCKED
        while True:
            try:
                done = complete(command, WITHIN, {**os.environ, **_ENVIRONMENT})
            except TimeoutError as error:
                raise DockerVpsError(f"apt-get update {error}.") from error
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            held = next((line for line in lines if _HELD in line), "")
            if not done.returncode:
                return
            if not held or self._now() >= end:
                break
            self._sleep(2)
        why = held or " ".join(line.partition(": ")[2] or line for line in lines if line.startswith(("E:", "W:")))
        raise DockerVpsError(
            f"apt cannot use what {path} names: {why or 'it gave no reason'}. Mend that, and {again()}."
        )


def _run(*command: str) -> str:
    return run(list(command), 60, {**os.environ, **_ENVIRONMENT})
