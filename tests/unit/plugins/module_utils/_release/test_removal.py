# SPDX-License-Identifier: GPL-3.0-or-later
"""An application goes as a whole, its data only when that is meant, and nothing of anybody else with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, EngineError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.removal import Params, run
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import APP, SECRET, Site, labels_of

ARCHIVES = {"db": "shop-db", "media": "shop-media"}
SIZE = 12288  # bytes of the database of the tests


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A live application with the images of two releases."""
    made = Site(tmp_path)
    made.engine.add_image("shop-app:1")
    made.engine.add_image("shop-app:2")
    made.engine.place_container(APP, "shop-app:2", labels_of("shop"), [])
    made.engine.start(APP)
    (made.home / "compose.yml").write_text("services: {}\n")
    (made.home / "releases/20260131-020000").mkdir(parents=True)
    made.engine.calls.clear()
    return made


def params(site: Site, **given: Any) -> Params:
    """Return what belongs to the application, and that its name was typed."""
    return Params(
        **{
            "app": "shop",
            "directory": str(site.home),
            "env_file": str(site.home / ".env.production"),
            "images": ("shop-app",),
            "volumes": ("shop-db", "shop-media"),
            "backups": str(site.sets.directory),
            "host": "vps",
            "confirm": "shop",
            "network": "proxy",
            **given,
        }
    )


def remove(site: Site, check: bool = False, **given: Any) -> dict[str, Any]:
    """Remove it."""
    return run(params(site, **given), site.engine, check)


def refused(site: Site, check: bool = False, **given: Any) -> str:
    """Return why it is not removed; nothing has changed then."""
    before = site.state()
    site.engine.calls.clear()
    with pytest.raises(DockerVpsError) as caught:
        remove(site, check, **given)
    assert site.state() == before
    assert site.engine.calls == []
    return caught.value.message


def left(site: Site) -> list[str]:
    """Return what is in the directory."""
    return sorted(path.name for path in site.home.iterdir())


def other(site: Site, name: str, image: str, *volumes: str) -> None:
    """Let somebody else have a container."""
    key = site.engine.place_container(name, image, labels_of("blog"), [])
    site.engine.containers[key]["Mounts"] = [{"Type": "volume", "Name": volume, "RW": False} for volume in volumes]


def test_the_data_and_its_secret_stay(site: Site) -> None:
    result = remove(site)
    assert result["changed"] is True
    assert result["goes"] == [
        f"containers {APP}",
        "images shop-app:1, shop-app:2",
        f"in {site.home}: compose.yml, releases",
    ]
    assert result["stays"] == [
        f"volumes shop-db ({SIZE // 1024} KiB), shop-media (1 byte)",
        f"{site.home}/.env.production, since its PAYLOAD_SECRET belongs to the data",
        f"the network proxy, and the backups in {site.sets.directory}",
    ]
    assert result["summary"][0] == f"Gone: containers {APP}"
    assert result["summary"][-1].startswith("Stays: the network proxy")
    assert (result["volumes"], result["backup"]) == ([], {})
    assert site.engine.did() == [
        f"stop {APP}",
        f"remove {APP}",
        "remove_image shop-app:1",
        "remove_image shop-app:2",
    ]
    assert left(site) == [".env.production"]
    assert SECRET in (site.home / ".env.production").read_text()
    assert site.counted()["vendors"] == 3


@pytest.mark.parametrize("data", [False, True])
def test_a_second_removal_changes_nothing(site: Site, data: bool) -> None:
    first = remove(site, data=data)
    site.engine.calls.clear()
    again = remove(site, data=data)
    assert (first["changed"], again["changed"], again["goes"]) == (True, False, [])
    assert again["summary"][0] == "Gone: nothing, since there is nothing of shop"
    assert again["diff"]["before"] == again["diff"]["after"]
    assert site.engine.calls == []


def test_with_the_data_nothing_is_left_but_backups(site: Site) -> None:
    (site.home / "deploy.lock").write_text("somebody removes it\n")
    result = remove(site, data=True, archives=ARCHIVES)
    assert result["goes"][-3:] == [
        f"in {site.home}: .env.production, compose.yml, releases",
        "the PAYLOAD_SECRET in .env.production, which is in no backup",
        f"volumes shop-db ({SIZE // 1024} KiB), shop-media (1 byte)",
    ]
    assert result["stays"] == [f"the network proxy, and the backups in {site.sets.directory}"]
    assert (result["volumes"], result["backup"]) == (["shop-db", "shop-media"], ARCHIVES)
    assert not site.home.exists()
    assert site.engine.volumes == site.engine.containers == site.engine.images == {}
    kinds = [call[0] for call in site.engine.calls]
    assert kinds == ["stop", "remove", "remove_volume", "remove_volume", "remove_image", "remove_image"]


@pytest.mark.parametrize("data", [False, True])
@pytest.mark.parametrize(("check", "planned"), [(True, False), (False, True), (True, True)])
def test_a_dry_run_and_a_plan_change_nothing(site: Site, data: bool, check: bool, planned: bool) -> None:
    before = site.state()
    result = remove(site, check, data=data, planned=planned)
    assert (site.state(), site.engine.calls) == (before, [])
    assert result["summary"][0] == f"Would go: containers {APP}"
    assert result["changed"] is not planned
    assert (result["diff"]["before"] == result["diff"]["after"]) is planned
    assert remove(site, data=data)["goes"] == result["goes"]


@pytest.mark.parametrize(
    ("given", "end"),
    [
        ({"confirm": ""}, "To go ahead, add ⟦once remove_confirm shop⟧; to remove the data too, after a last backup, "),
        ({"confirm": "", "data": True}, "To go ahead, add ⟦once remove_confirm shop⟧."),
        ({"confirm": "shpo"}, "⟦setting remove_confirm⟧ is shpo, which is not the name of this application. To go"),
        ({"confirm": "", "planned": True}, "To go ahead, add ⟦once remove_confirm shop⟧; to remove"),
    ],
)
def test_the_name_has_to_be_typed(site: Site, given: dict[str, Any], end: str) -> None:
    lines = refused(site, jobs=("shop-backup.timer",), **given).split("\n")
    goes = lines.index("This would stay:")
    assert lines[:3] == [
        "Nothing was removed. This would go from vps:",
        f"- containers {APP}",
        "- scheduled jobs shop-backup.timer",
    ]
    assert (lines[goes - 1].startswith("- volumes shop-db (")) is bool(given.get("data"))
    assert lines[-2].startswith("- the network proxy")
    assert lines[-1].startswith(end)
    assert remove(site, check=True, **{**given, "planned": False})["changed"] is True


def test_there_was_nothing_to_remove(tmp_path: Path) -> None:
    empty = Site(tmp_path)
    empty.engine.volumes.clear()
    os.remove(empty.home / ".env.production")
    empty.home.rmdir()
    assert "- nothing, since there is nothing of shop\n" in refused_without_state(empty)
    result = remove(empty, data=True, archives=ARCHIVES)
    assert (result["changed"], result["goes"], result["backup"]) == (False, [], {})


def refused_without_state(site: Site) -> str:
    """Return what is said of an application without files."""
    with pytest.raises(DockerVpsError) as caught:
        remove(site, confirm="", network="")
    assert f"- the backups in {site.sets.directory}" in caught.value.message
    return caught.value.message


def test_an_empty_directory_goes_with_the_data(site: Site) -> None:
    remove(site, data=True)
    site.home.mkdir()
    result = remove(site, data=True)
    assert (result["changed"], result["goes"]) == (True, [f"the directory {site.home}"])
    assert not site.home.exists()


def test_jobs_and_the_site_are_told_and_left_to_whoever_calls(site: Site) -> None:
    remove(site)
    result = remove(
        site, jobs=("/etc/cron.d/shop-backup",), site_files=("/p/sites/shop.caddy", "/p/certificates/shop.pem")
    )
    assert (result["changed"], result["goes"]) == (
        False,
        [
            "scheduled jobs /etc/cron.d/shop-backup",
            "the site in the reverse proxy, /p/sites/shop.caddy, /p/certificates/shop.pem",
        ],
    )


@pytest.mark.parametrize("directory", ["/", "/srv", "/srv/", "//srv", "/srv/../srv", "srv"])
def test_nothing_at_the_top_of_the_file_system_is_removed(site: Site, directory: str) -> None:
    message = f"⟦setting directory⟧ is {directory}, which is at the top of the file system: nothing is removed there."
    for check in (False, True):
        assert refused(site, check, directory=directory).startswith(message)


def test_nor_by_way_of_a_link(site: Site, tmp_path: Path) -> None:
    os.symlink("/srv", tmp_path / "link")
    assert "at the top of the file system" in refused(site, directory=str(tmp_path / "link"))


def test_a_link_goes_with_what_it_leads_to(site: Site, tmp_path: Path) -> None:
    os.symlink(site.home, tmp_path / "link")
    result = remove(site, directory=str(tmp_path / "link"), env_file=str(tmp_path / "link/.env.production"))
    assert result["stays"][1].startswith(f"{tmp_path}/link/.env.production, since")
    assert left(site) == [".env.production"]
    remove(site, directory=str(tmp_path / "link"), data=True)
    assert left(site) == []
    assert not os.path.lexists(tmp_path / "link")


def test_an_env_file_deeper_in_the_directory_stays(site: Site) -> None:
    (site.home / "etc").mkdir()
    (site.home / ".env.production").rename(site.home / "etc/env")
    assert f"{site.home}/etc, since" in remove(site, env_file=str(site.home / "etc/env"))["stays"][1]
    assert left(site) == ["etc"]


def test_an_env_file_that_is_a_link_stays_with_its_target(site: Site) -> None:
    env = site.home / ".env.production"
    env.rename(site.home / "shared.env")
    env.symlink_to("shared.env")
    assert f"{env}, {site.home}/shared.env, since its" in remove(site)["stays"][1]
    assert SECRET in env.read_text()


def test_names_that_are_no_text_are_shown(site: Site) -> None:
    Path(os.fsdecode(os.fsencode(site.home / "caf") + b"\xe9")).touch()
    result = remove(site)
    assert f"in {site.home}: caf\\xe9, compose.yml, releases" in result["goes"]
    assert result["files"][0] == f"{site.home}/caf\\xe9"
    assert left(site) == [".env.production"]


@pytest.mark.parametrize("linked", [False, True])
def test_backups_in_the_directory_stay(site: Site, tmp_path: Path, linked: bool) -> None:
    place = tmp_path / "sets" if linked else site.home / "sets"
    place.mkdir()
    if linked:
        os.symlink(place, site.home / "sets")
    (place / "manifest").write_text("{}")
    for data in (False, True):
        remove(site, data=data, backups=str(site.home / "sets"))
        assert (site.home / "sets/manifest").exists()
    assert left(site) == ["sets"]
    assert remove(site, data=True, backups=str(site.home / "sets"))["changed"] is False


def test_an_image_that_others_use_stays(site: Site) -> None:
    images = site.engine.images
    images["blog:1"] = images["shop-app:1"]  # by another name too, and so it is used
    images["sha256:unused"], images["sha256:used"] = {"Id": "sha256:unused"}, {"Id": "sha256:used"}
    for name, image in (("a", "blog:1"), ("b", "shop-app:2"), ("c", "sha256:used")):
        other(site, name, image)
    assert remove(site)["images"] == ["shop-app:1", "sha256:unused"]
    assert set(images) == {"blog:1", "shop-app:2", "sha256:used"}


def test_an_image_that_others_use_by_its_id_stays(site: Site) -> None:
    site.engine.images["sha256:shop-app:1"] = site.engine.images["shop-app:1"]
    other(site, "a", "sha256:shop-app:1")
    assert remove(site)["images"] == ["shop-app:2"]


@pytest.mark.parametrize("image", ["shop-app:9", "shop-app@sha256:ab", "shop-app:9@sha256:ab"])
def test_a_tag_and_a_digest_of_the_image_mean_nothing(site: Site, image: str) -> None:
    assert remove(site, images=(image,))["images"] == ["shop-app:1", "shop-app:2"]


def test_the_port_of_a_registry_is_no_tag(site: Site) -> None:
    site.engine.add_image("registry:5000/shop-app:1")
    assert remove(site, images=("registry:5000/shop-app",))["images"] == ["registry:5000/shop-app:1"]


def test_what_was_pulled_goes_with_its_digest_in_the_registry(site: Site) -> None:
    there, pulled = "registry:5000/acme/site", "registry:5000/acme/site@sha256:ab"
    site.engine.images.clear()
    for number, name in enumerate(("shop-app:1", "shop-app:2", "blog-app:1")):
        site.engine.images[name] = {"Id": f"sha256:{min(number, 1)}", "RepoDigests": [pulled, "shop-app@sha256:ab"]}
    result = remove(site, images=("shop-app", f"{there}:latest@sha256:cd"))
    assert result["images"] == [pulled, "shop-app:1", "shop-app:2"]
    assert list(site.engine.images) == ["blog-app:1"]


@pytest.mark.parametrize("check", [False, True])
def test_data_that_somebody_else_uses_does_not_go(site: Site, check: bool) -> None:
    other(site, "replica", "shop-app:1", "shop-media")
    message = (
        "replica also uses the volumes shop-db and shop-media of shop: nothing was removed. Remove these containers"
    )
    assert refused(site, check, data=True).startswith(message)
    other(site, "copy", "shop-app:1", "shop-db")
    assert refused(site, check, data=True).startswith("copy, replica also use the volumes")
    assert remove(site)["changed"] is True


def test_data_that_a_backup_would_not_hold_does_not_go(site: Site) -> None:
    message = "⟦setting backup_volumes⟧ leaves out shop-media, so a last backup would not hold this data. Add it there"
    for check in (False, True):
        assert refused(site, check, data=True, archives={"db": "shop-db"}).startswith(message)
    (site.media / "a.png").unlink()
    assert remove(site, check=True, data=True, archives={"db": "shop-db"})["backup"] == {"db": "shop-db"}
    assert remove(site, archives={})["changed"] is True


def test_a_backup_holds_what_there_is(site: Site) -> None:
    del site.engine.volumes["shop-media"]
    more = {**ARCHIVES, "mail": "shop-mail"}
    assert remove(site, True, data=True, archives=more)["backup"] == {"db": "shop-db", "mail": "shop-mail"}


def test_volumes_without_data_need_no_backup(site: Site) -> None:
    (site.media / "a.png").unlink()
    (site.db / "payload.db").unlink()
    result = remove(site, data=True, archives={})
    assert (result["backup"], result["volumes"]) == ({}, ["shop-db", "shop-media"])


def test_a_volume_that_cannot_be_looked_into_may_hold_data(site: Site) -> None:
    site.engine.volumes["shop-db"]["Driver"] = "rclone"
    site.engine.volumes["shop-media"]["Mountpoint"] = "/nowhere/_data"
    result = remove(site, check=True, data=True, archives=ARCHIVES)
    assert result["goes"][-1] == "volumes shop-db, shop-media"
    assert result["backup"] == ARCHIVES


def test_an_external_volume_is_none_of_ours(site: Site) -> None:
    result = remove(site, data=True, volumes=(), archives={})
    assert (result["volumes"], result["backup"]) == ([], {})
    assert set(site.engine.volumes) == {"shop-db", "shop-media"}


def test_a_failure_says_that_something_is_left(site: Site) -> None:
    site.engine.fails["remove_volume", "shop-media"] = EngineError("The Docker engine refused: in use.")
    with pytest.raises(EngineError) as caught:
        remove(site, data=True)
    message = "The Docker engine refused: in use. The removal of shop is not complete: when that is fixed, ⟦again⟧."
    assert caught.value.message == message
    assert (site.home / "compose.yml").exists()
    site.engine.fails.clear()
    assert remove(site, data=True)["goes"][0] == "images shop-app:1, shop-app:2"
    assert not site.home.exists()


def test_a_file_that_cannot_be_removed_is_named(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A command rm that cannot do it; root could remove anything else that a test may make.
    (tmp_path / "bin").mkdir()
    rm = tmp_path / "bin/rm"
    rm.write_text("#!/bin/sh\necho 'rm: Operation not permitted' >&2\nexit 1\n")
    rm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=os.pathsep)
    with pytest.raises(DockerVpsError, match=r"compose.yml cannot be removed: rm: Operation not permitted\. See with"):
        remove(site)


def test_a_stopped_container_is_not_stopped_again(site: Site) -> None:
    site.engine.stop(APP)
    site.engine.calls.clear()
    remove(site)
    assert site.engine.did()[0] == f"remove {APP}"
