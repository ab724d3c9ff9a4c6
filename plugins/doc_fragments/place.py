# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which a module finds the releases of an application."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of PLACE_ARGUMENTS."""

    DOCUMENTATION = r"""
options:
  app:
    description: The name of the application.
    type: str
    default: ptnextjs
  directory:
    description:
      - The directory of C(compose.yml) and the releases on the managed host.
      - V(/opt/<app>) when not given.
    type: path
  env_file:
    description:
      - The env file that C(compose.yml) names.
      - C(.env.production) in O(directory) when not given.
    type: path
"""
