# SPDX-License-Identifier: GPL-3.0-or-later
"""The action image_export: what is fetched from a builder that is another machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Mapping

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.ptnextjs.docker_vps.plugins.action.image_export import MODULE, ActionModule
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.image_layout import layout_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.text import size
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release import image_export
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.image_chunks import Chunks
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_images import FakeImageEngine, built


class Action(ActionModule):
    """The action with a builder whose files are below "builder", and a controller with "here"."""

    def __init__(
        self, place: Path, engine: FakeImageEngine, transport: str = "ssh", check: bool = False, **own: str
    ) -> None:
        task = Task()
        asked = {"name": "shop:1", "directory": str(place / "here")}
        task.args = {**asked, **own}
        task.async_val, task.check_mode = 0, check
        (place / "tmp").mkdir(exist_ok=True)
        shell = SimpleNamespace(tmpdir=str(place / "tmp"), join_path=lambda *parts: "/".join(parts))
        connection = SimpleNamespace(_shell=shell, transport=transport, fetch_file=self._fetched)
        super().__init__(task, connection, SimpleNamespace(check_mode=check), None, None, None)
        self.place, self.engine, self.asked = place, engine, asked
        self.passed, self.printed = 0.0, list[str]()
        self._display = SimpleNamespace(display=lambda text, **_how: self.printed.append(text))
        self.fetched: list[str] = []
        self.removed = ""

    def now(self) -> float:  # type: ignore[override]
        return self.passed

    def _fetched(self, there: str, here: str) -> None:
        self.passed += 8
        self.fetched.append(Path(here).name.partition(".")[0])
        shutil.copy(there, here)

    def _remove_tmp_path(self, path: str) -> None:
        self.removed = path

    def _low_level_execute_command(self, command: str) -> dict[str, Any]:
        done = subprocess.run(["/bin/sh", "-c", f"{command} && sleep 0"], capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

    def _execute_module(self, module_name: str, module_args: Mapping[str, Any], task_vars: Any) -> dict[str, Any]:
        assert (module_name, module_args) == (MODULE, self.asked)
        params = image_export.Params("shop:1", str(self.place / "builder"))
        return image_export.run(params, self.engine, self._task.check_mode)


@pytest.fixture
def engine() -> FakeImageEngine:
    return FakeImageEngine(images={"shop:1": built(b"base", b"one")})


def test_what_the_controller_lacks_is_fetched(tmp_path: Path, engine: FakeImageEngine) -> None:
    first = Action(tmp_path, engine)
    result = first.run()
    layout = layout_of(result["image"])
    assert result["source"] == str(tmp_path / "here")
    assert sorted(first.fetched) == sorted(chunk.sha256 for chunk in layout.chunks)
    chunks = Chunks(result["source"])
    assert {blob.digest: b"".join(chunks.plain(blob)) for blob in layout.blobs} == engine.images["shop:1"].blobs
    assert first.removed == str(tmp_path / "tmp")
    assert (tmp_path / "here").stat().st_mode & 0o777 == 0o700

    # Of the next image, only what has changed; what was not used for a day goes.
    engine.images["shop:1"] = built(b"base", b"two")
    (tmp_path / "here" / layout.layers[0].chunks[0].sha256).write_bytes(b"damaged")
    for path in (tmp_path / "here").iterdir():
        os.utime(path, (0, 0))
    second = Action(tmp_path, engine)
    image = layout_of(second.run()["image"])
    assert len(second.fetched) == 4
    assert {path.name for path in (tmp_path / "here").iterdir()} == {".lock", *(one.sha256 for one in image.chunks)}
    third = Action(tmp_path, engine)
    third.run()
    assert third.fetched == []


def test_how_far_it_is_is_shown(tmp_path: Path, engine: FakeImageEngine) -> None:
    action = Action(tmp_path, engine)
    layout = layout_of(action.run(task_vars={"inventory_hostname": "vps"})["image"])
    sizes = [chunk.size for chunk in layout.chunks]
    done, every = sum(sizes[:2]), sum(sizes)
    share = f"{size(done)} of {size(every)} ({done * 100 // every} %), {size(done / 16)}/s"
    assert action.printed == [f"vps | the image is fetched, {share}, 16 s"]
    with pytest.raises(AnsibleActionFail, match="value of progress must be one of"):
        Action(tmp_path, engine, progress="loud").run()


def test_what_the_controller_has_built_is_where_it_is(tmp_path: Path, engine: FakeImageEngine) -> None:
    action = Action(tmp_path, engine, transport="local")
    assert action.run()["source"] == str(tmp_path / "builder")
    assert action.fetched == []
    assert not (tmp_path / "here").exists()


def test_in_check_mode_nothing_is_fetched(tmp_path: Path, engine: FakeImageEngine) -> None:
    assert Action(tmp_path, engine, check=True).run() == {"changed": True}
    assert not (tmp_path / "here").exists()


def test_a_builder_that_gives_nothing(tmp_path: Path, engine: FakeImageEngine) -> None:
    class Closed(Action):
        def _low_level_execute_command(self, command: str) -> dict[str, Any]:
            return {"rc": 1, "stdout": answers.pop(), "stderr": ""}

    answers = ["", "cp: Permission denied\n"]
    for reason in ("cp: Permission denied", "its shell gave no reason"):
        action = Closed(tmp_path, engine)
        with pytest.raises(AnsibleActionFail) as caught:
            action.run()
        assert f"cannot be fetched from {tmp_path}/builder: {reason}. Fix that, and run the same play" in str(
            caught.value
        )
        assert action.removed


def test_what_arrives_as_something_else_is_refused(tmp_path: Path, engine: FakeImageEngine) -> None:
    class Noisy(Action):
        def _fetched(self, there: str, here: str) -> None:
            Path(here).write_bytes(b"noise")

    with pytest.raises(AnsibleActionFail, match="is something else"):
        Noisy(tmp_path, engine).run()
    assert [path.name for path in (tmp_path / "here").iterdir()] == [".lock"]
