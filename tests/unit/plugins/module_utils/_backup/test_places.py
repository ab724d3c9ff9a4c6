# SPDX-License-Identifier: GPL-3.0-or-later
"""What would be taken along with the data of a volume, and where a new one may be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup, restore
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.places import refuse_new_place
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import LABELS, Shop, tree_of


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def bind(shop: Shop, name: str, place: Path) -> Path:
    """Bind a volume of the shop to a directory, and move its data there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    os.rename(shop.engine.volumes[name]["Mountpoint"], place)
    shop.engine.volumes[name]["Options"] = {"type": "none", "o": "bind", "device": str(place)}
    return place


def restored(shop: Shop, check_mode: bool = False, **params: Any) -> dict[str, Any]:
    given = restore.Params("shop", **{"stop_app": True, **params})
    return restore.run(given, shop.sets, lambda: shop.engine, shop.clock, check_mode)


def refused(shop: Shop, **params: Any) -> str:
    """Be refused in a dry run and in earnest, before anything is touched."""
    shop.engine.calls.clear()
    there, volumes = files(shop), dict(shop.engine.volumes)
    for check_mode in (True, False):
        with pytest.raises(DockerVpsError) as caught:
            restored(shop, check_mode, **params)
        assert shop.engine.calls == []
        assert shop.engine.volumes == volumes
    assert files(shop) == there
    return caught.value.message


def files(shop: Shop) -> dict[str, bytes]:
    """Return all there is but the lock, which tells who held it last."""
    found = tree_of(shop.engine.place.parent)
    return {path: data for path, data in found.items() if not path.endswith(".lock")}


@pytest.mark.parametrize("check_mode", [True, False])
def test_the_backup_directory_in_a_volume(shop: Shop, check_mode: bool) -> None:
    sets = Sets(str(shop.media / "backups"), "shop")
    params = backup.Params("shop", {"db": "shop-db", "media": "shop-media"})
    with pytest.raises(DockerVpsError) as caught:
        backup.run(params, sets, lambda: shop.engine, shop.clock, check_mode)
    assert caught.value.message == (
        f"The backup sets are in {shop.media}/backups, which is in the directory {shop.media} of the volume "
        "shop-media: each set would hold the ones before, and a restore would move all of them away. Move the sets to "
        "a directory outside."
    )
    assert not [one for one in tree_of(shop.media) if "tar" in one]


def test_a_restore_from_a_backup_directory_in_the_volume(shop: Shop) -> None:
    shop.back_up()
    os.rename(shop.sets.directory, shop.media / "backups")
    shop.sets = Sets(str(shop.media / "backups"), "shop")
    assert f"The backup sets are in {shop.media}/backups, which is in the directory" in refused(shop)
    assert restored(shop, volumes={"db": "shop-db"})["volumes"] == ["shop-db"]


def test_one_volume_in_another(shop: Shop, tmp_path: Path) -> None:
    db = bind(shop, "shop-db", shop.media / "db")
    made = shop.back_up()
    message = (
        f"The directory {db} of the volume shop-db is in the directory {shop.media} of the volume shop-media: what "
        "takes the place of shop-media takes that of shop-db, too. Give each volume a directory of its own."
    )
    assert f"media: as it is now, the set could not be restored into shop-media. {message}" in made.manifest.warnings
    assert refused(shop) == f"{message} Nothing was changed."
    assert refused(shop, volumes={"media": "shop-media"}) == f"{message} Nothing was changed."
    assert restored(shop, volumes={"db": "shop-db"})["volumes"] == ["shop-db"]


def test_two_volumes_of_one_directory(shop: Shop) -> None:
    shop.engine.volumes["alias"] = {**shop.engine.volumes["shop-media"], "Name": "alias"}
    shop.back_up()
    assert "Give each volume a directory of its own." in refused(shop, volumes={"db": "alias", "media": "shop-media"})
    assert restored(shop)["set"]


def test_a_container_that_uses_the_directory_by_its_path(shop: Shop, tmp_path: Path) -> None:
    bind(shop, "shop-media", tmp_path / "srv/media")
    shop.engine.add_container("writer", binds=[f"{tmp_path}/srv"])
    shop.back_up(consistency="stop")
    assert {call for call in shop.engine.calls if call[0] == "stop"} == {("stop", "APP"), ("stop", "WRITER")}
    assert "app, writer run on shop-db, shop-media, so nothing was restored." in refused_running(shop)
    assert restored(shop)["stopped"] == ["app", "writer"]
    assert shop.engine.running() == ["APP", "WRITER"]


def refused_running(shop: Shop) -> str:
    with pytest.raises(DockerVpsError) as caught:
        restored(shop, stop_app=False)
    return caught.value.message


def test_one_that_vanishes_when_stopped_is_foreseen(shop: Shop) -> None:
    shop.back_up()
    shop.engine.containers["APP"]["HostConfig"]["AutoRemove"] = True
    assert "app was started with --rm" in refused(shop)
    shop.engine.calls.clear()
    with pytest.raises(DockerVpsError, match="app was started with --rm"):
        shop.back_up(consistency="stop")
    assert shop.engine.calls == []
    shop.back_up(consistency="pause")


def gone(shop: Shop, tmp_path: Path) -> Path:
    """Back up a volume that is bound to a directory, and come to a host that has neither."""
    place = bind(shop, "shop-media", tmp_path / "srv/media")
    made = shop.back_up()
    assert made.manifest.archives[1].options == {"type": "none", "o": "bind", "device": str(place)}
    shop.engine.containers.clear()
    del shop.engine.volumes["shop-media"]
    os.rename(place, tmp_path / "lost")
    return place


def test_a_missing_volume_comes_back_where_it_was(shop: Shop, tmp_path: Path) -> None:
    place = gone(shop, tmp_path)
    message = refused(shop)
    assert message.startswith(
        f"The volume shop-media was bound to the directory {place}, which is not on this host. Make"
    )
    assert f"(mkdir -p {place})" in message
    place.mkdir()
    assert restored(shop)["created"] == ["shop-media"]
    assert tree_of(place) == {"a.png": b"a" * 1000}
    made = shop.engine.volumes["shop-media"]
    assert (made["Options"]["device"], made["Labels"]) == (str(place), LABELS)


def test_a_missing_volume_is_not_laid_over_something_else(shop: Shop, tmp_path: Path) -> None:
    place = gone(shop, tmp_path)
    place.mkdir()
    (place / "precious").touch()
    assert "in which something else is on this host" in refused(shop)
    assert restored(shop, volumes={"media": "fresh"})["created"] == ["fresh"]
    assert shop.engine.volumes["fresh"]["Options"] is None


@pytest.mark.parametrize("place", ["/etc/it-none", "/usr/share"])
def test_no_directory_of_the_system_becomes_a_volume(place: str) -> None:
    with pytest.raises(DockerVpsError, match="was bound to the directory"):
        refuse_new_place("media", place)


def test_a_driver_that_keeps_a_limit(shop: Shop) -> None:
    shop.engine.volumes["shop-media"]["Options"] = {"size": "1G"}
    shop.back_up()
    del shop.engine.volumes["shop-media"]
    restored(shop)
    assert shop.engine.volumes["shop-media"]["Options"] == {"size": "1G"}
