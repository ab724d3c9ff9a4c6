# SPDX-License-Identifier: GPL-3.0-or-later
"""The module backup_drill: its parameters, and its exits over a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.drill import Params
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.plugins.modules.backup_drill import main, params_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import inspected
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine, FakeWallClock, database

ServeEngine = Callable[..., EngineServer]

NAME = "shop-drill-20260201-020000"
IMAGE_ID = "sha256:" + "ab" * 32
DEFAULTS: dict[str, Any] = {
    "app": "shop",
    "set": "latest",
    "env_file": None,
    "mounts": {"db": "/data"},
    "port": 3000,
    "health_path": "/api/health",
    "timeout": 60.0,
    "health": "probe",
    "health_command": [],
}


def test_params_are_read() -> None:
    assert params_of(DEFAULTS) == Params(
        "shop", "latest", "/opt/shop/.env.production", {"db": "/data"}, health_command=[]
    )
    given = {"env_file": "/x/env", "port": 8080, "health_path": "/up", "timeout": 5.0}
    given.update(health="image", health_command=["/bin/check"])
    assert params_of({**DEFAULTS, **given}) == Params(
        "shop", "latest", "/x/env", {"db": "/data"}, 8080, "/up", 5.0, "image", ["/bin/check"]
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"timeout": 0.0}, "timeout must be above 0"),
        ({"timeout": float("nan")}, "timeout must be above 0"),
        ({"port": 0}, "port must be between 1 and 65535, but is 0"),
        ({"port": 70000}, "port must be between 1 and 65535, but is 70000"),
        ({"health_path": "up"}, "health_path must begin with /, but is 'up'"),
        ({"mounts": {"db": "data"}}, "mounts.db must be an absolute path in the container, but is 'data'"),
        ({"health_command": [3]}, r"health_command must be a list of strings, or a string, but is \[3\]"),
        ({"mounts": {"db": 3}}, "mounts.db must be an absolute path in the container, but is 3"),
    ],
)
def test_what_cannot_be_right_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        params_of({**DEFAULTS, **wrong})


@pytest.fixture
def sets(tmp_path: Path) -> Sets:
    """A directory with a set of one database."""
    engine = FakeVolumeEngine(tmp_path / "volumes")
    database(engine.add_volume("shop-db") / "payload.db", vendors=3)
    engine.add_container("app", "shop-db")
    sets = Sets(str(tmp_path / "backups"), "shop")
    backup.run(backup.Params(app="shop", volumes={"db": "shop-db"}), sets, lambda: engine, FakeWallClock(), False)
    return sets


@pytest.mark.parametrize("check", [False, True])
def test_main(exit_of: Any, serve_engine: ServeEngine, sets: Sets, tmp_path: Path, check: bool) -> None:
    place = tmp_path / "drill/_data"
    place.mkdir(parents=True)
    (tmp_path / "env").write_text("PAYLOAD_SECRET=sesame-4711\n")
    labels = {"ptnextjs.docker_vps.drill": "shop"}
    volume = {"Name": f"{NAME}-db", "Driver": "local", "Mountpoint": str(place), "Labels": labels, "Options": None}
    server = serve_engine(
        {
            f"/images/{IMAGE_ID}/json": (200, {"Id": IMAGE_ID}),
            "/containers/json": (200, []),
            "/networks": (200, []),
            "/volumes": (200, {"Volumes": []}),
            "/volumes/create": (201, volume),
            f"/volumes/{NAME}-db": (200, volume),
            "/networks/create": (201, {"Id": "n1"}),
            "/containers/create": (201, {"Id": "c1"}),
            f"/containers/{NAME}/start": (204, b""),
            f"/containers/{NAME}/json": (200, inspected("healthy")),
        }
    )
    asked = {"app": "shop", "directory": sets.directory, "env_file": str(tmp_path / "env")}
    ended = exit_of(main, check=check, docker_host=server.url, **asked)
    assert ended.code == 0
    assert ended.result["changed"] is True
    assert sets.listing().sets[0].manifest.verified is not check
    assert (place / "payload.db").exists() is not check
    assert "sesame-4711" not in ended.text
    assert ("would be restored" in ended.result["summary"]) is check
    if not check:
        assert ended.result["drill"]["passed"] is True


def test_main_when_it_fails(exit_of: Any, serve_engine: ServeEngine, sets: Sets, tmp_path: Path) -> None:
    (tmp_path / "env").touch()
    asked = {"app": "shop", "directory": sets.directory, "env_file": str(tmp_path / "env")}
    ended = exit_of(main, docker_host=serve_engine().url, **asked)
    assert ended.code == 1
    assert ended.result["msg"].startswith(f"The image app:1 ({IMAGE_ID}) is gone")
