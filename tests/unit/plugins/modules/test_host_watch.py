# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_watch: its parameters and its exits, on a host without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import Thresholds
from ansible_collections.ptnextjs.docker_vps.plugins.modules import host_watch

GIVEN: dict[str, Any] = {
    "app": "shop",
    "container": None,
    "volumes": {"db": "shop-db"},
    "database": "db/payload.db",
    "url": "",
    "text": "",
    "time_server": "",
    "thresholds": {"memory": "80", "wal": 5},
    "heal": True,
}


def test_parameters() -> None:
    params = host_watch.params_of(GIVEN)
    assert (params.container, params.heal, params.heal_rules.looks) == ("shop-app", True, 1)
    assert params.thresholds == Thresholds(memory=80.0, wal=5)
    assert host_watch.params_of({**GIVEN, "container": "web"}).container == "web"


@pytest.mark.parametrize(
    ("thresholds", "problem"), [({"memory": "much"}, "to float: 'much'"), ({"memories": 1}, "argument 'memories'")]
)
def test_thresholds_that_are_not_right(thresholds: Any, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        host_watch.params_of({**GIVEN, "thresholds": thresholds})
    assert problem in caught.value.message
    assert "it may have numbers for memory, cpu, " in caught.value.message


@pytest.mark.parametrize("check", [False, True])
def test_main(exit_of: Any, tmp_path: Path, check: bool) -> None:
    given = {"docker_host": f"unix://{tmp_path}/none.sock", "directory": str(tmp_path / "shop")}
    given["sets_directory"] = str(tmp_path)
    ended = exit_of(host_watch.main, check=check, **given)
    assert (ended.code, ended.result["changed"]) == (0, False)
    assert ended.result["findings"][0]["id"] == "engine-answer"
    assert ended.result["not_looked_at"]["app"] == "the engine does not answer"
    assert "\u27e6" not in ended.text
    assert list(tmp_path.iterdir()) == []
    ended = exit_of(host_watch.main, check=check, fail_at="critical", **given)
    assert ended.code == 1
    assert ended.result["msg"].startswith("ptnextjs has 2 findings of severity critical or higher: engine-answer, ")
    assert len(ended.result["findings"]) > 1
