# SPDX-License-Identifier: GPL-3.0-or-later
"""What maintenance removes, what it leaves for a rollback, and what it says, with an engine of the test."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import database_upkeep, job_history
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.deploy_lock import Held
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import EngineError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import FAILED, Release
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.maintenance import (
    LOCK,
    MaintenanceWorld,
    Params,
    run,
    run_alone,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.files import own
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked, locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import Releases
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine, Shop
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._store.test_sqlite_upkeep import filled
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import publish

LIVE, BEFORE, FOREIGN, STOPPED, PARENT, LOOSE = (f"sha256:{number}" for number in range(6))
NOTHING = ["0 bytes freed in 0 s."]
WEEK_OLD, NEW = "2026-01-24T00:00:00Z", "2026-02-01T00:00:00Z"


@dataclass
class FakeMaintainedEngine(FakeVolumeEngine):
    """An engine with images without a name, by their ids, and build cache."""

    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    cache: dict[str, dict[str, Any]] = field(default_factory=dict)
    on_image: dict[str, str] = field(default_factory=dict)

    def add_image(self, image: str, size: int, shared: int = 0, based_on: str = "") -> None:
        self.images[image] = {"Id": image, "Size": size, "SharedSize": shared, "Parent": based_on, "Created": NEW}

    def add_cache(self, key: str, size: int, used: str = WEEK_OLD, **more: Any) -> None:
        self.cache[key] = {"ID": key, "Size": size, "CreatedAt": used, "LastUsedAt": used, **more}

    def all_containers(self) -> Sequence[Mapping[str, Any]]:
        return [{**one, "ImageID": self.on_image.get(one["Id"], "")} for one in self.containers.values()]

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        assert name, "the SDK refuses to ask"
        return self.images.get(name)

    def unnamed(self) -> Sequence[Mapping[str, Any]]:
        parents = {image["Parent"] for image in self.images.values()}
        return [image for image in self.images.values() if image["Id"] not in parents]

    def remove_unnamed(self, image: str) -> None:
        self._change("remove_unnamed", image)
        del self.images[image]

    def build_cache(self) -> Sequence[Mapping[str, Any]]:
        return list(self.cache.values())

    def prune_build_cache(self, before: int) -> None:
        self._change("prune_build_cache", datetime.fromtimestamp(before, timezone.utc).isoformat())
        old = [key for key, one in self.cache.items() if one["LastUsedAt"] == WEEK_OLD and not one.get("InUse")]
        for key in old:
            del self.cache[key]


class Maintained(Shop):
    """An application on a host with things that nobody needs."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.engine: FakeMaintainedEngine = FakeMaintainedEngine(place / "docker", self.clock, takes=0.0)
        self.db = self.engine.add_volume("shop-db")
        self.releases = Releases(str(place / "shop"), str(place / "shop/.env"))
        self.releases.prepare()
        self.params = Params("shop", "app", database_upkeep.Params({"db": "shop-db"}))
        for number, (image, result) in enumerate([(BEFORE, "healthy"), (LIVE, "healthy"), (FOREIGN, FAILED)]):
            release = Release(f"20260131-00000{number}", NEW, f"shop:{number}", image, "e", "d", result=result)
            self.releases.begin(release, "", own(""))

    @property
    def world(self) -> MaintenanceWorld:
        return MaintenanceWorld(lambda: self.engine, self.clock, self.sets, self.releases)

    def maintain(self, check_mode: bool = False, **params: Any) -> dict[str, Any]:
        return run(replace(self.params, **params), self.world, check_mode)


@pytest.fixture
def host(tmp_path: Path) -> Maintained:
    host = Maintained(tmp_path)
    publish(host.sets, "20260201-010000")
    job_history.record(host.sets.directory, "drill", job_history.Run(NEW, True, 1.0, "well"))
    job_history.record(host.sets.directory, "verify", job_history.Run(NEW, True, 1.0, "well"))
    return host


def test_nothing_to_do(host: Maintained) -> None:
    result = host.maintain()
    assert (result["changed"], result["freed"], result["summary"]) == (False, 0, NOTHING)


def test_images_that_a_release_or_a_container_has_stay(host: Maintained) -> None:
    for image in (LIVE, BEFORE, STOPPED):
        host.engine.add_image(image, 100)
    host.engine.add_container("stopped", running=False)
    host.engine.on_image["STOPPED"] = STOPPED
    assert host.maintain()["images"] == []
    host.engine.add_image(LOOSE, 5 << 20, shared=3 << 20)
    told = host.maintain(check_mode=True)
    assert LOOSE in host.engine.images
    done = host.maintain()
    assert told["images"] == done["images"] == [{"id": LOOSE, "bytes": 2 << 20}]
    assert (told["freed"], done["freed"], done["changed"]) == (2 << 20, 2 << 20, True)
    sentence = "1 image without a name and without a user {} removed, which alone had 2 MiB."
    assert told["summary"] == [sentence.format("would be"), "2 MiB would be freed in 0 s."]
    assert done["summary"] == [sentence.format("was"), "2 MiB freed in 0 s."]
    assert sorted(host.engine.images) == [LIVE, BEFORE, STOPPED]
    assert host.maintain()["changed"] is False


def test_what_an_image_without_a_name_was_based_on_goes_as_well_but_not_what_a_release_has(host: Maintained) -> None:
    host.engine.add_image(PARENT, 10)
    host.engine.add_image(LOOSE, 20, shared=-1, based_on=PARENT)
    assert [row["id"] for row in host.maintain()["images"]] == [LOOSE, PARENT]
    host.engine.add_image(BEFORE, 10)
    host.engine.add_image(LOOSE, 20, based_on=BEFORE)
    result = host.maintain()
    assert result["summary"][0].startswith("1 image ")
    assert list(host.engine.images) == [BEFORE]


def test_an_image_that_the_engine_wants_to_keep_is_told(host: Maintained) -> None:
    host.engine.add_image(LOOSE, 20)
    host.engine.fails[("remove_unnamed", LOOSE)] = EngineError("The Docker engine refused: in use.")
    result = host.maintain()
    assert (result["images"], result["changed"]) == ([], False)
    assert result["cautions"] == ["1 image without a name stayed: The Docker engine refused: in use."]


def test_a_release_that_cannot_be_read_protects_all_images(host: Maintained) -> None:
    host.engine.add_image(LOOSE, 20)
    Path(host.releases.path("20260131-000000", "release.json")).write_text("{")
    result = host.maintain()
    assert result["images"] == []
    assert result["cautions"][0].startswith("Images without a name were left alone: ")
    assert result["cautions"][1].startswith("Logs were left alone: ")


def test_build_cache_goes_when_nobody_used_it_for_long(host: Maintained) -> None:
    host.engine.add_cache("a", 100)
    host.engine.add_cache("b", 50)
    host.engine.add_cache("s", 9000, Shared=True)
    host.engine.add_cache("c", 1000, NEW)
    host.engine.add_cache("d", 1000, InUse=True)
    told = host.maintain(check_mode=True)
    assert sorted(host.engine.cache) == ["a", "b", "c", "d", "s"]
    done = host.maintain()
    assert told["build_cache"] == done["build_cache"] == {"records": 3, "bytes": 150}
    assert done["summary"][0] == "3 pieces of build cache, not used for 7 days, were removed: 150 bytes."
    assert told["summary"][0] == "3 pieces of build cache, not used for 7 days, would be removed: 150 bytes."
    assert host.engine.calls == [("prune_build_cache", "2026-01-25T02:00:00+00:00")]
    assert sorted(host.engine.cache) == ["c", "d"]


def test_pruning_can_be_left_out(host: Maintained) -> None:
    host.engine.add_cache("a", 100)
    host.engine.add_image(LOOSE, 20)
    assert host.maintain(prune=False)["summary"] == NOTHING


def test_logs_that_are_too_long_lose_their_beginning(host: Maintained, tmp_path: Path) -> None:
    built = tmp_path / "build.log"
    built.write_text("line\n" * 1000)
    built.chmod(0o640)
    failed = Path(host.releases.keep_log("20260131-000002", "é\n" * 2000))
    logs = [str(built), str(tmp_path / "none")]
    told = host.maintain(check_mode=True, logs=logs, log_bytes=1000)
    assert built.stat().st_size == 5000
    done = host.maintain(logs=logs, log_bytes=1000)
    assert told["logs"] == done["logs"]
    assert [row["path"] for row in done["logs"]] == [str(built), str(failed)]
    assert built.read_text().startswith("[4 KiB before this were cut off]\nline\n")
    assert (built.stat().st_size, built.stat().st_mode & 0o777) == (5000 - done["logs"][0]["freed"], 0o640)
    assert done["summary"][0] == f"{built} was cut by 4 KiB."
    assert host.maintain(logs=logs, log_bytes=1000)["changed"] is False


def test_what_is_no_log_is_left_alone(host: Maintained, tmp_path: Path) -> None:
    (tmp_path / "pipe").mkdir()
    result = host.maintain(logs=[str(tmp_path / "pipe")])
    assert result["cautions"][0].startswith("Logs were left alone: ")


def test_databases_are_tended(host: Maintained) -> None:
    filled(host.db / "payload.db")
    host.engine.add_container("app", "shop-db")
    tending = replace(host.params.databases, vacuum=True)
    told = host.maintain(check_mode=True, databases=tending)
    assert told["summary"][0].startswith('shop-db/payload.db: the statistics of a "post would be brought up to date, ')
    host.engine.takes = 0.5
    done = host.maintain(databases=tending)
    first = done["summary"][0]
    assert first.startswith('shop-db/payload.db: the statistics of a "post were brought up to date, and a VACUUM gave ')
    assert first.endswith(" MiB back; the application was paused for 1 s.")
    assert done["freed"] == done["databases"][0]["freed"] > 1 << 20
    again = host.maintain(databases=tending)
    assert (again["changed"], again["cautions"]) == (False, [])
    assert again["summary"][0].startswith("shop-db/payload.db: no VACUUM, since only ")
    (host.db / "payload.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    assert host.maintain()["cautions"][0].startswith("shop-db/payload.db: SQLite cannot read ")


def test_what_is_due_is_told(host: Maintained) -> None:
    host.engine.add_container("app")
    host.engine.containers["APP"]["Image"] = LIVE
    host.engine.containers["app"] = host.engine.containers.pop("APP")
    host.engine.add_image(LIVE, 1)
    assert host.maintain()["due"] == []
    host.clock.passed += 100 * 86400
    assert [line.split(":")[0] for line in host.maintain()["due"]] == [
        "The newest backup set is 100 days old",
        "A restore last proved a set 100 days ago",
        "All sets were last read 100 days ago",
        "The image of the application is 100 days old",
    ]


def test_a_host_without_sets(tmp_path: Path) -> None:
    result = Maintained(tmp_path).maintain()
    assert result["due"][0] == "There is no backup set: \u27e6play backup\u27e7 is due."
    assert result["cautions"] == []


def test_what_a_killed_backup_has_paused_goes_on(host: Maintained) -> None:
    host.engine.add_container("app", "shop-db", paused=True)
    told = host.stopped_while_paused()
    assert host.maintain()["cautions"] == [told]


def test_nobody_else_is_at_work(host: Maintained) -> None:
    with host.sets.lock("a backup"), pytest.raises(Locked, match="a backup of shop"):
        host.maintain()
    with host.releases.lock("a cutover", 0.0), pytest.raises(Locked, match="a cutover"):
        host.maintain()
    with locked(os.path.join(host.releases.home, LOCK), "maintenance of shop"), pytest.raises(Locked):
        run_alone(host.params, host.world)


def test_alone_it_holds_the_lock_of_plays(host: Maintained) -> None:
    path = Path(host.releases.home, "deploy.lock")
    seen = []
    host.engine.add_image(LOOSE, 20)
    host.engine.on[("remove_unnamed", LOOSE)] = lambda: seen.append(path.read_text())
    assert run_alone(host.params, host.world)["changed"] is True
    assert '"purpose": "maintenance"' in seen[0] or '"maintenance of this host"' in seen[0]
    assert not path.exists()
    path.write_text(seen[0].replace("the maintenance of this host", "ann"))
    with pytest.raises(Held, match="Cannot begin maintenance: "):
        run_alone(host.params, host.world)
    path.write_text(seen[0])  # of one that was killed
    assert run_alone(host.params, host.world)["changed"] is False
