# SPDX-License-Identifier: GPL-3.0-or-later
"""What is needed of clocks is what the machine's clocks and those of tests have."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.clock import WallClock, instant
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import SystemClock
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeWallClock


@pytest.mark.parametrize("clock", [SystemClock, FakeWallClock])
def test_a_clock_has_it_all(clock: type) -> None:
    assert {name for name in (*vars(WallClock), *vars(WallClock.__mro__[1])) if name[0] != "_"} <= set(dir(clock))


@pytest.mark.parametrize("text", ["2026-02-01T02:00:05Z", "2026-02-01T02:00:05.123456789Z"])
def test_a_time_that_others_write(text: str) -> None:
    assert instant(text) == datetime(2026, 2, 1, 2, 0, 5, tzinfo=timezone.utc)
    with pytest.raises(ValueError, match="does not match"):
        instant("None")
