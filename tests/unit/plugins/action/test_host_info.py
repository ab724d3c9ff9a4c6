# SPDX-License-Identifier: GPL-3.0-or-later
"""The action host_info with a fake module that takes its time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Mapping

import pytest
from ansible.playbook.task import Task
from ansible_collections.ptnextjs.docker_vps.plugins.action.host_info import MODULE, ActionModule

GOOD = {"check": "memory", "ok": True, "expected": "1 GiB", "found": "2 GiB", "remedy": "buy more"}
BAD = {**GOOD, "ok": False, "found": "0 GiB"}
BEGAN = 1000.0


class Action(ActionModule):
    """The action with a module that gives this answer after so many seconds."""

    def __init__(self, answer: Mapping[str, Any], takes: float, arguments: Mapping[str, Any]) -> None:
        task = Task()
        task.args, task.async_val = dict(arguments), 0
        super().__init__(task, SimpleNamespace(_shell=SimpleNamespace(tmpdir=None)), None, None, None, None)
        self.answer, self.takes, self.time = answer, takes, BEGAN

    def now(self) -> float:  # type: ignore[override]
        return self.time

    def _execute_module(self, module_name: str, module_args: Mapping[str, Any], task_vars: Any) -> dict[str, Any]:
        assert (module_name, module_args) == (MODULE, {"project": "shop"})
        self.time += self.takes
        return dict(self.answer)


def acted(answer: Mapping[str, Any], takes: float = 0.5, **arguments: Any) -> dict[str, Any]:
    return Action(answer, takes, {"project": "shop", **arguments}).run()


def test_a_slow_module_is_no_wrong_clock() -> None:
    result = acted({"findings": [GOOD], "time": BEGAN + 37}, takes=90)
    assert "failed" not in result
    assert [one["ok"] for one in result["findings"]] == [True, True]


@pytest.mark.parametrize(("tolerance", "failed"), [(30, True), ("60", False)])
def test_a_clock_that_is_ahead(tolerance: object, failed: bool) -> None:
    result = acted({"findings": [GOOD], "time": BEGAN + 50}, clock_tolerance=tolerance)
    assert result.get("failed", False) is failed
    if failed:
        assert result["msg"] == (
            "This host cannot take the application yet: clock: expected within 30 s of the controller's, "
            "found at least 50 s ahead; turn on time synchronisation (timedatectl set-ntp true)."
        )


def test_everything_that_is_wrong_is_told_together() -> None:
    message = "This host cannot take the application yet: memory: expected 1 GiB, found 0 GiB; buy more."
    wrong = {"findings": [BAD], "time": BEGAN - 50, "failed": True, "msg": f"{message} No engine answers."}
    assert acted(wrong)["msg"].startswith(f"{message} clock: expected ")
    assert acted(wrong)["msg"].endswith("(timedatectl set-ntp true). No engine answers.")
    nothing = {"findings": [GOOD], "time": BEGAN - 50, "failed": True, "msg": "No engine answers."}
    assert acted(nothing)["msg"].startswith("This host cannot take the application yet: clock: ")
    assert acted(nothing)["msg"].endswith("(timedatectl set-ntp true). No engine answers.")


def test_a_host_that_could_not_be_asked() -> None:
    assert acted({"unreachable": True, "msg": "no route"}) == {"unreachable": True, "msg": "no route"}
