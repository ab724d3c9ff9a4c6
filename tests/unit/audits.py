# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for the rules of the audit: facts as they should be, and how tests change them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit import Rule, audited
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit_remedies import REMEDIES

ABSENT = object()

CONTAINER: Mapping[str, Any] = {
    "Id": "c0ffee",
    "Name": "/shop-app",
    "Image": "sha256:1",
    "State": {"Pid": 40},
    "Config": {"Env": ["NODE_ENV=production"], "Image": "shop-app:1", "Healthcheck": {"Test": ["CMD", "true"]}},
    "HostConfig": {
        "CapAdd": ["CHOWN", "CAP_SETUID"],
        "CapDrop": ["ALL"],
        "CpuQuota": 0,
        "Devices": None,
        "IpcMode": "private",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "Memory": 1 << 30,
        "MemorySwap": 1 << 30,
        "NanoCpus": 1_500_000_000,
        "NetworkMode": "proxy",
        "PidMode": "",
        "PidsLimit": 200,
        "PortBindings": {},
        "Privileged": False,
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "unless-stopped"},
        "SecurityOpt": ["no-new-privileges:true"],
        "UTSMode": "",
        "UsernsMode": "",
    },
    "Mounts": [{"Type": "volume", "Source": "/var/lib/docker/volumes/shop-db/_data", "RW": True}],
    "NetworkSettings": {"Networks": {"proxy": {}}, "Ports": {"3000/tcp": None}},
}
IMAGE: Mapping[str, Any] = {"Created": "2026-11-01T00:00:00.5Z", "Config": {"Env": ["PATH=/bin"]}}
INFO: Mapping[str, Any] = {
    "DefaultRuntime": "runc",
    "DockerRootDir": "/var/lib/docker",
    "Debug": False,
    "Driver": "overlay2",
    "ExperimentalBuild": False,
    "LiveRestoreEnabled": True,
    "LoggingDriver": "json-file",
    "RegistryConfig": {
        "IndexConfigs": {"docker.io": {"Secure": True}},
        "InsecureRegistryCIDRs": ["127.0.0.0/8", "::1/128"],
        "Mirrors": ["https://mirror.example.com/"],
    },
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=userns", "name=no-new-privileges"],
    "ServerVersion": "26.1.5",
    "Swarm": {"LocalNodeState": "inactive"},
}


def altered(facts: Mapping[str, Any], path: str, value: Any = ABSENT) -> dict[str, Any]:
    """Return facts with another value at a path such as ``HostConfig.Memory``, or with none there."""
    *folders, last = path.split(".")
    found = place = copy.deepcopy(dict(facts))
    for name in folders:
        place = place[name]
    place.pop(last) if value is ABSENT else place.update({last: value})
    return found


def container(path: str = "Name", value: Any = "/shop-app") -> dict[str, Any]:
    """Return a container that is as it should be but for one thing."""
    return altered(CONTAINER, path, value)


def info(path: str = "Driver", value: Any = "overlay2") -> dict[str, Any]:
    """Return what an engine says of itself that is as it should be but for one thing."""
    return altered(INFO, path, value)


@dataclass(frozen=True)
class Case:
    """A rule with what it is given: good, bad and unreadable facts; and what it finds in the bad ones."""

    id: str
    good: Sequence[Any]
    bad: Sequence[Any]
    found: str
    unreadable: Sequence[Any]


def judged(rules: Sequence[Rule], rule_id: str, facts: Sequence[Any]) -> dict[str, str]:
    """Return what comes of a rule that is given these facts."""
    rule = next(rule for rule in rules if rule.id == rule_id)
    assert len(facts) == len(rule.needs)
    return audited([rule], dict(zip(rule.needs, facts)), REMEDIES)[0]


def check(rules: Sequence[Rule], case: Case) -> None:
    """See that a rule tells good, bad and unreadable facts apart."""
    assert judged(rules, case.id, case.good)["result"] == "ok"
    bad = judged(rules, case.id, case.bad)
    assert (bad["result"], bad["found"]) == ("finding", case.found)
    assert bad["remedy"]
    unreadable = judged(rules, case.id, case.unreadable)
    assert (unreadable["result"], unreadable["remedy"]) == ("not_looked_at", "")
    assert unreadable["found"]
