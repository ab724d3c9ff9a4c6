# SPDX-License-Identifier: GPL-3.0-or-later
"""The module volume_backup: its parameters, and its exits over a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.backup import Params, Query
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.data_loss import IGNORED, LossLimits
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.plugins.modules.volume_backup import main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer

ServeEngine = Callable[..., EngineServer]

DEFAULTS: dict[str, Any] = {
    "app": "shop",
    "volumes": {"db": "shop-db"},
    "compression": "gzip",
    "store": "files",
    "reread": 7,
    "consistency": "online",
    "database": "",
    "uploads": None,
    "reason": "",
    "loss_rows": 50.0,
    "loss_files": 50.0,
    "loss_ignore": list(IGNORED),
    "accept_loss": False,
}


def test_params_are_read() -> None:
    assert params_of(DEFAULTS) == Params("shop", {"db": "shop-db"})
    given = {"uploads": {"query": "SELECT 1", "archive": "db"}, "consistency": "pause", "reason": "why"}
    given.update(compression="zstd", store="shared", reread=3)
    assert params_of({**DEFAULTS, **given}) == Params(
        "shop", {"db": "shop-db"}, "zstd", "shared", 3, "pause", Query("SELECT 1", "db"), "why"
    )
    assert params_of({**DEFAULTS, "database": "db/a.db"}) == Params("shop", {"db": "shop-db"}, database="db/a.db")
    given = {"loss_rows": 0.0, "loss_files": 100.0, "loss_ignore": ["carts"], "accept_loss": True}
    assert params_of({**DEFAULTS, **given}) == Params(
        "shop", {"db": "shop-db"}, accept_loss=True, limits=LossLimits(0.0, 100.0, ("carts",))
    )
    for name, value in (("loss_rows", 100.5), ("loss_files", -1.0)):
        with pytest.raises(InvalidInput, match=f"{name} must be a percentage between 0 and 100, but is {value:g}"):
            params_of({**DEFAULTS, name: value})
    with pytest.raises(InvalidInput, match="volumes must name at least one volume"):
        params_of({**DEFAULTS, "volumes": {}})


@pytest.fixture
def server(serve_engine: ServeEngine, tmp_path: Path) -> EngineServer:
    """An engine with one volume."""
    place = tmp_path / "shop-media/_data"
    place.mkdir(parents=True)
    (place / "a.png").write_text("a picture")
    volume = {"Name": "shop-media", "Driver": "local", "Mountpoint": str(place), "Labels": None, "Options": None}
    answers = {
        "/info": (200, {"ServerVersion": "26.1.5"}),
        "/volumes/shop-media": (200, volume),
        "/volumes": (200, {"Volumes": [volume]}),
        "/containers/json": (200, []),
    }
    return serve_engine(answers)


@pytest.mark.parametrize("check", [False, True])
def test_main(exit_of: Any, server: EngineServer, tmp_path: Path, check: bool) -> None:
    sets = Sets(str(tmp_path / "backups"), "shop")
    asked = {"app": "shop", "directory": sets.directory, "volumes": {"media": "shop-media"}, "uploads": {}}
    ended = exit_of(main, check=check, docker_host=server.url, **asked)
    assert ended.code == 0
    assert ended.result["changed"] is True
    occupied = (tmp_path / "shop-media/_data/a.png").stat().st_blocks * 512
    assert ended.result["predicted_bytes"] == occupied
    assert ("set" in ended.result) is not check
    assert len(sets.listing().sets) == (0 if check else 1)
    assert ended.result["summary"].startswith("A set of shop would" if check else "Set 20")
    if not check:
        assert ended.result["set"]["uploads"]["problem"] == "there is no database"


def test_main_when_it_fails(exit_of: Any, server: EngineServer, tmp_path: Path) -> None:
    ended = exit_of(main, docker_host=server.url, directory=str(tmp_path / "backups"), volumes={"db": "other"})
    assert ended.code == 1
    assert ended.result["msg"].startswith("The volume other does not exist, so there is nothing to back up.")
