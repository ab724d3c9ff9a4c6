# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions that follow their module, without a host: what they ask for, and what they print."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Mapping, Optional

from ansible.playbook.task import Task


def of(module: ModuleType, printed: Path, *, seconds: float = 0.0, check: bool = False, **given: Any) -> Any:
    """Return the action of a plugin, whose module takes so many seconds; what is displayed goes to a file."""

    class Action(module.ActionModule):  # type: ignore[misc, name-defined]
        asked: Any = None
        removed = ""

        def _execute_module(
            self, module_name: str, module_args: Mapping[str, Any], task_vars: Any, wrap_async: bool
        ) -> dict[str, Any]:
            self.asked = (module_name, dict(module_args), wrap_async)
            time.sleep(seconds)
            return {"changed": True}

        def _remove_tmp_path(self, path: str) -> None:
            self.removed = path

    def display(text: str, **_how: Any) -> None:
        with printed.open("a") as file:
            file.write(f"{text}\n")

    task = Task()
    task.args, task.async_val, task.check_mode = given, 0, check
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="tmp"), transport="local", has_native_async=False)
    action = Action(task, connection, SimpleNamespace(check_mode=check), None, None, None)
    action._display = SimpleNamespace(display=display)
    return action


def acted(action: Any, host: Optional[str] = None) -> dict[str, Any]:
    """Return the result of an action."""
    result: dict[str, Any] = action.run(task_vars={"inventory_hostname": host or "vps"})
    return result
