# SPDX-License-Identifier: GPL-3.0-or-later
"""The boundaries of the WAL-reset bug, as https://www.sqlite.org/wal.html#walresetbug has them."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.sqlite_versions import dotted, known_data_loss

BROKEN = [3_007_000, 3_040_001, 3_044_000, 3_044_005, 3_045_000, 3_045_001, 3_050_006, 3_051_000, 3_051_002]
SOUND = [0, 3_006_023, 3_044_006, 3_044_999, 3_050_007, 3_050_999, 3_051_003, 3_052_000, 3_053_000]


@pytest.mark.parametrize("version", BROKEN)
def test_a_database_in_wal_mode_may_lose_data(version: int) -> None:
    warning = known_data_loss(version, wal=True)
    assert warning is not None
    assert warning.startswith(
        f"SQLite {dotted(version)}, the library that last wrote this database, has the WAL-reset bug"
    )
    assert warning.endswith("3.51.3 or newer.")


@pytest.mark.parametrize("version", SOUND)
def test_fixed_and_unaffected_versions_are_not_blamed(version: int) -> None:
    assert known_data_loss(version, wal=True) is None


@pytest.mark.parametrize("version", BROKEN)
def test_without_wal_there_is_no_bug(version: int) -> None:
    assert known_data_loss(version, wal=False) is None


@pytest.mark.parametrize(
    ("number", "wanted"), [(0, ""), (3_045_001, "3.45.1"), (3_007_000, "3.7.0"), (3_051_013, "3.51.13")]
)
def test_versions_as_people_write_them(number: int, wanted: str) -> None:
    assert dotted(number) == wanted
