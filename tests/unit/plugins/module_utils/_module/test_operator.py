# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs a play."""

from __future__ import annotations

import getpass
import os

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.operator import operator

HERE = os.uname().nodename


def found(**variables: object) -> list[str]:
    return [operator(variables)]


def test_the_user_on_this_machine() -> None:
    assert found() == [f"{getpass.getuser()}@{HERE}"]


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert found() == [f"{os.getuid()}@{HERE}"]


def test_a_job_of_awx() -> None:
    assert found(awx_job_id=12, awx_user_name="jane") == ["jane@awx job 12"]
    assert found(awx_job_id=12) == [f"{getpass.getuser()}@awx job 12"]
