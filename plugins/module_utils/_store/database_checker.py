# SPDX-License-Identifier: GPL-3.0-or-later
"""Have databases examined by a process that can be ended, and that holds nothing of ours.

One process answers one question after the other, because starting it takes longer than most answers. It inherits no
descriptor but its pipes, so no lock either, ends with the process that asks, and is ended when it exceeds a limit; then
another one answers the next question.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Tuple

from .._core.databases import LONGEST, NOT_CHECKED, brief
from .._core.errors import DockerVpsError
from .._core.sqlite_versions import dotted, known_data_loss
from .._core.text import shown
from . import database_check, sqlite

_MIB = 1024**2
_GRACE = 2.0  # seconds, for what SQLite does not interrupt
# Starting Python alone would look for sitecustomize and in the user's folders, which is none of our business.
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from {name} import main; main(int(sys.argv[2]))"


@dataclass(frozen=True)
class CheckLimits:
    """What the examination of one database may need: seconds for all of its steps together, and bytes of memory."""

    seconds: float
    memory: int


def own_limits(size: int) -> CheckLimits:
    """Return the limits for a database of the application's own, by its size in bytes."""
    return CheckLimits(120.0 + 2 * size / _MIB, 512 * _MIB + size // 64)


FOREIGN = CheckLimits(5.0, 128 * _MIB)
"""For a database that somebody put into a volume."""


@dataclass(frozen=True)
class DatabaseFacts:
    """What is known about a database."""

    journal_mode: str  # "wal" or "rollback"
    sqlite_version: str  # of the library that last wrote its first page, such as "3.45.1"; empty when not known
    bytes: int
    check: str  # see _core/databases
    schema: str  # fingerprint, sha256 in hex
    tables: Mapping[str, int]  # rows by ordinary table
    lock_seconds: (
        float  # longest time that the application could not commit because of the copy, seconds; 0.0 in WAL mode
    )
    warning: str  # a known bug of that library that loses data, in one sentence; or empty
    why: str = ""  # what the check found, or why it could not be made
    uncounted: Tuple[str, ...] = ()  # ordinary tables that are not in ``tables``


TOO_FAR: Mapping[str, Any] = {
    "check": NOT_CHECKED,
    "why": f"its path on this host has more than {LONGEST} bytes, which SQLite does not open",
}
"""Why a database with such a path is not checked."""


class DatabaseChecker:
    """Examines databases; the process for it starts at the first, and ends with the context."""

    def __init__(self) -> None:
        self._process: Optional[subprocess.Popen[bytes]] = None

    def __enter__(self) -> DatabaseChecker:
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    def copy(
        self, live: str, target: str, *, wait: float = 5.0, pause: Callable[[float], None] = time.sleep
    ) -> DatabaseFacts:
        """Copy a database that may be in use, and examine the copy; see ``sqlite.copy``."""
        self._started()  # meanwhile
        copied = sqlite.copy(live, target, wait=wait, pause=pause)
        return self._facts(target, copied.wal, copied.version, copied.lock_seconds)

    def facts(
        self, path: str, *, live: bool = False, wait: float = 5.0, limits: Optional[CheckLimits] = None
    ) -> DatabaseFacts:
        """Return the facts about a database after a full check, within limits: those of an own one, or others.

        Args:
            live: whether others may be using it.

        Raises:
            DockerVpsError: it is no readable database, or locked for longer than ``wait`` seconds.
        """
        about = sqlite.header(path)
        return self._facts(path, about.wal, sqlite.writer(path, about), 0.0, live, wait, limits)

    def _facts(
        self,
        path: str,
        wal: bool,
        writer: int,
        lock_seconds: float,
        live: bool = False,
        wait: float = 0.0,
        limits: Optional[CheckLimits] = None,
    ) -> DatabaseFacts:
        size = os.stat(path).st_size
        allowed = limits or own_limits(size)
        wait = wait if live else 0.0  # nobody has a lock on what is at rest
        question = {"path": path, "live": live, "wait": wait, "seconds": allowed.seconds, "memory": allowed.memory}
        answer = TOO_FAR if not sqlite.fits(path) else self._asked(question, allowed.seconds + wait + _GRACE)
        if "error" in answer:
            raise DockerVpsError(answer["error"])
        known = 0 if writer == database_check.HOST else writer  # it may be the copier's: this host's own number
        return DatabaseFacts(
            journal_mode="wal" if wal else "rollback",
            sqlite_version=dotted(known),
            bytes=answer.get("bytes", size),
            check=answer["check"],
            schema=answer.get("schema", ""),
            tables={shown(name): rows for name, rows in answer.get("tables", {}).items()},
            lock_seconds=lock_seconds,
            warning=known_data_loss(known, wal) or "",
            why=brief(shown(answer["why"])),
            uncounted=tuple(map(shown, answer.get("uncounted", ()))),
        )

    def _asked(self, question: Mapping[str, Any], seconds: float) -> Mapping[str, Any]:
        """Return the answer to a question, or why there is none after so many seconds."""
        process = self._started()
        line = b""
        until = time.monotonic() + seconds
        try:
            os.write(_number(process.stdin), json.dumps(question).encode() + b"\n")
            while not line.endswith(b"\n"):
                if not select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                    self._end()
                    return {"check": NOT_CHECKED, "why": f"its check took longer than {question['seconds']:g} seconds"}
                read = os.read(_number(process.stdout), 1 << 20)
                if not read:
                    break
                line += read
        except BrokenPipeError:
            pass
        if not line.endswith(b"\n"):  # it ended before the end of its answer
            code = self._end()
            return {"check": NOT_CHECKED, "why": f"the process that examined it ended with {code}"}
        answer: Mapping[str, Any] = json.loads(line)
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            name, levels = database_check.__name__, database_check.__name__.count(".") + 1
            root = os.path.abspath(database_check.__file__)
            for _level in range(levels):
                root = os.path.dirname(root)  # a folder, or an archive, that Python imports from
            # pylint: disable-next=ansible-bad-function
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _CODE.format(name=name), root, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
        return self._process

    def _end(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        return process.wait()


def facts(path: str, *, live: bool = False, wait: float = 5.0) -> DatabaseFacts:
    """Return the facts about one database; see ``DatabaseChecker.facts``."""
    with DatabaseChecker() as examiner:
        return examiner.facts(path, live=live, wait=wait)


def _number(pipe: Any) -> int:
    return int(pipe.fileno())
