# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit looks at, and what becomes of what it may not look at."""

from __future__ import annotations

import errno
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit_host import SYSCTLS, Place
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineUnreachable,
    InvalidInput,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.host_audit import RULES, Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.support import audit
from ansible_collections.ptnextjs.docker_vps.tests.unit.audits import IMAGE, INFO, altered, container
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import ROOT
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeWallClock, Shop

STATUS = (
    "Name:\tnode\nState:\tS (sleeping)\nPid:\t40\nPPid:\t30\nUid:\t1000\t1000\t1000\t1000\nNoNewPrivs:\t1\nCapEff:\t0\n"
)
SSHD = "port 2222\npermitrootlogin no\npasswordauthentication no\nkbdinteractiveauthentication no\nusepam yes\n"
SOCKETS = "  sl  local_address rem_address st\n   0: 00000000:08AE 00000000:0000 0A 00000000:00000000 00 0 0 0 1\n"
HOME = "/opt/shop"
RULESET = json.dumps({"nftables": [{"table": {"family": "inet", "name": "docker_vps"}}]})


@dataclass
class FakeAuditEngine:
    """An engine with containers."""

    containers: dict[str, dict[str, Any]] = field(default_factory=lambda: {"shop-app": container()})

    def info(self) -> Mapping[str, Any]:
        return INFO

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        return self.containers.get(name)

    def all_containers(self) -> Sequence[Mapping[str, Any]]:
        return [{"Id": name, "State": "running"} for name in [*self.containers, "gone"]] + [
            {"Id": "x", "State": "exited"}
        ]

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        return IMAGE if name == "sha256:1" else None

    def network(self, name: str) -> Optional[Mapping[str, Any]]:
        return {"Options": {"com.docker.network.bridge.enable_icc": "false"}}


@dataclass
class FakeAuditedHost:
    """A host on which everything is as it should be; what stands in no field is not there."""

    texts: dict[str, str] = field(
        default_factory=lambda: {
            "/etc/group": "docker:x:999:\n",
            "/etc/docker/daemon.json": '{"log-opts": {"max-size": "10m"}}',
            "/proc/net/tcp": SOCKETS,
            "/etc/os-release": "ID=debian\nVERSION_CODENAME=trixie\nPRETTY_NAME=Debian\n",
            "/usr/share/distro-info/debian.csv": "series,eol\ntrixie,2030-06-30\n",
            **{f"/proc/sys/{name}": f"{sorted(values)[0]}\n" for name, values in SYSCTLS.items()},
        }
    )
    outputs: dict[str, str] = field(
        default_factory=lambda: {
            "nft": RULESET,
            "sshd": SSHD,
            "apt-config": "1\n",
            "systemctl": "UnitFileState=enabled\n",
        }
    )
    modes: dict[str, int] = field(
        default_factory=lambda: {
            f"{HOME}/.env.production": 0o600,
            HOME: 0o755,
            "/run/containerd/containerd.sock": 0o660,
            "/var/run/docker.sock": 0o660,
            "/etc/letsencrypt/archive/*/privkey*.pem": 0o600,
            "/boot/vmlinuz-*": 0o600,
        }
    )
    forbidden: str = "-"
    lines: Sequence[Sequence[str]] = (("/usr/sbin/dockerd", "-H", "fd://"),)

    def text(self, path: str) -> str:
        if path.startswith(self.forbidden):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        if path not in self.texts:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return self.texts[path]

    def exists(self, path: str) -> bool:
        return path == "/usr/bin/unattended-upgrade"

    def places(self, patterns: Sequence[str]) -> list[Place]:
        if any(pattern.startswith(self.forbidden) for pattern in patterns):
            raise PermissionError(errno.EACCES, "Permission denied", patterns[0])
        names = {"/boot/vmlinuz-*": "/boot/vmlinuz-6.1.0-9-amd64"}
        return [Place(names.get(each, each), self.modes[each], 0, 0) for each in patterns if each in self.modes]

    def output(self, command: Sequence[str]) -> str:
        if command[0] not in self.outputs:
            raise DockerVpsError(f"The command {command[0]} cannot be run: No such file or directory. Is it installed?")
        return self.outputs[command[0]]

    def statuses(self) -> Sequence[str]:
        return [STATUS]

    def command_lines(self, name: str) -> Sequence[Sequence[str]]:
        return self.lines

    def kernel(self) -> str:
        return "6.1.0-9-amd64"

    def synchronised(self) -> bool:
        return True

    def compose_version(self) -> str:
        return "2.26.1"


def params(**changes: Any) -> Params:
    return Params(
        **{
            "container": "shop-app",
            "directory": HOME,
            "env_file": f"{HOME}/.env.production",
            "offsite": True,
            **changes,
        }
    )


class World:
    """Everything that an audit looks at."""

    def __init__(self, place: Path) -> None:
        self.engine, self.host = FakeAuditEngine(), FakeAuditedHost()
        self.sets, self.clock = Sets(str(place / "backups"), "shop"), FakeWallClock()
        self.host.modes[self.sets.directory] = 0o700

    def audit(self, **changes: Any) -> dict[str, Any]:
        return run(params(**changes), lambda: self.engine, self.host, self.sets, self.clock)

    def rules(self, **changes: Any) -> dict[str, dict[str, str]]:
        return {rule["id"]: rule for rule in self.audit(**changes)["rules"]}

    def results(self, **changes: Any) -> dict[str, str]:
        return {rule_id: rule["result"] for rule_id, rule in self.rules(**changes).items()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_host_on_which_all_is_well(world: World) -> None:
    results = world.results()
    assert {name: result for name, result in results.items() if result != "ok"} == {
        "backup-sets": "finding",
        "backup-age": "not_looked_at",
        "backup-drill": "not_looked_at",
    }
    assert world.audit()["changed"] is False
    assert world.audit()["counts"]["finding"] == 1


def test_the_ids_of_rules_are_unique_and_begin_with_their_area() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids) > 60
    assert {rule.area for rule in RULES} == {"app", "others", "engine", "file", "host", "backup"}


def test_the_documented_rules_are_these() -> None:
    page = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
    assert audit.written(page) == page, "run python tests/support/audit.py"


def test_a_rule_keeps_its_id() -> None:
    """Who has a report, or a list of findings that are accepted, knows rules by these."""
    known = set(re.findall(r"[a-z]+-[a-z-]+", (Path(__file__).parent / "audit_ids.txt").read_text(encoding="utf-8")))
    assert known - {rule.id for rule in RULES} == set(), "an id that was given stays"
    assert {rule.id for rule in RULES} - known == set(), "add it to audit_ids.txt"


def test_no_engine_says_nothing_good_of_it(tmp_path: Path) -> None:
    world = World(tmp_path)

    def connect() -> FakeAuditEngine:
        raise EngineUnreachable("No Docker engine answers at unix:///var/run/docker.sock.")

    rows = run(params(), connect, world.host, world.sets, world.clock)["rules"]
    asked = {row["id"]: row for row in rows if row["area"] in ("app", "others")}
    assert {row["result"] for row in asked.values()} == {"not_looked_at"}
    assert asked["app-privileged"]["found"] == "No Docker engine answers at unix:///var/run/docker.sock."


def test_a_container_that_is_not_there(world: World) -> None:
    rules = world.rules(container="blog-app")
    assert rules["app-privileged"]["found"] == rules["app-image-age"]["found"] == "there is no container blog-app"
    world.engine.containers["shop-app"]["Image"] = "sha256:2"
    assert world.rules()["app-image-age"]["found"] == "there is no image sha256:2 any more"


def test_the_other_containers_are_those_that_run(world: World) -> None:
    helper = altered(container("HostConfig.Privileged", True), "Name", "/helper")
    world.engine.containers["helper"] = helper
    assert world.rules()["others-privileged"]["found"] == "helper (privileged)"
    assert world.rules()["app-privileged"]["result"] == "ok"


def test_keys_of_a_proxy_are_looked_for_in_what_it_mounts(world: World) -> None:
    mounts = [{"Type": "bind", "Source": "/srv/tls/", "RW": False}, {"Type": "volume", "Source": "/v", "RW": True}]
    world.engine.containers["caddy"] = altered(container("Mounts", mounts), "Name", "/caddy")
    world.host.modes["/srv/tls/*.key"] = 0o644
    assert world.rules()["file-tls-keys"]["found"] == "/srv/tls/*.key 0644 0:0"


@pytest.mark.parametrize(
    "keys", ["caddy/certificates/*/*/*.key", "caddy/acme/*/users/*/*.key", "caddy/pki/authorities/*/*.key"]
)
@pytest.mark.parametrize("kind", ["volume", "bind"])
def test_keys_that_caddy_keeps_itself_are_looked_for_in_its_volume(world: World, kind: str, keys: str) -> None:
    mounts = [{"Type": kind, "Source": "/volumes/caddy/_data", "RW": True}, {"Type": "tmpfs", "Source": "", "RW": True}]
    world.engine.containers["caddy"] = altered(container("Mounts", mounts), "Name", "/caddy")
    assert world.rules()["file-tls-keys"]["result"] == "ok"
    world.host.modes[f"/volumes/caddy/_data/{keys}"] = 0o640
    assert world.rules()["file-tls-keys"]["result"] == "ok"
    world.host.modes[f"/volumes/caddy/_data/{keys}"] = 0o644
    assert world.rules()["file-tls-keys"]["found"] == f"/volumes/caddy/_data/{keys} 0644 0:0"


def test_what_must_not_be_read_is_told(world: World) -> None:
    world.host.forbidden = "/etc/"
    rules = world.rules()
    assert rules["engine-docker-group"]["found"] == "/etc/group: Permission denied"
    assert rules["file-tls-keys"]["result"] == rules["host-firewall"]["result"] == "not_looked_at"
    world.host.forbidden = "/proc/sys/net"
    assert world.rules()["host-sysctls"]["found"] == "/proc/sys/net/ipv4/conf/all/accept_redirects: Permission denied"


def test_an_engine_elsewhere_has_no_processes_here(world: World) -> None:
    rules = world.rules(socket="")
    assert rules["app-user"]["found"].startswith("the engine is not on this host")
    assert rules["file-docker-socket"]["result"] == "not_looked_at"
    world.host.lines = ()
    assert world.rules()["engine-tcp"]["found"] == "no process dockerd is seen"


def test_without_nftables_iptables_is_asked(world: World) -> None:
    world.host.outputs = {"iptables-save": ":INPUT DROP [0:0]", "ip6tables-save": ":INPUT DROP [0:0]"}
    rules = world.rules()
    assert rules["host-firewall"]["result"] == "ok"
    assert rules["host-open-ports"]["result"] == "ok"
    assert rules["host-ssh-root"]["found"].startswith("The command sshd cannot be run")
    world.host.texts["/proc/net/ip_tables_names"] = "filter\n"
    world.host.outputs = {"iptables-legacy-save": ":INPUT ACCEPT [0:0]", "ip6tables-legacy-save": ":INPUT ACCEPT [0:0]"}
    assert world.results()["host-firewall"] == "finding"
    world.host.texts["/etc/ufw/ufw.conf"] = "# x\nENABLED=yes\n"
    assert world.rules()["host-firewall"]["found"] == "ufw"


def test_an_answer_that_is_no_json_is_not_understood(world: World) -> None:
    world.host.outputs["nft"] = "table inet docker_vps"
    rules = world.rules()
    assert rules["host-firewall"]["result"] == "not_looked_at"
    assert "JSONDecodeError" in rules["host-firewall"]["found"]


def test_ports_of_sshd_may_be_open(world: World) -> None:
    world.host.outputs["nft"] = json.dumps({"nftables": []})
    assert world.results()["host-open-ports"] == "ok"
    del world.host.outputs["sshd"]
    assert world.rules()["host-open-ports"]["found"] == "2222/tcp"
    assert world.results(ports=("2222/tcp",))["host-open-ports"] == "ok"


def test_a_port_needs_its_protocol(world: World) -> None:
    with pytest.raises(InvalidInput, match=r"^443, x/tcp in ⟦setting audit_ports⟧ is not a port with its protocol\. "):
        world.audit(ports=("443", "80/tcp", "x/tcp"))


def test_what_systemd_listens_on_is_asked_where_the_engine_is_handed_sockets(world: World) -> None:
    world.host.outputs["systemctl"] = "Listen=0.0.0.0:2375 (Stream)\n"
    assert world.rules()["engine-tcp"]["found"] == "0.0.0.0:2375 without TLS"
    world.host.lines = (("dockerd",),)
    assert world.rules()["engine-tcp"]["found"] == "no TCP"


def test_backup_sets_that_are_whole_count(tmp_path: Path) -> None:
    world, shop = World(tmp_path), Shop(tmp_path)
    shop.back_up()
    world.sets, world.clock = shop.sets, shop.clock
    assert world.results()["backup-sets"] == world.results()["backup-age"] == "ok"
    assert world.rules()["backup-drill"]["found"] == "0 sets of 1"
    assert world.results(max_backup_age=-1)["backup-age"] == "finding"
    for archive in Path(shop.sets.directory).glob("db-*"):
        archive.unlink()
    assert world.results()["backup-sets"] == "finding"


def test_a_finding_that_is_severe_enough_fails_with_all_that_was_found(world: World) -> None:
    with pytest.raises(
        DockerVpsError, match=r"^The audit has 1 finding of severity high or higher: backup-sets\. The report "
    ) as caught:
        world.audit(fail_at="high")
    assert set(caught.value.evidence) == {"changed", "rules", "counts", "summary"}
    assert world.audit(fail_at="critical")["counts"]["high"] == 1
