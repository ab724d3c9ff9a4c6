# SPDX-License-Identifier: GPL-3.0-or-later
"""A database file becomes a set like any other."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.set_import import Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import archive
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.database_checker import facts
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeWallClock

SET_ID = "20260201-020000"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "found.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE vendors (name TEXT)")
        database.executemany("INSERT INTO vendors VALUES (?)", [(f"vendor {number}",) for number in range(300)])
        database.commit()
    path.chmod(0o640)
    return path


@pytest.fixture
def sets(tmp_path: Path) -> Sets:
    return Sets(str(tmp_path / "backups"), "shop")


def imported(file: Path, sets: Sets, check: bool = False, **changes: Any) -> dict[str, Any]:
    given = {"archive": "db", "path": "payload.db", "volume": "shop-db", "reason": "found", **changes}
    return run(Params(file=str(file), **given), sets, FakeWallClock(), check)


@pytest.mark.parametrize("path", ["payload.db", "deep/er/payload.db"])
def test_a_database_becomes_a_set(file: Path, sets: Sets, tmp_path: Path, path: str) -> None:
    before = file.read_bytes()
    done = imported(file, sets, path=path)
    (one,) = sets.listing().sets
    (kept,) = one.manifest.archives
    assert (done["changed"], done["set"]["id"], one.manifest.id) == (True, SET_ID, SET_ID)
    assert done["summary"].startswith(f"Set {SET_ID} of shop: 1 archive, ")
    assert (one.manifest.reason, kept.name, kept.volume, kept.files) == ("found", "db", "shop-db", 1)
    assert (kept.databases[0].path, kept.databases[0].tables) == (path, {"vendors": 300})
    into = tmp_path / "restored"
    into.mkdir()
    archive.extract(one.path(kept), kept.compression, str(into), sha256=kept.sha256)
    assert facts(str(into / path)).tables == {"vendors": 300}
    assert os.stat(into / path).st_mode & 0o777 == 0o640
    for place in (into, (into / path).parent):
        assert os.stat(place).st_mode & 0o777 == 0o755
        assert os.stat(place).st_uid == os.stat(file).st_uid
    assert file.read_bytes() == before
    assert sets.leftovers() == []


def test_check_mode_only_looks(file: Path, sets: Sets) -> None:
    done = imported(file, sets, check=True)
    assert (done["changed"], done["set"]) == (True, {})
    assert done["summary"] == f"A set of {file} as db of shop would be made in {sets.directory}."
    assert not os.path.exists(sets.directory)


@pytest.mark.parametrize("check", [False, True])
def test_a_damaged_database_is_refused(file: Path, sets: Sets, check: bool) -> None:
    data = bytearray(file.read_bytes())
    data[4096:4200] = bytes(104)
    file.write_bytes(data)
    with pytest.raises(DockerVpsError, match=r"found\.db is damaged, so no set was made of it\. Found"):
        imported(file, sets, check)
    assert sets.listing().sets == []
    assert sets.leftovers() == []


@pytest.mark.parametrize("path", ["/payload.db", "../payload.db", "a/../../x", "a//b", ""])
def test_a_path_outside_the_volume_is_refused(file: Path, sets: Sets, path: str) -> None:
    with pytest.raises(InvalidInput, match="path must be a path in the volume"):
        imported(file, sets, path=path)


def test_a_name_that_cannot_be_one_is_refused(file: Path, sets: Sets) -> None:
    with pytest.raises(InvalidInput, match="'manifest' cannot name an archive"):
        imported(file, sets, archive="manifest")
