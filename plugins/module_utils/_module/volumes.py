# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules run that work on backup sets and on the volumes of an engine."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible.module_utils.basic import AnsibleModule

from .._engine.sdk import SystemClock
from .backups import sets_of
from .engine import engine_of
from .module_exit import finish


def finish_on_volumes(
    module: AnsibleModule, run: Callable[..., Mapping[str, Any]], params_of: Callable[[Mapping[str, Any]], Any]
) -> None:
    """Run a procedure with the sets, the engine and the mode that the module's parameters name, and exit."""
    finish(
        module,
        lambda: run(
            params_of(module.params),
            sets_of(module.params),
            lambda: engine_of(module),
            SystemClock(),
            module.check_mode,
        ),
    )
