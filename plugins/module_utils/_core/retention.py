# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup sets are kept: the grandfather-father-son rules of ``restic forget``.

The source is ``ApplyPolicy`` of restic since 0.16.0:
https://github.com/restic/restic/blob/v0.16.0/internal/restic/snapshot_policy.go. Going from
the newest set to the oldest, each rule keeps the newest set of each of its last n days (ISO
weeks, months, years) that have a set; days without one are not counted. A rule that has
places left at the oldest set keeps that one too, so that a young history is not shortened.
restic 0.14, Debian bookworm's, does not do this; everything else is the same (compared with
the binaries 0.14.0 and 0.18.0).

What goes beyond restic, which trusts its clock and knows neither damaged snapshots nor lost
content: see ``decide``. The calendar is always UTC, so summer time makes no day longer or shorter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Optional, Sequence

from .errors import InvalidInput


@dataclass(frozen=True)
class Policy:
    """How many sets, days, ISO weeks, months and years are kept.

    Raises:
        InvalidInput: a count is negative; or all are 0, which would remove everything but
            one set and is more likely a mistake than meant (``last=1`` says just that).
    """

    last: int = 0
    daily: int = 7
    weekly: int = 4
    monthly: int = 3
    yearly: int = 0

    def __post_init__(self) -> None:
        counts = asdict(self)
        negative = [f"{rule} is {count}" for rule, count in counts.items() if count < 0]
        if negative:
            raise InvalidInput(
                f"The retention of backups must be counts of at least 0, but {', '.join(negative)}; "
                "set 0 to switch a rule off."
            )
        if not any(counts.values()):
            raise InvalidInput(
                "The retention of backups is 0 for last, daily, weekly, monthly and yearly, which would remove "
                "every set but the newest; set one of them to at least 1."
            )


@dataclass(frozen=True)
class Candidate:
    """A backup set: when it was made (aware), and whether it is complete and not known to be damaged.

    ``held`` is why it has to stay whatever the rules say; empty when it need not.
    """

    name: str
    time: datetime
    good: bool = True
    kind: str = ""
    held: str = ""


@dataclass(frozen=True)
class Decision:
    """Whether a set is kept, and why (one reason or more), or why not (exactly one)."""

    name: str
    keep: bool
    reasons: tuple[str, ...]


def decide(candidates: Sequence[Candidate], policy: Policy, now: datetime) -> tuple[Decision, ...]:
    """Decide about each set, newest first; of sets made at the same time the last by name counts as the newest.

    - A set dated after ``now`` (aware) was made while the clock was wrong, so nobody knows
      how old it is: it is kept and takes no part in the rules.
    - A damaged set takes no part in the rules either, so it never has the place of a good
      one. It is dropped as soon as a newer good set exists; until then it may be all there is
      of its time.
    - The newest good set is always kept, and so is one that is held.
    - Sets of different kinds, which do not hold the same, never take each other's place: each kind is decided alone.
    """
    kinds = {candidate.kind for candidate in candidates}
    if len(kinds) > 1:
        by_kind = [[candidate for candidate in candidates if candidate.kind == kind] for kind in kinds]
        decided = [decision for alone in by_kind for decision in decide(alone, policy, now)]
        order = {candidate.name: (candidate.time, candidate.name) for candidate in candidates}
        return tuple(sorted(decided, key=lambda decision: order[decision.name], reverse=True))
    newest_first = sorted(candidates, key=lambda candidate: (candidate.time, candidate.name), reverse=True)
    counted = [candidate for candidate in newest_first if candidate.good and candidate.time <= now]
    rules = [_Rule(name, count) for name, count in asdict(policy).items() if count]
    decisions = []
    good_seen = 0
    for candidate in newest_first:
        if candidate.time > now:
            decisions.append(Decision(candidate.name, True, ("dated in the future",)))
        elif not candidate.good:
            decisions.append(_of_damaged(candidate, newer_good=counted[good_seen - 1] if good_seen else None))
        else:
            good_seen += 1
            decisions.append(_of_good(candidate, good_seen, good_seen == len(counted), rules))
    return tuple(map(_held, newest_first, decisions))


def _held(candidate: Candidate, decision: Decision) -> Decision:
    if not candidate.held:
        return decision
    return Decision(candidate.name, True, (*(decision.reasons if decision.keep else ()), candidate.held))


def _of_damaged(candidate: Candidate, newer_good: Optional[Candidate]) -> Decision:
    if newer_good:
        return Decision(candidate.name, False, (f"it is damaged and {newer_good.name} is good and newer",))
    return Decision(candidate.name, True, ("damaged, but no good set is newer",))


def _of_good(candidate: Candidate, number: int, oldest: bool, rules: Sequence[_Rule]) -> Decision:
    answers = [rule.offer(candidate, number, oldest) for rule in rules]
    kept = [reason for keep, reason in answers if keep]
    if number == 1:
        kept.append("newest good set")
    if kept:
        return Decision(candidate.name, True, tuple(kept))
    return Decision(candidate.name, False, ("no rule keeps it: " + ", ".join(reason for _unused, reason in answers),))


class _Rule:
    """One rule on its way from the newest set to the oldest."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._left = count
        self._latest = ""

    def offer(self, candidate: Candidate, number: int, oldest: bool) -> tuple[bool, str]:
        """Return whether the rule keeps the set, and why or why not."""
        unit, period = _period(self._name, candidate.time.astimezone(timezone.utc), number)
        again = period == self._latest
        if self._left and (oldest or not again):
            self._left -= 1
            self._latest = period
            return True, f"{'oldest ' if again else ''}{self._name} {period}"
        if again:
            return False, f"the {unit} {period} has a newer set"
        return False, f"{self._name} has its {self._count} {unit}{'s' if self._count > 1 else ''}"


def _period(rule: str, time: datetime, number: int) -> tuple[str, str]:
    """Return what a rule counts, such as days, and which of them a set belongs to; ``number`` is 1 for the newest."""
    year, week, _unused = time.isocalendar()  # the ISO year: 2027-01-03 is in week 53 of 2026
    return {
        "last": ("set", str(number)),
        "daily": ("day", f"{time:%Y-%m-%d}"),
        "weekly": ("week", f"{year}-W{week:02d}"),
        "monthly": ("month", f"{time:%Y-%m}"),
        "yearly": ("year", f"{time:%Y}"),
    }[rule]
