# SPDX-License-Identifier: GPL-3.0-or-later
"""A few random volumes of each run of the unit tests; make properties takes many, with more witnesses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from trial import judged, one_line, recipe

VOLUMES = int(os.environ.get("VOLUMES", 25))


@pytest.fixture(scope="session")
def seed(testrun_uid: str) -> int:
    """Return the seed of this run, the same in all of its processes."""
    return int(os.environ.get("SEED", int(testrun_uid, 16) % 10**6))


@pytest.mark.parametrize("number", range(VOLUMES))
def test_a_random_volume_comes_back(number: int, seed: int, tmp_path: Path) -> None:
    made = recipe(seed + number)
    outcome = judged(made, tmp_path / "volume")
    assert outcome.problems == [], "\n".join([f"SEED={seed + number} {made}", *map(one_line, outcome.problems[:10])])
