# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_maintenance: its parameters and its exits, on a host without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.maintenance import DueAfter
from ansible_collections.ptnextjs.docker_vps.plugins.modules import host_maintenance

GIVEN: dict[str, Any] = {
    "app": "shop",
    "container": None,
    "volumes": {"db": "shop-db"},
    "database": "db/payload.db",
    "prune": True,
    "cache_days": 7.0,
    "logs": ["/opt/shop/build.log"],
    "log_size": "2M",
    "vacuum": True,
    "pause": 5.0,
    "due_image_days": 90.0,
    "due_backup_hours": 26.0,
    "due_proof_days": 35.0,
}


def test_parameters() -> None:
    params = host_maintenance.params_of(GIVEN)
    assert (params.container, params.log_bytes, params.after) == ("shop-app", 2 << 20, DueAfter(read=0.0))
    assert (params.databases.volumes, params.databases.vacuum, params.databases.within) == ({"db": "shop-db"}, True, 5)
    assert host_maintenance.params_of({**GIVEN, "container": "web", "volumes": {}}).container == "web"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"cache_days": -1.0}, "cache_days must be 0 or more, but is -1."),
        ({"pause": float("nan")}, "pause must be 0 or more, but is nan."),
        ({"log_size": "much"}, "log_size must be a size such as 512M or 2G, but is 'much'."),
        ({"volumes": {"db": 1}}, "volumes.db must be the name of a volume, but is 1."),
    ],
)
def test_parameters_that_are_not_right(wrong: Any, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        host_maintenance.params_of({**GIVEN, **wrong})
    assert caught.value.message == problem


@pytest.mark.parametrize("check", [False, True])
def test_main(exit_of: Any, tmp_path: Path, check: bool) -> None:
    given = {"docker_host": f"unix://{tmp_path}/none.sock", "directory": str(tmp_path / "shop")}
    ended = exit_of(host_maintenance.main, check=check, sets_directory=str(tmp_path), **given)
    assert ended.code == 1
    assert ended.result["msg"].startswith("No Docker engine answers at ")
    assert [path.name for path in tmp_path.iterdir()] in ([], [".lock"])
