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
    ours = [one for one in found.sets if one.host == host]
    leftovers = [one for one in found.leftovers if one.host == host]
    loose = [*found.unknown, *(part for one in leftovers for part in one.snapshots)]
    if loose and not ours:
        raise DockerVpsError(
            f"Nothing of {where} was removed: there is no whole set, but {snapshots(loose)} may be of one. "
            "Look at restic snapshots, and copy a set before anything is removed."
        )
    decisions = decide([candidate(one.id, one.time, one.archives, held or {}) for one in ours], policy, now)
    dropped = {one.name for one in decisions if not one.keep}
    gone = [part for one in ours if one.id in dropped for part in one.snapshots]
    whole = {one.id for one in ours}
    gone += [part for one in leftovers if _is_of_no_use(one, whole, bool(found.unknown)) for part in one.snapshots]
    return Thinned(decisions, gone)


def candidate(stamp: str, time: datetime, archives: Iterable[str], held: Mapping[str, str]) -> Candidate:
    """Return a set as the retention sees it, by the names of its archives and why sets are held back."""
    return Candidate(stamp, time, kind=" ".join(sorted(archives)), held=held.get(stamp, ""))


def _is_of_no_use(one: Leftover, whole: set[str], doubt: bool) -> bool:
    """Return whether a newer set stands for what an interrupted copy or removal left.

    A part that nobody changed may be of a manifest that somebody did change. Where such are, only the same set will do.
    """
    return one.id in whole or (not doubt and one.id < max(whole))


def remove(gone: Sequence[ResticSnapshot], repository: Repository, where: str) -> None:
    """Remove snapshots, see that they are gone, and only then remove their data.

    Raises:
        DockerVpsError: some are still there.
    """
    against = repository.forget(gone)
    there = {one.id for one in repository.snapshots()}
    left = [one for one in gone if one.id in there]
    if not left:
        repository.prune()
        return
    step = "Correct what this host may do there, or wait until nobody else is at work."
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
    """Return how many there are, in words."""
    return counted(len(some), "snapshot")
