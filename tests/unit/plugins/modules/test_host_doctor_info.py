# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_doctor_info: its parameters and its exits, on a host without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import Thresholds
from ansible_collections.ptnextjs.docker_vps.plugins.modules import host_doctor_info

GIVEN: dict[str, Any] = {
    "app": "shop",
    "container": None,
    "directory": None,
    "env_file": None,
    "network": "proxy",
    "aliases": ["www"],
    "mounts": None,
    "volumes": None,
    "database": "db/payload.db",
    "port": 3000,
    "url": "",
    "text": "",
    "proxy": "",
    "maintenance_flag": "",
    "time_server": "",
    "engine_version_min": "20.10",
    "compose_version_min": "",
    "lock_max_age": 3600.0,
    "health_wait": 60.0,
    "thresholds": {"proof": "0"},
    "hide": ["web-1"],
    "fail_at": "never",
}


def test_parameters() -> None:
    params = host_doctor_info.params_of(GIVEN)
    wanted = params.wanted
    assert (wanted.container, wanted.env_file, wanted.aliases) == ("shop-app", "/opt/shop/.env.production", ("www",))
    assert wanted.mounts == {"/data": "shop-db", "/app/public/media": "shop-media"}
    assert params.volumes == {"db": "shop-db", "media": "shop-media"}
    assert (params.thresholds, params.hide) == (Thresholds(proof=0.0), ("web-1",))
    given = {**GIVEN, "mounts": {"/d": "x"}, "volumes": {"db": "x"}, "container": "web"}
    other = host_doctor_info.params_of(given)
    assert (other.wanted.mounts, other.volumes, other.wanted.container) == ({"/d": "x"}, {"db": "x"}, "web")


@pytest.mark.parametrize("check", [False, True])
def test_main(exit_of: Any, tmp_path: Path, check: bool) -> None:
    given = {"docker_host": f"unix://{tmp_path}/none.sock", "directory": str(tmp_path / "shop")}
    given["sets_directory"] = str(tmp_path)
    ended = exit_of(host_doctor_info.main, check=check, **given)
    assert (ended.code, ended.result["changed"]) == (0, False)
    first = ended.result["findings"][0]
    assert (first["id"], first["command"], first["cause"]) == ("engine-answer", "systemctl restart docker", "")
    assert ended.result["not_looked_at"]["env-wrong"].startswith("No Docker engine answers")
    assert "\u27e6" not in ended.text
    assert list(tmp_path.iterdir()) == []
    ended = exit_of(host_doctor_info.main, check=check, fail_at="critical", **given)
    assert ended.code == 1
    assert "the first of which is engine-answer" in ended.result["msg"]
