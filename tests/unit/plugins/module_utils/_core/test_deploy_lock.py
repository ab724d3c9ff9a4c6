# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may have the lock of an application."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.deploy_lock import (
    Held,
    Lock,
    LockRules,
    Owner,
    owner_of,
    parse,
    taken,
    text_of,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from hypothesis import given
from hypothesis import strategies as st

PATH = "/opt/shop/deploy.lock"
THERE = Lock(Owner("ann@desk", "deploy", "desk-1", "41:900", "vps1"), 1_790_000_000, made_directory=True)
SAME_DESK = Owner("bob@desk", "update", "desk-1", "42:901", "vps1")
ELSEWHERE = Owner("bob@ci", "update", "ci-7", "41:900", "vps1")
RULES = LockRules(max_age=3600)


def wanted(owner: Owner, later: int = 35) -> Lock:
    return Lock(owner, THERE.since + later)


def test_a_free_lock_is_taken_without_a_word() -> None:
    assert taken("", wanted(ELSEWHERE), RULES, PATH) == (wanted(ELSEWHERE), "")


def test_the_same_play_may_take_it_twice_and_has_it_since_the_first_time() -> None:
    again = wanted(replace(THERE.owner, purpose="restore"))
    assert taken(text_of(THERE), again, RULES, PATH) == (replace(THERE, owner=again.owner), "")


@pytest.mark.parametrize("owner", [SAME_DESK, ELSEWHERE, replace(THERE.owner, host="alias-of-vps1")])
def test_another_play_is_told_who_is_at_work_since_when_and_how_to_go_on(owner: Owner) -> None:
    with pytest.raises(Held) as caught:
        taken(text_of(THERE), wanted(owner), RULES, PATH)
    assert caught.value.message == (
        f"Cannot begin {owner.purpose}: deploy of ann@desk (process 41) has been running for 35 s, since 2026-09-21 "
        "14:13:20 UTC, and holds /opt/shop/deploy.lock. Wait until it has ended; if it never will, take the lock with "
        "⟦once lock_force true⟧."
    )
    facts: Any = caught.value.evidence["lock"]
    assert (facts["controller"], facts["process"], facts["age"]) == ("desk-1", "41:900", 35)


@pytest.mark.parametrize(
    ("owner", "later", "rules", "why"),
    [
        (SAME_DESK, 1, replace(RULES, gone=("41:900",)), "whose process is gone"),
        (SAME_DESK, 1, replace(RULES, force=True), "by force"),
        (ELSEWHERE, 1, replace(RULES, force=True), "by force"),
        (ELSEWHERE, 3601, RULES, "since it is older than 3600 s"),
        # The host's clock was put back.
        (ELSEWHERE, -3601, RULES, "since it is older than 3600 s"),
    ],
)
def test_it_is_taken_over(owner: Owner, later: int, rules: LockRules, why: str) -> None:
    lock, message = taken(text_of(THERE), wanted(owner, later), rules, PATH)
    assert lock == replace(wanted(owner, later), made_directory=True)
    assert message == f"Took the lock over from deploy of ann@desk (process 41), {why}."


@pytest.mark.parametrize(
    ("owner", "later", "rules"),
    [
        # A process of this controller is known to be running, however long it takes.
        (SAME_DESK, 36000, RULES),
        (ELSEWHERE, 3600, RULES),
        # The same number means nothing elsewhere.
        (ELSEWHERE, 1, replace(RULES, gone=("41:900",))),
        (SAME_DESK, 1, replace(RULES, gone=("41:901",))),
    ],
)
def test_it_is_not_taken_over(owner: Owner, later: int, rules: LockRules) -> None:
    with pytest.raises(Held):
        taken(text_of(THERE), wanted(owner, later), rules, PATH)


def test_what_is_written_can_be_read() -> None:
    assert parse(text_of(THERE)) == THERE


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    assert parse(text) is None


DAMAGED = ["{", "[]", "null", '{"owner": {}}', '{"owner": {"x": 1}, "since": 1, "made_directory": true}', "\0" * 300]


@pytest.mark.parametrize("text", [*DAMAGED, '{"owner": {}, "since": Infinity, "made_directory": false}'])
def test_garbage_is_free_and_told(text: str) -> None:
    lock, message = taken(text, wanted(ELSEWHERE), RULES, PATH)
    assert lock == wanted(ELSEWHERE)
    assert message == f"{PATH} was damaged, so it was taken as free."


@pytest.mark.parametrize("given", [{}, {"controller": "a", "process": "1:2"}])
def test_an_owner_that_cannot_be_told_apart_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="needs controller, process and host"):
        owner_of(given)
