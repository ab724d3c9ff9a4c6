# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy sets off-site, bring them back, and keep as many there as the retention says.

One repository may serve many hosts: sets are sent, fetched, counted and removed for one host and one application only.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Callable, ContextManager, Iterable, List, Mapping, Optional, Sequence, Tuple, TypeVar

from .._core.clock import WallClock
from .._core.errors import DockerVpsError, InvalidInput
from .._core.remedies import play, setting
from .._core.retention import Policy, decide
from .._core.text import listed, size
from .._store import remote
from .._store.lock import Locked, locked
from .._store.progress_file import begin_step
from .._store.remote import Remote, Repository
from .._store.sets import BackupSet, Sets, latest_of
from .backup import RESERVE
from .offsite_info import OffsiteSets, Rows, counted_sets, refuse_host
from .offsite_removal import candidate, remove, thin
from .verify import problems

LOCK = ".lock-offsite"
_OWN_NAMES = f"Two hosts work under one name: give each host its own {setting('backup_offsite_host')}."

T = TypeVar("T")


@dataclass(frozen=True)
class Params:
    """What to do: ``state`` is copied, fetched or pruned; ``which`` is latest, all, or a set.

    ``host`` is whose sets these are; empty means this one, by its own name. ``only_kept`` is whether a copy of all sets
    leaves out those that the policy would have removed at once.

    Raises:
        InvalidInput: restic could not take the name of the host.
    """

    state: str = "copied"
    which: str = "latest"
    policy: Policy = field(default_factory=Policy)
    host: str = ""
    only_kept: bool = False

    def __post_init__(self) -> None:
        refuse_host(self.host)


def run(params: Params, sets: Sets, repository: Repository, clock: WallClock, check_mode: bool) -> dict[str, Any]:
    """Do it and return what became of each set, newest first.

    Raises:
        DockerVpsError: it cannot be done. Sets that were copied or fetched before that stay.
    """
    job = _Offsite(params, sets, repository, clock, check_mode, params.host or socket.gethostname())
    states: Mapping[str, Callable[[], Tuple[Rows, str]]] = {
        "copied": job.copied,
        "fetched": job.fetched,
        "pruned": job.pruned,
    }
    with job.alone():
        job.created = not job.look()
        if job.created and params.state != "copied":
            raise job.no_repository()
        rows, summary = states[params.state]()
    return {"changed": job.changed, "created": job.created, **job.result(rows, summary)}


class _Offsite(OffsiteSets):
    """The states, and what was there before."""

    def __init__(
        self, params: Params, sets: Sets, repository: Repository, clock: WallClock, check_mode: bool, host: str
    ) -> None:
        super().__init__(sets.app, host, repository)
        self.params, self.sets = params, sets
        self.clock, self.check_mode = clock, check_mode
        self.changed = self.created = False

    def alone(self) -> ContextManager[None]:
        """Hold the lock that the state needs; a copy may take hours, and must not keep the next backup waiting."""
        if self.check_mode:
            return contextlib.nullcontext()
        self.sets.prepare()
        if self.params.state == "fetched":
            return self.sets.lock("a fetch of a set")
        return locked(os.path.join(self.sets.directory, LOCK), f"off-site work on the sets of {self.sets.app}")

    def copied(self) -> Tuple[Rows, str]:
        """Send what is not there."""
        known = {remote_set.id: remote_set for remote_set in self.remotes}
        chosen = self.local()
        for backup_set in chosen:
            self.refuse_another(backup_set, known.get(backup_set.manifest.id), _OWN_NAMES)
        if self.created and not self.check_mode:
            self.repository.create()
        useless = self.useless(chosen, known) if self.params.only_kept and self.params.which == "all" else {}

        def copy(backup_set: BackupSet) -> Mapping[str, Any]:
            existing, why = known.get(backup_set.manifest.id), useless.get(backup_set.manifest.id)
            if existing:
                return _remote_row(existing, "there")
            return self.row(backup_set, "left out", why=why) if why else self.send(backup_set)

        rows = _each(chosen, copy)
        sent, present, left = (
            [row for row in rows if row["status"] == status] for status in ("sent", "there", "left out")
        )
        self.changed = bool(sent)
        more = _left_out(left)
        if not sent:
            already = f": {_named(present)} of {self.where} {_is(present)} there already" if present else ""
            return rows, f"Nothing to send{already}.{more}"
        total, added = (size(sum(row[key] for row in sent)) for key in ("bytes", "added"))
        if self.check_mode:
            return rows, f"{_named(sent)} of {self.where} would be sent: {total} before deduplication.{more}"
        return rows, f"{_named(sent)} of {self.where}: {total} copied, {added} of it new.{more}"

    def useless(self, chosen: Sequence[BackupSet], known: Mapping[str, Remote]) -> Mapping[str, str]:
        """Return the sets that a removal would take away as soon as they were sent, by their timestamps, and why.

        The oldest set here is kept for being that, and need not be the oldest one there.
        """
        now, held = self.clock.utc(), self.held()
        new = [backup_set for backup_set in chosen if backup_set.manifest.id not in known and not backup_set.absent()]
        candidates = [
            candidate(remote_set.id, remote_set.time, remote_set.archives, held) for remote_set in known.values()
        ]
        candidates += [
            candidate(backup_set.manifest.id, backup_set.time, _archives(backup_set), held) for backup_set in new
        ]
        decisions = decide(candidates, self.params.policy, now)
        return {decision.name: ", ".join(decision.reasons) for decision in decisions if not decision.keep}

    def held(self) -> Mapping[str, str]:
        """Return why sets are held back, by their timestamps."""
        now = self.clock.utc()
        return self.sets.held(backup_set.manifest for backup_set in self.sets.listing().sets if backup_set.time <= now)

    def refuse_another(self, backup_set: BackupSet, remote_set: Optional[Remote], step: str) -> None:
        """Refuse to take a set that is there for one that is here, if they only have their timestamp in common.

        Raises:
            DockerVpsError: they are different sets.
        """
        if remote_set and remote.fingerprint(backup_set.manifest) != remote_set.facts:
            raise DockerVpsError(
                f"Set {remote_set.id} of {self.where} is another one than set {remote_set.id} in "
                f"{self.sets.directory}, which was made on {backup_set.manifest.host}. {step}"
            )

    def local(self) -> Sequence[BackupSet]:
        """Return the sets to send."""
        here = self.sets.listing().sets
        if self.params.which == "all" and here:
            return here
        backup_set = self.sets.find("latest" if self.params.which == "all" else self.params.which, self.clock.utc())
        if backup_set.manifest.app != self.sets.app:
            raise InvalidInput(
                f"Set {backup_set.manifest.id} is of {backup_set.manifest.app}, not of {self.sets.app}; "
                "name the right app."
            )
        return [backup_set]

    def send(self, backup_set: BackupSet) -> Mapping[str, Any]:
        """Send a set."""
        began = self.clock.now()
        added = 0 if self.check_mode else remote.send(backup_set, self.repository, self.sets.app, self.host)
        return self.row(backup_set, "sent", added=added, seconds=self.clock.now() - began)

    def row(self, backup_set: BackupSet, status: str, **more: Any) -> Mapping[str, Any]:
        """Return what became of a set of here."""
        return _row(backup_set.manifest.id, status, _archives(backup_set), remote.plain_bytes(backup_set), **more)

    def fetched(self) -> Tuple[Rows, str]:
        """Bring back what is not here, or not whole."""
        wanted = self.wanted()
        set_by_id = {remote_set.id: remote_set for remote_set in wanted}
        local = [backup_set for backup_set in self.sets.listing().sets if backup_set.manifest.id in set_by_id]
        for backup_set in local:
            self.refuse_another(
                backup_set, set_by_id[backup_set.manifest.id], "Name another set, or fetch into another directory."
            )
        here = {backup_set.manifest.id for backup_set in local if not problems(backup_set, "checksum")}
        self.refuse_full([remote_set for remote_set in wanted if remote_set.id not in here])
        rows = _each(
            wanted,
            lambda remote_set: _remote_row(remote_set, "there") if remote_set.id in here else self.fetch(remote_set),
        )
        new = [row for row in rows if row["status"] == "fetched"]
        self.changed = bool(new)
        if not new:
            sentence = (
                f"Nothing to fetch: {_named(rows)} of {self.sets.app} {_is(rows)} in {self.sets.directory} already."
            )
            return rows, sentence + self.others()
        total, verb = size(sum(row["bytes"] for row in new)), "would be fetched" if self.check_mode else "fetched"
        return rows, f"{_named(new)} of {self.where}: {total} {verb} into {self.sets.directory}.{self.others()}"

    def wanted(self) -> Sequence[Remote]:
        """Return the sets to fetch."""
        which = self.params.which
        if which == "latest":
            found = list(filter(None, [latest_of(self.remotes, self.clock.utc())]))
        else:
            found = [remote_set for remote_set in self.remotes if which in ("all", remote_set.id)]
        if not found:
            set_ids = ", ".join(remote_set.id for remote_set in self.remotes) or "none"
            if which == "latest" and self.remotes:
                raise DockerVpsError(
                    f"Every set of {self.where} is dated later than now: is the clock right? Name one to fetch it; "
                    f"there are: {set_ids}.{self.others()}"
                )
            raise DockerVpsError(f"There is no set {which!r} of {self.where}; there are: {set_ids}.{self.others()}")
        self.refuse_mixed(found)
        return found

    def refuse_mixed(self, sets: Sequence[Remote]) -> None:
        """Refuse sets of which two bear one timestamp.

        Raises:
            DockerVpsError: there are such; then it is not known which one is ours.
        """
        twice = [set_id for set_id, count in Counter(remote_set.id for remote_set in sets).items() if count > 1]
        if twice:
            raise DockerVpsError(
                f"There are different sets {', '.join(twice)} of {self.where}. {_OWN_NAMES} "
                "Give the sets of one of them the right name there with: restic rewrite --new-host."
            )

    def refuse_full(self, wanted: Sequence[Remote]) -> None:
        """Refuse to fetch sets for which there is no space.

        Raises:
            DockerVpsError: there is not enough for all of them.
        """
        needed, free = sum(remote_set.bytes for remote_set in wanted) + RESERVE, self.sets.free()
        if wanted and free < needed:
            named = listed([remote_set.id for remote_set in wanted])
            what = f"set {named} needs" if len(wanted) == 1 else f"sets {named} need"
            raise DockerVpsError(
                f"{self.sets.directory} has {size(free)} free, and {what} {size(needed)}. "
                f"Remove old sets ({play('prune')}), or choose a directory on a larger disk."
            )

    def fetch(self, remote_set: Remote) -> Mapping[str, Any]:
        """Bring back a set."""
        if self.check_mode:
            return _remote_row(remote_set, "fetched")
        began = self.clock.now()
        remote.fetch(remote_set, self.repository, self.sets)
        return _remote_row(remote_set, "fetched", seconds=self.clock.now() - began)

    def pruned(self) -> Tuple[Rows, str]:
        """Remove the sets that no rule keeps, and what interrupted copies and removals left."""
        self.refuse_mixed(self.remotes)
        set_by_id = {remote_set.id: remote_set for remote_set in self.remotes}
        thinned = thin(self.found, self.host, self.where, self.params.policy, self.clock.utc(), self.held())
        self.changed = bool(thinned.gone)
        if thinned.gone and not self.check_mode:
            begin_step("what no rule keeps is removed off-site")
            remove(thinned.gone, self.repository, self.where)
        rows = [
            _remote_row(
                set_by_id[decision.name], "kept" if decision.keep else "removed", why=", ".join(decision.reasons)
            )
            for decision in thinned.decisions
        ]
        dropped = [row for row in rows if row["status"] == "removed"]
        verb = "would be removed" if self.check_mode else "removed"
        sentence = f"{counted_sets(dropped)} of {self.where} {verb}, {len(rows) - len(dropped)} kept."
        return rows, sentence + self.unknown()


def _each(sets: Iterable[T], step: Callable[[T], Mapping[str, Any]]) -> Rows:
    """Do a step for each set, since one that is damaged must not keep the others here or there.

    Raises:
        Locked: another job is running, which concerns all of them, and passes.
        DockerVpsError: it failed for some; the others are done.
    """
    rows, failed = [], []
    for backup_set in sets:
        try:
            rows.append(step(backup_set))
        except Locked:
            raise
        except DockerVpsError as error:
            failed.append(error)
    if failed:
        raise DockerVpsError(" ".join(dict.fromkeys(error.message for error in failed)), **failed[0].evidence)
    return rows


def _archives(backup_set: BackupSet) -> List[str]:
    return [archive.name for archive in backup_set.manifest.archives]


def _remote_row(remote_set: Remote, status: str, **more: Any) -> Mapping[str, Any]:
    return _row(remote_set.id, status, remote_set.archives, remote_set.bytes, **more)


def _row(
    set_id: str, status: str, archives: Iterable[str], total: int, why: str = "", added: int = 0, seconds: float = 0.0
) -> Mapping[str, Any]:
    return {
        "set": set_id,
        "status": status,
        "why": why,
        "archives": list(archives),
        "bytes": total,
        "added": added,
        "seconds": round(seconds, 3),
    }


def _named(rows: Rows) -> str:
    return f"Set{'s' if len(rows) > 1 else ''} {', '.join(row['set'] for row in rows)}"


def _is(rows: Rows) -> str:
    return "is" if len(rows) == 1 else "are"


def _left_out(rows: Rows) -> str:
    """Return which sets are not sent, as the end of a sentence; empty when there are none."""
    if not rows:
        return ""
    what = "stays here only: it" if len(rows) == 1 else "stay here only: they"
    return f" {_named(rows)} {what} would be removed there at once."
