# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies off-site: the real restic, a real REST server and a real SFTP server."""

from __future__ import annotations

import base64
import getpass
import hashlib
import os
import shutil
import sqlite3
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

import pytest
import yaml
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import offsite, offsite_info
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import Database, archive_file
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.retention import Policy
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import SystemClock
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import archive, database_checker, tree
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.restic import PATIENCE, Restic
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import publish_packed
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import archive_of, manifest_of
from lab import SUPPORT, Played, play, run, until
from s3 import S3
from servers import Sshd, answers, free_port, keys

APP = "shop"
LOGIN = "login-of-the-server"
PASSWORD = "password-of-the-repository"
TOKEN = "token-in-the-environment"
MIB = 1 << 20
MEDIA = 100  # files of 1 MiB
DAYS = [f"2026013{day}-020000" for day in (0, 1)]


@dataclass(frozen=True)
class Server:
    """A server for repositories; a repository per name."""

    process: subprocess.Popen[bytes]
    address: str
    options: Mapping[str, str] = field(default_factory=dict)

    def variables(self, name: str, password: str = PASSWORD) -> dict[str, Any]:
        return {"repository": f"{self.address}/{name}", "password": password, "options": dict(self.options)}

    def environment(self, name: str) -> dict[str, str]:
        """Return what restic itself needs, run by hand."""
        return {**os.environ, "RESTIC_REPOSITORY": f"{self.address}/{name}", "RESTIC_PASSWORD": PASSWORD}

    def restic(self, name: str, password: str = PASSWORD, **more: Any) -> Restic:
        return Restic(f"{self.address}/{name}", password, {}, self.options, **more)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packages = ["restic", "restic-rest-server", "openssh-server", "openssh-client"]
    run(str(SUPPORT / "packages.sh"), *packages)
    return tmp_path_factory.mktemp("offsite")


def rest_server(place: Path, *arguments: str) -> Server:
    port = free_port()
    place.mkdir()
    digest = base64.b64encode(hashlib.sha1(LOGIN.encode()).digest()).decode()
    (place / ".htpasswd").write_text(f"user:{{SHA}}{digest}\n")
    with (place / "log").open("wb") as log:
        command = ["restic-rest-server", "--path", str(place), "--listen", f"127.0.0.1:{port}", *arguments]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    until(lambda: answers(port), 10, "the REST server's answer")
    return Server(process, f"rest:http://user:{LOGIN}@127.0.0.1:{port}")


def sftp_server(place: Path) -> Server:
    """Start sshd with a key of its own; nothing of the system's is changed."""
    place.mkdir()
    keys(place, "host", "user")
    shutil.copy(place / "user.pub", place / "allowed")
    sshd = Sshd(place, "sftp internal-sftp")
    (place / "known_hosts").write_text(sshd.known_hosts)
    options = f"-F none -i {place}/user -o UserKnownHostsFile={place}/known_hosts -o BatchMode=yes -p {sshd.port}"
    ssh = f"ssh {options} {getpass.getuser()}@127.0.0.1 -s sftp"
    return Server(sshd.process, f"sftp:{getpass.getuser()}@127.0.0.1:{place}", {"sftp.command": ssh})


@pytest.fixture(scope="module")
def servers(place: Path) -> Iterator[Mapping[str, Server]]:
    made = {"rest": rest_server(place / "rest"), "sftp": sftp_server(place / "sftp")}
    yield made
    for one in made.values():
        one.process.terminate()
        one.process.wait()


@dataclass(frozen=True)
class Host:
    """An application's data, and its sets."""

    place: Path
    name: str = "web1"

    @property
    def sets(self) -> Sets:
        return Sets(str(self.place / "backups"), APP)

    def change(self, day: int) -> None:
        with closing(sqlite3.connect(self.place / "db/payload.db")) as database:
            database.execute("CREATE TABLE IF NOT EXISTS vendors (id INTEGER PRIMARY KEY, name TEXT)")
            names = [(os.urandom(200).hex(),) for _turn in range(10 if day else 2000)]
            database.executemany("INSERT INTO vendors (name) VALUES (?)", names)
            database.commit()

    def back_up(self, set_id: str) -> BackupSet:
        """Make a set as volume_backup does, without an engine."""
        sets = self.sets
        sets.prepare()
        folder = sets.begin(set_id)
        copy = str(Path(folder) / "copy")
        with database_checker.DatabaseChecker() as one:
            facts = one.copy(str(self.place / "db/payload.db"), copy)
        databases = {"db": (Database(path="payload.db", **asdict(facts)),), "media": ()}
        archives = []
        for name, instead in (("db", {"payload.db": copy}), ("media", {})):
            root, file = str(self.place / name), archive_file(name, set_id, "gzip")
            leave_out = tree.survey(root).sidecars
            written = archive.write(str(Path(folder) / file), root, "gzip", instead=instead, leave_out=leave_out)
            facts_of = {key: getattr(written, key) for key in ("sha256", "bytes", "plain_bytes", "files")}
            archives.append(archive_of(name, set_id, file=file, databases=databases[name], **facts_of))
        manifest = manifest_of(set_id, app=APP, archives=tuple(archives))
        return sets.publish(folder, manifest)

    def do(self, state: str, restic: Restic, which: str = "latest", check_mode: bool = False) -> Mapping[str, Any]:
        policy = Policy(last=1, daily=0, weekly=0, monthly=0)
        params = offsite.Params(state, which, policy, self.name)
        return offsite.run(params, self.sets, restic, SystemClock(), check_mode)

    def info(self, restic: Restic, verify: bool = False) -> Mapping[str, Any]:
        return offsite_info.run(offsite_info.Params(APP, self.name, verify, "100%"), restic)

    def module(self, variables: Mapping[str, Any], *arguments: str) -> Played:
        """Run the module by Ansible, as whoever runs the tests."""
        task = {"ptnextjs.docker_vps.backup_offsite": {"app": APP, "directory": self.sets.directory, **variables}}
        book, inventory = self.place / "play.yml", self.place / "inventory.yml"
        tasks = [{**task, "register": "done"}, {"ansible.builtin.debug": {"var": "done"}}]
        book.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        host = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"here": host}}}))
        return play(book, inventory, *arguments)


@pytest.fixture(scope="module")
def host(place: Path) -> Host:
    """A host with 100 MiB of media and a small database, backed up on two days."""
    one = Host(place / "host")
    for name in ("db", "media"):
        (one.place / name).mkdir(parents=True)
    for number in range(MEDIA):
        (one.place / "media" / f"{number}.jpg").write_bytes(os.urandom(MIB))
    for day, set_id in enumerate(DAYS):
        one.change(day)
        one.back_up(set_id)
    return one


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def unpacked(one: BackupSet, name: str, into: Path) -> Path:
    (kept,) = [kept for kept in one.manifest.archives if kept.name == name]
    archive.examine(one.path(kept), kept.compression, sha256=kept.sha256)
    into.mkdir()
    archive.extract(one.path(kept), kept.compression, str(into), sha256=kept.sha256)
    return into


@pytest.mark.parametrize("kind", ["rest", "sftp"])
def test_sets_survive_the_loss_of_the_host(
    kind: str, servers: Mapping[str, Server], host: Host, tmp_path: Path, record_property: Any
) -> None:
    server = servers[kind]
    restic = server.restic("days")
    dry_run = host.do("copied", restic, DAYS[0], check_mode=True)
    assert (dry_run["changed"], dry_run["created"]) == (True, True)
    assert not restic.exists()

    first = host.do("copied", restic, DAYS[0])
    second = host.do("copied", restic, DAYS[1])
    (day1,), (day2,) = first["sets"], second["sets"]
    assert (first["created"], second["created"]) == (True, False)
    assert day1["added"] > MEDIA * MIB
    assert day2["added"] < 0.03 * day1["added"]
    figures = f"{kind}: {day1['added']} bytes in {day1['seconds']} s, then {day2['added']} in {day2['seconds']} s"
    record_property("offsite", figures)

    again = host.do("copied", restic, "all")
    assert not again["changed"]
    assert [row["status"] for row in again["sets"]] == ["there", "there"]
    assert [row["set"] for row in host.info(restic)["sets"]] == DAYS[::-1]

    new = Host(tmp_path)
    fetched = new.do("fetched", restic)
    assert [(row["set"], row["status"]) for row in fetched["sets"]] == [(DAYS[1], "fetched")]
    assert not new.do("fetched", restic)["changed"]
    (one,) = new.sets.listing().sets
    (old,) = [old for old in host.sets.listing().sets if old.manifest.id == DAYS[1]]
    assert {kept.compression for kept in one.manifest.archives} == {"none"}
    assert one.manifest.archives[0].databases == old.manifest.archives[0].databases
    assert not one.absent()
    assert digests(unpacked(one, "media", tmp_path / "media")) == digests(host.place / "media")
    database = unpacked(one, "db", tmp_path / "db") / "payload.db"
    assert database_checker.facts(str(database)).tables == {"vendors": 2010}

    pruned = host.do("pruned", restic)
    assert [row["status"] for row in pruned["sets"]] == ["kept", "removed"]
    assert [row["set"] for row in host.info(restic, verify=True)["sets"]] == [DAYS[1]]
    assert not host.do("pruned", restic)["changed"]


def test_the_module_copies_and_shows_no_secret(servers: Mapping[str, Server], host: Host) -> None:
    variables = {**servers["rest"].variables("module"), "environment": {"TOKEN": TOKEN, "SHORT": "eu"}}
    seen: list[str] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            seen.extend(line for line in commands() if "restic" in line.split("\0")[0])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        copied = host.module(variables, "-vvv").succeeded()
    finally:
        done.set()
        watcher.join()
    assert copied.recap["changed"] == 1
    assert "rest:http://user:***@127.0.0.1" in copied.output
    assert any("--stdin-filename=media.tar" in line for line in seen)
    for secret in (LOGIN, PASSWORD, TOKEN):
        assert secret not in copied.output
        assert not [line for line in seen if secret in line]
    assert host.module(variables).succeeded().recap["changed"] == 0
    wrong = host.module({**variables, "password": "another-password"}, "-vvv").failed()
    assert "wrong password or no key found. Give the password with which the repository was made" in wrong.text
    assert "another-password" not in wrong.output


def commands() -> Sequence[str]:
    """Return the command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text(errors="replace"))
        except OSError:
            continue
    return found


def test_a_wrong_login_is_not_taken_for_a_missing_repository(servers: Mapping[str, Server], host: Host) -> None:
    address = servers["rest"].address.replace(LOGIN, "wrong-login")
    with pytest.raises(DockerVpsError, match="401 Unauthorized.*Correct the user and the password") as caught:
        host.do("copied", Restic(f"{address}/login", PASSWORD, {}, {}))
    assert "wrong-login" not in caught.value.message


@pytest.mark.parametrize("address", ["rest:http://user:word@127.0.0.1:{}/x", "sftp:user@127.0.0.1:/x"])
def test_a_server_that_is_down(address: str, host: Host) -> None:
    ssh = f"ssh -F none -o BatchMode=yes -p {free_port()} user@127.0.0.1 -s sftp"
    options = {"sftp.command": ssh} if address.startswith("sftp") else {}
    restic = Restic(address.format(free_port()), PASSWORD, {}, options, patience=3)
    with pytest.raises(DockerVpsError, match="Is the storage up, and does this host reach it"):
        host.do("copied", restic)


def test_somebody_else_at_work_is_named(servers: Mapping[str, Server], host: Host) -> None:
    server = servers["rest"]
    restic = server.restic("busy")
    host.do("copied", restic, "all")
    other = subprocess.Popen(["restic", "backup", "--stdin"], env=server.environment("busy"), stdin=subprocess.PIPE)
    assert other.stdin
    try:
        locks = ["restic", "list", "locks", "--no-lock"]
        until(lambda: bool(run(*locks, env=server.environment("busy")).stdout.strip()), 20, "the other restic's lock")
        with pytest.raises(DockerVpsError, match=rf"already locked by PID {other.pid} on .*restic unlock"):
            host.do("pruned", restic)
    finally:
        other.kill()
        other.communicate()
    # Now that it is dead, nobody has to go there and remove its lock.
    assert [row["status"] for row in host.do("pruned", restic)["sets"]] == ["kept", "removed"]


def test_what_a_killed_copy_leaves_is_no_set_and_goes_with_the_next_prune(
    servers: Mapping[str, Server], host: Host
) -> None:
    restic = servers["rest"].restic("killed")
    restic.create()
    time = datetime(2026, 1, 30, 2, tzinfo=timezone.utc)
    # restic takes what it has for the whole when the process that feeds it is killed.
    tags = [f"app={APP}", f"set={DAYS[0]}", "copy=0123456789abcdef"]
    restic.save("db.tar", [b"the first half"], host.name, time, tags)
    assert host.info(restic)["sets"] == []
    assert host.do("copied", restic, DAYS[0])["changed"]
    assert len(restic.snapshots()) == 4
    assert host.do("pruned", restic)["changed"]
    assert len(restic.snapshots()) == 3
    assert [row["status"] for row in host.do("pruned", restic)["sets"]] == ["kept"]


def test_an_archive_that_rotted_is_not_sent(servers: Mapping[str, Server], host: Host, tmp_path: Path) -> None:
    rotten = Host(tmp_path)
    shutil.copytree(host.sets.directory, rotten.sets.directory)
    (one,) = [one for one in rotten.sets.listing().sets if one.manifest.id == DAYS[0]]
    file = Path(one.path(one.manifest.archives[1]))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    restic = servers["rest"].restic("rotten")
    with pytest.raises(DockerVpsError, match="is damaged, so set 20260130-020000 was not sent"):
        rotten.do("copied", restic, DAYS[0])
    assert [one.name for one in restic.snapshots()] == ["db.tar"]
    assert rotten.info(restic)["sets"] == []


def newest_restic() -> str:
    """Return the restic of Debian's testing, without a change of this machine; kept for the next time."""
    kept = Path(__file__).parents[2] / ".cache" / "restic-testing"
    program = kept / "usr/bin/restic"
    if not program.exists():
        for folder in ("lists/partial", "cache/archives/partial"):
            (kept / folder).mkdir(parents=True, exist_ok=True)
        keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
        (kept / "sources").write_text(f"deb [signed-by={keys}] http://deb.debian.org/debian testing main\n")
        places = {"Etc::SourceList": "sources", "State::Lists": "lists", "Cache": "cache"}
        options = [f"--option=Dir::{name}={kept / place}" for name, place in places.items()]
        options.append("--option=Dir::Etc::SourceParts=-")
        run("apt-get", *options, "update", "-q")
        run("apt-get", *options, "download", "restic", cwd=kept)
        run("dpkg", "-x", str(next(kept.glob("restic_*.deb"))), str(kept))
    return str(program)


@pytest.fixture(scope="module", params=["debian 12", "newest"])
def program(request: pytest.FixtureRequest, place: Path) -> str:
    """The oldest restic that is supported, and the newest that can be had."""
    name = "restic" if request.param == "debian 12" else newest_restic()
    assert ("restic 0.14." in run(name, "version").stdout) == (request.param == "debian 12")
    return name


def small(place: Path, name: str, *set_ids: str) -> Host:
    """Return a host of this name with small sets."""
    one = Host(place / name, name)
    for set_id in set_ids:
        publish_packed(one.sets, set_id, db=f"{name} {set_id}".encode(), media=b"the same everywhere")
    return one


def outcome(done: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(row["set"], row["status"]) for row in done["sets"]]


def test_a_repository_serves_hosts_and_outlives_what_is_done_to_it(
    program: str, servers: Mapping[str, Server], tmp_path: Path
) -> None:
    server, name = servers["rest"], f"many-{Path(program).parent.name}-{len(program)}"
    restic, by_hand = server.restic(name, program=program), server.environment(name)
    one, two = small(tmp_path, "web1", *DAYS), small(tmp_path, "web2", DAYS[1])
    assert outcome(one.do("copied", restic, "all")) == [(day, "sent") for day in DAYS[::-1]]
    with pytest.raises(
        DockerVpsError, match=r"no set 'latest' of shop on web2 .* Of other hosts there are: web1 \(2\)"
    ):
        two.do("fetched", restic)
    assert outcome(two.do("copied", restic)) == [(DAYS[1], "sent")]

    # Every snapshot gets a new id: first all by a tag, then one host's by another name and back.
    before = {each.id for each in restic.snapshots()}
    run(program, "tag", "--add", "keep", env=by_hand)
    if program != "restic":  # rewrite of 0.14 knows no other hosts
        run(program, "rewrite", "--forget", "--new-host", "web3", "--host", "web1", env=by_hand)
        run(program, "rewrite", "--forget", "--new-host", "web1", "--host", "web3", env=by_hand)
    assert not before & {each.id for each in restic.snapshots()}
    assert all(each.touched for each in restic.snapshots())
    listed = one.info(restic)
    assert [row["set"] for row in listed["sets"]] == DAYS[::-1]
    assert (listed["hosts"], listed["unknown"]) == ({"web1": 2, "web2": 1}, 0)
    assert not one.do("copied", restic, "all")["changed"]

    # A copy of the repository is as good as the repository.
    copy, made = f"copy-{name}", server.restic(f"copy-{name}", program=program)
    made.create()
    pair = {"RESTIC_FROM_REPOSITORY": by_hand["RESTIC_REPOSITORY"], "RESTIC_FROM_PASSWORD": PASSWORD}
    run(program, "copy", env={**server.environment(copy), **pair})
    new = Host(tmp_path / "new", "web1")
    assert outcome(new.do("fetched", made, DAYS[0])) == [(DAYS[0], "fetched")]
    (fetched,) = new.sets.listing().sets
    assert (unpacked_bytes(fetched), fetched.absent()) == ([f"web1 {DAYS[0]}".encode(), b"the same everywhere"], [])

    assert outcome(one.do("pruned", restic)) == [(DAYS[1], "kept"), (DAYS[0], "removed")]
    assert one.info(restic, verify=True)["hosts"] == {"web1": 1, "web2": 1}
    assert not one.do("pruned", restic)["changed"]

    # Tags that nobody understands: nothing goes, and what is whole is still kept by the rules.
    run(program, "tag", "--set", "by-hand", "--host", "web1", "--path", "/manifest.json", env=by_hand)
    with pytest.raises(DockerVpsError, match="Nothing of shop on web1 .* no whole set, but 3 snapshots may be of one"):
        one.do("pruned", restic)
    assert one.info(restic)["unknown"] == 3
    assert len(restic.snapshots()) == 6


def unpacked_bytes(one: BackupSet) -> list[bytes]:
    """Return the bytes of a fetched set, whose archives are not compressed."""
    return [Path(one.path(kept)).read_bytes() for kept in one.manifest.archives]


def test_a_server_that_removes_nothing_is_told_and_no_data_is_lost(program: str, place: Path, tmp_path: Path) -> None:
    name = f"append-{len(program)}"
    server = rest_server(place / name, "--append-only")
    try:
        restic, one = server.restic("x", program=program), small(tmp_path, "web1", *DAYS)
        assert one.do("copied", restic, "all")["changed"]
        with pytest.raises(
            DockerVpsError,
            match=r"3 are still there after restic forget \(.*403 Forbidden.*no data was removed.*append-only",
        ):
            one.do("pruned", restic)
        assert len(one.info(restic, verify=True)["sets"]) == 2  # every byte is read
        assert run(program, "list", "locks", "--no-lock", env=server.environment("x")).stdout == ""
    finally:
        server.process.terminate()
        server.process.wait()


def test_a_killed_copy_of_the_newest_version_stands_in_nobodys_way(
    servers: Mapping[str, Server], tmp_path: Path
) -> None:
    server, program = servers["rest"], newest_restic()
    restic, one = server.restic("dead", program=program), small(tmp_path, "web1", *DAYS)
    one.do("copied", restic, "all")
    environment = server.environment("dead")
    killed = subprocess.Popen([program, "backup", "--stdin"], env=environment, stdin=subprocess.PIPE)
    locks = [program, "list", "locks", "--no-lock"]
    until(lambda: bool(run(*locks, env=environment).stdout.strip()), 20, "the lock")
    killed.kill()
    killed.communicate()
    assert outcome(one.do("pruned", restic)) == [(DAYS[1], "kept"), (DAYS[0], "removed")]
    assert run(*locks, env=environment).stdout == ""


def bucket(program: str, address: str) -> Restic:
    keys = {"AWS_ACCESS_KEY_ID": "the-key", "AWS_SECRET_ACCESS_KEY": "the-secret"}
    return Restic(address, PASSWORD, keys, {}, program=program)


def test_a_bucket_that_does_not_exist_is_made(program: str, tmp_path: Path) -> None:
    with closing_server(S3(makes=True)) as server:
        restic, one = bucket(program, server.address("new")), small(tmp_path, "web1", DAYS[0])
        with pytest.raises(DockerVpsError, match="There is no restic repository at s3:"):
            one.info(restic)
        began = time.monotonic()
        done = one.do("copied", restic)
        assert (done["created"], done["changed"]) == (True, True)
        assert time.monotonic() - began < PATIENCE  # the old one was given up after that
        assert [row["set"] for row in one.info(restic)["sets"]] == [DAYS[0]]


def test_a_bucket_that_may_not_be_made_is_named(program: str, tmp_path: Path) -> None:
    with closing_server(S3(makes=False)) as server:
        one = small(tmp_path, "web1", DAYS[0])
        with pytest.raises(DockerVpsError, match="restic cannot make s3:.*/new: .*Access Denied.*Correct the credent"):
            one.do("copied", bucket(program, server.address("new")))


@contextmanager
def closing_server(server: S3) -> Iterator[S3]:
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def test_old_and_new_versions_share_a_repository(servers: Mapping[str, Server], tmp_path: Path) -> None:
    older, newer = (servers["sftp"].restic("versions", **more) for more in ({}, {"program": newest_restic()}))
    one = small(tmp_path, "web1", *DAYS)
    assert one.do("copied", newer, DAYS[0])["created"]
    assert one.do("copied", older, DAYS[1])["changed"]
    assert len(Host(tmp_path / "new").do("fetched", newer, "all")["sets"]) == 2
    with pytest.raises(DockerVpsError, match="wrong password or no key found. Give the password"):
        one.info(servers["sftp"].restic("versions", "another", program=newest_restic()))
    with pytest.raises(DockerVpsError, match="There is no restic repository"):
        one.info(servers["sftp"].restic("absent", program=newest_restic()))
