# SPDX-License-Identifier: GPL-3.0-or-later
"""What an interrupted release has left is settled before anything else touches the application."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.modules.release_settle import run
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
    result = run("shop", site.world, check_mode=False)
    assert (result["changed"], result["settled"]) == (True, [left])
    assert result["summary"][0].startswith(f"Release {left}: failed. The run that was at it was killed.")
    assert site.engine.names() == {APP: "shop:1"}
    assert run("shop", site.world, check_mode=False) == {"changed": False, "settled": [], "summary": []}


def test_a_rehearsal_says_what_would_be_settled(site: Site) -> None:
    (left,) = site.releases.unfinished()
    result = run("shop", site.world, check_mode=True)
    assert result == {"changed": True, "settled": [left], "summary": [f"Release {left} would be settled."]}
    assert site.releases.unfinished() == [left]
