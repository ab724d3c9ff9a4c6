# SPDX-License-Identifier: GPL-3.0-or-later
"""The module backup_import from its parameters to its result."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.modules.backup_import import main


def test_a_file_becomes_a_set(tmp_path: Path, exit_of: Callable[..., Any]) -> None:
    with closing(sqlite3.connect(tmp_path / "found.db")) as database:
        database.execute("CREATE TABLE vendors (name TEXT)")
    given = {"app": "shop", "directory": str(tmp_path / "backups"), "file": str(tmp_path / "found.db")}
    ended = exit_of(main, volume="shop-db", reason="found", **given)
    assert (ended.code, ended.result["changed"]) == (0, True)
    assert ended.result["set"]["archives"][0]["volume"] == "shop-db"
    assert ended.result["set"]["reason"] == "found"
    (Path(tmp_path) / "found.db").write_text("none")
    ended = exit_of(main, **given)
    assert ended.code == 1
    assert "does not begin as an SQLite 3 database does" in ended.result["msg"]
