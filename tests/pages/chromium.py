# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Chromium without a window, spoken to in the DevTools protocol over two pipes, which needs no library.

https://chromedevtools.github.io/devtools-protocol/ (messages are JSON, each ended by a zero byte).
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator


class Chromium:
    """One page in a browser, and what it has asked the network for."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._rest, self._number, self._session = b"", 0, ""
        self.requests: list[str] = []
        self.loaded = 0
        self.complaints: list[str] = []

    def open(self) -> None:
        """Open an empty page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "Accessibility"):
            self.call(f"{domain}.enable")

    def visit(self, page: Path, width: int, dark: bool = False) -> None:
        """Show a file in a window of so many pixels."""
        self.requests, self.complaints, before = [], [], self.loaded
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=page.as_uri())
        while self.loaded == before:
            self._hear()

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, which the policy of the page does not concern."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def tree(self) -> list[dict[str, Any]]:
        """Return what screen readers are told, as role and name of each part."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            {part: node[part]["value"] for part in ("role", "name") if part in node}
            for node in nodes
            if not node["ignored"]
        ]

    def shoot(self, file: Path, whole: bool = False) -> None:
        """Write what the window shows, or the whole page, as PNG."""
        content = self.call("Page.getLayoutMetrics")["cssContentSize"] if whole else {}
        clip = {"clip": {**content, "scale": 1}} if whole else {}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole, format="png", **clip)
        file.write_bytes(base64.b64decode(shot["data"]))

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method and return its result; what happens meanwhile is noted."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params}
        os.write(
            self._write,
            json.dumps({**message, "sessionId": self._session} if self._session else message).encode() + b"\0",
        )
        while True:
            heard = self._hear()
            if heard.get("id") == number:
                assert "error" not in heard, heard
                result: dict[str, Any] = heard["result"]
                return result

    def _hear(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._read, 1 << 20)
            assert more, "Chromium has ended"
            self._rest += more
        text, _end, self._rest = self._rest.partition(b"\0")
        heard: dict[str, Any] = json.loads(text)
        method, params = heard.get("method"), heard.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        if method == "Page.loadEventFired":
            self.loaded += 1
        if method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        if method == "Page.javascriptDialogOpening":
            self.complaints.append(params["message"])
        return heard


@contextmanager
def chromium(profile: Path) -> Iterator[Chromium]:
    """Run a browser with a profile of its own."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    options = ["--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}", *root]

    def place() -> None:
        high = [os.dup(theirs_in), os.dup(theirs_out)]  # 3 and 4 may be among those that we have
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    browser = subprocess.Popen(
        ["chromium", *options, "--remote-debugging-pipe"],
        preexec_fn=place,
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        page = Chromium(ours_out, ours_in)
        page.open()
        yield page
    finally:
        browser.terminate()
        browser.wait(20)
        os.close(ours_out)
        os.close(ours_in)
