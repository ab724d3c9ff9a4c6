# SPDX-License-Identifier: GPL-3.0-or-later
"""Action image_build: builds an image by a job on the host, and shows how far that is; see the module of this name."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from typing import Any, Mapping, Optional

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.buildlog import failure, under_way, values_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.progress import PROGRESS, Work
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.secrets import Mask
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.terminal import Shown

BUILD = "community.docker.docker_image_build"
STATUS = "ansible.legacy.async_status"
BEGINS = "the build begins"
TICK = 1.0  # seconds between two live lines
POLL = 3  # ticks between two checks at the job
# What names steps and tells their ends, and no output. The log of a build before is older than the job.
STEPS = r"test {log} -nt {job} && LC_ALL=C grep -aEv '^#[0-9]+ [0-9]+\.[0-9]+( |$)' {log} | tail -n 400"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module."""

    _supports_check_mode = True
    now, sleep = staticmethod(time.monotonic), staticmethod(time.sleep)

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the result of the module that builds, and when it failed, what the failing step said."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _unused, asked = self.validate_argument_spec(
            {
                "build": {"type": "dict", "required": True},
                "log": {"type": "path", "required": True},
                "timeout": {"type": "int", "required": True},
                "lines": {"type": "int", "default": 30},
                "secrets": {"type": "dict", "default": {}, "no_log": True},
                "progress": PROGRESS,
            }
        )
        shown = Shown(self._display, asked["progress"], variables["inventory_hostname"])
        try:
            if self._task.check_mode:
                return self._module(BUILD, asked["build"], variables)
            result = self._built(asked, shown, variables)
            return self._explained(result, asked, shown)
        finally:
            shown.clear()
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _built(self, asked: Mapping[str, Any], shown: Shown, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Build, polled, so that no connection has to bear minutes of silence."""
        began = self.now()
        shown.show(0, Work(BEGINS))
        self._task.async_val = asked["timeout"]  # which the job keeps by itself, too
        try:
            job = self._module(BUILD, asked["build"], variables, wrap_async=True)
        finally:
            self._task.async_val = 0
        if job.get("failed") or "ansible_job_id" not in job:
            return {**job, "failed": True}
        status = self._followed(job, began, asked, shown, variables)
        if status.get("finished"):
            self._status("cleanup", job, variables)
        return status

    def _followed(
        self, job: Mapping[str, Any], began: float, asked: Mapping[str, Any], shown: Shown, variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the last status of the job, which has ended, or for which there is no more time."""
        mask, step, ticks, broken = Mask(values_of(asked["secrets"])), BEGINS, 0, None
        while True:
            self.sleep(TICK)
            ticks, elapsed = ticks + 1, self.now() - began
            try:
                if ticks == 1 or ticks % POLL == 0:  # soon after the beginning too, since all may be cached
                    status = self._status("status", job, variables)
                    if status.get("finished") or (status.get("failed") and status.get("_ansible_parsed")):
                        return status if "child_pid" not in status else _late(asked)  # killed by what runs it
                    broken, step = None, (shown.due(elapsed) and self._step(job, asked["log"], mask)) or step
            except AnsibleError as error:  # as when the network breaks; the job goes on
                broken, step = error, "the host does not answer"
                with contextlib.suppress(AnsibleError):
                    self._connection.reset()
            if elapsed >= asked["timeout"]:
                if broken:
                    raise broken
                return _late(asked)
            shown.show(elapsed, Work(step))

    def _step(self, job: Mapping[str, Any], log: str, mask: Mask) -> str:
        """Return the step that the log tells of; empty when there is none."""
        names = {"log": shlex.quote(log), "job": shlex.quote(job["results_file"])}
        done = self._low_level_execute_command(STEPS.format(**names))
        return mask(under_way(done["stdout"]))

    def _status(self, mode: str, job: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        place = os.path.dirname(job["results_file"])
        return self._module(STATUS, {"jid": job["ansible_job_id"], "mode": mode, "_async_dir": place}, variables)

    def _explained(self, result: dict[str, Any], asked: Mapping[str, Any], shown: Shown) -> dict[str, Any]:
        """Print what the failing step said, line by line, since some callbacks print a result as one."""
        if not (result.get("failed") and result.get("stderr")):
            return result
        lines = failure(Mask(values_of(asked["secrets"]))(result["stderr"]), asked["lines"]).lines
        shown.clear()
        for line in lines:
            shown.line(line)
        return {**result, "said": list(lines)}

    def _module(
        self, name: str, given: Mapping[str, Any], variables: Mapping[str, Any], wrap_async: bool = False
    ) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name=name, module_args=dict(given), task_vars=variables, wrap_async=wrap_async
        )
        return result


def _late(asked: Mapping[str, Any]) -> dict[str, Any]:
    message = (
        f"The build had not ended after {asked['timeout']} seconds; see {asked['log']} on the host, and raise timeout."
    )
    return {"failed": True, "timed_out": True, "msg": message}
