# SPDX-License-Identifier: GPL-3.0-or-later
"""The module apt_packages: its parameters and its exits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.apt_packages import Params
from ansible_collections.ptnextjs.docker_vps.plugins.modules.apt_packages import main, params_of


def test_parameters() -> None:
    assert params_of({"names": ["git"], "replaced": []}) == Params(["git"], [])


def test_main(exit_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = exit_of(main, names=["git"])
    assert ended.code == 1
    assert ended.result["msg"].startswith("The command apt-get update cannot be run")
    ended = exit_of(main, check=True, names=["git"])
    assert (ended.code, ended.result["changed"]) == (0, True)
