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
                asked["archive"] = self._sent(os.path.expanduser(path), asked.get("ignore") or "")
            result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=asked, task_vars=task_vars)
        except DockerVpsError as error:
            raise AnsibleActionFail(worded(error.message)) from error
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _sent(self, path: str, ignore: str) -> str:
        """Pack the sources, send them, and return where they are on the host."""
        files = sources.chosen(path, ignore)
        shell = self._connection._shell
        sent = str(shell.join_path(shell.tmpdir, "sources.tar.gz"))
        if not self._task.check_mode:
            with tempfile.NamedTemporaryFile(suffix=".tar.gz") as archive:
                sources.archive(path, files, archive.name)
                self._transfer_file(archive.name, sent)
            self._fixup_perms2((shell.tmpdir, sent))
        return sent
