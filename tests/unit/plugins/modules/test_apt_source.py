# SPDX-License-Identifier: GPL-3.0-or-later
"""The module apt_source: its parameters and its exits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.modules.apt_source import main, params_of

GIVEN = {
    "name": "docker",
    "url": "https://download.example.com/linux/debian",
    "suite": "trixie",
    "component": "stable",
    "key_url": "https://download.example.com/linux/debian/gpg",
    "fingerprint": "9dc8 5822 9FC7 DD38 854A  E2D8 8D81 803C 0EBF CD88",
}


def test_a_fingerprint_may_be_written_as_gpg_shows_it() -> None:
    assert params_of(GIVEN).fingerprint == "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
    assert params_of(GIVEN).path == "/etc/apt/sources.list.d/docker.sources"


def test_main(exit_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = exit_of(main, check=True, **GIVEN)
    assert ended.code == 1
    assert ended.result["msg"].startswith("The command dpkg --print-architecture cannot be run")
    (tmp_path / "dpkg").write_text("#!/bin/sh\necho amd64\n")
    (tmp_path / "dpkg").chmod(0o755)
    ended = exit_of(main, check=True, **GIVEN)
    assert (ended.code, ended.result["changed"]) == (0, True)
    assert ended.result["invocation"]["module_args"]["fingerprint"] == GIVEN["fingerprint"]
