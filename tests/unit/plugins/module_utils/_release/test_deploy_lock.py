# SPDX-License-Identifier: GPL-3.0-or-later
"""When a play may have the lock of an application; whose it is then, is tested with the action."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.deploy_lock import Held, LockRules, Owner
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.deploy_lock import Params, run

NOW = 1_790_000_000.0
ANN = Owner("ann@desk", "deploy", "desk-1", "41:900", "vps1")
BOB = Owner("bob@ci", "update", "ci-7", "41:900", "vps1")


def asked(place: Path, owner: Owner = ANN) -> Params:
    return Params(str(place / "deploy.lock"), owner, LockRules(max_age=3600))


def test_it_is_held_from_then_on(tmp_path: Path) -> None:
    taken = {"changed": False, "held": True, "message": "", "interrupted": []}
    assert run(asked(tmp_path), NOW, check_mode=False) == taken
    with pytest.raises(Held, match="deploy of ann@desk"):
        run(asked(tmp_path, BOB), NOW, check_mode=False)
    assert run(asked(tmp_path), NOW, check_mode=False) == taken


def test_check_mode_says_who_has_it_and_takes_nothing(tmp_path: Path) -> None:
    assert run(asked(tmp_path), NOW, check_mode=True)["message"] == ""
    assert not (tmp_path / "deploy.lock").exists()
    run(asked(tmp_path), NOW, check_mode=False)
    assert run(asked(tmp_path), NOW + 60, check_mode=True)["message"] == ""
    result = run(asked(tmp_path, BOB), NOW + 60, check_mode=True)
    assert (result["held"], result["message"].startswith("deploy of ann@desk")) == (False, True)


def test_a_release_that_was_interrupted_is_named(tmp_path: Path) -> None:
    release = tmp_path / "releases/20260201-020000"
    release.mkdir(parents=True)
    (release / "journal.json").write_text("{}")
    assert run(asked(tmp_path), NOW, check_mode=True)["interrupted"] == ["20260201-020000"]
