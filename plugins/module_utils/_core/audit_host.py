# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the audit about the host: files, firewall, ports, sshd, updates, the kernel; and about the backups on it.

Nothing here sends a packet: which ports are open is decided by what listens and by the tables of the kernel's filter.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Callable, Collection, Iterator, Mapping, Optional, Sequence, Tuple

from .audit import CannotTell, Rule, Unseen, Verdict
from .os_release import System
from .sockets import sockets
from .text import counted, listed

Json = Mapping[str, Any]

TABLE = ("inet", "docker_vps")
"""The table of nftables in which the collection keeps ports closed."""
_FAMILIES: Mapping[str, Collection[int]] = {"inet": (4, 6), "ip": (4,), "ip6": (6,)}
_DHCP = {"68/udp", "546/udp"}
SYSCTLS: Mapping[str, Collection[str]] = {
    "fs/protected_hardlinks": ("1",),
    "fs/protected_symlinks": ("1", "2"),
    "kernel/randomize_va_space": ("2",),
    "kernel/unprivileged_bpf_disabled": ("1", "2"),
    "net/ipv4/conf/all/accept_redirects": ("0",),
    "net/ipv4/conf/all/accept_source_route": ("0",),
    "net/ipv4/tcp_syncookies": ("1", "2"),
}
"""Settings of the kernel, below /proc/sys, and the values that are safe."""


@dataclass(frozen=True)
class Place:
    """Something in the file system; ``mode`` are its permission bits."""

    path: str
    mode: int
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"{self.path} {self.mode:04o} {self.uid}:{self.gid}"


@dataclass(frozen=True)
class Filters:
    """What could keep ports closed.

    Attributes:
        nftables: the elements of its ruleset, in its JSON (libnftables-json(5)), or why it was not seen.
        ufw: whether ufw is enabled.
        iptables: what iptables-save and ip6tables-save print, or why that was not seen.
    """

    nftables: Any
    ufw: bool
    iptables: Any


@dataclass(frozen=True)
class Kernels:
    """The release of the kernel that runs, those that are installed, and whether the distribution asks for a reboot."""

    runs: str
    installed: Sequence[str]
    required: bool


@dataclass(frozen=True)
class BackupFacts:
    """A set: its age in seconds, and whether a drill was made with it."""

    id: str
    age: float
    drilled: bool


def _modes(forbidden: int, owners: Optional[Collection[int]] = None, needed: bool = True) -> Callable[..., Verdict]:
    """Return what judges places.

    Args:
        forbidden: the permission bits that none may have.
        owners: the user ids that may own them; anybody when None.
        needed: whether there has to be one.
    """

    def judge(places: Sequence[Place]) -> Verdict:
        if not places and needed:
            raise CannotTell("there is none")
        wrong = [place for place in places if place.mode & forbidden or (owners and place.uid not in owners)]
        return not wrong, listed([str(place) for place in wrong]) or f"{len(places)} checked"

    return judge


def guarded(filters: Filters) -> bool:
    """Return whether the collection's own firewall is loaded, which also holds for ports that an engine publishes."""
    return TABLE in _named(filters, "table")


def _named(filters: Filters, kind: str) -> list[tuple[str, str]]:
    return [(str(found["family"]), str(found["name"])) for found in _elements(filters, kind)]


def _elements(filters: Filters, kind: str) -> Iterator[Json]:
    if not isinstance(filters.nftables, Unseen):
        yield from (element[kind] for element in filters.nftables if kind in element)


def _closed(filters: Filters) -> set[int]:
    """Return for which versions of IP everything is dropped that comes in and is not allowed."""
    found: set[int] = set()
    for chain in _elements(filters, "chain"):
        if chain.get("hook") == "input" and (chain.get("policy") == "drop" or _ends_all(filters, chain)):
            found.update(_FAMILIES.get(chain["family"], ()))
    for version, text in () if isinstance(filters.iptables, Unseen) else filters.iptables:
        inputs = [line for line in text.splitlines() if line.startswith((":INPUT ", "-A INPUT "))]
        if any(line.startswith(":INPUT DROP") for line in inputs) or _ENDS.fullmatch(inputs[-1] if inputs else ""):
            found.add(version)
    return found


_ENDS = re.compile(r"-A INPUT -j (DROP|REJECT)( --reject-with \S+)?")


def _ends_all(filters: Filters, chain: Json) -> bool:
    """Return whether a chain's last rule drops or rejects whatever comes to it."""
    place = (chain["family"], chain["table"], chain["name"])
    rules = [rule for rule in _elements(filters, "rule") if (rule["family"], rule["table"], rule["chain"]) == place]
    kinds = [kind for statement in rules[-1]["expr"] for kind in statement] if rules else []
    return bool(kinds) and kinds[-1] in ("drop", "reject") and set(kinds[:-1]) <= {"counter", "log", "limit"}


def _firewall(filters: Filters) -> Verdict:
    if guarded(filters):
        return True, f"the table {' '.join(TABLE)}"
    if filters.ufw:
        return True, "ufw"
    closed = _closed(filters)
    if not closed and isinstance(filters.nftables, Unseen) and isinstance(filters.iptables, Unseen):
        raise CannotTell(filters.nftables.reason)
    missing = sorted({4, 6} - closed)
    names = " and ".join(f"IPv{number}" for number in missing)
    return not missing, f"nothing drops what comes in by {names}" if missing else "what is not allowed in is dropped"


def listeners(tables: Mapping[str, str]) -> list[str]:
    """Return what listens other than on loopback, as in ``22/tcp``, by the files of /proc/net (proc_net(5)).

    Args:
        tables: the content by name: tcp, tcp6, udp and udp6.
    """
    found = {
        (socket.port, socket.protocol)
        for table, text in tables.items()
        for socket in sockets(text, table[:3])
        if socket.listens and not socket.is_local
    }
    return [f"{port}/{protocol}" for port, protocol in sorted(found)]


def _open_ports(tables: Mapping[str, str], filters: Filters, allowed: Collection[str]) -> Verdict:
    found = [port for port in listeners(tables) if port not in {*allowed, *_DHCP}]
    if not found:
        return True, "none"
    if guarded(filters) or filters.ufw or _closed(filters) >= {4, 6}:
        return True, f"{listed(found)}, which the firewall keeps closed unless its own rules let them in"
    return False, listed(found)


def _flush(text: Optional[str], state: str) -> Verdict:
    flushes = bool(re.search(r"^\s*flush\s+ruleset\b", text or "", re.MULTILINE))
    if not flushes:
        return True, "there is no such file" if text is None else "no flush ruleset"
    found = f"flush ruleset, and nftables.service is {state or 'not there'}"
    return not state.startswith("enabled"), found


def _sshd(text: str) -> Mapping[str, str]:
    """Return the effective configuration that ``sshd -T`` prints."""
    return dict(line.lower().partition(" ")[::2] for line in text.splitlines())


def ssh_ports(text: str) -> list[str]:
    """Return the ports of sshd, as in ``22/tcp``, by what ``sshd -T`` prints."""
    return [f"{line.split()[1]}/tcp" for line in text.splitlines() if line.lower().startswith("port ")]


def _root(text: str) -> Verdict:
    found = _sshd(text)["permitrootlogin"]
    return found != "yes", found


def _passwords(text: str) -> Verdict:
    found = _sshd(text)
    asks = found["passwordauthentication"] == "yes" or (
        found["kbdinteractiveauthentication"] == "yes" and found["usepam"] == "yes"
    )
    return not asks, "passwords are taken" if asks else "keys alone"


def _updates(installed: bool, periodic: str) -> Verdict:
    on = installed and periodic.strip() not in ("", "0")
    return on, "on" if on else "installed, and not switched on" if installed else "not installed"


def _clock(synchronised: bool) -> Verdict:
    return synchronised, "synchronised" if synchronised else "not synchronised"


def _reboot(kernels: Kernels) -> Verdict:
    if kernels.required:
        return False, "/run/reboot-required is there"
    if not kernels.installed:
        raise CannotTell(
            "nothing asks for a reboot, but no kernel is in /boot with which that which runs could be compared"
        )
    newest = max(kernels.installed, key=_release)
    return _release(kernels.runs) >= _release(newest), f"{kernels.runs} runs, {newest} is installed"


def _release(name: str) -> Tuple[int, ...]:
    """Return the numbers at the beginning of a kernel's release, ``6.12.57+deb13-amd64`` as (6, 12, 57)."""
    match = re.match(r"[\d.-]*", name)
    return tuple(map(int, re.findall(r"\d+", match[0] if match else "")))


def _sysctls(values: Mapping[str, Any]) -> Verdict:
    unseen = [value.reason for value in values.values() if isinstance(value, Unseen)]
    wrong = [
        f"{name.replace('/', '.')} = {values[name]}"
        for name, safe in SYSCTLS.items()
        if not isinstance(values[name], Unseen) and values[name] not in safe
    ]
    if unseen and not wrong:
        raise CannotTell(unseen[0])
    return not wrong, listed(wrong) or "all are"


def _supported(system: System, table: str, today: date) -> Verdict:
    """Return whether a distribution still gets security updates, by the table of the package distro-info-data."""
    rows = [row for row in csv.DictReader(table.splitlines()) if row["series"] == system.codename]
    if not rows:
        raise CannotTell(f"the table of distributions does not know {system.name or 'this one'}")
    ends = [rows[0].get(column) or "" for column in ("eol", "eol-server", "eol-lts")]
    if not any(ends):
        return True, f"{system.name}, without an end yet"
    last = max(date(*map(int, end.split("-"))) for end in ends if end)
    return today <= last, f"{system.name}, until {last}"


def _some(sets: Sequence[BackupFacts]) -> Verdict:
    return bool(sets), counted(len(sets), "whole set")


def _recent(sets: Sequence[BackupFacts], most: float) -> Verdict:
    age = min((backup.age for backup in _those(sets)), default=0.0)
    return age <= most, f"{age / 3600:.0f} hours old"


def _drilled(sets: Sequence[BackupFacts]) -> Verdict:
    count = sum(backup.drilled for backup in _those(sets))
    return count > 0, f"{counted(count, 'set')} of {len(sets)}"


def _those(sets: Sequence[BackupFacts]) -> Sequence[BackupFacts]:
    if not sets:
        raise CannotTell("there is no set")
    return sets


def _offsite(configured: bool) -> Verdict:
    return configured, "a repository is configured" if configured else "none is configured"


_OTHERS = 0o007
_GROUP_OR_OTHERS = 0o077
_WRITABLE = 0o022
_ROOT = (0,)

RULES: Tuple[Rule, ...] = (
    Rule(
        "file-docker-socket",
        "critical",
        "CIS 3.15, 3.16",
        "owner and mode of the engine's socket",
        "of root, and closed to others",
        ("docker_socket",),
        _modes(_OTHERS, _ROOT),
    ),
    Rule(
        "file-env",
        "high",
        "specification, Environment Security",
        "the modes of the env file, and of those that the releases keep",
        "closed to group and others",
        ("env_files",),
        _modes(_GROUP_OR_OTHERS),
    ),
    Rule(
        "file-secrets",
        "high",
        "specification, Environment Security",
        "the modes of files with single secrets, if any",
        "closed to group and others",
        ("secret_files",),
        _modes(_GROUP_OR_OTHERS, needed=False),
    ),
    Rule(
        "file-backups",
        "high",
        "ours",
        "the modes of the directory of backups, and of what is in it",
        "closed to group and others",
        ("backup_files",),
        _modes(_GROUP_OR_OTHERS),
    ),
    Rule(
        "file-tls-keys",
        "high",
        "ours",
        "the modes of private keys of the reverse proxy",
        "not writable by the group, and closed to others",
        ("tls_keys",),
        _modes(0o027),
    ),
    Rule(
        "file-app",
        "medium",
        "ours",
        "owners and modes of the directory of the application, its definition and its releases",
        "of root, and writable by nobody else",
        ("app_files",),
        _modes(_WRITABLE, _ROOT),
    ),
    Rule(
        "file-daemon-json",
        "medium",
        "CIS 3.5, 3.6, 3.17, 3.18",
        "owners and modes of /etc/docker and daemon.json in it",
        "of root, and writable by nobody else",
        ("engine_files",),
        _modes(_WRITABLE, _ROOT, needed=False),
    ),
    Rule(
        "file-containerd-socket",
        "medium",
        "CIS 3.23, 3.24",
        "owner and mode of the socket of containerd",
        "of root, and closed to others",
        ("containerd_socket",),
        _modes(_OTHERS, _ROOT),
    ),
    Rule(
        "host-firewall",
        "high",
        "specification, Pre-Deployment; CIS 1.2.1",
        "the ruleset of nftables, ufw, and what iptables-save prints",
        "what is not allowed in is dropped, by IPv4 and IPv6",
        ("filters",),
        _firewall,
    ),
    Rule(
        "host-open-ports",
        "high",
        "specification, Pre-Deployment",
        "what listens other than on loopback (/proc/net), and the firewall; no packet is sent",
        "only those configured for the audit",
        ("sockets", "filters", "ports"),
        _open_ports,
    ),
    Rule(
        "host-ssh-root",
        "high",
        "specification, Pre-Deployment; CIS 1.2.1",
        "PermitRootLogin in what sshd -T prints",
        "other than yes",
        ("sshd",),
        _root,
    ),
    Rule(
        "host-distribution",
        "high",
        "CIS 1.2.1",
        "the end of support in the table of the package distro-info-data",
        "yet to come",
        ("system", "distributions", "today"),
        _supported,
    ),
    Rule(
        "host-ssh-passwords",
        "medium",
        "specification, Pre-Deployment; CIS 1.2.1",
        "PasswordAuthentication and KbdInteractiveAuthentication in what sshd -T prints",
        "no",
        ("sshd",),
        _passwords,
    ),
    Rule(
        "host-nftables-flush",
        "medium",
        "ours",
        "/etc/nftables.conf, and whether nftables.service is enabled",
        "no flush ruleset, which takes the engine's rules and with them the network of all containers",
        ("nftables_conf", "nftables_service"),
        _flush,
    ),
    Rule(
        "host-security-updates",
        "medium",
        "CIS 1.2.1",
        "unattended-upgrade, and APT::Periodic::Unattended-Upgrade",
        "installed and switched on",
        ("unattended_upgrade", "unattended_periodic"),
        _updates,
    ),
    Rule(
        "host-reboot",
        "medium",
        "CIS 1.2.1",
        "/run/reboot-required, and the kernels in /boot",
        "the newest kernel runs",
        ("kernels",),
        _reboot,
    ),
    Rule(
        "host-clock",
        "low",
        "ours",
        "what adjtimex(2) says",
        "synchronised",
        ("clock",),
        _clock,
    ),
    Rule(
        "host-sysctls",
        "low",
        "CIS 1.2.1",
        f"{', '.join(name.replace('/', '.') for name in SYSCTLS)}",
        "safe values",
        ("sysctls",),
        _sysctls,
    ),
    Rule(
        "backup-sets",
        "high",
        "specification, Backup Strategy",
        "the backup sets whose files are there in full",
        "one at least",
        ("sets",),
        _some,
    ),
    Rule(
        "backup-age",
        "high",
        "specification, Backup Strategy",
        "the age of the newest whole set",
        "not older than configured for the audit",
        ("sets", "max_backup_age"),
        _recent,
    ),
    Rule(
        "backup-drill",
        "medium",
        "specification, Maintenance Schedule",
        "the drills that the manifests of sets record",
        "one that passed",
        ("sets",),
        _drilled,
    ),
    Rule(
        "backup-offsite",
        "medium",
        "ours",
        "the inventory; the repository is not asked",
        "a repository off-site, since a disk takes all sets along",
        ("offsite",),
        _offsite,
    ),
)
