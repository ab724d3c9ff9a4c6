# SPDX-License-Identifier: GPL-3.0-or-later
"""At which stage the way to an application is said to be broken."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.public_check import (
    Leg,
    Visit,
    of_status,
    port_of,
    served_elsewhere,
    serves,
    unserved,
)

URL = "https://www.example.com/"
PUBLIC, HERE = "203.0.113.9", "127.0.0.1"
WELL = Visit(None, "answers 200", HERE, 200, 60.0)
REFUSED = Visit(Leg.PORT, "does not answer (Connection refused)", HERE)


@pytest.mark.parametrize(
    ("status", "leg"),
    [(200, None), (302, None), (404, Leg.APPLICATION), (500, Leg.APPLICATION), (502, Leg.PROXY), (503, Leg.PROXY)],
)
def test_what_a_status_says(status: int, leg: Optional[Leg]) -> None:
    assert of_status(status) is leg


@pytest.mark.parametrize(("url", "port"), [(URL, 443), ("http://localhost", 80), ("https://example.com:8443/x", 8443)])
def test_the_port(url: str, port: int) -> None:
    assert port_of(url) == port


def test_who_serves() -> None:
    assert serves(WELL)
    assert not serves(REFUSED)
    assert not serves(None)


@pytest.mark.parametrize(
    ("public", "at"),
    [
        (Visit(Leg.DNS, "has no address"), "has no address"),
        (Visit(Leg.PORT, "does not answer (no answer within 5 s)", PUBLIC), f"{PUBLIC} does not answer (no answer"),
        (Visit(Leg.APPLICATION, "answers 404", PUBLIC, 404), f"{PUBLIC} answers 404. If it is well"),
    ],
)
def test_a_name_that_leads_elsewhere_is_a_note_when_this_host_serves(public: Visit, at: str) -> None:
    """As behind NAT without hairpinning, behind a CDN, or with a wrong record."""
    assert served_elsewhere(URL, public).startswith(
        f"{URL} is served by this host, but was not found on the way that visitors take: {at}"
    )


@pytest.mark.parametrize(
    ("public", "here", "cause"),
    [
        (Visit(Leg.DNS, "has no address"), None, "the name www.example.com has no address; have its A or AAAA record"),
        (
            Visit(Leg.DNS, "has no address"),
            REFUSED,
            "port 443 of 127.0.0.1 does not answer (Connection refused); start",
        ),
        (Visit(Leg.PORT, "does not answer (x)", PUBLIC), REFUSED, f"port 443 of {PUBLIC} does not answer (x)"),
        (
            REFUSED,
            Visit(Leg.TLS, "certificate has expired", HERE),
            "TLS with 127.0.0.1 fails: certificate has expired; have the reverse proxy get a certificate for www.exam",
        ),
        (
            Visit(Leg.TLS, "x", PUBLIC),
            Visit(Leg.PROXY, "answers 502", HERE, 502),
            "the reverse proxy answers 502; see whether its configuration leads www.example.com to shop-app",
        ),
        (Visit(Leg.APPLICATION, "answers 404", PUBLIC, 404), REFUSED, "the application answers 404; see its log"),
    ],
)
def test_the_visit_that_came_further_tells_what_is_broken(public: Visit, here: Optional[Visit], cause: str) -> None:
    assert unserved(URL, public, here, "shop-app").startswith(f"{URL} is not served: {cause}")


def test_a_controller_that_asked_is_named() -> None:
    said = unserved(URL, Visit(Leg.PORT, "does not answer", "192.0.2.1"), None, "shop-app", "the controller")
    assert said.startswith(f"{URL}, asked from the controller, is not served: port 443 of 192.0.2.1 does not answer;")
