# SPDX-License-Identifier: GPL-3.0-or-later
"""The return to an earlier release: to which one, with which data, and what is said and refused first."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import rollback
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.rollback import Params
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import database
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import (
    APP,
    FATE,
    NEXT,
    SECRET,
    Killed,
    Site,
    Version,
    definition_of,
    migrate,
)


def change_schema(place: Path) -> None:
    """Migrate without a trace in rows and times."""
    database(place / "payload.db", orders=0)
    os.utime(place / "payload.db", (0, 0))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two releases, of which the second has migrated the database."""
    one = Site(tmp_path)
    one.deploy("shop:1")
    one.deploy("shop:2", Version(migrates=change_schema), backup=one.backing_up())
    one.engine.calls.clear()
    return one


def same_schema(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    for number in range(1, 5):
        site.deploy(f"shop:{number}", backup=site.backing_up())
    return site


def returned(site: Site, to: str = "", data: str = "auto", check: bool = False, **more: Any) -> dict[str, Any]:
    params = Params(to, data, site.params("", definition="", backup=site.backing_up(), **more))
    try:
        return rollback.run(params, site.sets, site.world, check)
    finally:
        site.clock.passed += 60


def ids(site: Site) -> dict[str, str]:
    return {one.image: one.id for one in site.releases.listing()}


def test_to_the_version_before(tmp_path: Path) -> None:
    site = same_schema(tmp_path)
    database(site.db / "payload.db", vendors=4)
    target = ids(site)["shop:3"]
    result = returned(site)
    live = site.live()
    assert (live.image, live.rolled_back_to, result["rolled_back_to"]) == ("shop:3", target, target)
    assert site.engine.names() == {APP: "shop:3"}
    assert "of shop:3" in (site.home / ".env.production").read_text()
    assert '"shop:3"' in (site.home / "compose.yml").read_text()
    assert (result["restored"], result["would_lose"], site.counted()["vendors"]) == ("", {}, 7)
    at = site.releases.read(target).at  # type: ignore[union-attr]
    assert result["summary"].endswith(f"It is release {target} of {at}. The data stays as it is.")


def test_each_further_one_goes_further_back(tmp_path: Path) -> None:
    site = same_schema(tmp_path)
    seen = [returned(site)["release"]["image"] for _turn in range(3)]
    assert seen == ["shop:3", "shop:2", "shop:1"]
    with pytest.raises(DockerVpsError, match="There is no healthy release before the live one to return to"):
        returned(site)
    assert site.engine.names() == {APP: "shop:1"}


def test_to_one_by_its_id(tmp_path: Path) -> None:
    site = same_schema(tmp_path)
    assert returned(site, ids(site)["shop:1"])["release"]["image"] == "shop:1"


def test_to_the_live_one(tmp_path: Path) -> None:
    site = same_schema(tmp_path)
    result = returned(site, site.releases.current())
    assert result["changed"] is False
    assert "is live already" in result["summary"]


def test_with_the_data_when_nothing_is_lost(site: Site) -> None:
    with_migration = site.live().backup
    result = returned(site)
    assert site.live().image == "shop:1"
    assert result["restored"] == with_migration
    assert site.counted() == {"vendors": 3, "payload_migrations": 1}
    assert site.beside() == []


def test_newer_rows_are_not_lost_unasked(site: Site) -> None:
    database(site.db / "payload.db", vendors=2)
    before = site.state()
    with pytest.raises(DockerVpsError) as caught:
        returned(site)
    assert "The schema of the database has changed since release" in caught.value.message
    assert "2 rows of vendors" in caught.value.message
    assert caught.value.evidence["would_lose"]["tables"]["vendors"] == 2  # type: ignore[index]
    assert site.state() == before
    assert site.engine.calls == []


def test_newer_rows_are_lost_when_asked(site: Site) -> None:
    database(site.db / "payload.db", vendors=2)
    result = returned(site, data="restore")
    assert site.counted() == {"vendors": 3, "payload_migrations": 1}
    assert "2 rows of vendors" in result["summary"]
    assert result["would_lose"]["tables"]["vendors"] == 2


def test_the_data_is_kept_when_asked(site: Site) -> None:
    result = returned(site, data="keep")
    assert site.live().image == "shop:1"
    assert site.counted() == {"vendors": 3, "payload_migrations": 1, "orders": 0}
    assert result["restored"] == ""


def test_a_restored_one_is_put_live_also_when_the_container_is_well(tmp_path: Path) -> None:
    site = same_schema(tmp_path)
    database(site.db / "payload.db", vendors=4)
    result = returned(site, data="restore")
    assert site.counted()["vendors"] == 3
    assert result["restored"] == site.releases.read(ids(site)["shop:4"]).backup  # type: ignore[union-attr]


def test_data_is_never_exchanged_under_two_versions(tmp_path: Path) -> None:
    site = same_schema(tmp_path)
    database(site.db / "payload.db", vendors=4)
    site.engine.together = 0
    returned(site, data="restore", strategy="start-first", start_first_force=True)
    assert site.counted()["vendors"] == 3
    assert (site.engine.together, site.live().strategy) == (1, "stop-first")
    assert site.beside() == []


def test_the_backup_is_the_one_of_what_took_its_place(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1")
    with pytest.raises(DockerVpsError):
        site.deploy("shop:bad", Version(exits=0.1, answers=9), backup=site.backing_up())
    database(site.db / "payload.db", vendors=5)
    site.deploy("shop:2", Version(migrates=migrate), backup=site.backing_up())
    result = returned(site, data="restore")
    assert result["restored"] == site.releases.read(ids(site)["shop:2"]).backup  # type: ignore[union-attr]
    assert site.counted()["vendors"] == 8


def test_retention_keeps_what_a_rollback_of_the_live_release_restores(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1")
    site.deploy("shop:2", backup=site.backing_up())
    second = site.live()
    assert site.sets.holds() == {second.backup: f"the data before release {second.id}"}
    for _turn in range(3):
        with pytest.raises(DockerVpsError):
            site.deploy("shop:bad", Version(exits=0.1, answers=9), backup=site.backing_up())
        assert list(site.sets.holds()) == [second.backup], "one that failed needs none"
    site.sets.hold({})  # as before there was this
    assert site.deploy("shop:2", backup=site.backing_up())["changed"] is False
    assert list(site.sets.holds()) == [second.backup]
    site.deploy("shop:3", backup=site.backing_up())
    assert list(site.sets.holds()) == [site.live().backup]
    returned(site, data="keep")
    # What comes next is shop:1, whose data the set has that was made before shop:2; and one may want to undo it.
    assert set(site.sets.holds()) == {second.backup, site.live().backup}


def test_without_a_backup_of_then(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1")
    site.deploy("shop:2", Version(migrates=migrate))
    site.deploy("shop:3", backup=site.backing_up())
    with pytest.raises(DockerVpsError, match="There is no backup of the data as release .* left it"):
        returned(site, ids(site)["shop:1"])
    assert site.engine.names() == {APP: "shop:3"}


def test_without_the_set_of_then(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1")
    site.deploy("shop:2", Version(migrates=migrate), backup=site.backing_up())
    site.sets.remove(site.sets.listing().sets)
    with pytest.raises(DockerVpsError, match="left it, since set .* was removed from .*⟦setting rollback_data keep⟧"):
        returned(site, data="restore")


def test_to_the_live_one_with_its_data(tmp_path: Path) -> None:
    site = same_schema(tmp_path)
    with pytest.raises(DockerVpsError, match="There is no backup of the data as release"):
        returned(site, site.releases.current(), data="restore")


def forget_schema(site: Site, image: str) -> None:
    """As of a release whose health route had not asked for the database yet."""
    target = next(one for one in site.releases.listing() if one.image == image)
    site.releases.record(replace(target, schema=""))


def test_a_schema_that_is_unknown_is_taken_to_be_another(site: Site) -> None:
    forget_schema(site, "shop:1")
    assert returned(site)["restored"] == next(one for one in site.releases.listing() if one.image == "shop:2").backup


def test_a_schema_that_is_unknown_is_asked_about_when_rows_would_be_lost(site: Site) -> None:
    forget_schema(site, "shop:1")
    database(site.db / "payload.db", vendors=9)
    with pytest.raises(DockerVpsError, match="The schema of the database may not be that of release .* Would be lost"):
        returned(site)


def test_the_schema_is_learnt_when_a_version_ends(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for number in range(1, 3):
        site.deploy(f"shop:{number}", backup=site.backing_up())
    known = {one.image: one.schema for one in site.releases.listing()}
    forget_schema(site, "shop:2")
    site.deploy("shop:3", backup=site.backing_up())
    assert {one.image: one.schema for one in site.releases.listing()} == {**known, "shop:3": known["shop:2"]}
    assert returned(site)["restored"] == ""


def test_without_a_volume_nothing_is_restored(site: Site) -> None:
    del site.engine.volumes["shop-db"]
    assert returned(site, check=True)["restored"] == ""


def test_check_mode(site: Site) -> None:
    before = site.state()
    result = returned(site, check=True)
    assert result["changed"] is True
    assert result["release"]["image"] == "shop:1"
    assert "shop:1 would take the place of the live version" in result["summary"]
    assert result["summary"].endswith("Nothing would be lost.")
    assert site.state() == before
    assert site.engine.calls == []


def diff_of(shown: Mapping[str, str]) -> set[str]:
    """Return the lines that differ."""
    before, after = (set(shown[side].splitlines()) for side in ("before", "after"))
    return {f"- {line}" for line in before - after} | {f"+ {line}" for line in after - before}


def test_the_diff_says_what_would_be_another_one_and_no_value(site: Site) -> None:
    now, then, made = site.live(), ids(site)["shop:1"], site.live().backup
    for check in (True, False):
        release, definition, environment = returned(site, check=check)["diff"]
        assert diff_of(release) == {
            f"- release: {now.id}",
            "- image: shop:2",
            f"+ release: {then}",
            "+ image: shop:1",
            f"+ database: that of set {made}",
        }
        assert [definition[side] for side in ("before", "after")] == [definition_of("shop:2"), definition_of("shop:1")]
        assert diff_of(environment) == {"- WORD=(previous value)", "+ WORD=(new value)"}
        places = {shown["after_header"] for shown in (release, definition, environment)}
        assert places == {str(site.home / name) for name in ("releases/current", "compose.yml", ".env.production")}
        assert SECRET not in str([release, definition, environment])
        if check:
            (site.home / ".env.production").write_text("nobody = 'understands\n")
            assert returned(site, check=check)["diff"][2]["before"] == ""
            site.write_env("of shop:2")


def test_files_that_are_gone(site: Site) -> None:
    os.unlink(site.releases.path(ids(site)["shop:1"], "compose.yml"))
    with pytest.raises(DockerVpsError, match=r"The files of release .* are gone\. Deploy its revision again\."):
        returned(site)


def test_what_was_pulled_is_known_by_its_name_in_the_registry(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for number in range(1, 3):
        site.deploy(f"shop:{number}", pulled=f"r:5000/site:1@sha256:{number}")
    returned(site)
    assert (site.live().image, site.live().pulled) == ("shop:1", "r:5000/site:1@sha256:1")


def test_an_image_that_is_gone(site: Site) -> None:
    del site.engine.images["shop:1"]
    with pytest.raises(DockerVpsError, match=r"is not on this host any more\. Deploy its revision \(unknown\) instead"):
        returned(site)


def test_a_name_that_means_another_image_by_now(site: Site) -> None:
    site.engine.images["shop:1"] = {"Id": "sha256:other"}
    with pytest.raises(DockerVpsError, match="is another one now under the same name"):
        returned(site)


def test_one_that_does_not_come_up_leaves_what_was_before(site: Site) -> None:
    before = site.state()
    site.engine.versions["shop:1"] = Version(exits=6.0)
    with pytest.raises(DockerVpsError, match="The version before, shop:2, was put back and is healthy"):
        returned(site)
    assert site.state() == before


def test_what_a_killed_run_has_left_is_recovered_first(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy("shop:1")
    site.deploy("shop:2", backup=site.backing_up())
    site.engine.add_image("shop:3", Version(migrates=migrate))
    site.engine.on["rename", NEXT, APP] = lambda: FATE.strike(tmp_path, 0, Killed())
    site.write_env("of shop:3")
    with pytest.raises(Killed):
        site.run(site.params("shop:3", backup=site.backing_up()))
    FATE.rest()
    site.engine.on.clear()
    site.clock.passed += 60
    result = returned(site)
    assert result["restored"] == ""
    assert site.engine.names() == {APP: "shop:1"}
    assert site.counted() == {"vendors": 3, "payload_migrations": 1}


@pytest.mark.parametrize("name", ["shop-new", "shop-d"])
def test_a_release_with_its_database_in_another_volume(site: Site, name: str) -> None:
    how = site.params("", database_volume=name)
    with pytest.raises(DockerVpsError, match=f"has its database in another volume than {name},"):
        rollback.run(rollback.Params("", "keep", how), site.sets, site.world, False)


def test_uploads_that_the_older_rows_name_and_that_are_gone_are_told(site: Site) -> None:
    asked = backup.Query("SELECT id || '.png' FROM vendors", "media")
    how = site.params("", definition="", backup=site.backing_up(uploads=asked))
    for check in (True, False):
        result = rollback.run(Params("", "restore", how), site.sets, site.world, check)
        assert result["would_lose"]["uploads_gone"] == 3
        assert "3 uploads that its rows name are not in shop-media: 1.png, 2.png, 3.png." in result["summary"]


def with_secrets(site: Site, image: str, *names: str) -> dict[str, Any]:
    """Put an image live whose container has values as files."""
    site.engine.add_image(image)
    folder = f"{site.releases.directory}/{{release}}"
    definition = json.loads(definition_of(image))
    definition["secrets"] = {name: {"file": f"{folder}/secrets/{name}"} for name in names}
    try:
        return site.run(site.params(image, definition=json.dumps(definition), secrets=names, backup=site.backing_up()))
    finally:
        site.clock.passed += 60


@pytest.mark.parametrize("names", [("PAYLOAD_SECRET",), ()])
def test_over_a_change_of_how_secrets_are_given(tmp_path: Path, names: tuple[str, ...]) -> None:
    """The release that is returned to has its own files, and the one that it is the content of may be forgotten."""
    site = Site(tmp_path)
    given = [names, () if names else ("PAYLOAD_SECRET",)]
    for number, one in enumerate(given):
        with_secrets(site, f"shop:{number}", *one)
    target = ids(site)["shop:0"]
    result = returned(site)
    live = site.live()
    folder = Path(site.releases.directory, live.id)
    assert (result["rolled_back_to"], live.secrets) == (target, names)
    assert (folder / "secrets/PAYLOAD_SECRET").exists() is bool(names)
    if names:
        assert (folder / "secrets/PAYLOAD_SECRET").read_text() == SECRET
    definition = (site.home / "compose.yml").read_text()
    assert target not in definition
    assert (str(folder) in definition) is bool(names)
    assert live.content == site.releases.read(target).content  # type: ignore[union-attr]
    assert site.releases.unreleased() == []
    again = with_secrets(site, "shop:0", *names)
    assert again["summary"] == f"Release {live.id} is live already."


def test_files_of_secrets_are_where_they_were_after_a_failure(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with_secrets(site, "shop:1", "PAYLOAD_SECRET")
    before = site.state()
    site.engine.add_image("shop:2", Version(exits=0.1, answers=9))
    with pytest.raises(DockerVpsError):
        site.run(site.params("shop:2", secrets=("PAYLOAD_SECRET",)))
    after = site.state()
    assert (after["files"], after["running"]) == (before["files"], before["running"])
    assert (Path(site.releases.directory, site.live().id) / "secrets/PAYLOAD_SECRET").read_text() == SECRET
