# SPDX-License-Identifier: GPL-3.0-or-later
"""Examine databases in a process of its own, which others can end: see ``examiner``.

What is in a database may be anybody's work: a small one can keep SQLite busy for hours, or make it need all memory. So
each question comes with limits, and what exceeds them is not checked.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sqlite3
import sys
import time
from typing import IO, Any, Dict, Iterator, Mapping, Tuple

from .._core.databases import DAMAGED, NOT_CHECKED, SOUND, is_finding, judged, unable
from .._core.errors import DockerVpsError
from .._core.pages import MOST, look
from .numbers import unreadable
from .sqlite import (
    FAILURES,
    Header,
    at_rest,
    bear,
    count,
    header,
    limited,
    message_of,
    opened,
    schema_fingerprint,
    tables,
)

HOST = (
    sqlite3.sqlite_version_info[0] * 1_000_000 + sqlite3.sqlite_version_info[1] * 1000 + sqlite3.sqlite_version_info[2]
)
"""The number of this host's SQLite library."""

_PR_SET_PDEATHSIG = 1  # https://www.man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
_STEPS = 200  # of SQLite's virtual machine between checks at the clock; one can build a string of a gigabyte
# The parts of the time after which the check ends, and the count of rows; what is left is for the look at pages.
_CHECKED, _COUNTED = 0.5, 0.75
_SHARE = 10  # the part of the time for the look at numbers
_LONGEST = 16  # the part of the memory that one string or blob may need


class _TooLong(Exception):
    """The time is over."""


def main(parent: int) -> None:
    """Answer questions, one a line of JSON, until there are no more or the process that asks them is gone."""
    with contextlib.suppress(Exception):  # where that is not possible, an end of the input does it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's; whoever asks decides
    if os.getppid() == parent:
        serve(sys.stdin, sys.stdout)


def serve(questions: IO[str], answers: IO[str]) -> None:
    """Answer questions, one a line of JSON."""
    for question in questions:
        answers.write(json.dumps(answer(json.loads(question))) + "\n")
        answers.flush()


def answer(question: Mapping[str, Any]) -> Dict[str, Any]:
    """Examine one database and return what is known about it, or why it cannot be read.

    Args:
        question: its ``path``; whether it is ``live``, so that others may be using it; the limits for all steps
            together, ``seconds`` and ``memory`` (bytes, beyond what the process has now); and ``wait``, the seconds to
            wait for a lock.
    """
    _limit(question["memory"])
    try:
        return _examined(question["path"], question["live"], question["seconds"], question["memory"], question["wait"])
    except DockerVpsError as error:
        return {"error": error.message}
    except MemoryError:
        return {"check": NOT_CHECKED, "why": f"it needs more than {question['memory'] // 1024**2} MiB of memory"}


def _limit(memory: int) -> None:
    with open("/proc/self/statm", encoding="ascii") as sizes:
        now = int(sizes.read().split()[0]) * resource.getpagesize()
    _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = now + memory if hard == resource.RLIM_INFINITY else min(now + memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _examined(path: str, live: bool, seconds: float, memory: int, wait: float) -> Dict[str, Any]:
    about = header(path)
    with opened(path, about, wait) if live else at_rest(path) as connection:
        _restrain(connection, memory)
        connection.execute("BEGIN")  # one state for all questions
        if live:
            connection.execute("PRAGMA schema_version").fetchone()  # what keeps others' databases from being read
        began = time.monotonic()
        check, why = _checked(connection, about, seconds * _CHECKED, memory)
        found = {"check": check, "why": why, "schema": "", "tables": {}, "uncounted": []}
        with contextlib.suppress(*FAILURES, MemoryError), _within(connection, began + seconds * _COUNTED) as until:
            bear(connection)
            pages, size = (connection.execute(f"PRAGMA page_{field}").fetchone()[0] for field in ("count", "size"))
            found["bytes"] = pages * size
            found["uncounted"] = tables(connection)  # until they are
            found["schema"] = schema_fingerprint(connection)
            found["tables"], found["uncounted"] = count(connection, until)
        if check == SOUND and not why:
            until = min(began + seconds, time.monotonic() + seconds / _SHARE)
            with contextlib.suppress(*FAILURES, MemoryError), _within(connection, until):
                found["why"] = unreadable(connection, found["tables"])
    if check == NOT_CHECKED and not live:
        _look_at_pages(path, began + seconds, found)
    return found


@contextlib.contextmanager
def _within(connection: sqlite3.Connection, until: float) -> Iterator[float]:
    """Interrupt a connection when a monotonic time has come, which it gives."""
    connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)  # between the instructions
    with limited(connection, until - time.monotonic()):  # within one
        yield until


def _restrain(connection: sqlite3.Connection, memory: int) -> None:
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")
    if sys.version_info >= (3, 11):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, memory // _LONGEST)


def _checked(connection: sqlite3.Connection, about: Header, seconds: float, memory: int) -> Tuple[str, str]:
    try:
        with _within(connection, time.monotonic() + seconds):
            return judged([line for (line,) in connection.execute(f"PRAGMA integrity_check({MOST})")])
    except FAILURES as error:
        message = message_of(error)
        if is_finding(message):
            return DAMAGED, message
        if "interrupted" in message:
            return NOT_CHECKED, f"its check took longer than {seconds:g} seconds"
        if "out of memory" in message:
            return NOT_CHECKED, f"its check needs more than {memory // 1024**2} MiB of memory"
        return NOT_CHECKED, unable(message, HOST, 0 if about.version == HOST else about.version)
    except MemoryError:
        return NOT_CHECKED, f"its check needs more than {memory // 1024**2} MiB of memory"


def _look_at_pages(path: str, until: float, found: Dict[str, Any]) -> None:
    """Look at least at the pages of a database that SQLite cannot check, until a monotonic time."""

    def read(offset: int, length: int) -> bytes:
        if time.monotonic() > until:
            raise _TooLong
        return os.pread(file.fileno(), length, offset)

    with contextlib.suppress(_TooLong, MemoryError), open(path, "rb") as file:
        pages = look(read, os.fstat(file.fileno()).st_size)
        if pages.findings:
            found.update(check=DAMAGED, why=f"{'; '.join(pages.findings)} ({found['why']})")
            return
        found["why"] += ". Its pages are whole"
        more = {name: pages.rows[name] for name in found["uncounted"] if name in pages.rows}
        found["tables"] = {**found["tables"], **more}
        found["uncounted"] = [name for name in found["uncounted"] if name not in more]
