# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention: restic's rules, a clock that stepped back, damaged sets, and that history is never lost by surprise."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.retention import (
    Candidate,
    Decision,
    Policy,
    decide,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2027, 2, 1, 12, tzinfo=timezone.utc)
OFF = Policy(last=1, daily=0, weekly=0, monthly=0)
FORMATS = {"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m", "yearly": "%Y"}


def sets(*times: str) -> list[Candidate]:
    """Good sets, named after their times."""
    return [Candidate(time, datetime.fromisoformat(time).replace(tzinfo=timezone.utc)) for time in times]


def one_rule(rule: str, count: int) -> Policy:
    return replace(OFF, **{"last": 0, rule: count})


def kept(decisions: tuple[Decision, ...]) -> dict[str, tuple[str, ...]]:
    return {one.name: one.reasons for one in decisions if one.keep}


def dropped(decisions: tuple[Decision, ...]) -> dict[str, tuple[str, ...]]:
    return {one.name: one.reasons for one in decisions if not one.keep}


# A span short enough for several sets a day, a week, a month, with two ends of years in it.
TIMES = st.datetimes(datetime(2025, 12, 20), datetime(2027, 1, 20)).map(
    lambda time: time.replace(hour=time.hour // 8, minute=0, second=0, microsecond=0, tzinfo=timezone.utc)
)
DENSE = st.integers(0, 200).map(lambda hours: datetime(2026, 12, 26, tzinfo=timezone.utc) + timedelta(hours=hours))
GOOD = st.lists(TIMES | DENSE, max_size=40).map(
    lambda times: [Candidate(f"{number:02d}", time) for number, time in enumerate(times)]
)
ANY = st.lists(st.tuples(TIMES | DENSE, st.booleans()), max_size=40).map(
    lambda found: [Candidate(f"{number:02d}", time, good) for number, (time, good) in enumerate(found)]
)
COUNTS = st.tuples(*[st.integers(0, 8)] * 5).filter(any)
POLICIES = COUNTS.map(lambda counts: Policy(*counts))


def test_the_default_policy_tells_why() -> None:
    candidates = sets(
        "2026-11-24T03:00", "2026-11-24T02:00", "2026-11-23T02:00", "2026-11-22T02:00", "2026-10-31T02:00"
    )  # fmt: skip
    assert decide(candidates, Policy(daily=2, weekly=2, monthly=1), NOW) == (
        Decision(
            "2026-11-24T03:00",
            True,
            ("daily 2026-11-24", "weekly 2026-W48", "monthly 2026-11", "newest good set"),
        ),
        Decision(
            "2026-11-24T02:00",
            False,
            (
                "no rule keeps it: the day 2026-11-24 has a newer set, the week 2026-W48 has a newer set, "
                "the month 2026-11 has a newer set",
            ),
        ),
        Decision("2026-11-23T02:00", True, ("daily 2026-11-23",)),
        Decision("2026-11-22T02:00", True, ("weekly 2026-W47",)),
        Decision(
            "2026-10-31T02:00",
            False,
            ("no rule keeps it: daily has its 2 days, weekly has its 2 weeks, monthly has its 1 month",),
        ),
    )


def test_last_counts_sets() -> None:
    decisions = decide(sets("2026-01-01", "2026-01-01T01:00", "2026-01-01T02:00"), replace(OFF, last=2), NOW)
    assert kept(decisions) == {"2026-01-01T02:00": ("last 1", "newest good set"), "2026-01-01T01:00": ("last 2",)}
    assert dropped(decisions) == {"2026-01-01": ("no rule keeps it: last has its 2 sets",)}


def test_weeks_are_those_of_iso_and_years_are_not() -> None:
    week = sets("2026-12-28", "2026-12-31", "2027-01-03")
    candidates = [*sets("2026-12-27"), *week, *sets("2027-01-04")]
    assert kept(decide(candidates, one_rule("weekly", 3), NOW)) == {
        "2027-01-04": ("weekly 2027-W01", "newest good set"),
        "2027-01-03": ("weekly 2026-W53",),
        "2026-12-27": ("weekly 2026-W52",),
    }
    assert list(kept(decide(candidates, one_rule("yearly", 2), NOW))) == ["2027-01-04", "2026-12-31"]
    assert list(kept(decide(candidates, one_rule("monthly", 2), NOW))) == ["2027-01-04", "2026-12-31"]


def test_a_leap_day_is_a_day() -> None:
    decisions = decide(sets("2024-02-28", "2024-02-29", "2024-03-01"), one_rule("daily", 2), NOW)
    assert list(kept(decisions).values()) == [("daily 2024-03-01", "newest good set"), ("daily 2024-02-29",)]


def test_the_calendar_is_utc_whatever_zone_a_time_is_given_in() -> None:
    utc = sets("2026-03-28T23:30", "2026-03-29T00:30", "2026-03-29T01:30")
    local = [replace(one, time=one.time.astimezone(timezone(timedelta(hours=2)))) for one in utc]
    for policy in (one_rule("daily", 2), one_rule("weekly", 1), Policy()):
        assert decide(local, policy, NOW) == decide(utc, policy, NOW)
    assert list(kept(decide(local, one_rule("daily", 2), NOW))) == ["2026-03-29T01:30", "2026-03-28T23:30"]


def test_a_rule_with_places_left_keeps_the_oldest() -> None:
    decisions = decide(sets("2026-01-05", "2026-01-06", "2026-01-07"), one_rule("monthly", 2), NOW)
    assert kept(decisions) == {
        "2026-01-07": ("monthly 2026-01", "newest good set"),
        "2026-01-05": ("oldest monthly 2026-01",),
    }
    assert list(kept(decide(sets("2026-01-05", "2026-01-07"), one_rule("monthly", 1), NOW))) == ["2026-01-07"]


def test_a_long_history_has_an_oldest_set_too() -> None:
    candidates = [Candidate(f"{hours:03d}", NOW - timedelta(hours=hours)) for hours in range(300)]
    assert list(kept(decide(candidates, one_rule("yearly", 3), NOW))) == ["000", "299"]


def test_days_without_a_set_are_not_counted() -> None:
    candidates = sets("2024-01-01", "2025-06-01", "2026-12-01")
    assert len(kept(decide(candidates, one_rule("daily", 3), NOW))) == 3


def test_of_the_same_time_the_last_by_name_is_the_newest() -> None:
    (one,) = sets("2026-01-01")
    same = [replace(one, name=name) for name in "bca"]
    decisions = decide(same, OFF, NOW)
    assert [decision.name for decision in decisions] == ["c", "b", "a"]
    assert list(kept(decisions)) == ["c"]


def test_sets_dated_in_the_future_take_no_part() -> None:
    candidates = sets("2026-01-01", "2026-01-02", "2027-02-01T12:00", "2027-02-01T12:01", "2030-01-01")
    broken = Candidate("broken", datetime(2031, 1, 1, tzinfo=timezone.utc), good=False)
    assert kept(decide([*candidates, broken], OFF, NOW)) == {
        "broken": ("dated in the future",),
        "2030-01-01": ("dated in the future",),
        "2027-02-01T12:01": ("dated in the future",),
        "2027-02-01T12:00": ("last 1", "newest good set"),
    }


def test_a_damaged_set_does_not_have_the_place_of_a_good_one() -> None:
    good = sets("2026-01-01T01:00", "2026-01-02T01:00")
    damaged = [replace(one, good=False) for one in sets("2026-01-01T02:00", "2026-01-02T02:00", "2025-01-01")]
    decisions = decide([*good, *damaged], one_rule("daily", 2), NOW)
    assert kept(decisions) == {
        "2026-01-02T02:00": ("damaged, but no good set is newer",),
        "2026-01-02T01:00": ("daily 2026-01-02", "newest good set"),
        "2026-01-01T01:00": ("daily 2026-01-01",),
    }
    assert dropped(decisions) == {
        "2026-01-01T02:00": ("it is damaged and 2026-01-02T01:00 is good and newer",),
        "2025-01-01": ("it is damaged and 2026-01-01T01:00 is good and newer",),
    }


def test_a_damaged_set_tells_the_next_newer_good_one() -> None:
    good = sets("2026-01-02", "2026-01-03", "2026-01-04", "2030-01-01")
    damaged = replace(sets("2026-01-01")[0], good=False)
    reason = dropped(decide([*good, damaged], Policy(), NOW))["2026-01-01"]
    assert reason == ("it is damaged and 2026-01-02 is good and newer",)


def test_damaged_sets_are_kept_when_they_are_all_there_is() -> None:
    future = sets("2030-01-01")
    damaged = [replace(one, good=False) for one in sets("2026-01-01", "2026-01-02")]
    assert len(kept(decide([*future, *damaged], OFF, NOW))) == 3


def test_the_default_policy_is_that_of_the_specification() -> None:
    assert asdict(Policy()) == {"last": 0, "daily": 7, "weekly": 4, "monthly": 3, "yearly": 0}


def test_no_sets_need_no_decisions() -> None:
    assert decide([], Policy(), NOW) == ()


def test_negative_counts_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput) as refused:
        Policy(daily=-1, monthly=2, yearly=-3)
    assert refused.value.message == (
        "The retention of backups must be counts of at least 0, but daily is -1, yearly is -3; "
        "set 0 to switch a rule off."
    )


def test_a_policy_that_keeps_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="which would remove every set but the newest; set one of them"):
        Policy(daily=0, weekly=0, monthly=0)


@given(GOOD, POLICIES)
def test_the_decisions_are_those_of_the_definition(candidates: list[Candidate], policy: Policy) -> None:
    newest_first = sorted(candidates, key=lambda one: (one.time, one.name))[::-1]
    wanted = {one.name for one in newest_first[: policy.last]}
    for rule, pattern in FORMATS.items():
        newest_of: dict[str, str] = {}
        for one in newest_first:
            newest_of.setdefault(one.time.strftime(pattern), one.name)
        count = getattr(policy, rule)
        wanted.update(list(newest_of.values())[:count])
        if len(newest_of) < count:
            wanted.update(one.name for one in newest_first[-1:])
    assert set(kept(decide(candidates, policy, NOW))) == wanted


@given(ANY, POLICIES, DENSE)
def test_every_set_has_one_decision_newest_first(candidates: list[Candidate], policy: Policy, now: datetime) -> None:
    decisions = decide(candidates, policy, now)
    times = {one.name: (one.time, one.name) for one in candidates}
    assert [one.name for one in decisions] == sorted(times, key=times.__getitem__, reverse=True)
    assert all(one.reasons for one in decisions)
    assert decisions == decide(candidates[::-1], policy, now)


@given(ANY, POLICIES, DENSE)
def test_a_second_time_drops_nothing_more(candidates: list[Candidate], policy: Policy, now: datetime) -> None:
    once = kept(decide(candidates, policy, now))
    assert list(kept(decide([one for one in candidates if one.name in once], policy, now))) == list(once)


@given(ANY, POLICIES, DENSE)
def test_the_newest_good_set_is_kept(candidates: list[Candidate], policy: Policy, now: datetime) -> None:
    good = [(one.time, one.name) for one in candidates if one.good and one.time <= now]
    reasons = {one.name: one.reasons for one in decide(candidates, policy, now)}
    assert [name for name, why in reasons.items() if "newest good set" in why] == [
        name for _unused, name in sorted(good)[-1:]
    ]


@given(ANY, POLICIES, DENSE)
def test_what_is_dropped_has_something_newer_and_good(
    candidates: list[Candidate], policy: Policy, now: datetime
) -> None:
    gone = dropped(decide(candidates, policy, now))
    good = [(one.time, one.name) for one in candidates if one.good and one.time <= now]
    assert all((one.time, one.name) < max(good) for one in candidates if one.name in gone)


@given(ANY, COUNTS, COUNTS, DENSE)
def test_larger_counts_never_keep_less(
    candidates: list[Candidate], counts: tuple[int, ...], more: tuple[int, ...], now: datetime
) -> None:
    small = kept(decide(candidates, Policy(*counts), now))
    large = kept(decide(candidates, Policy(*map(sum, zip(counts, more))), now))
    assert set(small) <= set(large)


@given(GOOD.filter(bool), POLICIES)
def test_an_older_set_changes_nothing_but_which_is_the_oldest(candidates: list[Candidate], policy: Policy) -> None:
    older = Candidate("older", min(one.time for one in candidates) - timedelta(hours=1))
    before = decide(candidates, policy, NOW)
    after = decide([*candidates, older], policy, NOW)
    assert after[: len(before) - 1] == before[:-1]
    if before[-1] != after[-2]:
        assert any(why.startswith("oldest") for why in before[-1].reasons)


@given(ANY, POLICIES, DENSE)
def test_damaged_sets_change_nothing_for_good_ones(candidates: list[Candidate], policy: Policy, now: datetime) -> None:
    good = [one for one in candidates if one.good]
    names = {one.name for one in good}
    assert tuple(one for one in decide(candidates, policy, now) if one.name in names) == decide(good, policy, now)


@given(ANY, POLICIES, DENSE)
def test_a_rule_keeps_one_set_of_a_period_and_no_more_than_its_count(
    candidates: list[Candidate], policy: Policy, now: datetime
) -> None:
    reasons = [why for one in decide(candidates, policy, now) for why in one.reasons if one.keep]
    for rule, count in asdict(policy).items():
        periods = [why for why in reasons if why.startswith(f"{rule} ")]
        assert len(periods) == len(set(periods))
        assert len([why for why in reasons if f"{rule} " in why]) <= count


def test_sets_of_another_kind_take_no_ones_place() -> None:
    """A set of the database alone, made in the afternoon, must not push out the night's full one."""
    both = ("db", "media")
    holds = {"25 02": both, "26 02": both, "26 14": ("db",), "26 20": ("media",), "27 02": both}
    times = sets(*(f"2026-01-{name}" for name in holds))
    candidates = [replace(one, kind=" ".join(holds[one.name[8:]])) for one in times]
    found = decide(candidates, Policy(daily=2, weekly=0, monthly=0), NOW)
    assert [one.name[8:] for one in found] == ["27 02", "26 20", "26 14", "26 02", "25 02"]
    assert [one.name[8:] for one in found if one.keep] == ["27 02", "26 20", "26 14", "26 02"]
    two = [one for one in candidates if one.kind != "media"]
    assert decide(two, Policy(daily=2, weekly=0, monthly=0), NOW) == (found[0], *found[2:])


HELD = "the last before a loss"


def test_a_set_that_is_held_stays_whatever_the_rules_say() -> None:
    old, middle, new = sets("2026-01-01", "2026-01-02", "2026-01-03")
    held = [replace(one, held=HELD) for one in (old, new)]
    assert kept(decide([held[0], middle, held[1]], OFF, NOW)) == {
        "2026-01-03": ("last 1", "newest good set", HELD),
        "2026-01-01": (HELD,),
    }
    damaged = replace(held[0], good=False)
    assert kept(decide([damaged, new], OFF, NOW))["2026-01-01"] == (HELD,)
    assert kept(decide([damaged], OFF, NOW))["2026-01-01"] == ("damaged, but no good set is newer", HELD)


@given(GOOD, POLICIES)
def test_a_set_that_is_held_changes_nothing_for_others(candidates: list[Candidate], policy: Policy) -> None:
    before = kept(decide(candidates, policy, NOW))
    after = kept(decide([replace(one, held=HELD) for one in candidates[:1]] + candidates[1:], policy, NOW))
    names = {one.name for one in candidates[:1]}
    assert set(after) == set(before) | names
    assert {name: why for name, why in after.items() if name not in names} == {
        name: why for name, why in before.items() if name not in names
    }
