# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of S3 as restic asks for: buckets that are made when asked for, and objects in memory."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Optional
from urllib.parse import parse_qs, unquote, urlsplit

MESSAGES = {
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchKey": (404, "The specified key does not exist."),
    "AccessDenied": (403, "Access Denied."),
}


class S3(ThreadingHTTPServer):
    """A server; ``makes`` is whether these credentials may make buckets."""

    def __init__(self, makes: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.makes = makes
        self.buckets: dict[str, dict[str, bytes]] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def address(self, bucket: str) -> str:
        """Return a repository in a bucket."""
        return f"s3:http://127.0.0.1:{self.server_address[1]}/{bucket}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: S3

    def _asked(self) -> tuple[str, str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        bucket, _unused, key = unquote(parts.path).lstrip("/").partition("/")
        return bucket, key, parse_qs(parts.query, keep_blank_values=True)

    def do_GET(self) -> None:
        bucket, key, query = self._asked()
        there = self.server.buckets.get(bucket)
        if there is None:
            self._refuse("NoSuchBucket")
        elif "location" in query:
            self._answer(200, b"<LocationConstraint/>")
        elif not key:
            prefix = query.get("prefix", [""])[0]
            found = "".join(
                f"<Contents><Key>{name}</Key><Size>{len(data)}</Size>"
                "<LastModified>2026-01-31T02:00:00.000Z</LastModified></Contents>"
                for name, data in sorted(there.items())
                if name.startswith(prefix)
            )
            self._answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode())
        elif key not in there:
            self._refuse("NoSuchKey")
        else:
            self._answer(200, there[key])

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        bucket, key, _unused = self._asked()
        data = self._body()
        if not key and not self.server.makes:
            self._refuse("AccessDenied")
        elif not key:
            self.server.buckets[bucket] = {}
            self._answer(200, b"")
        elif bucket not in self.server.buckets:
            self._refuse("NoSuchBucket")
        else:
            self.server.buckets[bucket][key] = data
            self._answer(200, b"")

    def do_DELETE(self) -> None:
        bucket, key, _unused = self._asked()
        self.server.buckets[bucket].pop(key, None)
        self._answer(204, b"")

    def _body(self) -> bytes:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "STREAMING" not in (self.headers.get("X-Amz-Content-Sha256") or ""):
            return data
        found = b""
        while data:  # <hex size>;chunk-signature=…\r\n<bytes>\r\n, and one of size 0 at the end
            head, _unused, data = data.partition(b"\r\n")
            size = int(head.split(b";")[0], 16)
            found, data = found + data[:size], data[size + 2 :] if size else b""
        return found

    def _refuse(self, code: str) -> None:
        status, message = MESSAGES[code]
        self._answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode(), code)

    def _answer(self, status: int, body: bytes, code: Optional[str] = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"00000000000000000000000000000000"')
        self.send_header("Last-Modified", "Sat, 31 Jan 2026 02:00:00 GMT")
        if code:
            self.send_header("X-Minio-Error-Code", code)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_unused: object) -> None:
        """Say nothing."""
