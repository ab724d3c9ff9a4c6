# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule about containers, with what is good, bad and unreadable."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit_containers import (
    RULES,
    Process,
    host_mounts,
    process_of,
    published,
    workers,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.audits import IMAGE, Case, altered, check, container, judged

STATUS = "Name:\tnode\nState:\tS (sleeping)\nPid:\t41\nPPid:\t40\nUid:\t0\t1000\t0\t0\nNoNewPrivs:\t1\nCapEff:\t00c0\n"
NOW = datetime(2026, 11, 30, tzinfo=timezone.utc)


def process(pid: int, parent: int, name: str = "node", uid: int = 1000, caps: int = 0, kept: bool = True) -> Process:
    return Process(pid, parent, name, uid, caps, kept)


TREE = [
    process(1, 0, "systemd", 0, 1, False),
    process(40, 30, "tini", 0, 1, False),
    process(41, 40),
    process(42, 41, "worker"),
    process(50, 30, "wget", 0, 1, False),  # a health check
    Process(51, 41, "wget", 0, 1, False, ended=True),  # one that nobody has waited for
]
APP = container()
SOCKET = {"Type": "bind", "Source": "/var/run/docker.sock", "RW": False}
ETC = {"Type": "bind", "Source": "/etc", "RW": False}


def case(rule_id: str, path: str, bad: Any, found: str, unreadable: str = "") -> Case:
    """Return the case of a rule that looks at one thing of the application's container."""
    return Case(rule_id, [APP], [container(path, bad)], found, [altered(APP, unreadable or path)])


def of_others(rule_id: str, path: str, bad: Any, found: str, *more: Any) -> Case:
    other = altered(container(path, bad), "Name", "/redis")
    return Case(rule_id, [[APP], *more], [[APP, other], *more], found, [[altered(APP, path)], *more])


def bound(port: str, host: str, address: str = "") -> dict[str, Any]:
    return {port: [{"HostIp": address, "HostPort": host}]}


PORTS = "HostConfig.PortBindings"
CASES = [
    case("app-privileged", "HostConfig.Privileged", True, "true"),
    case("app-docker-socket", "Mounts", [SOCKET], "/var/run/docker.sock"),
    case("app-docker-socket", "Mounts", [{**SOCKET, "Source": "/run/"}], "/run/"),
    Case("app-user", [APP, TREE], [APP, [process(40, 1, "node", 0)]], "root: node", [APP, []]),
    Case(
        "app-user", [APP, TREE], [APP, [*TREE, process(43, 42, "sh", 0)]], "root: sh", [container("State.Pid", 0), TREE]
    ),
    case("app-host-namespaces", "HostConfig.PidMode", "host", "pid"),
    case("app-host-mounts", "Mounts", [ETC, {**ETC, "Source": "/"}], "/etc, /"),
    case("app-published-ports", PORTS, bound("3000/tcp", "3000"), "3000/tcp on 0.0.0.0:3000"),
    case(
        "app-confinement",
        "HostConfig.SecurityOpt",
        ["seccomp=unconfined", "label=disable"],
        "seccomp=unconfined, label=disable",
    ),
    case("app-capabilities", "HostConfig.CapDrop", None, "dropped: none; added: CHOWN, SETUID"),
    case("app-capabilities", "HostConfig.CapAdd", ["CAP_SYS_ADMIN"], "dropped: ALL; added: SYS_ADMIN"),
    Case(
        "app-effective-capabilities",
        [APP, TREE],
        [APP, [process(40, 1, caps=0xC0)]],
        "node has 00000000000000c0",
        [altered(APP, "State.Pid"), TREE],
    ),
    Case(
        "app-no-new-privileges",
        [APP, TREE],
        [APP, [process(40, 1, kept=False)]],
        "node may gain privileges",
        [APP, TREE[:1]],
    ),
    case("app-devices", "HostConfig.Devices", [{"PathOnHost": "/dev/kvm"}], "/dev/kvm"),
    case("app-memory-limit", "HostConfig.Memory", 0, "none"),
    case("app-pids-limit", "HostConfig.PidsLimit", None, "none"),
    case("app-pids-limit", "HostConfig.PidsLimit", -1, "none"),
    case("app-restart", "HostConfig.RestartPolicy", {"Name": ""}, "no"),
    case("app-restart", "HostConfig.RestartPolicy", {"Name": "on-failure"}, "on-failure"),
    case("app-health-check", "Config.Healthcheck", None, "none", "Config"),
    case("app-health-check", "Config.Healthcheck", {"Test": ["NONE"]}, "none", "Config"),
    Case(
        "app-secrets",
        [
            container(
                "Config.Env", ["NPM_TOKEN=x", "PAYLOAD_SECRET_FILE=/run/secrets/a", "NEXT_PUBLIC_KEY=1", "API_KEY="]
            ),
            altered(IMAGE, "Config.Env", ["NPM_TOKEN=x"]),
        ],
        [container("Config.Env", ["PAYLOAD_SECRET=x", "DATABASE_URI=postgres://me:sesame@db/shop"]), IMAGE],
        "DATABASE_URI, PAYLOAD_SECRET",
        [altered(APP, "Config.Env"), IMAGE],
    ),
    case(
        "app-log-limit", "HostConfig.LogConfig", {"Type": "json-file", "Config": None}, "json-file, no limit of its own"
    ),
    Case(
        "app-image-age",
        [IMAGE, NOW, 90.0],
        [altered(IMAGE, "Created", "2026-01-30T00:00:00Z"), NOW, 90.0],
        "304 days",
        [altered(IMAGE, "Created", "1970-01-01T00:00:01Z"), NOW, 90.0],
    ),
    case("app-read-only", "HostConfig.ReadonlyRootfs", False, "false"),
    case("app-swap", "HostConfig.MemorySwap", 2 << 30, "2147483648 bytes with swap, 1073741824 without"),
    case("app-swap", "HostConfig.MemorySwap", -1, "swap without a limit"),
    case("app-swap", "HostConfig.Memory", 0, "no limit of the memory, and so none of swap"),
    case("app-cpu-limit", "HostConfig.NanoCpus", 0, "none"),
    case("app-default-bridge", "NetworkSettings.Networks", {"bridge": {}}, "bridge"),
    case("app-image-tag", "Config.Image", "registry:5000/shop", "registry:5000/shop"),
    case("app-image-tag", "Config.Image", "shop:latest", "shop:latest"),
    of_others("others-privileged", "HostConfig.Privileged", True, "redis (privileged)"),
    of_others("others-docker-socket", "Mounts", [SOCKET], "redis (/var/run/docker.sock)"),
    of_others("others-database-ports", PORTS, bound("6379/tcp", "7000"), "redis (6379/tcp on 0.0.0.0:7000)", False),
    of_others("others-host-mounts", "Mounts", [{**ETC, "Source": "/etc/cron.d", "RW": True}], "redis (/etc/cron.d)"),
    of_others(
        "others-published-ports", PORTS, bound("80/tcp", "28080", "::"), "redis (80/tcp on :::28080)", False, {"80/tcp"}
    ),
    of_others("others-host-namespaces", "HostConfig.NetworkMode", "host", "redis (network)"),
    of_others("others-log-limit", "HostConfig.LogConfig", {"Type": "json-file", "Config": {}}, "redis (json-file)"),
]


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.id)
def test_a_rule(each: Case) -> None:
    check(RULES, each)


def test_every_rule_has_a_case() -> None:
    assert {each.id for each in CASES} == {rule.id for rule in RULES}


def test_a_quota_is_a_limit_of_the_cpu() -> None:
    app = container("HostConfig.CpuQuota", 50000)
    assert judged(RULES, "app-cpu-limit", [altered(app, "HostConfig.NanoCpus", 0)])["found"] == "a quota of 50000"


def test_what_the_status_of_a_process_says() -> None:
    assert process_of(STATUS) == Process(41, 40, "node", 1000, 0xC0, True)
    assert process_of(STATUS.replace("S (sleeping)", "Z (zombie)")).ended
    with pytest.raises(KeyError):
        process_of("Name:\tnode\n")


def test_the_workers_of_a_container_are_those_that_it_has_started_itself() -> None:
    assert [worker.name for worker in workers(APP, TREE)] == ["node", "worker"]


@pytest.mark.parametrize(
    ("mount", "found"),
    [
        ({"Type": "bind", "Source": "/etc/localtime", "RW": False}, []),
        ({"Type": "bind", "Source": "/etc/cron.d", "RW": True}, ["/etc/cron.d"]),
        ({"Type": "bind", "Source": "/srv/site", "RW": True}, []),
        ({"Type": "volume", "Source": "/var/lib/docker/volumes/a/_data", "RW": True}, []),
        ({"Type": "bind", "Source": "/home/", "RW": False}, ["/home/"]),
    ],
)
def test_which_directories_of_the_host_tell_against_a_container(mount: dict[str, Any], found: list[str]) -> None:
    assert host_mounts(container("Mounts", [mount])) == found


def test_a_port_on_loopback_is_not_published() -> None:
    ports = {**bound("80/tcp", "80", "127.0.0.1"), **bound("81/tcp", "81", "::1"), **bound("82/udp", "")}
    assert [str(port) for port in published(container(PORTS, ports))] == ["82/udp on 0.0.0.0:any"]
    given = bound("3000/tcp", "49153")
    assert [str(port) for port in published(container("NetworkSettings.Ports", given))] == ["3000/tcp on 0.0.0.0:49153"]


def test_the_firewall_of_ours_also_keeps_published_ports_closed() -> None:
    others = [container(PORTS, bound("5432/tcp", "5432"))]
    row = judged(RULES, "others-database-ports", [others, True])
    assert row["result"] == "ok"
    assert row["found"] == "shop-app (5432/tcp on 0.0.0.0:5432), kept from outside by the firewall"


def test_a_port_that_may_be_open_is_no_finding() -> None:
    others = [container(PORTS, bound("80/tcp", "80"))]
    assert judged(RULES, "others-published-ports", [others, False, {"80/tcp"}])["result"] == "ok"
