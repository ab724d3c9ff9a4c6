# SPDX-License-Identifier: GPL-3.0-or-later
"""When people are notified, replayed look by look."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Callable, Collection, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.alerts import (
    BEGAN,
    ENDED,
    FLAPS,
    MOST_OWED,
    REMINDER,
    WAS,
    WORSE,
    AlertRules,
    News,
    State,
    due,
    kept,
    step,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import CRITICAL, INFO, WARNING, Finding

BEGIN, PERIOD = 1_800_000_000.0, 300.0
RULES = AlertRules()
APP = Finding("app-state", CRITICAL, "the container shop-app", "exited", "running", "start.yml")
DISK = Finding("disk-low:/", WARNING, "the disk at /", "91 % used", "below 90 %", "prune")


@dataclass
class Replay:
    """Looks one after the other, and what was told at which of them."""

    state: State = field(default_factory=State)
    at: float = BEGIN
    news: list[tuple[int, str, str]] = field(default_factory=list)

    def look(self, *findings: Finding, unseen: Collection[str] = (), after: float = PERIOD) -> list[News]:
        self.at += after
        news, self.state = step(self.state, findings, unseen, self.at, RULES)
        self.news += [(self.state.look, piece.kind, piece.finding.id) for piece in news]
        return news

    def kinds(self) -> list[str]:
        return [kind for _look, kind, _finding in self.news]


def replayed(bad: Callable[[int], bool], looks: int = 50, jump: Callable[[int], float] = lambda look: PERIOD) -> Replay:
    replay = Replay()
    for number in range(1, looks + 1):
        replay.look(*([APP] if bad(number) else []), after=jump(number))
    return replay


def test_a_host_that_is_well_is_never_spoken_of() -> None:
    replay = replayed(lambda look: False)
    assert replay.news == []
    assert replay.state.alerts == {}


def test_an_outage_is_told_once_and_its_end_once() -> None:
    replay = replayed(lambda look: 10 <= look < 20)
    assert replay.news == [(10, BEGAN, APP.id), (21, ENDED, APP.id)]
    assert all(not alert.known for alert in replay.state.alerts.values())
    assert replayed(lambda look: 10 <= look < 20, 80).state.alerts == {}


def test_news_says_from_when_until_when() -> None:
    replay = Replay()
    (began,) = replay.look(APP)
    replay.look(APP)
    replay.look()
    (ended,) = replay.look()
    assert (began.since, began.until) == (BEGIN + PERIOD, 0.0)
    assert (ended.since, ended.until) == (BEGIN + PERIOD, BEGIN + 4 * PERIOD)


def test_one_good_look_is_no_recovery() -> None:
    replay = replayed(lambda look: 10 <= look < 20 and look != 15)
    assert replay.kinds() == [BEGAN, ENDED]


def test_several_findings_are_told_together() -> None:
    replay = Replay()
    assert [piece.finding for piece in replay.look(APP, DISK)] == [APP, DISK]
    replay.look()
    assert [piece.finding for piece in replay.look()] == [APP, DISK]


def test_what_does_not_matter_enough_is_not_told_and_what_gets_worse_is() -> None:
    replay = Replay()
    assert replay.look(replace(DISK, severity=INFO)) == []
    assert [piece.kind for piece in replay.look(DISK)] == [BEGAN]
    assert [piece.kind for piece in replay.look(replace(DISK, severity=CRITICAL))] == [WORSE]
    assert replay.look(DISK) == []
    assert replay.look(replace(DISK, severity=CRITICAL)) == []


def test_one_reminder_a_day_of_all_that_goes_on() -> None:
    replay = Replay()
    for number in range(1, 2 * 288 + 10):
        replay.look(APP, *([DISK] if number > 100 else []))
    assert replay.news == [
        (1, BEGAN, APP.id),
        (101, BEGAN, DISK.id),
        (289, REMINDER, APP.id),
        (289, REMINDER, DISK.id),
        (577, REMINDER, APP.id),
        (577, REMINDER, DISK.id),
    ]


def test_what_began_just_now_is_not_reminded_of() -> None:
    replay = Replay()
    for _turn in range(288):
        replay.look(APP)
    assert [(piece.kind, piece.finding.id) for piece in replay.look(APP, DISK)] == [
        (BEGAN, DISK.id),
        (REMINDER, APP.id),
    ]


def test_what_was_not_looked_at_is_neither_over_nor_new() -> None:
    replay = Replay()
    replay.look(APP, DISK)
    for _turn in range(9):
        assert replay.look(unseen=["app", "disk"]) == []
    replay.look(APP)
    assert [piece.finding.id for piece in replay.look(APP)] == [DISK.id]
    assert replay.look(unseen=["nothing"]) == []
    assert [piece.finding.id for piece in replay.look()] == [APP.id]


def test_flapping_is_told_once_and_no_reminder_meanwhile() -> None:
    replay = replayed(lambda look: look % 2 == 0, 600)
    assert replay.news == [(2, BEGAN, APP.id), (6, FLAPS, APP.id)]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        # Down when told last, and well in the end.
        (lambda look: look < 13 and look % 2 == 0, [(2, BEGAN), (6, FLAPS), (19, ENDED)]),
        # Down when told last, and down in the end: nothing to add.
        (lambda look: look >= 12 or look % 2 == 0, [(2, BEGAN), (6, FLAPS)]),
        # Well when told last, and well in the end.
        (lambda look: look in (2, 5, 8), [(2, BEGAN), (4, ENDED), (5, BEGAN), (7, ENDED), (8, FLAPS)]),
        # Well when told last, and down in the end.
        (
            lambda look: look in (2, 5) or look >= 8,
            [(2, BEGAN), (4, ENDED), (5, BEGAN), (7, ENDED), (8, FLAPS), (14, BEGAN)],
        ),
    ],
)
def test_when_flapping_ends_the_present_state_is_told_if_people_believe_another(
    bad: Callable[[int], bool], told: Sequence[tuple[int, str]]
) -> None:
    replay = replayed(bad)
    assert replay.news == [(look, kind, APP.id) for look, kind in told]


def test_reminders_go_on_after_flapping() -> None:
    replay = replayed(lambda look: look >= 12 or look % 2 == 0, 400)
    assert replay.kinds() == [BEGAN, FLAPS, REMINDER]


@pytest.mark.parametrize("seconds", [3600.0 + PERIOD, PERIOD - 3600.0, 40 * 86400.0, -40 * 86400.0, 0.0])
@pytest.mark.parametrize("when", [9, 12, 19, 20])
def test_a_clock_that_jumps_changes_nothing(seconds: float, when: int) -> None:
    replay = replayed(lambda look: 10 <= look < 20, jump=lambda look: seconds if look == when else PERIOD)
    assert replay.news == [(10, BEGAN, APP.id), (21, ENDED, APP.id)]


def test_a_host_that_was_off_has_not_watched() -> None:
    """An outage of the whole host is no day for which a finding was there."""
    replay = replayed(lambda look: look >= 10, jump=lambda look: 3 * 86400.0 if look == 12 else PERIOD)
    assert replay.kinds() == [BEGAN]


def test_whatever_happens_news_alternate() -> None:
    """Of random looks: no end without a beginning, never the same twice, and in the end people know what is."""
    for seed in range(200):
        chance = random.Random(seed)
        replay, bad = Replay(), False
        for _turn in range(50):
            bad = bad if chance.random() < 0.8 else not bad
            unseen = ["app"] if chance.random() < 0.1 else []
            after = chance.choice([PERIOD, PERIOD, PERIOD, -3300.0, 3900.0])
            replay.look(*([APP] if bad and not unseen else []), unseen=unseen, after=after)
        for _turn in range(20):
            replay.look(*([APP] if bad else []))
        states = [kind for kind in replay.kinds() if kind in (BEGAN, ENDED)]
        assert states == [BEGAN, ENDED] * (len(states) // 2) + [BEGAN] * (len(states) % 2)
        assert bool(len(states) % 2) is bad


def test_what_a_channel_has_not_taken_is_told_as_what_it_was() -> None:
    replay = Replay()
    news = replay.look(APP)
    replay.state = kept(replay.state, {"webhook": due(replay.state, news, "webhook"), "mail": []})
    assert set(replay.state.owed) == {"webhook"}
    replay.look()
    news = replay.look()
    (was,) = due(replay.state, news, "webhook")
    assert (was.kind, was.since, was.until) == (WAS, BEGIN + PERIOD, BEGIN + 3 * PERIOD)
    (ended,) = due(replay.state, news, "mail")
    assert ended.kind == ENDED


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ([BEGAN, WORSE, REMINDER], [BEGAN]),
        ([BEGAN, WORSE, ENDED, BEGAN, ENDED], [WAS, WAS]),
        ([BEGAN, ENDED, BEGAN], [WAS, BEGAN]),
        ([REMINDER, REMINDER], [REMINDER]),
        ([REMINDER, WORSE, ENDED], [ENDED]),
        ([BEGAN, FLAPS, ENDED], [BEGAN, FLAPS, ENDED]),
    ],
)
def test_how_news_of_one_finding_are_put_together(kinds: Sequence[str], told: Sequence[str]) -> None:
    news = [News(kind, APP, float(number)) for number, kind in enumerate(kinds)]
    assert [piece.kind for piece in due(State(), news, "webhook")] == told
    assert [piece.kind for piece in due(State(), [*news[:1], News(BEGAN, DISK, 0.0), *news[1:]], "webhook")].count(
        BEGAN
    ) == 1 + list(told).count(BEGAN)


def test_what_is_owed_is_bounded() -> None:
    news = [News(FLAPS, APP, float(number)) for number in range(MOST_OWED + 9)]
    assert kept(State(), {"webhook": news}).owed == {"webhook": tuple(news[9:])}
