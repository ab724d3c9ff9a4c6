# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing but the containers of the application is started; see also test_command and Molecule's scenario schedule."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.engine_restart import bring_back
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine

START = ("2026-02-01T02:00:05", "2026-02-01T02:00:10")


def test_a_container_that_a_person_stopped_stays_stopped(tmp_path: Path) -> None:
    engine = FakeVolumeEngine(tmp_path)
    engine.add_container("shop-app", running=False)
    engine.containers["SHOP-APP"]["Labels"] = {"com.docker.compose.project": "shop"}
    engine.containers["SHOP-APP"]["State"]["FinishedAt"] = "2026-02-01T02:00:04.9Z"
    assert bring_back(engine, "shop", START) == []
    assert engine.running() == []


@pytest.mark.parametrize(
    ("labels", "back"),
    [
        ({"com.docker.compose.project": "shop"}, True),
        ({"com.docker.compose.project": "shop-replica", "ptnextjs.docker_vps.app": "shop"}, True),
        ({"com.docker.compose.project": "blog-replica", "ptnextjs.docker_vps.app": "blog"}, False),
        ({"com.docker.compose.project": "shop", "ptnextjs.docker_vps.app": "blog"}, False),
        ({"com.docker.compose.project": "shop-replica"}, False),
    ],
)
def test_whatever_serves_the_application_is_started(tmp_path: Path, labels: dict[str, str], back: bool) -> None:
    engine = FakeVolumeEngine(tmp_path)
    engine.add_container("one", running=False)
    one = engine.containers["ONE"]
    one["Labels"], one["HostConfig"]["RestartPolicy"] = labels, {"Name": "unless-stopped"}
    one["State"]["FinishedAt"] = "2026-02-01T02:00:07Z"
    expected = ["one was ended by the engine when that came back, and was started again."]
    assert bring_back(engine, "shop", START) == (expected if back else [])
    assert engine.running() == (["ONE"] if back else [])


def test_without_labels(tmp_path: Path) -> None:
    engine = FakeVolumeEngine(tmp_path)
    engine.add_container("other", running=False)
    engine.containers["OTHER"]["Labels"] = None
    assert bring_back(engine, "shop", START) == []
