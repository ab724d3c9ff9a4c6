# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit a host: gather what the rules need, and judge it. Nothing is changed, and no packet is sent."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Callable, Mapping, Optional, Protocol, Sequence, Tuple

from .._core import audit_containers, audit_engine, audit_host
from .._core.audit import NEVER, CannotTell, Rule, Unseen, audited, counts, table, too_severe
from .._core.audit_host import SYSCTLS, BackupFacts, Filters, Kernels, Place, guarded, ssh_ports
from .._core.audit_remedies import REMEDIES
from .._core.clock import WallClock
from .._core.errors import DockerVpsError, InvalidInput
from .._core.os_release import system
from .._core.remedies import setting
from .._core.text import listed
from .._store.releases import DEFINITION
from .._store.sets import Sets

Json = Mapping[str, Any]
Look = Callable[[], Any]

RULES: Tuple[Rule, ...] = (*audit_containers.RULES, *audit_engine.RULES, *audit_host.RULES)
TLS_KEYS = (
    "/etc/letsencrypt/archive/*/privkey*.pem",
    "/etc/ssl/private/*.key",
    "/etc/nginx/*/*.key",
    "/etc/caddy/*.key",
)
_KEYS_IN_MOUNTS = ("*.key", "privkey*.pem", "*/*.key", "*/privkey*.pem")
# Below what Caddy is given for XDG_DATA_HOME; see https://caddyserver.com/docs/conventions#data-directory.
_KEYS_OF_CADDY = ("caddy/certificates/*/*/*.key", "caddy/acme/*/users/*/*.key", "caddy/pki/authorities/*/*.key")
_SOCKETS = ("tcp", "tcp6", "udp", "udp6")
_DISTRIBUTIONS = "/usr/share/distro-info/{}.csv"


class AuditEngine(Protocol):
    """What is needed of an engine."""

    def info(self) -> Json:
        """Return the engine's facts."""
        raise NotImplementedError

    def container(self, name: str) -> Optional[Json]:
        """Return a container or None."""
        raise NotImplementedError

    def all_containers(self) -> Sequence[Json]:
        """Return all containers in short."""
        raise NotImplementedError

    def image(self, name: str) -> Optional[Json]:
        """Return an image, by its name or its id, or None."""
        raise NotImplementedError

    def network(self, name: str) -> Optional[Json]:
        """Return a network or None."""
        raise NotImplementedError


class Host(Protocol):
    """What is needed of the host itself; what cannot be inspected is an OSError or a DockerVpsError."""

    def text(self, path: str) -> str:
        """Return the content of a text file."""
        raise NotImplementedError

    def exists(self, path: str) -> bool:
        """Return whether there is something."""
        raise NotImplementedError

    def places(self, patterns: Sequence[str]) -> Sequence[Place]:
        """Return what patterns match, with owner and mode."""
        raise NotImplementedError

    def output(self, command: Sequence[str]) -> str:
        """Return what a command prints."""
        raise NotImplementedError

    def statuses(self) -> Sequence[str]:
        """Return the status of each process."""
        raise NotImplementedError

    def command_lines(self, name: str) -> Sequence[Sequence[str]]:
        """Return the arguments of each process of a program."""
        raise NotImplementedError

    def kernel(self) -> str:
        """Return the release of the kernel that runs."""
        raise NotImplementedError

    def synchronised(self) -> bool:
        """Return whether the clock is kept by somebody."""
        raise NotImplementedError

    def compose_version(self) -> str:
        """Return the version of Compose, empty when there is none."""
        raise NotImplementedError


@dataclass(frozen=True)
class Params:
    """What to look at, and what is wanted of it.

    Attributes:
        socket: the path of the engine's socket; empty when it has another address.
        ports: what may be open to everybody, as in ``443/tcp``; those of sshd may always.
        max_image_age: days.
        max_backup_age: hours.
        offsite: whether sets are copied elsewhere.
        fail_at: the severity from which on a finding is a failure, or never.
    """

    container: str
    directory: str
    env_file: str
    socket: str = "/var/run/docker.sock"
    secret_files: Tuple[str, ...] = ()
    tls_keys: Tuple[str, ...] = TLS_KEYS
    ports: Tuple[str, ...] = ()
    engine_version_min: str = ""
    compose_version_min: str = ""
    max_image_age: float = 90
    max_backup_age: float = 26
    offsite: bool = False
    fail_at: str = NEVER


def run(params: Params, connect: Callable[[], AuditEngine], host: Host, sets: Sets, clock: WallClock) -> dict[str, Any]:
    """Look at everything and return the result.

    Raises:
        InvalidInput: a port is none.
        DockerVpsError: a finding is as severe as params.fail_at; it carries the result.
    """
    _check_ports(params.ports)
    now = clock.utc()
    looks = {**_of_engine(params, _fact(connect)), **_of_host(params, host), **_of_files(params, host, sets, now)}
    facts = {name: _fact(look) for name, look in looks.items()}
    facts["tls_keys"] = _fact(_looking(host, [*params.tls_keys, *_mounted_keys(facts["others"])]))
    rows = audited(RULES, {**facts, **_wanted(params, facts, now)}, REMEDIES)
    result = {"changed": False, "rules": rows, "counts": counts(rows), "summary": table(rows)}
    if too_severe(rows, params.fail_at):
        raise DockerVpsError(too_severe(rows, params.fail_at), **result)
    return result


def _check_ports(ports: Sequence[str]) -> None:
    wrong = [port for port in ports if not re.fullmatch(r"[1-9][0-9]{0,4}/(tcp|udp)", port)]
    if wrong:
        raise InvalidInput(
            f"{listed(wrong)} in {setting('audit_ports')} is not a port with its protocol. Write it as in 443/tcp."
        )


def _fact(look: Look) -> Any:
    try:
        return look()
    except CannotTell as error:
        return Unseen(str(error))
    except DockerVpsError as error:
        return Unseen(error.message)
    except OSError as error:
        return Unseen(f"{error.filename or 'the host'}: {error.strerror or error}")
    except (LookupError, TypeError, ValueError) as error:
        return Unseen(f"what was read is not as expected: {type(error).__name__} {error}")


def _wanted(params: Params, facts: Json, now: datetime) -> dict[str, Any]:
    """Return what the rules compare facts with."""
    sshd, filters = facts["sshd"], facts["filters"]
    return {
        "now": now,
        "today": now.date(),
        "engine_version_min": params.engine_version_min,
        "compose_version_min": params.compose_version_min,
        "max_image_age": params.max_image_age,
        "max_backup_age": params.max_backup_age * 3600,
        "offsite": params.offsite,
        "guarded": not isinstance(filters, Unseen) and guarded(filters),
        "ports": {*params.ports, *(() if isinstance(sshd, Unseen) else ssh_ports(sshd))},
    }


def _of_engine(params: Params, engine: Any) -> dict[str, Look]:
    """Return how to get what the engine knows; each of it is Unseen with an engine that is."""
    looks: dict[str, Callable[[AuditEngine], Any]] = {
        "info": lambda asked: asked.info(),
        "app": lambda asked: _existing(asked.container(params.container), f"container {params.container}"),
        "image": lambda asked: _image(asked, params.container),
        "others": lambda asked: _others(asked, params.container),
        "bridge": lambda asked: _existing(asked.network("bridge"), "network bridge"),
    }
    return {name: _asking(look, engine) for name, look in looks.items()}


def _asking(look: Callable[[AuditEngine], Any], engine: Any) -> Look:
    return lambda: engine if isinstance(engine, Unseen) else look(engine)


def _existing(found: Optional[Json], what: str) -> Json:
    if found is None:
        raise CannotTell(f"there is no {what}")
    return found


def _image(engine: AuditEngine, container: str) -> Json:
    image = str(_existing(engine.container(container), f"container {container}")["Image"])
    return _existing(engine.image(image), f"image {image} any more")


def _others(engine: AuditEngine, app: str) -> list[Json]:
    """Return the other containers that run."""
    running = [str(each["Id"]) for each in engine.all_containers() if each["State"] == "running"]
    found = [inspected for each in running for inspected in [engine.container(each)] if inspected]
    return [inspected for inspected in found if inspected["Name"] != f"/{app}"]


def _mounted_keys(others: Any) -> list[str]:
    """Return where private keys may be in what containers, such as a proxy, are given of the host."""
    mounts = [] if isinstance(others, Unseen) else [mount for other in others for mount in other["Mounts"]]
    patterns = {"bind": (*_KEYS_IN_MOUNTS, *_KEYS_OF_CADDY), "volume": _KEYS_OF_CADDY}
    return [
        f"{mount['Source'].rstrip('/')}/{pattern}"
        for mount in mounts
        for pattern in patterns.get(mount["Type"], ())
        if mount.get("Source")
    ]


def _of_host(params: Params, host: Host) -> dict[str, Look]:
    return {
        "processes": lambda: _processes(params, host),
        "command": lambda: _daemon(host),
        "socket_unit": lambda: _socket_unit(host),
        "compose_version": host.compose_version,
        "groups": lambda: host.text("/etc/group"),
        "filters": lambda: _filters(host),
        "sockets": lambda: {name: _optional(host, f"/proc/net/{name}") or "" for name in _SOCKETS},
        "nftables_conf": lambda: _optional(host, "/etc/nftables.conf"),
        "nftables_service": lambda: _enabled(host, "nftables.service"),
        "sshd": lambda: host.output(["sshd", "-T"]),
        "unattended_upgrade": lambda: host.exists("/usr/bin/unattended-upgrade"),
        "unattended_periodic": lambda: host.output(
            ["apt-config", "dump", "--format", "%v%n", "APT::Periodic::Unattended-Upgrade"]
        ),
        "clock": host.synchronised,
        "kernels": lambda: _kernels(host),
        "sysctls": lambda: {name: _fact(_reading(host, f"/proc/sys/{name}")) for name in SYSCTLS},
        "system": lambda: system(host.text("/etc/os-release")),
        "distributions": lambda: host.text(_DISTRIBUTIONS.format(system(host.text("/etc/os-release")).id)),
    }


def _processes(params: Params, host: Host) -> list[audit_containers.Process]:
    if not params.socket:
        raise CannotTell("the engine is not on this host, nor are the processes of its containers")
    return [audit_containers.process_of(status) for status in host.statuses()]


def _daemon(host: Host) -> Sequence[str]:
    """Return the command line of the engine."""
    lines = host.command_lines("dockerd")
    if not lines:
        raise CannotTell("no process dockerd is seen")
    return [argument for line in lines for argument in line]


def _socket_unit(host: Host) -> str:
    """Return what systemd listens on for the engine, in its words; empty when the engine listens by itself."""
    handed = "fd://" in _daemon(host)
    return host.output(["systemctl", "show", "docker.socket", "--property=Listen"]) if handed else ""


def _optional(host: Host, path: str) -> Optional[str]:
    """Return the content of a file, None when there is none."""
    try:
        return host.text(path)
    except FileNotFoundError:
        return None


def _reading(host: Host, path: str) -> Look:
    return lambda: host.text(path).strip()


def _enabled(host: Host, unit: str) -> str:
    """Return whether a unit starts at boot, in systemd's words; empty when there is none."""
    shown = host.output(["systemctl", "show", unit, "--property=UnitFileState"])
    return shown.strip().partition("=")[2]


def _filters(host: Host) -> Filters:
    ufw = _optional(host, "/etc/ufw/ufw.conf") or ""
    tables = _fact(lambda: json.loads(host.output(["nft", "--json", "list", "ruleset"]))["nftables"])
    legacy = "filter" in (_optional(host, "/proc/net/ip_tables_names") or "")
    save = "-legacy-save" if legacy else "-save"
    asked = legacy or isinstance(tables, Unseen)
    iptables = _fact(lambda: [(4, host.output([f"iptables{save}"])), (6, host.output([f"ip6tables{save}"]))])
    return Filters(tables, "ENABLED=yes" in ufw.splitlines(), iptables if asked else ())


def _kernels(host: Host) -> Kernels:
    files = [os.path.basename(place.path) for place in host.places(["/boot/vmlinuz-*"])]
    installed = [name.partition("-")[2] for name in files]
    return Kernels(host.kernel(), installed, host.exists("/run/reboot-required"))


def _of_files(params: Params, host: Host, sets: Sets, now: datetime) -> dict[str, Look]:
    home, kept = params.directory, f"{params.directory}/releases/*"
    patterns = {
        "env_files": [params.env_file, f"{kept}/{os.path.basename(params.env_file)}"],
        "app_files": [home, f"{home}/{DEFINITION}", f"{home}/releases", kept, f"{kept}/{DEFINITION}"],
        "secret_files": params.secret_files,
        "backup_files": [sets.directory, f"{sets.directory}/*"],
        "engine_files": ["/etc/docker", audit_engine.PATH],
        "docker_socket": [params.socket] if params.socket else [],
        "containerd_socket": ["/run/containerd/containerd.sock"],
    }
    looks: dict[str, Look] = {name: _looking(host, found) for name, found in patterns.items()}
    return {
        **looks,
        "daemon_json": lambda: _optional(host, audit_engine.PATH),
        "sets": lambda: [_backup(backup_set, now) for backup_set in sets.listing().sets if not backup_set.absent()],
    }


def _looking(host: Host, patterns: Sequence[str]) -> Look:
    return lambda: host.places(patterns)


def _backup(backup_set: Any, now: datetime) -> BackupFacts:
    manifest = backup_set.manifest
    age = (now - backup_set.time).total_seconds()
    return BackupFacts(manifest.id, age, any(drill.passed for drill in manifest.drills))
