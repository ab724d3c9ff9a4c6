# SPDX-License-Identifier: GPL-3.0-or-later
"""How the last run of each job ended, kept beside the sets."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from typing import Mapping

from .._core.errors import DockerVpsError
from .._store import files

FILE = ".runs.json"


@dataclass(frozen=True)
class Run:
    """A run: when it began (UTC), whether it succeeded, how many seconds it took, and what it said."""

    at: str
    ok: bool
    seconds: float
    message: str

    def told(self) -> str:
        """Return it in one line."""
        return f"{'ok' if self.ok else 'FAILED'}, {self.at}, {self.seconds} s. {self.message}"


def read(directory: str) -> dict[str, Run]:
    """Return the last run of each job; a job that never ran is not in it.

    Raises:
        DockerVpsError: the file cannot be read or is damaged.
    """
    path = os.path.join(directory, FILE)
    kept = files.read(path)
    if kept is None:
        return {}
    try:
        return {str(job): Run(**one) for job, one in json.loads(kept.text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise DockerVpsError(f"{path} is damaged; remove it, and the next run of each job begins a new one.") from error


def record(directory: str, job: str, run: Run) -> None:
    """Keep a run as the last one of its job. The directory exists.

    Raises:
        DockerVpsError: it cannot be written.
    """
    # Jobs may end at the same time; the directory itself is a lock that is always there.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        runs: Mapping[str, Run] = {**read(directory), job: run}
        text = json.dumps({name: asdict(one) for name, one in runs.items()}, indent=2) + "\n"
        files.replace(os.path.join(directory, FILE), files.Kept(text, 0o600, os.geteuid(), os.getegid()))
    finally:
        os.close(descriptor)
