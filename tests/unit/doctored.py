# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a host that is well, as the doctor gathers them, for tests that change one of them."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.doctor_rules import (
    DatabaseSeen,
    FileSeen,
    LockSeen,
    NamesSeen,
    ProxySeen,
    Wanted,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.public_check import Leg, Visit
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import Release
from ansible_collections.ptnextjs.docker_vps.tests.unit.watching import NOW

WANTED = Wanted(
    "shop",
    "shop-app",
    "proxy",
    {"/data": "shop-db", "/app/public/media": "shop-media"},
    "db/payload.db",
    3000,
    "https://shop.example.com",
    "/opt/shop/.env.production",
    "/opt/shop",
    aliases=("shop",),
    engine_version="20.10",
    compose_version="2.0",
    flag="/srv/shop.on",
)
ENV = {
    "DATABASE_URI": "file:/data/payload.db",
    "PAYLOAD_SECRET": "0123456789abcdef0123456789abcdef",
    "NEXT_PUBLIC_SERVER_URL": "https://shop.example.com",
    "PUID": "1000",
    "PGID": "1000",
    "PORT": "3000",
}
CONTAINER: dict[str, Any] = {
    "Id": "c0ffee",
    "Name": "/shop-app",
    "Image": "sha256:2",
    "State": {
        "Status": "running",
        "Running": True,
        "Paused": False,
        "Error": "",
        "Pid": 40,
        "ExitCode": 0,
        "StartedAt": "2027-01-15T06:00:00.5Z",  # two hours before NOW
        "Health": {"Status": "healthy", "FailingStreak": 0, "Log": []},
    },
    "Config": {
        "Image": "shop-app:2",
        "Env": [f"{name}={value}" for name, value in ENV.items()],
        "Healthcheck": {"Test": ["CMD-SHELL", "wget http://127.0.0.1:3000/api/health"], "StartPeriod": 40_000_000_000},
        "Labels": {},
        "User": "",
        "Entrypoint": ["docker-entrypoint.sh"],
    },
    "HostConfig": {"PortBindings": {}, "NetworkMode": "proxy"},
    "Mounts": [
        {"Type": "volume", "Name": "shop-db", "Destination": "/data", "RW": True},
        {"Type": "volume", "Name": "shop-media", "Source": "/m", "Destination": "/app/public/media", "RW": True},
    ],
    "NetworkSettings": {"Networks": {"proxy": {"NetworkID": "4e7", "IPAddress": "172.18.0.2"}}},
}
PROXY: dict[str, Any] = {
    "State": {"Status": "running", "Running": True, "Paused": False, "Pid": 50, "StartedAt": "2027-01-15T05:00:00Z"},
    "HostConfig": {"NetworkMode": "bridge"},
    "NetworkSettings": {"Networks": {"proxy": {"NetworkID": "4e7"}}},
}
RELEASE = Release("20270115-060000", "2027-01-15T06:00:00Z", "shop-app:2", "sha256:2", "e", "d", schema="s2")
OLDER = replace(RELEASE, id="20270114-060000", image="shop-app:1", image_id="sha256:1", schema="s1")
FILES = (
    FileSeen("/v/payload.db", 1000, 1000, 0o644),
    FileSeen("/v", 1000, 1000, 0o755, True),
)
DATABASE = DatabaseSeen("/v/payload.db", True, FILES, False, "sound", "", "wal", "", "f2", {"vendors": 12})
GOOD, BAD_GATEWAY = Visit(None, "", "192.0.2.1", 200), Visit(Leg.PROXY, "answers 502", "192.0.2.1", 502)

WELL: dict[str, Any] = {
    "wanted": WANTED,
    "now": NOW,
    "engine": {
        "ServerVersion": "26.1.5",
        "Architecture": "x86_64",
        "SecurityOptions": ["name=seccomp,profile=builtin"],
    },
    "compose": "2.26.1",
    "container": CONTAINER,
    "image": {"Architecture": "amd64", "RepoTags": ["shop-app:2"]},
    "image_id": "sha256:2",
    "live": RELEASE,
    "releases": [RELEASE, OLDER],
    "made": True,
    "changed": [],
    "network": {"Id": "4e7"},
    "volumes": {"shop-db": {}, "shop-media": {}},
    "database": DATABASE,
    "schema": "s2",
    "sets": ["20270115-020000"],
    "lost": [],
    "stopped": False,
    "answer": "200: {}",
    "proxy": ProxySeen("web", PROXY, "proxy_pass http://shop-app:3000;", True),
    "public": GOOD,
    "here": GOOD,
    "shown": False,
    "names": NamesSeen("shop.example.com", True),
    "lock": LockSeen(),
    "runs": {},
    "build": None,
    "others": [{"Id": "web1", "Name": "/web", **PROXY}],
    "roots": [FileSeen("/m", 1000, 1000, 0o755, True)],
    "busy": 0,
    "env_files": [FileSeen("/opt/shop/.env.production", 0, 0, 0o600)],
}


def container(**changes: Any) -> dict[str, Any]:
    """Return the container, changed in parts by their names, such as State and Config; lists as a whole."""
    found = copy.deepcopy(CONTAINER)
    for name, value in changes.items():
        found[name] = {**found[name], **value} if isinstance(value, dict) else value
    return found


def env(**values: Any) -> dict[str, Any]:
    """Return the container with another environment; None takes a key away."""
    pairs = {**ENV, **values}
    return container(Config={"Env": [f"{name}={value}" for name, value in pairs.items() if value is not None]})


def health(
    status: str, streak: int, code: int = 1, started: str = "2027-01-15T06:00:00Z", output: str = ""
) -> dict[str, Any]:
    """Return the container with a health, at a streak of failed checks."""
    log = [{"Start": "2027-01-15T07:59:59Z", "End": "", "ExitCode": code, "Output": output}] * min(streak, 1)
    return container(State={"StartedAt": started, "Health": {"Status": status, "FailingStreak": streak, "Log": log}})
