# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules for releases read from their parameters."""

from __future__ import annotations

from typing import Any, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.data_loss import LossLimits
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.releases import (
    CUTOVER_ARGUMENTS,
    cutover_of,
    releases_of,
    sets_of_releases,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import public_check
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.preconditions import Params

DEFAULTS: dict[str, Any] = {
    **{name: argument.get("default") for name, argument in CUTOVER_ARGUMENTS.items()},
    "app": "shop",
    "backup": None,
}
BACKUP = {
    "directory": None,
    "volumes": {"db": "shop-db", "media": "shop-media"},
    "compression": "zstd",
    "store": "shared",
    "reread": 3,
    "consistency": "pause",
    "database": "",
    "uploads_query": "",
    "loss_rows": 0.0,
    "loss_files": 100.0,
}


def test_what_is_not_given_follows_from_the_name() -> None:
    read = cutover_of(DEFAULTS, definition="text", image="shop:1")
    assert read == Params(
        "shop",
        "shop",
        "shop-app",
        "text",
        "shop:1",
        "shop-db",
        "shop-media",
        drain_timeout=read.drain_timeout,
        public=public_check.Params(container="shop-app"),
    )
    assert read.volumes == {"database": "shop-db", "media": "shop-media"}
    assert 0 < read.drain_timeout < 1


def test_an_application_without_uploads_and_with_volumes_of_its_own() -> None:
    given = {"media_volume": "", "volumes": ["shop-cache"]}
    read = cutover_of({**DEFAULTS, **given}, definition="text", image="shop:1")
    assert read.volumes == {"database": "shop-db", "shop-cache": "shop-cache"}


def test_everything_given() -> None:
    given = {
        "project": "p",
        "container": "c",
        "database_volume": "d",
        "media_volume": "m",
        "volumes": ["v"],
        "external": True,
        "aliases": ["a"],
        "allowed_containers": ["b"],
        "strategy": "start-first",
        "start_first_force": True,
        "health_timeout": 5.0,
        "proxy": "nginx",
        "drain_timeout": 0.0,
        "monitor": 6.0,
        "smoke_test_command": ["s"],
        "proxy_reload_command": ["r"],
        "public_url": "https://www.example.com/",
        "public_check": "fail",
        "public_text": "Welcome",
        "log_lines": 7,
        "retain_releases": 8,
        "deployed_by": "me",
        "migration_loss": "fail",
        "loss_ignore": ["carts"],
        "backup": BACKUP,
    }
    assert set(given) | {"app", "directory", "env_file"} == set(CUTOVER_ARGUMENTS)
    read = cutover_of({**DEFAULTS, **given}, definition="text", image="shop:1", revision="4f2c")
    assert read == Params(
        app="shop",
        project="p",
        container="c",
        definition="text",
        image="shop:1",
        database_volume="d",
        media_volume="m",
        further_volumes=("v",),
        external=True,
        aliases=("a",),
        allowed_containers=("b",),
        strategy="start-first",
        start_first_force=True,
        health_timeout=5.0,
        drain_timeout=0.0,
        monitor=6.0,
        smoke_test_command=("s",),
        proxy_reload_command=("r",),
        public=public_check.Params("https://www.example.com/", "fail", "Welcome", "c"),
        log_lines=7,
        retain_releases=8,
        deployed_by="me",
        migration_loss="fail",
        loss_ignore=("carts",),
        revision="4f2c",
        backup=backup.Params(
            "shop",
            {"db": "shop-db", "media": "shop-media"},
            "zstd",
            "shared",
            3,
            "pause",
            reason="before a release",
            limits=LossLimits(0.0, 100.0, ("carts",)),
        ),
    )


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 0.3),
        ({"proxy": "traefik"}, 0.3),
        ({"proxy": "nginx"}, 2.5),
        ({"strategy": "start-first"}, 2.5),
        ({"strategy": "start-first", "proxy": "nginx"}, 2.5),
        ({"proxy": "nginx", "drain_timeout": 0.0}, 0.0),
    ],
)
def test_an_old_version_answers_for_as_long_as_the_proxy_believes_its_address(
    given: Mapping[str, Any], seconds: float
) -> None:
    assert cutover_of({**DEFAULTS, **given}, definition="", image="").drain_timeout == seconds


def test_uploads_are_asked_for_where_they_are_archived() -> None:
    read = cutover_of({**DEFAULTS, "backup": {**BACKUP, "uploads_query": "SELECT 1"}}, definition="", image="").backup
    assert read
    assert read.uploads == backup.Query("SELECT 1", "media")
    one = {**BACKUP, "uploads_query": "SELECT 1", "volumes": {"db": "shop-db"}}
    read = cutover_of({**DEFAULTS, "backup": one}, definition="", image="").backup
    assert read
    assert read.uploads is None


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_health_takes_some_time(seconds: float) -> None:
    with pytest.raises(InvalidInput, match="health_timeout must be more than 0 seconds, but is"):
        cutover_of({**DEFAULTS, "health_timeout": seconds}, definition="", image="")


def test_where_the_releases_are() -> None:
    found = releases_of({"app": "shop", "directory": None, "env_file": None})
    assert (found.home, found.directory) == ("/opt/shop", "/opt/shop/releases")
    assert found.live == {"compose.yml": "/opt/shop/compose.yml", ".env.production": "/opt/shop/.env.production"}
    found = releases_of({"app": "shop", "directory": "/srv", "env_file": "/etc/shop.env"})
    assert found.live == {"compose.yml": "/srv/compose.yml", ".env.production": "/etc/shop.env"}


def test_where_the_backups_are() -> None:
    assert sets_of_releases(DEFAULTS).directory == "/var/backups/shop"
    assert sets_of_releases({**DEFAULTS, "backup": {**BACKUP, "directory": "/b"}}).directory == "/b"
    assert sets_of_releases({**DEFAULTS, "backup": BACKUP}).app == "shop"
