# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which a module finds the backup sets of an application."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of APP_ARGUMENTS."""

    DOCUMENTATION = r"""
options:
  app:
    description: The name of the application. Sets of other applications in O(directory) are left alone.
    type: str
    default: ptnextjs
  directory:
    description:
      - The directory of the backup sets on the managed host.
      - V(/var/backups/<app>) when not given.
    type: path
"""
