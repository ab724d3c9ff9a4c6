# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the audit about the engine: what it says of itself, its file, and how it was started.

A file says what an engine is to do and not what it does, and a flag may stand in its command line alone, so rules ask
the engine wherever it tells.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple

from .audit import CannotTell, Rule, Verdict
from .daemon_config import LIVE_RESTORE, Config, parsed
from .errors import InvalidInput
from .host import version
from .text import listed

Json = Mapping[str, Any]

PATH = "/etc/docker/daemon.json"
_SWARM = "active"
_ICC = "com.docker.network.bridge.enable_icc"


def options(info: Json) -> set[str]:
    """Return the names of an engine's security options, such as seccomp, of ``name=seccomp,profile=builtin``."""
    return {option.partition(",")[0].partition("=")[2] for option in info["SecurityOptions"] or ()}


def flags(command: Sequence[str], *names: str) -> list[str]:
    """Return the values of flags in a command line, also of those that come several times; ``true`` for one without."""
    found = []
    for argument, following in zip(command, [*command[1:], ""]):
        name, equals, value = argument.partition("=")
        if name in names:
            found.append(value if equals else "true" if following.startswith("-") or not following else following)
    return found


def _file(text: Optional[str]) -> Config:
    return parsed(text or "", PATH)


def _readable(text: Optional[str]) -> Verdict:
    try:
        return True, f"{len(_file(text))} options" if text is not None else "there is no file"
    except InvalidInput as error:
        return False, error.message.partition(". ")[0]


_TOLD: Mapping[str, Callable[[Json], Any]] = {
    "data-root": lambda info: info["DockerRootDir"],
    "debug": lambda info: info["Debug"],
    "default-runtime": lambda info: info["DefaultRuntime"],
    "experimental": lambda info: info["ExperimentalBuild"],
    LIVE_RESTORE: lambda info: info["LiveRestoreEnabled"],
    "log-driver": lambda info: info["LoggingDriver"],
    "no-new-privileges": lambda info: "no-new-privileges" in options(info),
    "registry-mirrors": lambda info: [mirror.rstrip("/") for mirror in info["RegistryConfig"]["Mirrors"] or ()],
    "storage-driver": lambda info: info["Driver"],
}
"""How an engine tells of what its file asks for; it tells nothing of the rest."""


def _applied(text: Optional[str], info: Json) -> Verdict:
    asked = {name: value for name, value in _file(text).items() if name in _TOLD}
    if isinstance(asked.get("registry-mirrors"), list):
        asked["registry-mirrors"] = [str(mirror).rstrip("/") for mirror in asked["registry-mirrors"]]
    pairs = [(name, value, _TOLD[name](info)) for name, value in sorted(asked.items())]
    differ = [
        f"{name} is {_shown(value)} in the file and {_shown(runs)} in the engine"
        for name, value, runs in pairs
        if runs != value
    ]
    return not differ, "; ".join(differ) or f"{len(asked)} options that an engine tells of are as in the file"


def _shown(value: Any) -> str:
    """Return a value for people; addresses may hold a password, so lists of them are counted."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _live_restore(info: Json) -> Verdict:
    if info["Swarm"]["LocalNodeState"] == _SWARM:
        return True, "a node of a swarm, which cannot"
    return info["LiveRestoreEnabled"], "on" if info["LiveRestoreEnabled"] else "off"


def _logs(info: Json, text: Optional[str], command: Sequence[str]) -> Verdict:
    driver = info["LoggingDriver"]
    if driver != "json-file":
        return True, driver
    in_file = (_file(text).get("log-opts") or {}).get("max-size")
    on_line = [value.partition("=")[2] for value in flags(command, "--log-opt") if value.startswith("max-size=")]
    size = in_file or (on_line or [""])[0]
    return bool(size), f"json-file, rotated at {size}" if size else "json-file without max-size"


def _has(name: str) -> Callable[[Json], Verdict]:
    def judge(info: Json) -> Verdict:
        return name in options(info), listed(sorted(options(info))) or "none"

    return judge


def _mandatory(info: Json) -> Verdict:
    found = options(info)
    return bool(found & {"apparmor", "selinux"}), listed(sorted(found)) or "none"


def _users(info: Json) -> Verdict:
    found = sorted(options(info) & {"userns", "rootless"})
    return bool(found), listed(found) or "root in a container is root of the host"


def _tcp(text: Optional[str], command: Sequence[str], unit: str) -> Verdict:
    config = _file(text)
    hosts = [*flags(command, "-H", "--host"), *(config.get("hosts") or ())]
    handed = [line.partition("=")[2].partition(" ")[0] for line in unit.splitlines() if "(Stream)" in line]
    tcp = [host for host in hosts if host.startswith("tcp:")] + [place for place in handed if place[:1] != "/"]
    verified = config.get("tlsverify") is True or flags(command, "--tlsverify")[:1] == ["true"]
    return not tcp or verified, f"{listed(tcp)} {'with' if verified else 'without'} TLS" if tcp else "no TCP"


def _insecure(info: Json) -> Verdict:
    registries = info["RegistryConfig"]
    cidrs = [cidr for cidr in registries["InsecureRegistryCIDRs"] or () if not ipaddress.ip_network(cidr).is_loopback]
    names = [name for name, index in (registries["IndexConfigs"] or {}).items() if not index["Secure"]]
    return not [*cidrs, *names], listed([*cidrs, *names]) or "none"


def _experimental(info: Json) -> Verdict:
    return not info["ExperimentalBuild"], "on" if info["ExperimentalBuild"] else "off"


def _icc(bridge: Json) -> Verdict:
    on = bridge["Options"].get(_ICC, "true") == "true"
    return not on, "they reach each other" if on else "they do not"


def _engine_version(info: Json, least: str) -> Verdict:
    return _version(info["ServerVersion"], least)


def _version(found: str, least: str) -> Verdict:
    if found and not version(found):
        raise CannotTell(f"{found} is no version")
    return bool(found) and version(found) >= version(least), f"{found or 'none'}, at least {least} is needed"


def _group(groups: str) -> Verdict:
    """Return whether somebody is in the group of the engine's socket, by the content of group(5)."""
    entries = [line.split(":") for line in groups.splitlines() if line.startswith("docker:")]
    members = [name for entry in entries for name in entry[3].split(",") if name]
    return not members, listed(members) or "nobody"


_INFO: Tuple[str, ...] = ("info",)

RULES = (
    Rule(
        "engine-tcp",
        "critical",
        "CIS 2.7",
        f"hosts and tlsverify in {PATH} and in the command line of dockerd, and what docker.socket listens on for it",
        "no TCP, or with tlsverify",
        ("daemon_json", "command", "socket_unit"),
        _tcp,
    ),
    Rule(
        "engine-daemon-json",
        "high",
        "ours",
        PATH,
        "JSON, or no file",
        ("daemon_json",),
        _readable,
    ),
    Rule(
        "engine-seccomp",
        "high",
        "CIS 5.22",
        "SecurityOptions of docker info",
        "seccomp",
        _INFO,
        _has("seccomp"),
    ),
    Rule(
        "engine-version",
        "high",
        "CIS 1.2.2",
        "ServerVersion of docker info",
        "the version that is needed",
        ("info", "engine_version_min"),
        _engine_version,
    ),
    Rule(
        "engine-compose-version",
        "medium",
        "ours",
        "the version of the Compose plugin",
        "the version that is needed",
        ("compose_version", "compose_version_min"),
        _version,
    ),
    Rule(
        "engine-daemon-json-applied",
        "medium",
        "ours",
        f"{PATH} against docker info",
        "the engine does what its file says",
        ("daemon_json", "info"),
        _applied,
    ),
    Rule(
        "engine-live-restore",
        "medium",
        "CIS 2.15",
        "LiveRestoreEnabled of docker info",
        "on, so that containers run on while the engine is upgraded",
        _INFO,
        _live_restore,
    ),
    Rule(
        "engine-insecure-registries",
        "medium",
        "CIS 2.5",
        "RegistryConfig of docker info",
        "none but loopback",
        _INFO,
        _insecure,
    ),
    Rule(
        "engine-mandatory-access",
        "medium",
        "CIS 5.2, 5.3",
        "SecurityOptions of docker info",
        "apparmor or selinux",
        _INFO,
        _mandatory,
    ),
    Rule(
        "engine-docker-group",
        "medium",
        "CIS 1.1.2",
        "the members of the group docker in /etc/group, who are root on the host with one command",
        "nobody",
        ("groups",),
        _group,
    ),
    Rule(
        "engine-log-limit",
        "low",
        "specification, Log Management",
        f"LoggingDriver of docker info, log-opts in {PATH} and in the command line of dockerd",
        "a size at which logs are rotated, or a driver that does so",
        ("info", "daemon_json", "command"),
        _logs,
    ),
    Rule(
        "engine-no-new-privileges",
        "low",
        "CIS 2.14",
        "SecurityOptions of docker info",
        "no-new-privileges, for containers that do not ask for it themselves",
        _INFO,
        _has("no-new-privileges"),
    ),
    Rule(
        "engine-user-namespace",
        "low",
        "CIS 2.1, 2.9",
        "SecurityOptions of docker info",
        "userns or rootless",
        _INFO,
        _users,
    ),
    Rule(
        "engine-experimental",
        "low",
        "CIS 2.18",
        "ExperimentalBuild of docker info",
        "off",
        _INFO,
        _experimental,
    ),
    Rule(
        "engine-icc",
        "low",
        "CIS 2.2",
        f"{_ICC} of the network bridge",
        "containers on the engine's own bridge do not reach each other",
        ("bridge",),
        _icc,
    ),
)
