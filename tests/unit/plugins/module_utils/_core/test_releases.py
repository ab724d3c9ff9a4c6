# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due, where to return to, and which releases are kept."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.host import HASH_LABEL
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.images import identity
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import (
    DEGRADED,
    FAILED,
    HEALTHY,
    KEEP_AT_LEAST,
    NextStep,
    Release,
    as_released,
    fingerprint,
    made_of,
    of_any,
    of_release,
    parse,
    plan,
    schema_of,
    shown,
    superseded,
    text_of,
    to_return_to,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import inspected
from hypothesis import given
from hypothesis import strategies as st

ONE = Release("1", "2026-02-01T02:00:00Z", "shop:1", "sha256:1", "e1", "d1", result=HEALTHY)


def release(number: int, result: str = HEALTHY, content: Optional[int] = None, back: str = "") -> Release:
    what = number if content is None else content
    return Release(
        f"{number:02}",
        "",
        f"shop:{what}",
        f"sha256:{what}",
        "e",
        "d",
        result=result,
        rolled_back_to=back,
        message="why",
    )


def ids(releases: list[Release]) -> list[str]:
    return [one.id for one in releases]


@pytest.mark.parametrize(
    ("live", "container", "healthy", "wanted"),
    [
        (ONE, True, True, NextStep.NOTHING),
        (ONE, True, False, NextStep.START),
        (ONE, False, False, NextStep.START),
        (replace(ONE, result=DEGRADED), True, True, NextStep.CUTOVER),
        (replace(ONE, result=FAILED), False, False, NextStep.FIRST),
        (replace(ONE, definition="d2"), True, True, NextStep.CUTOVER),
        (replace(ONE, environment="e2"), True, True, NextStep.CUTOVER),
        (replace(ONE, image_id="sha256:2"), True, True, NextStep.CUTOVER),
        (replace(ONE, image="other-name", revision="other", deployed_by="other"), True, True, NextStep.NOTHING),
        (replace(ONE, image_id="sha256:2"), False, False, NextStep.FIRST),
        (None, False, False, NextStep.FIRST),
        (None, True, True, NextStep.CUTOVER),
    ],
)
def test_what_is_to_be_done(live: Optional[Release], container: bool, healthy: bool, wanted: NextStep) -> None:
    assert plan(live, ONE, container, healthy) is wanted


LIVE = replace(ONE, config_hash="c1")


def container_of(image: str = "sha256:1", config_hash: str = "c1", state: str = "healthy") -> dict[str, Any]:
    return {**inspected(state), "Image": image, "Config": {"Labels": {HASH_LABEL: config_hash}}}


@pytest.mark.parametrize(
    ("live", "container", "now", "unchanged"),
    [
        (LIVE, container_of(), "c1", True),
        (LIVE, container_of(), "c2", True),  # of another version of Compose
        (LIVE, container_of(config_hash="c2"), "c2", True),
        (LIVE, container_of(config_hash="c2"), "c1", False),
        (LIVE, container_of(config_hash=""), "", False),
        (ONE, container_of(), "c1", True),
        (ONE, container_of(config_hash=""), "c1", False),
        (LIVE, {**container_of(), "Config": {"Labels": None}}, "c1", False),
        (LIVE, container_of(image="sha256:2"), "c1", False),
        (LIVE, container_of(state="unhealthy"), "c1", False),
        (LIVE, container_of(state="running"), "c1", False),
        (LIVE, container_of(state="exited-healthy"), "c1", False),
        (LIVE, container_of(state="paused"), "c1", False),
        (LIVE, None, "c1", False),
    ],
)
def test_whether_a_container_is_as_it_was_released(
    live: Release, container: Optional[dict[str, Any]], now: str, unchanged: bool
) -> None:
    assert as_released(live, container, None, lambda: now) is unchanged


def test_compose_is_asked_only_when_the_record_does_not_tell() -> None:
    def refuses() -> str:
        raise AssertionError

    assert as_released(LIVE, container_of(), None, refuses)
    assert not as_released(LIVE, container_of(state="unhealthy", config_hash="c2"), None, refuses)
    assert not as_released(LIVE, container_of(image="sha256:2", config_hash="c2"), None, refuses)
    assert not as_released(LIVE, container_of(config_hash="c2"), None)


def test_the_image_counts_and_not_what_a_store_calls_it() -> None:
    image = {"Id": "sha256:index", "RepoDigests": ["shop@sha256:index"], "RootFS": {"Layers": ["l"]}}
    again = {**image, "Id": "sha256:again", "RepoDigests": ["shop@sha256:again"]}
    live = replace(LIVE, image_id=identity(image))
    assert as_released(live, container_of(image="sha256:index"), image)
    assert as_released(live, container_of(image="sha256:again"), again)
    assert not as_released(live, container_of(image="sha256:again"), {**again, "RootFS": {"Layers": ["other"]}})


def test_one_that_does_not_run_may_still_be_as_it_was_released() -> None:
    assert made_of(LIVE, container_of(state="exited-healthy"), None)


HISTORY = [release(1), release(2), release(3, FAILED), release(4), release(5, FAILED)]


@pytest.mark.parametrize(
    ("live", "wanted", "found"),
    [
        ("04", "", "02"),
        ("02", "", "01"),
        ("04", "01", "01"),
        ("04", "04", "04"),
    ],
)
def test_where_to_return_to(live: str, wanted: str, found: str) -> None:
    there = next(one for one in HISTORY if one.id == live)
    assert to_return_to(HISTORY, there, wanted).id == found


def test_each_rollback_goes_further_back() -> None:
    history = [release(number) for number in range(1, 5)]
    seen = []
    for number in range(5, 8):
        found = to_return_to(history, history[-1], "")
        seen.append(found.id)
        history.append(replace(release(number), image_id=found.image_id, rolled_back_to=found.id))
    assert seen == ["03", "02", "01"]
    with pytest.raises(DockerVpsError, match="There is no healthy release before the live one to return to; known: "):
        to_return_to(history, history[-1], "")


def test_what_has_the_same_content_is_no_return() -> None:
    assert to_return_to([release(1), release(2), release(3, content=2)], release(3, content=2), "").id == "01"


def test_after_a_rollback_and_a_new_release_the_rolled_back_one_is_before() -> None:
    history = [release(1), release(2), release(3, content=1, back="01"), release(4)]
    assert to_return_to(history, history[-1], "").id == "03"


def test_without_a_live_one_the_newest_healthy_one() -> None:
    assert to_return_to(HISTORY, None, "").id == "04"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("99", "There is no release 99; the releases that were healthy are: 01, 02, 04."),
        ("03", r"The release 03 was never healthy \(why\); those that were: 01, 02, 04."),
    ],
)
def test_where_nobody_can_return_to(wanted: str, message: str) -> None:
    with pytest.raises(DockerVpsError, match=message):
        to_return_to(HISTORY, HISTORY[3], wanted)
    with pytest.raises(DockerVpsError, match="known: none"):
        to_return_to([release(3, FAILED)], None, "")


def test_the_newest_healthy_ones_and_failures_since_are_kept() -> None:
    history = [release(n, FAILED if n % 3 == 0 else HEALTHY) for n in range(1, 12)]
    assert ids(superseded(history, "11", 3)) == ["01", "02", "03", "04", "05", "06", "07"]
    assert superseded(history, "11", 99) == []
    assert ids(superseded(history, "11", 0)) == ids(superseded(history, "11", KEEP_AT_LEAST))


def test_only_so_many_failures_are_kept() -> None:
    history = [release(1), *(release(n, FAILED) for n in range(2, 9)), release(9)]
    assert ids(superseded(history, "09", 2)) == ["02", "03", "04", "05", "06"]


def test_failures_alone() -> None:
    assert ids(superseded([release(1, FAILED), release(2, FAILED), release(3, FAILED)], "", 2)) == ["01"]


def test_after_rollbacks_the_next_to_return_to_is_kept() -> None:
    history = [*(release(n) for n in range(1, 6)), release(6, content=4, back="04"), release(7, content=3, back="03")]
    assert ids(superseded(history, "07", 2)) == ["01"]


HISTORIES = st.lists(
    st.tuples(st.sampled_from([HEALTHY, HEALTHY, FAILED, DEGRADED]), st.integers(1, 4), st.integers(0, 9)),
    min_size=1,
    max_size=10,
)


@given(HISTORIES, st.integers(-1, 6), st.data())
def test_what_is_never_forgotten(rows: list[tuple[str, int, int]], keep: int, data: Any) -> None:
    history = [
        release(n, result, content, f"{back:02}" if 0 < back < n else "")
        for n, (result, content, back) in enumerate(rows, 1)
    ]
    live = data.draw(st.sampled_from([one for one in history if one.result != FAILED] or history))
    gone = superseded(data.draw(st.permutations(history)), live.id, keep)
    left = [one for one in history if one not in gone]
    assert live in left
    assert set(gone) <= set(history)
    healthy = [one for one in history if one.result == HEALTHY]
    assert set(healthy[-max(keep, KEEP_AT_LEAST) :]) <= set(left)
    try:
        before = to_return_to(history, live, "")
    except DockerVpsError:
        return
    assert to_return_to(left, live, "") == before
    assert [one for one in healthy if one.id >= before.id] == [
        one for one in left if one.result == HEALTHY and one.id >= before.id
    ]


def test_fingerprints() -> None:
    assert fingerprint("a") == "ca978112ca1b"
    assert fingerprint("\udcff") != fingerprint("a")
    assert schema_of({}) == ""
    assert schema_of({"a": "1", "b": "2"}) == schema_of({"b": "2", "a": "1"}) != schema_of({"a": "2", "b": "1"})


def test_what_is_written_is_read() -> None:
    one = replace(ONE, message="schön", downtime=1.5, secrets=("A", "B"))
    assert parse(text_of(one), "/x") == one
    assert "schön" in text_of(one)
    later = json.dumps({**asdict(one), "invented": 1})
    assert parse(later, "/x") == one
    earlier = {key: value for key, value in asdict(one).items() if key != "secrets"}
    assert parse(json.dumps(earlier), "/x") == replace(one, secrets=())


def test_a_definition_names_files_of_its_release() -> None:
    any_release = "image: shop:20260131-020000\nfile: /opt/shop/releases/{release}/secrets/A\n"
    bound = of_release(any_release, "20260131-020000")
    assert bound == "image: shop:20260131-020000\nfile: /opt/shop/releases/20260131-020000/secrets/A\n"
    assert of_any(bound, "20260131-020000") == any_release


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", '"x"', "{}", '{"id": "1"}'])
def test_garbage_is_no_release(text: str) -> None:
    with pytest.raises(DockerVpsError) as caught:
        parse(text, "/opt/shop/releases/1/release.json")
    assert caught.value.message.startswith("/opt/shop/releases/1/release.json is not a release (")
    assert "Move /opt/shop/releases/1 away, or fix the file." in caught.value.message


@given(st.text())
def test_any_garbage_is_refused_in_words(text: str) -> None:
    with pytest.raises(DockerVpsError):
        parse(text, "/x/y")


def test_a_release_in_a_diff_tells_what_is_known_of_it() -> None:
    known = replace(ONE, revision="4f2c", base="r/node:22@sha256:ab")
    assert shown(known) == f"release: {ONE.id}\nimage: {ONE.image}\nrevision: 4f2c\nbase: r/node:22@sha256:ab\n"
    assert shown(replace(ONE, rolled_back_to="20260131-010000")).startswith("release: 20260131-010000\n")
