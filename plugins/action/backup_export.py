# SPDX-License-Identifier: GPL-3.0-or-later
"""Action backup_export: runs the module of this name, and shows how far it is; documented there."""

from __future__ import annotations

from ansible_collections.ptnextjs.docker_vps.plugins.action import volume_backup

OWN = volume_backup.OWN


class ActionModule(volume_backup.ActionModule):
    """See DOCUMENTATION of the module."""

    MODULE = "ptnextjs.docker_vps.backup_export"
    BEGINS = "the export begins"
