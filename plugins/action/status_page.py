# SPDX-License-Identifier: GPL-3.0-or-later
"""Action status_page: what a fleet is like, for people and machines; documented in the module of this name."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Mapping, Optional

import jinja2
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import status, status_page
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import files

ROLE = Path(__file__).parents[2] / "roles/stack"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the fleet's lines and data, and write its page where that is wanted."""
        super().run(tmp, task_vars)
        _unused, asked = self.validate_argument_spec(
            argument_spec={"results": {"type": "dict", "required": True}, "path": {"type": "str", "default": ""}}
        )
        answers = {str(host): status.answer(result) for host, result in asked["results"].items()}
        result = {"changed": False, "summary": status.summary(answers), "fleet": status.exported(answers)}
        if not asked["path"]:
            return result
        page = rendered(answers, datetime.now(timezone.utc))
        try:
            return {**result, **self._write(os.path.abspath(os.path.expanduser(asked["path"])), page)}
        except DockerVpsError as error:
            raise AnsibleActionFail(worded(error.message)) from None  # Ansible says the cause as well

    def _write(self, path: str, page: str) -> dict[str, Any]:
        """Write a page, and return whether anything but the time that it states is new.

        Raises:
            DockerVpsError: the file cannot be read or written.
        """
        before = files.read(path)
        wanted = files.own(page, 0o644)
        texts = {"before": status_page.timeless(before.text) if before else "", "after": status_page.timeless(page)}
        changed = texts["before"] != texts["after"] or (before is not None and before.mode != wanted.mode)
        if not self._task.check_mode:
            files.replace(path, wanted)
        shown = {"diff": {**texts, "before_header": path, "after_header": path}} if changed and self._task.diff else {}
        return {"changed": changed, "path": path, **shown}


def rendered(answers: Mapping[str, Mapping[str, Any]], at: datetime) -> str:
    """Return the page about a fleet, with as much of it as a page may hold.

    Args:
        answers: the facts of hosts by their names; see status.answer.
        at: the time that it states (UTC).
    """
    style = (ROLE / "files/status.css").read_text(encoding="utf-8")
    jinja = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = jinja.from_string((ROLE / "templates/status.html.j2").read_text(encoding="utf-8"))
    given = {"style": style, "style_source": status_page.style_source(style)}
    return status_page.fitting(
        status_page.clean(template.render(**given, **status_page.model(answers, at, detail)))
        for detail in status_page.DETAILS
    )
