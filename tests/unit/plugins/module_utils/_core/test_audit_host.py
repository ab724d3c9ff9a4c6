# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule about the host and its backups, with what is good, bad and unreadable."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit import Unseen
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.audit_host import (
    RULES,
    SYSCTLS,
    BackupFacts,
    Filters,
    Kernels,
    Place,
    guarded,
    listeners,
    ssh_ports,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.os_release import System
from ansible_collections.ptnextjs.docker_vps.tests.unit.audits import Case, check, judged

NO_NFT, NO_IPTABLES = Unseen("The command nft cannot be run."), Unseen("The command iptables-save cannot be run.")
TABLE = {"table": {"family": "inet", "name": "docker_vps"}}
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
SSHD = "permitrootlogin prohibit-password\npasswordauthentication no\nkbdinteractiveauthentication no\nusepam yes\n"
DEBIAN = System("debian", "13", "trixie", "Debian 13")
TABLE_OF_DEBIAN = (
    "version,codename,series,created,release,eol,eol-lts,eol-elts\n"
    "10,Buster,buster,2017-06-17,2019-07-06,2022-09-10,2024-06-30,2029-06-30\n"
    "13,Trixie,trixie,2023-06-10,2025-08-09,2028-08-09,2030-06-30,\n"
    ",Sid,sid,1993-08-16,1993-08-16\n"
)
TODAY = date(2026, 11, 30)
SAFE = {name: sorted(values)[0] for name, values in SYSCTLS.items()}
DAY = 86400.0


def chain(family: str, policy: str = "drop", hook: str = "input") -> dict[str, Any]:
    return {"chain": {"family": family, "table": "filter", "name": "in", "hook": hook, "policy": policy}}


def last(*expr: dict[str, Any], family: str = "inet") -> dict[str, Any]:
    return {"rule": {"family": family, "table": "filter", "chain": "in", "expr": list(expr)}}


def nft(*elements: dict[str, Any]) -> Filters:
    return Filters([{"metainfo": {"version": "1.0.6"}}, *elements], False, ())


def iptables(four: str, six: str) -> Filters:
    return Filters(NO_NFT, False, [(4, f"*filter\n{four}\nCOMMIT\n"), (6, f"*filter\n{six}\nCOMMIT\n")])


BLIND = Filters(NO_NFT, False, NO_IPTABLES)
CLOSED = nft(chain("inet"))


def listening(*lines: str, table: str = "tcp") -> dict[str, str]:
    return {table: HEAD + "".join(f"   0: {line} 00000000:00000000 00 0 0 0 1\n" for line in lines)}


SSH, POSTGRES, LOCAL = (
    "00000000:0016 00000000:0000 0A",
    "00000000:1538 00000000:0000 0A",
    "0100007F:1F90 00000000:0000 0A",
)
PRIVATE, SHARED = Place("/a", 0o600, 0, 0), Place("/b", 0o644, 0, 0)
THEIRS = Place("/c", 0o755, 1000, 1000)


def modes(rule_id: str, bad: Place, found: str) -> Case:
    return Case(rule_id, [[PRIVATE]], [[PRIVATE, bad]], found, [Unseen("/root: Permission denied")])


CASES = [
    modes("file-docker-socket", Place("/s", 0o666, 0, 999), "/s 0666 0:999"),
    modes("file-env", SHARED, "/b 0644 0:0"),
    modes("file-secrets", SHARED, "/b 0644 0:0"),
    modes("file-backups", SHARED, "/b 0644 0:0"),
    modes("file-tls-keys", SHARED, "/b 0644 0:0"),
    modes("file-app", THEIRS, "/c 0755 1000:1000"),
    modes("file-app", Place("/d", 0o777, 0, 0), "/d 0777 0:0"),
    modes("file-daemon-json", Place("/d", 0o664, 0, 0), "/d 0664 0:0"),
    modes("file-containerd-socket", Place("/s", 0o667, 0, 0), "/s 0667 0:0"),
    Case("host-firewall", [nft(TABLE)], [nft()], "nothing drops what comes in by IPv4 and IPv6", [BLIND]),
    Case("host-firewall", [CLOSED], [nft(chain("ip"))], "nothing drops what comes in by IPv6", [BLIND]),
    Case(
        "host-firewall",
        [nft(chain("ip"), chain("ip6"))],
        [nft(chain("inet", "accept"), chain("inet", hook="forward"))],
        "nothing drops what comes in by IPv4 and IPv6",
        [BLIND],
    ),
    Case(
        "host-firewall",
        [nft(chain("inet", "accept"), last({"counter": {}}, {"drop": None}))],
        [nft(chain("inet", "accept"), last({"match": {}}, {"drop": None}))],
        "nothing drops what comes in by IPv4 and IPv6",
        [BLIND],
    ),
    Case(
        "host-firewall",
        [Filters(NO_NFT, True, NO_IPTABLES)],
        [iptables(":INPUT ACCEPT [0:0]", ":INPUT DROP [0:0]")],
        "nothing drops what comes in by IPv4",
        [BLIND],
    ),
    Case(
        "host-firewall",
        [iptables(":INPUT DROP [0:0]", ":INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j ACCEPT\n-A INPUT -j REJECT")],
        [iptables(":INPUT ACCEPT [0:0]\n-A INPUT -j DROP\n-A INPUT -j ACCEPT", "")],
        "nothing drops what comes in by IPv4 and IPv6",
        [BLIND],
    ),
    Case(
        "host-open-ports",
        [listening(SSH, LOCAL), nft(), {"22/tcp"}],
        [listening(SSH, POSTGRES), BLIND, {"22/tcp"}],
        "5432/tcp",
        [{"tcp": HEAD + "x\n"}, nft(), {"22/tcp"}],
    ),
    Case(
        "host-open-ports",
        [listening(POSTGRES), CLOSED, ()],
        [listening(POSTGRES), nft(chain("ip")), ()],
        "5432/tcp",
        [Unseen("/proc/net/tcp: Permission denied"), CLOSED, ()],
    ),
    Case("host-ssh-root", [SSHD], ["permitrootlogin yes\n"], "yes", [""]),
    Case("host-ssh-passwords", [SSHD], [SSHD.replace("tion no", "tion yes", 1)], "passwords are taken", [""]),
    Case(
        "host-ssh-passwords",
        [
            SSHD.replace("usepam yes", "usepam no").replace(
                "kbdinteractiveauthentication no", "kbdinteractiveauthentication yes"
            )
        ],
        [SSHD.replace("kbdinteractiveauthentication no", "kbdinteractiveauthentication yes")],
        "passwords are taken",
        ["passwordauthentication no\n"],
    ),
    Case(
        "host-distribution",
        [DEBIAN, TABLE_OF_DEBIAN, TODAY],
        [System("debian", "10", "buster", "Debian 10"), TABLE_OF_DEBIAN, TODAY],
        "Debian 10, until 2024-06-30",
        [System("debian", "14", "forky", "Debian 14"), TABLE_OF_DEBIAN, TODAY],
    ),
    Case(
        "host-nftables-flush",
        ["#!/usr/sbin/nft -f\n# flush ruleset\n", "enabled"],
        ["#!/usr/sbin/nft -f\n\nflush ruleset\n", "enabled"],
        "flush ruleset, and nftables.service is enabled",
        [Unseen("no systemd"), "enabled"],
    ),
    Case(
        "host-security-updates", [True, "1\n"], [True, "0\n"], "installed, and not switched on", [Unseen("no apt"), ""]
    ),
    Case("host-security-updates", [True, "1\n"], [False, "1\n"], "not installed", [True, Unseen("no apt-config")]),
    Case(
        "host-reboot",
        [Kernels("6.1.0-18-amd64", ["6.1.0-9-amd64", "6.1.0-18-amd64"], False)],
        [Kernels("6.1.0-9-amd64", ["6.1.0-9-amd64", "6.1.0-18-amd64"], False)],
        "6.1.0-9-amd64 runs, 6.1.0-18-amd64 is installed",
        [Kernels("6.12.57+deb13-amd64", [], False)],
    ),
    Case("host-clock", [True], [False], "not synchronised", [Unseen("no adjtimex")]),
    Case(
        "host-sysctls",
        [SAFE],
        [{**SAFE, "kernel/randomize_va_space": "0", "net/ipv4/tcp_syncookies": Unseen("absent")}],
        "kernel.randomize_va_space = 0",
        [{**SAFE, "net/ipv4/tcp_syncookies": Unseen("absent")}],
    ),
    Case("backup-sets", [[BackupFacts("1", DAY, True)]], [[]], "0 whole sets", [Unseen("it cannot be read")]),
    Case(
        "backup-age",
        [[BackupFacts("1", 9 * DAY, False), BackupFacts("2", DAY, False)], 1.5 * DAY],
        [[BackupFacts("1", 2 * DAY, True)], 1.5 * DAY],
        "48 hours old",
        [[], 1.5 * DAY],
    ),
    Case(
        "backup-drill",
        [[BackupFacts("1", DAY, False), BackupFacts("2", DAY, True)]],
        [[BackupFacts("1", DAY, False)]],
        "0 sets of 1",
        [[]],
    ),
    Case("backup-offsite", [True], [False], "none is configured", [Unseen("not told")]),
]


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.id)
def test_a_rule(each: Case) -> None:
    check(RULES, each)


def test_every_rule_has_a_case() -> None:
    assert {each.id for each in CASES} == {rule.id for rule in RULES}


@pytest.mark.parametrize(("rule", "result"), [("file-env", "not_looked_at"), ("file-secrets", "ok")])
def test_a_file_that_need_not_be_there(rule: str, result: str) -> None:
    assert judged(RULES, rule, [[]])["result"] == result


def test_a_reboot_that_is_asked_for() -> None:
    assert judged(RULES, "host-reboot", [Kernels("6.1.0-9", ["6.1.0-9"], True)])["result"] == "finding"


def test_a_file_that_flushes_and_is_not_read_at_boot_is_no_finding() -> None:
    assert judged(RULES, "host-nftables-flush", ["flush ruleset\n", ""])["result"] == "ok"
    assert judged(RULES, "host-nftables-flush", [None, ""])["found"] == "there is no such file"


def test_a_distribution_without_an_end_gets_updates() -> None:
    assert judged(RULES, "host-distribution", [System(codename="sid"), TABLE_OF_DEBIAN, TODAY])["result"] == "ok"


def test_ports_in_the_words_of_the_kernel() -> None:
    tables = {
        "tcp": listening(SSH, LOCAL, "0100007F:1F91 0100007F:C000 01")["tcp"],
        "tcp6": listening(
            "00000000000000000000000000000000:0050 0:0 0A",
            "00000000000000000000000001000000:0051 0:0 0A",
            "0000000000000000FFFF00000100007F:0052 0:0 0A",
            "B80D0120000000000000000001000000:0053 0:0 0A",
            table="tcp6",
        )["tcp6"],
        "udp": listening("00000000:0044 00000000:0000 07", table="udp")["udp"],
        "udp6": "",
    }
    assert listeners(tables) == ["22/tcp", "68/udp", "80/tcp", "83/tcp"]
    assert judged(RULES, "host-open-ports", [{"udp": tables["udp"]}, nft(), ()])["found"] == "none"


def test_the_ports_of_sshd() -> None:
    assert ssh_ports("port 22\nPort 2222\naddressfamily any\n") == ["22/tcp", "2222/tcp"]


def test_whether_the_firewall_is_ours() -> None:
    assert guarded(nft(TABLE))
    assert not guarded(nft({"table": {"family": "ip", "name": "docker_vps"}}))
    assert not guarded(BLIND)
