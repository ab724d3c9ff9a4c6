# SPDX-License-Identifier: GPL-3.0-or-later
"""Of which point in time a database that Litestream restored is, from what its commands print (0.5.12 and newer)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

UNKNOWN = "Litestream did not say of which point in time the database is."


@dataclass(frozen=True)
class PointInTime:
    """When the state was that came back, "" if it is not known, and a sentence for people."""

    got: str
    sentence: str


def point_in_time(restored: str, listed: str, asked: str) -> PointInTime:
    """Return what came back.

    Args:
        restored: what ``litestream restore -json`` printed, lines of its log before it.
        listed: what ``litestream ltx -json -level all`` printed: each file of the replica with the transactions in it,
            their numbers in hexadecimal, and the time of the last one.
        asked: the point in time that was wanted, as it was given.
    """
    try:
        last = int(_parsed(restored, "{")["txid"], 16)
        files = [_File.of(entry) for entry in _parsed(listed, "[")]
    except (ValueError, KeyError, TypeError):
        return PointInTime("", UNKNOWN)
    files.sort(key=lambda file: file.level)  # the lower, the fewer transactions in one file
    got = next((file.at for file in files if file.last == last), "")
    if not got:
        return PointInTime("", UNKNOWN)
    return PointInTime(got, f"Asked for {asked}, got the database as of {got}{_why(files, last)}")


@dataclass(frozen=True)
class _File:
    """A file of the replica: its level of compaction, its first and last transaction, and the time of the last one."""

    level: int
    first: int
    last: int
    at: str

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> _File:
        return cls(int(entry["level"]), int(entry["min_txid"], 16), int(entry["max_txid"], 16), str(entry["timestamp"]))


def _parsed(printed: str, opening: str) -> Any:
    """Return the JSON that begins with a line of one character, behind any log.

    Raises:
        ValueError: there is none.
    """
    lines = printed.splitlines()
    begin = next((number for number, line in enumerate(lines) if line.strip().startswith(opening)), len(lines))
    return json.loads("\n".join(lines[begin:]))


def _why(files: Sequence[_File], last: int) -> str:
    """Return the end of the sentence: what came after the state that was got."""
    after: Optional[_File] = next((file for file in files if file.first <= last + 1 <= file.last), None)
    if after is None:
        return ", the newest state in the replica."
    if after.first == after.last:
        return f"; the next change in the replica is of {after.at}."
    return f". The replica keeps what was written after that until {after.at} in one piece, so none of it came back."
