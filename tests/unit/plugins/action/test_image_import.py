# SPDX-License-Identifier: GPL-3.0-or-later
"""The action image_import between a controller and a host that are directories of this machine."""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Mapping, Optional, Sequence

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.ptnextjs.docker_vps.plugins.action.image_import import MODULE, ROUNDS, ActionModule
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import (
    CHUNK,
    Layout,
    as_data,
    layout_of,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.progress import EVERY
from ansible_collections.ptnextjs.docker_vps.tests.unit.plugins.module_utils._release.test_image_import import (
    BASE,
    Transfer,
)

HOSTS = {"inventory_hostname": "vps"}


class Action(ActionModule):
    """The action on a host whose shell is that of this machine."""

    def __init__(self, transfer: Transfer, layout: Optional[Layout], check: bool = False, **given: Any) -> None:
        task = Task()
        source, imports = str(transfer.place / "exports"), str(transfer.place / "imports")
        image = as_data(layout) if layout else {}
        task.args = {"name": "shop:1", "image": image, "source": source, "directory": imports, **given}
        task.async_val, task.check_mode = 0, check
        (transfer.place / "tmp").mkdir(exist_ok=True)
        shell = SimpleNamespace(tmpdir=None, join_path=lambda *parts: "/".join(parts))
        super().__init__(task, SimpleNamespace(_shell=shell), SimpleNamespace(check_mode=check), None, None, None)
        self.transfer, self.passed = transfer, 0.0
        self.asked: list[dict[str, Any]] = []
        self.sent: list[list[str]] = []
        self.pipelining = True
        self.printed: list[str] = []
        self.removed: Optional[str] = ""
        self._display = SimpleNamespace(display=self.printed.append)

    def now(self) -> float:  # type: ignore[override]
        return self.passed

    def _is_pipelining_enabled(self, module_style: str, wrap_async: bool = False) -> bool:
        return self.pipelining

    def _make_tmp_path(self, remote_user: Optional[str] = None) -> str:
        self._connection._shell.tmpdir = str(self.transfer.place / "tmp")
        return str(self._connection._shell.tmpdir)

    def _transfer_data(self, remote_path: str, data: bytes) -> str:
        Path(remote_path).write_bytes(data)
        return remote_path

    def _fixup_perms2(self, paths: Sequence[str]) -> None:
        assert all(Path(path).exists() for path in paths)

    def _remove_tmp_path(self, path: Optional[str]) -> None:
        self.removed = path

    def _low_level_execute_command(self, command: str, in_data: Optional[bytes] = None) -> dict[str, Any]:
        # As Ansible does, which adds something to each command.
        shell = ["/bin/sh", "-c", f"{command} && sleep 0"]
        done = subprocess.run(shell, input=in_data, capture_output=True, check=False)
        given = in_data or (self.transfer.place / "tmp/chunks").read_bytes()
        with tarfile.open(fileobj=io.BytesIO(given)) as tar:
            self.sent.append([name.partition(".")[0] for name in tar.getnames()])
        self.passed += EVERY / 2
        return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}

    def _execute_module(self, module_name: str, module_args: Mapping[str, Any], task_vars: Any) -> dict[str, Any]:
        assert module_name == MODULE
        self.asked.append(dict(module_args))
        how = {name: module_args.get(name, False) for name in ("load", "whole")}
        return self.transfer.run(
            module_args["name"], layout_of(module_args["image"]), check=self._task.check_mode, **how
        )


@pytest.fixture
def transfer(tmp_path: Path) -> Transfer:
    return Transfer(tmp_path)


@pytest.mark.parametrize("pipelining", [True, False])
def test_what_is_lacking_is_sent_and_loaded(transfer: Transfer, pipelining: bool) -> None:
    large = random.Random(1).randbytes(CHUNK)
    layout = transfer.layout("shop:1", BASE, large, b"one")
    action = Action(transfer, layout)
    action.pipelining = pipelining
    result = action.run(task_vars=HOSTS)
    assert (result["changed"], result["loaded"]) == (True, True)
    assert result["sent"] == sum(chunk.size for chunk in layout.chunks)
    manifest, config, base, packed, code = (chunk.sha256 for chunk in layout.chunks)
    assert action.sent == [[manifest, config, base], [packed], [code]]
    assert [(one.get("load"), one.get("whole")) for one in action.asked] == [(None, None), (True, False)]
    assert all("source" in asked and "progress" not in asked for asked in action.asked)
    done = (result["sent"] - layout.chunks[-1].size) * 100 // result["sent"]
    assert action.printed == [f"vps | the image is sent, 8 MiB of 8 MiB ({done} %), 546 KiB/s, 15 s"]
    assert action.removed == (None if pipelining else str(transfer.place / "tmp"))
    assert transfer.engine.images["shop:1"].diff_ids == layout.diff_ids
    # Again: nothing.
    again = Action(transfer, layout)
    result = again.run(task_vars=HOSTS)
    assert (result["changed"], result["sent"], again.sent, again.printed) == (False, 0, [], [])


def test_what_has_arrived_before_is_not_sent_again(transfer: Transfer) -> None:
    layout = transfer.layout("shop:1", BASE, b"one")
    staging = Path(transfer.run("shop:1", layout)["staging"])
    there = layout.layers[0].chunks[0].sha256
    shutil.copy(transfer.place / "exports" / there, staging)
    action = Action(transfer, layout)
    result = action.run(task_vars=HOSTS)
    assert result["loaded"]
    assert all(there not in together for together in action.sent)
    assert result["sent"] == sum(chunk.size for chunk in layout.chunks if chunk.sha256 != there)


def test_in_check_mode_nothing_is_sent(transfer: Transfer) -> None:
    action = Action(transfer, transfer.layout("shop:1", BASE), check=True)
    result = action.run(task_vars=HOSTS)
    assert (result["changed"], result["loaded"], result["sent"], action.sent) == (True, False, 0, [])


def test_everything_is_sent_when_the_engine_cannot_use_what_it_seemed_to_have(tmp_path: Path) -> None:
    transfer = Transfer(tmp_path, containerd=True)
    transfer.bring("shop:1", BASE, b"one")
    transfer.engine.content.clear()
    layout = transfer.layout("shop:2", BASE, b"two")
    action = Action(transfer, layout, name="shop:2")
    result = action.run(task_vars=HOSTS)
    assert (result["loaded"], result["whole"]) == (True, True)
    assert sum(map(len, action.sent)) == 4


def failure(action: Action) -> str:
    with pytest.raises(AnsibleActionFail) as caught:
        action.run(task_vars=HOSTS)
    assert action.removed != ""
    return str(caught.value)


def test_a_part_that_is_not_on_the_controller_any_more(transfer: Transfer) -> None:
    layout = transfer.layout("shop:1", BASE)
    shutil.rmtree(transfer.place / "exports")
    assert (
        "a part of the image, is not on the controller any more. To export it again, run the same play again"
        in failure(Action(transfer, layout))
    )


def test_a_part_that_is_damaged_does_not_arrive(transfer: Transfer) -> None:
    layout = transfer.layout("shop:1", BASE)
    damaged = layout.layers[0].chunks[0].sha256
    (transfer.place / "exports" / damaged).write_bytes(b"x")
    text = failure(Action(transfer, layout))
    assert f"{damaged}, a part of the image, was damaged on the controller or in transit" in text
    staging = Path(transfer.run("shop:1", layout)["staging"])
    assert {path.name for path in staging.iterdir()} == {
        chunk.sha256 for chunk in layout.chunks if chunk.sha256 != damaged
    }
    assert transfer.engine.changes == []


def test_a_host_that_takes_nothing(transfer: Transfer) -> None:
    class Full(Action):
        def _low_level_execute_command(self, command: str, in_data: Optional[bytes] = None) -> dict[str, Any]:
            return {"rc": 1, "stdout": "", "stderr": answers.pop()}

    layout = transfer.layout("shop:1", BASE)
    answers = ["", "tar: write error: No space left on device\n"]
    text = failure(Full(transfer, layout))
    assert "No space left on device. Fix that, and run the same play again." in text
    assert "its shell gave no reason. Fix that" in failure(Full(transfer, layout))


def test_it_does_not_send_for_ever(transfer: Transfer) -> None:
    class Losing(Action):
        def _low_level_execute_command(self, command: str, in_data: Optional[bytes] = None) -> dict[str, Any]:
            return {"rc": 0, "stdout": "", "stderr": ""}

    action = Losing(transfer, transfer.layout("shop:1", BASE))
    assert f"were sent {ROUNDS} times and could not be used" in failure(action)


def test_wrong_options(transfer: Transfer) -> None:
    layout = transfer.layout("shop:1", BASE)
    action = Action(transfer, layout)
    del action._task.args["source"]
    with pytest.raises(AnsibleActionFail, match="missing required arguments: source"):
        action.run(task_vars=HOSTS)


def test_the_failure_of_the_module_is_that_of_the_action(transfer: Transfer) -> None:
    class Failing(Action):
        def _execute_module(self, module_name: str, module_args: Mapping[str, Any], task_vars: Any) -> dict[str, Any]:
            return {"failed": True, "msg": "No Docker engine answers."}

    action = Failing(transfer, transfer.layout("shop:1", BASE))
    assert action.run(task_vars=HOSTS) == {"failed": True, "msg": "No Docker engine answers.", "sent": 0}
