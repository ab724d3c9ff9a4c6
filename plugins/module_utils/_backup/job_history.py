# SPDX-License-Identifier: GPL-3.0-or-later
"""How the last run of each job ended, kept beside the sets; a run that could not say so counts as failed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, Iterator, Mapping, Optional, Sequence

from .._store import files
from .._store.lock import flocked

PREFIX, SUFFIX = ".run-", ".json"
UNKNOWN = "It did not record how it ended: it was killed, or nothing could be written. journalctl has its output."
_LONG_AGO = 24 * 3600  # seconds since 1970
_LARGEST = 1 << 20  # bytes


@dataclass(frozen=True)
class Run:
    """A run: when it began (UTC), whether it succeeded, for how many seconds it ran, its message, and cautions."""

    at: str
    success: bool
    seconds: float
    message: str
    cautions: Sequence[str] = ()

    def summary(self) -> str:
        """Return it in one line."""
        how = "FAILED" if not self.success else "ok, with a caution" if self.cautions else "ok"
        return f"{how}, {self.at}, {self.seconds} s. {self.message}"


def read(directory: str) -> dict[str, Run]:
    """Return how the last run of each job ended; a job that never ran, or is at its first run, is not in it.

    A run that was killed, or found no space to say how it ended, has failed. While a job is running, the run before is
    the last one.
    """
    found = {job: _last(os.path.join(directory, _file(job))) for job in _jobs(directory)}
    return {job: run for job, run in found.items() if run}


@contextlib.contextmanager
def begun(directory: str, job: str) -> Iterator[None]:
    """Let it be known that a job is running, so that its last run is not taken for this one if nothing more is written.

    The time of the record becomes 1970, which needs no space on a full disk, and the record is locked as long as the
    job is running. What cannot be marked is left as it is: the job has something better to do.
    """
    descriptor = -1
    try:
        with contextlib.suppress(OSError):
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(os.path.join(directory, _file(job)), flags, 0o600)
            flocked(descriptor)
            os.utime(descriptor, (0, 0))
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def record(directory: str, job: str, run: Run) -> None:
    """Keep a run as the last one of its job. The directory exists.

    Raises:
        DockerVpsError: it cannot be written.
    """
    text = json.dumps(asdict(run), indent=2) + "\n"
    files.replace(os.path.join(directory, _file(job)), files.own(text))


def _file(job: str) -> str:
    return f"{PREFIX}{job}{SUFFIX}"


def _jobs(directory: str) -> Sequence[str]:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return ()
    whole = (name for name in names if name.startswith(PREFIX) and name.endswith(SUFFIX))
    return [name[len(PREFIX) : -len(SUFFIX)] for name in whole]


def _last(path: str) -> Optional[Run]:
    """Return what a record says; None when there is none yet."""
    try:
        with files.open_regular(path) as file:
            text = file.read(_LARGEST)
            facts = os.fstat(file.fileno())
            if facts.st_mtime < _LONG_AGO and flocked(file.fileno(), fcntl.LOCK_SH):  # nothing is running
                if os.fstat(file.fileno()).st_nlink == 0:  # it ended meanwhile, and has left another record
                    return _last(path)
                began = datetime.fromtimestamp(facts.st_ctime, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
                return Run(began, False, 0.0, UNKNOWN)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _unreadable(path, error.strerror or str(error))
    return _parsed(path, text) if text else None


def _parsed(path: str, text: bytes) -> Run:
    try:
        given = json.loads(text)
        values: Mapping[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
        }
        run = Run(**values)
        if not isinstance(run.at, str) or not isinstance(run.message, str) or not isinstance(run.seconds, (int, float)):
            raise ValueError(run)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return _unreadable(path, "it is damaged")
    return run


def _unreadable(path: str, why: str) -> Run:
    return Run("", False, 0.0, f"{path} cannot be read: {why}. Remove it; the next run of the job begins a new one.")
