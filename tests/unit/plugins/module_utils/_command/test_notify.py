# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications, to a small HTTP server and to real commands."""

from __future__ import annotations

import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command.notify import Notify, tell

FAILED = {"app": "shop", "job": "backup", "success": False, "message": "The volume shop-db does not exist."}
WENT_WELL = {**FAILED, "success": True, "message": "Set 20260131-020000 of shop."}
KEY = "s3cret-path-9000"


@pytest.fixture(autouse=True)
def directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask past a proxy that the environment may name."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


class Listener:
    """A server that keeps what it was asked and answers with one status."""

    def __init__(self) -> None:
        self.status = 200
        self.heard: list[tuple[str, str, Any]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                listener.heard.append((self.command, self.path, json.loads(body) if body else None))
                self.send_response(listener.status)
                self.end_headers()

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/{KEY}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    one = Listener()
    yield one
    one.server.shutdown()
    one.server.server_close()


def refused() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}/{KEY}"


def test_nobody_to_tell() -> None:
    assert tell(Notify(), FAILED) == []


def test_a_failure_reaches_the_webhook_the_ping_and_the_command(listener: Listener, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    code = f"import sys; open({str(kept)!r}, 'w').write(sys.stdin.read()); print('not on our output')"
    whom = Notify(listener.url, (sys.executable, "-c", code), {"backup": f"{listener.url}/ping/"})
    assert tell(whom, FAILED) == []
    assert listener.heard == [("POST", f"/{KEY}", FAILED), ("GET", f"/{KEY}/ping/fail", None)]
    assert json.loads(kept.read_text()) == FAILED


def test_of_success_only_the_ping_of_the_job_hears_unless_wanted(listener: Listener) -> None:
    pings = {"backup": f"{listener.url}/ping", "drill": f"{listener.url}/other"}
    assert tell(Notify(listener.url, ("false",), pings), WENT_WELL) == []
    assert listener.heard == [("GET", f"/{KEY}/ping", None)]
    assert tell(Notify(listener.url, (), on_success=True), WENT_WELL) == []
    assert listener.heard[1:] == [("POST", f"/{KEY}", WENT_WELL)]


def test_what_fails_is_told_and_the_others_still_hear(listener: Listener) -> None:
    listener.status = 503
    problems = tell(Notify(listener.url, ("false",), {"backup": refused()}), FAILED)
    assert problems == [
        "The webhook failed: it answered 503.",
        "The notification command false failed: it ended with 1.",
        "The ping of backup failed: [Errno 111] Connection refused.",
    ]
    assert len(listener.heard) == 1


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"file:///etc/{KEY}", "its address is not an http:// or https:// address"),
        (f"http://127.0.0.1/ü{KEY}", "UnicodeEncodeError"),
        (f"http://127.0.0.1/\x01{KEY}", "InvalidURL"),
    ],
)
def test_no_address_is_repeated(url: str, problem: str) -> None:
    assert tell(Notify(webhook=url), FAILED) == [f"The webhook failed: {problem}."]


def test_a_server_that_hangs_up_or_talks_nonsense() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for answer in (b"", b"nonsense\r\n\r\n"):
                with server.accept()[0] as caller:
                    # All of it, or hanging up resets the connection.
                    while str(FAILED["message"]).encode() not in caller.recv(65536):
                        pass
                    caller.sendall(answer)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/{KEY}"
        problems = tell(Notify(webhook=url), FAILED) + tell(Notify(webhook=url), FAILED)
        thread.join()
    assert problems == [
        "The webhook failed: Remote end closed connection without response.",
        "The webhook failed: BadStatusLine.",
    ]


def test_a_command_that_is_not_there() -> None:
    problems = tell(Notify(command=("/no/such/command",)), FAILED)
    assert problems == ["The notification command /no/such/command failed: No such file or directory."]


def test_a_command_that_does_not_end() -> None:
    problems = tell(Notify(command=("sleep", "60")), FAILED, command_within=0.05)
    assert problems == ["The notification command sleep failed: it did not end within 0.05 s."]


def test_a_caution_is_told_although_the_run_went_well(listener: Listener) -> None:
    news = {**WENT_WELL, "cautions": ["Gone since set 20260130-020000: 500 of 500 rows of vendors in payload.db."]}
    whom = Notify(webhook=listener.url, pings={"backup": listener.url})
    assert tell(whom, news) == []
    assert listener.heard == [("POST", f"/{KEY}", news), ("GET", f"/{KEY}", None)]
    listener.heard.clear()
    assert tell(whom, {**WENT_WELL, "cautions": []}) == []
    assert [one[0] for one in listener.heard] == ["GET"]
