# SPDX-License-Identifier: GPL-3.0-or-later
"""The action deploy_lock with its real module on this machine, and the module's exits."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Mapping, Optional

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.ptnextjs.docker_vps.plugins.action.deploy_lock import (
    MODULE,
    ActionModule,
    alive,
    controller,
    play_process,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.journal import Journal
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.deploy_lock import Lock, Owner, parse, text_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.plugins.modules.deploy_lock import main, params_of, run

NOW = 1_790_000_000.0
HOST = {"changed": False, "live": "x", "time": time.time(), "findings": []}
RECOVERY, LOOK = "ptnextjs.docker_vps.release_recover", "ptnextjs.docker_vps.host_info"


class Action(ActionModule):
    """The action; module and commands run on this machine."""

    def __init__(self, path: Path, check: bool = False, **arguments: Any) -> None:
        task = Task()
        task.args, task.async_val, task.check_mode = {"path": str(path), **arguments}, 0, check
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        super().__init__(task, connection, None, None, None, None)
        self.printed: list[str] = []
        self.warned: list[str] = []
        self.asked: list[Mapping[str, Any]] = []
        self.answers: Mapping[str, Mapping[str, Any]] = {}
        self._display = SimpleNamespace(display=self.printed.append, warning=self.warned.append)

    def _execute_module(self, module_name: str, module_args: Mapping[str, Any], task_vars: Any) -> dict[str, Any]:
        self.asked.append(dict(module_args))
        if module_name != MODULE:
            return dict(self.answers[module_name])
        try:
            return run(
                params_of({"max_age": 3600.0, "force": False, "backups": None, "wait": 0.0, **module_args}),
                NOW,
                self._task.check_mode,
                (lambda: HOST) if module_args.get("look") else None,
            )
        except DockerVpsError as error:
            return {"failed": True, "msg": error.message, **error.evidence}

    def _low_level_execute_command(self, cmd: str) -> dict[str, Any]:  # type: ignore[override]
        done = subprocess.run(["sh", "-c", cmd], capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stderr": done.stderr}


def acted(
    path: Path, host: str = "vps", answers: Optional[Mapping[str, Any]] = None, **arguments: Any
) -> tuple[dict[str, Any], Action]:
    """Return the result, without when it was, and the action."""
    action = Action(path, **arguments)
    action.answers = answers or {}
    result = action.run(task_vars={"inventory_hostname": host})
    assert result.pop("began", 0.0) <= result.pop("ended", 0.0)
    return result, action


def owner(**changes: str) -> Owner:
    """Return this play as an owner, with some changes."""
    return replace(Owner("me@here", "deploy", controller(), play_process(), "vps"), **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the lock, in a directory that is missing."""
    return tmp_path / "the shop's/deploy.lock"


def test_it_is_taken_by_this_play_and_released(path: Path) -> None:
    result, action = acted(path, purpose="deploy")
    assert result == {"changed": False, "held": True, "message": "", "interrupted": [], "recovered": []}
    there = parse(path.read_text())
    assert there is not None
    assert there.owner.key == owner().key
    assert there.owner.purpose == "deploy"
    assert there.owner.who.endswith(f"@{os.uname().nodename}")
    assert (action.printed, action.asked[0]["gone"]) == ([], [])
    assert acted(path, state="released")[0] == {"changed": False, "held": False, "message": ""}
    assert not path.parent.exists()
    # Once more, which changes nothing.
    assert "message" in acted(path, state="released")[0]
    assert not path.parent.exists()


def test_a_directory_that_something_else_is_in_stays(path: Path) -> None:
    acted(path)
    (path.parent / "compose.yml").touch()
    acted(path, state="released")
    assert [one.name for one in path.parent.iterdir()] == ["compose.yml"]


def test_a_directory_that_was_there_stays(path: Path) -> None:
    path.parent.mkdir()
    acted(path)
    acted(path, state="released")
    assert list(path.parent.iterdir()) == []


def test_the_lock_of_another_play_is_not_released(path: Path) -> None:
    acted(path, host="other")
    acted(path, state="released")
    assert path.exists()


def test_a_play_at_work_on_this_controller_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        started = Path(f"/proc/{other.pid}/stat").read_text().split()[21]
        path.write_text(text_of(Lock(owner(process=f"{other.pid}:{started}"), 0)))
        result, action = acted(path, purpose="update")
        other.kill()
    assert result["failed"] is True
    assert f"deploy of me@here (process {other.pid})" in result["msg"]
    assert len(action.asked) == 1


def test_the_lock_of_a_play_that_was_killed_is_taken_over_and_told(path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    path.parent.mkdir()
    path.write_text(text_of(Lock(owner(process=f"{gone.pid}:1"), int(NOW))))
    result, action = acted(path)
    assert result["held"] is True
    message = f"Took the lock over from deploy of me@here (process {gone.pid}), whose process is gone."
    assert action.printed == [f"vps | {message}"]
    assert [one["gone"] for one in action.asked] == [[], [f"{gone.pid}:1"]]


def test_the_process_of_another_controller_is_not_looked_for_here(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(text_of(Lock(owner(controller="elsewhere", process="999999999:1"), int(NOW))))
    result, action = acted(path)
    assert result["failed"] is True
    assert len(action.asked) == 1
    assert acted(path, force=True)[0]["held"] is True


def test_check_mode_only_looks(path: Path) -> None:
    assert acted(path, check=True)[0] == {
        "changed": False,
        "held": False,
        "message": "",
        "interrupted": [],
        "recovered": [],
    }
    assert acted(path, check=True, state="released")[0]["held"] is False
    assert not path.parent.exists()
    acted(path, host="other", purpose="restore")
    before = path.read_bytes()
    result, action = acted(path, check=True)
    assert result["message"].startswith("restore of ")
    assert action.printed == [f"vps | {result['message']}"]
    assert acted(path, host="other", check=True)[0]["message"] == ""
    acted(path, host="other", check=True, state="released")
    assert path.read_bytes() == before


def test_a_lock_that_cannot_be_released_is_a_warning(path: Path) -> None:
    path.mkdir(parents=True)
    result, action = acted(path, state="released")
    assert not result.get("failed")
    assert action.warned == [result["message"]]
    assert "could not be released" in result["message"]


@pytest.mark.parametrize("arguments", [{"state": "free"}, {"path": ""}, {"state": ["held"]}])
def test_wrong_arguments_are_refused(path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(AnsibleActionFail):
        acted(arguments.pop("path", path), **arguments)


def test_a_worker_names_the_process_of_the_play() -> None:
    context = multiprocessing.get_context("fork")
    ear, mouth = context.Pipe(duplex=False)
    worker = context.Process(target=lambda: mouth.send(play_process()))
    worker.start()
    assert ear.recv() == play_process()
    worker.join()
    assert play_process().startswith(f"{os.getpid()}:")


def test_a_process_is_alive_until_it_ends_and_its_number_alone_means_nothing() -> None:
    pid, started = play_process().split(":")
    assert alive(f"{pid}:{started}")
    assert not alive(f"{pid}:{int(started) - 1}")
    assert alive("unknown")
    assert alive(f"1:{Path('/proc/1/stat').read_text().rpartition(')')[2].split()[19]}")
    assert not alive(f"{2**70}:1")


def test_a_killed_process_that_nobody_has_buried_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        started = Path(f"/proc/{other.pid}/stat").read_text().split()[21]
        assert alive(f"{other.pid}:{started}")
        other.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert not alive(f"{other.pid}:{started}")


def test_the_fingerprint_of_the_controller_stays() -> None:
    assert controller() == controller()
    assert len(controller()) == 16


def test_a_backup_that_has_paused_the_application_is_waited_for(path: Path, tmp_path: Path) -> None:
    sets = Sets(str(tmp_path / "sets"), "shop")
    sets.prepare()
    folder = sets.begin("20260201-020000")
    with sets.lock("a backup"):
        assert not acted(path, backups=sets.directory)[0].get("failed")  # it has paused nobody
        Journal(folder).write(containers=("app",), frozen=True)
        assert not acted(path, backups=sets.directory, check=True)[0].get("failed")
        message = acted(path, backups=sets.directory, purpose="start")[0]["msg"]
        assert message.startswith("Cannot begin start: a backup of shop (process ")
        assert message.endswith(f"and holds {sets.directory}/.lock. Wait for it, or end that process.")
    assert acted(path, backups=sets.directory)[0]["held"]  # a killed one has left that
    file = tmp_path / "file"
    file.touch()
    assert acted(path, backups=str(file / "sets"))[0]["held"]  # which is a matter for whoever makes a backup
    Path(folder, "journal.json").write_text("damaged")
    with sets.lock("a backup"):
        assert acted(path, backups=sets.directory)[0]["held"]


def test_main(exit_of: Any, path: Path) -> None:
    asked = {"path": str(path), "owner": {"controller": "c", "process": "1:2", "host": "vps", "purpose": "deploy"}}
    ended = exit_of(main, check=True, **asked)
    assert (ended.code, ended.result["held"], path.exists()) == (0, False, False)
    ended = exit_of(main, **asked)
    assert (ended.code, ended.result["held"]) == (0, True)
    ended = exit_of(main, path=str(path), owner={"controller": "c", "process": "3:4", "host": "vps"})
    assert ended.code == 1
    assert ended.result["msg"].startswith("Cannot begin this play: deploy of")
    assert ended.result["lock"]["process"] == "1:2"
    assert exit_of(main, path=str(path)).result["msg"].startswith("The owner of a lock needs")


def test_releasing_waits_until_an_exchange_has_ended(path: Path) -> None:
    acted(path)
    holder = subprocess.Popen(["flock", str(path), "sh", "-c", "echo; read x"], stdin=-1, stdout=-1)
    assert holder.stdout
    holder.stdout.readline()
    releasing = threading.Thread(target=acted, args=(path,), kwargs={"state": "released"})
    releasing.start()
    releasing.join(0.2)
    assert path.exists()
    holder.communicate(b"\n")
    releasing.join()
    assert not path.exists()


def test_releases_that_were_interrupted_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "releases/20260131-020000"
    folder.mkdir(parents=True)
    (folder / "journal.json").write_text("{}")
    assert acted(tmp_path / "deploy.lock")[0]["interrupted"] == ["20260131-020000"]


def interrupted(path: Path) -> Path:
    release = path.parent / "releases/20260201-020000"
    release.mkdir(parents=True)
    (release / "journal.json").write_text("{}")
    return path


DONE = {"changed": True, "recovered": ["20260201-020000"], "summary": ["Release 20260201-020000 was undone."]}
SHOP = {"app": "shop", "env_file": "/e"}


def test_the_host_is_looked_at_in_the_same_run(path: Path) -> None:
    result, action = acted(path, look={"project": "shop", "clock_tolerance": 1e9})
    assert result["host"]["live"] == "x"
    assert [one["check"] for one in result["host"]["findings"]] == ["clock"]
    assert [one["look"] for one in action.asked] == [{"project": "shop"}]


def test_a_wrong_clock_is_told_and_the_lock_is_held(path: Path) -> None:
    result, _action = acted(path, look={"clock_tolerance": -1e9})
    assert (result["failed"], result["held"]) == (True, True)
    assert "failed" not in result["host"]
    assert result["msg"].startswith("This host cannot take the application yet: clock: ")


def test_what_was_interrupted_is_set_right_before_the_host_is_looked_at(path: Path) -> None:
    answers = {RECOVERY: DONE, LOOK: HOST}
    result, action = acted(interrupted(path), answers=answers, look={"clock_tolerance": 1e9, "project": "shop"}, **SHOP)
    assert (result["changed"], result["recovered"], result["host"]["live"]) == (True, ["20260201-020000"], "x")
    assert action.printed == ["vps | Release 20260201-020000 was undone."]
    assert action.asked[1:] == [
        {"app": "shop", "directory": str(path.parent), "env_file": "/e"},
        {"project": "shop"},
    ]


def test_a_failure_in_between_leaves_the_lock_held(path: Path) -> None:
    failed = {"failed": True, "msg": "no"}
    result, action = acted(interrupted(path), answers={RECOVERY: failed}, look={"project": "shop"}, **SHOP)
    assert (result["failed"], result["msg"], result["held"], len(action.asked)) == (True, "no", True, 2)
    result, action = acted(path, answers={RECOVERY: DONE, LOOK: failed}, look={"project": "shop"}, **SHOP)
    assert (result["failed"], result["msg"], result["held"], result["changed"]) == (True, "no", True, True)
    assert "host" not in result


def test_check_mode_says_what_would_be_set_right_and_looks_once(path: Path) -> None:
    answers = {RECOVERY: DONE}
    result, action = acted(interrupted(path), check=True, answers=answers, look={"project": "shop"}, **SHOP)
    assert (result["held"], result["recovered"], result["host"]["live"]) == (False, ["20260201-020000"], "x")
    assert len(action.asked) == 2


def test_what_was_interrupted_is_left_to_whoever_asks_for_it(path: Path) -> None:
    result, action = acted(interrupted(path))
    assert (result["interrupted"], len(action.asked)) == (["20260201-020000"], 1)


def test_a_sudo_that_wants_a_terminal_is_told_as_such(path: Path) -> None:
    said = {
        "failed": True,
        "msg": "No start of json char found",
        "module_stderr": "sudo: you must have a tty to run sudo",
    }
    action = Action(path)
    action._execute_module = lambda **_given: said  # type: ignore[method-assign, assignment]
    with pytest.raises(AnsibleActionFail, match="Defaults:USER !requiretty"):
        action.run(task_vars={"inventory_hostname": "vps"})
