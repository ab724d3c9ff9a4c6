# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place from which modules exit, with the real AnsibleModule."""

from __future__ import annotations

import errno
import os
from typing import Any, Callable, Mapping, Optional

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import EngineError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.remedies import as_root, play, setting
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.module_exit import finish


def main_of(run: Callable[[], Mapping[str, Any]], shown: Optional[Mapping[str, Any]] = None) -> Callable[[], None]:
    return lambda: finish(AnsibleModule(argument_spec={"name": {"type": "str"}}), run, shown)


def failing() -> Mapping[str, Any]:
    raise EngineError("It broke. Fix it.", containers=[{"name": "app"}])


def test_a_result(exit_of: Any) -> None:
    ended = exit_of(main_of(lambda: {"changed": True, "path": "/x"}), name="app")
    assert ended.code == 0
    assert ended.result == {"changed": True, "path": "/x", "invocation": {"module_args": {"name": "app"}}}


def test_a_failure_with_its_evidence(exit_of: Any) -> None:
    ended = exit_of(main_of(failing), name="app")
    assert ended.code == 1
    assert (ended.result["failed"], ended.result["msg"]) == (True, "It broke. Fix it.")
    assert ended.result["containers"] == [{"name": "app"}]
    assert ended.result["invocation"] == {"module_args": {"name": "app"}}


def test_a_refusal_of_the_system(exit_of: Any) -> None:
    def refused() -> Mapping[str, Any]:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "/x/y")

    ended = exit_of(main_of(refused), name="app")
    assert ended.code == 1
    assert ended.result["msg"].startswith("The task failed at /x/y: Read-only file system. That file system is mounted")


def remedied() -> Mapping[str, Any]:
    raise EngineError(f"It broke. Run {play('deploy')}.", why=[f"Set {setting('cutover')}."])


def forbidden() -> Mapping[str, Any]:
    raise PermissionError(errno.EACCES, "Permission denied", "/x")


@pytest.mark.parametrize(
    ("run", "parts"),
    [
        (remedied, ["It broke. Run deploy.yml.", "Set docker_vps_cutover."]),
        (forbidden, ["Permission denied. Does the play need become: true?"]),
        (lambda: {"rows": [{"why": f"Run {play('deploy')}."}], "diff": {"after": as_root()}}, ["Run deploy.yml."]),
    ],
)
def test_what_helps_is_said_in_the_words_of_plays(
    exit_of: Any, run: Callable[[], Mapping[str, Any]], parts: list[str]
) -> None:
    text = exit_of(main_of(run), name="app").text
    assert [one for one in parts if one not in text] == []
    assert [mark for mark in ("⟦", "\\u27e6") if mark in text] == []


@pytest.mark.parametrize("run", [failing, lambda: {"changed": False}])
def test_only_what_may_be_shown_is_shown(exit_of: Any, run: Callable[[], Mapping[str, Any]]) -> None:
    ended = exit_of(main_of(run, {"module_args": {"name": "(hidden)"}}), name="s3cr3t")
    assert ended.result["invocation"] == {"module_args": {"name": "(hidden)"}}
    assert "s3cr3t" not in ended.text


def test_a_mistake_of_ours_is_not_dressed_up() -> None:
    def mistaken() -> Mapping[str, Any]:
        raise KeyError("mistake")

    with patch_module_args({}), pytest.raises(KeyError, match="mistake"):
        main_of(mistaken)()
