# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which a module is given an account at a registry."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of LOGIN_ARGUMENTS."""

    DOCUMENTATION = r"""
options:
  registry_username:
    description:
      - The account at the registry.
      - Without one, what C(docker login) has left for the user on the machine is used.
    type: str
    default: ""
  registry_password:
    description: The password or token of the account. It is given to the engine with the request, and written nowhere.
    type: str
    default: ""
"""
