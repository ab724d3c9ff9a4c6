# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule about the engine, with what is good, bad and unreadable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit import Unseen
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit_engine import RULES, flags
from ansible_collections.ptnextjs.docker_vps.tests.unit.audits import INFO, Case, altered, check, info, judged

FILE = {
    "live-restore": True,
    "log-opts": {"max-size": "10m"},
    "registry-mirrors": ["https://mirror.example.com"],
    "bip": "10.0.0.1/24",
}
OTHERWISE = {
    "log-driver": "local",
    "data-root": "/srv",
    "no-new-privileges": False,
    "registry-mirrors": ["https://me:sesame@a", "b"],
}
TEXT = json.dumps(FILE)
PLAIN = ["/usr/sbin/dockerd", "-H", "fd://", "--containerd=/run/containerd/containerd.sock"]
UNIT = "Listen=/run/docker.sock (Stream)\n"
ICC = "com.docker.network.bridge.enable_icc"
OPEN = [*PLAIN, "--host=tcp://0.0.0.0:2375"]


def case(rule_id: str, path: str, bad: Any, found: str) -> Case:
    """Return the case of a rule that looks at one thing that the engine says of itself."""
    return Case(rule_id, [INFO], [info(path, bad)], found, [altered(INFO, path)])


SECURITY = "SecurityOptions"
CASES = [
    Case("engine-tcp", [TEXT, PLAIN, UNIT], [None, OPEN, UNIT], "tcp://0.0.0.0:2375 without TLS", ["{", PLAIN, UNIT]),
    Case(
        "engine-tcp",
        ['{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify": true}', PLAIN[:1], ""],
        ['{"hosts": ["tcp://127.0.0.1:2375"]}', PLAIN[:1], ""],
        "tcp://127.0.0.1:2375 without TLS",
        ["[]", PLAIN, UNIT],
    ),
    Case(
        "engine-tcp",
        [None, [*PLAIN, "--tlsverify"], f"{UNIT}Listen=[::]:2376 (Stream)\n"],
        [None, PLAIN, f"{UNIT}Listen=[::]:2375 (Stream)\n"],
        "[::]:2375 without TLS",
        [None, PLAIN, Unseen("there is no systemd")],
    ),
    Case(
        "engine-daemon-json",
        [TEXT],
        ["[]"],
        "/etc/docker/daemon.json is list, not an object of options",
        [7],
    ),
    case("engine-seccomp", SECURITY, ["name=apparmor"], "apparmor"),
    Case("engine-version", [INFO, "25.0"], [INFO, "27"], "26.1.5, at least 27 is needed", [{}, "25.0"]),
    Case("engine-compose-version", ["2.26.1", "2.20"], ["", "2.20"], "none, at least 2.20 is needed", ["no", "2.20"]),
    Case(
        "engine-daemon-json-applied",
        [TEXT, INFO],
        [TEXT, info("LiveRestoreEnabled", False)],
        "live-restore is true in the file and false in the engine",
        ["{", INFO],
    ),
    Case(
        "engine-daemon-json-applied",
        [None, INFO],
        [json.dumps(OTHERWISE), INFO],
        "data-root is /srv in the file and /var/lib/docker in the engine; log-driver is local in the file and "
        "json-file in the engine; no-new-privileges is false in the file and true in the engine; registry-mirrors is "
        "a list of 2 in the file and a list of 1 in the engine",
        [TEXT, altered(INFO, "LiveRestoreEnabled")],
    ),
    case("engine-live-restore", "LiveRestoreEnabled", False, "off"),
    case("engine-insecure-registries", "RegistryConfig.InsecureRegistryCIDRs", ["10.0.0.0/8"], "10.0.0.0/8"),
    case("engine-insecure-registries", "RegistryConfig.IndexConfigs", {"my:5000": {"Secure": False}}, "my:5000"),
    case("engine-mandatory-access", SECURITY, ["name=seccomp"], "seccomp"),
    Case(
        "engine-docker-group",
        ["root:x:0:\ndocker:x:999:\n"],
        ["docker:x:999:deploy,ci\n"],
        "deploy, ci",
        ["docker\ndocker:x\n"],
    ),
    Case(
        "engine-log-limit", [INFO, TEXT, PLAIN], [INFO, None, PLAIN], "json-file without max-size", [INFO, "{", PLAIN]
    ),
    Case(
        "engine-log-limit",
        [INFO, None, [*PLAIN, "--log-opt", "max-file=3", "--log-opt", "max-size=5m"]],
        [INFO, '{"log-opts": {"max-file": "3"}}', [*PLAIN, "--log-opt=mode=blocking"]],
        "json-file without max-size",
        [altered(INFO, "LoggingDriver"), TEXT, PLAIN],
    ),
    case("engine-no-new-privileges", SECURITY, None, "none"),
    case("engine-user-namespace", SECURITY, ["name=seccomp"], "root in a container is root of the host"),
    case("engine-experimental", "ExperimentalBuild", True, "on"),
    Case("engine-icc", [{"Options": {ICC: "false"}}], [{"Options": {}}], "they reach each other", [{}]),
]


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.id)
def test_a_rule(each: Case) -> None:
    check(RULES, each)


def test_every_rule_has_a_case() -> None:
    assert {each.id for each in CASES} == {rule.id for rule in RULES}


def test_there_need_be_no_file() -> None:
    assert judged(RULES, "engine-daemon-json", [None])["found"] == "there is no file"


def test_a_driver_that_rotates_by_itself_needs_no_size() -> None:
    assert judged(RULES, "engine-log-limit", [info("LoggingDriver", "local"), None, PLAIN])["found"] == "local"


def test_a_node_of_a_swarm_cannot_restore_live() -> None:
    swarm = altered(info("LiveRestoreEnabled", False), "Swarm.LocalNodeState", "active")
    assert judged(RULES, "engine-live-restore", [swarm])["result"] == "ok"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("dockerd -H fd:// -H=tcp://[::]:2375 --host unix:///a", ["fd://", "tcp://[::]:2375", "unix:///a"]),
        ("dockerd --debug -H", ["true"]),
        ("dockerd -H --debug", ["true"]),
        ("dockerd --hostname x", []),
    ],
)
def test_flags_are_read_as_the_engine_reads_them(line: str, found: list[str]) -> None:
    assert flags(line.split(), "-H", "--host") == found
