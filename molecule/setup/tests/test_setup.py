# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host that had nothing has now."""

from __future__ import annotations

import json

from testinfra.host import Host


def test_there_is_an_engine_that_starts_at_boot(host: Host) -> None:
    service = host.service("docker")
    assert service.is_running
    assert service.is_enabled
    assert host.check_output("docker compose version --short")
    assert host.check_output("docker buildx version")


def test_it_is_configured(host: Host) -> None:
    found = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert found["log-opts"] == {"max-size": "10m", "max-file": "3"}
    info = json.loads(host.check_output("docker info --format '{{json .}}'"))
    assert info["LiveRestoreEnabled"] is True
    assert info["LoggingDriver"] == "json-file"


def test_an_application_runs_there(host: Host) -> None:
    state = host.check_output("docker inspect --format '{{.State.Health.Status}}' ptnextjs-app")
    assert state == "healthy"
