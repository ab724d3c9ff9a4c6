# SPDX-License-Identifier: GPL-3.0-or-later
"""Visitors and editors of a site: so many requests a second, whatever becomes of them, and what became of each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import shutil
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Callable, Iterable, Iterator, Mapping, Optional, Sequence
from urllib.parse import urlsplit
from uuid import uuid4

from lab import ROOT, App, image_of, request, run, until

READ, CREATED = 200, 201


@dataclass(frozen=True)
class Sent:
    """A request; ``start`` is when it was due, so that a wait to be sent counts as well (monotonic seconds).

    Attributes:
        name: what it wrote; empty for a read.
        late: by how many seconds it was sent after it was due.
        error: why it failed; empty when it did not.
    """

    start: float
    end: float
    late: float
    name: str
    status: int
    error: str

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Report:
    """What became of requests, compared with what is in the database.

    Attributes:
        failed: each failure, as a sentence.
        lost: what the application reported as written, and is not there.
        doubled: what was written once, and is there more than once.
        late: by how many seconds the latest was sent.
    """

    requests: int
    writes: int
    failed: Sequence[str]
    lost: Sequence[str]
    doubled: Sequence[str]
    longest: float
    p50: float
    p99: float
    late: float

    def flawless(self) -> Report:
        """Return self, or fail with what went wrong."""
        assert self.requests
        assert self.writes
        assert (self.failed, self.lost, self.doubled) == ([], [], []), self
        return self


class Traffic:
    """Requests at a steady rate from a thread of its own while the context lasts; every second one is a write.

    Each is a connection of its own, as of another visitor. A write posts ``{"name": …}`` with a name of its own.
    """

    def __init__(
        self,
        site: str,
        rate: float = 50,
        read: str = "/api/health",
        write: str = "/api/vendors",
        headers: Optional[Mapping[str, str]] = None,
        patience: float = 60,
    ) -> None:
        self.site, self.rate, self.read, self.write, self.patience = urlsplit(site), rate, read, write, patience
        self.headers = {"Host": self.site.netloc, "Connection": "close", **(headers or {})}
        self.id = uuid4().hex[:12]
        self.sent: list[Sent] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._drive()))

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Send no more, and wait for the answers."""
        self._over.set()
        self._thread.join()

    def report(self, found: Iterable[str], since: float = 0, until: float = math.inf) -> Report:
        """Compare the requests due in a period with the names found in the database."""
        sent = [one for one in self.sent if since <= one.start < until]
        count = Counter(found)
        took = sorted(one.seconds for one in sent)
        return Report(
            len(sent),
            sum(1 for one in sent if one.name),
            [f"{one.error} after {one.seconds:.2f} s, {one.name or 'a read'}" for one in sent if one.error],
            [one.name for one in sent if one.name and not one.error and not count[one.name]],
            [one.name for one in sent if count[one.name] > 1],
            took[-1] if took else 0,
            rank(took, 0.5),
            rank(took, 0.99),
            max((one.late for one in sent), default=0),
        )

    async def _drive(self) -> None:
        # Visitors' machines are not busy with the update: this thread goes first.
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -15)
        began, under_way, number = time.monotonic(), set(), 0
        while not self._over.is_set():
            due = began + number / self.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._send(number, due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            number += 1
        await asyncio.gather(*under_way)

    async def _send(self, number: int, due: float) -> None:
        name = f"{self.id}-{number}" if number % 2 else ""
        late, status, error = time.monotonic() - due, 0, ""
        try:
            status = await asyncio.wait_for(self._ask(name), self.patience)
        except asyncio.TimeoutError:
            error = f"no answer within {self.patience:g} s"
        except (OSError, EOFError, ValueError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        if not error and status != (CREATED if name else READ):
            error = f"status {status}"
        self.sent.append(Sent(due, time.monotonic(), late, name, status, error))

    async def _ask(self, name: str) -> int:
        """Return the status of an answer that came whole."""
        body = json.dumps({"name": name}).encode() if name else b""
        headers = dict(self.headers)
        if name:
            headers.update({"Content-Type": "application/json", "Content-Length": str(len(body))})
        lines = [f"{'POST' if name else 'GET'} {self.write if name else self.read} HTTP/1.1"]
        head = "\r\n".join([*lines, *(f"{key}: {value}" for key, value in headers.items()), "", ""])
        reader, writer = await asyncio.open_connection(self.site.hostname, self.site.port or 80)
        try:
            writer.write(head.encode() + body)
            return status_of(await reader.read(-1))
        finally:
            writer.close()


def status_of(answer: bytes) -> int:
    """Return the status of an answer over HTTP, or fail when its end is missing."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        raise EOFError(f"the connection ended after {len(answer)} bytes")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    if headers.get("transfer-encoding") == "chunked":
        whole = body.endswith(b"0\r\n\r\n")
    else:
        whole = len(body) >= int(headers.get("content-length", 0))
    if not whole:
        raise EOFError(f"the answer ended after {len(body)} bytes")
    return int(first.split()[1])


def rank(values: Sequence[float], share: float) -> float:
    """Return the smallest of sorted values that is not below this share of them."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else 0.0


@contextlib.contextmanager
def proxy(project: str, app: App, port: int, caddyfile: str = "", health: str = "/api/health") -> Iterator[str]:
    """Start the documented reverse proxy before an application, and give its URL once it answers through it.

    Its upstream is the name of the container. With ``caddyfile``, a configuration of another kind.
    """
    site = f"http://localhost:{port}"
    with TemporaryDirectory(prefix=f"{project}-") as scratch:
        files = Path(shutil.copytree(ROOT / "examples/proxy", Path(scratch) / "proxy"))
        documented = files / "Caddyfile"
        documented.write_text(caddyfile or documented.read_text().replace("ptnextjs-app", app.container))
        compose = ("docker", "compose", "--project-name", project, "--file", str(files / "compose.yml"))
        environment = {
            **os.environ,
            "PROXY_IMAGE": image_of("proxy_image.sh"),
            "PROXY_PORT": f"127.0.0.1:{port}",
            "PROXY_NETWORK": app.network,
        }
        run(*compose, "up", "--detach", env=environment)
        try:
            until(reached(site + health), 30, "an answer through the proxy")
            yield site
        finally:
            run(*compose, "down", env=environment)


def reached(url: str) -> Callable[[], bool]:
    """Return a function that tells whether a URL answers with 200."""

    def answers() -> bool:
        try:
            return request(url).status == READ
        except OSError:
            return False

    return answers
