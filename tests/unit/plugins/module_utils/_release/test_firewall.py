# SPDX-License-Identifier: GPL-3.0-or-later
"""How a firewall is put in place, confirmed and taken back, on a host of our own making."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.firewall import (
    MARK,
    REMOVED,
    Process,
    Processes,
    Socket,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.firewall import Params, World, run

PID = 9


class Host:
    """A host with nft, ufw, systemd, an engine and an SSH server; what is asked of them is written down."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.asked: list[str] = []
        self.table, self.installed, self.refuses = "", True, ""
        self.others: list[Mapping[str, Any]] = []
        self.cannot_list = ""
        self.ufw_on, self.ufw_rules, self.enabled = False, "", False
        self.server, self.peer_port, self.bridge = True, 50000, "docker0"
        self.timer: Optional[Sequence[str]] = None

    # nft

    def exists(self) -> bool:
        return self.installed

    def listing(self) -> str:
        return self.table

    def ruleset(self) -> Sequence[Mapping[str, Any]]:
        if self.cannot_list:
            raise DockerVpsError(self.cannot_list)
        return self.others

    def rendered(self, text: str) -> str:
        return text[len(REMOVED) :].replace("{ 443 }", "443")

    def load(self, text: str) -> None:
        self.asked.append("load")
        if self.refuses and text != REMOVED:
            raise DockerVpsError(self.refuses)
        self.table = self.rendered(text)

    # ufw

    def rules_here(self) -> bool:
        return self.ufw_on

    def rules(self) -> str:
        return self.ufw_rules

    def allow(self, protocol: str, port: int) -> None:
        self.asked.append(f"allow {port}/{protocol}")
        self.ufw_rules += (
            f"### tuple ### allow {protocol} {port} 0.0.0.0/0 any 0.0.0.0/0 in comment={MARK.encode().hex()}\n"
        )

    def delete(self, protocol: str, port: int) -> None:
        self.asked.append(f"delete {port}/{protocol}")
        self.ufw_rules = re.sub(rf"### tuple ### allow {protocol} {port} .*\n", "", self.ufw_rules)

    # sockets

    def all(self) -> list[Socket]:
        server = [Socket("tcp", "::", 22, "", 0, True, 1)] if self.server else []
        ours = [Socket("tcp", "192.0.2.1", 22, "192.0.2.2", self.peer_port, False, 2)] if self.server else []
        return [*server, *ours, Socket("tcp", "::", 5432, "", 0, True, 3)]

    def processes(self) -> Processes:
        return {
            1: Process("sshd", 0, frozenset({1})),
            2: Process("sshd", 1, frozenset({2})),
            PID: Process("python3", 2, frozenset()),
            4: Process("postgres", 0, frozenset({3})),
        }

    def units(self) -> set[int]:
        return set()

    def interfaces(self) -> Sequence[str]:
        return ["eth0", "br-lan"]

    def ephemeral(self) -> range:
        return range(32768, 61000)

    # the engine

    def published(self) -> Mapping[tuple[str, int], str]:
        return {("tcp", 3000): "shop-app"}

    def bridges(self) -> Sequence[str]:
        return [self.bridge]

    # systemd

    def systemctl(self, *arguments: str) -> str:
        self.asked.append(" ".join(arguments))
        if arguments[0] == "show":
            self.asked.pop()
            return f"UnitFileState={'enabled' if self.enabled else ''}\n"
        if arguments[0] in ("enable", "disable"):
            self.enabled = arguments[0] == "enable"
        elif arguments[0] == "stop":
            if self.timer is None:
                raise DockerVpsError("Unit not loaded")
            self.timer = None
        return ""

    def later(self, unit: str, seconds: float, command: Sequence[str]) -> None:
        self.asked.append(f"in {seconds:g} s")
        self.timer = command

    def minute_passes(self) -> None:
        """Do what systemd does then."""
        assert self.timer
        command, self.timer = [*self.timer], None
        command[-2] = "cat"  # instead of nft
        command[2] = command[2].replace(" -f", "")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not done.stderr:
            self.load(done.stdout)

    def run(self, state: str = "present", check_mode: bool = False, **options: Any) -> dict[str, Any]:
        """Run the module's procedure as a connection of its own."""
        self.peer_port += 1
        self.asked.clear()
        params = Params(state, etc=str(self.place / "etc"), run=str(self.place / "run"), **options)
        world = World(self, self, self, self, self.systemctl, self.later, PID)
        return run(params, world, check_mode)

    def confirmed(self, **options: Any) -> dict[str, Any]:
        """Have a firewall."""
        result = self.run(**options)
        assert result["pending"]
        self.run("confirmed")
        return result

    def files(self) -> dict[str, str]:
        """Return what a boot reads."""
        return {
            path.relative_to(self.place / "etc").as_posix(): path.read_text()
            for path in sorted((self.place / "etc").rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_it_is_loaded_confirmed_and_kept(host: Host) -> None:
    result = host.run()
    assert (result["changed"], result["pending"], result["ssh_ports"]) == (True, True, [22])
    assert result["closed"] == ["3000/tcp (container shop-app)", "5432/tcp (postgres)"]
    assert host.asked == ["stop docker-vps-firewall-rollback.timer", "in 60 s", "load"]
    assert "tcp dport { 22, 80, 443 } accept" in host.table
    assert 'iifname { "br-lan" } goto host' in host.table
    assert host.files() == {}, "a boot opens everything again"
    assert host.run("confirmed")["changed"] is True
    assert host.asked == [
        "stop docker-vps-firewall-rollback.timer",
        "daemon-reload",
        "enable --now docker-vps-firewall.service",
    ]
    assert host.timer is None
    assert list(host.files()) == [
        "docker-vps/firewall.nft",
        "systemd/system/docker-vps-firewall.service",
        "systemd/system/nftables.service.d/docker-vps.conf",
    ]
    assert host.rendered(host.files()["docker-vps/firewall.nft"]) == host.table


def test_a_second_run_changes_nothing(host: Host) -> None:
    host.confirmed()
    result = host.run()
    assert (result["changed"], result["pending"], host.asked) == (False, False, [])
    assert all(part["before"] == part["after"] for part in result["diff"])


def test_a_dry_run_shows_what_a_run_does(host: Host) -> None:
    host.installed = False
    shown = host.run(check_mode=True)
    assert (shown["changed"], shown["pending"], host.asked, host.files()) == (True, False, [], {})
    assert "tcp dport" in shown["diff"][0]["after"]
    host.installed = True
    shown = host.run(check_mode=True)
    done = host.run()
    assert (shown["diff"], shown["closed"]) == (done["diff"], done["closed"])
    assert host.run("confirmed", check_mode=True)["changed"] is False
    assert host.timer


def test_without_nft_nothing_is_changed(host: Host) -> None:
    host.installed = False
    with pytest.raises(DockerVpsError, match=r"nft is not installed .* Nothing was changed"):
        host.run()
    assert host.asked == []


def test_rules_that_nobody_confirms_are_taken_back(host: Host) -> None:
    host.confirmed()
    before, kept = host.table, host.files()
    host.run(tcp_ports=[9000])
    assert "9000" in host.table
    host.minute_passes()
    assert (host.table, host.files()) == (before, kept)
    (told,) = host.run(check_mode=True)["warnings"]
    assert re.search(r"The firewall of .* UTC was taken back, since no new connection confirmed it within 60 s", told)
    assert host.run()["warnings"] == [told]
    assert host.run()["warnings"] == []


def test_a_confirmation_that_comes_too_late_fails(host: Host) -> None:
    host.run()
    host.minute_passes()
    with pytest.raises(DockerVpsError, match=r"was taken back, .* as open as before.*firewall_confirm_timeout"):
        host.run("confirmed")
    assert (host.table, host.files()) == ("", {})
    with pytest.raises(DockerVpsError, match="no firewall that waits to be confirmed"):
        host.run("confirmed")


def test_what_was_confirmed_is_not_taken_back(host: Host) -> None:
    host.run()
    timer = host.timer
    host.run("confirmed")
    host.timer = timer  # as if it had been on its way
    host.minute_passes()
    assert "dport" in host.table


def test_the_connection_before_confirms_nothing(host: Host) -> None:
    host.run()
    host.peer_port -= 1
    with pytest.raises(DockerVpsError, match=r"connection that was there before .*meta: reset_connection"):
        host.run("confirmed")
    assert host.timer
    assert host.files() == {}


def test_a_connection_of_another_kind_can_confirm(host: Host) -> None:
    host.server = False
    result = host.confirmed()
    assert result["ssh_ports"] == []
    assert ["No SSH server was found" in sentence for sentence in result["warnings"]] == [True]


@pytest.mark.parametrize("ports", [[], [9000]])
def test_a_play_that_was_killed_is_begun_anew_from_what_was_before(host: Host, ports: Sequence[int]) -> None:
    host.run()
    assert host.run(check_mode=True)["changed"] is True
    assert host.run(tcp_ports=ports)["pending"]
    host.minute_passes()
    assert host.table == ""


def test_a_kill_after_the_confirmation_leaves_files_to_write(host: Host) -> None:
    host.confirmed()
    (host.place / "etc/docker-vps/firewall.nft").write_text("old")
    host.enabled = False
    result = host.run()
    assert (result["changed"], result["pending"], host.timer) == (True, False, None)
    assert host.rendered(host.files()["docker-vps/firewall.nft"]) == host.table
    assert host.enabled


def test_rules_that_the_kernel_refuses_leave_nothing(host: Host) -> None:
    host.refuses = "nft failed"
    with pytest.raises(DockerVpsError, match="nft failed"):
        host.run()
    assert (host.table, host.timer) == ("", None)
    host.refuses = ""
    assert host.run()["warnings"] == []


def test_an_ssh_port_on_which_nobody_listens_is_refused(host: Host) -> None:
    for check_mode in (True, False):
        with pytest.raises(InvalidInput, match="Nothing listens on port 2222"):
            host.run(ssh_ports=[22, 2222], check_mode=check_mode)
    assert (host.asked, host.table) == ([], "")


def test_where_ufw_rules_it_gets_the_ports(host: Host) -> None:
    host.ufw_on = True
    foreign = "### tuple ### limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n"
    host.ufw_rules = foreign
    result = host.run(udp_ports=[9])
    assert result["closed"] == ["3000/tcp (container shop-app)"]
    assert result["diff"][0]["after"].endswith(
        "ufw allow 80/tcp\nufw allow 443/tcp\nufw allow 9/udp\nufw allow 443/udp\n"
    )
    assert host.asked[:4] == ["allow 80/tcp", "allow 443/tcp", "allow 9/udp", "allow 443/udp"]
    assert "chain input" not in host.table
    host.run("confirmed")
    assert host.run(udp_ports=[9])["changed"] is False
    host.run()
    assert "9/udp" not in "".join(host.asked), "until it is confirmed"
    host.run("confirmed")
    assert host.asked[-1] == "delete 9/udp"
    host.run("absent")
    assert host.ufw_rules == foreign


@pytest.mark.parametrize("ufw", [False, True])
def test_what_others_keep_closed_is_told(host: Host, ufw: bool) -> None:
    drops = {"family": "inet", "table": "filter", "type": "filter", "policy": "drop"}
    host.others = [{"chain": {**drops, "name": hook, "hook": hook}} for hook in ("input", "forward")]
    host.ufw_on = ufw
    told = host.run()["warnings"]
    assert ["which was left as it is" in sentence for sentence in told] == [True] * (1 if ufw else 2)
    assert told[-1].endswith("nft list chain inet filter forward")


def test_what_cannot_be_looked_at_does_not_end_it(host: Host) -> None:
    host.cannot_list = "nft cannot print a rule."
    result = host.confirmed()
    assert result["warnings"] == [
        "Whether chains of others keep ports closed was not checked. nft cannot print a rule."
    ]


def test_absent_takes_all_of_it_away_and_no_more(host: Host) -> None:
    host.confirmed()
    mine = host.place / "etc/systemd/system/nftables.service.d/mine.conf"
    mine.write_text("[Service]\n")
    assert host.run("absent", check_mode=True)["changed"] is True
    assert "dport" in host.table
    result = host.run("absent")
    assert (result["changed"], host.table, host.enabled) == (True, "", False)
    assert "dport" in result["diff"][0]["before"]
    assert list(host.files()) == ["systemd/system/nftables.service.d/mine.conf"]
    assert not (host.place / "etc/docker-vps").exists()
    assert host.run("absent")["changed"] is False
    assert host.asked == []


def test_absent_takes_what_waits_away(host: Host) -> None:
    host.run()
    assert host.run("absent")["changed"] is True
    assert (host.table, host.timer) == ("", None)
    host.confirmed()
    host.table = ""  # by somebody's flush ruleset
    assert host.run("absent")["changed"] is True
    assert (host.files(), "load" in host.asked) == ({}, False)
    host.installed = False
    assert host.run("absent")["changed"] is False


def test_the_paths_of_a_host() -> None:
    params = Params("present")
    assert params.rules == "/etc/docker-vps/firewall.nft"
    assert all("/usr/sbin/nft -f /etc/docker-vps/firewall.nft" in text for text in list(params.files("").values())[1:])
    assert replace(params, etc="/x").rules == "/x/docker-vps/firewall.nft"
