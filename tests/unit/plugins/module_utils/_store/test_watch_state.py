# SPDX-License-Identifier: GPL-3.0-or-later
"""What a watch remembers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.alerts import (
    BEGAN,
    AlertRules,
    News,
    State,
    kept,
    step,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.heal import HealState
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.watch import CRITICAL, DAY, SERIES, Finding
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.watch_state import (
    LARGEST,
    Remembered,
    read,
    write,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.watching import NOW, at, history

APP = Finding("app-state", CRITICAL, "the container", "exited", "running", "start.yml", ("Ünglück ☃",))


def some() -> Remembered:
    news, state = step(State(), [APP], [], NOW, AlertRules())
    return Remembered(kept(state, {"webhook": news}), history(at(0), at(12)), HealState(1, (10.5,), 2))


def test_it_is_read_as_it_was_written_and_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "watch.json"
    write(str(path), some())
    assert path.stat().st_mode & 0o777 == 0o600
    assert read(str(path), NOW) == (some(), "")
    assert [entry.name for entry in tmp_path.iterdir()] == ["watch.json"]


def test_none_is_the_beginning(tmp_path: Path) -> None:
    assert read(str(tmp_path / "watch.json"), NOW) == (Remembered(), "")


def test_after_a_restart_nothing_is_told_twice(tmp_path: Path) -> None:
    path = str(tmp_path / "watch.json")
    write(path, some())
    remembered, _problem = read(path, NOW)
    assert step(remembered.state, [APP], [], NOW + 300, AlertRules())[0] == []


def test_one_that_was_cut_off_anywhere_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "watch.json"
    write(str(path), some())
    whole = path.read_text()
    for length in range(0, len(whole) - 2, 17):
        path.write_text(whole[:length])
        remembered, problem = read(str(path), NOW)
        assert remembered == Remembered()
        assert problem == f"{path} is damaged, so an empty one was begun; findings that persist are reported again."


def changed(given: Any, *keys: Any, value: Any) -> str:
    inner = given
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return json.dumps(given)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("format",), 2),
        (("state",), None),
        (("state", "at"), "now"),
        (("state", "at"), float("nan")),
        (("state", "at"), True),
        (("state", "look"), -1),
        (("state", "look"), True),
        (("state", "alerts"), []),
        (("state", "alerts", "app-state", "finding", "severity"), "worst"),
        (("state", "alerts", "app-state", "finding", "found"), 5),
        (("state", "owed", "webhook"), {}),
        (("history", "series", 0, "free"), {"/": "much"}),
        (("heal", "restarts"), "never"),
    ],
)
def test_one_that_makes_no_sense_is_begun_anew(tmp_path: Path, keys: Any, value: Any) -> None:
    path = tmp_path / "watch.json"
    write(str(path), some())
    path.write_text(changed(json.loads(path.read_text()), *keys, value=value))
    assert read(str(path), NOW)[0] == Remembered()


def test_one_from_the_future_keeps_what_was_told_and_forgets_what_is_to_come(tmp_path: Path) -> None:
    path = str(tmp_path / "watch.json")
    write(path, some())
    remembered, problem = read(path, NOW - 9 * DAY)
    assert problem.startswith(f"{path} is dated 9 days later than now, so the clock was or is wrong")
    assert (remembered.state, remembered.history.series) == (some().state, ())
    assert read(path, NOW - 3600) == (some(), "")


def test_what_is_no_file_or_too_large_is_said(tmp_path: Path) -> None:
    assert read(str(tmp_path), NOW)[1].endswith("Move it away or fix it. Until then each look is the first.")
    large = tmp_path / "watch.json"
    large.write_bytes(b" " * (LARGEST + 1))
    assert f"{LARGEST} are the most" in read(str(large), NOW)[1]
    link = tmp_path / "link"
    link.symlink_to(large)
    assert "it is a symbolic link" in read(str(link), NOW)[1]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    with pytest.raises(DockerVpsError, match="cannot be written"):
        write(str(tmp_path / "gone/watch.json"), some())


def test_it_stays_small(tmp_path: Path) -> None:
    """Two weeks of checks, and the most that channels can be owed."""
    path = tmp_path / "watch.json"
    known = history(*(at(number * 12) for number in range(SERIES + 9)))
    finding = replace(APP, log=("x" * 300,) * 20)
    owed = {name: [News(BEGAN, finding, NOW)] * 60 for name in ("webhook", "mail", "command")}
    write(str(path), replace(some(), history=known, state=kept(some().state, owed)))
    assert path.stat().st_size < LARGEST / 3
    assert read(str(path), NOW + 999 * DAY)[1] == ""
