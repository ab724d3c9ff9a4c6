# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a volume is."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import restore
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.ownership import refuse_foreign
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.restore_source import Params
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine, Shop


@pytest.fixture
def engine(tmp_path: Path) -> FakeVolumeEngine:
    return FakeVolumeEngine(tmp_path)


def test_volumes_of_the_application_and_of_nobody(engine: FakeVolumeEngine) -> None:
    engine.add_volume("shop-db")  # labels of the project shop
    engine.add_volume("plain", Labels=None)
    engine.add_volume("taken-over", Labels={"com.docker.compose.project": "before"})
    engine.add_container("app", "taken-over", running=False)
    refuse_foreign("shop", engine, ["shop-db", "plain", "taken-over", "not-there"])


def test_what_else_uses_a_volume_of_the_application_while_that_is_stopped(engine: FakeVolumeEngine) -> None:
    engine.add_volume("shop-db")
    engine.add_volume("plain", Labels=None)
    engine.add_container("tool", "shop-db")
    engine.containers["TOOL"]["Config"]["Labels"] = {"com.docker.compose.project": "tools"}
    engine.add_container("replica", "plain")
    labels = {"com.docker.compose.project": "shop-litestream", "ptnextjs.docker_vps.app": "shop"}
    engine.containers["REPLICA"]["Config"]["Labels"] = labels
    refuse_foreign("shop", engine, ["shop-db", "plain"])
    with pytest.raises(DockerVpsError, match="plain, which belongs to shop, not to blog"):
        refuse_foreign("blog", engine, ["plain"])


def test_volumes_of_another_application(engine: FakeVolumeEngine) -> None:
    engine.add_volume("blog-db", Labels={"com.docker.compose.project": "blog"})
    engine.add_volume("used", Labels=None)
    engine.add_container("app", "used")
    with pytest.raises(
        DockerVpsError, match="names the volume blog-db, which belongs to blog, not to shop, so nothing"
    ):
        refuse_foreign("shop", engine, ["blog-db"])
    with pytest.raises(DockerVpsError, match="names the volume used, which belongs to shop, not to news"):
        refuse_foreign("news", engine, ["used"])


def test_a_manifest_that_names_the_volume_of_another_application(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    made = shop.back_up()
    theirs = shop.engine.add_volume("blog-db", Labels={"com.docker.compose.project": "blog"})
    (theirs / "precious").write_text("x")
    (shop.db / "payload.db").unlink()
    path = Path(shop.sets.directory, f"manifest-{made.manifest.id}.json")
    path.write_text(path.read_text().replace('"volume": "shop-db"', '"volume": "blog-db"'))
    for check_mode in (True, False):
        with pytest.raises(DockerVpsError, match="blog-db, which belongs to blog"):
            restore.run(Params("shop", stop_app=True), shop.sets, lambda: shop.engine, shop.clock, check_mode)
    assert (theirs / "precious").exists()
    assert shop.engine.calls == []
    named = Params("shop", volumes={"db": "shop-db"}, stop_app=True)
    restore.run(named, shop.sets, lambda: shop.engine, shop.clock, False)
    assert (shop.db / "payload.db").exists()
