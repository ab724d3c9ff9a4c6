# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting the live release, with a fake engine and a fake Compose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import EngineError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.host import HASH_LABEL
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.start import Params, networks_of, run
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import APP, Site, Version

NETWORK = "0a" * 32


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A live application that was stopped."""
    made = Site(tmp_path)
    made.deploy("shop:1")
    made.engine.stop(APP)
    made.engine.calls.clear()
    return made


def started(site: Site, check: bool = False) -> dict[str, Any]:
    return run(Params("shop", APP), site.world, check)


def container(site: Site) -> dict[str, Any]:
    return next(one for one in site.engine.containers.values() if one["Name"] == f"/{APP}")


@pytest.mark.parametrize("compose", ["", " by another Compose"])
def test_a_stopped_container_is_started_by_the_engine_whatever_compose_is_there(site: Site, compose: str) -> None:
    site.commands.version = compose
    assert started(site, check=True) == {"changed": True, "summary": f"{APP} would be started."}
    assert site.engine.calls == []
    assert started(site) == {"changed": True, "summary": f"{APP} was started."}
    assert site.engine.did() == [f"start {APP}"]
    assert started(site) == {"changed": False, "summary": f"{APP} runs already."}


def restarted(site: Site, check: bool = False) -> str:
    return str(run(Params("shop", APP, restart=True), site.world, check)["summary"])


def test_a_restart_stops_what_runs_and_starts_it(site: Site) -> None:
    site.engine.start(APP)
    site.engine.calls.clear()
    would_be = f"{APP} would be stopped, with 10 s to end after SIGTERM. {APP} would be started."
    assert restarted(site, check=True) == would_be
    assert site.engine.did() == []
    assert restarted(site) == f"{APP} was stopped and ended by itself with exit code 0. {APP} was started."
    assert site.engine.did() == [f"stop {APP}", f"start {APP}"]


def test_a_restart_starts_what_does_not_run(site: Site) -> None:
    assert restarted(site) == f"{APP} does not run; its last exit code is 0. {APP} was started."
    assert site.engine.did() == [f"start {APP}"]
    site.engine.remove_container(APP)
    site.engine.calls.clear()
    assert restarted(site) == f"{APP} was started."
    assert site.engine.did() == ["up shop", f"start {APP}"]


def test_a_restart_says_that_a_container_was_killed_and_makes_another_one_anew(site: Site) -> None:
    site.engine.start(APP)
    site.engine.add_image("shop:1", Version(killed=True))
    container(site)["Config"]["Labels"][HASH_LABEL] = "of an environment that was put back"
    site.engine.calls.clear()
    said = restarted(site)
    assert said.startswith(f"Warning: {APP} did not end within 10 s of SIGTERM and was killed")
    assert site.engine.did()[0] == f"stop {APP}"
    assert "up shop" in site.engine.did()


def test_a_paused_one_goes_on(site: Site) -> None:
    site.engine.start(APP)
    site.engine.pause(container(site)["Id"])
    site.engine.calls.clear()
    assert started(site)["changed"] is True
    assert [call.split()[0] for call in site.engine.did()] == ["unpause", "start"]


def test_one_that_is_gone_or_another_one_is_made_by_compose(site: Site) -> None:
    container(site)["Image"] = "sha256:other"
    started(site)
    assert site.engine.did()[0] == "up shop"
    site.engine.remove_container(APP)
    site.engine.calls.clear()
    assert started(site)["changed"] is True
    assert site.engine.did() == ["up shop", f"start {APP}"]


def test_one_that_runs_and_is_another_one_is_made_by_compose(site: Site) -> None:
    site.engine.start(APP)
    container(site)["Config"]["Labels"][HASH_LABEL] = "of an environment that was put back"
    assert started(site, check=True)["changed"] is True
    started(site)
    assert "up shop" in site.engine.did()
    assert started(site)["changed"] is False


def test_one_without_a_record_is_compose_s(site: Site) -> None:
    Path(site.releases.directory, "current").unlink()
    started(site)
    assert site.engine.did()[0] == "up shop"


@pytest.mark.parametrize("there", [False, True])
def test_one_on_a_network_that_was_made_anew_is_made_anew(site: Site, there: bool) -> None:
    container(site)["NetworkSettings"] = {"Networks": {"proxy": {"NetworkID": NETWORK}}}
    site.engine.networks = {NETWORK if there else "0b" * 32}
    started(site)
    assert site.engine.did()[0] == (f"start {APP}" if there else "up shop anew")


@pytest.mark.parametrize(
    ("inspected", "networks"),
    [
        ({}, []),
        ({"NetworkSettings": None, "HostConfig": None}, []),
        ({"NetworkSettings": {"Networks": None}, "HostConfig": {"NetworkMode": "proxy"}}, []),
        ({"NetworkSettings": {"Networks": {"a": {"NetworkID": ""}, "b": None}}}, []),
        ({"NetworkSettings": {"Networks": {"a": {"NetworkID": NETWORK}}}}, [NETWORK]),
        ({"HostConfig": {"NetworkMode": NETWORK}}, [NETWORK]),
    ],
)
def test_the_networks_that_a_container_names_by_id(inspected: dict[str, Any], networks: list[str]) -> None:
    assert networks_of(inspected) == networks


def test_what_cannot_be_started_names_the_way_out(site: Site) -> None:
    site.engine.add_image("shop:1", Version(refuses="no such file"))
    with pytest.raises(EngineError, match="no such file. When its image, env file or network is gone, ⟦play deploy⟧"):
        started(site)
