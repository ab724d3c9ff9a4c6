# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting with a fake clock and an engine whose containers change at given seconds."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import EngineError, EngineUnreachable
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import (
    ContainerSnapshot,
    HealthRules,
    Reason,
    WantedHealth,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health_wait import (
    RECONNECT_PAUSE,
    ROUTINE_LOOK,
    Ending,
    Wait,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FakeClock, FakeEngine, FakeFeed, seen
from hypothesis import given
from hypothesis import strategies as st

STARTING, HEALTHY, SICK, EXITED = seen("starting"), seen("healthy"), seen("unhealthy"), seen("exited-3")
Timeline = Sequence[Tuple[float, ContainerSnapshot]]


def engine_of(*timelines: Timeline, **options: Any) -> FakeEngine:
    """Make an engine with the containers a, b, …"""
    return FakeEngine(FakeClock(), dict(zip("abc", timelines)), **options)


def wait(engine: FakeEngine, timeout: float = 60, names: str = "", **rules: Any) -> Ending:
    wanted = HealthRules(**{"wanted": WantedHealth.HEALTHY, **rules})
    return Wait(engine, engine.clock, list(names) or list(engine.timeline), wanted, timeout).run()


def endings(ending: Ending) -> list[tuple[str, float]]:
    return [(one.reason.value, round(one.seconds, 6)) for one in ending.containers]


def test_what_is_there_already_is_not_waited_for() -> None:
    engine = engine_of([(0, HEALTHY)])
    ending = wait(engine)
    assert endings(ending) == [("reached", 0)]
    assert ending.reached
    assert (engine.looks, engine.clock.passed) == ([(0, "a")], 0)


@pytest.mark.parametrize(
    ("last", "wanted", "asked"),
    [
        (SICK, WantedHealth.HEALTHY, True),
        (STARTING, WantedHealth.HEALTHY, True),
        (STARTING, WantedHealth.STOPPED, False),
        (EXITED, WantedHealth.HEALTHY, False),
        (HEALTHY, WantedHealth.HEALTHY, False),
        (seen("running"), WantedHealth.HEALTHY, False),
    ],
)
def test_the_application_is_asked_why_it_is_not_healthy(
    last: ContainerSnapshot, wanted: WantedHealth, asked: bool
) -> None:
    engine = engine_of([(0, STARTING), (1, last)], answers={STARTING.name: "503: no database"})
    (one,) = wait(engine, wanted=wanted).containers
    assert one.snapshot.answer == ("503: no database" if asked else "")


def test_an_event_ends_the_wait_at_that_time() -> None:
    engine = engine_of([(0, STARTING), (2.3, HEALTHY)])
    assert endings(wait(engine)) == [("reached", 2.3)]
    assert engine.looks == [(0, "a"), (2.3, "a")]
    assert engine.clock.slept == []


def test_a_lost_event_costs_one_routine_look_at_most() -> None:
    engine = engine_of([(0, STARTING), (7.1, HEALTHY)], silent=True)
    assert endings(wait(engine)) == [("reached", 2 * ROUTINE_LOOK)]
    assert [second for second, _unused in engine.looks] == [0, ROUTINE_LOOK, 2 * ROUTINE_LOOK]


def test_time_is_up_exactly_at_the_deadline() -> None:
    engine = engine_of([(0, STARTING)])
    ending = wait(engine, timeout=12)
    assert endings(ending) == [("timeout", 12)]
    assert not ending.reached
    assert [second for second, _unused in engine.looks] == [0, 5, 10, 12]


def test_what_comes_with_the_deadline_counts() -> None:
    assert endings(wait(engine_of([(0, STARTING), (12, HEALTHY)]), timeout=12)) == [("reached", 12)]


def test_a_timeout_of_zero_looks_once() -> None:
    engine = engine_of([(0, STARTING)])
    assert endings(wait(engine, timeout=0)) == [("timeout", 0)]
    assert engine.looks == [(0, "a")]
    assert engine.clock.passed == 0


def test_several_containers_share_the_deadline() -> None:
    engine = engine_of([(0, STARTING), (3, HEALTHY)], [(0, STARTING), (8, HEALTHY)], [(0, STARTING)])
    assert endings(wait(engine, timeout=10)) == [("reached", 3), ("reached", 8), ("timeout", 10)]
    assert engine.feeds[0].names == ["a", "b", "c"]


def test_a_verdict_is_kept_and_its_container_not_looked_at_again() -> None:
    engine = engine_of([(0, HEALTHY), (2, EXITED)], [(0, STARTING), (4, HEALTHY)])
    assert endings(wait(engine)) == [("reached", 0), ("reached", 4)]
    assert [second for second, name in engine.looks if name == "a"] == [0]


def test_one_failure_ends_the_wait_for_all() -> None:
    ending = wait(engine_of([(0, STARTING)], [(0, STARTING), (3, EXITED)], [(0, HEALTHY)]))
    assert endings(ending) == [("waiting", 3), ("exited", 3), ("reached", 0)]
    assert not ending.reached
    assert [one.snapshot.state for one in ending.containers] == ["running", "exited", "running"]


def test_a_container_named_twice_is_one() -> None:
    engine = engine_of([(0, HEALTHY)])
    assert endings(wait(engine, names="aa")) == [("reached", 0)]
    assert engine.looks == [(0, "a")]


def test_a_container_may_recover_when_that_is_tolerated() -> None:
    flapping = [(0, STARTING), (2, SICK), (6, HEALTHY)]
    assert endings(wait(engine_of(flapping))) == [("unhealthy", 2)]
    assert endings(wait(engine_of(flapping), tolerate_unhealthy=True)) == [("reached", 6)]


def test_restarts_before_the_wait_are_not_held_against_the_container() -> None:
    old = seen("starting", restart_count=9)
    assert endings(wait(engine_of([(0, old), (1, seen("healthy", restart_count=9))]))) == [("reached", 1)]
    assert endings(wait(engine_of([(0, old), (1, seen("healthy", restart_count=10))]))) == [("restarting", 1)]


def test_one_restart_may_be_borne() -> None:
    once = [(0, STARTING), (1, seen("restarting", restart_count=1)), (2, seen("healthy", restart_count=1))]
    assert endings(wait(engine_of(once))) == [("restarting", 1)]
    assert endings(wait(engine_of(once), max_restarts=1)) == [("reached", 2)]
    # The engine forgets why when it restarts it; its events had said it.
    quick = [(0, STARTING), (1, seen("starting", restart_count=1))]
    (told,) = wait(engine_of(quick, out_of_memory=[(0.9, "a")])).containers
    assert (told.reason.value, told.snapshot.oom_killed) == ("restarting", True)
    (other,) = wait(engine_of(quick, out_of_memory=[(0.9, "b"), (1.1, "a")])).containers
    assert (other.reason.value, other.snapshot.oom_killed) == ("restarting", False)
    loop = [*once[:2], (2, seen("starting", restart_count=1)), (3, seen("restarting", restart_count=2))]
    assert endings(wait(engine_of(loop), max_restarts=1)) == [("restarting", 3)]


def test_a_restarted_engine_is_waited_out() -> None:
    engine = engine_of([(0, STARTING), (6, HEALTHY)], outages=[(2, 4)])
    ending = wait(engine)
    assert endings(ending) == [("reached", 6)]
    assert ending.engine_losses == 1
    assert set(engine.clock.slept) == {RECONNECT_PAUSE}
    assert len(engine.feeds) == 2


def test_a_restarted_engine_counts_restarts_anew() -> None:
    engine = engine_of(
        [(0, seen("starting", restart_count=5)), (3, seen("starting", restart_count=0)), (6, HEALTHY)], outages=[(2, 4)]
    )
    assert endings(wait(engine)) == [("reached", 6)]
    # Afterwards a loop is still one.
    engine = engine_of(
        [(0, seen("starting", restart_count=5)), (3, STARTING), (6, seen("starting", restart_count=1))],
        outages=[(2, 4)],
    )
    assert endings(wait(engine)) == [("restarting", 6)]


def test_a_stream_that_ends_is_opened_again() -> None:
    engine = engine_of([(0, STARTING), (3, HEALTHY)], breaks=[1])
    ending = wait(engine)
    assert (endings(ending), ending.engine_losses) == ([("reached", 3)], 1)
    assert [feed.closed for feed in engine.feeds] == [1, 1]


def test_a_stream_that_ends_forgives_no_restart() -> None:
    restarted = seen("starting", restart_count=6)
    engine = engine_of([(0, seen("starting", restart_count=5)), (1.125, restarted)], breaks=[1])
    assert endings(wait(engine)) == [("restarting", 1.25)]


def test_an_engine_that_stays_away_until_the_deadline() -> None:
    engine = engine_of([(0, STARTING)], [(0, HEALTHY)], outages=[(2, 99)])
    ending = wait(engine, timeout=10.1)
    assert endings(ending) == [("engine_lost", 10.1), ("reached", 0)]
    assert (ending.engine_losses, ending.reached) == (1, False)
    assert engine.clock.slept[-1] < RECONNECT_PAUSE


def test_an_engine_lost_at_the_deadline_itself() -> None:
    engine = engine_of([(0, STARTING)], outages=[(10, 99)])
    assert endings(wait(engine, timeout=10)) == [("engine_lost", 10)]
    assert engine.clock.slept == []


def test_two_losses_are_two() -> None:
    engine = engine_of([(0, STARTING), (20, HEALTHY)], outages=[(2, 3), (6, 9)])
    ending = wait(engine)
    assert (endings(ending), ending.engine_losses) == ([("reached", 20)], 2)


def test_an_engine_away_from_the_beginning_is_an_error() -> None:
    engine = engine_of([(0, HEALTHY)], outages=[(0, 5)])
    with pytest.raises(EngineUnreachable):
        wait(engine)
    assert engine.clock.passed == 0


class LostAfterListening(FakeEngine):
    """An engine that goes away between listening and the first look."""

    def look(self, name: str) -> ContainerSnapshot:
        raise EngineUnreachable("away")


class Refusing(FakeEngine):
    """An engine that answers with a failure from the second look on."""

    def look(self, name: str) -> ContainerSnapshot:
        if self.looks:
            raise EngineError("refused")
        return super().look(name)


@pytest.mark.parametrize(("kind", "error"), [(LostAfterListening, EngineUnreachable), (Refusing, EngineError)])
def test_the_feed_is_closed_when_the_wait_fails(kind: type[FakeEngine], error: type[Exception]) -> None:
    engine = kind(FakeClock(), {"a": [(0, STARTING), (1, HEALTHY)]})
    with pytest.raises(error):
        wait(engine)
    assert [feed.closed for feed in engine.feeds] == [1]


@pytest.mark.parametrize("timeout", [0, 3, 60])
def test_the_feed_is_closed_however_the_wait_ends(timeout: float) -> None:
    engine = engine_of([(0, STARTING), (5, EXITED)], outages=[(2, 2.5)])
    wait(engine, timeout=timeout)
    assert engine.feeds
    assert all(feed.closed == 1 for feed in engine.feeds)


# Eighths, so that adding them up is exact.
TIMES = st.integers(1, 320).map(lambda eighths: eighths / 8)


@given(
    changes=st.lists(st.tuples(TIMES, st.sampled_from([STARTING, HEALTHY, SICK])), max_size=6),
    outages=st.lists(st.tuples(TIMES, TIMES), max_size=2),
    timeout=TIMES,
    silent=st.booleans(),
)
def test_whatever_happens_the_deadline_holds_and_the_verdict_is_true(
    changes: list[tuple[float, ContainerSnapshot]], outages: list[tuple[float, float]], timeout: float, silent: bool
) -> None:
    timeline = [(0.0, STARTING), *sorted(changes, key=lambda change: change[0])]
    engine = engine_of(timeline, outages=[(at, at + lasts) for at, lasts in outages], silent=silent)
    ending = wait(engine, timeout=timeout, tolerate_unhealthy=True)
    (one,) = ending.containers
    assert one.seconds == engine.clock.passed <= timeout
    assert one.snapshot == engine.at("a", engine.looks[-1][0]) or one.reason is Reason.ENGINE_LOST
    if one.reason is Reason.REACHED:
        assert one.snapshot.health == "healthy"
    else:
        assert one.seconds == timeout
        assert one.reason in (Reason.TIMEOUT, Reason.ENGINE_LOST)
    assert all(feed.closed == 1 for feed in engine.feeds)


def test_the_fake_feed_is_strict() -> None:
    feed = FakeFeed(engine_of([(0, STARTING)]), "a")
    with pytest.raises(AssertionError):
        feed.wait(0)
    feed.close()
    with pytest.raises(AssertionError):
        feed.wait(1)
