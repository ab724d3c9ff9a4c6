# SPDX-License-Identifier: GPL-3.0-or-later
"""The file, the one before it, and what the real Compose reads from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

PATH = "/opt/ptnextjs/.env.production"
EXTRA = {"DOLLAR": "a$b ${c} $$", "QUOTES": 'it\'s "so"', "LINES": "one\ntwo # three\n"}


@pytest.fixture(scope="module")
def environment(host: Host) -> Any:
    """What a container would see."""
    definition = json.dumps({"services": {"app": {"image": "none", "env_file": [PATH]}}})
    read = host.check_output("echo %s | docker compose --project-name x --file - config --format json", definition)
    # Compose writes each $ twice, since it would expand it when reading its own output.
    seen = json.loads(read)["services"]["app"]["environment"]
    return {name: value.replace("$$", "$") for name, value in seen.items()}


def test_compose_reads_every_value_as_it_was_given(environment: Any) -> None:
    assert {name: environment[name] for name in EXTRA} == EXTRA
    assert (environment["PUID"], environment["PGID"]) == ("1234", "1000")
    assert "EMPTY" not in environment


def test_the_generated_secret_is_kept(host: Host, environment: Any) -> None:
    assert len(bytes.fromhex(environment["PAYLOAD_SECRET"])) == 32
    line = f"PAYLOAD_SECRET={environment['PAYLOAD_SECRET']}\n"
    assert line in host.file("/root/first").content_string
    assert environment["PAYLOAD_SECRET"] not in host.file(f"{PATH}.example").content_string


def test_the_file_before_it_is_kept(host: Host) -> None:
    assert host.file(f"{PATH}.previous").content_string == host.file("/root/first").content_string


def test_only_root_reads_them_and_nothing_lies_beside_them(host: Host) -> None:
    for name in (PATH, f"{PATH}.previous"):
        file = host.file(name)
        assert (name, file.user, file.group, file.mode) == (name, "root", "root", 0o600)
    names = [".env.production", ".env.production.example", ".env.production.previous"]
    assert sorted(host.check_output("ls -A /opt/ptnextjs").split()) == names


def test_what_cannot_be_right_is_refused_all_at_once(host: Host) -> None:
    content = host.file("/root/refused").content_string
    assert all(name in content for name in ("docker_vps_server_url", "docker_vps_pgid", "PAYLOAD_SECRET"))
    assert "changeme" not in content
