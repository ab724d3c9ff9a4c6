# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask for a page as a visitor's browser does, without a proxy of the environment, and see how far that comes."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from typing import List, Optional, Sequence, Tuple
from urllib.parse import urljoin, urlsplit

from .._core.public_check import Leg, Visit, of_status, port_of

WITHIN = 5.0  # seconds for each of the name, a connection and an answer
ADDRESSES = 4  # at most asked of a name
REDIRECTIONS = 5
LARGEST = 1 << 20  # bytes of a page
_DAY = 86400.0


def visit(url: str, text: str = "", address: str = "") -> Visit:
    """Ask for a page, following redirections that stay at the same origin.

    Args:
        text: what the page must contain; anything when empty.
        address: where to ask, whatever DNS says.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    addresses = [address] if address else _addresses(host, port_of(url))
    if not addresses:
        return Visit(Leg.DNS, "has no address")
    found = Visit(Leg.PORT, "")
    for place in addresses[:ADDRESSES]:
        found = _visited(url, text, place)
        if found.broken is not Leg.PORT:
            break
    return found


def _addresses(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name. Resolvers keep a process for longer than it can wait."""
    found: List[str] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(WITHIN)
    return list(found)


def _visited(url: str, text: str, address: str) -> Visit:
    days_left, lifetime = None, None
    for _turn in range(REDIRECTIONS + 1):
        parts = urlsplit(url)
        try:
            connection = socket.create_connection((address, port_of(url)), WITHIN)
        except OSError as error:
            return Visit(Leg.PORT, f"does not answer ({_why(error)})", address)
        with connection:
            if parts.scheme == "https":
                try:
                    connection = _secured(connection, parts.hostname or "")
                except (OSError, ValueError) as error:
                    return Visit(Leg.TLS, _why(error), address)
                days_left, lifetime = _validity(connection)
            with connection:
                found = _answered(connection, url, text)
        following = urljoin(url, found.evidence) if 300 <= found.status < 400 else ""
        if not following or _origin(following) != _origin(url):
            break
        url = following
    return Visit(found.broken, found.evidence, address, found.status, days_left, lifetime)


def _secured(connection: socket.socket, host: str) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(connection, server_hostname=host)


def _validity(connection: socket.socket) -> Tuple[Optional[float], Optional[float]]:
    """Return how many days a certificate is still valid, and how many it is in all."""
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    begins, ends = (str((certificate or {}).get(name, "")) for name in ("notBefore", "notAfter"))
    if not begins or not ends:
        return None, None
    last = ssl.cert_time_to_seconds(ends)
    return (last - time.time()) / _DAY, (last - ssl.cert_time_to_seconds(begins)) / _DAY


def _answered(connection: socket.socket, url: str, text: str) -> Visit:
    """Return how it answers; of a redirection the evidence is where it leads."""
    parts = urlsplit(url)
    asked = http.client.HTTPConnection(parts.hostname or "", port_of(url))
    asked.sock = connection
    asked.default_port = 443 if parts.scheme == "https" else 80
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        asked.request("GET", path, headers={"Accept-Encoding": "identity", "User-Agent": "ptnextjs.docker_vps"})
        answer = asked.getresponse()
        page = answer.read(LARGEST).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return Visit(Leg.PROXY, f"does not answer ({_why(error)})")
    if 300 <= answer.status < 400:
        return Visit(None, answer.getheader("Location") or "", status=answer.status)
    broken = of_status(answer.status)
    if broken is None and text not in page:
        return Visit(
            Leg.APPLICATION, f"answers {answer.status} without the text that it should have", status=answer.status
        )
    return Visit(broken, f"answers {answer.status}", status=answer.status)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{port_of(url)}"


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, (socket.timeout, TimeoutError)):
        return f"no answer within {WITHIN:.0f} s"
    return getattr(error, "strerror", "") or str(error) or type(error).__name__
