# SPDX-License-Identifier: GPL-3.0-or-later
"""What the messages of restic 0.14 to 0.19 mean, and what to do about them."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
from datetime import datetime, timedelta, timezone
from typing import Tuple

STALE = timedelta(minutes=30)
"""After this long restic calls a lock stale, whoever made it; a process that lives renews its lock every 5 minutes."""
ABSENT = re.compile(
    r"unable to open config file: .*(?:does not exist|no such file)"
    r"|specified (?:bucket|container) does not exist|bucket doesn't exist"
)
# What restic tries again for up to a quarter of an hour, though it cannot change meanwhile.
IN_VAIN = re.compile(
    r"specified (?:bucket|container) does not exist|bucket doesn't exist|403 Forbidden|Access ?Denied"
    r"|Access Key Id you provided does not exist|request signature we calculated does not match"
)
LOCKED = "already locked"
_NOISE = re.compile(r"^(?:Fatal: )+|^.*returned error, retrying after [^:]*: ")
_TELLING = ("subprocess ssh", "unable to create lock", "Fatal")
_NEXT_STEPS = (
    ("wrong password", "Give the password with which the repository was made; without it nobody can read the copies."),
    (LOCKED, "Wait for that process; if it is gone, remove its lock with: restic unlock."),
    ("Host key verification failed", "Put the server's host key into known_hosts of the user who runs this."),
    ("Permission denied", "Correct the credentials: the user, the key or password, and what they may write."),
    ("401 Unauthorized", "Correct the user and the password in the repository's URL."),
    ("403 Forbidden", "Correct the credentials: the user, the key or password, and what they may write."),
    ("Access Denied", "Correct the credentials: the user, the key or password, and what they may write."),
    ("Access Key Id", "Correct the credentials of the storage."),
    ("request signature", "Correct the credentials of the storage."),
    ("bucket does not exist", "Make the bucket, or let these credentials make it."),
    ("contains errors", "Follow what restic says, and copy the sets to a new repository meanwhile."),
    ("", "Is the storage up, and does this host reach it?"),
)


def next_step(stderr: str) -> str:
    """Return what to do about it."""
    return next(step for sign, step in _NEXT_STEPS if sign in stderr)


def cause(stderr: str) -> str:
    """Return the line that tells most, without what it is wrapped in."""
    lines = [line for raw in stderr.splitlines() for line in _plain(raw).splitlines() if line.strip()]
    # Of Go's stack traces every second line is indented, and tells where the one before it is.
    lines = [line for line, after in zip(lines, [*lines[1:], ""]) if "\t" not in (line[:1], after[:1])]
    lines = [line for line in lines if IN_VAIN.search(line)] or lines
    for sign in _TELLING:
        lines = [line for line in lines if line.startswith(sign)] or lines
    return _NOISE.sub("", lines[-1]).strip().rstrip(".") if lines else ""


def _plain(line: str) -> str:
    """Return the message of a line, which newer versions wrap in JSON when they answer in JSON."""
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line


def judged(lock: str) -> Tuple[str, bool]:
    """Return the host of a lock, and whether it is stale by restic's rule: too old, or of a process that is dead."""
    given = json.loads(lock)
    # Nanoseconds, which Python does not read, are between the seconds and the zone.
    made = datetime.strptime(re.sub(r"\.\d+", "", given["time"]), "%Y-%m-%dT%H:%M:%S%z")
    dead = given["hostname"] == socket.gethostname() and not _lives(given["pid"])
    return given["hostname"], dead or datetime.now(timezone.utc) - made > STALE


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True
