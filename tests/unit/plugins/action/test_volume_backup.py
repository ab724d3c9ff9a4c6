# SPDX-License-Identifier: GPL-3.0-or-later
"""The action volume_backup: its module is followed; what is shown of it, is tested in test_following.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.action import volume_backup
from ansible_collections.ptnextjs.docker_vps.tests.unit import followed


@pytest.fixture
def printed(tmp_path: Path) -> Path:
    return tmp_path / "printed"


def test_its_module_is_followed_in_earnest_and_in_a_dry_run(tmp_path: Path) -> None:
    for check in (False, True):
        action = followed.of(volume_backup, tmp_path / "printed", seconds=1.1, check=check, app="shop", progress="live")
        assert followed.acted(action) == {"changed": True}
        name, given, _in_background = action.asked
        assert (name, given["app"], "progress" in given) == ("ptnextjs.docker_vps.volume_backup", "shop", False)
    assert (tmp_path / "printed").read_text().startswith("vps | the backup begins, 1 s")


def test_the_module_is_told_a_name_and_what_the_action_keeps_it_is_not(printed: Path) -> None:
    action = followed.of(volume_backup, printed, app="shop", progress="lines")
    assert followed.acted(action) == {"changed": True}
    name, asked, in_background = action.asked
    assert (name, in_background, action.removed) == ("ptnextjs.docker_vps.volume_backup", False, "tmp")
    assert asked.pop("progress_id").startswith("progress-")
    assert asked == {"app": "shop"}
    assert not printed.exists()


def test_nobody_follows_when_nothing_is_to_be_shown_or_the_work_is_in_the_background(printed: Path) -> None:
    action = followed.of(volume_backup, printed, progress="off")
    followed.acted(action)
    assert action.asked == ("ptnextjs.docker_vps.volume_backup", {}, False)
    action = followed.of(volume_backup, printed, progress="live")
    action._task.async_val = 60
    followed.acted(action)
    assert (action.asked[1:], action.removed) == (({}, True), "")


def test_a_word_that_is_none_is_refused_before_anything_is_done(printed: Path) -> None:
    action = followed.of(volume_backup, printed, progress="loud")
    result = followed.acted(action)
    assert result["failed"]
    assert "value of progress must be one of: auto, live, lines, off, got: loud" in result["msg"]
    assert action.asked is None


def test_another_process_shows_the_seconds_and_clears_its_line(printed: Path) -> None:
    followed.acted(followed.of(volume_backup, printed, seconds=1.5, progress="live"), "web1")
    assert printed.read_bytes() == b"web1 | the backup begins, 1 s\x1b[K\r\n\x1b[K\n"
