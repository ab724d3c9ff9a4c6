# SPDX-License-Identifier: GPL-3.0-or-later
"""Action source_digest: what the sources on the controller are; documented in the module of this name."""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import sources


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the digest and the number of files."""
        super().run(tmp, task_vars)
        text = {"type": "str", "default": ""}
        _unused, asked = self.validate_argument_spec(
            argument_spec={
                "path": {"type": "str", "required": True},
                "ignore": text,
                "dockerfile_path": text,
                "context_path": text,
                "upload_max": {"type": "int", "default": 0},
            }
        )
        root = os.path.expanduser(asked["path"])
        try:
            layout = sources.layout_of(root, asked["dockerfile_path"], asked["context_path"])
            files = sources.chosen(root, asked["ignore"], layout)
            manager, cautions = sources.looked_at(root, layout, asked["upload_max"])
            return {
                "changed": False,
                "digest": sources.digest(root, files, layout),
                "files": len(files),
                "dockerfile": sources.own_dockerfile(root, layout),
                "package_manager": manager.facts(),
                "cautions": [worded(caution) for caution in cautions],
            }
        except DockerVpsError as error:
            raise AnsibleActionFail(worded(error.message)) from None  # Ansible says the cause as well
