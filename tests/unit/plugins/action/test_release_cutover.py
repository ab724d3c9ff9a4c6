# SPDX-License-Identifier: GPL-3.0-or-later
"""The action release_cutover: its module is followed; how, is tested in test_following.py."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.ptnextjs.docker_vps.plugins.action import release_cutover
from ansible_collections.ptnextjs.docker_vps.tests.unit import followed


def test_its_module_is_followed_in_earnest_and_in_a_dry_run(tmp_path: Path) -> None:
    for check in (False, True):
        action = followed.of(
            release_cutover, tmp_path / "printed", seconds=1.1, check=check, app="shop", progress="live"
        )
        assert followed.acted(action) == {"changed": True}
        name, given, _in_background = action.asked
        assert (name, given["app"], "progress" in given) == ("ptnextjs.docker_vps.release_cutover", "shop", False)
    assert (tmp_path / "printed").read_text().startswith("vps | the cutover begins, 1 s")
