# SPDX-License-Identifier: GPL-3.0-or-later
"""How the last run of each job ended, kept beside the sets."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, replace
from typing import Mapping, Sequence

from .._core.errors import DockerVpsError
from .._store import files

FILE = ".runs.json"


@dataclass(frozen=True)
class Run:
    """A run: when it began (UTC), whether it succeeded, for how many seconds it ran, what it said, and cautions."""

    at: str
    ok: bool
    seconds: float
    message: str
    cautions: Sequence[str] = ()

    def told(self) -> str:
        """Return it in one line."""
        how = "FAILED" if not self.ok else "ok, with a caution" if self.cautions else "ok"
        return f"{how}, {self.at}, {self.seconds} s. {self.message}"


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
        runs: Mapping[str, Run] = {str(job): Run(**one) for job, one in json.loads(kept.text).items()}
        return {job: replace(run, cautions=tuple(run.cautions)) for job, run in runs.items()}
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
