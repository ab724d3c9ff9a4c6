# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_audit: its parameters and its exits, on a host without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.ptnextjs.docker_vps.plugins.modules import host_audit

GIVEN: dict[str, Any] = {
    "app": "shop",
    "container": None,
    "directory": None,
    "env_file": None,
    "docker_host": "unix:///var/run/docker.sock",
    "secret_files": [],
    "ports": ["22/tcp"],
    "engine_version_min": "25.0",
    "compose_version_min": "",
    "max_image_age": 90.0,
    "max_backup_age": 26.0,
    "offsite": False,
    "fail_at": "never",
}


def test_what_is_not_given_is_named_after_the_application() -> None:
    params = host_audit.params_of(GIVEN)
    assert (params.container, params.directory, params.env_file) == (
        "shop-app",
        "/opt/shop",
        "/opt/shop/.env.production",
    )
    assert params.socket == "/var/run/docker.sock"
    assert host_audit.params_of({**GIVEN, "docker_host": "tcp://10.0.0.1:2376"}).socket == ""
    given = host_audit.params_of({**GIVEN, "container": "web", "directory": "/srv", "env_file": "/srv/env"})
    assert (given.container, given.directory, given.env_file) == ("web", "/srv", "/srv/env")


def test_main(exit_of: Any, tmp_path: Path) -> None:
    given = {
        "docker_host": f"unix://{tmp_path}/none.sock",
        "directory": str(tmp_path),
        "sets_directory": str(tmp_path),
    }
    ended = exit_of(host_audit.main, check=True, **given)
    assert (ended.code, ended.result["changed"]) == (0, False)
    rules = {rule["id"]: rule for rule in ended.result["rules"]}
    assert rules["app-privileged"]["found"].startswith(f"No Docker engine answers at unix://{tmp_path}/none.sock")
    remedies = [rule["remedy"] for rule in rules.values() if rule["result"] == "finding"]
    assert remedies
    assert not any("⟦" in remedy for remedy in remedies)
    ended = exit_of(host_audit.main, fail_at="low", **given)
    assert ended.code == 1
    assert ended.result["msg"].startswith("The audit has ")
    assert len(ended.result["rules"]) == len(rules)
