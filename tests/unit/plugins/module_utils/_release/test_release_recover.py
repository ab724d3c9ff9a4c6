# SPDX-License-Identifier: GPL-3.0-or-later
"""What an interrupted release has left is recovered before anything else touches the application."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.release_recover import run
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import APP, FATE, NEXT, Killed, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """One release is live, and the cutover to the next was killed."""
    one = Site(tmp_path)
    one.deploy("shop:1")
    one.engine.add_image("shop:2")
    one.engine.on["start", NEXT] = lambda: FATE.strike(one.place, 0, Killed())
    with pytest.raises(Killed):
        one.run(one.params("shop:2"))
    FATE.rest()
    one.engine.on.clear()
    return one


def test_it_is_undone(site: Site) -> None:
    (left,) = site.releases.unfinished()
    result = run("shop", False, site.world, check_mode=False)
    assert (result["changed"], result["recovered"]) == (True, [left])
    assert result["summary"][0].startswith(f"Release {left}: failed. The run that was at it was killed.")
    assert site.engine.names() == {APP: "shop:1"}
    assert run("shop", False, site.world, check_mode=False) == {
        "changed": False,
        "recovered": [],
        "put_back": [],
        "summary": [],
    }


def test_a_dry_run_says_what_would_be_recovered(site: Site) -> None:
    (left,) = site.releases.unfinished()
    result = run("shop", False, site.world, check_mode=True)
    assert result == {
        "changed": True,
        "recovered": [left],
        "put_back": [],
        "summary": [f"Release {left} would be recovered."],
    }
    assert site.releases.unfinished() == [left]


def test_what_was_never_released_is_not_started(site: Site) -> None:
    run("shop", False, site.world, check_mode=False)
    env = Path(site.releases.live[".env.production"])
    released = env.read_text()
    env.write_text("WORD=never\n")
    sentence = f"{env} was not what is live, so that of release {site.releases.current()} {{}} back."
    dry_run = run("shop", True, site.world, check_mode=True)
    assert dry_run["summary"] == [sentence.format("would be put")]
    assert env.read_text() == "WORD=never\n"
    result = run("shop", True, site.world, check_mode=False)
    expected = {"changed": True, "recovered": [], "put_back": [str(env)], "summary": [sentence.format("was put")]}
    assert result == expected
    assert env.read_text() == released
    kept = env.with_name(".env.production.previous")
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("WORD=never\n", 0o600)
    assert run("shop", True, site.world, check_mode=False)["changed"] is False


def test_a_file_that_is_gone_is_put_back(site: Site) -> None:
    run("shop", False, site.world, check_mode=False)
    definition = Path(site.releases.live["compose.yml"])
    text = definition.read_text()
    definition.unlink()
    assert run("shop", True, site.world, check_mode=False)["put_back"] == [str(definition)]
    assert definition.read_text() == text


def test_what_was_never_deployed_has_nothing_to_start(tmp_path: Path) -> None:
    empty = Site(tmp_path)
    with pytest.raises(DockerVpsError, match="was never deployed here, or was removed. Run ⟦play deploy⟧"):
        run("shop", True, empty.world, check_mode=True)
