# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found out and laid ready before a cutover, while the old version serves; nothing has changed after it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any, Mapping, Optional, Sequence

from .._backup import backup, restore_source
from .._backup.backup import RESERVE
from .._backup.journal import STAGED
from .._backup.places import why_not
from .._backup.restore_source import FromSet
from .._backup.uploads import UploadsQuery
from .._backup.users import users
from .._backup.volumes import Volume, refuse_vanishing, running, volume_of
from .._core import dotenv, secret_files
from .._core.data_loss import IGNORED
from .._core.errors import DockerVpsError
from .._core.host import FILES_LABEL, PROJECT_LABEL
from .._core.releases import Release
from .._core.remedies import play, setting
from .._core.text import size
from .._engine.port import EnginePort
from .._store import files, tree
from .._store.place import few
from .._store.releases import DEFINITION, ENVIRONMENT
from .._store.sets import Sets
from . import public_check, secret_change
from .cutover_state import AUTO, NEXT, CutoverWorld

SERVICE = "app"
STOP_FIRST, START_FIRST = "stop-first", "start-first"
PROXIES = CADDY, NGINX, TRAEFIK = "caddy", "nginx", "traefik"
WARN, FAIL = "warn", "fail"  # when a new version's migrations have lost rows


def drain_timeout(strategy: str, proxy: str) -> float:
    """Return for how many seconds an old version answers on once it has lost its name.

    Nginx believes an address for up to 2 seconds. With stop-first users wait for the old version to end, so Caddy,
    which asks for each request, gets no more than it needs; docs/proxies.md has the measurements.
    """
    return 2.5 if strategy == START_FIRST or proxy == NGINX else 0.3


@dataclass(frozen=True)
class Params:
    """What to put live and how.

    Attributes:
        definition: the content of compose.yml.
        image: what the definition names.
        pulled: what that is called in the registry it was pulled from, with its digest.
        database_volume, media_volume: the names of the volumes, whose keys in the definition are database and media;
            the latter is empty when there is none.
        further_volumes: the names of others, which are their keys as well.
        external: whether the volumes are not Compose's own.
        allowed_containers: containers that may run on the database besides the application, such as a replica's.
        start_first_force: start-first also on SQLite.
        health_timeout, monitor: seconds to wait for health, and to watch afterwards.
        drain_timeout: seconds between the old version's loss of its name and its stop.
        smoke_test_command: a command in the new container that has to succeed.
        proxy_reload_command: a command on the host for the proxy, after the name has moved.
        public: what is asked of the public address when the new version serves.
        migration_loss: warn or fail, when tables have fewer rows once the new version has started.
        loss_ignore: patterns of tables that come and go by themselves.
        data_on_failure: what becomes of the data when the new version fails after users may have reached it.
        backup: the backup to make before; None for none.
        environment: the env file to put live; None is the one that is on the host.
        env_pending: in check mode, whether the env file on the host is about to change.
        secret_pending: whether the PAYLOAD_SECRET of the live release is replaced by another one. The cutover finds
            that out; in check mode it may be known before the env file has it.
        secrets: the keys that the definition gives to the container as files.
        rolled_back_to, restore: the release that is returned to, and the backup set to restore for it.
    """

    app: str
    project: str
    container: str
    definition: str
    image: str
    database_volume: str
    media_volume: str
    further_volumes: Sequence[str] = ()
    external: bool = False
    aliases: Sequence[str] = ()
    allowed_containers: Sequence[str] = ()
    strategy: str = STOP_FIRST
    start_first_force: bool = False
    health_timeout: float = 60.0
    drain_timeout: float = 0.3
    monitor: float = 10.0
    smoke_test_command: Sequence[str] = ()
    proxy_reload_command: Sequence[str] = ()
    public: public_check.Params = field(default_factory=public_check.Params)
    migration_loss: str = WARN
    loss_ignore: tuple[str, ...] = IGNORED
    data_on_failure: str = AUTO
    log_lines: int = 50
    backup: Optional[backup.Params] = None
    retain_releases: int = 5
    revision: str = ""
    pulled: str = ""
    deployed_by: str = ""
    environment: Optional[files.Kept] = None
    env_pending: bool = False
    secret_pending: bool = False
    secrets: tuple[str, ...] = ()
    rolled_back_to: str = ""
    restore: str = ""

    @property
    def volumes(self) -> Mapping[str, str]:
        """The names of the volumes by their keys in the definition."""
        media = {"media": self.media_volume} if self.media_volume else {}
        return {"database": self.database_volume, **media, **{name: name for name in self.further_volumes}}


@dataclass(frozen=True)
class Ready:
    """What a cutover starts from.

    Attributes:
        old: the id of the container that is to go, empty when there is none; it is ``called`` so, and ``ran`` or not.
        data: the database's volume; None when there is none yet, or it cannot be copied and put back.
        staged: the data of a backup set beside it, that is to take its place.
        backup: the timestamp of the backup set that was made.
        cautions: what people should know.
    """

    environment: files.Kept
    old: str
    called: str
    ran: bool
    data: Optional[Volume]
    staged: str
    backup: str
    cautions: tuple[str, ...]


def prepare(params: Params, sets: Sets, world: CutoverWorld, engine: EnginePort, release: Release) -> Ready:
    """Refuse what cannot go well, stage the data to restore, and make the backup.

    Raises:
        DockerVpsError: the cutover cannot be tried; nothing has changed.
    """
    if not release.image_id:
        raise DockerVpsError(f"The image {params.image} is not on this host. Build or pull it first.")
    environment = params.environment or files.read(world.releases.live[ENVIRONMENT])
    if environment is None:
        raise DockerVpsError(f"There is no {world.releases.live[ENVIRONMENT]}. Write it first.")
    seen = look(params, sets, world, engine)
    staged = _staged(seen, release)
    try:
        made, backup_cautions = _backup(params, sets, world, engine)
    except BaseException:
        discard(staged)
        raise
    old = seen.old
    ran = bool(old and old["State"]["Running"])
    called = old["Name"].lstrip("/") if old else ""
    cautions = (*seen.cautions, *backup_cautions, *(seen.source.notes if seen.source else ()))
    return Ready(environment, old["Id"] if old else "", called, ran, seen.data, staged, made, cautions)


@dataclass(frozen=True)
class Seen:
    """What was found out without a change: the old container, the database's volume, the set to restore, cautions."""

    old: Optional[Mapping[str, Any]]
    data: Optional[Volume]
    source: Optional[FromSet]
    cautions: tuple[str, ...]


def look(params: Params, sets: Sets, world: CutoverWorld, engine: EnginePort) -> Seen:
    """Refuse whatever can be known to fail; check mode does the same.

    Raises:
        DockerVpsError: the cutover cannot be tried; nothing has changed.
    """
    old = old_of(params, world, engine)
    refuse_others(params, engine, old["Id"] if old else "")
    _refuse_to_leave_data(params, engine, old)
    to_stop = running(engine, [params.database_volume]) if params.strategy == STOP_FIRST else []
    refuse_vanishing([*to_stop, *([old] if old and old["State"]["Running"] and old not in to_stop else [])])
    data, problem = data_of(params, sets, engine)
    if data and params.strategy == STOP_FIRST and not params.restore:
        _check_room(data)
    if params.strategy == START_FIRST and not params.start_first_force:
        _refuse_start_first(params.database_volume, engine)
    cautions = (
        *((f"The data would not be put back if this release failed. {problem}",) if problem else ()),
        *_secrets(params, world, engine),
        *secret_change.cautions(params, world.releases, data),
    )
    return Seen(old, data, _source(params, sets, world, engine, data, problem), cautions)


def _secrets(params: Params, world: CutoverWorld, engine: EnginePort) -> Sequence[str]:
    """Refuse secrets that cannot be given as files, and warn when the image may not take them so."""
    environment = params.environment or files.read(world.releases.live[ENVIRONMENT])
    if environment and params.secrets and not params.env_pending:
        values = dotenv.parse(environment.text)
        secret_files.environment(values, params.secrets)
        secret_files.owner(values)
    image = engine.image(params.image)
    if not params.secrets or not image or secret_files.takes_files(image):
        return ()
    return (
        f"The image {params.image} gets {', '.join(params.secrets)} as files, and does not say that it reads them: it "
        f"has to take each from the file whose path is in the variable of its name with {secret_files.SUFFIX}. When it "
        f"does, label it with {secret_files.LABEL}={secret_files.FILES}; otherwise set "
        f"{setting('secrets', 'environment')}.",
    )


def old_of(params: Params, world: CutoverWorld, engine: EnginePort) -> Optional[Mapping[str, Any]]:
    """Return the container that is live: the one of the name, or the project's own under the name it had before.

    One of a project of the same name, but from another Compose file, is of somebody else.
    """
    named = engine.container(params.container)
    if named:
        return named
    for container in users(engine, params.database_volume):
        labels = container["Config"].get("Labels") or {}
        file = world.releases.live[DEFINITION]
        own = (labels.get(PROJECT_LABEL), labels.get("com.docker.compose.service"), labels.get(FILES_LABEL, file))
        if own == (params.project, SERVICE, file) and container["Name"].lstrip("/") != params.container + NEXT:
            return container
    return None


def data_of(params: Params, sets: Sets, engine: EnginePort) -> tuple[Optional[Volume], str]:
    """Return the database's volume, if it can be copied and put back, or why it cannot."""
    try:
        found = volume_of(engine, params.database_volume)
        if not found:
            return None, ""
        problem = why_not(found.name, {found.name: found.root}, sets.directory, engine)
        too_long = () if problem else tree.survey(found.root).too_long
    except DockerVpsError as error:
        return None, error.message
    if too_long:
        problem = f"Paths in {found.root} are too long to be copied: {few(too_long)}."
    return (None, problem) if problem else (found, "")


def discard(staged: str) -> None:
    """Remove staged data that is not needed."""
    if staged:
        files.remove_tree(staged)


def refuse_others(params: Params, engine: EnginePort, old: str) -> None:
    """Refuse a second container on the database.

    Raises:
        DockerVpsError: there is one.
    """
    others = [
        container["Name"].lstrip("/")
        for container in running(engine, [params.database_volume])
        if container["Id"] != old
    ]
    names = [name for name in others if name not in (*params.allowed_containers, params.container + NEXT)]
    if names:
        run, it, it_is = ("runs", "it", "it is") if len(names) == 1 else ("run", "them", "they are")
        raise DockerVpsError(
            f"{', '.join(names)} also {run} on {params.database_volume}. Two containers on one database can lose data, "
            f"so nothing was changed. Stop {it} (docker stop), or name {it} in {setting('allowed_containers')} if "
            f"{it_is} meant to be there."
        )


def _refuse_to_leave_data(params: Params, engine: EnginePort, old: Optional[Mapping[str, Any]]) -> None:
    """Refuse an empty volume instead of the one that the live version has its data in."""
    had = [mount.get("Name", "") for mount in old["Mounts"]] if old else []
    if not old or params.database_volume in had or not empty(engine, params.database_volume):
        return
    has = ", ".join(filter(None, had)) or "no volume"
    raise DockerVpsError(
        f"{old['Name'].lstrip('/')} has its data in {has}, and {params.database_volume} has none: the new version "
        "would begin with an empty database, so nothing was changed. Name the volume that has the data, or restore a "
        "backup set into the new one first."
    )


def empty(engine: EnginePort, volume: str) -> bool:
    """Whether a volume is missing or has no file, as far as can be seen."""
    try:
        found = volume_of(engine, volume)
        return found is None or tree.survey(found.root).files == 0
    except DockerVpsError:
        return False


def _refuse_start_first(name: str, engine: EnginePort) -> None:
    instead = (
        f"so start-first is refused. Set {setting('cutover', 'stop-first')}, or {setting('start_first_force', 'true')} "
        "if every version supports that."
    )
    try:
        data = volume_of(engine, name)
        databases = tree.survey(data.root).databases if data else ()
    except DockerVpsError as error:
        raise DockerVpsError(
            f"It is not known whether {name} holds an SQLite database, {instead} {error.message}"
        ) from error
    if databases:
        raise DockerVpsError(
            f"{name} holds the SQLite database {databases[0]}, and two versions at a time on one SQLite database "
            f"can lose data, {instead}"
        )


def _check_room(data: Volume) -> None:
    facts, needed = os.statvfs(data.root), tree.survey(data.root).disk + RESERVE
    free = facts.f_bavail * facts.f_frsize
    if free < needed:
        raise DockerVpsError(
            f"The disk of {data.root} has {size(free)} free, and the copy of {data.name} with which this release could "
            f"be undone needs {size(needed)}. Free some space; nothing was changed."
        )


def _source(
    params: Params, sets: Sets, world: CutoverWorld, engine: EnginePort, data: Optional[Volume], problem: str
) -> Optional[FromSet]:
    """Return the backup set to restore, after looking whether it can be; None when nothing is to be restored."""
    if not params.restore:
        return None
    if not data:
        why = problem or f"The volume {params.database_volume} is missing; restore it with {play('restore')}."
        raise DockerVpsError(
            f"The data of release {params.rolled_back_to} cannot be put back, so nothing was changed. {why}"
        )
    return FromSet.find(database_from(params, params.restore), sets, engine, world.clock)


def _staged(seen: Seen, release: Release) -> str:
    """Lay the data of a backup set ready beside the live data, and return its directory; empty for none."""
    if not seen.source or not seen.data:
        return ""
    staged = seen.data.root + STAGED + release.id
    discard(staged)
    try:
        seen.source.stage(seen.source.targets[0], staged)
    except BaseException:
        discard(staged)
        raise
    return staged


def database_from(params: Params, set_id: str) -> restore_source.Params:
    """Return how to restore the database alone from a set."""
    backed_up = params.backup.volumes if params.backup else {}
    names = {volume: name for name, volume in backed_up.items()}
    query = params.backup.uploads if params.backup else None
    asked = UploadsQuery(query.query, backed_up[query.archive]) if query else None
    return restore_source.Params(
        params.app, set_id, {names.get(params.database_volume, "db"): params.database_volume}, uploads=asked
    )


def dry_run(params: Params, sets: Sets, world: CutoverWorld, engine: EnginePort) -> tuple[str, ...]:
    """Do all that ``prepare`` does without a change, and return what people should know.

    Raises:
        DockerVpsError: the cutover cannot be tried.
    """
    cautions = look(params, sets, world, engine).cautions
    _unused, backup_cautions = _backup(params, sets, world, engine, check_mode=True)
    return (*cautions, *backup_cautions)


def _backup(
    params: Params, sets: Sets, world: CutoverWorld, engine: EnginePort, check_mode: bool = False
) -> tuple[str, Sequence[str]]:
    """Make a backup set, if there is data, and return its timestamp and what it tells of losses.

    In check mode it is only seen whether it can be made, and there is no timestamp.
    """
    if not params.backup or engine.volume(params.database_volume) is None:
        return "", ()
    volumes = {name: volume for name, volume in params.backup.volumes.items() if engine.volume(volume)}
    if all(empty(engine, volume) for volume in volumes.values()) and not sets.listing().sets:
        return "", ()  # an application that has written nothing yet
    wanted = replace(params.backup, volumes=volumes)
    if wanted.uploads and wanted.uploads.archive not in volumes:
        wanted = replace(wanted, uploads=None)
    try:
        made = backup.run(wanted, sets, world.connect, world.clock, check_mode)
    except DockerVpsError as error:
        raise DockerVpsError(
            f"The backup before the release failed, so nothing was changed. {error.message}"
        ) from error
    return "" if check_mode else str(made["set"]["id"]), made["cautions"]
