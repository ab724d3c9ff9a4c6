# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of hosts as the module app_status_info returns them, for the tests of the fleet's table and page."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Mapping

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.status import findings, stated

NOW = datetime(2026, 2, 1, 3, tzinfo=timezone.utc)
LONG = "a-host-whose-name-has-60-characters-in-all.shop.example-0"
"""A name of 60 characters without its last three, which are a number."""
HOSTILE = "</style></title></svg><script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{ 7*7 }} &amp;"


def set_of(days: float, size: int = 48_000, proof: str = "files", reason: str = "") -> dict[str, Any]:
    """Return a backup set that is so many days old."""
    at = NOW - timedelta(days=days)
    return {"id": f"{at:%Y%m%d-%H%M%S}", "at": stated(at), "bytes": size, "proof": proof, "reason": reason}


def release_of(days: float, state: str = "healthy", **changes: Any) -> dict[str, Any]:
    """Return a release that is so many days old."""
    at = NOW - timedelta(days=days)
    whole = {
        "id": f"{at:%Y%m%d-%H%M%S}",
        "at": stated(at),
        "image": f"shop-app:{int(days * 1000):012x}",
        "revision": "4f2c1d9a0b7e6f5d",
        "deployed_by": "alice@laptop",
        "downtime": 1.2,
        "backup": "",
        "state": state,
        "message": "",
    }
    return {**whole, **changes}


def facts_of(days: int = 30, known: int = 5, **changes: Any) -> dict[str, Any]:
    """Return the facts of a host on which all is well, with sets of so many days, and so many releases known.

    Its findings are what these and the changes come to.
    """
    kept = [set_of(day, 48_000 - 500 * day, "drill" if day % 7 == 0 else "read") for day in range(days)]
    done = [release_of(number * 3 + 1, "healthy" if number else "live") for number in range(known)]
    facts = {
        "app": "shop",
        "time": stated(NOW),
        "releases": done,
        "release": {**done[0], "digest": "sha256:ab", "environment": "0123", "seconds": 9.0} if done else {},
        "container": {
            "name": "shop-app",
            "image": "shop-app:1",
            "state": "running",
            "health": "healthy",
            "status": "running (healthy)",
            "started_at": stated(NOW - timedelta(days=1)),
            "uptime": 86_400,
            "restarts": 0,
        },
        "drift": [],
        "backup": {
            "last": kept[0] if kept else {},
            "rpo": 0 if kept else None,
            "good_at": kept[0]["at"] if kept else "",
            "rto": 5.9 if kept else None,
            "drill": {"set": kept[0]["id"], "at": stated(NOW), "passed": True, "recovery": 5.9} if kept else {},
            "sets": kept,
            "runs": {"backup": {"at": stated(NOW), "success": True, "seconds": 2.0, "message": "A set."}},
            "problems": [],
        },
        "timers": {"shop-backup.timer": stated(NOW + timedelta(hours=23)), "shop-recover.timer": ""},
        "disks": [{"path": "/opt", "used": 40, "free": 60, "inodes": 1000, "inodes_free": 900}],
        "watch": [],
        "not_looked_at": {},
        **changes,
    }
    return {**facts, "findings": findings(facts, 90)}


def blind(why: str = "the engine is away") -> dict[str, Any]:
    """Return the facts of a host at which nobody could look."""
    parts = ("releases", "release", "container", "drift", "backup", "timers", "disks", "watch")
    return facts_of(**dict.fromkeys(parts), not_looked_at=dict.fromkeys(parts, why))


def hostile() -> dict[str, Any]:
    """Return facts with markup wherever a host may have text."""
    return facts_of(
        app=HOSTILE,
        drift=[HOSTILE],
        release=release_of(1, "live", image=f"shop:{HOSTILE}", digest=HOSTILE),
        releases=[release_of(1, HOSTILE, message=HOSTILE, image=HOSTILE, deployed_by=HOSTILE)],
        container={**facts_of()["container"], "health": HOSTILE},
        not_looked_at={HOSTILE: HOSTILE},
    )


FLEETS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "one": {"web1": facts_of()},
    "some": {
        "web1": facts_of(),
        "web2": facts_of(days=0, known=0),
        "web3": blind(),
        "web4": {"down": HOSTILE},
        f"{HOSTILE} 5": hostile(),
        "web6\0\x1b[31m\udc80": facts_of(drift=["\0\x1b[31m\udc80"]),
    },
    "many": {f"{LONG}{number:03}": facts_of() for number in range(200)},
    "many hostile": {f"{number} {HOSTILE}": hostile() for number in range(200)},
}
