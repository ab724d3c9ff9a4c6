# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as a service of the host: its configuration, its start, what it needs of the network.

It asks the commands of the host, since it is used where the Docker SDK is not there yet.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, Sequence

from .._core.errors import DockerVpsError
from .compose import complete, run
from .systemd import systemctl

STARTS_WITHIN = 60.0  # seconds
_UNIT = "docker.service"
_OURS = re.compile(r"docker0$|docker_gwbridge$|br-[0-9a-f]{12}$|veth")  # interfaces that the engine makes


class EngineService:
    """The engine that systemd runs on this host."""

    def version(self) -> str:
        """Return its version, also when it is stopped; empty when there is none."""
        return _answered_version() or _installed_version()

    def swarm(self) -> str:
        """Return whether it is a node of a swarm, as it says; empty when it does not answer."""
        return _answer("info", "--format", "{{.Swarm.LocalNodeState}}")

    def running(self) -> Sequence[str]:
        """Return the names of the containers that run."""
        return _answer("ps", "--format", "{{.Names}}").split()

    def holders_of_its_socket(self) -> Sequence[str]:
        """Return the names of the running containers that have its socket, and so depend on its version."""
        names = self.running()
        if not names:
            return ()
        form = "{{.Name}} {{range .Mounts}}{{.Source}} {{end}}"
        lines = _answer("inspect", "--format", form, *names).splitlines()
        return [
            line.split()[0].lstrip("/")
            for line in lines
            if any(path.endswith("docker.sock") for path in line.split()[1:])
        ]

    def published(self) -> dict[tuple[str, int], str]:
        """Return the names of running containers by the ports of the host, with their protocols, that they publish.

        Those on loopback addresses, which others do not reach anyway, are left out.
        """
        names = self.running()
        form = "{{json .Name}} {{json .NetworkSettings.Ports}}"
        found = {}
        for line in _answer("inspect", "--format", form, *names).splitlines() if names else ():
            name, ports = line.split(" ", 1)
            for inner, bindings in (json.loads(ports) or {}).items():
                for binding in bindings or ():
                    if not binding["HostIp"].startswith(("127.", "::1")):
                        key = (inner.rpartition("/")[2], int(binding["HostPort"]))
                        found[key] = json.loads(name).lstrip("/")
        return found

    def bridges(self) -> list[str]:
        """Return the names that people have given to bridges of its networks."""
        ids = _answer("network", "ls", "--filter", "driver=bridge", "--quiet").split()
        form = '{{index .Options "com.docker.network.bridge.name"}}'
        return _answer("network", "inspect", "--format", form, *ids).split() if ids else []

    def routes(self) -> Sequence[str]:
        """Return the destinations of the host's routes that are not the engine's."""
        found: list[dict[str, Any]] = []
        for family in ("-4", "-6"):
            found += json.loads(_ip(family, "route", "show") or "[]")
        return [
            str(route["dst"])
            for route in found
            if route.get("dst") not in (None, "default") and not _OURS.match(str(route.get("dev", "")))
        ]

    def validate(self, path: str) -> None:
        """Check a file with the engine's configuration.

        Raises:
            DockerVpsError: the engine refuses it.
        """
        try:
            run(["dockerd", "--validate", f"--config-file={path}"], 60)
        except DockerVpsError as error:
            raise DockerVpsError(
                f"The engine refuses that configuration, and nothing was changed. {error.message}"
            ) from error

    def runs(self) -> bool:
        """Return whether the service is active."""
        try:
            return systemctl("show", _UNIT, "--property=ActiveState").strip() == "ActiveState=active"
        except DockerVpsError:
            return False

    def reload(self) -> None:
        """Have it read its configuration.

        Raises:
            DockerVpsError: systemd refuses.
        """
        systemctl("reload", _UNIT)

    def restart(self) -> None:
        """Restart it, and wait for its answer.

        Raises:
            DockerVpsError: it does not start, or does not answer.
        """
        systemctl("reset-failed", _UNIT)
        systemctl("restart", _UNIT)
        if not _within(STARTS_WITHIN, lambda: bool(_answered_version())):
            raise DockerVpsError(
                f"The engine was restarted and did not answer within {STARTS_WITHIN:g} s. Its log says why: "
                "journalctl -u docker"
            )

    def check(self, containers: Sequence[str]) -> None:
        """See that it gives addresses, and that containers run again.

        Raises:
            DockerVpsError: something does not work.
        """
        if _answer("network", "inspect", "bridge", "--format", "{{.Name}}") and not _addresses("docker0"):
            raise DockerVpsError("The engine's bridge docker0 has no address. Its log says why: journalctl -u docker")
        name = f"docker-vps-check-{os.getpid()}"
        run(["docker", "network", "create", name], 60)
        run(["docker", "network", "rm", name], 60)
        if not _within(STARTS_WITHIN, lambda: set(containers) <= set(self.running())):
            gone = sorted(set(containers) - set(self.running()))
            raise DockerVpsError(
                f"{', '.join(gone)} ran before the engine was restarted, and did not start again. See: docker logs"
            )


def _within(seconds: float, succeeds: Any) -> bool:
    end = time.monotonic() + seconds
    while not succeeds():
        if time.monotonic() >= end:
            return False
        time.sleep(0.2)
    return True


def _answered_version() -> str:
    return _answer("version", "--format", "{{.Server.Version}}")


def _installed_version() -> str:
    """Return what ``Docker version 28.5.2, build ecc6942`` says."""
    try:
        found = re.search(r"\d+(\.\d+)+", run(["dockerd", "--version"], 30))
    except DockerVpsError:
        return ""
    return found[0] if found else ""


def _answer(*arguments: str) -> str:
    """Return what the docker command says, empty when it fails."""
    try:
        done = complete(["docker", *arguments], 30)
    except (DockerVpsError, TimeoutError):
        return ""
    return "" if done.returncode else done.stdout.strip()


def _ip(*arguments: str) -> str:
    try:
        return run(["ip", "-json", *arguments], 30)
    except DockerVpsError:
        return ""


def _addresses(interface: str) -> bool:
    found = json.loads(_ip("-4", "address", "show", interface) or "[]")
    return any(facts.get("addr_info") for facts in found)
