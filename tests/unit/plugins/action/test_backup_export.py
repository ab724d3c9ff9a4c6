# SPDX-License-Identifier: GPL-3.0-or-later
"""The action backup_export: its module is followed; how, is tested in test_following.py."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.ptnextjs.docker_vps.plugins.action import backup_export
from ansible_collections.ptnextjs.docker_vps.tests.unit import followed


def test_its_module_is_followed_in_earnest_and_in_a_dry_run(tmp_path: Path) -> None:
    for check in (False, True):
        action = followed.of(backup_export, tmp_path / "printed", seconds=1.1, check=check, app="shop", progress="live")
        assert followed.acted(action) == {"changed": True}
        name, given, _in_background = action.asked
        assert (name, given["app"], "progress" in given) == ("ptnextjs.docker_vps.backup_export", "shop", False)
    assert (tmp_path / "printed").read_text().startswith("vps | the export begins, 1 s")
