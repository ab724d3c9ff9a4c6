# SPDX-License-Identifier: GPL-3.0-or-later
"""A second engine on this machine, with a disk of its own and either image store."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator, Optional

from lab import run, until

MEBIBYTE = 2**20


class SecondEngine:
    """An engine that keeps everything below a directory."""

    def __init__(self, place: Path, containerd: bool = False) -> None:
        self.place, self.containerd = place, containerd
        self.process: Optional[subprocess.Popen[bytes]] = None
        self.sockets = tempfile.mkdtemp(prefix="docker")  # their paths must be short
        self.url = f"unix://{self.sockets}/docker.sock"

    def start(self) -> None:
        """Start it and wait until it answers."""
        config = self.place / "daemon.json"
        config.write_text(json.dumps({"features": {"containerd-snapshotter": self.containerd}}))
        options = [f"--data-root={self.place}/disk", f"--exec-root={self.sockets}", f"--pidfile={self.place}/pid"]
        options += [f"--host={self.url}", "--iptables=false", "--ip6tables=false", "--live-restore"]
        options += [f"--config-file={config}"]
        log = (self.place / "log").open("ab")
        # In a network namespace of its own, or it would remove the bridge of the host's engine.
        self.process = subprocess.Popen(["unshare", "--net", "dockerd", *options], stdout=log, stderr=log)
        until(lambda: not run("docker", "--host", self.url, "info", check=False).returncode, 30, "an answer")

    def stop(self) -> None:
        """Stop it; with live-restore, containers go on."""
        assert self.process
        self.process.terminate()
        self.process.wait(timeout=60)

    def docker(self, *arguments: str) -> str:
        """Run a docker command on it."""
        return run("docker", "--host", self.url, *arguments).stdout.strip()

    def images(self) -> list[str]:
        """Return its images with their ids, also those without a name."""
        listed = self.docker("images", "--all", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
        return sorted(listed.splitlines())


@contextlib.contextmanager
def second_engine(place: Path, size: int, containerd: bool = False) -> Iterator[SecondEngine]:
    """Have an engine for a while, whose disk is a file system in memory of so many bytes."""
    disk = place / "disk"
    disk.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk))
    engine = SecondEngine(place, containerd)
    try:
        engine.start()
        yield engine
    finally:
        containers = run("docker", "--host", engine.url, "ps", "-aq", check=False).stdout.split()
        if containers:
            engine.docker("rm", "--force", *containers)
        engine.stop()
        run("sh", "-c", f"umount -R {disk} {engine.sockets}/netns 2>/dev/null; umount -l {disk}", check=False)
        shutil.rmtree(engine.sockets, ignore_errors=True)
