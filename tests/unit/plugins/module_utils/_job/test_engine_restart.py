# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing but the containers of the project is started; see also test_command and Molecule's scenario schedule."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._job.engine_restart import bring_back
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine

START = ("2026-02-01T02:00:05", "2026-02-01T02:00:10")


def test_a_container_that_a_person_stopped_stays_stopped(tmp_path: Path) -> None:
    engine = FakeVolumeEngine(tmp_path)
    engine.add_container("shop-app", running=False)
    engine.containers["SHOP-APP"]["Labels"] = {"com.docker.compose.project": "shop"}
    engine.containers["SHOP-APP"]["State"]["FinishedAt"] = "2026-02-01T02:00:04.9Z"
    assert bring_back(engine, "shop", START) == []
    assert engine.running() == []


def test_without_labels(tmp_path: Path) -> None:
    engine = FakeVolumeEngine(tmp_path)
    engine.add_container("other", running=False)
    engine.containers["OTHER"]["Labels"] = None
    assert bring_back(engine, "shop", START) == []
