# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the unit tests."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional
from unittest import mock

import pytest
from ansible.module_utils import _internal
from ansible.module_utils.common import warnings
from ansible.module_utils.common.parameters import PASS_VARS
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import EngineServer
from hypothesis import settings

settings.register_profile("unit", deadline=None, database=None)
settings.load_profile("unit")

ServeEngine = Callable[..., EngineServer]


@pytest.fixture
def serve_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeEngine]:
    """Start engines that are stopped after the test."""
    made: list[EngineServer] = []

    def serve(answers: Optional[Mapping[str, tuple[int, Any]]] = None, tcp: bool = False) -> EngineServer:
        # The path of a unix socket must be short.
        path = None if tcp else str(tmp_path_factory.mktemp("e") / "engine.sock")
        made.append(EngineServer(answers or {}, path))
        return made[-1]

    yield serve
    for one in made:
        one.stop()


@pytest.fixture
def files_opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each file that was opened; a test clears it when all is prepared."""
    real = os.open
    names: list[str] = []

    def noting(path: str, *arguments: Any, **options: Any) -> int:
        names.append(os.path.basename(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", noting)
    return names


@dataclass(frozen=True)
class Exit:
    """How a module exited: its code, its JSON, and everything that it wrote."""

    code: Any
    result: Mapping[str, Any]
    text: str


@pytest.fixture
def exit_of(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Exit]:
    """Run the main function of a module as Ansible does."""

    def exit_of_main(main: Callable[[], None], check: bool = False, **arguments: Any) -> Exit:
        asked = {**arguments, "_ansible_check_mode": check, "_ansible_remote_tmp": str(tmp_path)}
        if "inject_invocation" in PASS_VARS:  # since ansible-core 2.21 a module shows it only when asked
            asked["_ansible_inject_invocation"] = True
        warnings._global_warnings.clear()  # those of a module before, which had a process of its own
        capfd.readouterr()
        # A module runs on a host, though tests of actions in the same process have loaded what is the controller's.
        on_a_host = mock.patch.object(_internal, "is_controller", False)
        with on_a_host, patch_module_args(asked), pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Exit(ended.value.code, json.loads(out.splitlines()[-1]), out + err)

    return exit_of_main
