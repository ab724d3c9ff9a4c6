# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules for releases have in common."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

from ansible.module_utils.basic import AnsibleModule

from .._backup import backup
from .._core.errors import InvalidInput
from .._core.manifest import SUFFIXES
from .._core.public_check import OFF
from .._engine.compose import Compose
from .._engine.sdk import SystemClock
from .._release import public_check
from .._release.cutover_state import AUTO, KEEP, RESTORE, CutoverWorld
from .._release.preconditions import CADDY, FAIL, PROXIES, START_FIRST, STOP_FIRST, WARN, Params, drain_timeout
from .._store.releases import Releases
from .._store.sets import Sets
from .backups import LOSS_ARGUMENTS, LOSS_IGNORE, STORE_ARGUMENTS, limits_of, reread_of, sets_of, volumes_of
from .engine import engine_of

PLACE_ARGUMENTS: dict[str, Any] = {
    "app": {"type": "str", "default": "ptnextjs"},
    "directory": {"type": "path"},
    "env_file": {"type": "path"},
}
CUTOVER_ARGUMENTS: dict[str, Any] = {
    **PLACE_ARGUMENTS,
    "project": {"type": "str"},
    "container": {"type": "str"},
    "database_volume": {"type": "str"},
    "media_volume": {"type": "str"},
    "volumes": {"type": "list", "elements": "str", "default": []},
    "external": {"type": "bool", "default": False},
    "aliases": {"type": "list", "elements": "str", "default": []},
    "allowed_containers": {"type": "list", "elements": "str", "default": []},
    "strategy": {"type": "str", "choices": [STOP_FIRST, START_FIRST], "default": STOP_FIRST},
    "start_first_force": {"type": "bool", "default": False},
    "health_timeout": {"type": "float", "default": 60},
    "proxy": {"type": "str", "choices": list(PROXIES), "default": CADDY},
    "drain_timeout": {"type": "float"},
    "monitor": {"type": "float", "default": 10},
    "smoke_test_command": {"type": "list", "elements": "str", "default": []},
    "proxy_reload_command": {"type": "list", "elements": "str", "default": []},
    "log_lines": {"type": "int", "default": 50},
    "retain_releases": {"type": "int", "default": 5},
    "deployed_by": {"type": "str", "default": ""},
    "public_url": {"type": "str", "default": ""},
    "public_check": {"type": "str", "choices": [OFF, WARN, FAIL], "default": OFF},
    "public_text": {"type": "str", "default": ""},
    "migration_loss": {"type": "str", "choices": [WARN, FAIL], "default": WARN},
    "loss_ignore": LOSS_IGNORE,
    "backup": {
        "type": "dict",
        "options": {
            "directory": {"type": "path"},
            "volumes": {"type": "dict", "required": True},
            "compression": {"type": "str", "choices": list(SUFFIXES), "default": "gzip"},
            **STORE_ARGUMENTS,
            "consistency": {"type": "str", "choices": ["online", "pause", "stop"], "default": "online"},
            "database": {"type": "str", "default": ""},
            "uploads_query": {"type": "str", "default": ""},
            **LOSS_ARGUMENTS,
        },
    },
}
WAYS = (AUTO, RESTORE, KEEP)


def releases_of(given: Mapping[str, Any]) -> Releases:
    """Return the releases that a module's parameters name."""
    directory = given["directory"] or f"/opt/{given['app']}"
    return Releases(directory, given["env_file"] or f"{directory}/.env.production")


def world_of(module: AnsibleModule) -> CutoverWorld:
    """Return where a module's cutover takes place."""
    return CutoverWorld(
        releases_of(module.params), lambda: engine_of(module), Compose(module.params["docker_host"]), SystemClock()
    )


def sets_of_releases(given: Mapping[str, Any]) -> Sets:
    """Return the backup directory that a module's parameters name."""
    return sets_of({"app": given["app"], "directory": (given["backup"] or {}).get("directory")})


def cutover_of(given: Mapping[str, Any], **more: Any) -> Params:
    """Read the parameters of a cutover.

    Raises:
        InvalidInput: one cannot be right.
    """
    app = given["app"]
    return Params(
        app=app,
        project=given["project"] or app,
        container=given["container"] or f"{app}-app",
        database_volume=given["database_volume"] or f"{app}-db",
        media_volume=f"{app}-media" if given["media_volume"] is None else given["media_volume"],
        further_volumes=tuple(given["volumes"]),
        external=given["external"],
        aliases=tuple(given["aliases"]),
        allowed_containers=tuple(given["allowed_containers"]),
        strategy=given["strategy"],
        start_first_force=given["start_first_force"],
        health_timeout=_positive(given, "health_timeout"),
        drain_timeout=(
            drain_timeout(given["strategy"], given["proxy"])
            if given["drain_timeout"] is None
            else given["drain_timeout"]
        ),
        monitor=given["monitor"],
        smoke_test_command=tuple(given["smoke_test_command"]),
        proxy_reload_command=tuple(given["proxy_reload_command"]),
        log_lines=given["log_lines"],
        retain_releases=given["retain_releases"],
        deployed_by=given["deployed_by"],
        public=public_check.Params(
            given["public_url"], given["public_check"], given["public_text"], given["container"] or f"{app}-app"
        ),
        migration_loss=given["migration_loss"],
        loss_ignore=tuple(given["loss_ignore"]),
        backup=_backup(app, given["backup"], given["loss_ignore"]),
        **more,
    )


def _positive(given: Mapping[str, Any], key: str) -> float:
    if given[key] <= 0:
        raise InvalidInput(f"{key} must be more than 0 seconds, but is {given[key]:g}.")
    return float(given[key])


def _backup(app: str, given: Optional[Mapping[str, Any]], ignore: Sequence[str]) -> Optional[backup.Params]:
    if given is None:
        return None
    volumes = volumes_of(given["volumes"])
    query = given["uploads_query"]
    return backup.Params(
        app=app,
        volumes=volumes,
        compression=given["compression"],
        store=given["store"],
        reread=reread_of(given),
        consistency=given["consistency"],
        database=given["database"],
        uploads=backup.Query(query, "media") if query and "media" in volumes else None,
        reason="before a release",
        limits=limits_of(given, ignore),
    )
