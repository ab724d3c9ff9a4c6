# SPDX-License-Identifier: GPL-3.0-or-later
"""The module public_url_info: its parameters and its exits."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._release.public_check import Params
from ansible_collections.ptnextjs.docker_vps.plugins.modules.public_url_info import main, params_of

URL = "http://nowhere.invalid/"


def test_parameters() -> None:
    given = {"url": URL, "text": "Welcome", "container": "shop-app", "here": True, "fail": False, "asked_from": "us"}
    assert params_of(given) == Params(URL, "warn", "Welcome", "shop-app", True, "us")
    assert params_of({**given, "fail": True}).mode == "fail"


@pytest.mark.parametrize(("fail", "code"), [(False, 0), (True, 1)])
def test_main(exit_of: Any, fail: bool, code: int) -> None:
    ended = exit_of(main, url=URL, fail=fail, asked_from="the controller")
    assert ended.code == code
    assert "asked from the controller, is not served: the name nowhere.invalid has no address" in str(ended.result)
