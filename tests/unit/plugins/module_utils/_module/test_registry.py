# SPDX-License-Identifier: GPL-3.0-or-later
"""The account at a registry, as modules are given it."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.images import Login
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.registry import LOGIN_ARGUMENTS, login_of

ACCOUNT = {"registry_username": "deploy", "registry_password": "secret"}


def test_the_login_is_for_the_registry_of_the_reference() -> None:
    assert login_of(dict.fromkeys(ACCOUNT, ""), "ghcr.io/acme/site:1") == Login("ghcr.io")
    assert login_of(ACCOUNT, "acme/site") == Login("docker.io", "deploy", "secret")


@pytest.mark.parametrize("missing", ["registry_username", "registry_password"])
def test_an_account_has_a_password(missing: str) -> None:
    with pytest.raises(InvalidInput, match="go together, but only one is set"):
        login_of({**ACCOUNT, missing: ""}, "ghcr.io/acme/site:1")


def test_no_password_is_shown() -> None:
    assert LOGIN_ARGUMENTS["registry_password"]["no_log"] is True
