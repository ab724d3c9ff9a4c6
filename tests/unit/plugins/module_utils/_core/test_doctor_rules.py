# SPDX-License-Identifier: GPL-3.0-or-later
"""What each rule of the doctor makes of facts: of those of a host that is well, and of one that is wrong."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Mapping
from urllib.parse import urlsplit

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit import Unseen
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.clock import instant
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.deploy_lock import Lock, Owner
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.doctor import CONSEQUENCES, judged
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.doctor_rules import (
    RULES,
    BuildSeen,
    FileSeen,
    LockSeen,
    NamesSeen,
    ProxySeen,
    WriterSeen,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import asked_at
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.public_check import Leg, Visit
from ansible_collections.ptnextjs.docker_vps.tests.unit.doctored import (
    BAD_GATEWAY,
    CONTAINER,
    DATABASE,
    FILES,
    OLDER,
    PROXY,
    RELEASE,
    WANTED,
    WELL,
    container,
    env,
    health,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.watching import NOW

OTHERS = {"bridge": {"NetworkID": "b1", "IPAddress": "172.17.0.2"}}
LOCK = Lock(Owner("me@here", "deploy", "c", "1:2", "vps"), 0)
BUILD = BuildSeen(NOW - 600, "the step RUN npm run build failed.", ("Error: x",), "/opt/shop/build.log on the host")
UNKNOWN = Visit(Leg.DNS, "has no address")
SITE = ProxySeen("web", PROXY, "proxy_pass http://shop-app:3000;", True)
MOUNTS = CONTAINER["Mounts"]
COPY: dict[str, Any] = {
    "Id": "c2",
    "Name": "/copy",
    "State": {"Running": True},
    "NetworkSettings": {"Networks": {"proxy": {"Aliases": ["app", "shop-app"]}}},
}
RESTORE = "⟦play restore⟧ ⟦once restore_stop_app true⟧"


def mounted(**changes: Any) -> dict[str, Any]:
    """Return the container whose database is mounted otherwise."""
    return container(Mounts=[{**MOUNTS[0], **changes}, MOUNTS[1]])


def proxy(**state: Any) -> ProxySeen:
    return replace(SITE, inspected={**PROXY, "State": {**PROXY["State"], **state}})


def forking(output: str, limit: int) -> dict[str, Any]:
    """Return the container whose health check said something, with a limit of processes."""
    given = health("unhealthy", 3, output=output)
    given["HostConfig"]["PidsLimit"] = limit
    return given


def run(success: bool) -> Any:
    return SimpleNamespace(success=success, at="2027-01-15T02:00:00Z", message="No space left.")


WRONG: list[tuple[str, Mapping[str, Any], str, str]] = [
    (
        "engine-version",
        {"engine": {**WELL["engine"], "ServerVersion": "19.03.8"}},
        "expected 20.10 or newer",
        "⟦play setup⟧",
    ),
    ("engine-version", {"compose": "1.29"}, "1.29, expected 2.0", "⟦play setup⟧"),
    ("lock-held", {"lock": LockSeen(None, 0.0, "a backup (process 7)", 7, 7300.0)}, "for 2 hours", "kill 7"),
    ("lock-stale", {"lock": LockSeen(LOCK, 9000.0)}, "deploy of me@here", "⟦play start⟧ ⟦once lock_force true⟧"),
    (
        "build-failed",
        {"build": BUILD},
        "10 minutes ago the step RUN npm run build failed; the",
        "⟦play deploy⟧",
    ),
    (
        "build-failed",
        {"build": BUILD, "live": None, "image": None, "container": None},
        "failed; there is nothing else to run",
        "⟦play deploy⟧",
    ),
    ("image-missing", {"image": None, "container": None}, "shop-app:2 is not on this host", "⟦play deploy⟧"),
    ("image-missing", {"image": None}, "the container's own is gone", "⟦play deploy⟧"),
    ("image-architecture", {"image": {"Architecture": "arm64"}}, "shop-app:2 is for arm64", "⟦play start⟧"),
    ("network-missing", {"network": None}, "no network proxy", "⟦play deploy⟧"),
    ("network-new", {"network": {"Id": "5f8"}}, "knows it as 4e7, and it is 5f8", "⟦play start⟧"),
    (
        "network-app",
        {"container": container(NetworkSettings={"Networks": OTHERS})},
        "only on bridge",
        "docker network connect --alias shop-app --alias shop proxy shop-app",
    ),
    (
        "network-alias",
        {"others": [{**COPY, "NetworkSettings": {}}, COPY]},
        "copy answers to shop-app on proxy as well",
        "docker network disconnect proxy copy",
    ),
    (
        "network-alias",
        {"others": [{**COPY, "Name": "/shop", "NetworkSettings": {"Networks": {"proxy": {"Aliases": None}}}}]},
        "shop answers to shop on proxy as well",
        "docker network disconnect proxy shop",
    ),
    (
        "network-alias",
        {"others": [{**COPY, "NetworkSettings": {"Networks": {"proxy": {"DNSNames": ["copy", "shop"]}}}}]},
        "copy answers to shop on proxy as well",
        "docker network disconnect proxy copy",
    ),
    ("volume-missing", {"volumes": {"shop-db": None}}, "no volume shop-db", "⟦play restore⟧"),
    ("volume-unmounted", {"container": container(Mounts=MOUNTS[1:])}, "without shop-db at /data", "⟦play start⟧"),
    ("volume-elsewhere", {"container": mounted(Destination="/app/data")}, "at /app/data instead", "⟦play start⟧"),
    ("volume-other", {"container": mounted(Name="old-db")}, "/data is old-db instead of", "⟦play start⟧"),
    ("volume-readonly", {"container": mounted(RW=False)}, "/data is mounted read-only", "⟦play start⟧"),
    ("env-wrong", {"container": env(PAYLOAD_SECRET=None)}, "PAYLOAD_SECRET is missing", "⟦play start⟧"),
    ("env-wrong", {"container": env(DATABASE_URI="file:/tmp/x.db")}, "DATABASE_URI must name", "⟦play start⟧"),
    ("env-port", {"container": env(PORT="4000")}, "listens on 4000, its health check asks 3000", "⟦play start⟧"),
    ("env-drift", {"changed": ["/opt/shop/compose.yml"]}, "compose.yml is not as it was", "⟦play start⟧"),
    (
        "env-modes",
        {"env_files": [FileSeen("/e", 0, 0, 0o644)]},
        "/e has mode 0644",
        "chmod 0600 /e",
    ),
    ("data-gone", {"database": replace(DATABASE, exists=False)}, "backup is 20270115-020000", RESTORE),
    ("data-gone", {"database": replace(DATABASE, exists=False), "sets": []}, "no backup", RESTORE),
    ("data-lost", {"lost": ["Gone since set 1: 12 of 12 rows."]}, "12 of 12 rows", RESTORE),
    ("disk-readonly", {"database": replace(DATABASE, readonly=True)}, "read-only", "mount -o remount,rw /v"),
    (
        "database-modes",
        {"database": replace(DATABASE, files=(replace(FILES[0], uid=0, gid=0), FILES[1]))},
        "/v/payload.db is of 0:0 with mode 0644",
        "chown --no-dereference 1000:1000 /v/payload.db && chmod u+rwX /v/payload.db && docker restart shop-app",
    ),
    (
        "database-modes",
        {"database": replace(DATABASE, files=(replace(FILES[1], mode=0o555),))},
        "/v is of 1000:1000 with mode 0555",
        "chown --no-dereference 1000:1000 /v && chmod u+rwX /v && docker restart shop-app",
    ),
    (
        "volume-modes",
        {"roots": [FileSeen("/m", 0, 0, 0o755, True)]},
        "/m is of 0:0 with mode 0755",
        "chown --no-dereference 1000:1000 /m && chmod u+rwX /m",
    ),
    ("database-damaged", {"database": replace(DATABASE, check="damaged", why="page 2")}, "page 2", RESTORE),
    (
        "database-locked",
        {"database": replace(DATABASE, writer=WriterSeen(9, "sqlite3", "", 1.5))},
        "process 9 (sqlite3) has kept it locked",
        "kill 9",
    ),
    (
        "database-locked",
        {"database": replace(DATABASE, writer=WriterSeen(9, "node", "c0ffee", 1.5))},
        "the application itself has kept",
        "docker restart shop-app",
    ),
    ("database-schema", {"image_id": "sha256:1"}, "runs the image of 20270114-060000", "⟦play start⟧"),
    (
        "database-journal",
        {"busy": 3, "database": replace(DATABASE, journal_mode="rollback")},
        "journal mode is delete",
        "⟦play update⟧",
    ),
    ("database-busy", {"busy": 3}, "busy 3 times", "⟦play update⟧"),
    (
        "database-library",
        {"database": replace(DATABASE, warning="SQLite 3.45.1 loses data; move to another.")},
        "SQLite 3.45.1 loses data",
        "⟦play update⟧",
    ),
    (
        "memory-oom",
        {"container": container(HostConfig={"Memory": 64 << 20}, State={"Status": "restarting", "OOMKilled": True})},
        "of which it may have 64 MiB",
        "⟦play deploy⟧ ⟦once memory_limit 512M⟧",
    ),
    (
        "memory-oom",
        {"container": container(State={"Status": "exited", "OOMKilled": True})},
        "of which it may have all",
        "⟦play restart⟧",
    ),
    (
        "app-pids",
        {"container": forking("probe: 2: Cannot fork\n", 512)},
        'may have 512 processes and threads: a health check said "probe: 2: Cannot fork"',
        "⟦play restart⟧",
    ),
    (
        "app-paused",
        {"container": container(State={"Status": "paused", "Paused": True})},
        "paused",
        "docker unpause shop-app",
    ),
    (
        "app-stopped",
        {"stopped": True, "container": container(State={"Status": "exited", "Running": False})},
        "somebody stopped it",
        "⟦play start⟧",
    ),
    (
        "app-port",
        {"container": container(State={"Status": "created", "Error": "0.0.0.0:80 failed: port is already allocated"})},
        "port is already allocated",
        "⟦play start⟧",
    ),
    (
        "app-published",
        {"container": container(HostConfig={"PortBindings": {"3000/tcp": [{"HostIp": "", "HostPort": "3000"}]}})},
        "3000/tcp on 0.0.0.0:3000",
        "⟦play start⟧",
    ),
    ("health-pause", {"container": health("unhealthy", 0)}, "only since it was paused", "⟦play health⟧"),
    ("health-command", {"container": health("unhealthy", 3, 127)}, "code 127", "⟦play start⟧"),
    ("health-route", {"container": health("unhealthy", 3), "answer": "404: {}"}, "172.18.0.2:3000", "⟦play start⟧"),
    (
        "health-start",
        {"container": health("unhealthy", 3, started="2027-01-15T07:59:15Z")},
        "started 45 s ago and has 40 s",
        "⟦play deploy⟧ ⟦once health_start_period 60s⟧",
    ),
    ("app-drift", {"made": False}, "not what release 20270115-060000 made", "⟦play start⟧"),
    ("proxy-stopped", {"proxy": replace(SITE, inspected=None)}, "no container web", "⟦play setup⟧"),
    ("proxy-stopped", {"proxy": proxy(Running=False, Status="exited")}, "web is exited", "docker start web"),
    (
        "proxy-stopped",
        {"proxy": proxy(Paused=True, Status="paused", Error="odd")},
        "web is paused (odd)",
        "docker unpause web",
    ),
    (
        "proxy-network",
        {"proxy": replace(SITE, inspected={**PROXY, "NetworkSettings": {"Networks": OTHERS}})},
        "web is not on proxy, only on bridge",
        "docker network connect proxy web",
    ),
    ("proxy-page", {"shown": True}, "/srv/shop.on was left there", "rm /srv/shop.on"),
    (
        "proxy-upstream",
        {
            "proxy": replace(SITE, config="proxy_pass http://localhost:3000;"),
            "public": BAD_GATEWAY,
            "here": BAD_GATEWAY,
        },
        "does not name shop-app",
        "docker exec web nginx -s reload",
    ),
    (
        "proxy-upstream",
        {"proxy": replace(SITE, config="reverse_proxy shop:3001", nginx=False), "here": BAD_GATEWAY, "public": UNKNOWN},
        "has port 3001 for shop-app",
        "docker restart web",
    ),
    (
        "proxy-stale",
        {"public": BAD_GATEWAY, "here": BAD_GATEWAY},
        "web answers 502, though the application answers at 172.18.0.2, and was started after the proxy",
        "docker exec web nginx -s reload",
    ),
    (
        "dns-resolver",
        {"names": NamesSeen("shop.example.com", False, ("192.0.2.53",))},
        "none of 192.0.2.53 answers",
        "resolvectl status",
    ),
    ("dns-resolver", {"names": NamesSeen("shop.example.com", False)}, "it names no server", "resolvectl status"),
    (
        "certificate-invalid",
        {"public": UNKNOWN, "here": Visit(Leg.TLS, "certificate has expired", "127.0.0.1")},
        "certificate has expired",
        "⟦play setup⟧",
    ),
    (
        "backup-failed",
        {"runs": {"backup": run(False), "watch": run(False)}},
        "No space left",
        "/opt/shop/bin/docker-vps backup",
    ),
]
"""Facts that differ from those of a host that is well, and what is found: the rule, the evidence, the command."""


def found_in(**facts: Any) -> dict[str, tuple[str, str, str]]:
    found, _unseen = judged(RULES, {**WELL, **facts})
    return {finding.id: (finding.found, finding.command, finding.remedy) for finding in found}


def test_a_host_that_is_well_has_no_finding_and_everything_was_looked_at() -> None:
    assert judged(RULES, WELL) == ([], {})


@pytest.mark.parametrize(("rule", "facts", "evidence", "command"), WRONG, ids=[row[0] for row in WRONG])
def test_what_is_wrong(rule: str, facts: Mapping[str, Any], evidence: str, command: str) -> None:
    found = found_in(**facts)
    assert rule in found, found
    assert evidence in found[rule][0]
    assert found[rule][1] == command
    assert found[rule][2]


def test_each_rule_is_shown_and_has_its_place() -> None:
    assert {rule.id for rule in RULES} == {row[0] for row in WRONG}
    assert {rule.id for rule in RULES} <= set(CONSEQUENCES)


FINE: list[Mapping[str, Any]] = [
    {
        "wanted": replace(WANTED, engine_version="", compose_version=""),
        "engine": {**WELL["engine"], "ServerVersion": "1"},
    },
    {"lock": LockSeen(LOCK, 60.0), "others": [COPY]},
    {"others": [{**COPY, "State": {"Running": False}}, {**COPY, "Id": CONTAINER["Id"]}]},
    {"build": replace(BUILD, at=instant(RELEASE.at).timestamp() - 1)},
    {"lock": LockSeen(LOCK, 9000.0, "a release (process 7)", 7, 60.0)},
    {"live": None, "image": None, "made": Unseen("none")},
    {"wanted": replace(WANTED, database=""), "database": replace(DATABASE, exists=False)},
    {"container": mounted(Destination="/data/")},
    {"container": env(PORT=None)},
    {"busy": 2},
    {"container": container(State={"OOMKilled": True})},
    {"busy": 3, "database": replace(DATABASE, journal_mode="")},
    {"proxy": replace(SITE, inspected={**PROXY, "HostConfig": {"NetworkMode": "host"}, "NetworkSettings": {}})},
    {"shown": True, "container": container(State={"Running": False})},
    {"here": BAD_GATEWAY},
    {"public": BAD_GATEWAY},
    {"answer": "503: ", "public": BAD_GATEWAY, "here": BAD_GATEWAY},
    {"proxy": replace(SITE, config=""), "answer": "", "public": BAD_GATEWAY, "here": BAD_GATEWAY},
    {"names": NamesSeen("shop.example.com", False, ("192.0.2.53",), ("192.0.2.53",))},
    {"runs": {"backup": run(True)}},
    {"image_id": "sha256:1", "releases": []},
    {"image_id": "sha256:1", "schema": "s1"},
    {"image_id": "sha256:1", "schema": "s3"},
    {"container": health("starting", 1)},
    {"container": forking("Cannot fork", 0)},
    {"roots": [FileSeen("/n", 0, 0, 0o755, True)]},
    {"container": health("unhealthy", 3)},
    {"container": health("unhealthy", 3, started="2027-01-15T07:59:30Z")},
    {"container": container(State={"Status": "exited"})},
    {"container": container(HostConfig={"PortBindings": {"3000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "3000"}]}})},
    {"database": replace(DATABASE, files=(FileSeen("/v", 5, 1000, 0o770, True), FileSeen("/w", 5, 5, 0o666)))},
]


@pytest.mark.parametrize("facts", FINE, ids=str)
def test_what_is_not_wrong(facts: Mapping[str, Any]) -> None:
    assert found_in(**facts) == {}


def test_a_build_that_failed_matters_most_when_nothing_else_can_run() -> None:
    def severity(**facts: Any) -> tuple[str, tuple[str, ...]]:
        found, _unseen = judged(RULES, {**WELL, "build": BUILD, **facts})
        return next((finding.severity, finding.log) for finding in found if finding.id == "build-failed")

    assert severity() == ("warning", BUILD.lines)
    assert severity(container=None) == ("warning", BUILD.lines)  # whose image is there
    assert severity(container=None, image=None)[0] == "critical"
    assert severity(container=None, live=None)[0] == "critical"


def test_a_container_that_was_healthy_since_its_start_does_not_start_slowly() -> None:
    given = health("unhealthy", 3, started="2027-01-15T07:59:15Z")
    checks = given["State"]["Health"]["Log"]
    well = {**checks[0], "ExitCode": 0, "End": "2027-01-15T07:59:14Z"}
    given["State"]["Health"]["Log"] = [well, *checks]  # which was before
    assert "health-start" in found_in(container=given)
    given["State"]["Health"]["Log"] = [{**well, "End": "2027-01-15T07:59:20Z"}, *checks]
    assert found_in(container=given) == {}


def test_secrets_as_files_are_not_missing() -> None:
    secret = {"Type": "bind", "Destination": "/run/secrets/PAYLOAD_SECRET", "Source": "/opt/x", "RW": False}
    given = container(Mounts=[*MOUNTS, secret], Config=env(PAYLOAD_SECRET=None)["Config"])
    assert found_in(container=given) == {}


def test_a_proxy_that_waits_answers_nothing() -> None:
    silent = Visit(Leg.PROXY, "does not answer", "127.0.0.1")
    same = {**PROXY, "State": {**PROXY["State"], "StartedAt": "2027-01-15T07:00:00Z"}}
    found = found_in(public=silent, here=silent, proxy=replace(SITE, inspected=same))
    assert found["proxy-stale"][0].startswith("web answers nothing, though the application answers at 172.18.0.2:")


@pytest.mark.parametrize(
    ("facts", "unseen"),
    [
        ({"container": None}, {"app-paused": "there is no container", "env-wrong": "there is no container"}),
        ({"container": Unseen("no engine")}, {"env-wrong": "no engine", "network-new": "no engine"}),
        ({"image": None, "live": None}, {"image-architecture": "there is no image"}),
        ({"lock": LockSeen(LOCK)}, {"network-alias": "another job is running"}),
        ({"network": None}, {"network-new": "the container is not on the network"}),
        ({"proxy": None}, {"proxy-stopped": "no container publishes the port of visitors"}),
        ({"proxy": replace(SITE, inspected=None)}, {"proxy-network": "no reverse proxy runs in a container"}),
        ({"container": env(PUID=None)}, {"database-modes": "no numbers say as whom the application runs"}),
        (
            {"container": container(Config={"User": "node", "Entrypoint": None})},
            {"database-modes": "no numbers say as whom the application runs"},
        ),
        ({"engine": {}}, {"engine-version": "what was read is not as expected: KeyError 'ServerVersion'"}),
    ],
)
def test_what_cannot_be_told(facts: Mapping[str, Any], unseen: Mapping[str, str]) -> None:
    _found, reasons = judged(RULES, {**WELL, **facts})
    assert {name: reasons.get(name) for name in unseen} == unseen


def test_an_address_from_before_may_be_that_of_another_application_now() -> None:
    other = Visit(Leg.APPLICATION, "answers 404", "127.0.0.1", 404)
    asked = replace(WANTED, url=f"https://shop.example.com{urlsplit(asked_at(CONTAINER)).path}")
    assert "web answers 404" in found_in(public=other, here=other, wanted=asked)["proxy-stale"][0]
    assert found_in(public=other, here=other) == {}  # another page of the application may well answer otherwise


def test_an_image_that_starts_as_a_user_of_its_own() -> None:
    given = container(Config={"User": "1001", "Entrypoint": ["node"]})
    files = tuple(replace(each, uid=1001, gid=5) for each in FILES)
    assert found_in(container=given, database=replace(DATABASE, files=files), roots=[]) == {}
    command = found_in(container=given)["database-modes"][1]
    assert command.startswith("chown --no-dereference 1001 /v/payload.db /v && ")  # whose group the image alone knows


ROOT: dict[str, Any] = {"User": "0:0", "Entrypoint": ["node"]}


@pytest.mark.parametrize(
    ("config", "host", "modes"),
    [
        (ROOT, {}, "well"),
        ({**ROOT, "User": "root"}, {}, "well"),
        ({**ROOT, "User": ""}, {"CapDrop": ["ALL"], "CapAdd": ["CAP_DAC_OVERRIDE"]}, "well"),
        (ROOT, {"CapDrop": ["ALL"], "Privileged": True}, "well"),
        (ROOT, {"CapDrop": ["CHOWN"]}, "well"),
        (ROOT, {"CapDrop": ["NET_RAW"], "CapAdd": ["ALL"]}, "well"),
        (ROOT, {"CapDrop": ["DAC_OVERRIDE"], "CapAdd": ["ALL"]}, "0:0"),
        (ROOT, {"CapDrop": ["ALL"]}, "0:0"),
        (ROOT, {"CapDrop": ["dac_override"]}, "0:0"),
        ({**ROOT, "User": "1001:1001"}, {"GroupAdd": ["1000"]}, "well"),
        ({**ROOT, "User": "1001:1001"}, {"GroupAdd": ["5"]}, "1001:1001"),
        ({**ROOT, "User": "1001:1001"}, {"GroupAdd": ["staff"]}, "no numbers say in which groups the application is"),
        ({**ROOT, "User": "1001"}, {}, "no numbers say in which groups the application is"),
        ({**ROOT, "User": "1001:node"}, {}, "no numbers say as whom the application runs"),
        ({}, {"GroupAdd": ["1000"]}, "1002:1002"),
        ({"User": "1001:1001"}, {"GroupAdd": ["1000"]}, "well"),
        ({"User": "1001:1001"}, {}, "1001:1001"),
    ],
)
def test_who_may_write_in_the_volumes(config: dict[str, Any], host: dict[str, Any], modes: str) -> None:
    """The files are of 1000:1000, whose group may write as well; our entrypoint takes PUID and PGID when it is root."""
    environment = ["PUID=1002", "PGID=1002"]
    given = container(Config={"Env": environment, **config}, HostConfig=host)
    files = (FileSeen("/v/payload.db", 1000, 1000, 0o660), FileSeen("/v", 1000, 1000, 0o770, True))
    facts = {"container": given, "database": replace(DATABASE, files=files), "roots": [replace(files[1], path="/m")]}
    found, unseen = judged(RULES, {**WELL, **facts})
    for rule in ("database-modes", "volume-modes"):
        (wrong,) = [row for row in found if row.id == rule] or [None]
        assert (wrong.remedy.split()[3] if wrong else unseen.get(rule, "well")) == modes
        assert wrong is None or f"chown --no-dereference {modes} " in wrong.command


@pytest.mark.parametrize(
    ("option", "host", "told"),
    [
        ("name=userns", {}, False),
        ("name=rootless", {"UsernsMode": "host"}, False),
        ("name=userns", {"UsernsMode": "host"}, True),
    ],
)
def test_an_engine_that_gives_users_other_numbers(option: str, host: dict[str, Any], told: bool) -> None:
    engine = {**WELL["engine"], "SecurityOptions": [option]}
    given = container(HostConfig=host)
    found, unseen = judged(RULES, {**WELL, "engine": engine, "container": given})
    assert found == []
    reason = unseen.get("database-modes", "")
    assert reason == ("" if told else f"the engine gives users other numbers on the host ({option.partition('=')[2]})")


def test_older_code_on_older_data_and_an_absent_proxy_config() -> None:
    assert "database-schema" not in found_in(image_id="sha256:1", live=replace(RELEASE, schema="s9"))
    assert "database-schema" not in found_in(image_id="sha256:1", releases=[RELEASE, replace(OLDER, schema="")])
    away = container(NetworkSettings={"Networks": OTHERS})
    assert "proxy-stale" not in found_in(container=away, public=BAD_GATEWAY, here=BAD_GATEWAY)
