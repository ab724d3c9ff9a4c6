# SPDX-License-Identifier: GPL-3.0-or-later
"""The module with a systemctl of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.modules.systemd_units import main


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
    command = place / "systemctl"
    rows = '[{"unit": "shop-backup.timer", "next": 1769911200000000}]'
    command.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/commands\n[ "$1" != list-timers ] || echo \'{rows}\'\n')
    command.chmod(0o755)
    return command


def test_main(exit_of: Any, tmp_path: Path, systemctl: Path) -> None:
    asked = {"units": {"shop-backup.timer": "[Timer]\n"}, "directory": str(tmp_path)}
    assert exit_of(main, check=True, **asked).result["changed"]
    ended = exit_of(main, **asked)
    assert (ended.code, ended.result["started"]) == (0, ["shop-backup.timer"])
    commands = (tmp_path / "commands").read_text().splitlines()
    changes = ["daemon-reload", "reenable shop-backup.timer", "start shop-backup.timer"]
    assert commands == [*changes, "list-timers --all --output=json shop-backup.timer"]
    assert ended.result["next"] == {"shop-backup.timer": "2026-02-01T02:00:00Z"}


def test_what_systemd_refuses_is_told(exit_of: Any, tmp_path: Path, systemctl: Path) -> None:
    systemctl.write_text("#!/bin/sh\necho 'Unit shop-backup.timer has a bad unit file setting.' >&2; exit 1\n")
    ended = exit_of(main, units={"shop-backup.timer": "x"}, directory=str(tmp_path))
    assert ended.code == 1
    assert "Unit shop-backup.timer has a bad unit file setting." in ended.result["msg"]


def test_a_unit_is_a_string(exit_of: Any, tmp_path: Path) -> None:
    ended = exit_of(main, units={"shop-backup.timer": 7}, directory=str(tmp_path))
    assert ended.result["msg"].startswith("shop-backup.timer in units is a number, not a string")
