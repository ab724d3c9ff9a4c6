# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before a cutover, and that nothing has changed then."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.backup import Query
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.host import FILES_LABEL
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import cutover, preconditions
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked
from ansible_collections.ptnextjs.docker_vps.tests.unit.databases import DIES
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import database
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_release import APP, Site, Version, labels_of


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """One release is live."""
    one = Site(tmp_path)
    one.deploy("shop:1")
    one.engine.add_image("shop:2")
    one.engine.calls.clear()
    return one


def refused(site: Site, dry_run: bool = True, **more: Any) -> DockerVpsError:
    """Be refused, and see that nothing has changed, though the env file was the new one already.

    A dry run is refused with the same message, unless it lacks what earlier steps of a play would have brought.
    """
    before = site.state()
    if dry_run:
        with pytest.raises(DockerVpsError) as checked:
            site.run(site.params("shop:2", **more), check=True)
        assert site.state() == before
    site.write_env("of shop:2")
    with pytest.raises(DockerVpsError) as caught:
        site.run(site.params("shop:2", **more))
    assert site.state() == before
    assert site.engine.calls == []
    assert len(site.releases.listing()) == 1
    assert not dry_run or checked.value.message == caught.value.message
    return caught.value


def test_an_image_that_is_not_there(site: Site) -> None:
    del site.engine.images["shop:2"]
    assert "The image shop:2 is not on this host. Build or pull it first." in refused(site, dry_run=False).message


def test_an_env_file_that_is_not_there(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.engine.add_image("shop:2")
    os.unlink(site.home / ".env.production")
    with pytest.raises(DockerVpsError, match=r"There is no .*/\.env\.production\. Write it first\."):
        site.run(site.params("shop:2"))


@pytest.mark.parametrize("others", [["cron"], ["cron", "worker"]])
def test_a_second_container_on_the_database(site: Site, others: list[str]) -> None:
    for name in others:
        site.engine.place_container(name, "shop:1", {}, [])
        site.engine.start(name)
    site.engine.calls.clear()
    message = refused(site).message
    assert f"{', '.join(others)} also {'runs' if len(others) == 1 else 'run'} on shop-db." in message
    site.run(site.params("shop:2", allowed_containers=others))
    assert site.live().image == "shop:2"


def test_a_stopped_one_may_be_there(site: Site) -> None:
    site.engine.place_container("cron", "shop:1", {}, [])
    site.run(site.params("shop:2"))
    assert site.live().image == "shop:2"


def test_a_disk_without_room_for_the_copy(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = os.statvfs(site.db)
    full = os.statvfs_result((facts.f_bsize, facts.f_frsize, facts.f_blocks, 0, 0, *facts[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    message = "has 0 bytes free, and the copy of shop-db with which this release could be undone needs 64"
    with pytest.raises(DockerVpsError, match=message):
        site.run(site.params("shop:2"))
    with pytest.raises(DockerVpsError, match=message):
        site.run(site.params("shop:2"), check=True)
    assert site.engine.calls == []


def test_holes_need_no_room(site: Site) -> None:
    with open(site.db / "sparse", "wb") as file:
        file.truncate(2**43)
        file.write(b"x")
    site.run(site.params("shop:2"))
    assert site.live().image == "shop:2"


def test_overlap_on_sqlite(site: Site) -> None:
    message = refused(site, strategy="start-first").message
    assert "shop-db holds the SQLite database payload.db" in message
    assert "so start-first is refused. Set ⟦setting cutover stop-first⟧, or ⟦setting start_first_force true⟧" in message
    site.run(site.params("shop:2", strategy="start-first", start_first_force=True))
    assert site.live().image == "shop:2"


def test_overlap_on_what_cannot_be_looked_into(site: Site) -> None:
    site.engine.volumes["shop-db"]["Driver"] = "nfs"
    message = refused(site, strategy="start-first").message
    assert "It is not known whether shop-db holds an SQLite database, so start-first is refused." in message
    assert "its driver is nfs" in message


def test_overlap_without_a_volume(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.engine.volumes.clear()
    site.deploy("shop:1", strategy="start-first")
    assert site.live().image == "shop:1"


def test_data_that_could_not_be_put_back_is_a_caution(site: Site) -> None:
    site.engine.volumes["shop-db"]["Driver"] = "nfs"
    result = site.run(site.params("shop:2"))
    assert result["cautions"][0].startswith("The data would not be put back if this release failed. The volume shop-db")
    assert site.live().schema == ""
    site.engine.add_image("shop:3", Version(exits=0.1, answers=9))
    with pytest.raises(DockerVpsError, match=r"The data would not be put back if this release failed\."):
        site.run(site.params("shop:3"))


def test_a_mount_point_cannot_be_exchanged(site: Site) -> None:
    site.engine.volumes["shop-db"].update({"Options": {"o": "bind", "device": "/proc"}})
    found, message = preconditions.data_of(site.params("shop:2"), site.sets, site.engine)
    assert found is None
    assert "/proc is a mount point" in message


def test_paths_that_nobody_could_copy_are_a_caution(site: Site) -> None:
    top = os.open(site.db, os.O_RDONLY)
    for _turn in range(21):
        os.mkdir("d" * 200, dir_fd=top)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=top)
        os.close(top)
        top = below
    os.close(top)
    (caution,) = site.run(site.params("shop:2"), check=True)["cautions"]
    message = (
        f"The data would not be put back if this release failed. Paths in {site.db} are too long to be copied: ddd"
    )
    assert caution.startswith(message)
    assert len(caution) < 600
    assert site.run(site.params("shop:2"))["cautions"] == [caution]


def test_what_vanishes_when_it_is_stopped(site: Site) -> None:
    site.engine.containers[site.engine.container(APP)["Id"]]["HostConfig"]["AutoRemove"] = True  # type: ignore[index]
    assert f"{APP} was started with --rm" in refused(site).message
    assert f"{APP} was started with --rm" in refused(site, strategy="start-first", start_first_force=True).message


def test_a_container_that_uses_the_directory_by_its_path(site: Site) -> None:
    made = site.engine.place_container("files", "shop:1", {}, [])
    site.engine.containers[made]["Mounts"] = [{"Type": "bind", "Source": str(site.db.parent), "RW": True}]
    site.engine.start("files")
    site.engine.calls.clear()
    assert "files also runs on shop-db." in refused(site).message


def test_a_project_of_the_same_name_from_another_compose_file_is_of_somebody_else(site: Site) -> None:
    site.engine.remove_container(APP)
    labels = {**labels_of("shop"), FILES_LABEL: "/srv/shop/compose.yml"}
    site.engine.place_container("shop-app-1", "shop:1", labels, [])
    site.engine.start("shop-app-1")
    site.engine.calls.clear()
    assert "shop-app-1 also runs on shop-db." in refused(site).message


def test_a_backup_that_fails(site: Site) -> None:
    params = site.backing_up(uploads=Query("SELECT", "db"))
    site.engine.volumes["shop-media"]["Driver"] = "nfs"
    message = refused(site, backup=params).message
    assert message.startswith("The backup before the release failed, so nothing was changed. ")


def test_only_what_is_there_is_backed_up(site: Site) -> None:
    del site.engine.volumes["shop-media"]
    site.run(site.params("shop:2", backup=site.backing_up(uploads=Query("SELECT 'a.png'", "media"))))
    (made,) = site.sets.listing().sets
    assert [one.name for one in made.manifest.archives] == ["db"]


def test_without_data_there_is_no_backup(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.engine.volumes.clear()
    site.deploy("shop:1", backup=site.backing_up())
    assert site.live().backup == ""
    assert site.sets.listing().sets == []


def test_an_env_file_that_is_given(site: Site) -> None:
    given = cutover.files.Kept("WORD=given\n", 0o600, os.geteuid(), os.getegid())
    site.run(site.params("shop:2", environment=given))
    assert (site.home / ".env.production").read_text() == "WORD=given\n"


def backed_up(site: Site) -> str:
    """Put another version live with a backup, let users write, and return the set_id of the backup."""
    site.deploy("shop:2", backup=site.backing_up())
    database(site.db / "payload.db", vendors=5)
    site.engine.add_image("shop:3")
    site.engine.calls.clear()
    return site.live().backup


def test_restored_data_takes_the_place_of_the_live_one(site: Site) -> None:
    set_id = backed_up(site)
    site.deploy("shop:3", restore=set_id)
    assert site.counted()["vendors"] == 3
    assert site.beside() == []


def test_restored_data_that_could_not_be_checked_is_a_caution(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    set_id = backed_up(site)
    monkeypatch.setattr(sys, "executable", DIES)
    (caution,) = site.deploy("shop:3", restore=set_id)["cautions"]
    assert caution == "The database payload.db was not checked: the process that examined it ended with 1."
    assert site.counted()["vendors"] == 3


@pytest.mark.parametrize("seconds", [0.1, 6.0])
def test_the_data_before_a_restore_is_put_back_in_any_case(site: Site, seconds: float) -> None:
    set_id = backed_up(site)
    before = site.state()
    version = Version(exits=seconds, answers=9 if seconds < 1 else 0.5)
    with pytest.raises(DockerVpsError, match=r"The data is as it was before\."):
        site.deploy("shop:3", version, restore=set_id)
    assert site.counted()["vendors"] == 8
    assert site.state() == before


def test_what_users_wrote_into_restored_data_is_not_lost(site: Site) -> None:
    set_id = backed_up(site)
    site.engine.on["here", "reload"] = lambda: database(site.db / "payload.db", vendors=1)
    with pytest.raises(DockerVpsError, match=r"Would be lost: 1 row of vendors\."):
        site.deploy("shop:3", Version(unhealthy=6.0), restore=set_id, proxy_reload_command=["reload"])
    assert site.counted()["vendors"] == 4
    assert site.live().image == "shop:3"


def test_a_restore_without_a_volume(site: Site) -> None:
    set_id = backed_up(site)
    del site.engine.volumes["shop-db"]
    with pytest.raises(
        DockerVpsError,
        match=r"so nothing was changed\. The volume shop-db is missing; restore it",
    ):
        site.run(site.params("shop:3", restore=set_id))


@pytest.mark.parametrize("what", ["damage", "backup"])
def test_staged_data_is_not_left(site: Site, what: str) -> None:
    set_id = backed_up(site)
    params = site.params("shop:3", restore=set_id)
    if what == "damage":
        path = next(Path(site.sets.directory).glob("db-*.tar.gz"))
        path.write_bytes(path.read_bytes()[:-9])
        manifest = next(Path(site.sets.directory).glob("*.json"))
        size = path.stat().st_size
        manifest.write_text(manifest.read_text().replace(f'"bytes": {size + 9}', f'"bytes": {size}'))
    if what == "backup":
        params = site.params("shop:3", restore=set_id, backup=site.backing_up())
        site.engine.volumes["shop-media"]["Driver"] = "nfs"
    before = site.state()
    site.write_env("of shop:3")
    with pytest.raises(DockerVpsError):
        site.run(params)
    assert site.state() == before


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the job that is running."""
    monkeypatch.setattr(cutover, "RECOVERED_WITHIN", 0.0)


@pytest.mark.usefixtures("impatient")
def test_nothing_is_staged_or_changed_when_a_backup_is_at_work(site: Site) -> None:
    set_id = backed_up(site)
    before = site.state()
    site.write_env("of shop:3")
    with site.sets.lock("a backup"), pytest.raises(Locked, match="Cannot begin a release of shop: a backup of shop"):
        site.run(site.params("shop:3", restore=set_id))
    assert site.state() == before
    assert site.engine.calls == []


@pytest.mark.usefixtures("impatient")
def test_a_second_run_is_told_who_is_at_work(site: Site) -> None:
    message = "Cannot begin a release of shop: a release of shop"
    with site.releases.lock("a release of shop", 0), pytest.raises(Locked, match=message):
        site.run(site.params("shop:2"))
    assert site.engine.names() == {APP: "shop:1"}


# Data that would be left behind, or that is not there yet


def moved(site: Site, **more: Any) -> Any:
    """Put a version live whose database is in another volume."""
    site.engine.add_image("shop:2")
    for one in site.engine.containers.values():
        one["Mounts"] = [{"Type": "volume", "Name": "shop-db"}]
    return site.run(site.params("shop:2", database_volume="shop-new", **more))


@pytest.mark.parametrize("there", [False, True])
def test_an_empty_volume_does_not_take_the_place_of_the_data(site: Site, there: bool) -> None:
    if there:
        site.engine.add_volume("shop-new")
    with pytest.raises(DockerVpsError, match="has its data in shop-db, and shop-new has none"):
        moved(site)
    assert site.engine.names() == {APP: "shop:1"}


def test_another_volume_with_data_may(site: Site) -> None:
    (site.engine.add_volume("shop-new") / "payload.db").write_bytes((site.db / "payload.db").read_bytes())
    assert moved(site)["changed"] is True


def test_there_is_no_backup_of_what_has_written_nothing_yet(site: Site) -> None:
    for place in (site.db, site.media):
        for path in place.iterdir():
            path.unlink()
    site.deploy("shop:2", backup=site.backing_up())
    assert site.live().backup == ""


def test_a_secret_without_a_value(site: Site) -> None:
    message = refused(site, secrets=("PAYLOAD_SECRET", "GONE")).message
    assert message.startswith(
        "GONE should be given to the application as a file, and the env file has no value for it."
    )


def test_nobody_to_give_secrets_to(site: Site) -> None:
    (site.home / ".env.production").write_text("PAYLOAD_SECRET=x\nPUID=root\n")
    with pytest.raises(DockerVpsError, match="PUID and PGID must be numbers, but are root and 1000"):
        site.run(site.params("shop:2", secrets=("PAYLOAD_SECRET",)))
    assert site.engine.calls == []


def test_an_image_that_may_not_take_secrets_from_files(site: Site) -> None:
    given = site.params("shop:2", secrets=("PAYLOAD_SECRET",))
    (caution,) = site.run(given, check=True)["cautions"]
    assert caution == (
        "The image shop:2 gets PAYLOAD_SECRET as files, and does not say that it reads them: it has to take each from "
        "the file whose path is in the variable of its name with _FILE. When it does, label it with "
        "ptnextjs.docker_vps.secrets=files; otherwise set ⟦setting secrets environment⟧."
    )
    labels = {"ptnextjs.docker_vps.secrets": "files"}
    site.engine.images["shop:2"] = {**site.engine.images["shop:2"], "Config": {"Labels": labels}}
    assert site.run(given, check=True)["cautions"] == []
    pending = site.params("shop:2", secrets=("GONE",), env_pending=True)
    assert site.run(pending, check=True)["cautions"] == []
