# SPDX-License-Identifier: GPL-3.0-or-later
"""Action deploy_lock: says to the module of this name who runs the play, recovers, and releases; documented there."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shlex
import time
from pathlib import Path
from typing import Any, Mapping, Optional

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.ptnextjs.docker_vps.plugins.action import host_info
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.action_options import DEPLOY_LOCK as OWN
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.operator import operator

MODULE = "ptnextjs.docker_vps.deploy_lock"
RECOVERY = "ptnextjs.docker_vps.release_recover"
NO_TERMINAL = "must have a tty"
"""What sudo says then."""
# Under the flock of the module, since somebody may be about to take the lock by force.
RELEASE = """\
test -e {path} || exit 0
exec 9<>{path} || exit 1
flock -w 5 9 || exit 1
grep -qF {mark} {path} || exit 0
made=$(grep -cF '"made_directory": true' {path})
rm -f {path}
test "$made" = 0 || rmdir {directory} 2>/dev/null
exit 0
"""


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module."""

    _supports_check_mode = True
    now = staticmethod(time.time)

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the module's result, or that of the release."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        own, asked = self._own(), {name: value for name, value in self._task.args.items() if name not in OWN}
        process = play_process()
        owner = {"controller": controller(), "process": process, "host": variables["inventory_hostname"]}
        if own["state"] == "released":
            return self._release(str(asked["path"]), owner)
        owner.update(who=operator(variables), purpose=own["purpose"])
        look = dict(asked.get("look") or {})
        tolerance, began = host_info.tolerance_of(look), self.now()
        asked.update(owner=owner, gone=[], **({"look": look} if look else {}))
        result = self._take(asked, variables)
        holder = result.get("lock", {})
        if holder.get("controller") == owner["controller"] and not alive(holder["process"]):
            asked["gone"] = [holder["process"]]
            result = self._take(asked, variables)
        if result.get("failed") and not {"held", "lock"} & result.keys():
            self._release(asked["path"], owner)  # what broke may have broken when the lock was held already
        self._tell(owner["host"], result.get("message"))
        if result.get("interrupted") and own["env_file"]:
            result = self._recover(result, own, asked, variables)
        ended = self.now()
        result = _with_clock(result, began, ended, tolerance)
        return result if result.get("failed") else {"recovered": [], **result, "began": began, "ended": ended}

    def _recover(
        self, taken: Mapping[str, Any], own: Mapping[str, Any], asked: Mapping[str, Any], variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Finish or undo the release that was interrupted, or wait for one that is under way; then look at the host."""
        place = {"app": own["app"], "directory": os.path.dirname(asked["path"]), "env_file": own["env_file"]}
        done = self._execute_module(module_name=RECOVERY, module_args=place, task_vars=variables)
        if done.get("failed"):
            return {**taken, **done}
        for sentence in done["summary"]:
            self._tell(variables["inventory_hostname"], sentence)
        result = {**taken, "changed": done["changed"], "recovered": done["recovered"]}
        if asked.get("look") and "host" not in taken:
            host = self._execute_module(module_name=host_info.MODULE, module_args=asked["look"], task_vars=variables)
            result.update({**host, "changed": done["changed"]} if host.get("failed") else {"host": host})
        return result

    def _tell(self, host: str, sentence: Optional[str]) -> None:
        if sentence:
            self._display.display(f"{host} | {sentence}")

    def _own(self) -> Mapping[str, Any]:
        """Return the options that the module does not know.

        Raises:
            AnsibleActionFail: one is wrong.
        """
        given = {name: value for name, value in self._task.args.items() if name in OWN}
        checked = ArgumentSpecValidator(OWN).validate(given)
        if checked.error_messages or not self._task.args.get("path"):
            raise AnsibleActionFail(" ".join(checked.error_messages) or "path, the file of the lock, must be given.")
        own: Mapping[str, Any] = checked.validated_parameters
        return own

    def _take(self, asked: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=dict(asked), task_vars=variables)
        if NO_TERMINAL in str(result.get("module_stderr", "")):
            raise AnsibleActionFail(
                "sudo on this host runs nothing without a terminal (requiretty), and with pipelining Ansible gives it "
                "none. Allow it with the line Defaults:USER !requiretty in sudoers there, or set pipelining to false "
                "in ansible.cfg."
            )
        return result

    def _release(self, path: str, owner: Mapping[str, str]) -> dict[str, Any]:
        """Release the lock by a command, which is faster than a module, and every play ends with it."""
        result = {"changed": False, "held": False, "message": ""}
        if self._task.check_mode:
            return result
        mark = json.dumps({name: owner[name] for name in ("controller", "process", "host")})[1:-1]
        parts = {"path": path, "directory": os.path.dirname(path), "mark": mark}
        done = self._low_level_execute_command(
            RELEASE.format(**{name: shlex.quote(value) for name, value in parts.items()})
        )
        if done["rc"]:
            result["message"] = f"The lock {path} could not be released: {done['stderr'].strip()}. It will expire."
            self._display.warning(result["message"])
        return result


def _with_clock(result: Mapping[str, Any], before: float, after: float, tolerance: float) -> dict[str, Any]:
    """Return the result with the clock among what was checked, and failed if that is wrong."""
    if "host" not in result:  # and when the host was refused, what was checked stands in the result itself
        return host_info.with_clock(result, before, after, tolerance)
    host = host_info.with_clock(result["host"], before, after, tolerance)
    failed = {key: host.pop(key) for key in ("failed", "msg") if key in host}
    return {**result, "host": host, **failed}


def controller() -> str:
    """Return what distinguishes this machine, as it runs since its last start, from every other one."""
    identity = [_text("/etc/machine-id"), _text("/proc/sys/kernel/random/boot_id"), os.uname().nodename]
    identity += [os.readlink(link) for link in ("/proc/self/ns/pid",) if os.path.islink(link)]
    return hashlib.sha256("\n".join(identity).encode()).hexdigest()[:16]


def play_process() -> str:
    """Return the process of ansible-playbook, of which this one may be a worker: its id and when it started."""
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent else os.getpid()
    return f"{pid}:{_started(pid)}"


def alive(process: str) -> bool:
    """Return whether a process of this machine, with its start, is there."""
    pid, _unused, started = process.partition(":")
    if not pid.isdecimal():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return _started(int(pid)) == started


def _started(pid: Optional[int]) -> str:
    """Return when a process started, in a unit of the kernel's; empty if that is not known, or it has ended."""
    # The name in parentheses, the second field, may hold spaces. The third is the state, and the 22nd the start.
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
