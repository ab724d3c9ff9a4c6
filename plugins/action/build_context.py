# SPDX-License-Identifier: GPL-3.0-or-later
"""Action build_context: sends sources of the controller to the module of this name; documented there."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Mapping, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import sources

MODULE = "ptnextjs.docker_vps.build_context"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module."""

    TRANSFERS_FILES = True  # which makes a directory for them on the host
    _supports_check_mode = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the module's result."""
        super().run(tmp, task_vars)
        asked = dict(self._task.args)
        path = asked.get("path")
        try:
            if path:
                asked.update(self._sent(os.path.expanduser(path), asked))
            result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=asked, task_vars=task_vars)
        except DockerVpsError as error:
            raise AnsibleActionFail(worded(error.message)) from None  # Ansible says the cause as well
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _sent(self, path: str, asked: Mapping[str, Any]) -> dict[str, str]:
        """Pack the sources, send them, and return where they are on the host, and in them what the build reads."""
        given = {name: asked.get(name) or "" for name in ("ignore", "dockerfile_path", "context_path")}
        layout = sources.layout_of(path, given["dockerfile_path"], given["context_path"])
        files = sources.chosen(path, given["ignore"], layout)
        shell = self._connection._shell
        sent = str(shell.join_path(shell.tmpdir, "sources.tar.gz"))
        if not self._task.check_mode:
            with tempfile.NamedTemporaryFile(suffix=".tar.gz") as archive:
                sources.archive(path, files, archive.name, layout)
                self._transfer_file(archive.name, sent)
            self._fixup_perms2((shell.tmpdir, sent))
        # Links in these paths were followed here, and may not be among what is sent.
        followed = {"dockerfile_path": layout.dockerfile, "context_path": layout.context}
        return {"archive": sent, **{name: value for name, value in followed.items() if given[name]}}
