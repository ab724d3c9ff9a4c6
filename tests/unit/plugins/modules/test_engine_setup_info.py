# SPDX-License-Identifier: GPL-3.0-or-later
"""The module engine_setup_info: its parameters and its exits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.engine_packages import Wanted
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.os_release import System
from ansible_collections.ptnextjs.docker_vps.plugins.modules import engine_setup_info
from ansible_collections.ptnextjs.docker_vps.plugins.modules.engine_setup_info import main, params_of

GIVEN = {"engine_version_min": "25.0", "compose_version_min": "2.20"}


def test_parameters(tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    given = {**GIVEN, "source": "docker", "commands": ["git"], "packages": ["sudo"]}
    assert params_of(given, str(path)).system == System()
    path.write_text('ID=debian\nVERSION_ID="13"\n')
    params = params_of(given, str(path))
    assert (params.wanted, params.commands) == (Wanted("25.0", "2.20", "docker", ["sudo"]), ["git"])
    assert params.system == System("debian", "13")


@pytest.mark.parametrize(
    ("system", "code", "says"),
    [
        ("ID=debian\nVERSION_ID=13\nVERSION_CODENAME=trixie\n", 0, "docker-ce-cli"),
        ("ID=arch\nPRETTY_NAME='Arch Linux'\n", 1, "This host runs Arch Linux"),
    ],
)
def test_main(exit_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, code: int, says: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(engine_setup_info, "OS_RELEASE", str(tmp_path / "os-release"))
    (tmp_path / "os-release").write_text(system)
    ended = exit_of(main, **GIVEN)
    assert ended.code == code
    assert says in ended.text
