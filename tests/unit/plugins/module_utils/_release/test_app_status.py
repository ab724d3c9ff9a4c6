# SPDX-License-Identifier: GPL-3.0-or-later
"""How an application on a host is checked, part by part."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Mapping, NoReturn, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.alerts import Alert, State
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, EngineError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import WARNING, Finding
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.app_status import (
    NO_WATCH,
    Params,
    StatusWorld,
    run,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import watch_state
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import APP, SECRET, Site, Version

TIMERS = {"shop-backup.timer": "2026-02-02T02:00:00Z"}


class Engine:
    """The engine of a site with what its fake does not tell: when containers were started, and where it is."""

    def __init__(self, site: Site, began: str = "2026-02-01T02:00:00.123456789Z") -> None:
        self.site, self.began = site, began

    def info(self) -> Mapping[str, Any]:
        return {"DockerRootDir": str(self.site.place)}

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        found = self.site.engine.container(name)
        return {**found, "State": {**found["State"], "StartedAt": self.began}} if found else None

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        return self.site.engine.image(name)


def away() -> NoReturn:
    raise EngineError("The Docker engine at x does not answer.")


def looked(site: Site, connect: Any = None, **given: Any) -> dict[str, Any]:
    world = StatusWorld(
        given.pop("releases", site.releases),
        given.pop("sets", site.sets),
        connect or (lambda: Engine(site)),
        given.pop("timers", lambda app: TIMERS if app == "shop" else {}),
        site.clock,
    )
    return run(Params("shop", APP), world)


def watched(site: Site, *found: str, ago: float = 0.0) -> None:
    """Have a watch look, which finds this."""
    at = site.clock.utc().timestamp() - ago
    alerts = {text: Alert(Finding("app-state", WARNING, "it", text, "well", "Fix it."), at) for text in found}
    gone = Alert(Finding("disk-low:/", WARNING, "the disk", "full", "space", "Prune."), at, bad=False)
    watch_state.write(
        str(site.home / watch_state.STATE), watch_state.Remembered(State(at, 7, alerts={**alerts, "gone": gone}))
    )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.deploy("shop:1", revision="4f2c", deployed_by="alice@laptop")
    return site


def test_all_is_well(site: Site) -> None:
    backup.run(site.backing_up(), site.sets, lambda: site.engine, site.clock, False)
    watched(site)
    found = looked(site)
    assert found["changed"] is False
    assert (found["findings"], found["not_looked_at"], found["drift"]) == ([], {}, [])
    live = site.live()
    assert {key: found["release"][key] for key in ("id", "image", "digest", "state", "deployed_by")} == {
        "id": live.id,
        "image": "shop:1",
        "digest": live.image_id,
        "state": "live",
        "deployed_by": "alice@laptop",
    }
    assert [release["id"] for release in found["releases"]] == [live.id]
    assert found["container"]["status"] == "running (healthy)"
    assert found["container"]["started_at"] == "2026-02-01T02:00:00Z"
    assert found["container"]["uptime"] == int((site.clock.utc() - site.clock.at).total_seconds())
    assert (found["backup"]["rpo"], found["backup"]["last"]["proof"]) == (0, "files")
    assert found["timers"] == TIMERS
    assert len(found["disks"]) == 1
    assert found["disks"][0]["path"] == str(site.home)
    assert found["watch"] == []


def test_nothing_is_there(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.home.joinpath(".env.production").unlink()
    found = looked(site)
    assert (found["releases"], found["release"]) == ([], {})
    assert (found["container"]["state"], found["container"]["uptime"]) == ("absent", None)
    assert found["findings"][0].startswith(f"There is no container {APP}.")
    assert found["drift"] is None
    assert found["not_looked_at"]["drift"].startswith("No release is live in ")
    assert found["not_looked_at"]["watch"] == NO_WATCH
    assert found["backup"]["rpo"] is None


def test_what_is_not_as_it_was_released(site: Site) -> None:
    (site.home / "compose.yml").write_text("other")
    site.engine.add_image("shop:9")
    site.engine.remove_container(APP)
    site.engine.place_container(APP, "shop:9", {}, [])
    found = looked(site)
    assert found["drift"] == [
        f"{site.home}/compose.yml is not as it was released.",
        f"{APP} is not what release {site.live().id} made. Run ⟦play deploy⟧.",
    ]
    assert found["findings"][1:3] == found["drift"]


def test_what_the_watch_found(site: Site) -> None:
    watched(site, "it hangs")
    found = looked(site)
    assert found["watch"] == ["warning: it: it hangs; wanted: well. Fix it. (app-state)"]
    assert found["watch"][0] in found["findings"]
    watched(site, "it hangs", ago=3601)
    found = looked(site)
    assert found["watch"] is None
    assert re.match(r"the watch of this host looked last at \S+Z; see", found["not_looked_at"]["watch"])
    (site.home / watch_state.STATE).write_text("{")
    assert "is damaged" in looked(site)["not_looked_at"]["watch"]


def test_the_engine_is_away(site: Site) -> None:
    found = looked(site, away)
    assert (found["container"], found["drift"]) == (None, None)
    why = "The Docker engine at x does not answer."
    assert found["not_looked_at"] == {"container": why, "drift": why, "watch": NO_WATCH}
    assert found["release"]["image"] == "shop:1"
    assert found["disks"]


def test_an_engine_that_does_not_tell_where_it_lies(site: Site) -> None:
    engine = Engine(site)
    engine.info = away  # type: ignore[method-assign]
    assert looked(site, lambda: engine)["disks"]


def test_a_release_that_cannot_be_read(site: Site) -> None:
    Path(site.releases.path(site.live().id, "release.json")).write_text("no JSON")
    found = looked(site)
    assert (found["releases"], found["release"], found["drift"]) == (None, None, None)
    assert "is not a release" in found["not_looked_at"]["releases"]
    assert found["not_looked_at"]["drift"] == found["not_looked_at"]["release"] == found["not_looked_at"]["releases"]
    assert found["container"]["health"] == "healthy"


def test_sets_and_timers_that_cannot_be_had(site: Site) -> None:
    (site.place / "file").write_text("")

    def refuse(app: str) -> NoReturn:
        raise PermissionError(13, "Permission denied", "/run/x")

    found = looked(site, sets=Sets(str(site.place / "file"), "shop"), timers=refuse)
    assert (found["backup"], found["timers"]) == (None, None)
    assert str(site.place / "file") in found["not_looked_at"]["backup"]
    assert "/run/x: Permission denied" in found["not_looked_at"]["timers"]


def test_a_stopped_container_has_no_uptime(site: Site) -> None:
    site.engine.stop(APP)
    found = looked(site)
    assert (found["container"]["state"], found["container"]["uptime"]) == ("exited", None)
    assert found["findings"][0] == f"{APP} is exited."


def test_no_secret_comes_out(site: Site) -> None:
    with pytest.raises(DockerVpsError):
        site.deploy("shop:3", Version(exits=0.1, answers=9, lines=[f"bad {SECRET}"]))

    def refuse(app: str) -> NoReturn:
        raise DockerVpsError(f"no {SECRET} at https://user:sesame@host/x")

    watched(site, f"log: {SECRET} of ftp://a:sesame@b")
    text = str(looked(site, timers=refuse))
    assert SECRET not in text
    assert "sesame" not in text
    assert "no <PAYLOAD_SECRET> at https://***@host/x" in text
