# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of the host itself, with a docker command of our own on the PATH."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.this_host import ThisHost, _end

Command = Callable[[str], None]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Put a docker command with the given script on a PATH where there is nothing else."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", str(place))

    def install(script: str) -> None:
        (place / "docker").write_text(f"#!/bin/sh\n{script}\n")
        (place / "docker").chmod(0o755)

    return install


VERSIONS = """
case "$*" in
"compose version") echo "Docker Compose version v2.26.1-ds1" ;;
"buildx version") echo "github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3" ;;
"scout version") echo "no number here" ;;
*) echo "docker: '$1' is not a docker command, version 9.9" >&2; exit 1 ;;
esac
"""


def test_versions_of_plugins_in_the_order_asked(docker: Command) -> None:
    docker(VERSIONS)
    asked = ["buildx", "nothing", "compose", "scout"]
    assert ThisHost().plugin_versions(asked) == ["0.13.1+ds1", "", "2.26.1-ds1", ""]
    assert ThisHost().plugin_versions([]) == []


def test_versions_without_a_docker_command(docker: Command) -> None:
    assert ThisHost().plugin_versions(["compose", "buildx"]) == ["", ""]


def test_the_plugins_are_asked_at_the_same_time(docker: Command, tmp_path: Path) -> None:
    # Each answers only once the other has been asked too.
    (tmp_path / "meet").mkdir()
    docker(f"""cd {tmp_path}/meet || exit 1
    : >"$1"
    while ! [ -e one ] || ! [ -e two ]; do :; done
    echo 1.2""")
    assert ThisHost().plugin_versions(["one", "two"]) == ["1.2", "1.2"]


def test_free_disk(tmp_path: Path) -> None:
    free = ThisHost().disk_free(str(tmp_path))
    assert free is not None
    assert free > 0
    assert ThisHost().disk_free(str(tmp_path / "none")) is None


def test_the_clock() -> None:
    assert abs(ThisHost().time() - time.time()) < 60


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "compose.yml"
    file.write_bytes(b"name: site\n")
    file.chmod(0o640)
    assert ThisHost().file(str(file)) == (hashlib.sha256(b"name: site\n").hexdigest(), "0640")


@pytest.mark.parametrize("name", ["", "none", "none/none"])
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    assert ThisHost().file(str(tmp_path / name)) is None


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ('# Written by ptnextjs.docker_vps: changes\nname: "site"\n', "site"),
        ("name: site\n", ""),
        ("", ""),
    ],
)
def test_whose_compose_file_it_is(tmp_path: Path, text: str, owner: str) -> None:
    (tmp_path / "compose.yml").write_text(text)
    assert ThisHost().compose_owner(str(tmp_path / "compose.yml")) == owner
    assert ThisHost().compose_owner(str(tmp_path / "none")) == ""


def test_what_a_pattern_matches(tmp_path: Path) -> None:
    for name in ("[a]/x.1", "[a]/x.2", "[a]/y.1", "a/x.3"):
        (tmp_path / name).mkdir(parents=True)
    assert ThisHost().matches(f"{tmp_path}/[a]/x.*") == [f"{tmp_path}/[a]/x.1", f"{tmp_path}/[a]/x.2"]
    assert ThisHost().matches(f"{tmp_path}/none/x.*") == []


def test_a_command_that_hangs_is_killed_with_its_children_and_says_nothing() -> None:
    script = "sleep 60 & echo too late; sleep 60"
    hanging = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True)
    began = time.monotonic()
    assert _end(hanging, 0.2) == ""
    assert time.monotonic() - began < 10
    assert hanging.returncode == -signal.SIGKILL


def test_commands_that_are_not_there(docker: Command) -> None:
    docker("")
    assert ThisHost().absent(["docker", "git"]) == ["git"]
