# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fetched, from a server of our own."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.web import fetch


class Handler(BaseHTTPRequestHandler):
    """One that has a key, and nothing else."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200 if self.path == "/gpg" else 404)
        self.end_headers()
        self.wfile.write("a key, ü".encode())

    def log_message(self, *_unused: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """A server's address."""
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_text(url: str) -> None:
    assert fetch(f"{url}/gpg") == "a key, ü"


def test_why_there_is_none(url: str) -> None:
    with pytest.raises(DockerVpsError, match="/nothing cannot be fetched: 404 Not Found. Nothing was changed"):
        fetch(f"{url}/nothing")
    for address in ("http://127.0.0.1:1/gpg", "http://nowhere.invalid/", "nonsense", "file:///nowhere/key"):
        with pytest.raises(DockerVpsError, match="cannot be fetched: "):
            fetch(address)
