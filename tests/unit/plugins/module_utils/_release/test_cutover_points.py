# SPDX-License-Identifier: GPL-3.0-or-later
"""A cutover that is killed, or meets a full disk, at each point at which it changes something."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import HEALTHY
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import cutover
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import database
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import (
    APP,
    FATE,
    OLD,
    Killed,
    Site,
    Version,
    migrate,
    points,
)

POINTS = 70  # more than there are


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """One release is live, and the env file is that of the next already."""
    one = Site(tmp_path)
    one.deploy("shop:1")
    one.engine.add_image("shop:2", Version(migrates=migrate))
    return one


def deploy(site: Site) -> dict[str, Any]:
    return site.run(site.params("shop:2", monitor=1.0, smoke_test_command=["true"], secrets=("PAYLOAD_SECRET",)))


def struck(site: Site, number: int, error: BaseException) -> dict[str, Any]:
    """Deploy, be struck at a point, and return what was there before."""
    before = site.state()
    site.write_env("of shop:2")
    FATE.strike(site.place, number, error)
    try:
        deploy(site)
        assert number >= len(FATE.points) or error.args
    except (Killed, DockerVpsError):
        pass
    except OSError:
        assert is_removal(number)
    finally:
        FATE.rest()
    return before


def is_removal(number: int) -> bool:
    """Whether it is one for which no disk is too full."""
    return bool(FATE.points[number:] and FATE.points[number].startswith(("os.remove", "os.rmdir")))


def test_the_points(site: Site) -> None:
    found = list(points(site, lambda: deploy(site)))
    assert 30 < len(found) < POINTS
    assert any(one.startswith("subprocess.Popen") for one in found)
    assert any(one.startswith("os.symlink") for one in found)
    assert any("secrets/PAYLOAD_SECRET" in one for one in found)
    assert f"stop {OLD}" in found


@pytest.mark.parametrize("number", range(POINTS))
def test_killed_recovered_and_run_again(site: Site, number: int) -> None:
    before = struck(site, number, Killed())
    decided = site.releases.current() != before["current"]
    cutover.recover_left("shop", site.world)
    after = site.state()
    assert (after["unfinished"], after["beside"]) == ([], [])
    if decided:
        assert after["running"] == {APP: "shop:2"}
        assert site.live().result == HEALTHY
    else:
        for same in ("running", "containers", "current"):
            assert after[same] == before[same]
        # Somebody who is killed while he reads a database leaves its sidecars, without anything in them.
        assert {name: data for name, data in after["data"].items() if not name.endswith(("-shm", "-wal"))} == before[
            "data"
        ]
        assert not after["data"].get("payload.db-wal")
    deploy(site)
    after = site.state()
    assert after["running"] == {APP: "shop:2"}
    assert len(after["containers"]) == 1
    assert (after["unfinished"], after["beside"]) == ([], [])
    assert site.counted() == {"vendors": 3, "payload_migrations": 2, "orders": 0}
    assert site.live().result == HEALTHY
    assert site.releases.unreleased() == []


@pytest.mark.parametrize("number", range(POINTS))
def test_killed_while_data_is_restored(site: Site, number: int) -> None:
    site.deploy("shop:1b", backup=site.backing_up())
    database(site.db / "payload.db", vendors=5)
    before = site.state()
    params = site.params("shop:2", restore=site.live().backup, monitor=1.0)
    FATE.strike(site.place, number, Killed())
    with contextlib.suppress(Killed):
        site.run(params)
    FATE.rest()
    decided = site.releases.current() != before["current"]
    cutover.recover_left("shop", site.world)
    after = site.state()
    assert after["unfinished"] == []
    assert site.counted()["vendors"] == (3 if decided else 8)
    assert after["running"] == ({APP: "shop:2"} if decided else before["running"])
    staging = any(one.startswith("os.rename") and "journal.json" in one for one in FATE.points[:number])
    assert [one for one in after["beside"] if staging or ".restoring-" not in one] == []


@pytest.mark.parametrize("number", range(POINTS))
def test_a_full_disk(site: Site, number: int) -> None:
    before = struck(site, number, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    after = site.state()
    if site.releases.current() == before["current"]:
        for same in ("running", "containers", "data"):
            assert after[same] == before[same]
    else:
        assert after["running"] == {APP: "shop:2"}
    if is_removal(number):
        return
    cutover.recover_left("shop", site.world)
    recovered = site.state()
    assert (recovered["unfinished"], recovered["beside"]) == ([], [])
    assert recovered["running"] == after["running"]
