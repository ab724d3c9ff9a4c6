# SPDX-License-Identifier: GPL-3.0-or-later
"""How the parameters of a repository reach restic; that they are not shown is tested with the modules."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.restic import restic_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import FakeProgram


def test_options_and_environment_reach_restic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    program = FakeProgram(tmp_path)
    options = {"sftp.command": "ssh -p 2222 backup -s sftp", "rest.connections": 2}
    given = {"repository": "/srv/shop", "password": "secret", "environment": {"NUMBER": 1}, "options": options}
    restic_of(given).exists()
    arguments, environment = program.calls()[0][:2]
    assert arguments[:2] == ["--option=sftp.command=ssh -p 2222 backup -s sftp", "--option=rest.connections=2"]
    assert environment["NUMBER"] == "1"
