# SPDX-License-Identifier: GPL-3.0-or-later
"""The action build_context with a fake connection, which takes what is sent to a host."""

from __future__ import annotations

import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Mapping

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.ptnextjs.docker_vps.plugins.action.build_context import MODULE, ActionModule

TMP = "/tmp/of-the-host"


class Action(ActionModule):
    """The action on a host that remembers what reached it."""

    def __init__(self, arguments: Mapping[str, Any], check: bool) -> None:
        task = Task()
        task.args, task.async_val, task.check_mode = dict(arguments), 0, check
        shell = SimpleNamespace(tmpdir=TMP, join_path=lambda *parts: "/".join(parts))
        super().__init__(task, SimpleNamespace(_shell=shell), SimpleNamespace(check_mode=check), None, None, None)
        self.sent: dict[str, list[str]] = {}
        self.readable: tuple[str, ...] = ()
        self.removed = ""
        self.asked: Mapping[str, Any] = {}

    def _transfer_file(self, local_path: str, remote_path: str) -> str:
        with tarfile.open(local_path) as tar:
            self.sent[remote_path] = tar.getnames()
        return remote_path

    def _fixup_perms2(self, paths: tuple[str, ...]) -> None:
        self.readable = paths

    def _remove_tmp_path(self, path: str) -> None:
        self.removed = path

    def _execute_module(self, module_name: str, module_args: Mapping[str, Any], task_vars: Any) -> dict[str, Any]:
        assert module_name == MODULE
        self.asked = module_args
        return {"changed": True}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "site/node_modules").mkdir(parents=True)
    for name in ("package.json", "page.tsx", "node_modules/index.js"):
        (tmp_path / "site" / name).write_text(name)
    return tmp_path / "site"


@pytest.mark.parametrize("check", [False, True])
def test_sources_of_the_controller_are_sent(root: Path, check: bool) -> None:
    action = Action({"directory": "/opt/shop", "path": str(root), "ignore": "**/node_modules\n"}, check)
    assert action.run() == {"changed": True}
    archive = f"{TMP}/sources.tar.gz"
    assert action.asked == {
        "directory": "/opt/shop",
        "path": str(root),
        "ignore": "**/node_modules\n",
        "archive": archive,
    }
    assert action.sent == ({} if check else {archive: ["package.json", "page.tsx"]})
    assert action.readable == (() if check else (TMP, archive))
    assert action.removed == TMP


def test_sources_of_the_host_stay_there() -> None:
    action = Action({"directory": "/opt/shop", "context": "/opt/shop/source"}, check=False)
    action.run()
    assert (action.sent, action.asked) == ({}, {"directory": "/opt/shop", "context": "/opt/shop/source"})


def test_sources_that_are_not_there_are_told(tmp_path: Path) -> None:
    action = Action({"directory": "/opt/shop", "path": str(tmp_path / "none")}, check=False)
    with pytest.raises(
        AnsibleActionFail, match="none are not a directory on the controller. Correct docker_vps_source"
    ):
        action.run()
    assert action.removed == TMP


def test_links_in_the_paths_of_the_parts_are_followed_before(root: Path) -> None:
    (root / "docker").mkdir()
    (root / "docker/prod").write_text("FROM x")
    (root / "infra").symlink_to("docker")
    asked = {
        "directory": "/opt/shop",
        "path": str(root),
        "dockerfile_path": "infra/prod",
        "context_path": "./node_modules",
    }
    action = Action(asked, check=False)
    action.run()
    assert (action.asked["dockerfile_path"], action.asked["context_path"]) == ("docker/prod", "node_modules")
    assert action.sent == {f"{TMP}/sources.tar.gz": ["docker/prod", "node_modules/index.js"]}


def test_a_dockerfile_that_is_not_there_is_told(root: Path) -> None:
    action = Action({"directory": "/opt/shop", "path": str(root), "dockerfile_path": "none"}, check=True)
    with pytest.raises(
        AnsibleActionFail, match="There is no file none in the sources .*. Correct docker_vps_dockerfile"
    ):
        action.run()
