# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the audit about containers: that of the application, and the others of the host.

Containers and images are as the engine's API shows them (ContainerInspect, ImageInspect), processes as
proc_pid_status(5) does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Callable, Collection, Iterable, Mapping, NamedTuple, Sequence

from .audit import CannotTell, Rule, Verdict
from .clock import instant
from .secrets import password_in, sounds_secret
from .text import listed

Json = Mapping[str, Any]

INITS = ("docker-init", "tini", "dumb-init", "catatonit")  # they do nothing but to wait for their child
CAPABILITIES = {"CHOWN", "SETUID", "SETGID", "DAC_READ_SEARCH", "FOWNER", "KILL"}
"""What an entrypoint needs at most that gives volumes to a user, becomes that user, and passes signals on."""
DATABASES = {1433, 3306, 5432, 5984, 6379, 8086, 9042, 9200, 11211, 27017, 33060}  # ports of servers of databases
_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock", "crio.sock")
_SOCKET_FOLDERS = ("/run", "/var/run")
_WHOLE = {"/", "/boot", "/dev", "/etc", "/home", "/lib", "/proc", "/root", "/run", "/sys", "/usr", "/var", "/var/lib"}
_BELOW = ("/boot/", "/dev/", "/etc/", "/lib/", "/proc/", "/root/", "/sys/", "/usr/", "/var/lib/docker/")
_OLDEST = 2000  # a year; images that are built the same way each time bear a date before


@dataclass(frozen=True)
class Process:
    """A process: ``uid`` is the effective one as the host numbers it, ``capabilities`` a mask of the effective ones."""

    pid: int
    parent: int
    name: str
    uid: int
    capabilities: int
    no_new_privileges: bool
    ended: bool = False


class Port(NamedTuple):
    """A published port: where it is on the host, and which one it is in the container, as in ``80/tcp``."""

    address: str
    number: str
    inner: str

    @property
    def outer(self) -> str:
        """The host's port with its protocol."""
        return f"{self.number}/{self.inner.partition('/')[2]}"

    @property
    def is_of_database(self) -> bool:
        """Whether servers of databases listen there by custom."""
        return int(self.inner.partition("/")[0]) in DATABASES

    def __str__(self) -> str:
        return f"{self.inner} on {self.address}:{self.number}"


def process_of(status: str) -> Process:
    """Return what the content of ``/proc/<pid>/status`` says.

    Raises:
        KeyError: a line is missing.
        ValueError: a number is none.
    """
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return Process(
        pid=int(lines["Pid"]),
        parent=int(lines["PPid"]),
        name=lines["Name"],
        uid=int(lines["Uid"].split()[1]),
        capabilities=int(lines["CapEff"], 16),
        no_new_privileges=lines["NoNewPrivs"] == "1",
        ended=lines["State"].startswith(("Z", "X")),
    )


def workers(container: Json, processes: Sequence[Process]) -> list[Process]:
    """Return the processes that a container's first one has started, and that one unless it is a mere init.

    What others run in it, such as its health check, is not among them, nor is what has ended and nobody waits for.

    Raises:
        CannotTell: it does not run, or its processes were not seen.
    """
    first = container["State"]["Pid"]
    if not first:
        raise CannotTell("the container does not run")
    family, known = [process for process in processes if process.pid == first], {first}
    while True:
        born = [process for process in processes if process.parent in known and process.pid not in known]
        if not born:
            break
        family += born
        known |= {process.pid for process in born}
    alive = [process for process in family if not process.ended]
    found = [process for process in alive if process.pid != first or process.name not in INITS]
    if not found:
        raise CannotTell("the processes of the container were not seen")
    return found


def _user(app: Json, processes: Sequence[Process]) -> Verdict:
    found = workers(app, processes)
    roots = sorted({process.name for process in found if process.uid == 0})
    users = ", ".join(sorted({str(process.uid) for process in found}))
    return not roots, f"root: {listed(roots)}" if roots else f"uid {users}"


def _effective(app: Json, processes: Sequence[Process]) -> Verdict:
    mighty = [process for process in workers(app, processes) if process.capabilities]
    shown = sorted({f"{process.name} has {process.capabilities:016x}" for process in mighty})
    return not mighty, listed(shown) or "none"


def _no_new_privileges(app: Json, processes: Sequence[Process]) -> Verdict:
    free = sorted({process.name for process in workers(app, processes) if not process.no_new_privileges})
    return not free, f"{listed(free)} may gain privileges" if free else "no process may gain privileges"


def _capabilities(app: Json) -> Verdict:
    host = app["HostConfig"]
    dropped = {_capability(name) for name in host["CapDrop"] or ()}
    added = {_capability(name) for name in host["CapAdd"] or ()}
    further = sorted(added - CAPABILITIES)
    found = f"dropped: {', '.join(sorted(dropped)) or 'none'}; added: {', '.join(sorted(added)) or 'none'}"
    return "ALL" in dropped and not further, found


def _capability(name: str) -> str:
    upper = name.upper()
    return upper[4:] if upper.startswith("CAP_") else upper


def _flag(name: str, wanted: bool) -> Callable[[Json], Verdict]:
    def judge(app: Json) -> Verdict:
        value = app["HostConfig"][name]
        return bool(value) is wanted, str(bool(value)).lower()

    return judge


def _positive(name: str) -> Callable[[Json], Verdict]:
    def judge(app: Json) -> Verdict:
        value = app["HostConfig"][name] or 0
        return value > 0, str(value) if value > 0 else "none"

    return judge


def _swap(app: Json) -> Verdict:
    memory, both = app["HostConfig"]["Memory"], app["HostConfig"]["MemorySwap"]
    if not memory:
        return False, "no limit of the memory, and so none of swap"
    return both == memory, f"{both} bytes with swap, {memory} without" if both >= 0 else "swap without a limit"


def _cpus(app: Json) -> Verdict:
    host = app["HostConfig"]
    nano, quota = host["NanoCpus"], host["CpuQuota"]
    return nano > 0 or quota > 0, f"{nano / 1e9:g} CPUs" if nano else f"a quota of {quota}" if quota else "none"


def _restart(app: Json) -> Verdict:
    name = app["HostConfig"]["RestartPolicy"]["Name"] or "no"
    return name in ("always", "unless-stopped"), name


def _health_check(app: Json) -> Verdict:
    test = (app["Config"].get("Healthcheck") or {}).get("Test") or []
    return bool(test) and test[0] != "NONE", "there is one" if test and test[0] != "NONE" else "none"


def engine_sockets(container: Json) -> list[str]:
    """Return what of a container's mounts is the socket of an engine, or a directory that has it."""
    sources = [str(mount.get("Source", "")) for mount in container["Mounts"]]
    return [source for source in sources if source.endswith(_SOCKETS) or source.rstrip("/") in _SOCKET_FOLDERS]


def host_mounts(container: Json) -> list[str]:
    """Return the directories of the host in a container by which it could change or read the host itself."""
    return [
        mount["Source"]
        for mount in container["Mounts"]
        if mount["Type"] == "bind"
        and (
            (mount["Source"].rstrip("/") or "/") in _WHOLE
            or (mount["RW"] and mount["Source"].startswith(_BELOW) and not mount["Source"].endswith(_SOCKETS))
        )
    ]


def namespaces(container: Json) -> list[str]:
    """Return which namespaces of the host a container shares."""
    host = container["HostConfig"]
    names = {"NetworkMode": "network", "PidMode": "pid", "IpcMode": "ipc", "UTSMode": "uts", "UsernsMode": "user"}
    return [name for key, name in names.items() if host[key] == "host"]


def published(container: Json) -> list[Port]:
    """Return the ports that a container publishes outside of the host itself."""
    asked = container["HostConfig"]["PortBindings"] or {}
    given = (container["NetworkSettings"].get("Ports") or {}).items()
    bound = {**asked, **{inner: places for inner, places in given if places}}
    found = {
        Port(place.get("HostIp") or "0.0.0.0", place.get("HostPort") or "any", inner)  # noqa: S104
        for inner, places in bound.items()
        for place in places or ()
        if not loopback(place.get("HostIp") or "")
    }
    return sorted(found)


def loopback(address: str) -> bool:
    """Return whether nobody but the host itself reaches an address."""
    return address.startswith("127.") or address in ("::1", "localhost")


def _nothing(look: Callable[[Json], Iterable[Any]]) -> Callable[[Json], Verdict]:
    """Return what judges a container of which a look should find nothing."""

    def judge(app: Json) -> Verdict:
        found = [str(item) for item in look(app)]
        return not found, listed(found) or "none"

    return judge


def _nowhere(look: Callable[[Json], Iterable[Any]]) -> Callable[[Sequence[Json]], Verdict]:
    """Return what judges containers of none of which a look should find something."""

    def judge(others: Sequence[Json]) -> Verdict:
        found = [f"{_name(container)} ({', '.join(map(str, what))})" for container, what in _looks(others, look)]
        return not found, listed(found) or f"none of {len(others)}"

    return judge


def _looks(others: Sequence[Json], look: Callable[[Json], Iterable[Any]]) -> list[tuple[Json, list[Any]]]:
    return [(container, what) for container in others for what in [list(look(container))] if what]


def _name(container: Json) -> str:
    return str(container["Name"]).lstrip("/")


def _privileged(container: Json) -> list[str]:
    return ["privileged"] if container["HostConfig"]["Privileged"] else []


def _devices(container: Json) -> list[str]:
    return [device["PathOnHost"] for device in container["HostConfig"]["Devices"] or ()]


def _unconfined(container: Json) -> list[str]:
    options = container["HostConfig"]["SecurityOpt"] or ()
    return [option for option in options if option.endswith(("unconfined", "=disable", ":disable"))]


def _secrets(app: Json, image: Json) -> Verdict:
    of_image = set(image["Config"].get("Env") or ())
    pairs = [pair.partition("=")[::2] for pair in app["Config"]["Env"] or () if pair not in of_image]
    names = sorted(name for name, value in pairs if value and (sounds_secret(name) or password_in(value)))
    return not names, listed(names) or "none"


def unlimited_logs(container: Json) -> list[str]:
    """Return which kind of log a container writes that grows without a limit, by its own configuration."""
    log = container["HostConfig"]["LogConfig"]
    return ["json-file"] if log["Type"] == "json-file" and not (log["Config"] or {}).get("max-size") else []


def _logs(app: Json) -> Verdict:
    log = app["HostConfig"]["LogConfig"]
    size = (log["Config"] or {}).get("max-size")
    return not unlimited_logs(app), f"{log['Type']}, {f'rotated at {size}' if size else 'no limit of its own'}"


def _default_bridge(app: Json) -> Verdict:
    networks = sorted(app["NetworkSettings"]["Networks"] or ())
    return "bridge" not in networks, listed(networks) or "none"


def _tag(app: Json) -> Verdict:
    image = app["Config"]["Image"]
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    return bool(tag) and tag != "latest", image


def _age(image: Json, now: datetime, most: float) -> Verdict:
    made = instant(image["Created"])
    if made.year < _OLDEST:
        raise CannotTell(f"the image says that it was made in {made.year}")
    days = (now - made).total_seconds() / 86400
    return days <= most, f"{max(days, 0):.0f} days"


def _database_ports(others: Sequence[Json], guarded: bool) -> Verdict:
    return _published(others, guarded, lambda port: port.is_of_database)


def _other_ports(others: Sequence[Json], guarded: bool, allowed: Collection[str]) -> Verdict:
    return _published(others, guarded, lambda port: port.outer not in allowed and not port.is_of_database)


def _published(others: Sequence[Json], guarded: bool, wrong: Callable[[Port], bool]) -> Verdict:
    closed, found = _nowhere(lambda container: filter(wrong, published(container)))(others)
    return (True, f"{found}, kept from outside by the firewall") if guarded and not closed else (closed, found)


_APP = ("app",)
_OTHERS = ("others",)
_SPEC = "specification, Security Hardening"

RULES = (
    Rule(
        "app-privileged",
        "critical",
        "CIS 5.5",
        "HostConfig.Privileged of the container",
        "false",
        _APP,
        _flag("Privileged", False),
    ),
    Rule(
        "app-docker-socket",
        "critical",
        "CIS 5.32",
        "the mounts of the container",
        "no socket of an engine",
        _APP,
        _nothing(engine_sockets),
    ),
    Rule(
        "app-user",
        "high",
        f"{_SPEC}; CIS 4.1",
        "the users of the container's processes on the host, apart from a mere init",
        "none is root",
        ("app", "processes"),
        _user,
    ),
    Rule(
        "app-host-namespaces",
        "high",
        "CIS 5.10, 5.16, 5.17, 5.21, 5.31",
        "the namespaces of the container",
        "none of the host's",
        _APP,
        _nothing(namespaces),
    ),
    Rule(
        "app-host-mounts",
        "high",
        "CIS 5.6",
        "the bind mounts of the container",
        "no directory of the system",
        _APP,
        _nothing(host_mounts),
    ),
    Rule(
        "app-published-ports",
        "high",
        f"{_SPEC}; CIS 5.9, 5.14",
        "the ports that the container publishes other than on loopback",
        "none; the proxy reaches it on their network",
        _APP,
        _nothing(published),
    ),
    Rule(
        "app-confinement",
        "high",
        "CIS 5.2, 5.3, 5.22",
        "HostConfig.SecurityOpt of the container",
        "neither seccomp, AppArmor nor SELinux is switched off",
        _APP,
        _nothing(_unconfined),
    ),
    Rule(
        "app-capabilities",
        "medium",
        "CIS 5.4",
        "HostConfig.CapDrop and CapAdd of the container",
        f"ALL dropped, and of {', '.join(sorted(CAPABILITIES))} those added that the start needs",
        _APP,
        _capabilities,
    ),
    Rule(
        "app-effective-capabilities",
        "medium",
        "CIS 5.4",
        "CapEff of the container's processes, apart from a mere init",
        "none",
        ("app", "processes"),
        _effective,
    ),
    Rule(
        "app-no-new-privileges",
        "medium",
        "CIS 5.26",
        "NoNewPrivs of the container's processes, apart from a mere init",
        "1",
        ("app", "processes"),
        _no_new_privileges,
    ),
    Rule(
        "app-devices",
        "medium",
        "CIS 5.18",
        "HostConfig.Devices of the container",
        "none",
        _APP,
        _nothing(_devices),
    ),
    Rule(
        "app-memory-limit",
        "medium",
        "specification, Resource Limits; CIS 5.11",
        "HostConfig.Memory of the container (bytes)",
        "a limit",
        _APP,
        _positive("Memory"),
    ),
    Rule(
        "app-pids-limit",
        "medium",
        "CIS 5.29",
        "HostConfig.PidsLimit of the container",
        "a limit",
        _APP,
        _positive("PidsLimit"),
    ),
    Rule(
        "app-restart",
        "medium",
        "specification, Service Definition",
        "HostConfig.RestartPolicy of the container",
        "always or unless-stopped, so that it runs after a reboot",
        _APP,
        _restart,
    ),
    Rule(
        "app-health-check",
        "medium",
        "specification, Service Definition; CIS 4.6, 5.27",
        "Config.Healthcheck of the container",
        "a check",
        _APP,
        _health_check,
    ),
    Rule(
        "app-secrets",
        "medium",
        "specification, Environment Security; CIS 4.10",
        "the names of the keys in the container's environment that are not of its image",
        "no secret, which docker inspect shows",
        ("app", "image"),
        _secrets,
    ),
    Rule(
        "app-log-limit",
        "medium",
        "specification, Log Management",
        "HostConfig.LogConfig of the container",
        "a size at which the log is rotated",
        _APP,
        _logs,
    ),
    Rule(
        "app-image-age",
        "medium",
        "specification, Maintenance Schedule; CIS 4.4",
        "Created of the container's image",
        "not older than configured for the audit",
        ("image", "now", "max_image_age"),
        _age,
    ),
    Rule(
        "app-read-only",
        "low",
        f"{_SPEC}; CIS 5.13",
        "HostConfig.ReadonlyRootfs of the container",
        "true",
        _APP,
        _flag("ReadonlyRootfs", True),
    ),
    Rule(
        "app-swap",
        "low",
        "ours",
        "HostConfig.MemorySwap of the container",
        "as much as the memory, which is no swap",
        _APP,
        _swap,
    ),
    Rule(
        "app-cpu-limit",
        "low",
        "specification, Resource Limits; CIS 5.12",
        "HostConfig.NanoCpus and CpuQuota of the container",
        "a limit",
        _APP,
        _cpus,
    ),
    Rule(
        "app-default-bridge",
        "low",
        "specification, Shared Docker Network; CIS 5.30",
        "the networks of the container",
        "not the engine's own bridge, on which all reach each other",
        _APP,
        _default_bridge,
    ),
    Rule(
        "app-image-tag",
        "low",
        "CIS 5.28",
        "Config.Image of the container",
        "a tag other than latest, which says what runs",
        _APP,
        _tag,
    ),
    Rule(
        "others-privileged",
        "high",
        "CIS 5.5",
        "HostConfig.Privileged of the other containers",
        "false",
        _OTHERS,
        _nowhere(_privileged),
    ),
    Rule(
        "others-docker-socket",
        "high",
        "CIS 5.32",
        "the mounts of the other containers",
        "no socket of an engine: who has it is root on the host, read-only or not",
        _OTHERS,
        _nowhere(engine_sockets),
    ),
    Rule(
        "others-database-ports",
        "high",
        "CIS 5.9",
        "the ports that the other containers publish other than on loopback",
        "none of a database",
        ("others", "guarded"),
        _database_ports,
    ),
    Rule(
        "others-host-mounts",
        "high",
        "CIS 5.6",
        "the bind mounts of the other containers",
        "no directory of the system",
        _OTHERS,
        _nowhere(host_mounts),
    ),
    Rule(
        "others-published-ports",
        "medium",
        "specification, Pre-Deployment; CIS 5.9, 5.14",
        "the ports that the other containers publish other than on loopback, past the host's own filter",
        "only those configured for the audit",
        ("others", "guarded", "ports"),
        _other_ports,
    ),
    Rule(
        "others-host-namespaces",
        "medium",
        "CIS 5.10, 5.16, 5.17, 5.21, 5.31",
        "the namespaces of the other containers",
        "none of the host's",
        _OTHERS,
        _nowhere(namespaces),
    ),
    Rule(
        "others-log-limit",
        "low",
        "specification, Log Management",
        "HostConfig.LogConfig of the other containers",
        "a size at which the log is rotated, or a driver that does so",
        _OTHERS,
        _nowhere(unlimited_logs),
    ),
)
