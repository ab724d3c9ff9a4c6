# SPDX-License-Identifier: GPL-3.0-or-later
"""The module backup_export from its parameters to its result."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, Callable

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.plugins.modules.backup_export import main
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import publish_packed


def test_a_set_is_exported_once(tmp_path: Path, exit_of: Callable[..., Any]) -> None:
    publish_packed(Sets(str(tmp_path / "backups"), "shop"), db=b"x")
    given = {"app": "shop", "directory": str(tmp_path / "backups"), "to": str(tmp_path / "export")}
    assert exit_of(main, check=True, **given).result["changed"] is True
    assert not (tmp_path / "export").exists()
    ended = exit_of(main, **given)
    assert (ended.code, ended.result["changed"]) == (0, True)
    assert ended.result["set"]["directory"] == str(tmp_path / "export")
    assert stat.S_IMODE((tmp_path / "export").stat().st_mode) == 0o700
    assert exit_of(main, **given).result["changed"] is False
    ended = exit_of(main, **{**given, "set": "20260101-020000"})
    assert ended.code == 1
    assert ended.result["msg"].startswith("There is no backup set 20260101-020000 in ")
