# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever works on an application without a play holds all three locks, and gives them back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.deploy_lock import Held
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.exclusive import (
    MAINTENANCE,
    WATCH,
    alone,
    working,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked, holder
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_maintenance import Maintained


@pytest.fixture
def host(tmp_path: Path) -> Maintained:
    host = Maintained(tmp_path)
    host.sets.prepare()
    return host


def test_all_three_locks_are_held(host: Maintained) -> None:
    path = Path(host.releases.home, "deploy.lock")
    with alone(MAINTENANCE, "maintenance", "a test", 60.0, host.world):
        assert json.loads(path.read_text())["owner"]["controller"] == MAINTENANCE
        assert str(holder(f"{host.releases.directory}/.lock")).startswith("a test")
        assert str(holder(f"{host.sets.directory}/.lock")).startswith("a test of shop")
        with pytest.raises(Held), alone(WATCH, "heal", "another", 60.0, host.world):
            raise AssertionError
        assert path.exists()
    assert not path.exists()


def test_a_play_has_its_own(host: Maintained) -> None:
    with working("a test", host.world):
        assert not Path(host.releases.home, "deploy.lock").exists()
        with pytest.raises(Locked), working("another", host.world):
            raise AssertionError


def test_what_is_not_there_needs_no_lock(tmp_path: Path) -> None:
    host = Maintained(tmp_path)
    with working("a test", host.world):
        assert not Path(host.sets.directory).exists()
