# SPDX-License-Identifier: GPL-3.0-or-later
"""The action container_logs with a fake module: what it prints, what it asks next, and when it ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Mapping, Sequence

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.ptnextjs.docker_vps.plugins.action.container_logs import (
    LOOK,
    MODULE,
    SUCCESSOR_WITHIN,
    ActionModule,
)

GONE = {"failed": True, "absent": True, "msg": "Container app does not exist."}


def answer(*texts: str, last: str = "", state: str = "running", code: int = 0, which: str = "1") -> dict[str, Any]:
    lines = [{"time": f"2026-01-31T12:00:0{n}.123456789Z", "text": text} for n, text in enumerate(texts)]
    return {"lines": lines, "last": last, "container": {"name": "app", "id": which, "state": state, "exit_code": code}}


class Action(ActionModule):
    """The action with a module that gives these answers one by one; a look takes as long as it may wait."""

    def __init__(self, answers: Sequence[dict[str, Any]], arguments: Mapping[str, Any]) -> None:
        task = Task()
        task.args, task.async_val = {"container": "app", **arguments}, 0
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        super().__init__(task, connection, None, None, None, None)
        self.answers, self.asked, self.passed = list(answers), [], 0.0
        self.printed: list[str] = []
        self._display = SimpleNamespace(display=self.printed.append)

    def now(self) -> float:  # type: ignore[override]
        return self.passed

    def _execute_module(self, module_name: str, module_args: Mapping[str, Any], task_vars: Any) -> dict[str, Any]:
        assert module_name == MODULE
        self.asked.append(dict(module_args))
        self.passed += module_args.get("wait", 0)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def sleep(self, seconds: float) -> None:  # type: ignore[override]
        self.passed += seconds


def acted(*answers: dict[str, Any], hosts: Sequence[str] = ("one",), **arguments: Any) -> Action:
    action = Action(answers, arguments)
    action.result = action.run(task_vars={"inventory_hostname": "one", "ansible_play_hosts": hosts})  # type: ignore
    return action


def test_it_is_the_module_when_nothing_is_to_be_printed() -> None:
    action = acted(answer("one"), tail=7, pattern="x")
    assert action.result == answer("one")  # type: ignore[attr-defined]
    assert action.asked == [{"container": "app", "tail": 7, "pattern": "x"}]
    assert action.printed == []


def test_lines_are_printed_as_they_are() -> None:
    assert acted(answer("one", '{"two": 2}'), show=True).printed == [
        "2026-01-31T12:00:00.123Z one",
        '2026-01-31T12:00:01.123Z {"two": 2}',
    ]
    assert acted(answer("one"), show="yes", timestamps="no").printed == ["one"]


def test_lines_of_several_hosts_stand_behind_the_host() -> None:
    assert acted(answer("x"), show=True, timestamps=False, hosts=["one", "two"]).printed == ["one | x"]


def test_no_line_is_told() -> None:
    assert acted(answer(state="exited"), show=True).printed == ["No such lines; container app is exited."]


def test_a_failure_is_the_end() -> None:
    failure = {"failed": True, "msg": "Container app does not exist."}
    for arguments in ({"show": True}, {"follow": True}):
        action = acted(failure, **arguments)
        assert (action.result, action.printed) == (failure, [])  # type: ignore[attr-defined]
    assert acted(answer("one", last="L"), failure, follow=True).result == failure  # type: ignore[attr-defined]


def test_it_follows_for_a_while() -> None:
    action = acted(
        answer("one", last="L1"),
        answer("two", "three", last="L2"),
        answer(last="L2"),
        follow=True,
        follow_for=LOOK + 2,
        timestamps=False,
        tail=7,
        since="1h",
    )
    assert action.printed == ["one", "two", "three"]
    first = {"container": "app", "tail": 7, "since": "1h"}
    more = {**first, "tail": 0, "wait": LOOK, "since": "L1"}
    assert action.asked == [first, more, {**more, "wait": 2, "since": "L2"}]
    assert action.result["lines"] == []  # type: ignore[attr-defined]


def test_it_follows_a_container_that_wrote_nothing_yet() -> None:
    action = acted(answer(), answer("one", last="L", state="exited"), follow=True)
    assert action.asked[1]["since"] == ""


def test_it_follows_until_the_container_ends() -> None:
    rest = [answer(last="L")] * 100
    action = acted(*rest, answer("bye", last="M", state="exited", code=3), follow=True, follow_for=0, timestamps=False)
    assert action.printed == ["bye", "Container app exited with code 3."]
    assert len(action.asked) == 101 + SUCCESSOR_WITHIN
    assert acted(answer(state="dead", code=137), follow=True).printed == ["Container app exited with code 137."]


@pytest.mark.parametrize("between", [[GONE], [answer(state="exited", last="L"), GONE, GONE]])
def test_it_follows_the_container_that_takes_over(between: Sequence[dict[str, Any]]) -> None:
    new = answer("two", last="M", which="2")
    end = answer("three", last="N", which="2", state="exited")
    action = acted(answer("one", last="L"), *between, new, end, follow=True, follow_for=600, timestamps=False)
    first = "Container app is gone." if between == [GONE] else "Container app exited with code 0."
    shown = ["one", first, "Another container runs as app now.", "two", "three", "Container app exited with code 0."]
    assert action.printed == shown
    assert action.asked[-1]["since"] == "N"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"follow_for": -1}, "follow_for must not be below 0, but is -1.0."),
        ({"follow": "perhaps"}, "argument 'follow' is of type .*"),
        ({"follow": True, "until": "1h"}, "follow and until exclude each other; leave one of them out."),
    ],
)
def test_wrong_arguments_are_refused(arguments: Mapping[str, Any], message: str) -> None:
    with pytest.raises(AnsibleActionFail, match=message):
        acted(**arguments)
