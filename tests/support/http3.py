# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a server over HTTP/3, and over nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from lab import Response

WITHIN = 10.0  # seconds
FROM = 44333
"""The port at which a visitor asks each time, so that for the host all that comes from there is one flow."""


class _Visit(QuicConnectionProtocol):
    """A connection for one request."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.http = H3Connection(self._quic)
        self.headers: dict[str, str] = {}
        self.body = b""
        self.whole = asyncio.Event()

    def quic_event_received(self, event: Any) -> None:
        """Read what has come."""
        for found in self.http.handle_event(event):
            if isinstance(found, HeadersReceived):
                self.headers |= {name.decode(): value.decode() for name, value in found.headers}
            if isinstance(found, DataReceived):
                self.body += found.data
            if getattr(found, "stream_ended", False):
                self.whole.set()

    async def get(self, domain: str, path: str) -> Response:
        """Ask for a page."""
        asked = {":method": "GET", ":scheme": "https", ":authority": domain, ":path": path}
        headers = [(name.encode(), value.encode()) for name, value in asked.items()]
        self.http.send_headers(self._quic.get_next_available_stream_id(), headers, end_stream=True)
        self.transmit()
        await self.whole.wait()
        return Response(int(self.headers[":status"]), self.body, self.headers)


def ask(address: str, domain: str, authority: str, path: str = "/") -> Response:
    """Return the answer of an address under the name of a site.

    Args:
        authority: the certificate that the server's has to be signed with, in PEM.

    Raises:
        OSError: nothing answers, or with a certificate of somebody else.
    """

    async def asked() -> Response:
        told = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name=domain)
        told.load_verify_locations(cadata=authority.encode())
        how: dict[str, Any] = {"configuration": told, "create_protocol": _Visit, "local_port": FROM}
        async with connect(address, 443, **how) as visit:
            return await visit.get(domain, path)

    return asyncio.run(asyncio.wait_for(asked(), WITHIN))
