# SPDX-License-Identifier: GPL-3.0-or-later
"""A doctor's look at a host, with an engine and a host of the test, and real directories and databases."""

from __future__ import annotations

import copy
import json
import os
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import job_history
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import watch
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.clock import instant
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.doctor_rules import (
    FileSeen,
    NamesSeen,
    WriterSeen,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, EngineUnreachable
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.public_check import Leg, Visit
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.releases import HEALTHY, schema_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.patient import Patient
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.doctor import DoctorWorld, Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import files, sqlite
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.releases import Releases
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.doctored import CONTAINER, ENV, PROXY, RELEASE, WANTED
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import DATABASE, archive_of, publish

SECRET = ENV["PAYLOAD_SECRET"]
PUBLISHED = {"80/tcp": [{"HostIp": "", "HostPort": "443"}]}


@dataclass
class Clinic:
    """An engine and a host, and what the doctor sees of them."""

    place: Path
    containers: dict[str, Any] = field(default_factory=dict)
    answers: bool = True
    wrote: bytes = b""
    answer: str = "200: {}"
    public: Visit = Visit(None, "", "192.0.2.1", 200, 60.0, 90.0)  # noqa: RUF009
    here: Visit = Visit(None, "", "127.0.0.1", 200, 60.0, 90.0)  # noqa: RUF009
    skew: float = 0.1
    seen_names: NamesSeen = NamesSeen("shop.example.com", True)  # noqa: RUF009
    held: Optional[WriterSeen] = None
    hangs: Optional[threading.Event] = None
    config: str = "proxy_pass http://shop-app:3000;"

    # The engine

    def info(self) -> Any:
        if not self.answers:
            raise EngineUnreachable("No Docker engine answers at unix:///e: nothing listens there.")
        root = str(self.place)
        return {"ServerVersion": "26.1.5", "DockerRootDir": root, "Architecture": "x86_64", "SecurityOptions": None}

    def connect(self) -> Any:
        self.info()
        return self

    def container(self, name: str) -> Any:
        return self.containers.get(name)

    def all_containers(self) -> Any:
        return [_short(name, given) for name, given in self.containers.items()]

    def image(self, name: str) -> Any:
        return {"Architecture": "amd64", "Id": name, "RepoTags": [RELEASE.image]}

    def network(self, name: str) -> Any:
        return {"Id": "4e7"}

    def volume(self, name: str) -> Any:
        return {"Mountpoint": str(self.place / name)} if (self.place / name).exists() else None

    def logs(self, name: str, lines: int) -> Any:
        return []

    def log(self, name: str, tail: int, since: str = "", until: str = "") -> Iterator[bytes]:
        assert since.isdigit()
        yield self.wrote

    def last_events(self, container: str) -> Any:
        return ["stop"]

    def build_cache(self, within: float) -> Any:
        return []

    def unnamed_images(self) -> Any:
        return []

    def texts(self, container: str, path: str) -> str:
        return self.config if path == "/etc/nginx" else ""

    def answer_of(self, name: str) -> str:
        if self.hangs:
            self.hangs.wait(20)
        return self.answer

    # The host

    def boot(self) -> str:
        return "b1"

    def uptime(self) -> float:
        return 9999.0

    def disk(self, path: str) -> Any:
        return 1, watch.DiskFacts(path, 1000, 600, 10, 9)

    def memory(self, pid: int) -> Any:
        raise FileNotFoundError(2, "No such file or directory", "memory.max")

    def cpu(self, pid: int) -> Any:
        raise FileNotFoundError(2, "No such file or directory", "cpu.max")

    def connections(self, pid: int, port: int) -> int:
        return 1

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def sizes(self, path: str) -> int:
        return 0

    def clock_offset(self, server: str) -> float:
        return self.skew

    def file(self, path: str) -> Optional[FileSeen]:
        seen = Patient().file(path)
        # Whoever runs the tests, the application has its files.
        return replace(seen, uid=1000, gid=1000) if seen and "shop-db" in path else seen

    def readonly(self, path: str) -> bool:
        return False

    def writer(self, path: str, seconds: float) -> Optional[WriterSeen]:
        return self.held

    def names(self, host: str) -> NamesSeen:
        return self.seen_names


def _short(name: str, given: Any) -> dict[str, Any]:
    """Return what the engine's list says of a container: no aliases, and no ports of one that is on no network."""
    networks = given["NetworkSettings"].get("Networks") or {}
    bindings = given["HostConfig"].get("PortBindings") or {} if given["State"]["Running"] and networks else {}
    return {
        "Id": name,
        "Names": [f"/{name}"],
        "State": given["State"]["Status"],
        "Ports": [
            {"PrivatePort": int(port.split("/")[0]), "PublicPort": int(each["HostPort"]), "Type": "tcp"}
            for port, several in bindings.items()
            for each in several
        ],
        "NetworkSettings": {"Networks": {network: {} for network in networks}},
    }


class Practice:
    """A host with a deployed application."""

    def __init__(self, place: Path) -> None:
        self.clinic = Clinic(place)
        self.sets = Sets(str(place / "sets"), "shop")
        self.sets.prepare()
        environment = place / "shop/.env"
        self.releases = Releases(str(place / "shop"), str(environment))
        self.releases.prepare()
        for volume in ("shop-db", "shop-media"):
            (place / volume).mkdir()
        (place / "shop-media/a.jpg").write_bytes(b"x")
        self.database = place / "shop-db/payload.db"
        with closing(sqlite3.connect(self.database, isolation_level=None)) as made:
            made.execute("CREATE TABLE vendors (a)")
            made.executemany("INSERT INTO vendors VALUES (?)", [(number,) for number in range(20)])
        self.schema = schema_of({"payload.db": sqlite.schema(str(self.database))})
        self.release()
        self.backup()
        given = copy.deepcopy(CONTAINER)
        given["Config"]["Labels"] = {"com.docker.compose.config-hash": "c1"}
        self.clinic.containers = {"shop-app": given, "web": self.web()}
        wanted = replace(WANTED, env_file=str(environment), flag=str(place / "shop.on"))
        volumes = {"db": "shop-db", "media": "shop-media"}
        # A machine that runs all tests at once may take longer than a host.
        self.params = Params(wanted, volumes, time_server="192.0.2.9", hide=("web-1",), within=60.0)

    def release(self) -> None:
        text = f"PAYLOAD_SECRET={SECRET}\n"
        release = replace(RELEASE, schema=self.schema, result=HEALTHY, config_hash="c1")
        for name, path in self.releases.live.items():
            kept = files.own("x" if name == "compose.yml" else text)
            files.replace(path, kept)
        self.releases.begin(release, "x", files.own(text))
        (self.clinic.place / "shop/compose.yml").chmod(0o640)
        self.releases.make_current(release.id)

    def backup(self) -> None:
        now = SystemClock().utc().strftime("%Y%m%d-%H%M%S")
        database = replace(DATABASE, schema=sqlite.schema(str(self.database)), tables={"vendors": 20})
        archives = (archive_of("db", now, databases=(database,)), archive_of("media", now, files=30))
        publish(self.sets, now, archives=archives)
        job_history.record(self.sets.directory, "drill", job_history.Run(_iso(), True, 1.0, "well"))

    def web(self, **state: Any) -> Any:
        proxy = copy.deepcopy(PROXY)
        return {
            **proxy,
            "Id": "web",
            "Name": "/web",
            "HostConfig": {"PortBindings": PUBLISHED},
            "State": {**proxy["State"], **state},
        }

    def look(self, **params: Any) -> dict[str, Any]:
        clinic = self.clinic

        def visit(url: str, text: str, address: str) -> Visit:
            return clinic.here if address else clinic.public

        world = DoctorWorld(clinic.connect, clinic, SystemClock(), visit, lambda: "2.26.1", self.sets, self.releases)
        return run(replace(self.params, **params), world)

    def ids(self, **params: Any) -> list[tuple[str, str]]:
        return [(row["id"], row["cause"]) for row in self.look(**params)["findings"]]


def _iso() -> str:
    return SystemClock().utc().strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def practice(tmp_path: Path) -> Practice:
    return Practice(tmp_path)


def test_a_host_that_is_well(practice: Practice) -> None:
    result = practice.look()
    assert result["findings"] == []
    assert set(result["not_looked_at"]) == {"memory", "cpu", "busy"}
    assert {"database-damaged", "proxy-stale", "backup", "clock", "certificate"} <= set(result["looked_at"])
    assert len(result["looked_at"]) > 50
    assert result["summary"][-1] == f"0 findings, {len(result['looked_at'])} checks made, 3 not checked."
    assert result["report"]["app"] == "shop"
    assert result["changed"] is False


def test_the_files_of_a_database_are_left_as_they_are(practice: Practice) -> None:
    with closing(sqlite3.connect(practice.database)) as made:
        made.execute("PRAGMA journal_mode = WAL")
    before = [(path.name, path.stat().st_mode, path.stat().st_mtime_ns) for path in practice.database.parent.iterdir()]
    assert practice.ids() == []
    after = [(path.name, path.stat().st_mode, path.stat().st_mtime_ns) for path in practice.database.parent.iterdir()]
    assert after == before


def test_an_engine_that_is_away_is_the_cause(practice: Practice) -> None:
    practice.clinic.answers = False
    result = practice.look()
    assert result["findings"][0]["id"] == "engine-answer"
    assert result["not_looked_at"]["env-wrong"].startswith("No Docker engine answers")
    assert result["not_looked_at"]["database-damaged"].startswith("No Docker engine answers")


def test_a_check_that_hangs_says_so_and_keeps_nobody(practice: Practice) -> None:
    practice.clinic.hangs = threading.Event()
    began = SystemClock().now()
    result = practice.look(within=4.0)
    assert SystemClock().now() - began < 8
    assert result["not_looked_at"]["health-route"] == "it did not end within 4 s"
    assert "health-command" in result["looked_at"]
    practice.clinic.hangs.set()


def test_a_watch_that_hangs_is_not_looked_at(practice: Practice) -> None:
    hangs = threading.Event()
    practice.clinic.boot = lambda: str(hangs.wait(20))  # type: ignore[method-assign]
    assert practice.look(within=3.0)["not_looked_at"]["watch"] == "it did not end within 3 s"
    hangs.set()


def test_a_container_that_somebody_stopped(practice: Practice) -> None:
    state = {"Status": "exited", "Running": False, "ExitCode": 0, "FinishedAt": "2027-01-15T07:00:00Z"}
    practice.clinic.containers["shop-app"]["State"].update(state)
    practice.clinic.public = practice.clinic.here = Visit(Leg.PROXY, "answers 502", "127.0.0.1", 502)
    practice.clinic.answer = ""
    assert practice.ids() == [("app-stopped", ""), ("app-state", "app-stopped"), ("request-served", "app-stopped")]


def test_a_damaged_database(practice: Practice) -> None:
    practice.database.write_bytes(b"x" * 8192)
    assert practice.ids()[0] == ("database-damaged", "")
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE t (a)")
        made.execute("VACUUM INTO ?", (str(practice.database) + "2",))
    content = Path(str(practice.database) + "2").read_bytes()
    practice.database.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    assert practice.ids()[0] == ("database-damaged", "")


def test_a_database_that_is_gone_empty_or_of_a_volume_that_is_gone(practice: Practice) -> None:
    practice.database.write_bytes(b"")
    assert ("database-damaged", "") not in practice.ids()
    practice.database.unlink()
    assert practice.ids()[0] == ("data-gone", "")
    practice.database.parent.rmdir()
    result = practice.look()
    assert result["findings"][0]["id"] == "volume-missing"
    assert result["not_looked_at"]["data-gone"] == "there is no volume shop-db"


def test_rows_and_files_that_are_lost(practice: Practice) -> None:
    with closing(sqlite3.connect(practice.database, isolation_level=None)) as made:
        made.execute("DELETE FROM vendors")
    for path in (practice.clinic.place / "shop-media").iterdir():
        path.unlink()
    (lost,) = practice.look()["findings"]
    assert lost["id"] == "data-lost"
    assert "20 of 20 rows of vendors in payload.db, 30 of 30 files of media" in lost["found"]


def test_no_backup_and_no_database_in_a_file(practice: Practice) -> None:
    for path in Path(practice.sets.directory).iterdir():
        path.unlink()
    result = practice.look(wanted=replace(practice.params.wanted, database=""))
    assert [row["id"] for row in result["findings"]] == ["backup-age", "backup-proof"]
    assert result["not_looked_at"]["database-damaged"] == "the database is no file in a volume"


def test_no_address_no_time_server_no_proxy(practice: Practice) -> None:
    del practice.clinic.containers["web"]
    result = practice.look(wanted=replace(practice.params.wanted, url=""), time_server="")
    unseen = result["not_looked_at"]
    assert unseen["request"] == unseen["dns-resolver"] == "⟦setting server_url⟧ names no address"
    assert unseen["clock"] == "⟦setting watch_time_server⟧ names no server"
    assert unseen["proxy-stopped"] == "no container publishes the port of visitors"


def test_the_clock_is_measured_twice_at_once(practice: Practice) -> None:
    practice.clinic.skew = 3600.0
    assert practice.ids() == [("clock-skew", "")]


def test_a_proxy_of_a_name_that_has_ended(practice: Practice) -> None:
    practice.clinic.containers["web"] = practice.web(Running=False, Status="exited")
    practice.clinic.public = Visit(Leg.PORT, "does not answer", "192.0.2.1")
    practice.clinic.here = Visit(Leg.PORT, "does not answer", "127.0.0.1")
    assert practice.ids()[0] == ("proxy-stopped", "")
    named = replace(practice.params.wanted, proxy="nobody")
    assert practice.look(wanted=named)["findings"][0]["found"] == "there is no container nobody"


def test_a_proxy_that_is_on_no_network_is_found_by_what_it_would_publish(practice: Practice) -> None:
    practice.clinic.containers["web"] = {**practice.web(), "NetworkSettings": {"Networks": {}}}
    practice.clinic.public = Visit(Leg.PORT, "does not answer", "192.0.2.1")
    practice.clinic.here = Visit(Leg.PORT, "does not answer", "127.0.0.1")
    assert practice.ids() == [("proxy-network", ""), ("request-served", "proxy-network")]


def test_another_container_of_a_name_is_found_among_many_that_do_not_matter(practice: Practice) -> None:
    away = {"Status": "exited", "Running": False}
    for number in range(60):
        other = {**practice.web(), "Name": f"/other{number}", "NetworkSettings": {"Networks": {"other": {}}}}
        practice.clinic.containers[f"other{number}"] = {**other, "HostConfig": {}}
        practice.clinic.containers[f"old{number}"] = {**practice.web(**away), "Name": f"/old{number}"}
    practice.clinic.containers["shop"] = {**practice.web(), "Id": "shop", "Name": "/shop", "HostConfig": {}}
    (found,) = practice.look()["findings"]
    assert found["id"] == "network-alias"
    assert found["found"].startswith("shop answers to shop on proxy as well")


def test_more_containers_than_are_looked_at_are_no_good_sign(practice: Practice) -> None:
    practice.clinic.containers.update({f"c{number}": practice.web() for number in range(50)})
    result = practice.look()
    assert result["not_looked_at"]["network-alias"] == "there are 51 containers that run on proxy, and 50 are checked"
    assert "proxy-stopped" in result["looked_at"]
    away = practice.web(Status="exited", Running=False)
    practice.clinic.containers.update({name: away for name in practice.clinic.containers if name != "shop-app"})
    result = practice.look()
    assert result["not_looked_at"]["proxy-stopped"].startswith("there are 51 containers of which no port is ")


def test_the_way_of_visitors_by_address_counts(practice: Practice) -> None:
    practice.clinic.public = Visit(Leg.DNS, "has no address")
    assert practice.ids() == []


def test_a_certificate_that_ends(practice: Practice) -> None:
    practice.clinic.public = Visit(None, "", "192.0.2.1", 200, 2.0, 90.0)
    assert practice.ids() == [("certificate-ends", "")]


def test_a_build_that_failed_since_the_live_release(practice: Practice) -> None:
    record, live = Path(practice.releases.home, "build-failure.json"), instant(RELEASE.at).timestamp()

    def fails(at: float) -> None:
        kept = {"why": "the step RUN npm run build failed", "lines": [f"with {SECRET}"], "log": "/opt/x on the host"}
        record.write_text(json.dumps(kept))
        os.utime(record, (at, at))

    fails(live - 60)
    assert practice.ids() == []
    fails(live + 60)
    result = practice.look()
    (failed,) = result["findings"]
    assert (failed["id"], failed["severity"], failed["command"]) == ("build-failed", "warning", "⟦play deploy⟧")
    assert failed["log"] == ["with <PAYLOAD_SECRET>"]
    assert result["summary"][1] == "    | with <PAYLOAD_SECRET>"
    (Path(practice.releases.directory) / "current").unlink()
    practice.clinic.containers.pop("shop-app")
    practice.clinic.public = practice.clinic.here = Visit(Leg.PROXY, "answers 502", "127.0.0.1", 502)
    assert practice.ids() == [("build-failed", ""), ("app-state", "build-failed"), ("request-served", "build-failed")]
    record.write_text("{")
    assert practice.look()["not_looked_at"]["build-failed"].startswith("what was read is not as expected: ")


def test_an_application_that_was_never_deployed(practice: Practice) -> None:
    (Path(practice.releases.directory) / "current").unlink()
    practice.clinic.containers.pop("shop-app")
    result = practice.look()
    assert result["findings"][0]["id"] == "app-state"
    assert result["not_looked_at"]["app-drift"] == "no release is live"
    assert result["not_looked_at"]["env-drift"].startswith("No release is live in ")


def test_a_container_that_is_gone_leaves_the_image_of_its_release(practice: Practice) -> None:
    practice.clinic.containers.pop("shop-app")
    result = practice.look()
    assert result["findings"][0]["id"] == "app-state"
    assert "image-missing" in result["looked_at"]
    assert result["not_looked_at"]["app-drift"] == "there is no container"


def test_who_is_at_work(practice: Practice) -> None:
    with locked(os.path.join(practice.releases.directory, ".lock"), "a release of shop"):
        assert practice.ids() == []
    (practice.clinic.place / "shop/deploy.lock").write_text(
        '{"owner": {"who": "me", "purpose": "deploy"}, "since": 1000, "made_directory": false}'
    )
    assert practice.ids() == [("lock-stale", "")]


def test_a_log_that_tells_of_a_busy_database(practice: Practice) -> None:
    practice.clinic.wrote = b"SQLITE_BUSY\nfine\ndatabase is locked\nSQLITE_BUSY\n"
    assert practice.ids() == [("database-journal", "")]


def test_an_env_file_that_others_read(practice: Practice) -> None:
    Path(practice.releases.live[".env.production"]).chmod(0o644)
    assert ("env-modes", "") in practice.ids()
    Path(practice.releases.live[".env.production"]).unlink()
    assert "env-modes" not in practice.ids()


def test_a_volume_in_which_the_application_cannot_write(practice: Practice) -> None:
    media = practice.clinic.place / "shop-media"
    media.chmod(0o500)
    assert practice.ids() == []  # which is not in this container
    practice.clinic.containers["shop-app"]["Mounts"][1]["Source"] = str(media)
    (found,) = practice.look()["findings"]
    assert (found["id"], found["severity"]) == ("volume-modes", "warning")
    assert f"{media} is of" in found["found"]
    practice.clinic.containers["shop-app"]["State"]["Health"] = {"Status": "unhealthy", "FailingStreak": 3}
    practice.clinic.containers["shop-app"]["Mounts"][1]["RW"] = False
    assert practice.look()["findings"][1]["command"] == "⟦play restart⟧"


def test_a_failure_carries_the_result(practice: Practice) -> None:
    practice.clinic.containers["shop-app"]["State"].update(Status="paused", Paused=True)
    with pytest.raises(DockerVpsError) as caught:
        practice.look(fail_at="warning")
    assert caught.value.message.startswith("shop has 2 findings, the first of which is app-paused: it is paused")
    assert caught.value.evidence["findings"][0]["command"] == "docker unpause shop-app"


def test_secrets_names_and_addresses_are_not_shown(practice: Practice) -> None:
    evidence = f"answers {SECRET} at https://u:hunter2@shop.example.com and 203.0.113.9 of web-1"
    practice.clinic.public = practice.clinic.here = Visit(Leg.APPLICATION, evidence, "203.0.113.9", 500)
    result = practice.look()
    assert SECRET not in str(result)
    assert "hunter2" not in str(result)
    assert "shop.example.com" in result["findings"][0]["found"]
    for private in ("shop.example.com", "203.0.113.9", "web-1"):
        assert private not in str(result["report"])
    assert "<host>" in result["report"]["findings"][0]["found"]


def test_a_database_that_somebody_keeps_locked(practice: Practice) -> None:
    practice.clinic.held = WriterSeen(9, "sqlite3", "", 1.5)
    assert practice.ids() == [("database-locked", "")]
