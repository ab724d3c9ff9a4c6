# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that answers what it is told to, over real HTTP on a unix socket or on TCP."""

from __future__ import annotations

import json
import queue
import re
import socket
import socketserver
import struct
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, Mapping, Optional
from urllib.parse import parse_qs, urlsplit

VERSION = {"Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24"}
END, DROP = object(), object()  # what ends a stream of events: in order, or the way a killed engine does


def frame(text: str, stream: int = 1) -> bytes:
    """Return a piece of a container's log as the engine frames it."""
    return struct.pack(">BxxxL", stream, len(text.encode())) + text.encode()


class EngineServer:
    """Answers by path, without the version in it: a status and JSON, or a status and bytes.

    What is put into ``news`` goes to whoever reads the events, pulls or pushes: events, and at last END or DROP.
    """

    def __init__(self, answers: Mapping[str, tuple[int, Any]], path: Optional[str] = None) -> None:
        self.answers = {"/version": (200, VERSION), **answers}
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.changes: list[tuple[str, str, Any]] = []  # requests that change something: method, path, body
        self.logins: list[str] = []  # at registries
        self.news: queue.SimpleQueue[object] = queue.SimpleQueue()
        if path:
            self._server: Any = _UnixServer(path, _handler_of(self))
            self.url = f"unix://{path}"
        else:
            self._server = _TcpServer(("127.0.0.1", 0), _handler_of(self))
            self.url = f"tcp://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop for good; whoever reads the events loses the connection."""
        self.news.put(DROP)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False


class _TcpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False


def _handler_of(engine: EngineServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            path = re.sub(r"^/v[\d.]+", "", urlsplit(self.path).path)
            engine.changes.append((self.command, path, json.loads(self.rfile.read(length) or "null")))
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_POST()

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            path = re.sub(r"^/v[\d.]+", "", url.path)
            engine.asked.append((path, parse_qs(url.query)))
            engine.logins += self.headers.get_all("X-Registry-Auth") or []
            if (path in ("/events", "/images/create") or path.endswith("/push")) and path not in engine.answers:
                return self._stream()
            status, body = engine.answers.get(path, (404, {"message": f"No such thing: {path}"}))
            sent = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else sent)
            return None

        do_HEAD = do_GET  # noqa: N815 - as http.server has it

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            while True:
                event = engine.news.get()
                if event is DROP or event is END:
                    break
                chunk = event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            if event is END:
                self.wfile.write(b"0\r\n\r\n")
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
