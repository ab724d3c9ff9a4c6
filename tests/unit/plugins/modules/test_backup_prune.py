# SPDX-License-Identifier: GPL-3.0-or-later
"""The module backup_prune: its parameters and exits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.journal import Journal
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.prune import Params
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.retention import Policy
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.plugins.modules.backup_prune import main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import publish

ServeEngine = Callable[..., EngineServer]

COUNTS = {"last": 1, "daily": 2, "weekly": 3, "monthly": 4, "yearly": 5}


def test_params_are_read() -> None:
    given = {**COUNTS, "verify": "checksum", "before_days": 2.5, "expected": ["db"]}
    assert params_of(given) == Params(Policy(1, 2, 3, 4, 5), "checksum", 2.5, ("db",))


@pytest.mark.parametrize("days", [-1, float("nan")])
def test_days_below_zero_are_refused(days: float) -> None:
    with pytest.raises(InvalidInput, match="before_days must not be below 0"):
        params_of({**COUNTS, "verify": "exists", "before_days": days})


@pytest.mark.parametrize("check", [False, True])
def test_main(exit_of: Any, tmp_path: Path, check: bool) -> None:
    sets = Sets(str(tmp_path / "backups"), "shop")
    for set_id in ("20260131-020000", "20260131-030000"):
        publish(sets, set_id)
    ended = exit_of(main, check=check, app="shop", directory=sets.directory, weekly=0, monthly=0, daily=1)
    assert ended.code == 0
    assert ended.result["changed"] is True
    # The oldest set stays as long as a rule has places left.
    ended = exit_of(main, check=check, app="shop", directory=sets.directory, weekly=0, monthly=0, daily=0, last=1)
    assert ended.result["kept"] == ["20260131-030000"]
    assert len(sets.listing().sets) == (2 if check else 1)


def test_main_when_it_fails(exit_of: Any, tmp_path: Path) -> None:
    ended = exit_of(main, app="shop", directory=str(tmp_path), daily=-1)
    assert ended.code == 1
    assert "daily is -1" in ended.result["msg"]


def test_main_asks_the_engine_only_to_set_right_what_was_begun(
    exit_of: Any, serve_engine: ServeEngine, tmp_path: Path
) -> None:
    sets, server = Sets(str(tmp_path / "backups"), "shop"), serve_engine()
    publish(sets)
    assert exit_of(main, app="shop", directory=sets.directory, docker_host=server.url).code == 0
    assert server.asked == []
    Journal(sets.begin("20260201-020000")).write(containers=("app",))
    assert exit_of(main, app="shop", directory=sets.directory, docker_host=server.url).code == 0
    assert "/containers/app/json" in dict(server.asked)
    assert sets.leftovers() == []
