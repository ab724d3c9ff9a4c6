# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore drills beside a running application: a good set is verified, broken ones are not, and nothing is left."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup, drill, verify
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import ID_FORMAT, Archive, archive_file
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine, SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import archive
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from lab import ROOT, App, MakeApp, docker, inspect, play, until

NAME = "it-drill"
MOUNTS = {"db": "/data", "media": "/app/public/media"}


@pytest.fixture(scope="module")
def app(make_app: MakeApp) -> App:
    """A deployed application with vendors and media."""
    app = make_app(NAME)
    app.deploy().succeeded()
    for number in range(3):
        assert app.post("/api/vendors", {"name": f"vendor {number}"}).status == 201
    assert app.post("/media/photo.jpg", "picture").status == 200
    return app


@pytest.fixture
def sets(app: App, tmp_path: Path) -> Sets:
    """A directory with one set of the running application."""
    sets = Sets(str(tmp_path / "backups"), NAME)
    params = backup.Params(app=NAME, volumes={"db": f"{NAME}-db", "media": f"{NAME}-media"})
    backup.run(params, sets, lambda: Engine.connect(Address()), SystemClock(), False)
    return sets


@pytest.fixture(autouse=True)
def nothing_happened_to_the_application(app: App) -> Iterator[None]:
    """Whatever a drill does, the application runs as before and nothing is left beside it."""
    before = untouched(app)
    yield
    assert untouched(app) == before
    assert remains() == []


def untouched(app: App) -> Any:
    facts = inspect(app.container)
    vendors = app.get("/api/vendors").json["docs"]
    return facts["Id"], facts["State"]["StartedAt"], sorted(facts["NetworkSettings"]["Networks"]), vendors


def remains() -> list[str]:
    """Return what drills have left on the engine."""
    label = ("--filter", f"label={drill.LABEL}={NAME}", "--format")
    found = docker("ps", "--all", *label, "{{.Names}}").split()
    found += docker("network", "ls", *label, "{{.Name}}").split()
    return found + docker("volume", "ls", *label, "{{.Name}}").split()


def newest(sets: Sets) -> BackupSet:
    return sets.listing().sets[0]


def drilled(sets: Sets, **given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"env_file": f"/opt/{NAME}/.env.production", "mounts": MOUNTS, "timeout": 20.0, **given}
    params = drill.Params(app=NAME, set="latest", **values)
    return drill.run(params, sets, lambda: Engine.connect(Address()), SystemClock(), False)


def failure(sets: Sets, **given: Any) -> DockerVpsError:
    """Drill a set that must not pass, and return what was said, after checking that it is written down."""
    with pytest.raises(DockerVpsError) as caught:
        drilled(sets, **given)
    last = newest(sets).manifest.drills[-1]
    assert last.passed is False
    assert last.reason in caught.value.message
    assert caught.value.evidence["drill"]["reason"] == last.reason  # type: ignore[index]
    return caught.value


def doctored(sets: Sets, scratch: Path, change: Callable[[Path], None], **about: Any) -> None:
    """Replace the set by one whose archive of the database holds something else; every checksum is right."""
    one = newest(sets)
    set_id = (one.time - timedelta(seconds=1)).strftime(ID_FORMAT)
    folder = Path(sets.begin(set_id))
    archives: list[Archive] = []
    for each in one.manifest.archives:
        root = scratch / each.name
        root.mkdir()
        archive.extract(one.path(each), each.compression, str(root), sha256=each.sha256)
        if each.name == "db":
            change(root)
        file = archive_file(each.name, set_id, "gzip")
        written = archive.write(str(folder / file), str(root), "gzip", instead={}, leave_out=())
        result = replace(
            each,
            file=file,
            sha256=written.sha256,
            bytes=written.bytes,
            files=written.files,
            plain_bytes=written.plain_bytes,
            index="",
        )
        archives.append(replace(result, **about) if each.name == "db" else result)
    sets.publish(str(folder), replace(one.manifest, id=set_id, archives=tuple(archives)))
    sets.remove([one])


def test_a_good_set_is_verified(sets: Sets) -> None:
    result = drilled(sets)
    assert result["drill"]["passed"] is True
    assert (result["rows"], result["tables"], result["files"]) == (3, 1, 2)
    assert 0 < result["healthy_after"] < result["drill"]["seconds"] < 30
    assert newest(sets).manifest.verified
    info = verify.run(verify.Params(level="full"), sets, SystemClock())
    assert info["last_verified"]["id"] == result["set"]
    assert info["sets"][0]["problems"] == []


def test_through_the_playbook(app: App) -> None:
    app.playbook("backup").succeeded()
    played = app.playbook("restore_drill", "--check").succeeded()
    assert "would be restored beside the application" in played.text
    played = app.playbook("restore_drill").succeeded()
    assert "is verified" in played.text
    assert re.search(r"Seconds: drill [\d.]+.*Next: backup_list\.yml shows all sets", played.text)
    assert newest(Sets(str(app.backups), NAME)).manifest.verified


def test_the_status_tells_of_the_drill_and_of_a_host_that_is_down(app: App, tmp_path: Path) -> None:
    gone = {**app.host(), "ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    inventory, page = tmp_path / "fleet.yml", tmp_path / "status.html"
    inventory.write_text(yaml.safe_dump({"docker_vps": {"hosts": {"aaa-gone": gone, "local": app.host()}}}))
    given = ("-e", json.dumps({"docker_vps_status_page": str(page)}))
    played = play(ROOT / "playbooks/status.yml", inventory, *given, ANSIBLE_SHOW_CUSTOM_STATS="1").succeeded()
    image = inspect(app.container)["Config"]["Image"].rpartition(":")[2]
    (row,) = re.findall(r"(?m)^ *- (local  .*)$", played.output)
    host, version, health, up, drift, _released, _rpo, proof, rto, *_rest = row.split()
    assert (host, version, health, drift, proof) == ("local", image, "healthy", "no", "drill")
    assert re.fullmatch(r"\d+[smh]", up)
    assert re.fullmatch(r"\d+[sm]", rto)
    assert re.search(r"aaa-gone  DOWN unreachable: ", played.output)
    assert "Not checked: watch on local: nothing watches this host between two checks" in played.text
    assert "fleet:" in played.output.split("CUSTOM STATS", 1)[1]
    shown = page.read_text()
    assert f'<td class="text">{image}</td>' in shown
    assert "no answer" in shown
    assert app.env_keys()["PAYLOAD_SECRET"] not in shown + played.output


def test_a_flipped_byte(sets: Sets) -> None:
    one = newest(sets)
    path = Path(one.path(one.manifest.archives[0]))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert path.name in failure(sets).message
    assert not newest(sets).manifest.verified
    assert verify.run(verify.Params(level="checksum"), sets, SystemClock())["newest_good"] == {}


def test_a_database_on_which_the_application_crashes(sets: Sets, tmp_path: Path) -> None:
    def spoil(root: Path) -> None:
        (root / "payload.db").write_bytes(b"no database at all" * 1000)

    (database,) = newest(sets).manifest.archives[0].databases
    doctored(sets, tmp_path, spoil, databases=(database,))
    error = failure(sets)
    assert "exited with code 1" in error.message
    assert "log lines:" in error.message
    assert "file is not a database" in error.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DROP TABLE vendors; CREATE VIEW vendors AS SELECT * FROM nowhere", "no such table: main.nowhere"),
        # It can be counted, and compared with the manifest, but JavaScript has no such number.
        (f"INSERT INTO vendors VALUES ({2**53 + 1}, 'no reader')", "Value is too large to be represented"),
    ],
)
def test_a_database_on_which_the_application_is_unhealthy(
    sets: Sets, tmp_path: Path, change: str, message: str
) -> None:
    def spoil(root: Path) -> None:
        with closing(sqlite3.connect(root / "payload.db")) as database:
            database.executescript(f"CREATE TABLE kept (id); {change}")

    (database,) = newest(sets).manifest.archives[0].databases
    doctored(sets, tmp_path, spoil, databases=(replace(database, tables={"kept": 0}),))
    error = failure(sets, timeout=4.0)
    assert "was not healthy within 4 s" in error.message
    assert message in error.message


def test_rows_that_are_missing(sets: Sets, tmp_path: Path) -> None:
    (database,) = newest(sets).manifest.archives[0].databases
    more = replace(database, tables={**database.tables, "vendors": 5, "media": 1})
    doctored(sets, tmp_path, lambda root: None, databases=(more,))
    error = failure(sets)
    assert "the table vendors of payload.db has 3 rows, and the manifest says 5" in error.message
    assert "the table media of payload.db is missing" in error.message


def test_the_image_is_gone(sets: Sets) -> None:
    one = newest(sets)
    gone = replace(one.manifest.release, image="it-drill-gone:1", image_id="sha256:" + "0" * 64)
    sets.record(replace(one.manifest, release=gone))
    with pytest.raises(DockerVpsError, match=r"The image it-drill-gone:1 \(sha256:0+\) is gone"):
        drilled(sets)
    assert newest(sets).manifest.drills == ()


RUN = """
import json, sys
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import Address, Engine, SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import drill
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
directory, params = json.loads(sys.argv[1])
sets = Sets(directory, params["app"])
drill.run(drill.Params(**params), sets, lambda: Engine.connect(Address()), SystemClock(), False)
"""


def test_a_killed_drill_leaves_nothing(app: App, sets: Sets, tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text((app.directory / ".env.production").read_text() + "STANDIN_UNHEALTHY=1\n")
    params = {"app": NAME, "set": "latest", "env_file": str(env_file), "mounts": MOUNTS, "timeout": 60}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, json.dumps([sets.directory, params])],
        env={**os.environ, "PYTHONPATH": str(ROOT / ".ansible/collections")},
    )
    name = f"{NAME}-drill-{newest(sets).manifest.id}"
    try:
        until(lambda: docker("ps", "--quiet", "--filter", f"name={name}"), 20, "the start of the drill's container")
        isolated(name, inspect(app.container))
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    until(lambda: not remains(), 20, "the removal of what the killed drill made")
    assert newest(sets).manifest.drills == ()


def isolated(name: str, live: Mapping[str, Any]) -> None:
    """Check that the drill's container can neither be reached nor reach anything, and shares nothing."""
    facts = inspect(name)
    assert list(facts["NetworkSettings"]["Networks"]) == [name]
    assert json.loads(docker("network", "inspect", name))[0]["Internal"] is True
    assert not facts["HostConfig"]["PortBindings"]
    assert {mount["Name"] for mount in facts["Mounts"]} == {f"{name}-db", f"{name}-media"}
    assert facts["HostConfig"]["Memory"] == live["HostConfig"]["Memory"]
    assert facts["Image"] == live["Image"]


def test_what_a_killed_drill_left_is_removed_by_the_next(sets: Sets) -> None:
    label = f"{drill.LABEL}={NAME}"
    volume, network = f"{NAME}-drill-20200101-000000-db", f"{NAME}-drill-20200101-000000"
    docker("volume", "create", "--label", label, volume)
    docker("network", "create", "--internal", "--label", label, network)
    image = newest(sets).manifest.release.image
    docker("create", "--label", label, "--network", network, "--volume", f"{volume}:/data", "--name", network, image)
    assert drilled(sets)["drill"]["passed"] is True
