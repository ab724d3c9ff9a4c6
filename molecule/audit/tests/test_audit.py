# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit finds on a good host and on a weak one, and that it changes neither."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from testinfra.host import Host

# The clock, AppArmor, and settings of the kernel are those of the machine below; an instance has no kernel of its own.
NOT_OURS = {"host-clock", "engine-mandatory-access", "host-sysctls", "host-reboot"}
NOT_GOOD = {"host-security-updates", "engine-user-namespace", "backup-drill", "backup-offsite"}
NOT_WEAKENED = {
    *("app-privileged", "app-image-age", "file-secrets", "file-containerd-socket", "host-distribution"),
    *("engine-daemon-json", "engine-seccomp", "engine-version", "engine-compose-version"),
    *("backup-age", "backup-drill"),  # which say nothing without a set
}


def results(name: str) -> dict[str, dict[str, str]]:
    """Return the rules of a report by their ids."""
    path = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / f"{name}.json"
    return {rule["id"]: rule for rule in json.loads(path.read_text(encoding="utf-8"))["rules"]}


@pytest.mark.parametrize(
    ("name", "result", "others"),
    [
        ("good", "ok", NOT_OURS | NOT_GOOD),
        ("weak", "finding", NOT_WEAKENED | NOT_OURS - {"host-sysctls", "host-reboot"}),
    ],
)
def test_what_is_found(name: str, result: str, others: set[str]) -> None:
    rules = results(name)
    assert len(rules) - len(others) > 40
    otherwise = {each: rule["found"] for each, rule in rules.items() if rule["result"] != result and each not in others}
    assert otherwise == {}


def test_what_is_found_is_told_with_its_remedy_and_without_values() -> None:
    rules = results("weak")
    assert rules["app-published-ports"]["found"] == "3000/tcp on 0.0.0.0:3000, 3000/tcp on :::3000"
    assert rules["others-database-ports"]["found"] == "helper (5432/tcp on 0.0.0.0:5432, 5432/tcp on :::5432)"
    assert rules["app-secrets"]["found"] == "API_TOKEN"
    assert "sesame" not in json.dumps(rules)
    assert all(rule["remedy"] for rule in rules.values() if rule["result"] == "finding")


def test_the_play_fails_where_it_was_told_to(host: Host) -> None:
    refusal = host.file("/run/refusal").content_string
    assert refusal.startswith(
        "The audit has 3 findings of severity critical or higher: app-docker-socket, engine-tcp, "
    )


def test_nothing_was_changed(host: Host) -> None:
    assert host.file("/run/before").size > 1000
    assert host.file("/run/changed").content_string == ""
    assert host.file("/run/events").content_string == ""
