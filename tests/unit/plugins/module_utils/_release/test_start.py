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
