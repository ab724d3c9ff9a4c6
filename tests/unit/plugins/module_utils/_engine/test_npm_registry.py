# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a registry of npm, over real HTTP."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.npm_registry import NotAnswered, NpmRegistry

ANSWER = {"lodash": [{"id": 1, "severity": "high", "vulnerable_versions": "<4.17.21"}]}


class Server(ThreadingHTTPServer):
    """Answers each request alike and remembers what it was sent; a status of 0 closes the connection."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.body = 200, json.dumps(ANSWER).encode()
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.held = threading.Event()
        self.held.set()

    def handle_error(self, *args: object) -> None:
        """Say nothing of those who have not waited for an answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        server.asked.append((self.path, dict(self.headers), json.loads(sent)))
        server.held.wait(30)
        if server.status:
            self.send_response(server.status)
            self.end_headers()
            self.wfile.write(server.body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.held.set()
        serving.shutdown()
        thread.join()


def test_names_and_versions_are_all_that_is_sent(server: Server) -> None:
    registry = NpmRegistry(server.url + "/")
    assert registry.url == server.url + "/"
    assert registry.advisories({"lodash": ("4.17.15", "4.17.20"), "@s/a": ("1.0.0",)}) == ANSWER
    ((path, headers, sent),) = server.asked
    assert path == "/-/npm/v1/security/advisories/bulk"
    assert sent == {"lodash": ["4.17.15", "4.17.20"], "@s/a": ["1.0.0"]}
    assert set(headers) == {
        "Accept",
        "Accept-Encoding",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Host",
        "User-Agent",
    }


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (405, b"", "it answered 405 Method Not Allowed"),
        (200, b"<html>", "its answer is no JSON"),
        (0, b"", "Remote end closed connection without response"),
    ],
)
def test_an_answer_that_is_of_no_use(server: Server, status: int, body: bytes, why: str) -> None:
    server.status, server.body = status, body
    with pytest.raises(NotAnswered) as caught:
        NpmRegistry(server.url).advisories({})
    assert str(caught.value) == why


def test_a_registry_that_is_silent_or_gone(server: Server) -> None:
    server.held.clear()
    with pytest.raises(NotAnswered, match="timed out"):
        NpmRegistry(server.url, within=0.1).advisories({})
    assert len(server.asked) == 1
    with pytest.raises(NotAnswered, match="Connection refused"):
        NpmRegistry("http://127.0.0.1:1").advisories({})
