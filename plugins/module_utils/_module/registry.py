# SPDX-License-Identifier: GPL-3.0-or-later
"""The account at a registry, as modules are given it."""

from __future__ import annotations

from typing import Any, Mapping

from .._core.errors import InvalidInput
from .._core.images import Login, registry
from .._core.remedies import setting

LOGIN_ARGUMENTS = {
    "registry_username": {"type": "str", "default": ""},
    "registry_password": {"type": "str", "default": "", "no_log": True},
}


def login_of(given: Mapping[str, Any], reference: str) -> Login:
    """Return the account at the registry of a reference.

    Raises:
        InvalidInput: an account has no password, or a password no account.
    """
    username, password = given["registry_username"], given["registry_password"]
    if bool(username) != bool(password):
        raise InvalidInput(
            f"{setting('registry_username')} and {setting('registry_password')} go together, but only one is set."
        )
    return Login(registry(reference), username, password)
