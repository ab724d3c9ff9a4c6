# SPDX-License-Identifier: GPL-3.0-or-later
"""The last step of a release: Galaxy offers the very tarball, or one is told that it does not."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Iterator

import pytest
from tarball import ROOT

PATH = "/api/v3/plugin/ansible/content/published/collections/index/ptnextjs/docker_vps/versions/0.1.0/"


class Galaxy(HTTPServer):
    """A server that has one version after it was asked some times, as one that is still importing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.digest, self.asked, self.imports = "", 0, 0


class Answer(BaseHTTPRequestHandler):
    """Galaxy's answer about a version."""

    server: Galaxy

    def do_GET(self) -> None:
        self.server.asked += 1
        known = self.path == PATH and self.server.digest and self.server.asked > self.server.imports
        self.send_response(200 if known else 404)
        self.end_headers()
        if known:
            self.wfile.write(json.dumps({"version": "0.1.0", "artifact": {"sha256": self.server.digest}}).encode())

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def galaxy() -> Iterator[Galaxy]:
    server = Galaxy()
    threading.Thread(target=server.serve_forever).start()
    yield server
    server.shutdown()
    server.server_close()


def published(galaxy: Galaxy, place: Path) -> subprocess.CompletedProcess[str]:
    path = place / "ptnextjs-docker_vps-0.1.0.tar.gz"
    path.write_bytes(b"the collection")
    command = [ROOT / "tests/support/published.sh", path, f"http://127.0.0.1:{galaxy.server_port}"]
    environment = {**os.environ, "DELAY": "0", "no_proxy": "127.0.0.1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_version_that_is_imported_in_the_end_is_found(galaxy: Galaxy, tmp_path: Path) -> None:
    galaxy.digest, galaxy.imports = hashlib.sha256(b"the collection").hexdigest(), 2
    done = published(galaxy, tmp_path)
    assert (done.returncode, galaxy.asked) == (0, 3)
    assert f"Galaxy offers version 0.1.0 with the SHA-256 {galaxy.digest}." in done.stdout


def test_an_import_that_has_failed_is_told(galaxy: Galaxy, tmp_path: Path) -> None:
    done = published(galaxy, tmp_path)
    assert done.returncode == 1
    assert "Galaxy does not offer version 0.1.0" in done.stderr


def test_another_tarball_of_the_version_is_told(galaxy: Galaxy, tmp_path: Path) -> None:
    galaxy.digest = hashlib.sha256(b"another").hexdigest()
    done = published(galaxy, tmp_path)
    assert done.returncode == 1
    assert "Galaxy offers another tarball as version 0.1.0" in done.stderr
