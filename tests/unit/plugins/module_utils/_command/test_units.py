# SPDX-License-Identifier: GPL-3.0-or-later
"""Units come, change and go with no more commands to systemd than it takes; see also Molecule's scenario schedule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._command.units import Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput

OWNED = ("shop-backup.service", "shop-backup.timer", "shop-verify.service", "shop-verify.timer")
UNITS = {"shop-backup.service": "[Service]\n", "shop-backup.timer": "[Timer]\n"}


class Systemd:
    """systemd, which knows what is enabled and active, and which commands it got."""

    def __init__(self) -> None:
        self.enabled: set[str] = set()
        self.active: set[str] = set()
        self.commands: list[str] = []
        self.tells = True

    def __call__(self, verb: str, *arguments: str) -> str:
        if verb == "show":
            return "\n".join(map(self.shown, arguments[1:]))
        if verb == "list-timers":
            rows = [{"unit": name, "next": 1769997600000000} for name in arguments[2:] if name in self.active]
            return json.dumps(rows) if self.tells else "0 timers listed."
        self.commands.append(" ".join((verb, *arguments)))
        names = {one for one in arguments if not one.startswith("--")}
        if verb == "disable":
            self.enabled, self.active = self.enabled - names, self.active - names
        self.enabled |= names if verb == "reenable" else set()
        self.active |= names if verb == "start" else set()
        return ""

    def shown(self, name: str) -> str:
        state = "enabled" if name in self.enabled else "disabled"
        return f"Id={name}\nUnitFileState={state}\nActiveState={'active' if name in self.active else 'inactive'}\n"


@pytest.fixture
def systemd() -> Systemd:
    return Systemd()


def done(systemd: Systemd, place: Path, units: dict[str, str], check_mode: bool = False) -> dict[str, Any]:
    systemd.commands.clear()
    return run(Params(units, OWNED, str(place)), systemd, check_mode)


def test_units_come_and_stay(systemd: Systemd, tmp_path: Path) -> None:
    would = done(systemd, tmp_path, UNITS, check_mode=True)
    assert (list(tmp_path.iterdir()), systemd.commands) == ([], [])
    result = done(systemd, tmp_path, UNITS)
    assert result == {**would, "next": {"shop-backup.timer": "2026-02-02T02:00:00Z"}}
    assert would["next"] == {}
    assert (result["changed"], result["written"]) == (True, sorted(UNITS))
    assert systemd.commands == ["daemon-reload", "reenable shop-backup.timer", "start shop-backup.timer"]
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == UNITS
    assert (tmp_path / "shop-backup.timer").stat().st_mode & 0o777 == 0o644
    assert result["diff"][1]["after"] == "[Timer]\n"
    assert result["diff"][1]["before_header"] == f"{tmp_path}/shop-backup.timer"
    again = done(systemd, tmp_path, UNITS)
    assert (again["changed"], systemd.commands) == (False, [])
    assert done(systemd, tmp_path, UNITS, check_mode=True)["next"] == result["next"]
    systemd.tells = False
    assert done(systemd, tmp_path, UNITS)["next"] == {}


def test_a_changed_timer_is_linked_anew_and_goes_on(systemd: Systemd, tmp_path: Path) -> None:
    done(systemd, tmp_path, UNITS)
    result = done(systemd, tmp_path, {**UNITS, "shop-backup.timer": "[Timer]\nOnCalendar=daily\n"})
    assert (result["written"], result["started"]) == (["shop-backup.timer"], [])
    assert systemd.commands == ["daemon-reload", "reenable shop-backup.timer"]
    assert result["diff"][0]["before"] == "[Timer]\n"


def test_a_timer_that_somebody_stopped_or_disabled_is_started(systemd: Systemd, tmp_path: Path) -> None:
    done(systemd, tmp_path, UNITS)
    systemd.active.clear()
    result = done(systemd, tmp_path, UNITS)
    assert (result["changed"], result["started"], systemd.commands) == (
        True,
        ["shop-backup.timer"],
        ["start shop-backup.timer"],
    )
    systemd.enabled.clear()
    assert done(systemd, tmp_path, UNITS)["changed"]
    assert systemd.commands == ["reenable shop-backup.timer"]


def test_what_is_not_wanted_goes(systemd: Systemd, tmp_path: Path) -> None:
    done(systemd, tmp_path, dict.fromkeys(OWNED, "x"))
    (tmp_path / "other.timer").write_text("x")
    result = done(systemd, tmp_path, UNITS)
    assert result["removed"] == ["shop-verify.service", "shop-verify.timer"]
    assert systemd.commands[:2] == ["disable --now shop-verify.timer", "daemon-reload"]
    assert {"before": "x", "after": ""}.items() <= result["diff"][-1].items()
    assert done(systemd, tmp_path, {})["removed"] == sorted(UNITS)
    assert [one.name for one in tmp_path.iterdir()] == ["other.timer"]
    (tmp_path / "shop-verify.service").write_text("x")
    assert done(systemd, tmp_path, {})["changed"]
    assert systemd.commands == ["daemon-reload"]


@pytest.mark.parametrize("name", ["", "../passwd"])
def test_a_name_of_another_place_is_refused(systemd: Systemd, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="Units must have names of files such as shop-backup.timer, but one has"):
        done(systemd, tmp_path, {name: "x"})
