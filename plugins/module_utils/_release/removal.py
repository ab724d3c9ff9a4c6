# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove an application: plan what goes and what stays, refuse what was not meant or would lose data, and do it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional, Sequence

from .._backup.users import place_of, users
from .._core.errors import DockerVpsError
from .._core.host import PROJECT_LABEL
from .._core.images import repository
from .._core.remedies import again, once, setting
from .._core.text import shown, size
from .._engine.port import EnginePort
from .._store import files, tree
from .._store.place import holds

LOCK = "deploy.lock"  # of whoever removes; it is given back afterwards


@dataclass(frozen=True)
class Params:
    """What belongs to the application, and how much of it goes.

    Attributes:
        images: their names; a tag or a digest behind one means nothing here.
        volumes: those that go with the data.
        backups: the directory of the sets, which stay.
        host: what the host is called.
        data: whether it goes, and with it the env file, whose secret belongs to it.
        confirm: the name of the application, typed.
        planned: only plan.
        archives: the volumes of a last backup, by the names of their archives; None when nobody makes one.
        jobs: what is scheduled; whoever calls ends it, and it is only reported.
        network: what else stays.
        site_files: those of its site in the reverse proxy; whoever calls removes them, and they are only reported.
    """

    app: str
    directory: str
    env_file: str
    images: tuple[str, ...]
    volumes: tuple[str, ...]
    backups: str
    host: str
    data: bool = False
    confirm: str = ""
    planned: bool = False
    archives: Optional[Mapping[str, str]] = None
    jobs: tuple[str, ...] = ()
    network: str = ""
    site_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What there is of an application.

    Attributes:
        containers: as the engine describes them.
        images: names, and ids of those that have none.
        volumes: how many bytes each has, None when that cannot be seen.
        entries: paths in its directory, without what stays.
        directory: whether it goes itself.
        secrets: the paths in its directory that are the env file, or have it below them.
    """

    containers: tuple[Mapping[str, Any], ...]
    images: tuple[str, ...]
    volumes: Mapping[str, Optional[int]]
    entries: tuple[str, ...]
    directory: bool
    secrets: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The names of the containers."""
        return sorted(map(_name, self.containers))

    @property
    def filled(self) -> list[str]:
        """The volumes that hold data, or may do so."""
        return [name for name, count in self.volumes.items() if count != 0]


def run(params: Params, engine: EnginePort, check_mode: bool) -> dict[str, Any]:
    """Remove the application, and return what went and what stays.

    Raises:
        DockerVpsError: it was not confirmed, it would lose data, or something cannot be removed.
    """
    _refuse_top(params.directory)
    plan = _plan(params, engine)
    really = not (check_mode or params.planned)
    if params.data:
        _refuse_users(params, plan, engine)
    if not check_mode:
        _refuse_unconfirmed(params, plan)
    if params.data and params.archives is not None:
        _refuse_loss(plan, params.archives)
    if really:
        _remove(params, plan, engine)
    return _result(params, plan, really)


def _refuse_top(directory: str) -> None:
    """Refuse a directory that cannot be the application's alone."""
    if min(os.path.realpath(directory).count("/"), os.path.normpath(directory).count("/")) < 2:
        raise DockerVpsError(
            f"{setting('directory')} is {directory}, which is at the top of the file system: nothing is removed there. "
            "Remove the files by hand."
        )


def _plan(params: Params, engine: EnginePort) -> Plan:
    containers = engine.all_containers()
    own = tuple(each for each in containers if (each.get("Labels") or {}).get(PROJECT_LABEL) == params.app)
    seen = {name: volume for name in params.volumes for volume in [engine.volume(name)] if volume}
    listed = sorted(os.listdir(params.directory)) if os.path.isdir(params.directory) else []
    paths = [os.path.join(params.directory, name) for name in listed]
    secrets = tuple(path for path in paths if _holds(path, params.env_file))
    stays = {path for path in paths if _holds(path, params.backups)}.union(() if params.data else secrets)
    return Plan(
        containers=own,
        images=tuple(_images(params, engine, [each for each in containers if each not in own])),
        volumes={name: _bytes(volume) for name, volume in seen.items()},
        entries=tuple(path for path in paths if path not in stays and os.path.basename(path) != LOCK),
        directory=params.data and not stays and _can_go(params.directory),
        secrets=secrets,
    )


def _holds(entry: str, path: str) -> bool:
    """Whether an entry of the directory is something that is there, or has it below it, also by way of links."""
    inside = holds(entry, os.path.normpath(path)) or holds(os.path.realpath(entry), os.path.realpath(path))
    return inside and os.path.lexists(path)


def _can_go(directory: str) -> bool:
    return os.path.isdir(directory) and not os.path.ismount(directory)


def _images(params: Params, engine: EnginePort, others: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the images that no other container uses.

    They go by their names, since the same one may have the name of another application as well.
    """
    names = sorted({repository(name) for name in params.images})
    by_name, by_id = {each["Image"] for each in others}, {each["ImageID"] for each in others}
    found: set[str] = set()
    nameless: set[str] = set()
    for key in sorted({image["Id"] for name in names for image in engine.images_of(name)}):
        image = engine.image(key) or {}  # a list by one name leaves out the other ones
        known = set(image.get("RepoTags") or ())
        own = {tag for tag in known if repository(tag) in names}
        used = key in by_id
        if not used or known - own:
            found |= own - by_name
        if not used and not known:
            nameless.add(key)
        elif not used and known == own:  # what it was pulled as would keep it; the digests of a tag go with that
            elsewhere = set(names) - set(map(repository, own))
            found |= {name for name in image.get("RepoDigests") or () if repository(name) in elsewhere}
    return [*sorted(found), *sorted(nameless)]


def _bytes(volume: Mapping[str, Any]) -> Optional[int]:
    """Return how much data a volume has, None when that cannot be seen from here."""
    place = place_of(volume)
    try:
        found = tree.survey(place) if place else None
    except DockerVpsError:
        return None
    return found.bytes if found and not found.mounts else None


def _refuse_users(params: Params, plan: Plan, engine: EnginePort) -> None:
    own = {container["Id"] for container in plan.containers}
    using = [container for name in plan.volumes for container in users(engine, name)]
    others = sorted({_name(container) for container in using if container["Id"] not in own})
    if others:
        raise DockerVpsError(
            f"{', '.join(others)} also {'uses' if len(others) == 1 else 'use'} the volumes "
            f"{' and '.join(plan.volumes)} of {params.app}: nothing was removed. "
            "Remove these containers first (docker rm), or remove the application without its data."
        )


def _refuse_loss(plan: Plan, archives: Mapping[str, str]) -> None:
    """Refuse to remove data that a last backup would not hold."""
    bare = [name for name in plan.filled if name not in archives.values()]
    if bare:
        raise DockerVpsError(
            f"{setting('backup_volumes')} leaves out {' and '.join(bare)}, so a last backup would not hold this data. "
            "Add it there, or remove the volume by hand (docker volume rm). Nothing was removed."
        )


def _refuse_unconfirmed(params: Params, plan: Plan) -> None:
    """Refuse unless the name was typed, and say what would go."""
    if params.confirm == params.app:
        return
    goes = "".join(f"\n- {line}" for line in _goes(params, plan) or [_nothing(params)])
    stays = "".join(f"\n- {line}" for line in _stays(params, plan))
    typed = f"{setting('remove_confirm')} is {params.confirm}, which is not the name of this application. "
    too = f"; to remove the data too, after a last backup, {once('remove_data', 'true')} as well"
    raise DockerVpsError(
        f"Nothing was removed. This would go from {params.host}:{goes}\nThis would stay:{stays}\n"
        f"{typed if params.confirm else ''}To go ahead, add {once('remove_confirm', params.app)}"
        f"{'' if params.data else too}."
    )


def _remove(params: Params, plan: Plan, engine: EnginePort) -> None:
    try:
        for container in plan.containers:
            if container["State"] == "running":
                engine.stop(container["Id"])
            engine.remove_container(container["Id"])
        for name in plan.volumes if params.data else ():
            engine.remove_volume(name)
        for image in plan.images:
            engine.remove_image(image)
        for path in [*plan.entries, *([params.directory] if plan.directory else [])]:
            _remove_path(path)
    except DockerVpsError as error:
        error.also(f"The removal of {params.app} is not complete: when that is fixed, {again()}.")
        raise


def _remove_path(path: str) -> None:
    why = files.remove_tree(path)
    if why:
        raise DockerVpsError(f"{path} cannot be removed: {why}. See with lsattr and findmnt what holds it there.")


def _goes(params: Params, plan: Plan) -> list[str]:
    """Return one line for each kind of thing that goes."""
    lines = {
        f"containers {', '.join(plan.names)}": plan.containers,
        f"scheduled jobs {', '.join(params.jobs)}": params.jobs,
        f"images {', '.join(plan.images)}": plan.images,
        f"the site in the reverse proxy, {_shown(params.site_files)}": params.site_files,
        f"in {params.directory}: {_shown(map(os.path.basename, plan.entries))}": plan.entries,
        f"the directory {params.directory}": plan.directory and not plan.entries,
        f"the PAYLOAD_SECRET in {os.path.basename(params.env_file)}, which is in no backup": (
            {*plan.secrets} & {*plan.entries}
        ),
        f"volumes {_sized(plan)}": params.data and plan.volumes,
    }
    return [line for line, applies in lines.items() if applies]


def _stays(params: Params, plan: Plan) -> list[str]:
    network = f"the network {params.network}, and " if params.network else ""
    lines = {
        f"volumes {_sized(plan)}": plan.volumes and not params.data,
        f"{_shown(plan.secrets)}, since its PAYLOAD_SECRET belongs to the data": plan.secrets and not params.data,
        f"{network}the backups in {params.backups}": True,
    }
    return [line for line, applies in lines.items() if applies]


def _shown(paths: Iterable[str]) -> str:
    return ", ".join(map(shown, paths))


def _sized(plan: Plan) -> str:
    return ", ".join(name if count is None else f"{name} ({size(count)})" for name, count in plan.volumes.items())


def _nothing(params: Params) -> str:
    return f"nothing, since there is nothing of {params.app}"


def _name(container: Mapping[str, Any]) -> str:
    """Return a container's name, as a list or an inspection has it."""
    return str(container["Names"][0] if "Names" in container else container["Name"]).lstrip("/")


def _archives(params: Params, plan: Plan) -> dict[str, str]:
    """Return which volumes a last backup has to hold, by archive; none when no data goes."""
    if not (params.data and plan.filled):
        return {}
    missing = set(params.volumes) - set(plan.volumes)
    return {name: volume for name, volume in (params.archives or {}).items() if volume not in missing}


def _result(params: Params, plan: Plan, really: bool) -> dict[str, Any]:
    goes, stays = _goes(params, plan), _stays(params, plan)
    volumes = list(plan.volumes) if params.data else []
    verb = "Gone" if really else "Would go"
    return {
        "changed": not params.planned and bool(plan.names or plan.images or volumes or plan.entries or plan.directory),
        "goes": goes,
        "stays": stays,
        "containers": plan.names,
        "images": list(plan.images),
        "volumes": volumes,
        "files": list(map(shown, plan.entries)),
        "backup": _archives(params, plan),
        "summary": [
            *(f"{verb}: {line}" for line in goes or [_nothing(params)]),
            *(f"Stays: {line}" for line in stays),
        ],
        "diff": {
            "before_header": params.app,
            "after_header": params.app,
            "before": "".join(f"{line}\n" for line in [*goes, *stays]),
            "after": "".join(f"{line}\n" for line in ([*goes, *stays] if params.planned else stays)),
        },
    }
