# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove a backup set: restore it beside the application, start its own image on it, and count what is there.

Everything made for a drill bears a label, so whatever a killed one left is found and removed: by the process that
watches it, or by the next drill. The application itself is never touched, and goes first for memory and processors.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from .._core import hardening, health_check, secret_files
from .._core.clock import WallClock
from .._core.environment import database_path
from .._core.errors import DockerVpsError, EngineError, EngineUnreachable, InvalidInput
from .._core.health import HealthRules, Reason, WantedHealth, explain, log_lines
from .._core.health_wait import Wait
from .._core.manifest import DrillResult
from .._core.secrets import Mask, secrets_of
from .._core.text import counted, short, size
from .._engine.port import EnginePort
from .._store import archive, env_file, files
from .._store.lock import Locked, locked
from .._store.progress_file import begin_step
from .._store.sets import BackupSet, Sets
from .._store.watchdog import guarded
from .backup import RESERVE
from .databases import schemas, why_unused
from .verify import ISO, compared
from .volumes import volume_of

LABEL = "ptnextjs.docker_vps.drill"
LOCK_WITHIN = 120  # seconds that a drill waits for a running backup, to write down how it ended
SWEPT_WITHIN = 60  # seconds
LOG_LINES = 50
SECOND = 10**9  # the engine counts in nanoseconds


@dataclass(frozen=True)
class Params:
    """Which set, and how its application is started; ``mounts`` maps archives to paths in the container.

    ``port`` counts when the env file names none; ``timeout`` is in seconds; ``health`` and ``health_command`` are as in
    _core/health_check.py.
    """

    app: str
    set: str
    env_file: str
    mounts: Mapping[str, str]
    port: int = 3000
    health_path: str = "/api/health"
    timeout: float = 60.0
    health: str = health_check.PROBE
    health_command: Union[str, Sequence[str]] = ()


def run(
    params: Params, sets: Sets, connect: Callable[[], EnginePort], clock: WallClock, check_mode: bool
) -> dict[str, Any]:
    """Drill, write the result into the set's manifest, and return it. Nothing of the drill is left.

    Raises:
        DockerVpsError: the set did not pass, which is written down too; or nothing could be tried, and is not.
    """
    backup_set = sets.find(params.set, clock.utc())
    home = Sets(backup_set.directory, params.app)
    engine = connect()
    drill = _Drill(params, backup_set, engine, clock)
    drill.look()
    if check_mode:
        return drill.report(None)
    label = f"{LABEL}={params.app}"
    with locked(os.path.join(home.directory, ".drill.lock"), f"a restore drill of {params.app}"):
        engine.remove_labelled(label)
        with guarded(lambda: sweep(connect, label, clock)):
            try:
                result = drill.run()
            finally:
                engine.remove_labelled(label)
        _record(home, backup_set.manifest.id, result, clock)
    report = drill.report(result)
    if result.passed:
        return report
    raise DockerVpsError(
        f"{report['summary']} Drill an older set, and make a new backup.{log_lines(drill.logs)}",
        **report,
        logs=drill.logs,
    )


def sweep(connect: Callable[[], EnginePort], label: str, clock: WallClock) -> None:
    """Remove everything with a label after a kill: tar may still be ending, or the engine be away.

    Raises:
        EngineError: it cannot be done in time; the next drill does it.
    """
    until = clock.now() + SWEPT_WITHIN
    while True:
        try:
            return connect().remove_labelled(label)
        except EngineError:
            if clock.now() >= until:
                raise
            clock.sleep(1)


def _record(home: Sets, set_id: str, result: DrillResult, clock: WallClock) -> None:
    until = clock.now() + LOCK_WITHIN
    while True:
        try:
            with home.lock("a note of a restore drill"):
                manifest = home.find(set_id, clock.utc()).manifest
                home.record(replace(manifest, drills=(*manifest.drills, result)))
                return
        except Locked:
            if clock.now() >= until:
                raise
            clock.sleep(1)


class _Drill:
    """One drill. What cannot be tried at all is found out by ``look`` and ``prepare``."""

    def __init__(self, params: Params, backup_set: BackupSet, engine: EnginePort, clock: WallClock) -> None:
        self.params, self.backup_set, self.engine, self.clock = params, backup_set, engine, clock
        self.archives = backup_set.manifest.archives
        self.name = f"{params.app}-drill-{backup_set.manifest.id}"
        self.env: Mapping[str, str] = {}
        self.image = ""
        self.roots: dict[str, str] = {}
        self.logs: Sequence[str] = []
        self.notes: list[str] = []
        self.uncounted: list[str] = []
        self.healthy_after = 0.0
        self.recovery = 0.0

    def look(self) -> None:
        """Find what the application runs with, and refuse what cannot be tried."""
        homeless = [each.name for each in self.archives if each.name not in self.params.mounts]
        if homeless:
            belong = "belongs" if len(homeless) == 1 else "belong"
            raise InvalidInput(
                f"mounts must say where in the container {', '.join(homeless)} {belong}, as for db: /data."
            )
        self.env = _environment(self.params.env_file)
        self.image = self.own_image()

    def own_image(self) -> str:
        """Return the image that ran when the set was made."""
        release = self.backup_set.manifest.release
        name = release.image_id or release.image  # under the same name may be another release by now
        if name and self.engine.image(name):
            return name
        what = f"The image {release.image} ({release.image_id}) is gone" if name else "Nothing ran"
        raise DockerVpsError(
            f"{what}, with which the set {self.backup_set.manifest.id} was made, so it cannot be started as it was. "
            "Build or pull that release, or drill a newer set."
        )

    def run(self) -> DrillResult:
        """Restore, start, compare, and return how it ended."""
        at, began, reason = self.clock.utc(), self.clock.now(), ""
        self.prepare()
        try:
            self.refuse_without_database()
            self.restore()
            self.refuse_unused_database()
            self.start()
            self.recovery = round(self.clock.now() - began, 3)
            self.compare()
        except EngineError:
            raise  # tells nothing about the set
        except DockerVpsError as error:
            mask = Mask(secrets_of(self.env))
            reason = mask(error.message)
            self.logs = mask("\n".join(self.engine.logs(self.name, LOG_LINES))).splitlines()
        seconds = round(self.clock.now() - began, 3)
        return DrillResult(at.strftime(ISO), not reason, reason, self.image, seconds, self.recovery)

    def prepare(self) -> None:
        """Create the volumes, when there is space for what belongs into them."""
        needed = sum(each.space for each in self.archives) + RESERVE
        for each in self.archives:
            volume = f"{self.name}-{each.name}"
            self.engine.create_volume(volume, "local", self.labels)
            made = volume_of(self.engine, volume)
            if made is None or made.labels.get(LABEL) != self.params.app:
                raise DockerVpsError(f"The volume {volume} is not what was just made for the drill. Whose is it?")
            self.roots[each.name] = made.root
            facts = os.statvfs(made.root)
            free = facts.f_bavail * facts.f_frsize
            if free < needed:
                raise DockerVpsError(
                    f"A drill of the set {self.backup_set.manifest.id} needs {size(needed)} beside the volumes, and "
                    f"{size(free)} are free. Free some, or drill on another host.",
                    free_bytes=free,
                    needed_bytes=needed,
                )

    def refuse_without_database(self) -> None:
        """Refuse a set without what the application lives on: it would start on nothing, and be healthy."""
        uri = self.env.get("DATABASE_URI", "")
        databases = [database for each in self.archives for database in each.databases]
        if uri.startswith("file:") and not any(
            database.tables or database.uncounted or not database.schema for database in databases
        ):
            raise DockerVpsError(
                f"The set holds no database with a table, and DATABASE_URI names {uri}: what is healthy without it "
                "proves nothing. Did the migrations run?"
            )

    def restore(self) -> None:
        """Unpack every archive, verified in the same pass."""
        absent = self.backup_set.absent()
        if absent:
            raise DockerVpsError(f"{'; '.join(absent)}.")
        for each in self.archives:
            archive.extract(
                self.backup_set.path(each),
                each.compression,
                self.roots[each.name],
                sha256=each.sha256,
                plain_bytes=each.plain_bytes,
                allow_outside_links=each.outside_links > 0,
            )

    def refuse_unused_database(self) -> None:
        """Refuse a set whose other databases have tables, but not the one that the application is told to use."""
        places = {
            name: database_path(self.env.get("DATABASE_URI", ""), self.params.mounts[name]) for name in self.roots
        }
        inner = sorted((path, name) for name, path in places.items() if path)
        if not inner:
            return
        path, name = min(inner, key=lambda pair: len(pair[0]))  # of mounts in each other, the inner one
        why = why_unused(self.roots[name], path, schemas(self.roots[name]))
        if why:
            raise DockerVpsError(
                f"DATABASE_URI names {short(path)} in the archive {name}, and {why}: what is healthy without it proves "
                "nothing. Did the migrations run?"
            )

    def start(self) -> None:
        """Start the image on the restored volumes and wait until it is healthy."""
        begin_step("the application starts on the restored data")
        self.engine.create_network(self.name, self.labels, internal=True)
        self.engine.create_container(self.name, self.config())
        self.engine.start(self.name)
        ended = Wait(self.engine, self.clock, [self.name], HealthRules(WantedHealth.HEALTHY), self.params.timeout).run()
        (seen,) = ended.containers
        self.healthy_after = round(seen.seconds, 3)
        if seen.reason is not Reason.REACHED:
            sentence = explain(seen.snapshot, seen.reason, WantedHealth.HEALTHY, seen.seconds)
            raise (EngineUnreachable if seen.reason is Reason.ENGINE_LOST else DockerVpsError)(sentence)

    def config(self) -> Mapping[str, Any]:
        """Return the container as the engine's API wants it; the environment is in no argument of any process."""
        port = self.env.get("PORT") or self.params.port
        url = f"http://127.0.0.1:{port}{self.params.health_path}"
        release = self.backup_set.manifest.release
        live = (self.engine.container(release.container) if release.container else None) or {}
        limits = live.get("HostConfig") or {}
        secrets = self.secrets(live)
        return {
            "Image": self.image,
            "Env": [f"{key}={value}" for key, value in secret_files.environment(self.env, secrets).items()],
            "Labels": self.labels,
            "Healthcheck": {
                "Test": health_check.as_test(self.params.health, self.params.health_command, url, 9),
                "Interval": SECOND,
                "Timeout": 10 * SECOND,
                "StartPeriod": int(self.params.timeout * SECOND),
                "Retries": 3,
            },
            "HostConfig": {
                "NetworkMode": self.name,
                "Mounts": [
                    {
                        "Type": "volume",
                        "Source": f"{self.name}-{each.name}",
                        "Target": self.params.mounts[each.name],
                        "VolumeOptions": {"NoCopy": True},  # or the image's files would fill an empty one
                    }
                    for each in self.archives
                ]
                + [
                    {"Type": "bind", "Source": source, "Target": f"{secret_files.MOUNT}/{name}", "ReadOnly": True}
                    for name, source in secrets.items()
                ],
                "RestartPolicy": {"Name": "no"},
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
                # What keeps the application in bounds; and when the host is short of something, the drill has to yield.
                **hardening.carried(limits),
                "Memory": limits.get("Memory") or 0,
                "NanoCpus": limits.get("NanoCpus") or 0,
                "CpuShares": 128,
                "OomScoreAdj": 1000,
            },
        }

    def secrets(self, live: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the files of the live container's secrets, by their names; none when the set's image takes none."""
        given = secret_files.mounted(live) if secret_files.takes_files(self.engine.image(self.image)) else {}
        return {name: source for name, source in given.items() if self.env.get(name)}

    @property
    def labels(self) -> Mapping[str, str]:
        """What everything of this drill bears."""
        return {LABEL: self.params.app}

    def compare(self) -> None:
        """Compare what the started application has with what the manifest says; less is a failure, more is noted."""
        begin_step("what the application has is compared with the manifest")
        differences = [difference for each in self.archives for difference in compared(each, self.roots[each.name])]
        self.notes = [difference.sentence for difference in differences if not difference.lost]
        self.uncounted = [difference.sentence for difference in differences if difference.uncounted]
        lost = [difference.sentence for difference in differences if difference.lost]
        if lost:
            raise DockerVpsError(f"Not everything is there after the start: {'; '.join(lost)}.")

    def report(self, result: Optional[DrillResult]) -> dict[str, Any]:
        """Return the result: of the drill, or of one that would be made."""
        databases = [database for each in self.archives for database in each.databases]
        counts = {
            "files": sum(each.files for each in self.archives),
            "tables": sum(len(database.tables) for database in databases),
            "rows": sum(sum(database.tables.values()) for database in databases),
        }
        return {
            "changed": True,
            "set": self.backup_set.manifest.id,
            "image": self.image,
            **counts,
            "healthy_after": self.healthy_after,
            "notes": self.notes,
            "drill": asdict(result) if result else {},
            "summary": self.summary(result, counts),
        }

    def summary(self, result: Optional[DrillResult], counts: Mapping[str, int]) -> str:
        """Return the result in one sentence."""
        what = f"set {self.backup_set.manifest.id} of {self.params.app}"
        if result is None:
            needed = size(sum(each.space for each in self.archives))
            return f"The {what} would be restored beside the application ({needed}), and {self.image} started on it."
        if not result.passed:
            return f"The {what} did not pass its restore drill: {result.reason}"
        databases = sum(len(each.databases) for each in self.archives)
        members, rows = counted(counts["files"], "file"), counted(counts["rows"], "row")
        if databases == counts["files"]:
            members += " (the database)" if databases == 1 else " (the databases)"
        contents = f"{members} and {rows} in {counted(counts['tables'], 'table')}"
        if self.uncounted:
            contents = f"{members}, and rows were not compared: {'; '.join(self.uncounted)}"
        healthy = f"its image was healthy {self.healthy_after:.1f} s after its start"
        return f"The {what} is verified: {healthy}, with all {contents}."


def _environment(path: str) -> Mapping[str, str]:
    kept = files.read(path)
    if kept is None:
        raise DockerVpsError(
            f"There is no env file {path}, and without its values the application cannot be started. "
            "Deploy first, or correct its path."
        )
    return env_file.values_of(path, kept)
