# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore drills of real sets with an engine that only pretends to start what is restored."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.drill import Params, run, sweep
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineError,
    EngineUnreachable,
    InvalidInput,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import ContainerSnapshot
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health_check import PROBE, as_test
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import DrillResult
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.databases import DIES
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FakeEngine, FakeFeed, seen
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeVolumeEngine, FakeWallClock, database

SET_ID = "20260201-020000"
NAME = f"shop-drill-{SET_ID}"
SECRET = 's3cret "with" quotes'
IMAGE_ID = "sha256:" + "ab" * 32
ENV = f"PAYLOAD_SECRET='{SECRET}'\nDATABASE_URI=file:/data/payload.db\nPUID=7\nKEY=\"first line\\nsecond line\"\n"
MOUNTS = {"db": "/data", "media": "/app/public/media"}


class FakeDrillEngine(FakeVolumeEngine):
    """An engine that also has images, networks, labels, health and logs."""

    def __init__(self, place: Path, clock: FakeWallClock) -> None:
        super().__init__(place, clock, takes=0)
        self.images = {IMAGE_ID}
        self.networks: dict[str, Mapping[str, Any]] = {}
        self.configs: list[Mapping[str, Any]] = []
        self.labels: Mapping[str, str] = {}
        timeline: list[tuple[float, ContainerSnapshot]] = [
            (0, seen("starting", name=NAME)),
            (3, seen("healthy", name=NAME)),
        ]
        self.health = FakeEngine(clock, {NAME: timeline}, lines={NAME: ["ready"]})

    def turns(self, captured: str) -> None:
        self.health.timeline = {NAME: [(0, seen("starting", name=NAME)), (3, seen(captured, name=NAME))]}

    def look(self, name: str) -> ContainerSnapshot:
        return self.health.look(name)

    def listen(self, names: Sequence[str]) -> FakeFeed:
        return self.health.listen(names)

    def answer_of(self, name: str) -> str:
        return self.health.answer_of(name)

    def logs(self, name: str, lines: int) -> list[str]:
        assert lines == 50
        return self.health.logs(name, lines) if name in self.containers else []

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        return {"Id": name, "Config": {"Labels": self.labels}} if name in self.images else None

    def create_network(self, name: str, labels: Mapping[str, str], internal: bool) -> None:
        assert internal
        self._change("create_network", name)
        self.networks[name] = labels

    def create_container(self, name: str, config: Mapping[str, Any]) -> None:
        self._change("create_container", name)
        self.configs.append(config)
        mounts = [{"Type": "volume", "Name": one["Source"]} for one in config["HostConfig"]["Mounts"]]
        self.containers[name] = {"Id": name, "Name": f"/{name}", "Mounts": mounts, "Labels": config["Labels"]}

    def remove_labelled(self, label: str) -> None:
        self._change("remove_labelled", label)
        marked = dict([label.split("=")])
        for kind in (self.containers, self.networks, self.volumes):
            for name, one in list(kind.items()):
                if marked in (one, one.get("Labels")):
                    del kind[name]  # type: ignore[attr-defined]


class World:
    """A directory with a set of an application that runs, and an engine on which to drill it."""

    def __init__(self, place: Path, uploads: bool = True) -> None:
        self.clock = FakeWallClock()
        self.engine = FakeDrillEngine(place / "volumes", self.clock)
        database(self.engine.add_volume("shop-db") / "payload.db", vendors=3, media=1)
        media = self.engine.add_volume("shop-media")
        if uploads:
            (media / "photo.jpg").write_bytes(b"picture")
        self.engine.add_container("app", "shop-db", "shop-media")
        self.sets = Sets(str(place / "backups"), "shop")
        volumes = {"db": "shop-db", "media": "shop-media"}
        backup.run(backup.Params(app="shop", volumes=volumes), self.sets, lambda: self.engine, self.clock, False)
        self.env_file = place / ".env.production"
        self.env_file.write_text(ENV)
        self.before = self.state()

    def state(self) -> Any:
        engine = self.engine
        return sorted(engine.containers), sorted(engine.volumes), sorted(engine.networks), engine.running()

    @property
    def set(self) -> BackupSet:
        return self.sets.listing().sets[0]

    @property
    def drills(self) -> tuple[DrillResult, ...]:
        return self.set.manifest.drills

    def record(self, **changes: Any) -> None:
        self.sets.record(replace(self.set.manifest, **changes))

    def drill(self, check_mode: bool = False, **given: Any) -> dict[str, Any]:
        values = {"app": "shop", "set": "latest", "env_file": str(self.env_file), "mounts": MOUNTS, "timeout": 20.0}
        return run(Params(**{**values, **given}), self.sets, lambda: self.engine, self.clock, check_mode)

    def failure(self, recorded: bool = True) -> DockerVpsError:
        """Drill a set that must not pass; check that this is written down or not, and that nothing is left."""
        with pytest.raises(DockerVpsError) as caught:
            self.drill()
        assert self.state() == self.before
        if recorded:
            assert self.drills[-1].passed is False
            assert self.drills[-1].reason in caught.value.message
        else:
            assert self.drills == ()
        return caught.value

    def at_start(self, do: Callable[[Path], None]) -> None:
        """Let the application do something to its restored database and its media when it starts."""
        self.engine.on["start", NAME] = lambda: do(self.engine.place / f"{NAME}-db/_data")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.engine.on["start", NAME] = lambda: None
    return world


def test_a_set_is_verified(world: World) -> None:
    result = world.drill()
    proof = DrillResult("2026-02-01T02:00:00Z", True, "", IMAGE_ID, 3.0, recovery=3.0)
    assert world.drills == (proof,)
    assert world.set.manifest.verified
    assert result["drill"] == {
        "at": proof.at,
        "passed": True,
        "reason": "",
        "image": IMAGE_ID,
        "seconds": 3.0,
        "recovery": 3.0,
    }
    assert (result["changed"], result["set"], result["image"]) == (True, SET_ID, IMAGE_ID)
    assert (result["files"], result["tables"], result["rows"]) == (2, 2, 4)
    assert (result["healthy_after"], result["notes"]) == (3.0, [])
    assert result["summary"] == (
        f"The set {SET_ID} of shop is verified: its image was healthy 3.0 s after its start, with all 2 files and "
        "4 rows in 2 tables."
    )
    assert world.state() == world.before


def test_files_that_are_databases_are_called_so(tmp_path: Path) -> None:
    result = World(tmp_path, uploads=False).drill()
    assert result["summary"].endswith("with all 1 file (the database) and 4 rows in 2 tables.")


def test_the_application_is_left_alone(world: World) -> None:
    world.engine.calls.clear()
    world.drill()
    assert world.engine.calls == [
        ("remove_labelled", "ptnextjs.docker_vps.drill=shop"),
        ("create_volume", f"{NAME}-db"),
        ("create_volume", f"{NAME}-media"),
        ("create_network", NAME),
        ("create_container", NAME),
        ("start", NAME),
        ("remove_labelled", "ptnextjs.docker_vps.drill=shop"),
    ]


def test_how_the_container_is_made(world: World) -> None:
    world.engine.containers["shop-app"] = {
        "HostConfig": {"Memory": 2**30, "NanoCpus": 10**9, "ReadonlyRootfs": True, "Binds": ["/:/host"]},
        "Mounts": [],
    }
    world.record(release=replace(world.set.manifest.release, container="shop-app"))
    world.drill(port=8080, health_path="/healthz")
    (config,) = world.engine.configs
    assert config["Image"] == IMAGE_ID
    assert config["Env"] == [
        f"PAYLOAD_SECRET={SECRET}",
        "DATABASE_URI=file:/data/payload.db",
        "PUID=7",
        "KEY=first line\nsecond line",
    ]
    assert config["Labels"] == {"ptnextjs.docker_vps.drill": "shop"}
    check = config["Healthcheck"]
    assert check["Test"] == as_test(PROBE, [], "http://127.0.0.1:8080/healthz", 9)
    assert (check["Interval"], check["StartPeriod"]) == (10**9, 20 * 10**9)
    host = config["HostConfig"]
    assert host["NetworkMode"] == NAME
    assert [(one["Source"], one["Target"]) for one in host["Mounts"]] == [
        (f"{NAME}-db", "/data"),
        (f"{NAME}-media", "/app/public/media"),
    ]
    assert host["RestartPolicy"] == {"Name": "no"}
    assert (host["Memory"], host["NanoCpus"], host["OomScoreAdj"]) == (2**30, 10**9, 1000)
    assert host["ReadonlyRootfs"] is True
    assert not {"PortBindings", "Binds"} & {*host}


@pytest.mark.parametrize("takes", [True, False])
def test_secrets_are_given_as_the_application_has_them(world: World, takes: bool) -> None:
    """Unless the image of the set is older than that."""
    source = "/opt/shop/releases/1/secrets"
    live = [
        {"Type": "bind", "Source": f"{source}/{name}", "Destination": f"/run/secrets/{name}"} for name in ("KEY", "X")
    ]
    world.engine.containers["shop-app"] = {"HostConfig": {}, "Mounts": live}
    world.engine.labels = {"ptnextjs.docker_vps.secrets": "files"} if takes else {}
    world.record(release=replace(world.set.manifest.release, container="shop-app"))
    world.drill()
    (config,) = world.engine.configs
    given = [one for one in config["HostConfig"]["Mounts"] if one["Type"] == "bind"]
    mount = {"Type": "bind", "Source": f"{source}/KEY", "Target": "/run/secrets/KEY", "ReadOnly": True}
    assert given == ([mount] if takes else [])
    keys = [one.split("=")[0] for one in config["Env"]]
    assert keys == ["PAYLOAD_SECRET", "DATABASE_URI", "PUID", "KEY_FILE" if takes else "KEY"]


@pytest.mark.parametrize("tables", [None, {}])
def test_a_set_without_the_database_is_not_verified(world: World, tables: Optional[dict[str, int]]) -> None:
    db, media = world.set.manifest.archives
    none = () if tables is None else (replace(db.databases[0], tables=tables),)
    world.record(archives=(replace(db, databases=none), media))
    assert "holds no database with a table, and DATABASE_URI names file:/data/payload.db" in world.failure().message
    assert world.engine.configs == []


@pytest.mark.parametrize(
    ("uri", "mounts", "named"),
    [
        ("file:///data/new.db", {}, "new.db in the archive db"),
        ("file:///data/media/new.db", {"media": "/data/media"}, "new.db in the archive media"),
    ],
)
def test_another_database_with_tables_proves_nothing(
    world: World, uri: str, mounts: dict[str, str], named: str
) -> None:
    world.env_file.write_text(f"DATABASE_URI={uri}\n")
    with pytest.raises(DockerVpsError, match=f"DATABASE_URI names {named}, and it is not there: what is healthy"):
        world.drill(mounts={**MOUNTS, **mounts})
    assert world.engine.configs == []


def test_a_database_outside_of_the_mounts_is_not_looked_for(world: World) -> None:
    world.env_file.write_text("DATABASE_URI=file:///srv/shop.db\n")
    assert world.drill()["drill"]["passed"]


def test_a_set_without_a_database_is_enough_for_an_application_with_a_server(world: World) -> None:
    db, media = world.set.manifest.archives
    world.record(archives=(replace(db, databases=()), media))
    world.env_file.write_text("DATABASE_URI=postgres://db/shop\n")
    assert world.drill()["drill"]["passed"]


def test_the_port_of_the_env_file_counts(world: World) -> None:
    world.env_file.write_text("PORT=4000\n")
    world.drill(port=8080)
    assert world.engine.configs[0]["Healthcheck"]["Test"][-2] == "http://127.0.0.1:4000/api/health"


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"health": "image"}, []), ({"health_command": ["/bin/check", "a"]}, ["CMD", "/bin/check", "a"])],
)
def test_it_asks_as_the_application_is_asked(world: World, given: dict[str, Any], expected: list[str]) -> None:
    world.drill(**given)
    assert world.engine.configs[0]["Healthcheck"]["Test"] == expected


def test_nothing_is_known_of_the_live_container(world: World) -> None:
    world.record(release=replace(world.set.manifest.release, container=""))
    world.drill()
    assert world.engine.configs[0]["HostConfig"]["Memory"] == 0


def test_check_mode(world: World) -> None:
    before, calls = sorted(os.listdir(world.sets.directory)), list(world.engine.calls)
    result = world.drill(check_mode=True)
    needed = backup.size(sum(one.disk_bytes for one in world.set.manifest.archives))
    assert world.engine.calls == calls
    assert sorted(os.listdir(world.sets.directory)) == before
    assert (result["changed"], result["drill"], result["set"]) == (True, {}, SET_ID)
    assert result["summary"] == (
        f"The set {SET_ID} of shop would be restored beside the application ({needed}), and {IMAGE_ID} started on it."
    )


def test_a_set_in_another_place(world: World, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    os.rename(world.sets.directory, elsewhere)
    world.drill(set=str(elsewhere / f"db-{SET_ID}.tar.gz"))
    assert Sets(str(elsewhere), "shop").listing().sets[0].manifest.verified
    assert not os.path.exists(world.sets.directory)


def test_a_damaged_archive(world: World) -> None:
    path = Path(world.sets.directory) / f"media-{SET_ID}.tar.gz"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    error = world.failure()
    assert error.message.startswith(f"The set {SET_ID} of shop did not pass its restore drill: ")
    assert str(path) in error.message
    assert error.message.endswith("Drill an older set, and make a new backup.")
    assert (error.evidence["logs"], world.engine.configs) == ([], [])


def test_an_archive_is_read_no_further_than_its_manifest_says(world: World) -> None:
    manifest = world.sets.find(SET_ID, world.clock.utc()).manifest
    archives = tuple(replace(one, plain_bytes=512) if one.name == "media" else one for one in manifest.archives)
    world.sets.record(replace(manifest, archives=archives))
    assert "It holds more than the 512 bytes that its manifest says." in world.failure().message
    assert world.engine.configs == []


def test_a_missing_archive(world: World) -> None:
    os.unlink(Path(world.sets.directory) / f"media-{SET_ID}.tar.gz")
    world.failure()
    assert world.drills[0].reason == f"media-{SET_ID}.tar.gz: No such file or directory."


def test_an_application_that_exits(world: World) -> None:
    world.engine.turns("exited-3")
    secret = SECRET.replace('"', '\\"')
    world.engine.health.lines = {NAME: ["starting", f"bad secret {SECRET} as in {secret}", "of first line", "PUID 7"]}
    error = world.failure()
    assert "exited with code" in error.message
    lines = ["starting", "bad secret <PAYLOAD_SECRET> as in <PAYLOAD_SECRET>", "of <KEY>", "PUID 7"]
    assert error.message.endswith("Its last 4 log lines:\n" + "\n".join(lines))
    assert error.evidence["logs"] == lines
    assert error.evidence["drill"]["passed"] is False  # type: ignore[index]
    assert str(error.evidence["summary"]).endswith(world.drills[0].reason)


def test_an_application_that_does_not_become_healthy(world: World) -> None:
    world.engine.turns("starting")
    assert "was not healthy within 20 s" in world.failure().message
    assert world.drills[0].seconds == 20.0


def test_what_the_health_check_said_is_masked(world: World) -> None:
    world.engine.turns("unhealthy")
    sick = seen("unhealthy", name=NAME)
    probe = replace(sick.probes[-1], output=f"cannot open file:/data/payload.db with {SECRET}")
    world.engine.health.timeline = {NAME: [(0, replace(sick, probes=(probe,)))]}
    assert "said: cannot open file:/data/payload.db with <PAYLOAD_SECRET>." in world.failure().message


def test_an_empty_env_file_masks_nothing(world: World) -> None:
    world.env_file.write_text("A=1\n")
    world.engine.turns("exited-3")
    assert world.failure().message.endswith("ready")


def test_rows_that_the_start_removed(world: World) -> None:
    def remove(root: Path) -> None:
        with closing(sqlite3.connect(root / "payload.db")) as connection:
            connection.executescript("DELETE FROM vendors WHERE id > 1; DROP TABLE media")

    world.at_start(remove)
    world.failure()
    assert world.drills[0].reason == (
        "Not everything is there after the start: the table media of payload.db is missing; "
        "the table vendors of payload.db has 1 row, and the manifest says 3."
    )


def test_rows_and_files_that_the_start_added_are_noted(world: World) -> None:
    def add(root: Path) -> None:
        with closing(sqlite3.connect(root / "payload.db")) as connection:
            connection.executescript("INSERT INTO vendors DEFAULT VALUES; CREATE TABLE sessions (id)")
        (root / "cache").touch()

    world.at_start(add)
    assert world.drill()["notes"] == [
        "db has 2 files, and the manifest says 1",
        "the table sessions of payload.db is new",
        "the table vendors of payload.db has 4 rows, and the manifest says 3",
    ]


def test_a_database_that_cannot_be_checked_is_no_failure_and_its_rows_prove_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", DIES)
    result = world.drill()
    why = "the database payload.db was not checked: the process that examined it ended with 1"
    assert result["notes"] == [why]
    assert result["summary"].endswith(f"with all 2 files, and rows were not compared: {why}.")
    assert world.drills[0].passed


def test_an_archive_without_a_place(world: World) -> None:
    with pytest.raises(InvalidInput, match="mounts must say where in the container media belongs"):
        world.drill(mounts={"db": "/data", "other": "/x"})
    assert world.drills == ()


def test_the_image_is_gone(world: World) -> None:
    world.engine.images.clear()
    assert world.failure(recorded=False).message == (
        f"The image app:1 ({IMAGE_ID}) is gone, with which the set {SET_ID} was made, so it cannot be started as it "
        "was. Build or pull that release, or drill a newer set."
    )


def test_another_image_of_the_same_name_proves_nothing(world: World) -> None:
    world.engine.images = {"app:1"}
    assert f"The image app:1 ({IMAGE_ID}) is gone" in world.failure(recorded=False).message


def test_nothing_ran(world: World) -> None:
    world.record(release=replace(world.set.manifest.release, image="", image_id=""))
    assert world.failure(recorded=False).message.startswith(f"Nothing ran, with which the set {SET_ID} was made")


def test_no_env_file(world: World) -> None:
    world.env_file.unlink()
    assert f"There is no env file {world.env_file}" in world.failure(recorded=False).message


def test_an_env_file_that_is_none(world: World) -> None:
    world.env_file.write_text("A=b\nwhat is this\n")
    error = world.failure(recorded=False)
    assert error.message == (
        f"{world.env_file} cannot be understood: line 2 is neither KEY=value nor a comment. Fix that line."
    )


def test_no_room(world: World) -> None:
    first, *others = world.set.manifest.archives
    world.record(archives=(replace(first, disk_bytes=10**18), *others))
    error = world.failure(recorded=False)
    assert f"A drill of the set {SET_ID} needs 931322574.7 GiB beside the volumes" in error.message
    assert error.evidence["needed_bytes"] > 10**18  # type: ignore[operator]


def test_a_volume_that_somebody_else_has_under_that_name(world: World) -> None:
    theirs = world.engine.add_volume(f"{NAME}-db")
    made = world.engine.volumes[f"{NAME}-db"]
    world.engine.on["create_volume", f"{NAME}-db"] = lambda: None

    class Engine(FakeDrillEngine):
        def create_volume(self, name: str, driver: str, labels: Mapping[str, str], *_options: object) -> None:
            self._change("create_volume", name)

    world.engine.__class__ = Engine
    with pytest.raises(DockerVpsError, match=f"The volume {NAME}-db is not what was just made for the drill"):
        world.drill()
    assert theirs.exists()
    assert world.engine.volumes[f"{NAME}-db"] is made
    del world.engine.volumes[f"{NAME}-db"]
    with pytest.raises(DockerVpsError, match="is not what was just made for the drill"):
        world.drill()


def test_an_engine_that_refuses_tells_nothing_about_the_set(world: World) -> None:
    world.engine.fails["start", NAME] = EngineError("The Docker engine refused: the disk is on fire.")
    assert "the disk is on fire" in world.failure(recorded=False).message


def test_an_engine_that_is_lost_tells_nothing_about_the_set(world: World) -> None:
    world.engine.health.outages = [(1, 100)]
    assert isinstance(world.failure(recorded=False), EngineUnreachable)


def test_what_a_killed_drill_left_is_removed_first(world: World) -> None:
    labels = {"ptnextjs.docker_vps.drill": "shop"}
    world.engine.add_volume("shop-drill-20200101-000000-db", Labels=labels)
    world.engine.networks["shop-drill-20200101-000000"] = labels
    world.engine.add_volume("other-drill", Labels={"ptnextjs.docker_vps.drill": "other"})
    world.drill()
    del world.engine.volumes["other-drill"]
    assert world.state() == world.before


def test_one_drill_at_a_time(world: World) -> None:
    def second() -> None:
        with pytest.raises(Locked, match="Cannot begin a restore drill of shop: a restore drill of shop"):
            world.drill()

    world.engine.on["start", NAME] = second
    world.drill()
    assert len(world.drills) == 1


def test_a_backup_at_work_is_waited_for(world: World) -> None:
    class Releasing(FakeWallClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.passed > 10:
                lock.__exit__(None, None, None)

    world.clock.__class__ = Releasing
    lock = world.sets.lock("a backup")
    lock.__enter__()
    assert world.drill()["drill"]["seconds"] == 3.0
    assert world.clock.passed > 10
    assert world.set.manifest.verified


def test_a_backup_that_does_not_end(world: World) -> None:
    with world.sets.lock("a backup"), pytest.raises(Locked, match="Cannot begin a note of a restore drill of shop"):
        world.drill()
    assert 120 <= world.clock.passed <= 125
    assert (world.drills, world.state()) == ((), world.before)


def test_a_sweep_after_a_kill_is_patient(world: World) -> None:
    world.engine.add_volume("shop-drill-db", Labels={"a": "b"})
    away = [EngineUnreachable("away"), EngineError("directory not empty")]

    def connect() -> FakeDrillEngine:
        if away:
            raise away.pop()
        return world.engine

    sweep(connect, "a=b", world.clock)
    assert world.clock.slept == [1, 1]
    assert world.state() == world.before


def test_a_sweep_that_cannot_succeed(world: World) -> None:
    world.engine.fails["remove_labelled", "a=b"] = EngineError("The Docker engine refused: no.")
    with pytest.raises(EngineError, match="refused: no"):
        sweep(lambda: world.engine, "a=b", world.clock)
    assert 60 <= world.clock.passed <= 61
