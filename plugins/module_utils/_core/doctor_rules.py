# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be wrong with an application besides what a watch finds: each rule judges facts and says what fixes.

A container and the like are what the engine says of them; None stands for one that is not there.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from dataclasses import dataclass, field, replace
from typing import Any, Mapping, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from . import environment
from .audit import CannotTell
from .audit_engine import options
from .clock import instant
from .databases import DAMAGED
from .deploy_lock import Lock
from .doctor import Found, Rule
from .hardening import lacks_threads
from .health import asked_at, snapshot, succeeded_since
from .host import at_least
from .public_check import Leg, Visit
from .releases import Release
from .remedies import once, play, setting
from .text import listed, short, size
from .watch import CRITICAL, INFO, WARNING, lasting

Json = Mapping[str, Any]

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""What engines call a processor, and what images do."""
_NOT_RUN = (126, 127)  # codes with which a shell says that a command cannot be run, or is not there
_PORT_TAKEN = re.compile(r"port is already allocated|address already in use")
_SECRETS = "/run/secrets/"
_ENTRYPOINT = "docker-entrypoint.sh"  # of our images
_LOCK_HELD = 3600.0  # seconds; no backup or release of ours takes longer without a sign of life
_JOBS = ("backup", "verify", "drill")
_RESTORE = f"{play('restore')} {once('restore_stop_app', 'true')}"  # of an application that may run
_BUSY = 3  # entries of a log within an hour
_RESERVED = 512 << 20
"""Bytes by default of docker_vps_memory_reservation; a limit must not be less."""


@dataclass(frozen=True)
class Wanted:
    """What an inventory says.

    Attributes:
        mounts: the volumes by their places in the container; the first has the database.
        database: as archive/path; empty when there is none in a file.
        home: the directory of the application on the host.
        proxy: the name of the container of the reverse proxy; empty when that is not known.
        flag: the file for which the proxy shows its page; empty when there is none.
        lock_max_age: seconds from which on the lock of a play that is gone counts no more.
        start: seconds within which a container is healthy.
    """

    app: str
    container: str
    network: str
    mounts: Mapping[str, str]
    database: str
    port: int
    url: str
    env_file: str
    home: str
    aliases: Tuple[str, ...] = ()
    proxy: str = ""
    flag: str = ""
    engine_version: str = ""
    compose_version: str = ""
    lock_max_age: float = 3600.0
    start: float = 60.0

    @property
    def place(self) -> str:
        """Where the database's volume is to be mounted."""
        return next(iter(self.mounts), "")


@dataclass(frozen=True)
class FileSeen:
    """A file or a directory with its owner and mode."""

    path: str
    uid: int
    gid: int
    mode: int
    directory: bool = False


@dataclass(frozen=True)
class WriterSeen:
    """Who kept the database locked for writing all the time, for so many seconds."""

    pid: int
    name: str
    container: str
    seconds: float


@dataclass(frozen=True)
class DatabaseSeen:
    """The database on the host.

    Attributes:
        path: there; ``exists`` says whether it is.
        files: it, what SQLite keeps beside it, and their directory.
        readonly: whether its file system is mounted read-only.
        check: sound, damaged or not checked; ``why`` is what was found.
        warning: a known bug of the library that wrote it last.
        schema: its fingerprint.
        made: when its volume was made (seconds since 1970); None when that is not known.
    """

    path: str
    exists: bool
    files: Tuple[FileSeen, ...] = ()
    readonly: bool = False
    check: str = ""
    why: str = ""
    journal_mode: str = ""
    warning: str = ""
    schema: str = ""
    tables: Mapping[str, int] = field(default_factory=dict)
    writer: Optional[WriterSeen] = None


@dataclass(frozen=True)
class ProxySeen:
    """The container of the reverse proxy.

    Attributes:
        inspected: what the engine says of it; None when there is none of the name.
        config: the text of its configuration.
        nginx: whether it is Nginx.
    """

    name: str
    inspected: Optional[Json]
    config: str = ""
    nginx: bool = False


@dataclass(frozen=True)
class NamesSeen:
    """The name in the public address, and the name servers of the host.

    Attributes:
        host: the name; empty when it is an address.
        found: whether the host finds it.
        servers: the name servers, and those that answer.
    """

    host: str
    found: bool
    servers: Tuple[str, ...] = ()
    answering: Tuple[str, ...] = ()


@dataclass(frozen=True)
class BuildSeen:
    """The last build, which failed.

    Attributes:
        at: when, in seconds since 1970.
        why: the step that failed, and the cause when it is a known one, in a sentence.
        lines: what that step wrote, from its first error on, and last.
        log: where the whole log is.
    """

    at: float
    why: str
    lines: Tuple[str, ...] = ()
    log: str = ""


@dataclass(frozen=True)
class LockSeen:
    """What is running: the lock of plays, its age in seconds, and a process that holds another lock.

    Attributes:
        holder: of a lock of the releases or the sets, empty when nobody does; with ``pid`` and ``since``.
    """

    play: Optional[Lock] = None
    age: float = 0.0
    holder: str = ""
    pid: int = 0
    held: float = 0.0


def _present(container: Optional[Json]) -> Json:
    if container is None:
        raise CannotTell("there is no container")
    return container


def _environment(container: Json) -> Mapping[str, str]:
    return dict(pair.partition("=")[::2] for pair in container["Config"].get("Env") or ())


def _quoted(*words: str) -> str:
    return " ".join(map(shlex.quote, words))


def _engine_version(wanted: Wanted, engine: Json, compose: str) -> Optional[Found]:
    rows = [
        *at_least("the engine", str(engine["ServerVersion"]), wanted.engine_version),
        *at_least("Compose", compose, wanted.compose_version),
    ]
    for row in rows:
        if not row.ok:
            looked_at = f"the version of {row.check}"
            found = f"{row.found}, expected {row.expected}"
            return Found(found, f"{play('setup')} installs it.", play("setup"), looked_at)
    return None


def _lock_held(lock: LockSeen) -> Optional[Found]:
    if lock.holder and lock.held > _LOCK_HELD:
        return Found(
            f"{lock.holder} has been running for {lasting(lock.held)}",
            "See what it waits for; if it never ends, end that process. What it had begun is put right then.",
            _quoted("kill", str(lock.pid)),
        )
    return None


def _lock_stale(wanted: Wanted, lock: LockSeen) -> Optional[Found]:
    if lock.play and lock.age > wanted.lock_max_age and not lock.holder:
        return Found(
            f"{lock.play.play} took it {lasting(lock.age)} ago, and no process holds another lock",
            "If that play is dead, any play takes the lock by force.",
            f"{play('start')} {once('lock_force', 'true')}",
        )
    return None


def _build_failed(
    build: Optional[BuildSeen], container: Optional[Json], live: Optional[Release], image: Optional[Json], now: float
) -> Optional[Found]:
    """See whether what is newer than the live release was not built; critical when there is nothing to run."""
    if build is None or (live and instant(live.at).timestamp() > build.at):
        return None
    nothing = container is None and (live is None or image is None)
    return Found(
        f"{lasting(max(now - build.at, 0.0))} ago {' '.join(build.why.split()).rstrip('.')}; "
        + ("there is nothing else to run" if nothing else "the version before it stays"),
        f"Correct that, and {play('deploy')} builds again. The whole log is {build.log}.",
        play("deploy"),
        severity=CRITICAL if nothing else WARNING,
        log=build.lines,
    )


def _image_missing(container: Optional[Json], live: Optional[Release], image: Optional[Json]) -> Optional[Found]:
    if live is None or image is not None:
        return None
    without = "and there is no container" if container is None else "and the container's own is gone as well"
    return Found(
        f"{live.image} is not on this host any more, {without}",
        f"{play('deploy')} builds or gets it again; the data is untouched in its volumes.",
        play("deploy"),
    )


def _image_architecture(engine: Json, container: Optional[Json], image: Optional[Json]) -> Optional[Found]:
    if image is None:
        raise CannotTell("there is no image")
    machine, made = _MACHINES.get(engine["Architecture"], str(engine["Architecture"])), str(image["Architecture"])
    if made and made != machine:
        name = (container or {}).get("Config", {}).get("Image", "") or ", ".join(image.get("RepoTags") or ())
        return Found(
            f"{short(name)} is for {made}, and this host is {machine}",
            f"{play('start')} brings the live release back; build new ones for linux/{machine}.",
            play("start"),
        )
    return None


def _network_missing(wanted: Wanted, network: Optional[Json]) -> Optional[Found]:
    if network is None:
        return Found(
            f"there is no network {wanted.network}",
            f"{play('deploy')} makes it and starts the application on it; connect the reverse proxy as well.",
            play("deploy"),
        )
    return None


def _network_new(wanted: Wanted, container: Optional[Json], network: Optional[Json]) -> Optional[Found]:
    mine = (_present(container)["NetworkSettings"].get("Networks") or {}).get(wanted.network)
    if mine is None or network is None:
        raise CannotTell("the container is not on the network")
    known = str(mine.get("NetworkID") or "")
    if known and known != network["Id"]:
        return Found(
            f"{wanted.network} was recreated: the container knows it as {known[:12]}, and it is {network['Id'][:12]}",
            f"{play('start')} recreates the container on it.",
            play("start"),
        )
    return None


def _network_app(wanted: Wanted, container: Optional[Json], network: Optional[Json]) -> Optional[Found]:
    networks = _present(container)["NetworkSettings"].get("Networks") or {}
    if network is None or wanted.network in networks:
        return None
    options = [word for alias in dict.fromkeys((wanted.container, *wanted.aliases)) for word in ("--alias", alias)]
    return Found(
        f"{wanted.container} is not on {wanted.network}, only on {listed(sorted(networks)) or 'none'}",
        "Connect it, under the names by which the proxy asks for it.",
        _quoted("docker", "network", "connect", *options, wanted.network, wanted.container),
    )


def _network_alias(
    wanted: Wanted, container: Optional[Json], others: Sequence[Json], lock: LockSeen
) -> Optional[Found]:
    if lock.play or lock.holder:  # a cutover has two of them for a while
        raise CannotTell("another job is running")
    names, own = {wanted.container, *wanted.aliases}, container["Id"] if container else ""
    for other in others:
        name = str(other["Name"]).lstrip("/")
        both = names.intersection(_answers_to(name, other, wanted.network))
        if both and other["State"]["Running"] and other["Id"] != own:
            return Found(
                f"{name} answers to {listed(sorted(both))} on {wanted.network} as well, so visitors may get that",
                "See what it is, and remove it if nobody needs it; this takes it from the network.",
                _quoted("docker", "network", "disconnect", wanted.network, name),
            )
    return None


def _answers_to(name: str, container: Json, network: str) -> Sequence[str]:
    """Return the names by which a container is found on a network; engines before 25.0 do not tell all of them."""
    place = (container["NetworkSettings"].get("Networks") or {}).get(network)
    return [] if place is None else place.get("DNSNames") or [name, *(place.get("Aliases") or ())]


def _mounts(container: Optional[Json]) -> Mapping[str, Json]:
    return {str(mount["Destination"]).rstrip("/"): mount for mount in _present(container).get("Mounts") or ()}


def _volume_missing(wanted: Wanted, volumes: Mapping[str, Optional[Json]]) -> Optional[Found]:
    missing = [name for name, volume in volumes.items() if volume is None]
    if missing:
        return Found(
            f"there is no volume {listed(missing)}",
            f"{play('restore')} makes it, with the data of the last backup.",
            play("restore"),
        )
    return None


def _volume_unmounted(wanted: Wanted, container: Optional[Json]) -> Optional[Found]:
    mounts = _mounts(container)
    used = {mount.get("Name") for mount in mounts.values()}
    missing = [
        f"{name} at {place}" for place, name in wanted.mounts.items() if place not in mounts and name not in used
    ]
    if missing:
        return Found(
            f"the container was made without {listed(missing)}, so what it writes there is lost with it",
            f"{play('start')} makes it again as it was released. Copy what is only in it before that: docker cp.",
            play("start"),
        )
    return None


def _volume_elsewhere(wanted: Wanted, container: Optional[Json]) -> Optional[Found]:
    places = {mount.get("Name"): place for place, mount in _mounts(container).items()}
    wrong = [
        f"{name} is mounted at {places[name]} instead of {place}"
        for place, name in wanted.mounts.items()
        if places.get(name, place) != place
    ]
    if wrong:
        return Found(listed(wrong), f"{play('start')} makes the container as it was released.", play("start"))
    return None


def _volume_other(wanted: Wanted, container: Optional[Json]) -> Optional[Found]:
    mounts = _mounts(container)
    wrong = [
        f"{place} is {mounts[place].get('Name') or mounts[place].get('Source')} instead of the volume {name}"
        for place, name in wanted.mounts.items()
        if place in mounts and mounts[place].get("Name") != name
    ]
    if wrong:
        return Found(
            listed(wrong),
            f"The data is elsewhere than the application looks. {play('start')} makes the container as it was "
            f"released; if the other volume is right, name it in {setting('database_volume')}.",
            play("start"),
        )
    return None


def _volume_readonly(wanted: Wanted, container: Optional[Json]) -> Optional[Found]:
    wrong = [
        place for place, mount in _mounts(container).items() if place in wanted.mounts and not mount.get("RW", True)
    ]
    if wrong:
        return Found(
            f"{listed(wrong)} is mounted read-only",
            f"{play('start')} makes the container as it was released.",
            play("start"),
        )
    return None


def _env_wrong(wanted: Wanted, container: Optional[Json]) -> Optional[Found]:
    inspected = _present(container)
    files = {os.path.basename(place) for place in _mounts(inspected) if place.startswith(_SECRETS)}
    values = _environment(inspected)
    problems = [each for each in environment.problems(values, wanted.place) if each.split()[0] not in files]
    if problems:
        return Found(
            f"{'; '.join(problems)}",
            f"{play('start')} brings the environment of the live release back; change it in the inventory, and "
            f"{play('deploy')}.",
            play("start"),
        )
    return None


def _env_port(wanted: Wanted, container: Optional[Json]) -> Optional[Found]:
    inspected = _present(container)
    port = _environment(inspected).get("PORT", "") or str(wanted.port)
    checked = str(urlsplit(asked_at(inspected)).port or port)
    wrong = [each for each in (port, checked) if each != str(wanted.port)]
    if wrong:
        return Found(
            f"the application listens on {port}, its health check asks {checked}, and the proxy is told {wanted.port}",
            f"{play('start')} brings the released port back; change {setting('port')} in the inventory.",
            play("start"),
        )
    return None


def _env_drift(wanted: Wanted, changed: Sequence[str]) -> Optional[Found]:
    if changed:
        return Found(
            f"{listed(changed)} is not as it was released",
            f"{play('start')} brings back what was released, and keeps the other file beside it.",
            play("start"),
        )
    return None


def _data_gone(wanted: Wanted, database: DatabaseSeen, sets: Sequence[str]) -> Optional[Found]:
    if not wanted.database or database.exists:
        return None
    last = f"the last backup is {sets[0]}" if sets else "there is no backup"
    return Found(
        f"{database.path} is not there; {last}",
        f"{play('restore')} brings the last backup back. A volume of this name may have been deleted and recreated.",
        _RESTORE,
    )


def _data_lost(lost: Sequence[str]) -> Optional[Found]:
    if lost:
        return Found(
            " ".join(lost).rstrip("."),
            f"{play('restore')} brings the set back. If that is meant, make one backup with "
            f"{once('backup_accept_loss', 'true')}.",
            _RESTORE,
        )
    return None


def _database_modes(wanted: Wanted, engine: Json, container: Optional[Json], database: DatabaseSeen) -> Optional[Found]:
    found = _unwritable(engine, container, database.files)
    restart = _quoted("docker", "restart", wanted.container)
    return found and replace(found, command=f"{found.command} && {restart}")


def _volume_modes(engine: Json, container: Optional[Json], roots: Sequence[FileSeen]) -> Optional[Found]:
    written = {mount.get("Source") for mount in _mounts(container).values() if mount.get("RW", True)}
    return _unwritable(engine, container, [root for root in roots if root.path in written])


def _unwritable(engine: Json, container: Optional[Json], files: Sequence[FileSeen]) -> Optional[Found]:
    user = _runs_as(_present(container), engine)
    verdicts = [(file, _may_write(file, user)) for file in files]
    wrong = [file for file, may in verdicts if may is False]
    if not wrong:
        if any(may is None for _file, may in verdicts):
            raise CannotTell("no numbers say in which groups the application is")
        return None
    paths = [file.path for file in wrong]
    chown = _quoted("chown", "--no-dereference", str(user), *paths)
    return Found(
        listed([f"{file.path} is of {file.uid}:{file.gid} with mode {file.mode:04o}" for file in wrong]),
        f"The application is {user} and must be able to write there.",
        f"{chown} && {_quoted('chmod', 'u+rwX', *paths)}",
    )


@dataclass(frozen=True)
class _User:
    """As whom an application runs.

    Attributes:
        group: its own; empty when the image alone knows that.
        groups: all that are known, its own among them.
        all_groups: whether it has no others.
        overrides: whether modes do not count for it (CAP_DAC_OVERRIDE).
    """

    uid: int
    group: str
    groups: Tuple[int, ...]
    all_groups: bool
    overrides: bool = False

    def __str__(self) -> str:
        return f"{self.uid}:{self.group}" if self.group else str(self.uid)


def _runs_as(container: Json, engine: Json) -> _User:
    """Return as whom an application runs; an image without an entrypoint of ours chooses that itself."""
    config, host = container["Config"], container["HostConfig"]
    _refuse_other_numbers(host, engine)
    user, _colon, group = re.sub(r"\broot\b", "0", str(config.get("User") or "0")).partition(":")
    further = [str(each) for each in host.get("GroupAdd") or ()]
    if user == "0" and any(_ENTRYPOINT in word for word in config.get("Entrypoint") or ()):
        values = _environment(container)
        user, group, further = values.get("PUID", ""), values.get("PGID") or "-", []  # it gives the others up
    if not user.isdigit() or not (group or "0").isdigit():
        raise CannotTell("no numbers say as whom the application runs")
    groups = [each for each in (group, *further) if each]
    numbers = tuple(int(each) for each in groups if each.isdigit())
    return _User(int(user), group, numbers, bool(group) and len(numbers) == len(groups), user == "0" and _mighty(host))


def _refuse_other_numbers(host: Json, engine: Json) -> None:
    remapped = options(engine) & ({"rootless"} if host.get("UsernsMode") == "host" else {"userns", "rootless"})
    if remapped:
        raise CannotTell(f"the engine gives users other numbers on the host ({listed(sorted(remapped))})")


def _mighty(host: Json) -> bool:
    """Return whether root in a container writes whatever the modes are, by the order in which engines read these."""
    added, dropped = (
        {str(each).upper().replace("CAP_", "") for each in host.get(name) or ()} for name in ("CapAdd", "CapDrop")
    )
    if host.get("Privileged") or "ALL" in added:
        return bool(host.get("Privileged")) or "DAC_OVERRIDE" not in dropped
    return "DAC_OVERRIDE" in added or not dropped & {"ALL", "DAC_OVERRIDE"}


def _may_write(file: FileSeen, user: _User) -> Optional[bool]:
    """Return whether a user may read and write a file, and enter a directory; None when its groups decide that.

    Only the first class that fits counts.
    """
    if user.overrides:
        return True
    if file.uid == user.uid or file.gid in user.groups:
        return _allows(file, 6 if file.uid == user.uid else 3)
    others = _allows(file, 0)
    return others if user.all_groups or others == _allows(file, 3) else None


def _allows(file: FileSeen, shift: int) -> bool:
    wanted = stat.S_IRWXO if file.directory else stat.S_IROTH | stat.S_IWOTH
    return (file.mode >> shift) & wanted == wanted


def _disk_readonly(database: DatabaseSeen) -> Optional[Found]:
    if database.readonly:
        return Found(
            "it is mounted read-only",
            "See why by dmesg; the kernel does that after errors of the disk. Then mount it for writing.",
            f"mount -o remount,rw {_quoted(os.path.dirname(database.path))}",
            f"the file system of {database.path}",
        )
    return None


def _database_damaged(database: DatabaseSeen) -> Optional[Found]:
    if database.check == DAMAGED:
        return Found(
            f"it is damaged: {short(database.why, 300)}",
            f"{play('restore')} brings the last backup back; sqlite3's .recover saves what came since.",
            _RESTORE,
            database.path,
        )
    return None


def _database_locked(wanted: Wanted, container: Optional[Json], database: DatabaseSeen) -> Optional[Found]:
    writer = database.writer
    if writer is None:
        return None
    ours = container is not None and writer.container == container["Id"]
    who = "the application itself" if ours else f"process {writer.pid} ({writer.name})"
    return Found(
        f"{who} has kept it locked for writing during all of {writer.seconds:.0f} s",
        "A transaction does not end; a restart ends it." if ours else "End what has it open.",
        _quoted("docker", "restart", wanted.container) if ours else _quoted("kill", str(writer.pid)),
        database.path,
    )


def _database_schema(
    container: Optional[Json], image_id: str, live: Optional[Release], releases: Sequence[Release], schema: str
) -> Optional[Found]:
    """See whether older code runs on newer data: an image of an earlier release, on the schema of a later one."""
    _present(container)
    runs = max((each for each in releases if each.image_id == image_id), key=lambda each: each.id, default=None)
    if live is None or runs is None or runs.image_id == live.image_id or not schema or runs.schema == schema:
        return None
    if live.schema == schema and runs.schema:
        return Found(
            f"it has the schema of release {live.id}, and the container runs the image of {runs.id}, which is older",
            f"{play('start')} makes the container of the live release; {play('rollback')} goes back with the data.",
            play("start"),
        )
    return None


def _database_journal(database: DatabaseSeen, busy: int) -> Optional[Found]:
    if busy >= _BUSY and database.journal_mode == "rollback":
        return Found(
            f"SQLite was busy {busy} times within an hour, and its journal mode is delete, so readers and writers wait "
            "for each other",
            "Give sqliteAdapter wal: true and busyTimeout: 5000, then deploy that.",
            play("update"),
        )
    return None


def _database_busy(database: DatabaseSeen, busy: int) -> Optional[Found]:
    if busy >= _BUSY and database.journal_mode == "wal":
        return Found(
            f"SQLite was busy {busy} times within an hour, though it is in WAL mode",
            "Give sqliteAdapter busyTimeout: 5000, so that writers wait for each other, and make transactions shorter.",
            play("update"),
        )
    return None


def _database_library(database: DatabaseSeen) -> Optional[Found]:
    if database.warning:
        head, _semicolon, remedy = database.warning.partition("; ")
        return Found(head, f"{remedy[:1].upper()}{remedy[1:]}", play("update"), database.path)
    return None


def _memory_oom(container: Optional[Json]) -> Optional[Found]:
    """See whether the kernel killed in a container that is not well; of one that is, that may have been long ago."""
    inspected = _present(container)
    seen, limit = snapshot("", inspected), int(inspected["HostConfig"].get("Memory") or 0)
    well = seen.state == "running" and seen.health == "healthy"
    if not seen.oom_killed or well:
        return None
    return Found(
        f"the kernel killed a process in it for memory, of which it may have {size(limit) if limit else 'all'}",
        f"Raise {setting('memory_limit')}, or find what needs so much.",
        f"{play('deploy')} {once('memory_limit', f'{max(2 * limit, _RESERVED) >> 20}M')}" if limit else play("restart"),
    )


def _app_pids(container: Optional[Json]) -> Optional[Found]:
    seen, limit = _unhealthy(container), _present(container)["HostConfig"].get("PidsLimit")
    outputs = [probe.output for probe in seen.probes if lacks_threads(probe.output)] if seen else []
    if limit and outputs:
        return Found(
            f"no process can be started in it, which may have {limit} processes and threads: a health check said "
            f'"{short(outputs[-1].strip(), 300)}"',
            f"A restart ends all of them. See by docker top what starts so many, or raise {setting('pids_limit')}.",
            play("restart"),
        )
    return None


def _app_paused(wanted: Wanted, container: Optional[Json]) -> Optional[Found]:
    if _present(container)["State"].get("Paused"):
        return Found(
            "it is paused, so it answers nobody",
            "Let it go on.",
            _quoted("docker", "unpause", wanted.container),
            f"the container {wanted.container}",
        )
    return None


def _app_stopped(wanted: Wanted, container: Optional[Json], stopped: Optional[bool]) -> Optional[Found]:
    if _present(container)["State"]["Status"] in ("exited", "created") and stopped:
        return Found(
            "somebody stopped it",
            f"{play('start')} starts the live release.",
            play("start"),
            f"the container {wanted.container}",
        )
    return None


def _app_port(wanted: Wanted, container: Optional[Json]) -> Optional[Found]:
    error = str(_present(container)["State"].get("Error") or "")
    if _PORT_TAKEN.search(error):
        return Found(
            f"it was not started: {short(error, 300)}",
            f"It needs no port of the host: the proxy reaches it on {wanted.network}. {play('start')} makes it as it "
            "was released, without one.",
            play("start"),
        )
    return None


def _app_published(container: Optional[Json]) -> Optional[Found]:
    bindings = (_present(container)["HostConfig"].get("PortBindings") or {}).items()
    ports = [
        f"{port} on {each.get('HostIp') or '0.0.0.0'}:{each.get('HostPort')}"  # noqa: S104  # what Docker does
        for port, several in bindings
        for each in several or ()
        if each.get("HostIp") not in ("127.0.0.1", "::1")
    ]
    if ports:
        return Found(
            f"{listed(ports)}, past the reverse proxy and the firewall",
            f"{play('start')} makes the container as it was released, without published ports.",
            play("start"),
        )
    return None


def _health_pause(container: Optional[Json]) -> Optional[Found]:
    state = _present(container)["State"]
    health = state.get("Health") or {}
    if state["Status"] == "running" and health.get("Status") == "unhealthy" and not health.get("FailingStreak"):
        return Found(
            "unhealthy only since it was paused: no check has failed",
            f"It passes by itself at the next check ({setting('health_interval')}).",
            play("health"),
        )
    return None


def _unhealthy(container: Optional[Json]) -> Any:
    seen = snapshot("", _present(container))
    if seen.state != "running" or seen.health not in ("unhealthy", "starting") or not seen.probes:
        return None
    return seen if seen.failing_streak else None


def _health_command(container: Optional[Json]) -> Optional[Found]:
    seen = _unhealthy(container)
    if seen and seen.probes[-1].exit_code in _NOT_RUN:
        return Found(
            f"its command cannot be run in the image (code {seen.probes[-1].exit_code})",
            f"Name another in {setting('health_command')}; {play('start')} brings the released one back.",
            play("start"),
        )
    return None


def _health_route(container: Optional[Json], answer: str) -> Optional[Found]:
    if _unhealthy(container) and answer.startswith("404"):
        return Found(
            f"the application has no such page: {asked_at(_present(container))} answers 404",
            f"Add the route to the application, or name the one that it has in {setting('health_path')}; "
            f"{play('start')} brings the released check back.",
            play("start"),
        )
    return None


def _health_start(wanted: Wanted, container: Optional[Json], now: float) -> Optional[Found]:
    seen = _unhealthy(container)
    inspected = _present(container)
    started = instant(str(inspected["State"]["StartedAt"]))
    if not seen or seen.health != "unhealthy" or succeeded_since(seen, started):
        return None
    age = now - started.timestamp()
    period = float((inspected["Config"].get("Healthcheck") or {}).get("StartPeriod") or 0) / 1e9
    if period <= age < wanted.start:
        return Found(
            f"it was started {age:.0f} s ago and has {period:g} s to start before failed checks count",
            f"Wait; if it is healthy a little later, raise {setting('health_start_period')}.",
            f"{play('deploy')} {once('health_start_period', '60s')}",
        )
    return None


def _drift(wanted: Wanted, made: bool, live: Optional[Release]) -> Optional[Found]:
    if live and not made:
        return Found(
            f"it is not what release {live.id} made",
            f"Somebody made it by hand. {play('start')} makes the container of the live release.",
            play("start"),
            f"the container {wanted.container}",
        )
    return None


def _ended(public: Visit, here: Visit) -> Visit:
    """Return the visit that came further: by the name or at this host itself; one that was served, if there is one."""
    return max(public, here, key=lambda visit: Leg.APPLICATION + 1 if visit.broken is None else visit.broken)


def _proxy_stopped(proxy: Optional[ProxySeen]) -> Optional[Found]:
    if proxy is None:
        raise CannotTell("no container publishes the port of visitors")
    if proxy.inspected is None:
        return Found(f"there is no container {proxy.name}", f"{play('setup')} makes it.", play("setup"))
    state = proxy.inspected["State"]
    if not state["Running"] or state.get("Paused"):
        error = f" ({state['Error']})" if state.get("Error") else ""
        verb = "unpause" if state.get("Paused") else "start"
        return Found(
            f"{proxy.name} is {state['Status']}{error}",
            "Start it; its log says why it ended: docker logs.",
            _quoted("docker", verb, proxy.name),
        )
    return None


def _working(proxy: Optional[ProxySeen]) -> Tuple[ProxySeen, Json]:
    if proxy is None or proxy.inspected is None or not proxy.inspected["State"]["Running"]:
        raise CannotTell("no reverse proxy runs in a container")
    return proxy, proxy.inspected


def _proxy_network(wanted: Wanted, proxy: Optional[ProxySeen]) -> Optional[Found]:
    seen, inspected = _working(proxy)
    networks = inspected["NetworkSettings"].get("Networks") or {}
    if wanted.network in networks or inspected["HostConfig"].get("NetworkMode") == "host":
        return None
    return Found(
        f"{seen.name} is not on {wanted.network}, only on {listed(sorted(networks)) or 'none'}",
        "Connect it.",
        _quoted("docker", "network", "connect", wanted.network, seen.name),
    )


def _proxy_page(wanted: Wanted, shown: bool, container: Optional[Json]) -> Optional[Found]:
    if shown and container is not None and container["State"]["Running"]:
        return Found(
            f"{wanted.flag} was left there, so visitors get the page while the application runs",
            f"{play('start')} removes it, as does:",
            _quoted("rm", wanted.flag),
            "the file for the page of the proxy",
        )
    return None


def _proxy_upstream(wanted: Wanted, proxy: Optional[ProxySeen], public: Visit, here: Visit) -> Optional[Found]:
    seen, _inspected = _working(proxy)
    if _ended(public, here).broken is not Leg.PROXY or not seen.config:
        return None
    names = dict.fromkeys((wanted.container, *wanted.aliases))
    named = re.findall(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, names))})(?![\w.-])(?::(\d+))?", seen.config)
    if not named:
        return Found(
            f"the configuration of {seen.name} does not name {wanted.container}",
            f"The upstream is http://{wanted.container}:{wanted.port}, never localhost. Correct it, and have the proxy "
            "read it.",
            _reload(seen),
        )
    if not [port for port in named if not port or int(port) == wanted.port]:
        return Found(
            f"the configuration of {seen.name} has port {named[0]} for {wanted.container}",
            f"The port is {wanted.port} ({setting('port')}). Correct it, and have the proxy read it.",
            _reload(seen),
        )
    return None


def _reload(proxy: ProxySeen) -> str:
    if proxy.nginx:
        return _quoted("docker", "exec", proxy.name, "nginx", "-s", "reload")
    return _quoted("docker", "restart", proxy.name)


def _proxy_stale(
    wanted: Wanted, proxy: Optional[ProxySeen], public: Visit, here: Visit, container: Optional[Json], answer: str
) -> Optional[Found]:
    seen, inspected = _working(proxy)
    visit = _ended(public, here)
    if not answer.startswith("2") or not _is_led_astray(wanted, visit, _present(container)):
        return None
    networks = _present(container)["NetworkSettings"].get("Networks") or {}
    if wanted.network not in networks:
        return None
    address = networks[wanted.network].get("IPAddress")
    started = instant(inspected["State"]["StartedAt"]) < instant(_present(container)["State"]["StartedAt"])
    since = ", and was started after the proxy" if started else ""
    return Found(
        f"{seen.name} answers {visit.status or 'nothing'}, though the application answers at "
        f"{address}{since}: the proxy keeps an address from before",
        "Have it look the name up again; Nginx does that by itself with a resolver line (examples/proxy/nginx.conf).",
        _reload(seen),
    )


def _is_led_astray(wanted: Wanted, visit: Visit, container: Json) -> bool:
    """Return whether a proxy did not reach a well application; an address from before may be somebody else's now."""
    same = urlsplit(wanted.url).path == urlsplit(asked_at(container)).path
    return visit.broken is Leg.PROXY or (visit.broken is Leg.APPLICATION and same)


def _dns(names: NamesSeen) -> Optional[Found]:
    if names.host and not names.found and not names.answering:
        which = f"none of {listed(names.servers)} answers" if names.servers else "it names no server"
        return Found(
            f"{which}, so {names.host} is not found",
            "Correct the name servers; with systemd-resolved, resolvectl status shows whose they are.",
            "resolvectl status",
        )
    return None


def _certificate(public: Visit, here: Visit) -> Optional[Found]:
    visit = _ended(public, here)
    if visit.broken is Leg.TLS:
        return Found(
            f"TLS with {visit.address} fails: {visit.evidence}",
            "See in the proxy's log why it has no valid certificate; for one of your own, give it a new one.",
            play("setup"),
        )
    return None


def _backup_failed(wanted: Wanted, runs: Mapping[str, Any]) -> Optional[Found]:
    failed = {
        job: run for job, run in runs.items() if job in ("backup", "offsite", "verify", "drill") and not run.success
    }
    if failed:
        job, run = sorted(failed.items())[0]
        return Found(
            f"{job} failed at {run.at or 'a time that is not known'}: {short(run.message, 300)}",
            "Fix what the sentence says, and run it again.",
            _quoted(os.path.join(wanted.home, "bin/docker-vps"), job),
        )
    return None


def _env_modes(wanted: Wanted, env_files: Sequence[FileSeen]) -> Optional[Found]:
    open_ones = [file for file in env_files if file.mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if open_ones:
        return Found(
            listed([f"{file.path} has mode {file.mode:04o}" for file in open_ones]),
            "Others on this host can read its secrets.",
            _quoted("chmod", "0600", *(file.path for file in open_ones)),
        )
    return None


RULES: Tuple[Rule, ...] = (
    Rule("engine-version", WARNING, "the engine", ("wanted", "engine", "compose"), _engine_version),
    Rule("lock-held", WARNING, "the locks of releases and backups", ("lock",), _lock_held),
    Rule("lock-stale", WARNING, "the lock of plays", ("wanted", "lock"), _lock_stale),
    Rule("build-failed", WARNING, "the last build", ("build", "container", "live", "image", "now"), _build_failed),
    Rule("image-missing", CRITICAL, "the image of the live release", ("container", "live", "image"), _image_missing),
    Rule("image-architecture", CRITICAL, "the image", ("engine", "container", "image"), _image_architecture),
    Rule("network-missing", CRITICAL, "the network", ("wanted", "network"), _network_missing),
    Rule("network-new", CRITICAL, "the network", ("wanted", "container", "network"), _network_new),
    Rule("network-app", CRITICAL, "the container's networks", ("wanted", "container", "network"), _network_app),
    Rule(
        "network-alias",
        CRITICAL,
        "the other containers of the network",
        ("wanted", "container", "others", "lock"),
        _network_alias,
    ),
    Rule("volume-missing", CRITICAL, "the volumes", ("wanted", "volumes"), _volume_missing),
    Rule("volume-unmounted", CRITICAL, "the container's mounts", ("wanted", "container"), _volume_unmounted),
    Rule("volume-elsewhere", CRITICAL, "the container's mounts", ("wanted", "container"), _volume_elsewhere),
    Rule("volume-other", CRITICAL, "the container's mounts", ("wanted", "container"), _volume_other),
    Rule("volume-readonly", CRITICAL, "the container's mounts", ("wanted", "container"), _volume_readonly),
    Rule("env-wrong", CRITICAL, "the container's environment", ("wanted", "container"), _env_wrong),
    Rule("env-port", CRITICAL, "the ports", ("wanted", "container"), _env_port),
    Rule("data-gone", CRITICAL, "the database", ("wanted", "database", "sets"), _data_gone),
    Rule("data-lost", CRITICAL, "the database against the last backup", ("lost",), _data_lost),
    Rule("disk-readonly", CRITICAL, "the disk", ("database",), _disk_readonly),
    Rule(
        "database-modes", CRITICAL, "owners and modes", ("wanted", "engine", "container", "database"), _database_modes
    ),
    Rule("volume-modes", WARNING, "owners and modes of the volumes", ("engine", "container", "roots"), _volume_modes),
    Rule("database-damaged", CRITICAL, "the database", ("database",), _database_damaged),
    Rule("database-locked", CRITICAL, "the database", ("wanted", "container", "database"), _database_locked),
    Rule(
        "database-schema",
        CRITICAL,
        "the schema of the database",
        ("container", "image_id", "live", "releases", "schema"),
        _database_schema,
    ),
    Rule(
        "database-journal", WARNING, "the application's log, and the database", ("database", "busy"), _database_journal
    ),
    Rule("database-busy", WARNING, "the application's log, and the database", ("database", "busy"), _database_busy),
    Rule("database-library", WARNING, "the database", ("database",), _database_library),
    Rule("memory-oom", CRITICAL, "the container's end", ("container",), _memory_oom),
    Rule("app-pids", CRITICAL, "the health check", ("container",), _app_pids),
    Rule("app-paused", CRITICAL, "the container", ("wanted", "container"), _app_paused),
    Rule("app-stopped", CRITICAL, "the container", ("wanted", "container", "stopped"), _app_stopped),
    Rule("app-port", CRITICAL, "the container's start", ("wanted", "container"), _app_port),
    Rule("app-published", WARNING, "the ports that the container publishes", ("container",), _app_published),
    Rule("health-pause", INFO, "the container's health", ("container",), _health_pause),
    Rule("health-command", CRITICAL, "the health check", ("container",), _health_command),
    Rule("health-route", CRITICAL, "the health check", ("container", "answer"), _health_route),
    Rule("health-start", CRITICAL, "the health check", ("wanted", "container", "now"), _health_start),
    Rule("app-drift", WARNING, "the container", ("wanted", "made", "live"), _drift),
    Rule("env-drift", WARNING, "definition and environment", ("wanted", "changed"), _env_drift),
    Rule("env-modes", WARNING, "the modes of the env files", ("wanted", "env_files"), _env_modes),
    Rule("proxy-stopped", CRITICAL, "the reverse proxy", ("proxy",), _proxy_stopped),
    Rule("proxy-network", CRITICAL, "the reverse proxy's networks", ("wanted", "proxy"), _proxy_network),
    Rule("proxy-page", CRITICAL, "the reverse proxy", ("wanted", "shown", "container"), _proxy_page),
    Rule("proxy-upstream", CRITICAL, "the reverse proxy", ("wanted", "proxy", "public", "here"), _proxy_upstream),
    Rule(
        "proxy-stale",
        CRITICAL,
        "the reverse proxy",
        ("wanted", "proxy", "public", "here", "container", "answer"),
        _proxy_stale,
    ),
    Rule("dns-resolver", CRITICAL, "/etc/resolv.conf", ("names",), _dns),
    Rule("certificate-invalid", CRITICAL, "the certificate that visitors get", ("public", "here"), _certificate),
    Rule("backup-failed", CRITICAL, "the last run of each job", ("wanted", "runs"), _backup_failed),
)
