# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of an application come to, and the fleet's table."""

from __future__ import annotations

from typing import Any, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import status
from ansible_collections.ptnextjs.docker_vps.tests.unit.fleets import (
    HOSTILE,
    LONG,
    NOW,
    blind,
    facts_of,
    release_of,
    set_of,
)


def row(**changes: Any) -> dict[str, Any]:
    """Return a set as backup_info lists it."""
    whole = {"id": "20260131-020000", "time": "2026-01-31T02:00:00Z", "bytes": 9, "reason": "", "problems": []}
    return {**whole, "verified": False, "last_drill": {}, **changes}


def disk(**changes: int) -> dict[str, Any]:
    """Return the facts of a disk."""
    return {"path": "/", "used": 0, "free": 0, "inodes": 0, "inodes_free": 0, **changes}


PASSED = {"at": "2026-01-31T04:00:00Z", "passed": True, "reason": "", "image": "", "seconds": 6.3, "recovery": 5.9}


@pytest.mark.parametrize(
    ("changes", "read_at", "expected"),
    [
        ({}, "", "files"),
        ({}, "2026-01-31T02:00:00Z", "read"),
        ({}, "2026-01-30T02:00:00Z", "files"),
        ({"verified": True, "last_drill": PASSED}, "", "drill"),
        ({"last_drill": {**PASSED, "passed": False}}, "2026-02-01T00:00:00Z", "bad"),
        ({"problems": ["gone"], "verified": True, "last_drill": PASSED}, "", "bad"),
    ],
)
def test_what_is_known_of_a_set(changes: Mapping[str, Any], read_at: str, expected: str) -> None:
    assert status.proof(row(**changes), read_at) == expected
    assert expected in status.PROOFS


def test_backups() -> None:
    older = row(id="20260130-020000", time="2026-01-30T02:00:00Z", verified=True, last_drill=PASSED, problems=["cut"])
    run = {"at": "2026-01-31T05:00:00Z", "success": True, "message": "m" * 500}
    newest = {"id": "20260131-020000", "age": 60}
    found = status.backup(
        {"sets": [row(), older], "runs": {"verify": run}, "newest_good": newest, "unreadable": ["manifest-x"]}
    )
    assert (found["rpo"], found["rto"], found["drill"]["set"]) == (60, 5.9, "20260130-020000")
    assert found["good_at"] == "2026-01-31T02:00:00Z"
    assert [one["proof"] for one in found["sets"]] == ["read", "bad"]
    assert found["last"] == found["sets"][0]
    assert found["problems"] == ["20260130-020000: cut", "manifest-x"]
    assert len(found["runs"]["verify"]["message"]) == 301
    failed = {"verify": {**run, "success": False}}
    assert status.backup({"sets": [row()], "runs": failed, "newest_good": {}, "unreadable": []})["last"]["proof"] == (
        "files"
    )


def test_no_backups() -> None:
    found = status.backup({"sets": [], "runs": {}, "newest_good": {}, "unreadable": []})
    assert (found["last"], found["rpo"], found["good_at"], found["rto"], found["drill"]) == ({}, None, "", None, {})


def test_a_drill_that_did_not_measure() -> None:
    old = {key: value for key, value in PASSED.items() if key != "recovery"}
    kept = {"sets": [row(verified=True, last_drill=old)], "runs": {}, "newest_good": {"age": 1}, "unreadable": []}
    assert status.backup(kept)["rto"] is None


def test_releases() -> None:
    releases = [
        {**release_of(days), "result": result, "message": "why\nmore"}
        for days, result in enumerate(("healthy", "healthy", "degraded", "healthy"))
    ]
    ids = [release["id"] for release in releases]
    states = [one["state"] for one in status.history(releases, ids[1], [ids[0]], 3)]
    assert states == ["under way", "live", "degraded"]
    assert status.history(releases, "", [], 1)[0]["message"] == "why"


def test_nothing_is_found_where_all_is_well() -> None:
    assert facts_of()["findings"] == []


def test_nothing_is_found_where_nobody_could_look() -> None:
    assert blind()["findings"] == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"container": {"state": "absent", "health": "", "name": "a"}}, "There is no container a. Run "),
        ({"container": {"state": "running", "health": "", "name": "a", "status": "running"}}, "a is running."),
        ({"drift": ["/opt/x is not as it was released."]}, "/opt/x is not as it was released."),
        ({"release": release_of(1, "degraded", id="9")}, "The release 9, which is in place, is degraded."),
        ({"releases": [release_of(1, "under way", id="9")]}, "The cutover to 9 is under way or was interrupted;"),
        (
            {"disks": [{"path": "/", "used": 9, "free": 1, "inodes": 0, "inodes_free": 0}]},
            "The disk of / is 90 % full.",
        ),
        ({"disks": [disk(free=9, inodes=9)]}, "The disk of / has 0 inodes left."),
        ({"disks": [disk()]}, "The disk of / is 100 % full."),
        ({"watch": ["hot"]}, "hot"),
    ],
)
def test_what_is_found(changes: Mapping[str, Any], expected: str) -> None:
    (found,) = facts_of(**changes)["findings"]
    assert found.startswith(expected)


def test_how_full_a_disk_may_be_is_a_choice() -> None:
    facts = facts_of(disks=[disk(used=70, free=30, inodes=100, inodes_free=30)])
    assert status.findings(facts, 71) == []
    assert len(status.findings(facts, 70)) == 2


def test_what_is_found_of_backups() -> None:
    kept = facts_of(days=0)["backup"]
    runs = {"verify": {"at": "", "success": False, "message": "killed"}, "drill": {"success": True}}
    found = facts_of(backup={**kept, "problems": ["x: cut"], "runs": runs})["findings"]
    assert found[0].startswith("There is no good backup set. Run ")
    assert found[1:] == ["x: cut", "The last verify at an unknown time failed: killed"]


def test_the_answers_of_hosts() -> None:
    facts = {**facts_of(), "changed": False, "failed": False, "_ansible_no_log": False, "failed_when_result": False}
    assert status.answer(facts) == facts_of()
    assert status.answer(None) == {"down": "not asked: an earlier task of the play failed there"}
    gone = {"unreachable": True, "msg": "Task failed: ssh https://a:b@c\n  timed out", "changed": False}
    assert status.answer(gone) == {"down": "unreachable: ssh https://***@c timed out"}
    assert status.answer({"failed": True}) == {"down": "failed: no answer"}
    assert len(status.answer({"failed": True, "msg": "x" * 999})["down"]) == 301


FLEET = {
    "web1": facts_of(),
    "web2": facts_of(days=0, drift=["x"], container={**facts_of()["container"], "health": "unhealthy", "status": "s"}),
    "web3": blind(),
    LONG: {"down": "unreachable: no route to host"},
    "web5": facts_of(known=0, timers={"shop-recover.timer": ""}),
}


def test_the_numbers_of_a_fleet() -> None:
    assert status.total(FLEET) == {
        "hosts": 5,
        "down": 1,
        "healthy": 2,
        "drifted": 1,
        "proved": 2,
        "without_backup": 1,
        "findings": 3,
        "not_looked_at": 8,
        "worst_rpo": 0,
        "worst_rto": 5.9,
    }
    assert status.total({})["worst_rpo"] is None


def test_the_table_of_a_fleet() -> None:
    head, web1, web2, web3, down, web5 = status.table(FLEET)
    assert head.split() == list(status.HEADINGS)
    assert " ".join(web1.split()) == "web1 0000000003e8 healthy 24h no 24h 0s drill 5s 23h 40% 0"
    assert " ".join(web2.split()) == "web2 0000000003e8 unhealthy 24h yes 24h - none - 23h 40% 3"
    assert " ".join(web3.split()) == "web3 ? ? ? ? ? ? ? ? ? ? 0?"
    assert web5.split()[1] == "-"
    assert web5.split()[9] == "-"
    name, rest = down.split("  ", 1)
    assert (name[:5], name[-5:], "…" in name) == (LONG[:5], LONG[-5:], True)
    assert rest == "DOWN unreachable: no route to host"
    places = [head.index(title) for title in status.HEADINGS]
    assert all(line[place - 1] == " " for line in (web1, web2, web3, web5) for place in places[1:])


def test_a_table_of_nobody() -> None:
    assert status.table({}) == []
    assert status.summary({}) == ["0 hosts: 0 healthy, 0 without an answer, 0 findings."]


@pytest.mark.parametrize("count", [1, 200])
def test_no_line_of_the_table_is_too_long(count: int) -> None:
    names = [f"{LONG}{number:03}" for number in range(count)]
    fleet = {name: facts_of(days=0, drift=["x"] * 4000) for name in names}
    fleet[HOSTILE + "\r\n\x1b[31m"] = facts_of()
    fleet["down"] = {"down": "x" * 300}
    lines = status.table(fleet)
    assert len(lines) == count + 3
    assert len(lines[-1]) <= 72
    assert max(map(len, lines)) <= 100
    assert all(line.isprintable() for line in lines)
    assert len({line[:30] for line in lines[1 : count + 1]}) == count


def test_what_was_found_comes_first_and_what_nobody_could_look_at_last() -> None:
    lines = status.summary(FLEET)
    assert lines[0] == f"{LONG}: unreachable: no route to host"
    assert lines[1] == "web2: shop-app is s."
    assert lines[4].startswith("5 hosts: 2 healthy, 1 without an answer, 3 findings.")
    assert lines[5].startswith("HOST")
    assert lines[-1] == "Not checked: watch on web3: the engine is away"
    assert status.summary({"a": blind()})[-1] == "Not checked: watch: the engine is away"


def test_what_machines_get() -> None:
    data = status.exported(FLEET)
    assert data["total"] == status.total(FLEET)
    assert list(data["hosts"]) == list(FLEET)
    assert data["hosts"]["web1"]["backup"]["last"] == set_of(0, 48_000, "drill")
    assert "sets" not in data["hosts"]["web1"]["backup"]
    assert "releases" not in data["hosts"]["web1"]
    assert data["hosts"]["web3"]["backup"] is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (-5, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172800, "2d")]
)
def test_spans(seconds: object, text: str) -> None:
    assert status.span(seconds) == text  # type: ignore[arg-type]


def test_times() -> None:
    assert status.moment(status.stated(NOW)) == NOW
    assert status.moment("2026-02-01T03:00:00.123456789Z") == NOW
    assert status.moment("0001-01-01T00:00:00Z") is not None
    assert status.moment("yesterday") is None
