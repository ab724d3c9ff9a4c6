# SPDX-License-Identifier: GPL-3.0-or-later
"""Action container_logs: prints what the module of this name reads, and follows; documented there."""

from __future__ import annotations

import time
from typing import Any, Mapping, Optional

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.action_options import CONTAINER_LOGS as OWN
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.terminal import display

MODULE = "ptnextjs.docker_vps.container_logs"
GONE = "gone"
SUCCESSOR_WITHIN = 30.0  # seconds within which a release has put another container instead of one
LOOK = 5.0  # seconds that the module waits for a line; shorter ones start it more often, and lines come at once anyway


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module."""

    now, sleep = staticmethod(time.monotonic), staticmethod(time.sleep)

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the module's last result."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        own = self._own()
        began = self.now()
        asked = {name: value for name, value in self._task.args.items() if name not in OWN}
        result = self._look(asked, variables)
        if (own["show"] or own["follow"]) and not result.get("failed"):
            self._show(result, own["timestamps"], variables)
            if not (result["lines"] or own["follow"] or result.get("damage")):
                state = result["container"]["state"]
                self._print(f"No such lines; container {asked['container']} is {state}.", variables)
        until = began + own["follow_for"] if own["follow_for"] else float("inf")
        while own["follow"] and not (result.get("failed") or result.get("damage")):
            if not _runs(result):
                result = self._next(result, asked, min(until, self.now() + SUCCESSOR_WITHIN), variables)
                if not _runs(result):
                    break
            elif self.now() >= until:
                break
            else:
                # Everything since the last line, however much it is.
                asked.update(tail=0, wait=min(LOOK, until - self.now()), since=result["last"] or asked.get("since", ""))
                seen = self._look(asked, variables)
                result = _gone(result) if seen.get("absent") else seen
            self._show(result, own["timestamps"], variables)
        return result

    def _own(self) -> Mapping[str, Any]:
        """Return the options that the module does not know.

        Raises:
            AnsibleActionFail: one is wrong.
        """
        given = {name: value for name, value in self._task.args.items() if name in OWN}
        checked = ArgumentSpecValidator(OWN).validate(given)
        problems = list(checked.error_messages)
        own: Mapping[str, Any] = checked.validated_parameters
        if not problems and not own["follow_for"] >= 0:
            problems.append(f"follow_for must not be below 0, but is {own['follow_for']}.")
        if not problems and own["follow"] and self._task.args.get("until"):
            problems.append("follow and until exclude each other; leave one of them out.")
        if problems:
            raise AnsibleActionFail(" ".join(problems))
        return own

    def _look(self, asked: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=dict(asked), task_vars=variables)
        return result

    def _next(
        self, result: dict[str, Any], asked: dict[str, Any], until: float, variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the first look at what runs under this name next, as after a release; or the last result again."""
        last = result["container"]
        how = "is gone" if last["state"] == GONE else f"exited with code {last['exit_code']}"
        self._print(f"Container {last['name']} {how}.", variables)
        asked.update(tail=0, wait=0, since=result["last"] or asked.get("since", ""))
        while self.now() < until:
            self.sleep(1)
            seen = self._look(asked, variables)
            if not seen.get("failed") and _runs(seen):
                another = seen["container"]["id"] != last["id"]
                self._print(f"{'Another container' if another else 'It'} runs as {last['name']} now.", variables)
                return seen
        return {**result, "lines": []}

    def _show(self, result: Mapping[str, Any], timestamps: bool, variables: Mapping[str, Any]) -> None:
        for line in result.get("lines", ()):
            self._print(f"{_short(line['time'])} {line['text']}" if timestamps else line["text"], variables)
        if result.get("damage"):
            self._print(result["damage"], variables)

    def _print(self, text: str, variables: Mapping[str, Any]) -> None:
        several = len(variables.get("ansible_play_hosts", ())) > 1
        display(self._display, f"{variables['inventory_hostname']} | {text}" if several else text)


def _gone(result: Mapping[str, Any]) -> dict[str, Any]:
    return {**result, "lines": [], "container": {**result["container"], "state": GONE}}


def _runs(result: Mapping[str, Any]) -> bool:
    return result["container"]["state"] not in ("exited", "dead", GONE)


def _short(stamp: str) -> str:
    """Return a time with nine digits with the first three of them."""
    return f"{stamp[:23]}Z"
