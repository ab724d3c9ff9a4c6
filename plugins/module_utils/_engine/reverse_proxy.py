# SPDX-License-Identifier: GPL-3.0-or-later
"""A reverse proxy in a container, and the ports of this host that it wants."""

from __future__ import annotations

import json
import os
from typing import Optional

from .._core.errors import DockerVpsError
from .._core.reverse_proxy import MOUNTED, STATUS, Found, Kind
from .compose import Compose, complete, run
from .sockets import Sockets

WITHIN = 60.0  # seconds for a command in a container, on a busy host
PORTS = ((80, "tcp"), (443, "tcp"), (443, "udp"))


class ProxyContainer:
    """The container of a name, and the Compose project of that name that it belongs to."""

    def __init__(self, name: str, kind: Kind, image: str, address: str) -> None:
        self._name, self._kind, self._image = name, kind, image
        self._environment = {**os.environ, "DOCKER_HOST": address}
        self._compose = Compose(address)

    def look(self) -> Optional[Found]:
        """Return what there is of the container; None when there is none."""
        try:
            found = json.loads(self._run("container", "inspect", self._name))[0]
        except DockerVpsError:
            return None
        return Found(found["State"]["Running"], sorted(found["NetworkSettings"]["Networks"]))

    def has_image(self) -> bool:
        """Return whether its image is on the host."""
        try:
            return bool(self._run("image", "inspect", self._image))
        except DockerVpsError:
            return False

    def taken(self) -> Optional[tuple[int, str, str]]:
        """Return a port that it would publish and something else holds, as number, protocol and holder."""
        for port, protocol in PORTS:
            holder = self._publisher(port, protocol) or holder_of(port, protocol)
            if holder:
                return port, protocol, holder
        return None

    def validate(self, tree: str) -> None:
        """Have the proxy read a directory of configuration, in a container that reaches nothing.

        Raises:
            DockerVpsError: it refuses that.
        """
        mounts = (f"--volume={tree}:{MOUNTED}:ro", "--tmpfs=/run", "--tmpfs=/tmp", "--tmpfs=/data")
        where = ("--env=XDG_DATA_HOME=/data", "--env=XDG_CONFIG_HOME=/run")
        program, *arguments = self._kind.validate
        command = (
            "--network=none",
            "--pull=never",
            *mounts,
            *where,
            f"--entrypoint={program}",
            self._image,
            *arguments,
        )
        self._run("run", "--rm", *command)

    def up(self, directory: str) -> None:
        """Have Compose bring it up as the definition in a directory says.

        Raises:
            EngineError: Compose refuses.
        """
        self._compose.up(self._name, directory, os.path.join(directory, "compose.yml"))

    def reload(self) -> None:
        """Have it read its configuration; connections go on.

        Raises:
            DockerVpsError: it refuses.
        """
        self._run("exec", self._name, *self._kind.reload)

    def generation(self) -> str:
        """Return which configuration it runs; empty when it does not answer."""
        try:
            return self._run("exec", self._name, "wget", "-q", "-T", "5", "-O", "-", STATUS).strip()
        except DockerVpsError:
            return ""

    def last_lines(self) -> str:
        """Return the end of its log."""
        try:
            done = complete(["docker", "logs", "--tail", "5", self._name], WITHIN, self._environment)
        except (DockerVpsError, TimeoutError):
            return ""
        return (done.stdout + done.stderr).strip()

    def remove(self) -> None:
        """Remove it; its volume stays.

        Raises:
            DockerVpsError: the engine refuses.
        """
        if self.look():
            self._run("stop", self._name)
            self._run("rm", self._name)

    def _publisher(self, port: int, protocol: str) -> str:
        names = self._run("ps", "--filter", f"publish={port}/{protocol}", "--format", "{{.Names}}").split()
        others = [name for name in names if name != self._name]
        return f"the container {others[0]}" if others else ""

    def _run(self, *command: str) -> str:
        return run(["docker", *command], WITHIN, self._environment)


def holder_of(port: int, protocol: str, proc: str = "/proc") -> str:
    """Return which process of this host receives at a port; empty when none does."""
    host = Sockets(proc)
    inodes = [at.inode for at in host.all() if at.listens and (at.protocol, at.port) == (protocol, port)]
    if not inodes:
        return ""
    for number, process in host.processes().items():
        if inodes[0] in process.inodes:
            return f"the process {process.name} ({number})"
    return "a process that is not seen from here"
