# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page about a fleet is made of."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from datetime import date

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import status_page
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.status_page import DETAILS, Detail, model
from ansible_collections.ptnextjs.docker_vps.tests.unit.fleets import NOW, blind, facts_of, release_of, set_of

SUNDAY = NOW.date()


def test_a_host_on_which_all_is_well() -> None:
    shown = model({"web1": facts_of()}, NOW, DETAILS[0])
    assert (shown["at"], shown["total"]["healthy"], shown["whole"]) == ("2026-02-01T03:00:00Z", 1, True)
    (host,) = shown["hosts"]
    expected = {
        "place": 1,
        "name": "web1",
        "app": "shop",
        "findings": [],
        "more": 0,
        "unseen": {},
        "version": "0000000003e8",
        "digest": "sha256:ab",
        "released": "2026-01-31 03:00",
        "health": "healthy",
        "since": "2026-01-31 03:00",
        "drift": "no",
        "good": "2026-02-01 03:00",
        "proof": "drill",
        "recovery": "5.9 s",
        "next": "2026-02-02 02:00",
        "disk": "40 %",
    }
    assert {key: host[key] for key in expected} == expected
    assert len(host["weeks"]) == 6
    assert [release["state"] for release in host["releases"]] == ["live", *["healthy"] * 4]


def test_what_nobody_could_look_at_is_never_good() -> None:
    (host,) = model({"web1": blind()}, NOW, DETAILS[0])["hosts"]
    cells = ("version", "released", "health", "since", "drift", "good", "proof", "recovery", "next", "disk")
    assert {host[cell] for cell in cells} == {"not checked"}
    assert (host["weeks"], host["growth"], host["releases"]) == ([], {}, [])
    assert host["unseen"]["disks"] == "the engine is away"


def test_a_host_with_nothing_on_it() -> None:
    absent = {**facts_of()["container"], "state": "absent", "health": "", "started_at": ""}
    facts = facts_of(days=0, known=0, container=absent, timers={}, drift=["x"])
    (host,) = model({"web1": facts}, NOW, DETAILS[0])["hosts"]
    assert (host["version"], host["released"], host["health"], host["since"]) == ("-", "none", "absent", "none")
    assert (host["drift"], host["good"], host["proof"], host["recovery"]) == ("yes", "none", "none", "never measured")
    assert (host["next"], host["weeks"]) == ("none", [])


def test_a_host_without_an_answer() -> None:
    shown = model({"web1": {"down": "x" * 400}}, NOW, DETAILS[1])
    assert shown["hosts"] == [{"place": 1, "name": "web1", "down": "x" * 160 + "…"}]
    assert shown["whole"] is False


def test_less_is_shown_of_each_host_of_a_large_fleet() -> None:
    facts = facts_of(known=9, drift=["y" * 90] * 5)
    (host,) = model({"n" * 90: facts}, NOW, Detail(2, 3, 4, 2, 10))["hosts"]
    assert (host["name"], host["findings"], host["more"]) == ("n" * 10 + "…", ["y" * 10 + "…"] * 2, 3)
    assert (len(host["weeks"]), len(host["releases"]), len(host["growth"]["points"].split())) == (2, 3, 4)


def test_the_calendar() -> None:
    sets = [set_of(0, proof="files"), set_of(0, proof="drill"), set_of(1, proof="read"), set_of(1, proof="bad")]
    weeks = status_page.calendar([*sets, set_of(2, proof="read"), {"at": "?", "proof": "bad"}], SUNDAY, 2)
    assert [len(week) for week in weeks] == [7, 7]
    assert weeks[0][0]["date"] == "2026-01-19"
    assert [(day["day"], day["proof"], day["count"]) for day in weeks[1][3:]] == [
        (29, "", 0),
        (30, "read", 1),
        (31, "bad", 2),
        (1, "drill", 2),
    ]
    (week,) = status_page.calendar([], date(2026, 2, 2), 1)
    assert [day["future"] for day in week] == [False, *[True] * 6]


def test_growth() -> None:
    sets = [set_of(0, 4000), set_of(1, 9, "bad"), set_of(2, 2000), set_of(4, 1000), {**set_of(3), "at": "?"}]
    assert status_page.growth(sets, 90) == {
        "points": "0,44 150,30 300,2",
        "first": "1000 bytes on 2026-01-28",
        "last": "4 KiB on 2026-02-01",
        "most": "4 KiB",
    }
    points = status_page.growth([set_of(hours / 24, 100) for hours in range(2000)], 30)["points"].split()
    assert (len(points), points[0], points[-1]) == (30, "0,2", "300,2")
    assert status_page.growth([set_of(0, 0), set_of(1, 0)], 2)["points"] == "0,58 300,58"


@pytest.mark.parametrize("sets", [[], [set_of(0)], [set_of(0), set_of(0)], [set_of(0), set_of(1, proof="bad")]])
def test_no_growth(sets: list[dict[str, object]]) -> None:
    assert status_page.growth(sets, 30) == {}


def test_the_policy_names_the_style() -> None:
    source = status_page.style_source("a{}")
    assert source.startswith("sha256-")
    assert b64decode(source[7:]) == hashlib.sha256(b"a{}").digest()


def test_a_page_without_its_time() -> None:
    page = '<p>At <time id="stated" datetime="1">1</time>.</p><time id="stated">x</time>'
    assert status_page.timeless(page) == '<p>At .</p><time id="stated">x</time>'


def test_the_first_page_that_fits_is_taken() -> None:
    large = "ü" * (status_page.LARGEST // 2 + 1)
    assert status_page.fitting(iter([large, "a", "b"])) == "a"
    assert status_page.fitting(iter([large, large + "!"])) == large + "!"


def test_what_no_text_may_have() -> None:
    text = "a\tb\nc\xa0ü€😀"
    assert status_page.clean(text) == text
    assert status_page.clean("\0\x1b[1m\r\x7f\x85\udc80\ufffe") == "\ufffd\ufffd[1m" + "\ufffd" * 5


def test_times() -> None:
    assert status_page.minute(release_of(0)["at"]) == "2026-02-01 03:00"
    assert status_page.minute("") == "none"
