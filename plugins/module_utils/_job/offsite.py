# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy sets off-site, bring them back, and keep as many there as the retention says."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import Any, Callable, ContextManager, Iterable, List, Mapping, Protocol, Sequence, Tuple

from .._core.catalog import time_of
from .._core.errors import DockerVpsError, InvalidInput
from .._core.retention import Candidate, Policy, decide
from .._store import remote
from .._store.lock import locked
from .._store.remote import Remote
from .._store.restic import Snapshot
from .._store.sets import BackupSet, Sets
from .backup import RESERVE, WallClock, size
from .verify import problems

LOCK = ".lock-offsite"

Rows = List[Mapping[str, Any]]


class Repository(remote.Repository, Protocol):
    """What is needed of a repository; see _store/restic.py."""

    def exists(self) -> bool:
        """Return whether it is there."""
        raise NotImplementedError

    def create(self) -> None:
        """Make it."""
        raise NotImplementedError

    def forget(self, snapshots: Sequence[Snapshot]) -> None:
        """Remove snapshots and their data."""
        raise NotImplementedError

    def check(self, read_data: str) -> None:
        """Verify everything."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """What to do: ``state`` is copied, fetched, listed, pruned or checked; ``which`` is latest, all, or a set."""

    state: str = "copied"
    which: str = "latest"
    policy: Policy = field(default_factory=Policy)
    read_data: str = ""


def run(params: Params, sets: Sets, repository: Repository, clock: WallClock, check_mode: bool) -> dict[str, Any]:
    """Do it and return what became of each set, newest first.

    Raises:
        DockerVpsError: it cannot be done. Sets that were copied or fetched before that stay.
    """
    job = _Offsite(params, sets, repository, clock, check_mode)
    states: Mapping[str, Callable[[], Tuple[Rows, str]]] = {
        "copied": job.copied,
        "fetched": job.fetched,
        "listed": job.listed,
        "pruned": job.pruned,
        "checked": job.checked,
    }
    with job.alone():
        job.look()
        rows, summary = states[params.state]()
    return {
        "changed": job.changed,
        "repository": repository.name,
        "created": job.created,
        "sets": rows,
        "summary": summary,
    }


class _Offsite:
    """The states, and what was there before: ``remotes`` newest first, ``strays`` belong to no whole set."""

    def __init__(self, params: Params, sets: Sets, repository: Repository, clock: WallClock, check_mode: bool) -> None:
        self.params, self.sets, self.repository = params, sets, repository
        self.clock, self.check_mode = clock, check_mode
        self.changed = self.created = False
        self.remotes: Sequence[Remote] = ()
        self.strays: Sequence[Snapshot] = ()
        self.where = f"{sets.app} in {repository.name}"

    def alone(self) -> ContextManager[None]:
        """Hold the lock that the state needs; a copy may take hours, and must not keep the next backup waiting."""
        if self.check_mode or self.params.state in ("listed", "checked"):
            return contextlib.nullcontext()
        self.sets.prepare()
        if self.params.state == "fetched":
            return self.sets.lock("a fetch of a set")
        return locked(os.path.join(self.sets.directory, LOCK), f"off-site work on the sets of {self.sets.app}")

    def look(self) -> None:
        """See what is there, before anything is done."""
        if self.repository.exists():
            self.remotes, self.strays = remote.sets_in(self.repository, self.sets.app)
        elif self.params.state == "copied":
            self.created = True
        else:
            raise DockerVpsError(
                f"There is no restic repository at {self.repository.name}. Correct the address; "
                "the first copy makes the repository."
            )

    def copied(self) -> Tuple[Rows, str]:
        """Send what is not there."""
        known = {one.stamp: one for one in self.remotes}
        chosen = self.local()
        if self.created and not self.check_mode:
            self.repository.create()
        rows, failed = [], []
        for one in chosen:
            try:
                there = known.get(one.manifest.stamp)
                rows.append(_told(there, "there") if there else self.send(one))
            except DockerVpsError as error:
                failed.append(error)  # one that is damaged must not keep the others here
        if failed:
            raise DockerVpsError(" ".join(error.message for error in failed), **failed[0].evidence)
        sent = [row for row in rows if row["status"] == "sent"]
        self.changed = bool(sent)
        if not sent:
            return rows, f"Nothing to send: {_named(rows)} of {self.where} is there already."
        total, added = (size(sum(row[key] for row in sent)) for key in ("bytes", "added"))
        if self.check_mode:
            return rows, f"{_named(sent)} of {self.where} would be sent: {total} before deduplication."
        return rows, f"{_named(sent)} of {self.where}: {total} copied, {added} of it new."

    def local(self) -> Sequence[BackupSet]:
        """Return the sets to send."""
        here = self.sets.listing().sets
        if self.params.which == "all" and here:
            return here
        one = self.sets.find("latest" if self.params.which == "all" else self.params.which, self.clock.utc())
        if one.manifest.app != self.sets.app:
            raise InvalidInput(
                f"Set {one.manifest.stamp} is of {one.manifest.app}, not of {self.sets.app}; name the right app."
            )
        return [one]

    def send(self, one: BackupSet) -> Mapping[str, Any]:
        """Send a set."""
        began = self.clock.now()
        added = 0 if self.check_mode else remote.send(one, self.repository, self.sets.app)
        names = [archive.name for archive in one.manifest.archives]
        return _row(
            one.manifest.stamp, "sent", names, remote.plain_bytes(one), added=added, seconds=self.clock.now() - began
        )

    def fetched(self) -> Tuple[Rows, str]:
        """Bring back what is not here, or not whole."""
        wanted = self.wanted()
        stamps = {one.stamp for one in wanted}
        local = [one for one in self.sets.listing().sets if one.manifest.stamp in stamps]
        here = {one.manifest.stamp for one in local if not problems(one, "checksum")}
        rows = [_told(one, "there") if one.stamp in here else self.fetch(one) for one in wanted]
        new = [row for row in rows if row["status"] == "fetched"]
        self.changed = bool(new)
        if not new:
            return rows, f"Nothing to fetch: {_named(rows)} of {self.sets.app} is in {self.sets.directory} already."
        total, verb = size(sum(row["bytes"] for row in new)), "would be fetched" if self.check_mode else "fetched"
        return rows, f"{_named(new)} of {self.where}: {total} {verb} into {self.sets.directory}."

    def wanted(self) -> Sequence[Remote]:
        """Return the sets to fetch; latest passes over those that are dated later than now."""
        which, now = self.params.which, self.clock.utc()
        if which == "latest":
            found = [one for one in self.remotes if time_of(one.stamp) <= now][:1]
        else:
            found = [one for one in self.remotes if which in ("all", one.stamp)]
        if not found:
            there = ", ".join(one.stamp for one in self.remotes) or "none"
            raise DockerVpsError(f"There is no set {which!r} of {self.where}; there are: {there}.")
        return found

    def fetch(self, one: Remote) -> Mapping[str, Any]:
        """Bring back a set."""
        if self.check_mode:
            return _told(one, "fetched")
        began, needed, free = self.clock.now(), one.bytes + RESERVE, self.sets.free()
        if free < needed:
            raise DockerVpsError(
                f"{self.sets.directory} has {size(free)} free, and set {one.stamp} needs {size(needed)}. "
                "Remove old sets (backup_prune), or choose a directory on a larger disk."
            )
        remote.fetch(one, self.repository, self.sets)
        return _told(one, "fetched", seconds=self.clock.now() - began)

    def listed(self) -> Tuple[Rows, str]:
        """Tell what is there."""
        rows = [_told(one, "there") for one in self.remotes]
        return rows, f"{_count(rows)} of {self.where}{': ' if rows else ''}{', '.join(row['set'] for row in rows)}."

    def pruned(self) -> Tuple[Rows, str]:
        """Remove the sets that no rule keeps, and what interrupted copies left."""
        by_stamp = {one.stamp: one for one in self.remotes}
        candidates = [
            Candidate(one.stamp, time_of(one.stamp), kind=" ".join(sorted(one.archives))) for one in self.remotes
        ]
        decisions = decide(candidates, self.params.policy, self.clock.utc())
        dropped = [by_stamp[one.name] for one in decisions if not one.keep]
        gone = [*(part for one in dropped for part in one.snapshots), *self.strays]
        self.changed = bool(gone)
        if gone and not self.check_mode:
            self.repository.forget(gone)
        rows = [
            _told(by_stamp[one.name], "kept" if one.keep else "removed", why=", ".join(one.reasons))
            for one in decisions
        ]
        verb = "would be removed" if self.check_mode else "removed"
        return rows, f"{_count(dropped)} of {self.where} {verb}, {len(rows) - len(dropped)} kept."

    def checked(self) -> Tuple[Rows, str]:
        """Have the repository verified."""
        self.repository.check(self.params.read_data)
        rows = [_told(one, "there") for one in self.remotes]
        return rows, f"{_count(rows)} of {self.where}: restic read {self.params.read_data or 'no'} data, no error."


def _told(one: Remote, status: str, **more: Any) -> Mapping[str, Any]:
    return _row(one.stamp, status, one.archives, one.bytes, **more)


def _row(
    stamp: str, status: str, archives: Iterable[str], total: int, why: str = "", added: int = 0, seconds: float = 0.0
) -> Mapping[str, Any]:
    return {
        "set": stamp,
        "status": status,
        "why": why,
        "archives": list(archives),
        "bytes": total,
        "added": added,
        "seconds": round(seconds, 3),
    }


def _named(rows: Rows) -> str:
    return f"Set{'s' if len(rows) > 1 else ''} {', '.join(row['set'] for row in rows)}"


def _count(things: Sequence[object]) -> str:
    return f"{len(things)} set{'' if len(things) == 1 else 's'}"
