# SPDX-License-Identifier: GPL-3.0-or-later
"""Action volume_backup: runs the module of this name, and shows how far it is; documented there."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ansible.plugins.action import ActionBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.following import OPTIONS, Following

OWN = OPTIONS


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module; actions of other modules that are followed are this one with their names."""

    MODULE = "ptnextjs.docker_vps.volume_backup"
    BEGINS = "the backup begins"
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return the module's result."""
        super().run(tmp, task_vars)
        return Following(self, self.MODULE, self.BEGINS).result(task_vars or {})
