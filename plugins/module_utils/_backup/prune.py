# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove the backup sets that no rule keeps, and the safety copy of a restore when it is old enough."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Callable, Mapping, Sequence

from .._core.clock import WallClock
from .._core.errors import DockerVpsError
from .._core.manifest import ID_FORMAT
from .._core.retention import Candidate, Decision, Policy, decide
from .._core.text import counted, size
from .._engine.port import EnginePort
from .._store import files, tree
from .._store.references import References
from .._store.sets import BackupSet, Listing, Sets, Unused
from .journal import cannot_be_removed, damage_of_record, recover_all, remembered, superseded
from .verify import problems

SHOWN = 3
"""How many of several problems are named in full."""


@dataclass(frozen=True)
class Params:
    """What is kept; ``level`` is how closely sets are checked, and ``before_days`` for how long a safety copy stays.

    A damaged set never has the place of a good one. ``expected`` are the archives of a set that, in check mode,
    a backup would have made before.
    """

    policy: Policy
    level: str = "exists"
    before_days: float = 7
    expected: tuple[str, ...] = ()


def run(
    params: Params, sets: Sets, connect: Callable[[], EnginePort], clock: WallClock, check_mode: bool
) -> dict[str, Any]:
    """Remove what no rule keeps, and say of every set why.

    Raises:
        DockerVpsError: something cannot be removed, or another job is running in the directory.
    """
    if check_mode or not os.path.isdir(sets.directory):
        return _pruned(params, sets, clock.utc(), really=False)
    with sets.lock("a removal of old backups"):
        heard = recover_all(sets, connect, clock)
        result = _pruned(params, sets, clock.utc(), really=True)
    return {**result, "summary": " ".join([result["summary"], *heard])}


def _pruned(params: Params, sets: Sets, now: datetime, really: bool) -> dict[str, Any]:
    here = sets.listing()
    held = sets.held(backup_set.manifest for backup_set in here.sets if backup_set.time <= now)
    references = References()
    candidates = [_candidate(backup_set, params.level, references, held) for backup_set in here.sets]
    if params.expected and not really:
        candidates.append(Candidate(now.strftime(ID_FORMAT), now, True, " ".join(sorted(params.expected))))
    decisions = decide(candidates, params.policy, now)
    gone = {decision.name for decision in decisions if not decision.keep}
    doomed = [backup_set for backup_set in here.sets if backup_set.manifest.id in gone]
    copies = _old_copies(sets, now - timedelta(days=params.before_days))
    freed = sets.freed_by(doomed)
    sizes = {path: tree.survey(path).disk for path in copies}
    left: dict[str, str] = {}
    stay = sets.remove(doomed) if really else []
    # Looked for after the removal: sets that could not be removed, or were made meanwhile, keep their chunks.
    unused = sets.unused(() if really else doomed, references)
    if really:
        stay += sets.sweep(unused)
        left = {path: why for path in copies for why in [files.remove_tree(path)] if why}
        _refuse_what_stays(sets, stay)
    copies = [path for path in copies if path not in left]
    freed += unused.bytes + sum(sizes[path] for path in copies)
    return _result(sets, here, unused, decisions, copies, left, freed, really)


def _refuse_what_stays(sets: Sets, problems: Sequence[DockerVpsError]) -> None:
    if problems:
        messages = " ".join(problem.message for problem in problems[:SHOWN])
        more = f" And {len(problems) - SHOWN} more." if len(problems) > SHOWN else ""
        raise DockerVpsError(f"Some old backups of {sets.app} could not be removed; all others are. {messages}{more}")


def _candidate(backup_set: BackupSet, level: str, references: References, held: Mapping[str, str]) -> Candidate:
    set_id, good = backup_set.manifest.id, not problems(backup_set, level, references)
    return Candidate(set_id, backup_set.time, good, backup_set.holds, held.get(set_id, ""))


def _result(
    sets: Sets,
    here: Listing,
    unused: Unused,
    decisions: Sequence[Decision],
    copies: Sequence[str],
    left: Mapping[str, str],
    freed: int,
    really: bool,
) -> dict[str, Any]:
    kept = [decision.name for decision in decisions if decision.keep]
    removed = [decision.name for decision in decisions if not decision.keep]
    before = [*(decision.name for decision in decisions), *copies]
    what = "copy" if len(copies) == 1 else "copies"
    copied = f" and {len(copies)} {what} that restores had kept" if copies else ""
    return {
        "changed": bool(removed or copies or freed),
        "decisions": [
            {"id": decision.name, "keep": decision.keep, "reasons": list(decision.reasons)} for decision in decisions
        ],
        "removed": removed,
        "kept": kept,
        "safety_copies": list(copies),
        "left": sorted(left),
        "freed": freed,
        "unreadable": [*here.unreadable, *unused.kept, *damage_of_record(sets)],
        "orphaned": list(here.orphaned),
        "summary": f"{counted(len(removed), 'set')} of {sets.app}{copied} "
        f"{'' if really else 'would be '}removed ({size(freed)}), "
        f"{len(kept)} {'stays' if len(kept) == 1 else 'stay'} in {sets.directory}."
        + "".join(f" {sentence}" for sentence in cannot_be_removed(left)),
        "diff": {
            "before_header": sets.directory,
            "after_header": sets.directory,
            "before": "".join(f"{name}\n" for name in before),
            "after": "".join(f"{name}\n" for name in kept),
        },
    }


def _old_copies(sets: Sets, limit: datetime) -> list[str]:
    """Return what restores left beside the live volumes before a time (UTC), or could not remove themselves."""
    old = [swap for swap in remembered(sets) if swap.has_copy and swap.made < limit]
    return list({swap.safety_copy: swap for swap in [*old, *superseded(sets)]})
