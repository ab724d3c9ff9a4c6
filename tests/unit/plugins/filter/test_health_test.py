# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter health_test."""

from __future__ import annotations

from ansible_collections.ptnextjs.docker_vps.plugins.filter.health_test import FilterModule
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health_check import SCRIPT

health_test = FilterModule().filters()["health_test"]
URL = "http://127.0.0.1:3000/up"


def test_values_of_an_inventory_become_a_test() -> None:
    assert health_test([], "probe", URL, "9") == ["CMD", "sh", "-c", SCRIPT, "probe", URL, "9"]
    assert health_test([], "image", URL, 9) == []
    assert health_test("check", "image", URL, 9) == ["CMD-SHELL", "check"]
