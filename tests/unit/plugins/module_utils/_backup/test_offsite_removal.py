# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host's sets is removed off-site; the order of the steps is in test_offsite.py."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.offsite_removal import thin
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.retention import Policy
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.remote import FoundSets, Leftover, Remote
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.restic import ResticSnapshot

FIRST, SECOND, THIRD = "20260129-020000", "20260130-020000", "20260131-020000"
NOW = datetime(2026, 2, 1, tzinfo=timezone.utc)
ONE = Policy(last=1, daily=0, weekly=0, monthly=0)
WHERE = "shop on web1 in memory:shop"


def snapshot(name: str) -> ResticSnapshot:
    return ResticSnapshot(name, "db.tar", "web1", ())


def whole(set_id: str, host: str = "web1") -> Remote:
    manifest, part = snapshot(f"{host} {set_id} m"), snapshot(f"{host} {set_id} p")
    return Remote(host, set_id, "ab", manifest, {"db": part}, 1, (manifest, part), "", imported=False)


def left(set_id: str, host: str = "web1") -> Leftover:
    return Leftover(host, set_id, (snapshot(f"{host} {set_id} left"),))


def gone(found: FoundSets, policy: Policy = ONE) -> list[str]:
    return [one.id for one in thin(found, "web1", WHERE, policy, NOW).gone]


def test_a_set_goes_with_all_of_its_snapshots_and_no_other_host_s() -> None:
    sets = [whole(SECOND), whole(FIRST), whole(FIRST, "web2")]
    assert gone(FoundSets(sets)) == [f"web1 {FIRST} m", f"web1 {FIRST} p"]


@pytest.mark.parametrize(
    ("one", "unknown", "goes"),
    [
        (left(FIRST), 0, True),  # a newer set stands for it
        (left(SECOND), 0, True),  # the same set was sent again
        (left(THIRD), 0, False),  # may be all there is of that night
        (left(FIRST), 1, False),  # somebody changed a manifest, perhaps this one's
        (left(SECOND), 1, True),
        (left(FIRST, "web2"), 0, False),
    ],
)
def test_what_was_left_goes_when_something_whole_stands_for_it(one: Leftover, unknown: int, goes: bool) -> None:
    found = FoundSets([whole(SECOND), whole(THIRD, "web2")], [one], [snapshot("unknown")] * unknown)
    assert gone(found) == ([one.snapshots[0].id] if goes else [])


@pytest.mark.parametrize(
    ("found", "count"),
    [
        (FoundSets([], [left(FIRST)]), "1 snapshot may"),
        (FoundSets([whole(THIRD, "web2")], [left(FIRST)], [snapshot("unknown")]), "2 snapshots may"),
    ],
)
def test_nothing_goes_where_nothing_is_whole(found: FoundSets, count: str) -> None:
    with pytest.raises(
        DockerVpsError, match=f"^Nothing of {WHERE} was removed: there is no whole set, but {count} be of"
    ):
        gone(found)


def test_an_empty_repository_is_no_failure() -> None:
    assert gone(FoundSets([], [left(FIRST, "web2")])) == []


@pytest.mark.parametrize("days", [-1, 0, 20000])
def test_something_whole_stays_whatever_the_clock_says(days: int) -> None:
    sets = [whole(THIRD), whole(SECOND), whole(FIRST)]
    thinned = thin(
        FoundSets(sets), "web1", WHERE, ONE, datetime(2026, 1, 31, 3, tzinfo=timezone.utc) + timedelta(days=days)
    )
    assert len(thinned.gone) < 6
    assert next(one.name for one in thinned.decisions if one.keep) == THIRD
