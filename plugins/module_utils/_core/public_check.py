# SPDX-License-Identifier: GPL-3.0-or-later
"""What visitors get at a public address, and at which stage it breaks: name, port, TLS, proxy, application."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Optional
from urllib.parse import urlsplit

OFF, WARN, FAIL = "off", "warn", "fail"
THIS_HOST = "127.0.0.1"
_OF_THE_PROXY = (502, 503, 504)  # what a proxy says when it cannot reach what is behind it (RFC 9110, 15.6)


class Leg(IntEnum):
    """A part of the way to an application, in the order in which a visitor's browser takes them."""

    DNS = 1
    PORT = 2
    TLS = 3
    PROXY = 4
    APPLICATION = 5


@dataclass(frozen=True)
class Visit:
    """How far a request came.

    Attributes:
        broken: the stage at which it ended, None when the page came.
        evidence: what happened there, such as ``answers 404``.
        address: the one that was asked, empty when the name has none.
        status: of the last answer, 0 when there was none.
        days_left: of the certificate, if one was shown and is valid.
        lifetime: of that, in days.
    """

    broken: Optional[Leg]
    evidence: str
    address: str = ""
    status: int = 0
    days_left: Optional[float] = None
    lifetime: Optional[float] = None


def of_status(status: int) -> Optional[Leg]:
    """Return the stage that a status of HTTP says is broken, None when the answer is a page or a redirection."""
    if status in _OF_THE_PROXY:
        return Leg.PROXY
    return None if status < 400 else Leg.APPLICATION


def port_of(url: str) -> int:
    """Return the port of a web address."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def serves(here: Optional[Visit]) -> bool:
    """Return whether a host that was asked under the public name serves the page, whatever DNS says of it."""
    return here is not None and here.broken is None


def served_elsewhere(url: str, public: Visit) -> str:
    """Return a sentence on an address at which this host serves, though a visit by its name did not come there."""
    at = f"{public.address} {public.evidence}" if public.address else public.evidence
    return (
        f"{url} is served by this host, but was not found on the way that visitors take: {at}. If it is well from "
        "elsewhere, that is because of NAT or a CDN; otherwise see where its name leads, and whether a firewall is in "
        "between."
    )


def unserved(url: str, public: Visit, here: Optional[Visit], container: str, asked_from: str = "") -> str:
    """Return a sentence on the stage at which an address breaks.

    Args:
        url: the public address.
        public: a visit by its name.
        here: one of this host under that name; of the two the one that came further tells more.
        container: the application as the proxy knows it.
        asked_from: from where it was asked, unless that was the host.
    """
    where = f", asked from {asked_from}," if asked_from else ""
    seen = here if here is not None and (here.broken or 0) > (public.broken or 0) else public
    return f"{url}{where} is not served: {_broken_leg(urlsplit(url).hostname or '', port_of(url), seen, container)}."


def _broken_leg(host: str, port: int, seen: Visit, container: str) -> str:
    if seen.broken is Leg.DNS:
        return f"the name {host} {seen.evidence}; have its A or AAAA record lead to this host"
    if seen.broken is Leg.PORT:
        return f"port {port} of {seen.address} {seen.evidence}; start the reverse proxy, or open the port"
    if seen.broken is Leg.TLS:
        return (
            f"TLS with {seen.address} fails: {seen.evidence}; have the reverse proxy get a certificate for {host} that "
            "is trusted where this was asked"
        )
    if seen.broken is Leg.PROXY:
        return f"the reverse proxy {seen.evidence}; see whether its configuration leads {host} to {container}"
    return f"the application {seen.evidence}; see its log"
