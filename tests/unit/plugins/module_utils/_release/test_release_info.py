# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of releases, and of what runs instead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.release_info import Params, run
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import APP, Site, Version

PARAMS = Params(APP)


def summary(site: Site) -> list[str]:
    result = run(PARAMS, site.releases, site.engine)
    lines: list[str] = result["summary"]
    return lines


def test_nothing_is_there(tmp_path: Path) -> None:
    site = Site(tmp_path)
    result = run(PARAMS, site.releases, site.engine)
    assert (result["changed"], result["releases"], result["current"], result["under_way"]) == (False, [], "", [])
    assert result["running"] == {"image": "", "state": "absent"}
    assert result["summary"] == ["There are no releases yet."]


def test_what_there_is(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1", revision="4f2c1d9a0b7e6f5d", deployed_by="alice@laptop")
    site.deploy("shop:2", backup=site.backing_up())
    with pytest.raises(DockerVpsError):
        site.deploy("shop:3", Version(exits=0.1, answers=9, lines=["x"]))
    result = run(PARAMS, site.releases, site.engine)
    three, two, one = site.releases.listing()
    assert result["releases"] == [vars(three), vars(two), vars(one)]
    assert result["current"] == two.id
    assert result["running"] == {"image": "shop:2", "state": "running (healthy)"}
    assert result["summary"] == [
        f"{three.id}  failed     shop:3  -  -  downtime {three.downtime:.1f} s, {three.message.splitlines()[0][:-1]}",
        f"{two.id}  live       shop:2  -  -  downtime {two.downtime:.1f} s, backup {two.backup}",
        f"{one.id}  healthy    shop:1  4f2c1d9a0b7e  alice@laptop",
    ]
    assert f"The log of the failed version is {site.releases.path(three.id, 'log')}" in result["summary"][0]
    site.releases.record(replace(three, message="It failed."))
    failed = run(PARAMS, site.releases, site.engine)["summary"][0]
    assert failed.endswith(f" s, It failed, log {site.releases.path(three.id, 'log')}")


def test_a_base_with_the_first_digits_of_its_digest(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1")
    site.releases.record(replace(site.live(), base="docker.io/library/node:22@sha256:0123456789abcdef"))
    (line,) = summary(site)
    assert line.endswith("base docker.io/library/node:22@0123456789ab")


def test_a_message_without_a_log_and_a_return(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1")
    site.releases.record(replace(site.live(), result="degraded", message="why\nmore", rolled_back_to="20250101-000000"))
    (line,) = summary(site)
    assert line.endswith("degraded   shop:1  -  -  rolled back to 20250101-000000, why")


def test_what_does_not_agree(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1")
    site.engine.versions["shop:1"] = Version(unhealthy=0.0)
    assert summary(site)[-1] == f"{APP} is running (unhealthy)."
    site.engine.remove_container(APP)
    assert (
        summary(site)[-1]
        == f"Release {site.live().id} should be live, but there is no container {APP}. Run ⟦play deploy⟧."
    )
    site.engine.add_image("shop:9")
    site.engine.place_container(APP, "shop:9", {}, [])
    assert summary(site)[-1] == f"Release {site.live().id} should be live, but {APP} runs shop:9. Run ⟦play deploy⟧."


def test_releases_of_which_none_is_live(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with pytest.raises(DockerVpsError):
        site.deploy("shop:1", Version(refuses="no entrypoint"))
    assert len(summary(site)) == 1


def test_what_is_under_way(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1")
    Path(site.releases.path(site.live().id, "journal.json")).write_text("{}")
    first, last = summary(site)
    assert first.startswith(f"{site.live().id}  under way  shop:1")
    assert last.startswith(f"The cutover to {site.live().id} is under way or was interrupted;")
