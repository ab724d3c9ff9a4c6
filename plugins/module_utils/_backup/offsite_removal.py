# SPDX-License-Identifier: GPL-3.0-or-later
"""What is removed of a host's sets off-site. Whatever is not understood stays, and something whole always does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Iterable, Mapping, Optional, Sequence

from .._core.errors import DockerVpsError
from .._core.remedies import setting
from .._core.retention import Candidate, Decision, Policy, decide
from .._core.text import counted
from .._store.remote import FoundSets, Leftover, Repository
from .._store.restic import ResticSnapshot

_REFUSALS = ("403 Forbidden", "Access Denied", "AccessDenied")


@dataclass(frozen=True)
class Thinned:
    """What the retention says of each set, and the snapshots that go."""

    decisions: Sequence[Decision]
    gone: Sequence[ResticSnapshot]


def thin(
    found: FoundSets, host: str, where: str, policy: Policy, now: datetime, held: Optional[Mapping[str, str]] = None
) -> Thinned:
    """Decide what of a host's sets goes; of its sets no two bear one timestamp.

    Args:
        held: by the timestamps of sets why they stay in any case.

    Raises:
        DockerVpsError: there is no whole set of it, so what is there may be all that somebody has.
    """
    ours = [remote_set for remote_set in found.sets if remote_set.host == host]
    leftovers = [leftover for leftover in found.leftovers if leftover.host == host]
    loose = [*found.unknown, *(part for leftover in leftovers for part in leftover.snapshots)]
    if loose and not ours:
        raise DockerVpsError(
            f"Nothing of {where} was removed: there is no whole set, but {snapshots(loose)} may be of one. "
            "Look at restic snapshots, and copy a set before anything is removed."
        )
    decisions = decide(
        [candidate(remote_set.id, remote_set.time, remote_set.archives, held or {}) for remote_set in ours], policy, now
    )
    dropped = {decision.name for decision in decisions if not decision.keep}
    gone = [part for remote_set in ours if remote_set.id in dropped for part in remote_set.snapshots]
    whole = {remote_set.id for remote_set in ours}
    gone += [
        part
        for leftover in leftovers
        if _is_of_no_use(leftover, whole, bool(found.unknown))
        for part in leftover.snapshots
    ]
    return Thinned(decisions, gone)


def candidate(set_id: str, time: datetime, archives: Iterable[str], held: Mapping[str, str]) -> Candidate:
    """Return a set as the retention sees it, by the names of its archives and why sets are held back."""
    return Candidate(set_id, time, kind=" ".join(sorted(archives)), held=held.get(set_id, ""))


def _is_of_no_use(leftover: Leftover, whole: set[str], doubt: bool) -> bool:
    """Return whether a newer set stands for what an interrupted copy or removal left.

    A part that nobody changed may be of a manifest that somebody did change. Where such are, only the same set will do.
    """
    return leftover.id in whole or (not doubt and leftover.id < max(whole))


def remove(gone: Sequence[ResticSnapshot], repository: Repository, where: str) -> None:
    """Remove snapshots, see that they are gone, and only then remove their data.

    Raises:
        DockerVpsError: some are still there.
    """
    against = repository.forget(gone)
    remaining = {snapshot.id for snapshot in repository.snapshots()}
    left = [snapshot for snapshot in gone if snapshot.id in remaining]
    if not left:
        repository.prune()
        return
    step = "Correct what this host may do there, or wait until nothing else is running."
    if any(sign in against for sign in _REFUSALS):
        step = (
            "The storage takes copies and lets this host remove nothing, as an append-only server does: set "
            f"{setting('backup_offsite_prune', 'false')}, or prune on the server."
        )
    are = "is" if len(left) == 1 else "are"
    raise DockerVpsError(
        f"Of {snapshots(gone)} of {where} that no rule keeps, {len(left)} {are} still there after restic forget"
        f"{f' ({against})' if against else ''}, so no data was removed. {step}"
    )


def snapshots(some: Sequence[object]) -> str:
    """Return how many there are, as in ``2 snapshots``."""
    return counted(len(some), "snapshot")
