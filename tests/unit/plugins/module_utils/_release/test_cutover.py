# SPDX-License-Identifier: GPL-3.0-or-later
"""How a version is put live, in which order, and that whatever fails or is killed leaves what was before."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineError,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health_check import DEFAULT_PATH
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.host import HASH_LABEL
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.progress import work_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.public_check import Leg, Visit
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import FAILED, HEALTHY
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import cutover, public_check
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.files import Kept
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.progress_file import new_name, reported
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import LOG
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import HOLDS
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import database
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import (
    APP,
    NEVER,
    NEXT,
    OLD,
    SECRET,
    Site,
    Version,
    definition_of,
    migrate,
    name_of,
)

MIGRATING = Version(migrates=migrate)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """One release is live."""
    one = Site(tmp_path)
    one.deploy("shop:1")
    one.engine.calls.clear()
    one.engine.together = 0
    return one


def failed(site: Site, image: str = "shop:2", version: Any = None, **more: Any) -> DockerVpsError:
    """Fail to put a version live."""
    with pytest.raises(DockerVpsError) as caught:
        site.deploy(image, version, **more)
    return caught.value


# In order


def test_a_release_knows_its_base(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.engine.add_image("shop:1")
    labels = {"org.opencontainers.image.base.name": "r/node:22", "org.opencontainers.image.base.digest": "sha256:ab"}
    site.engine.images["shop:1"] = {**site.engine.images["shop:1"], "Config": {"Labels": labels}}
    site.deploy("shop:1")
    assert site.live().base == "r/node:22@sha256:ab"


def test_what_a_new_version_cannot_write_is_told(site: Site) -> None:
    lines = ["ready", f"EROFS: open '/app/{SECRET}'"]
    assert site.deploy("shop:2", Version(lines=lines))["cautions"] == []
    (caution,) = site.deploy("shop:3", Version(lines=lines, host={"ReadonlyRootfs": True}))["cautions"]
    assert caution.startswith(f"{APP} is healthy. Its root is read-only, and 1 line of its log")
    assert SECRET not in caution


def test_the_hardening_is_named_when_it_is_the_likely_cause(site: Site) -> None:
    version = Version(healthy=NEVER, lines=["EROFS: open '/app/x'"], host={"ReadonlyRootfs": True})
    message = failed(site, version=version).message
    assert "since it has written \"EROFS: open '/app/x'\": its root is read-only" in message
    assert "likely cause" in site.newest().message


PUBLIC = public_check.Params("https://www.example.com/", "warn", "Welcome", APP)
UNSERVED = Visit(Leg.APPLICATION, "answers 404", "203.0.113.9", 404)


def test_visitors_are_asked_for(site: Site) -> None:
    asked = []
    site.world = replace(site.world, visit=lambda *about: asked.append(about) or UNSERVED)
    (caution,) = site.deploy("shop:2", public=PUBLIC)["cautions"]
    assert caution == "https://www.example.com/ is not served: the application answers 404; see its log."
    assert asked == [("https://www.example.com/", "Welcome", address) for address in ("", "127.0.0.1")]
    assert site.deploy("shop:2", public=PUBLIC)["cautions"] == []
    assert len(asked) == 2  # not when there is nothing to do
    site.world = replace(site.world, visit=lambda *_about: Visit(None, "answers 200"))
    assert site.deploy("shop:3", public=replace(PUBLIC, mode="fail"))["cautions"] == []


def test_a_version_that_visitors_do_not_get_can_be_undone(site: Site) -> None:
    site.world = replace(site.world, visit=lambda *_about: UNSERVED)
    message = failed(site, public=replace(PUBLIC, mode="fail")).message
    assert (
        " failed. https://www.example.com/ is not served: the application answers 404; see its log. The ver" in message
    )
    assert site.engine.names() == {APP: "shop:1"}


def test_a_database_in_the_image(site: Site) -> None:
    """The engine copies it into an empty volume, and never again."""
    brought = Version(brings=lambda place: database(place / "baked.db", notes=1))
    assert site.deploy("shop:2", brought)["cautions"] == []
    (site.db / "payload.db").unlink()
    (caution,) = site.deploy(
        "shop:3", replace(brought, migrates=lambda place: database(place / "payload.db", notes=0))
    )["cautions"]
    assert caution == (
        "The volume shop-db was empty and begins with baked.db, which is in the image shop:3. What later images have "
        "there will not be seen: leave databases out of the image, and have the application make its own."
    )
    site.engine.volumes["shop-db"]["Driver"] = "nfs"
    assert not [one for one in site.deploy("shop:4", brought)["cautions"] if "is in the image" in one]


def test_the_first_release(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.engine.volumes.clear()
    (site.db / "payload.db").unlink()
    result = site.deploy("shop:1", revision="4f2c", deployed_by="alice@laptop")
    assert site.engine.did() == [
        f"remove {NEXT}",
        "create shop",
        "config_hash shop",
        f"recreate {APP} {NEXT}",
        f"start {NEXT}",
        f"rename {NEXT} {APP}",
    ]
    assert site.engine.names() == {APP: "shop:1"}
    live = site.live()
    assert (live.id, live.at, live.result) == ("20260201-020000", "2026-02-01T02:00:00Z", HEALTHY)
    assert (live.revision, live.deployed_by, live.image_id) == ("4f2c", "alice@laptop", "sha256:shop:1")
    assert (live.backup, live.downtime, live.message, live.schema) == ("", 0.0, "", "")
    assert result["changed"] is True
    assert result["release"] == vars(live)
    assert result["summary"] == f"Release {live.id}, shop:1, is live and healthy after {live.seconds:.1f} s."
    (caution,) = result["cautions"]
    assert "payload.db in the volume shop-db, and it is not there" in caution  # that of the fake makes none
    assert json.loads((site.home / "compose.yml").read_text()) == json.loads(definition_of("shop:1"))


def test_the_first_release_on_data_that_is_there_knows_its_schema(site: Site) -> None:
    assert site.live().schema != ""
    assert site.beside() == []


@pytest.mark.parametrize(("busy", "heard"), [(0.0, 0.0), (1.0, 1.0), (60.0, 3.0)])
def test_the_old_version_is_heard_out_before_it_is_stopped(tmp_path: Path, busy: float, heard: float) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1")
    site.engine.versions["shop:1"] = Version(busy=busy)
    asked: list[float] = []
    stopped: list[float] = []
    site.engine.on["rename", APP, OLD] = lambda: asked.append(site.engine.second)
    site.engine.on["stop", OLD] = lambda: stopped.append(site.engine.second)
    site.deploy("shop:2", drain_timeout=0.0)
    # What is asked to change takes half a second at the fake.
    assert stopped[0] - asked[0] == pytest.approx(heard + 0.5, abs=0.1)


def test_an_old_version_without_a_health_check_is_stopped_at_once(site: Site) -> None:
    for one in site.engine.containers.values():
        del one["Config"]["Healthcheck"]
    site.deploy("shop:2", drain_timeout=0.0)
    assert site.engine.names() == {APP: "shop:2"}


def test_stop_first(site: Site) -> None:
    old = site.live()
    result = site.deploy("shop:2", proxy_reload_command=["reload"], smoke_test_command=["true"])
    assert site.engine.did() == [
        f"remove {NEXT}",
        "create shop-next",
        "config_hash shop",
        f"recreate {NEXT} {NEXT}",
        f"rename {APP} {OLD}",
        f"stop {OLD}",
        f"start {NEXT}",
        f"execute {NEXT} true",
        f"rename {NEXT} {APP}",
        "here reload",
        f"remove {OLD}",
    ]
    assert site.engine.together == 1
    assert site.engine.names() == {APP: "shop:2"}
    live = site.live()
    assert live.image == "shop:2"
    assert live.id > old.id
    assert 1.0 <= live.downtime <= 3.0
    message = f"Release {live.id}, shop:2, is live and healthy after {live.seconds:.1f} s; "
    assert result["summary"] == f"{message}for {live.downtime:.1f} s nothing served."
    assert site.beside() == []
    assert site.releases.unfinished() == []
    assert "of shop:2" in (site.home / ".env.production").read_text()


def test_each_step_is_told_to_whoever_asks_for_it(site: Site, tmp_path: Path) -> None:
    name, told, (old,) = new_name(), {}, site.engine.containers
    for call in (("unpause", old), ("remove", NEXT), ("stop", OLD), ("start", NEXT), ("remove", OLD)):
        site.engine.on[call] = lambda call=call: told.update({call: work_of((tmp_path / name).read_text())})
    with reported(name, str(tmp_path)):
        result = site.deploy("shop:2", backup=site.backing_up(consistency="pause"))
    made = result["release"]["backup"]
    assert {call: work.step for call, work in told.items()} == {
        ("unpause", old): f"media-{made}.tar.gz is flushed to the disk",
        ("remove", NEXT): "the new container is made",
        ("stop", OLD): "the old version ends",
        ("start", NEXT): "the new version starts",
        ("remove", OLD): "the new version is watched",
    }


def test_the_container_is_as_composes_own(site: Site) -> None:
    site.deploy("shop:2", aliases=["www"])
    (made,) = site.engine.containers.values()
    assert made["Config"]["Labels"] == {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "app",
        "com.docker.compose.project.config_files": str(site.home / "compose.yml"),
        "com.docker.compose.config-hash": "hash of shop:2",
    }
    assert made["Aliases"] == ["www"]
    (override,) = site.commands.overrides
    assert override["services"] == {"app": {"container_name": NEXT}}
    assert override["volumes"] == {"database": {"external": True}, "media": {"external": True}}
    assert not os.path.exists(site.releases.path(site.live().id, "next.yml"))


def test_overlap(site: Site) -> None:
    (site.db / "payload.db").unlink()
    result = site.deploy("shop:2", strategy="start-first")
    assert site.engine.did()[4:] == [
        f"start {NEXT}",
        f"rename {APP} {OLD}",
        f"rename {NEXT} {APP}",
        f"stop {OLD}",
        f"remove {OLD}",
    ]
    assert site.engine.together == 2
    assert site.live().downtime == 0.0
    assert "for 0.0 s nothing served" in result["summary"]


@pytest.mark.parametrize("strategy", ["stop-first", "start-first"])
@pytest.mark.parametrize("drain", [0.0, 2.5])
def test_the_old_version_answers_what_is_on_its_way(site: Site, strategy: str, drain: float) -> None:
    when: dict[str, float] = {}
    for step in (("rename", APP, OLD), ("stop", OLD)):
        site.engine.on[step] = lambda step=step: when.update({step[0]: site.clock.passed})
    site.deploy("shop:2", strategy=strategy, start_first_force=True, drain_timeout=drain)
    between = when["stop"] - when["rename"] - site.engine.takes * (2 if strategy == "start-first" else 1)
    assert between == pytest.approx(drain)


def test_a_backup_is_made_before_and_named(site: Site) -> None:
    def stopped() -> None:
        assert len(site.sets.listing().sets) == 1
        assert site.sets.listing().sets[0].manifest.reason == "a try"

    site.engine.on["rename", APP, OLD] = stopped
    result = site.deploy("shop:2", backup=site.backing_up(reason="a try"))
    assert site.live().backup == site.sets.listing().sets[0].manifest.id
    assert f"with backup {site.live().backup} made before" in result["summary"]


def test_the_same_version_is_not_put_live_again(site: Site) -> None:
    before = site.state()
    result = site.run(site.params("shop:1"))
    assert (result["changed"], site.engine.calls) == (False, [])
    assert result["summary"] == f"Release {site.live().id} is live already."
    assert site.state() == before


def test_the_same_version_is_started_when_it_does_not_run(site: Site) -> None:
    site.engine.stop(APP)
    (site.home / "compose.yml").unlink()
    site.engine.calls.clear()
    result = site.run(site.params("shop:1"))
    assert site.engine.did() == [f"start {APP}"]
    assert result["changed"] is True
    assert "was started and is healthy after" in result["summary"]
    assert (site.home / "compose.yml").exists()
    assert len(site.releases.listing()) == 1


def test_a_folder_that_a_killed_run_has_left_is_not_used_again(site: Site) -> None:
    left = site.clock.utc().strftime("%Y%m%d-%H%M%S")
    os.mkdir(f"{site.releases.directory}/{left}")
    site.deploy("shop:2")
    assert site.live().id > left


def test_the_same_version_that_does_not_start_any_more(site: Site) -> None:
    site.engine.stop(APP)
    site.engine.add_image("shop:1", Version(exits=1.0, answers=9, lines=[f"the secret is {SECRET}"]))
    with pytest.raises(DockerVpsError) as caught:
        site.run(site.params("shop:1"))
    assert "exited with code 1" in caught.value.message
    assert "there is nothing to put back" in caught.value.message
    assert "the secret is <PAYLOAD_SECRET>" in caught.value.message
    assert SECRET not in caught.value.message


def test_a_container_that_somebody_has_made_anew_is_made_as_it_was_released(site: Site) -> None:
    site.engine.containers[site.engine.container(APP)["Id"]]["Config"]["Labels"][HASH_LABEL] = "hash of something else"
    site.engine.calls.clear()
    assert "This version would be started" in site.run(site.params("shop:1"), check=True)["summary"]
    assert site.run(site.params("shop:1"))["changed"] is True
    assert "up shop" in site.engine.did()
    assert site.run(site.params("shop:1"))["changed"] is False


def test_another_compose_makes_nothing_anew(site: Site) -> None:
    site.commands.version = " by another Compose"
    site.engine.calls.clear()
    assert site.run(site.params("shop:1"))["changed"] is False
    assert site.engine.calls == []
    site.engine.stop(APP)
    assert site.run(site.params("shop:1"))["changed"] is True  # made again by that Compose, as it was down anyway
    assert site.run(site.params("shop:1"))["changed"] is False


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("shop:1", "This version is live already."),
        ("shop:2", "shop:2 would take the place of the live version (stop-first)."),
    ],
)
def test_check_mode(site: Site, image: str, message: str) -> None:
    site.engine.add_image("shop:2")
    before = site.state()
    result = site.run(site.params(image), check=True)
    assert result["summary"] == message
    assert result["changed"] is (image == "shop:2")
    assert result["release"]["image"] == image
    assert site.engine.calls == []
    assert site.state() == before


def test_check_mode_before_the_env_file_changes(site: Site) -> None:
    result = site.run(replace(site.params("shop:1"), env_pending=True), check=True)
    assert result["summary"] == "shop:1 would take the place of the live version (stop-first)."
    assert (result["changed"], result["release"]["environment"]) == (True, "")


def test_check_mode_without_anything(tmp_path: Path) -> None:
    site = Site(tmp_path)
    result = site.deploy("shop:1", check=True)
    assert result["summary"] == "shop:1 would be started as the first release."
    assert not (site.home / "releases").exists()


def test_check_mode_of_what_does_not_run(site: Site) -> None:
    site.engine.stop(APP)
    result = site.run(site.params("shop:1"), check=True)
    assert result["summary"].startswith("This version would be started;")
    assert result["release"] == vars(site.live())


def test_a_new_volume_is_made_as_compose_would(site: Site) -> None:
    del site.engine.volumes["shop-media"]
    site.deploy("shop:2")
    assert site.engine.volumes["shop-media"]["Labels"] == {
        "com.docker.compose.project": "shop",
        "com.docker.compose.volume": "media",
    }


def test_a_volume_of_somebody_else_is_not_made(site: Site) -> None:
    del site.engine.volumes["shop-media"]
    error = failed(site, external=True)
    assert 'external volume "shop-media" not found' in error.message
    assert "shop-media" not in site.engine.volumes


def test_a_stopped_old_version_is_replaced_without_a_pause(site: Site) -> None:
    site.engine.stop(APP)
    site.engine.calls.clear()
    result = site.deploy("shop:2")
    assert f"stop {OLD}" not in site.engine.did()
    assert site.live().downtime == 0.0
    assert "nothing served" not in result["summary"]
    assert site.engine.names() == {APP: "shop:2"}


def test_a_container_that_was_removed_by_hand(site: Site) -> None:
    site.engine.remove_container(APP)
    site.engine.place_container("cron", "shop:1", {"com.docker.compose.project": "shop"}, [])
    site.deploy("shop:2")
    assert site.engine.names() == {APP: "shop:2"}
    assert site.live().image == "shop:2"


def renamed(image: str) -> dict[str, Any]:
    """Return what makes the container have another name from now on."""
    return {"container": "store", "definition": definition_of(image, "store")}


def test_the_container_gets_another_name(site: Site) -> None:
    site.engine.place_container("cron", "shop:1", {"com.docker.compose.project": "shop"}, [])
    site.deploy("shop:2", **renamed("shop:2"))
    assert site.engine.names() == {"store": "shop:2"}
    assert f"rename {APP} store-old" in site.engine.did()
    assert site.engine.together == 1
    assert [name_of(one) for one in site.engine.containers.values()] == ["cron", "store"]


@pytest.mark.parametrize("strategy", ["stop-first", "start-first"])
@pytest.mark.parametrize("seconds", [0.1, 6.0])
def test_the_old_version_gets_back_the_name_it_had(site: Site, strategy: str, seconds: float) -> None:
    before = site.state()
    version = Version(exits=seconds, answers=9 if seconds < 1 else 0.5)
    error = failed(site, version=version, strategy=strategy, start_first_force=True, **renamed("shop:2"))
    assert_undone(site, before)
    assert "The version before, shop:1," in error.message


def test_what_lies_in_the_way_is_removed(site: Site) -> None:
    for name in (NEXT, OLD):
        site.engine.place_container(name, "shop:1", {}, [])
    site.deploy("shop:2")
    assert [name_of(one) for one in site.engine.containers.values()] == [APP]


def test_a_proxy_that_does_not_reload_is_a_caution(site: Site) -> None:
    result = site.deploy("shop:2", proxy_reload_command=["false"])
    (caution,) = result["cautions"]
    assert caution.startswith("The proxy may look for the old address: The command false")
    assert caution not in result["summary"]


# Old releases


def test_old_releases_and_their_images_go(site: Site) -> None:
    for number in range(2, 6):
        result = site.deploy(f"shop:{number}", retain_releases=3)
    assert [one.image for one in site.releases.listing()] == ["shop:5", "shop:4", "shop:3"]
    assert result["pruned"] == ["shop:2"]
    assert set(site.engine.images) == {"shop:3", "shop:4", "shop:5"}


def test_the_image_of_a_failure_goes(site: Site) -> None:
    failed(site, version=Version(exits=0.1, answers=9))
    assert site.deploy("shop:3")["pruned"] == ["shop:2"]
    assert [one.image for one in site.releases.listing()] == ["shop:3", "shop:2", "shop:1"]


def test_a_name_that_another_image_bears_by_now_stays(site: Site) -> None:
    for number in range(4):
        site.engine.images["shop:latest"] = {"Id": f"sha256:{number}"}
        site.engine.versions["shop:latest"] = Version()
        result = site.run(site.params("shop:latest", retain_releases=2))
        site.clock.passed += 60
        assert "shop:latest" not in result["pruned"]
    assert "shop:latest" in site.engine.images


def test_what_was_pulled_goes_with_its_name_in_the_registry(site: Site) -> None:
    for number in range(2, 5):
        site.deploy(f"shop:{number}", retain_releases=2, pulled=f"r:5000/site:1@sha256:{number}")
    assert site.live().pulled == "r:5000/site:1@sha256:4"
    removed = [call for call in site.engine.did() if call.startswith("remove_image")]
    assert removed == ["remove_image shop:1", "remove_image shop:2", "remove_image r:5000/site@sha256:2"]


def test_the_same_image_in_another_index_is_live_already(site: Site) -> None:
    image = {"RootFS": {"Layers": ["l"]}, "Config": None}
    site.engine.add_image("shop:2")
    site.engine.images["shop:2"] = {**image, "Id": "sha256:first", "RepoDigests": ["shop@sha256:first"]}
    site.run(site.params("shop:2"))
    live = site.live()
    site.clock.passed += 60
    site.engine.images["shop:2"] = {**image, "Id": "sha256:again", "RepoDigests": ["shop@sha256:again"]}
    site.engine.images["sha256:first"] = {**image, "Id": "sha256:first", "RepoDigests": ["shop@sha256:first"]}
    assert site.run(site.params("shop:2"))["changed"] is False
    assert site.live() == live


def test_an_image_that_is_in_use_stays(site: Site) -> None:
    site.engine.fails["remove_image", "shop:1"] = EngineError("conflict")
    site.deploy("shop:2", retain_releases=2)
    assert site.deploy("shop:3", retain_releases=2)["pruned"] == []
    assert "shop:1" in site.engine.images


def test_a_version_that_does_not_end_at_sigterm_is_a_caution(site: Site) -> None:
    site.deploy("shop:2", Version(killed=True))
    (caution,) = site.deploy("shop:3")["cautions"]
    assert "did not end at SIGTERM and was killed after its grace period" in caution
    assert site.deploy("shop:4")["cautions"] == []


def test_a_healthy_version_whose_database_has_no_table_is_a_caution(site: Site) -> None:
    database(site.db / "other.db", rows=3)
    (site.db / "payload.db").unlink()
    (caution,) = site.deploy("shop:2")["cautions"]
    assert caution.startswith(
        "It is healthy, but DATABASE_URI names payload.db in the volume shop-db, and it is not there"
    )
    (site.db / "payload.db").touch()
    assert "and it is empty," in site.deploy("shop:3")["cautions"][0]
    with closing(sqlite3.connect(site.db / "payload.db")) as connection:
        connection.execute("PRAGMA user_version = 1")
    assert "and it has no table," in site.deploy("shop:4")["cautions"][0]
    database(site.db / "payload.db", vendors=0)
    assert site.deploy("shop:5")["cautions"] == []


@pytest.mark.parametrize(
    "uri", ["postgres://db/shop", "mongodb://db/shop", "libsql://db", "file:///elsewhere/payload.db", ""]
)
def test_of_a_database_elsewhere_nothing_is_said(site: Site, uri: str) -> None:
    (site.db / "payload.db").unlink()
    site.engine.uri = uri
    assert site.deploy("shop:2")["cautions"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
@pytest.mark.parametrize(
    ("user", "owner", "fill", "env"),
    [
        ("node", (1000, 1001), "", ""),
        ("node", (1000, 1001), "", "PUID=7\nPGID=8\n"),
        ("1005", (1005, 0), "", ""),
        ("", (0, 0), "", ""),
        ("", (7, 8), "", "PUID=7\nPGID=8\n"),
        ("gone", (0, 0), "", ""),
        ("node", (0, 0), "file", ""),
    ],
)
def test_a_volume_that_nobody_has_used_is_given_to_the_user_of_the_image(
    site: Site, user: str, owner: tuple[int, int], fill: str, env: str
) -> None:
    site.engine.add_image("shop:2")
    site.engine.images["shop:2"]["Config"] = {"User": user}
    media = site.media
    for path in media.iterdir():
        path.unlink()
    if fill:
        (media / fill).touch()
    os.chown(media, 0, 0)
    site.deploy("shop:2", environment=Kept(env, 0o600, 0, 0))
    assert (media.stat().st_uid, media.stat().st_gid) == owner
    assert (site.db.stat().st_uid, site.db.stat().st_gid) == (0, 0)  # there is a database in it


def test_further_volumes_are_made_and_an_image_that_cannot_be_asked_is_refused(site: Site) -> None:
    site.deploy("shop:2", media_volume="", further_volumes=["shop-cache"])
    assert site.engine.volumes["shop-cache"]["Labels"] == {
        "com.docker.compose.project": "shop",
        "com.docker.compose.volume": "shop-cache",
    }
    before = site.engine.names()
    site.engine.calls.clear()
    site.engine.lacks = [f"{place}/wget" for place in DEFAULT_PATH.split(":")]
    assert "The image shop:3 has no wget, which its health check needs." in failed(site, "shop:3").message
    assert site.engine.names() == before
    assert not {f"stop {APP}", f"start {NEXT}"} & {*site.engine.did()}


def test_pruning_that_fails_is_a_caution(site: Site) -> None:
    def spoil() -> None:
        folder = Path(site.releases.directory, "20250101-000000")
        folder.mkdir()
        (folder / "release.json").write_text("{")

    site.engine.on["remove", OLD] = spoil
    result = site.deploy("shop:2")
    assert "Old releases could not be removed" in result["cautions"][0]
    assert site.live().image == "shop:2"


# What fails

STEPS: list[tuple[str, ...]] = [
    ("remove", NEXT),
    ("create", "shop-next"),
    ("config_hash", "shop"),
    ("recreate", NEXT, NEXT),
    ("rename", APP, OLD),
    ("stop", OLD),
    ("start", NEXT),
    ("execute", NEXT, "true"),
    ("rename", NEXT, APP),
]


def assert_undone(site: Site, before: dict[str, Any]) -> None:
    """What was there is there again, and nothing else."""
    after = site.state()
    assert after == before
    (record,) = [one for one in site.releases.listing() if one.id != before["current"]]
    assert record.result == FAILED
    assert record.message


@pytest.mark.parametrize("step", STEPS, ids=" ".join)
def test_a_step_that_fails_is_undone(site: Site, step: tuple[str, ...]) -> None:
    before = site.state()
    site.engine.fails[step] = EngineError(f"The Docker engine refused: it cannot, and says {SECRET}.")
    site.engine.add_image("shop:2", Version(migrates=migrate, lines=["hello", f"secret: {SECRET}"]))
    site.write_env("of shop:2")
    with pytest.raises(DockerVpsError) as caught:
        site.run(site.params("shop:2", smoke_test_command=["true"]))
    error = caught.value
    assert_undone(site, before)
    assert "it cannot" in error.message
    assert SECRET not in error.message + site.newest().message
    assert error.evidence["release"] == vars(site.newest())
    assert error.message.startswith(f"Release {site.newest().id}, shop:2, failed. ")
    stopped = ("stop", OLD) in site.engine.calls or ("stop", APP) in site.engine.calls
    assert stopped is (STEPS.index(step) >= STEPS.index(("rename", APP, OLD)))
    touched = "runs on and is healthy" if not stopped else "was put back and is healthy after"
    assert f"The version before, shop:1, {touched}" in error.message
    log = Path(site.releases.path(site.newest().id, LOG))
    if STEPS.index(step) >= STEPS.index(("recreate", NEXT, NEXT)):
        assert log.read_text() == "hello\nsecret: <PAYLOAD_SECRET>\n"
        assert str(log) in error.message
        assert "secret: <PAYLOAD_SECRET>" in error.message


def test_an_overlapping_version_that_fails_leaves_the_old_one_alone(site: Site) -> None:
    before = site.state()
    error = failed(site, version=Version(exits=0.1, answers=9), strategy="start-first", start_first_force=True)
    site.write_env("of shop:1")
    assert_undone(site, before)
    assert not [call for call in site.engine.did() if call.startswith("stop") and APP in call and NEXT not in call]
    assert "The version before, shop:1, runs on and is healthy." in error.message


@pytest.mark.parametrize("step", [("rename", NEXT, APP), ("stop", OLD)], ids=" ".join)
def test_an_overlapping_version_that_fails_late(site: Site, step: tuple[str, ...]) -> None:
    before = site.state()
    site.engine.fails[step] = EngineError("it cannot")
    failed(site, strategy="start-first", start_first_force=True)
    assert_undone(site, before)


def test_an_old_version_that_cannot_be_renamed_while_it_restarts_is_stopped_for_it(site: Site) -> None:
    def refuse() -> None:
        del site.engine.on["rename", APP, OLD]
        raise EngineError("the place on the network is gone")

    site.engine.on["rename", APP, OLD] = refuse
    site.deploy("shop:2")
    assert site.engine.did()[4:8] == [f"rename {APP} {OLD}", f"stop {APP}", f"rename {APP} {OLD}", f"stop {OLD}"]
    assert site.engine.names() == {APP: "shop:2"}


def test_somebody_who_interrupts_it(site: Site) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    before = site.state()
    site.engine.on["start", NEXT] = interrupt
    with pytest.raises(KeyboardInterrupt):
        site.deploy("shop:2")
    assert_undone(site, before)
    assert site.newest().message.startswith("It was interrupted (KeyboardInterrupt()). The version before")


def test_an_old_version_that_does_not_end(site: Site) -> None:
    before = site.state()
    site.engine.versions["shop:1"].stops = False
    error = failed(site)
    assert f"The old version in {OLD} does not end." in error.message
    assert_undone(site, before)


BAD = {
    "exits at once": (Version(exits=0.0, answers=9), "exited with code 1"),
    "is never healthy": (Version(answers=1e9, healthy=1e9), "was not healthy within 60 s"),
    "is unhealthy": (Version(answers=1e9, healthy=1e9, unhealthy=5.0), "the application answers 503: out of service"),
    "has no entrypoint": (Version(refuses='exec: "/missing": no such file'), "/missing"),
    "crashes while it is watched": (Version(exits=6.0), "It was healthy at first, and then: "),
    "sickens while it is watched": (
        Version(unhealthy=6.0),
        "the application answers 503: out of service",
    ),
    "migrates by half": (Version(exits=0.2, answers=9, migrates=migrate), "exited with code 1"),
}


@pytest.mark.parametrize("bad", BAD, ids=list(BAD))
def test_a_bad_version_is_undone(site: Site, bad: str) -> None:
    version, message = BAD[bad]
    before = site.state()
    error = failed(site, version=version)
    assert message in error.message
    assert "The version before, shop:1, was put back and is healthy after" in error.message
    assert_undone(site, before)
    assert site.deploy("shop:3")["release"]["image"] == "shop:3"


def test_how_long_a_failed_version_kept_the_old_one_away(site: Site) -> None:
    error = failed(site, version=Version(answers=1e9, healthy=1e9))
    release = site.newest()
    assert 60 < release.downtime < 75
    assert release.downtime <= release.seconds < 90
    assert f"is healthy after 0.6 s; it was away for {release.downtime:.1f} s." in error.message


def test_an_old_version_that_was_not_stopped_was_not_away(site: Site) -> None:
    error = failed(site, version=Version(exits=0.1, answers=9), strategy="start-first", start_first_force=True)
    assert site.newest().downtime == 0
    assert site.newest().seconds > 0
    assert "away" not in error.message


def test_times_that_are_unknown_or_went_back_are_not_in_the_way(site: Site) -> None:
    site.engine.on["start", NEXT] = lambda: setattr(site.clock, "at", datetime(2026, 1, 1, tzinfo=timezone.utc))
    failed(site, version=Version(exits=0.1, answers=9))
    assert (site.newest().downtime, site.newest().seconds) == (0, 0)


def test_a_smoke_test_that_fails(site: Site) -> None:
    before = site.state()
    error = failed(site, smoke_test_command=["false"])
    assert "The smoke test failed. The command false ended with code 1" in error.message
    assert_undone(site, before)


def test_the_proxy_reloads_also_on_the_way_back(site: Site) -> None:
    failed(site, version=Version(exits=6.0), proxy_reload_command=["reload"])
    assert site.engine.did().count("here reload") == 2
    failed(site, image="shop:3", version=Version(exits=6.0), proxy_reload_command=["false"])
    assert site.engine.names() == {APP: "shop:1"}


def test_the_watcher_undoes_it_when_the_process_is_killed(site: Site) -> None:
    site.engine.add_image("shop:2", Version(migrates=migrate))
    site.deploy("shop:3", backup=site.backing_up())
    before = site.state()["data"]
    params = site.params("shop:2", restore=site.live().backup)
    child = os.fork()
    if child == 0:
        site.engine.on["stop", OLD] = lambda: os.kill(os.getpid(), signal.SIGKILL)
        site.run(params)
    os.waitpid(child, 0)
    with site.releases.lock("looking", 60.0):  # the watcher has it until it is done
        assert site.releases.unfinished() == []
    assert (site.newest().image, site.newest().result) == ("shop:2", FAILED)
    assert site.newest().message.startswith("The run that was at it was killed. ")
    assert site.beside() == []
    assert site.state()["data"] == before


# What people did by hand


def test_another_image_under_the_name_is_replaced(site: Site) -> None:
    site.engine.add_image("shop:9")
    for one in site.engine.containers.values():
        one["Image"] = "sha256:shop:9"
    result = site.deploy("shop:1")
    assert result["changed"] is True
    assert ("up", "shop") in site.engine.calls


def test_a_second_container_on_the_database_is_refused_also_when_the_live_one_is_only_started(site: Site) -> None:
    (own,) = site.engine.containers.values()
    site.engine.stop(own["Id"])
    site.engine.place_container("rescue", "shop:1", {}, [])
    site.engine.start("rescue")
    with pytest.raises(DockerVpsError, match="rescue also runs on shop-db"):
        site.deploy("shop:1")


def test_a_replica_stands_still_while_the_database_is_copied(site: Site) -> None:
    site.engine.place_container("replica", "shop:1", {}, [])
    site.engine.start("replica")
    site.engine.calls.clear()
    site.deploy("shop:2", allowed_containers=["replica"])
    did = [one for one in site.engine.did() if "replica" in one or one.startswith("start")]
    assert did == ["stop replica", "start replica", f"start {NEXT}"]


def test_a_replica_that_does_not_go_on_is_a_caution(site: Site) -> None:
    site.engine.place_container("replica", "shop:1", {}, [])
    site.engine.start("replica")
    site.engine.fails["start", "replica"] = EngineError("no more memory")
    (caution,) = site.deploy("shop:2", allowed_containers=["replica"])["cautions"]
    assert "replica does not run again: no more memory" in caution


def test_rows_of_users_who_came_by_an_alias_are_not_taken_for_the_versions_own(site: Site) -> None:
    site.engine.on["start", NEXT] = lambda: database(site.db / "payload.db", vendors=9)
    error = failed(site, version=Version(migrates=migrate, exits=6.0), aliases=["shop"], smoke_test_command=["true"])
    assert "9 rows of vendors" in error.message
    assert site.live().result == "degraded"


@pytest.mark.parametrize("in_the_way", ["releases/.lock", "releases/20250101-000000/release.json"])
def test_what_fails_before_a_release_begins_leaves_the_env_file_of_the_live_one(site: Site, in_the_way: str) -> None:
    before = Path(site.releases.live[".env.production"]).read_text()
    path = site.home / in_the_way
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)
    with pytest.raises((DockerVpsError, OSError)):
        site.deploy("shop:2")
    assert Path(site.releases.live[".env.production"]).read_text() == before
    assert site.engine.names() == {APP: "shop:1"}


def test_the_env_file_stays_while_another_release_is_at_work(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutover, "RECOVERED_WITHIN", 0.0)
    with site.releases.lock("another release", 0.0), pytest.raises(Locked):
        site.deploy("shop:2")
    assert "of shop:2" in Path(site.releases.live[".env.production"]).read_text()


def test_a_backup_that_was_removed_before_it_was_held_is_told_and_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1")
    before, lock = site.state(), site.sets.lock

    def locked(what: str, wait: float = 0.0) -> Any:
        if what == "a release":  # just before it, somebody else prunes
            site.sets.remove(site.sets.listing().sets)
        return lock(what, wait)

    monkeypatch.setattr(site.sets, "lock", locked)
    with pytest.raises(
        DockerVpsError, match="The backup set .* another run has removed it meanwhile. Nothing was changed"
    ):
        site.deploy("shop:2", backup=site.backing_up())
    monkeypatch.undo()
    assert site.state() == before
    assert site.deploy("shop:2", backup=site.backing_up())["changed"]


def test_a_hold_that_cannot_be_written_is_a_caution_and_keeps_no_old_release(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for number in range(1, 7):
        site.deploy(f"shop:{number}", backup=site.backing_up())
    held = Path(site.sets.directory, HOLDS.format("shop"))
    held.unlink()
    held.mkdir()  # nothing can take its place
    result = site.deploy("shop:7", backup=site.backing_up())
    assert result["pruned"] == ["shop:2"]
    assert (
        len([text for text in result["cautions"] if "Retention may remove the set that a rollback restores" in text])
        == 1
    )
