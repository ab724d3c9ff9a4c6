# SPDX-License-Identifier: GPL-3.0-or-later
"""Which visits are made, and what becomes of the verdict."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.public_check import Leg, Visit
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.public_check import Params, run

URL = "https://www.example.com/"
NAMELESS, AWAY, WELL = Visit(Leg.DNS, "has no address"), Visit(Leg.PORT, "x"), Visit(None, "answers 200", "", 200, 60.0)


class Visitors:
    """Make visits that go as they are told to, and remember where to."""

    def __init__(self, *visits: Visit) -> None:
        self.visits, self.asked = list(visits), [""]
        self.asked.clear()

    def __call__(self, url: str, text: str, address: str) -> Visit:
        assert (url, text) == (URL, "Welcome")
        self.asked.append(address)
        return self.visits.pop(0)


def test_nothing_is_asked_when_it_is_off() -> None:
    for params in (Params(), Params(URL, "off"), Params("", "fail")):
        assert run(params, Visitors()) == {
            "changed": False,
            "served": None,
            "status": 0,
            "days_left": None,
            "summary": "",
        }


def test_a_page_that_comes() -> None:
    visitors = Visitors(WELL)
    result = run(Params(URL, "fail", "Welcome"), visitors)
    assert result == {"changed": False, "served": True, "status": 200, "days_left": 60.0, "summary": ""}
    assert visitors.asked == [""]


def test_this_host_is_asked_when_the_name_leads_nowhere() -> None:
    visitors = Visitors(NAMELESS, WELL)
    assert run(Params(URL, "fail", "Welcome"), visitors)["served"] is True
    assert visitors.asked == ["", "127.0.0.1"]
    assert run(Params(URL, "warn", "Welcome", here=False), Visitors(NAMELESS))["served"] is False


def test_what_is_not_served() -> None:
    result = run(Params(URL, "warn", "Welcome"), Visitors(NAMELESS, AWAY))
    assert result["served"] is False
    assert result["summary"].startswith(f"{URL} is not served: port 443")
    with pytest.raises(DockerVpsError, match="is not served: the name www.example.com has no address"):
        run(Params(URL, "fail", "Welcome", here=False), Visitors(NAMELESS))
