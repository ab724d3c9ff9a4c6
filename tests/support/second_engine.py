# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine of a test's own beside that of the machine."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Optional

from lab import run as command
from lab import until


class SmallEngine:
    """A second engine whose disk is a directory, such as a file system in memory of a fixed size."""

    def __init__(self, place: Path, *options: str) -> None:
        self.place, self.options = place, options
        self.process: Optional[subprocess.Popen[bytes]] = None
        self.sockets = tempfile.mkdtemp(prefix="docker")  # their paths must be short
        self.url = f"unix://{place}/docker.sock"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [f"--data-root={self.place}/disk", f"--exec-root={self.sockets}", f"--pidfile={self.place}/pid"]
        options += [f"--host={self.url}", "--iptables=false", "--ip6tables=false", "--live-restore", *self.options]
        log = (self.place / "log").open("ab")
        # In a network namespace of its own, or it would remove the bridge of the host's engine.
        self.process = subprocess.Popen(["unshare", "--net", "dockerd", *options], stdout=log, stderr=log)
        until(lambda: not command("docker", "--host", self.url, "info", check=False).returncode, 30, "an answer")

    def stop(self) -> None:
        """Stop it; with live-restore, containers go on."""
        assert self.process
        self.process.terminate()
        self.process.wait(timeout=60)

    def docker(self, *arguments: str) -> str:
        """Run a docker command on it."""
        return command("docker", "--host", self.url, *arguments).stdout.strip()
