# SPDX-License-Identifier: GPL-3.0-or-later
"""The module engine_config: its exits, on a host without an engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import engine_config as procedure
from ansible_collections.ptnextjs.docker_vps.plugins.modules import engine_config


def test_main(exit_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "daemon.json"
    monkeypatch.setattr(engine_config, "Params", lambda options: procedure.Params(options, str(path)))
    options = {"log-opts": {"max-size": "10m"}, "proxies": {"http-proxy": "http://me:open-sesame@proxy"}}
    ended = exit_of(engine_config.main, check=True, options=options)
    assert (ended.code, ended.result["changed"], ended.result["restarted"]) == (0, True, False)
    assert not path.exists()
    assert "sesame" not in json.dumps(ended.result["invocation"])
    ended = exit_of(engine_config.main, options=options)
    assert ended.code == 1
    assert ended.result["msg"].startswith(
        "The engine refuses that configuration, and nothing was changed. The command dockerd"
    )
    assert not path.exists()
