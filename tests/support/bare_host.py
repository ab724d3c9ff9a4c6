# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that has nothing but systemd and sshd, for tests of what makes it ready."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import urllib.request
from contextlib import contextmanager
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional

from lab import ROOT, SUPPORT, Played, docker, play, run, until

PYTHON = "/usr/bin/python3"
REPOSITORY = f"it-hosts-repository-{os.getpid()}"


class Host:
    """A bare instance of a suite of Debian, and the inventory that names it."""

    def __init__(self, suite: str, scratch: Path, **variables: Any) -> None:
        self.name = f"it-hosts-{scratch.name}-{os.getpid()}".lower().replace("_", "-")
        self.suite, self.scratch, self.variables = suite, scratch, variables

    def start(self) -> Host:
        """Start it, and wait until it is up."""
        environment = {**os.environ, "INSTANCE_BARE": "bare"}
        image = run(str(SUPPORT / "instance_image.sh"), self.suite, env=environment).stdout.strip()
        how = ("--detach", "--privileged", "--cgroupns", "private", "--tmpfs", "/run", "--tmpfs", "/tmp")
        docker("rm", "--force", "--volumes", self.name, check=False)
        docker("run", *how, "--hostname", self.suite, "--name", self.name, image)
        up = ("docker", "exec", self.name, "systemctl", "is-system-running")
        until(lambda: run(*up, check=False).stdout.strip() in ("running", "degraded"), 60, "its start")
        return self

    def remove(self) -> None:
        """Remove it with all that is on it."""
        docker("rm", "--force", "--volumes", self.name, check=False)

    def sh(self, script: str, check: bool = True) -> str:
        """Return what a script prints there."""
        return run("docker", "exec", self.name, "bash", "-c", script, check=check).stdout.strip()

    def code(self, script: str) -> int:
        """Return how a script ends there."""
        return run("docker", "exec", self.name, "bash", "-c", script, check=False).returncode

    def begin(self, script: str) -> subprocess.Popen[bytes]:
        """Start a script there."""
        return subprocess.Popen(["docker", "exec", self.name, "bash", "-c", script])

    def write(self, path: str, text: str) -> None:
        """Write a file there."""
        run(
            "docker",
            "exec",
            "--interactive",
            self.name,
            "sh",
            "-c",
            f"mkdir -p $(dirname {path}); cat >{path}",
            input=text,
        )

    def inventory(self, **variables: Any) -> Path:
        """Write an inventory with it and these variables, and return its path."""
        facts = {"ansible_connection": "community.docker.docker", "ansible_host": self.name}
        facts["ansible_python_interpreter"] = PYTHON
        path = self.scratch / "hosts.json"
        hosts = {"bare": {**facts, **self.variables, **variables}}
        path.write_text(json.dumps({"docker_vps": {"hosts": hosts}}))
        return path

    def setup(self, *arguments: str, **variables: Any) -> Played:
        """Run the playbook setup."""
        return self.playbook("setup", *arguments, **variables)

    def playbook(self, name: str, *arguments: str, **variables: Any) -> Played:
        """Run one of our playbooks."""
        return play(ROOT / f"playbooks/{name}.yml", self.inventory(**variables), *arguments)

    def play(
        self, tasks: Any, *arguments: str, environment: Optional[Mapping[str, str]] = None, **variables: Any
    ) -> Played:
        """Run tasks."""
        book = self.scratch / "play.json"
        book.write_text(json.dumps([{"hosts": "docker_vps", "gather_facts": False, "tasks": tasks}]))
        return play(book, self.inventory(**variables), *arguments, **(environment or {}))

    def load(self, image: str) -> None:
        """Give its engine an image of the engine of the tests, as it reaches no registry."""
        run("bash", "-o", "pipefail", "-c", f"docker save {image} | docker exec -i {self.name} docker load --quiet")

    def load_later(self, *images: str) -> None:
        """Give its engine images of the engine of the tests when it starts for the first time."""
        saved = f"docker save {' '.join(images)} | docker exec --interactive {self.name} sh -c 'cat >/srv/images.tar'"
        run("bash", "-o", "pipefail", "-c", saved)
        load = "test ! -e /srv/images.tar || docker load --quiet --input /srv/images.tar && rm -f /srv/images.tar"
        unit = f'[Service]\nExecStartPost=/bin/sh -c "{load}"\n'
        self.write("/etc/systemd/system/docker.service.d/images.conf", unit)

    def address(self) -> str:
        """Return its IPv4 address."""
        return docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", self.name)

    def reached(self) -> list[int]:
        """Return on which of the ports where something listens a neighbour is answered."""
        listening = self.sh("ss -Hltn | tr -s ' ' | cut -d' ' -f4 | sed 's/$/ /'")
        found = []
        for port in sorted({int(port) for port in re.findall(r":(\d+) ", listening)} | {3000}):
            try:
                socket.create_connection((self.address(), port), 2).close()
            except OSError:
                continue
            found.append(port)
        return found

    def state(self) -> str:
        """Return what would show a change: packages, the configuration, and where apt finds packages."""
        return self.sh("dpkg -l | sha256sum; find /etc -type f -exec sha256sum {} + | sort; ls -lR /etc/apt /usr/local")


MakeHost = Callable[..., Host]


@contextmanager
def making_hosts(make_directory: Callable[[str], Path]) -> Iterator[MakeHost]:
    """Yield what starts hosts, which are removed in the end."""
    hosts: list[Host] = []

    def make(suite: str, python: bool = True, variables: Optional[Mapping[str, str]] = None) -> Host:
        host = Host(suite, make_directory(suite), **(variables or {}))
        hosts.append(host)
        host.start()
        if python:
            host.sh("apt-get update -q && apt-get install -q -y --no-install-recommends python3")
        return host

    try:
        yield make
    finally:
        for host in hosts:
            host.remove()


@contextmanager
def serving_packages() -> Iterator[Mapping[str, str]]:
    """Serve what stands in for Docker's own repository, and yield the variables that name it."""
    image = run(str(SUPPORT / "apt_repository.sh")).stdout.strip()
    docker("rm", "--force", REPOSITORY, check=False)
    docker("run", "--detach", "--name", REPOSITORY, image)
    address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", REPOSITORY)
    fingerprint = docker("exec", REPOSITORY, "cat", "/srv/fingerprint")
    try:
        yield {"docker_vps_engine_repository": f"http://{address}/linux", "docker_vps_engine_fingerprint": fingerprint}
    finally:
        docker("rm", "--force", REPOSITORY)


def visit(address: str, authority: str) -> urllib.request.OpenerDirector:
    """Return what asks a host by the name of a site, as its visitors do when DNS names that host."""
    context = ssl.create_default_context(cadata=authority)

    def connection(host: str, **options: Any) -> HTTPSConnection:
        made = HTTPSConnection(host, **options)
        made._create_connection = lambda _name, *rest: socket.create_connection((address, 443), *rest)  # type: ignore[attr-defined]
        return made

    class Handler(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> HTTPResponse:
            return self.do_open(connection, req, context=context)  # type: ignore[arg-type]

    return urllib.request.build_opener(Handler())
