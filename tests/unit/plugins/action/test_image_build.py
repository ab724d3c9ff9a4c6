# SPDX-License-Identifier: GPL-3.0-or-later
"""The action image_build with a job whose states are told one by one, and a log on this machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Mapping, Union

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.playbook.task import Task
from ansible_collections.ptnextjs.docker_vps.plugins.action.image_build import BUILD, STATUS, ActionModule
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FIXTURES

LOG = (FIXTURES / "buildlog/buildx-0.13.1-step.txt").read_text(encoding="utf-8")
RUNS = {"started": True, "finished": False}
DONE = {"started": True, "finished": True, "changed": True}
FAILED = {"finished": True, "failed": True, "msg": "Building failed", "stderr": LOG}
Answer = Union[dict[str, Any], Callable[[], dict[str, Any]]]


class Action(ActionModule):
    """The action on this machine; each look at the job has the next answer, and the last one stays."""

    def __init__(self, place: Path, *answers: Answer, check: bool = False, **given: Any) -> None:
        task = Task()
        task.args = {"build": {"name": "shop:1"}, "log": str(place / "build.log"), "timeout": 100, **given}
        task.async_val, task.check_mode = 0, check
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="tmp"), reset=self._reset)
        super().__init__(task, connection, SimpleNamespace(check_mode=check), None, None, None)
        self.place, self.answers, self.passed = place, list(answers), 0.0
        self.asked: list[tuple[str, Any]] = []
        self.printed: list[str] = []
        self.screen: list[str] = []
        self.resets, self.removed = 0, ""
        self.started: dict[str, Any] = {"ansible_job_id": "j1.2", "results_file": str(place / "jobs/j1.2")}
        self._display = SimpleNamespace(display=self._displayed)

    def _displayed(self, text: str, newline: bool = True, screen_only: bool = False) -> None:
        (self.screen if screen_only else self.printed).append(text)

    def now(self) -> float:  # type: ignore[override]
        return self.passed

    def sleep(self, seconds: float) -> None:  # type: ignore[override]
        self.passed += seconds

    def _reset(self) -> None:
        self.resets += 1
        raise AnsibleConnectionFailure("still gone")

    def _remove_tmp_path(self, path: str) -> None:
        self.removed = path

    def _low_level_execute_command(self, cmd: str) -> dict[str, Any]:  # type: ignore[override]
        done = subprocess.run(["/bin/sh", "-c", cmd], capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

    def _execute_module(
        self, module_name: str, module_args: Mapping[str, Any], task_vars: Any, wrap_async: bool
    ) -> dict[str, Any]:
        if module_name == BUILD:
            self.asked.append((BUILD, (dict(module_args), wrap_async, self._task.async_val)))
            return self.started
        assert (module_name, wrap_async, self._task.async_val) == (STATUS, False, 0)
        assert (module_args["jid"], module_args["_async_dir"]) == ("j1.2", str(self.place / "jobs"))
        self.asked.append((module_args["mode"], self.passed))
        if module_args["mode"] == "cleanup":
            return {"erased": "j1.2"}
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return dict(answer) if isinstance(answer, dict) else answer()

    def acted(self) -> dict[str, Any]:
        return self.run(task_vars={"inventory_hostname": "vps"})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A host whose job was begun, and which has no log yet."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/j1.2").write_text("{}")
    os.utime(tmp_path / "jobs/j1.2", (1000, 1000))
    return tmp_path


def test_a_build_is_a_job_that_is_asked_soon_and_then_every_3_seconds(place: Path) -> None:
    action = Action(place, RUNS, RUNS, DONE)
    assert action.acted() == DONE
    assert action.asked == [
        (BUILD, ({"name": "shop:1"}, True, 100)),
        ("status", 1),
        ("status", 3),
        ("status", 6),
        ("cleanup", 6),
    ]
    assert (action.printed, action.screen, action.removed) == ([], [], "tmp")


def test_in_check_mode_no_job_is_begun(place: Path) -> None:
    action = Action(place, RUNS, check=True)
    action.started = {"changed": True}
    assert action.acted() == {"changed": True}
    assert action.asked == [(BUILD, ({"name": "shop:1"}, False, 0))]


def test_a_line_every_15_seconds_with_the_step_of_the_log(place: Path) -> None:
    log = place / "build.log"

    def begun(text: str) -> Callable[[], dict[str, Any]]:
        def answer() -> dict[str, Any]:
            log.write_text(text)
            return RUNS

        return answer

    log.write_text("#9 [of a build before] RUN make\n")
    os.utime(log, (999, 999))
    first = [RUNS] * 6
    second = begun("#1 [build 2/3] RUN curl tok-4711-sesame\n#1 0.1 #2 [no step]\n")
    third = begun("#1 [build 2/3] RUN x\n#1 DONE 20.0s\n#2 exporting to image\n")
    action = Action(place, *first, second, *[RUNS] * 4, third, DONE, secrets={"npm": {"value": "tok-4711-sesame"}})
    assert action.acted() == DONE
    assert action.printed == [
        "vps | the build begins, 15 s",
        "vps | [build 2/3] RUN curl <npm>, 30 s",
    ]
    action = Action(place, *[RUNS] * 5, third, DONE)
    action.acted()
    assert action.printed == ["vps | exporting to image, 15 s"]
    assert action.screen == []


def test_a_live_line_every_second(place: Path) -> None:
    (place / "build.log").write_text("#1 [build 2/3] RUN make\n")
    action = Action(place, RUNS, RUNS, DONE, progress="live")
    action.acted()
    seconds = [f"vps | [build 2/3] RUN make, {second} s\x1b[K\r" for second in (1, 2, 3, 4, 5)]
    assert action.screen == ["vps | the build begins, 0 s\x1b[K\r", *seconds, "\x1b[K"]
    assert action.printed == []


def test_what_a_failing_step_says_is_printed_line_by_line(place: Path) -> None:
    action = Action(place, RUNS, FAILED, progress="live", lines=2, secrets={"kind": "not assignable"})
    result = action.acted()
    assert action.printed == ["vps | ./page.tsx:3:7", "vps | Type error: Type 'string' is <kind> to type 'number'."]
    assert result == {**FAILED, "said": [line[6:] for line in action.printed]}
    assert action.screen[-1] == "\x1b[K"


def test_a_failure_that_says_nothing_is_that_of_the_module(place: Path) -> None:
    failure = {"failed": True, "_ansible_parsed": True, "msg": "x is not an existing directory"}
    action = Action(place, failure)
    assert (action.acted(), action.printed) == (failure, [])
    action = Action(place)
    action.started = {"msg": "fork #1 failed"}
    assert action.acted() == {"failed": True, "msg": "fork #1 failed"}


def test_what_cannot_be_read_is_read_again(place: Path) -> None:
    action = Action(place, {"failed": True, "_ansible_parsed": False, "msg": "MODULE FAILURE"}, DONE)
    assert action.acted() == DONE


def broken() -> dict[str, Any]:
    raise AnsibleConnectionFailure("ssh: broken pipe")


def test_a_network_that_breaks_ends_nothing(place: Path) -> None:
    action = Action(place, *[broken] * 6, DONE)
    assert action.acted() == DONE
    assert action.printed == ["vps | the host does not answer, 15 s"]
    assert action.resets == 6
    with pytest.raises(AnsibleConnectionFailure):
        Action(place, broken, timeout=5).acted()


@pytest.mark.parametrize(
    "last", [RUNS, {"finished": True, "failed": True, "msg": "Timeout exceeded", "child_pid": 4711}]
)
def test_a_build_that_is_late_is_told_so(place: Path, last: Mapping[str, Any]) -> None:
    result = Action(place, dict(last), timeout=7).acted()
    assert (result["failed"], result["timed_out"]) == (True, True)
    message = f"The build had not ended after 7 seconds; see {place}/build.log on the host, and raise timeout."
    assert result["msg"] == message


def test_wrong_arguments_are_refused(place: Path) -> None:
    with pytest.raises(AnsibleActionFail, match="value of progress must be one of: auto, live, lines, off"):
        Action(place, DONE, progress="loud").acted()
