# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter database_path."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.filter.database_path import FilterModule

database_path = FilterModule().filters()["database_path"]


@pytest.mark.parametrize(
    ("uri", "path"),
    [("file:///data/payload.db", "payload.db"), ("postgres://db.example.com/site", ""), (None, ""), (5, "")],
)
def test_a_value_of_an_inventory_becomes_a_path(uri: object, path: str) -> None:
    assert database_path(uri) == path


def test_another_mount() -> None:
    assert database_path("file:/srv/db/payload.db", "/srv/db") == "payload.db"
    assert database_path("file:/data/payload.db", "/srv/db") == ""
