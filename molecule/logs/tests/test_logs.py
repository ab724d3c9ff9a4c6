# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read, against the log that the engine keeps."""

from __future__ import annotations

import json

from testinfra.host import Host

SECRET = "tok-sesame-4711"


def lines(host: Host, name: str) -> list[str]:
    """The lines that the role read."""
    found: list[str] = json.loads(host.file(f"/root/{name}").content_string)
    return found


def test_the_engine_has_the_secret(host: Host) -> None:
    path = host.docker("ptnextjs-app").inspect()["LogPath"]
    assert host.file(path).content_string.count(f"told as commanded: {SECRET}") == 2


def test_the_lines_are_read_without_it(host: Host) -> None:
    (line,) = lines(host, "lines")
    assert line.startswith("told as commanded: ")
    assert SECRET not in line


def test_a_crash_does_not_hide_what_was_before(host: Host) -> None:
    assert lines(host, "lines-after") == lines(host, "lines") * 2


def test_the_log_is_rotated(host: Host) -> None:
    config = host.docker("ptnextjs-app").inspect()["HostConfig"]["LogConfig"]
    assert config == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}
