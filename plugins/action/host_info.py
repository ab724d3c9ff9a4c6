# SPDX-License-Identifier: GPL-3.0-or-later
"""Action host_info: asks the module of this name, and compares the clocks; documented there."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, Mapping, Optional

from ansible.plugins.action import ActionBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.host import Finding, clock, refusal
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.action_options import HOST_INFO as OWN

MODULE = "ptnextjs.docker_vps.host_info"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module."""

    now = staticmethod(time.time)

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the module's result with the clock among what was checked."""
        super().run(tmp, task_vars)
        asked = dict(self._task.args)
        tolerance = tolerance_of(asked)
        before = self.now()
        result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=asked, task_vars=task_vars)
        return with_clock(result, before, self.now(), tolerance)


def tolerance_of(asked: dict[str, Any]) -> float:
    """Take out of the options how many seconds the clocks may differ, which the action compares."""
    return float(asked.pop("clock_tolerance", OWN["clock_tolerance"]["default"]))


def with_clock(result: Mapping[str, Any], before: float, after: float, tolerance: float) -> dict[str, Any]:
    """Return what the module says with the clock among what was checked, and failed if that is wrong.

    Args:
        before: the controller's time before the module began (seconds since 1970).
        after: the controller's time when it had ended.
        tolerance: seconds by which the clocks may differ.
    """
    if "time" not in result:
        return dict(result)
    found = clock(before, result["time"], after, tolerance)
    with_it = {**result, "findings": [*result["findings"], asdict(found)]}
    if not found.ok:
        seen = [Finding(**finding) for finding in result["findings"]]
        rest = str(result.get("msg", ""))[len(refusal(seen)) :].strip()
        with_it.update(failed=True, msg=f"{refusal([*seen, found])} {rest}".strip())
    return with_it
