# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a firewall in place so that nobody is locked out: it is taken back unless a new connection confirms it in time.

Until then nothing of it is in a file that a boot reads, so that a reboot opens everything again, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Protocol, Sequence, Union

from .._core.errors import DockerVpsError
from .._core.firewall import (
    REMOVED,
    TABLE,
    Openings,
    UfwPlan,
    cautions,
    checked_ssh_ports,
    closed,
    connection,
    imitations,
    openings,
    ruleset,
    ssh_ports,
    ufw_plan,
)
from .._core.remedies import again, setting
from .._core.sockets import Processes, Socket
from .._engine.nftables import NFT
from .._store import files

UNIT = "docker-vps-firewall.service"
ROLLBACK = "docker-vps-firewall-rollback"
_UNIT = """\
[Unit]
Description=Firewall of docker_vps (the table inet {table} of nftables)
DefaultDependencies=no
After=nftables.service
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={nft} -f {rules}
ExecReload={nft} -f {rules}

[Install]
WantedBy=sysinit.target
"""
# Debian's file for nftables.service begins with "flush ruleset", which takes our table away, too.
_DROP_IN = """\
# Written by ptnextjs.docker_vps: its table is put back after this service has loaded its own rules.
[Service]
ExecStartPost=-{nft} -f {rules}
ExecReload=-{nft} -f {rules}
"""


class Nftables(Protocol):
    """What is needed of nft."""

    def exists(self) -> bool:
        """Return whether it is installed."""
        raise NotImplementedError

    def listing(self) -> str:
        """Return what our table has, empty when it is not there."""
        raise NotImplementedError

    def ruleset(self) -> Sequence[Mapping[str, Any]]:
        """Return what all tables have, in the JSON of nft."""
        raise NotImplementedError

    def rendered(self, text: str) -> str:
        """Return what our table would have after a transaction."""
        raise NotImplementedError

    def load(self, text: str) -> None:
        """Carry a transaction out."""
        raise NotImplementedError


class Ufw(Protocol):
    """What is needed of ufw."""

    def rules_here(self) -> bool:
        """Return whether it is installed and switched on."""
        raise NotImplementedError

    def rules(self) -> str:
        """Return the file of the rules that people have given."""
        raise NotImplementedError

    def allow(self, protocol: str, port: int) -> None:
        """Let a port in."""
        raise NotImplementedError

    def delete(self, protocol: str, port: int) -> None:
        """Take a rule away that lets a port in."""
        raise NotImplementedError


class Sockets(Protocol):
    """What is needed of the network of the host."""

    def all(self) -> list[Socket]:
        """Return the sockets that listen or are connected."""
        raise NotImplementedError

    def processes(self) -> Processes:
        """Return the processes by their numbers."""
        raise NotImplementedError

    def units(self) -> set[int]:
        """Return the ports on which systemd listens for an SSH server."""
        raise NotImplementedError

    def interfaces(self) -> Sequence[str]:
        """Return the names of the network interfaces."""
        raise NotImplementedError

    def ephemeral(self) -> range:
        """Return the ports that the kernel gives to sockets which ask for none."""
        raise NotImplementedError


class Engine(Protocol):
    """What is needed of the Docker engine, whether there is one or not."""

    def published(self) -> Mapping[tuple[str, int], str]:
        """Return the names of containers by the protocols and ports that they publish."""
        raise NotImplementedError

    def bridges(self) -> Sequence[str]:
        """Return the names that people have given to bridges of its networks."""
        raise NotImplementedError


@dataclass(frozen=True)
class World:
    """What the firewall is made of.

    Attributes:
        later: has systemd run a command after so many seconds.
        pid: the process that came over a connection.
    """

    nft: Nftables
    ufw: Ufw
    sockets: Sockets
    engine: Engine
    systemctl: Callable[..., str]
    later: Callable[[str, float, Sequence[str]], None]
    pid: int


@dataclass(frozen=True)
class Params:
    """See the module firewall; ``etc`` has the files that stay, and ``run`` those that a reboot removes."""

    state: str
    ssh_ports: Sequence[int] = ()
    tcp_ports: Sequence[int] = ()
    udp_ports: Sequence[int] = ()
    trusted_interfaces: Sequence[str] = ()
    confirm_timeout: float = 60
    etc: str = "/etc"
    run: str = "/run/docker-vps-firewall"

    @property
    def rules(self) -> str:
        """The file of the rules."""
        return os.path.join(self.etc, "docker-vps/firewall.nft")

    def files(self, rules: str) -> dict[str, str]:
        """Return what is on disk, by paths, when these are the rules."""
        units = os.path.join(self.etc, "systemd/system")
        words = {"nft": NFT, "rules": self.rules, "table": TABLE}
        return {
            self.rules: rules,
            os.path.join(units, UNIT): _UNIT.format(**words),
            os.path.join(units, "nftables.service.d/docker-vps.conf"): _DROP_IN.format(**words),
        }

    def volatile(self, name: str) -> str:
        """Return the path of a file that a reboot removes."""
        return os.path.join(self.run, name)


@dataclass(frozen=True)
class Look:
    """What is there, and what is wanted.

    Attributes:
        before: what the table has; empty when it is not there.
        after: what it is to have.
        rules: the transaction that does it.
        stale: what differs on disk, by paths.
    """

    before: str
    after: str
    rules: str
    stale: Mapping[str, Optional[files.Kept]]
    enabled: bool
    ufw: UfwPlan
    result: Mapping[str, Any]

    @property
    def differs(self) -> bool:
        """Whether there is something to do."""
        return self.before != self.after or bool(self.stale or self.ufw.allow or self.ufw.delete) or not self.enabled


def run(params: Params, world: World, check_mode: bool) -> dict[str, Any]:
    """Do what the state asks for and return the result.

    Raises:
        DockerVpsError: what is asked for cannot be, or was not confirmed in time.
    """
    step = {"present": _present, "confirmed": _confirm, "absent": _absent}[params.state]
    return {"pending": False, "ssh_ports": [], "closed": [], "warnings": [], **step(params, world, check_mode)}


def _present(params: Params, world: World, check_mode: bool) -> dict[str, Any]:
    look = _look(params, world)
    pending = os.path.exists(params.volatile("pending"))
    result = {**look.result, "changed": look.differs or pending, "diff": _diff(params, look)}
    result["warnings"] = [*_taken_back(params, check_mode), *look.ufw.cautions, *look.result["warnings"]]
    if check_mode or not result["changed"]:
        return result
    if not world.nft.exists():
        raise DockerVpsError("nft is not installed on this host. Install it: apt-get install nftables. " + _UNCHANGED)
    if pending:  # of a play that ended before it confirmed
        _go_back(params, world)
        look = _look(params, world)
    for protocol, port in look.ufw.allow:
        world.ufw.allow(protocol, port)
    if look.before == look.after:
        _keep(params, world, look.rules, look.ufw.delete)
        return result
    _apply(params, world, look)
    return {**result, "pending": True}


_NO_SERVER = f"No SSH server was found, so no port is open for one: see {setting('firewall_ssh_ports')}."
_UNCHANGED = "Nothing was changed."


def _look(params: Params, world: World) -> Look:
    """Look at everything, and refuse what cannot be."""
    found, processes = world.sockets.all(), world.sockets.processes()
    used = ssh_ports(found, processes) | world.sockets.units()
    ssh = checked_ssh_ports(params.ssh_ports, used, found, connection(found, processes, world.pid))
    opened = openings(ssh, params.tcp_ports, params.udp_ports)
    host, bridges = not world.ufw.rules_here(), world.engine.bridges()
    outside = imitations(world.sockets.interfaces(), {*bridges, *params.trusted_interfaces})
    rules = ruleset(opened, bridges, params.trusted_interfaces, outside, host)
    before, after = (world.nft.listing(), world.nft.rendered(rules)) if world.nft.exists() else ("", rules)
    seen = found if host else []  # the others are for ufw to judge
    closes = closed(seen, processes, world.engine.published(), opened, world.sockets.ephemeral())
    warnings = [*([] if ssh else [_NO_SERVER]), *_cautions(world, opened, host)]
    return Look(
        before,
        after,
        rules,
        _stale(params, rules),
        _is_enabled(world),
        UfwPlan((), ()) if host else ufw_plan(world.ufw.rules(), opened.each()),
        {"ssh_ports": sorted(ssh), "closed": closes, "warnings": warnings},
    )


def _cautions(world: World, opened: Openings, host: bool) -> list[str]:
    try:
        return cautions(world.nft.ruleset() if world.nft.exists() else [], opened, host)
    except DockerVpsError as error:  # such as rules that this version of nft cannot print
        return [f"Whether chains of others keep ports closed was not checked. {error.message}"]


def _stale(params: Params, rules: str) -> dict[str, Optional[files.Kept]]:
    kept = {path: (files.read(path), text) for path, text in params.files(rules).items()}
    return {path: before for path, (before, text) in kept.items() if not before or before.text != text}


def _is_enabled(world: World) -> bool:
    return world.systemctl("show", "--property=UnitFileState", UNIT).strip() == "UnitFileState=enabled"


def _diff(params: Params, look: Look) -> list[dict[str, str]]:
    def shown(table: str, plan: Sequence[tuple[str, int]]) -> str:
        return table + "".join(f"ufw allow {port}/{protocol}\n" for protocol, port in plan)

    after = params.files(look.rules)
    table = {"before": shown(look.before, look.ufw.delete), "after": shown(look.after, look.ufw.allow)}
    header = f"table inet {TABLE}"
    units = [
        {"before": kept.text if kept else "", "after": after[path], "before_header": path, "after_header": path}
        for path, kept in look.stale.items()
        if path != params.rules
    ]
    return [{**table, "before_header": header, "after_header": header}, *units]


def _apply(params: Params, world: World, look: Look) -> None:
    """Load the rules after the way back has been prepared, on which nothing here has an influence any more."""
    _disarm(world)
    os.makedirs(params.run, mode=0o700, exist_ok=True)
    _write(params.volatile("former"), REMOVED + look.before)
    facts = {
        "rules": look.rules,
        "ufw_delete": look.ufw.delete,
        "came_by": _came_by(world),
        "time": time.time(),
        "timeout": params.confirm_timeout,
    }
    _write(params.volatile("pending"), json.dumps(facts))
    # Whoever takes the file away decides: this, or who confirms.
    script = 'mv "$1/pending" "$1/taken-back" && { "$2" -f "$1/former" || "$2" delete table inet "$3"; }'
    world.later(ROLLBACK, params.confirm_timeout, ["/bin/sh", "-c", script, "sh", params.run, NFT, TABLE])
    try:
        world.nft.load(look.rules)
    except DockerVpsError:
        _go_back(params, world)
        raise


def _write(path: str, text: str) -> None:
    files.replace(path, files.own(text))


def _came_by(world: World) -> Optional[list[Union[str, int]]]:
    """Return what tells our connection from others."""
    found = connection(world.sockets.all(), world.sockets.processes(), world.pid)
    return [found.port, found.peer, found.peer_port] if found else None


def _go_back(params: Params, world: World) -> None:
    former = files.read(params.volatile("former"))
    world.nft.load(former.text if former else REMOVED)
    _disarm(world)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(params.volatile("pending"))


def _disarm(world: World) -> None:
    with contextlib.suppress(DockerVpsError):  # it has run already
        world.systemctl("stop", f"{ROLLBACK}.timer")


def _taken_back(params: Params, check_mode: bool) -> list[str]:
    """Return what became of the rules before, once."""
    kept = files.read(params.volatile("taken-back"))
    if not kept:
        return []
    if not check_mode:
        os.unlink(params.volatile("taken-back"))
    facts = json.loads(kept.text)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(facts["time"]))
    return [
        f"The firewall of {when} UTC was taken back, since no new connection confirmed it within "
        f"{facts['timeout']:g} s: either the play ended before, or the rules kept it out."
    ]


def _confirm(params: Params, world: World, check_mode: bool) -> dict[str, Any]:
    if check_mode:
        return {"changed": False, "diff": []}
    kept = files.read(params.volatile("pending"))
    facts = json.loads(kept.text) if kept else {}
    if facts.get("came_by") and _came_by(world) == facts["came_by"]:
        raise DockerVpsError(
            "This came by the connection that was there before the firewall, and so does not show that a new one is "
            "let in. Have Ansible close it (meta: reset_connection), or confirm by another one."
        )
    try:
        os.unlink(params.volatile("pending"))
    except FileNotFoundError:
        why = " ".join(_taken_back(params, check_mode)) or _REBOOTED
        raise DockerVpsError(
            f"{why} The host is as open as before. Fix what keeps new connections out, or give it more time by "
            f"{setting('firewall_confirm_timeout')}, and {again()}."
        ) from None
    _disarm(world)
    _keep(params, world, facts["rules"], facts["ufw_delete"])
    return {"changed": True, "diff": []}


_REBOOTED = "There is no firewall that waits to be confirmed, as after a reboot."


def _keep(params: Params, world: World, rules: str, ufw_delete: Sequence[Sequence[Any]]) -> None:
    """Have the rules loaded at each boot from now on, and take away what ufw had for those before."""
    written = _stale(params, rules)
    for path, kept in written.items():
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            files.make_directory(folder)
            os.chmod(folder, 0o755)  # noqa: S103  # what systemd reads is for everybody
        files.rewrite(path, params.files(rules)[path], kept)
    if set(written) - {params.rules}:
        world.systemctl("daemon-reload")
    world.systemctl("enable", "--now", UNIT)
    for protocol, port in ufw_delete:
        world.ufw.delete(protocol, port)


def _absent(params: Params, world: World, check_mode: bool) -> dict[str, Any]:
    paths = [path for path in params.files("") if os.path.exists(path)]
    table = world.nft.listing() if world.nft.exists() else ""
    ours = ufw_plan(world.ufw.rules(), ()).delete
    changed = bool(paths or table or ours)
    if changed and not check_mode:
        _disarm(world)
        if table:
            world.nft.load(REMOVED)
        _remove(params, world, paths)
        for protocol, port in ours:
            world.ufw.delete(protocol, port)
    header = {"before_header": f"table inet {TABLE}", "after_header": f"table inet {TABLE}"}
    return {"changed": changed, "diff": [{"before": table, "after": "", **header}]}


def _remove(params: Params, world: World, paths: Sequence[str]) -> None:
    if any(path.endswith(UNIT) for path in paths):
        world.systemctl("disable", "--now", UNIT)
    for path in [*paths, *map(params.volatile, ("pending", "former", "taken-back"))]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    for folder in {os.path.dirname(path) for path in paths if not path.endswith(UNIT)}:
        with contextlib.suppress(OSError):  # others have files there
            os.rmdir(folder)
    world.systemctl("daemon-reload")
