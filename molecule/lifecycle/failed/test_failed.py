# SPDX-License-Identifier: GPL-3.0-or-later
"""After an update to a version that changed the schema and was never healthy."""

from __future__ import annotations

from testinfra.host import Host
from vps import HOME, assert_alone_and_healthy, columns, live, releases


def test_the_version_before_runs_on_the_schema_before(host: Host) -> None:
    assert_alone_and_healthy(host, 1)
    assert columns(host) == "id,name,website"
    assert live(host) == releases(host)[1]


def test_the_failure_is_kept_with_its_log(host: Host) -> None:
    failed = releases(host)[2]
    assert failed["result"] == "failed"
    log = host.file(f"{HOME}/releases/{failed['id']}/log")
    assert (log.user, log.mode) == ("root", 0o600)


def test_one_sentence_says_why(host: Host) -> None:
    content = host.file("/root/said").content_string
    assert "unhealthy" in content or "not healthy" in content
    assert f"Release {releases(host)[2]['id']}, " in content
