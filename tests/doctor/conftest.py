# SPDX-License-Identifier: GPL-3.0-or-later
"""A healthy application behind a reverse proxy, which tests break and fix."""

from __future__ import annotations

from typing import Iterator

import plays
import pytest
from patients import Stack

plays.forking = True


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Deploy the application, back it up, and start the proxy; all is removed in the end."""
    made = Stack("it-doctor", tmp_path_factory.mktemp("it-doctor"))
    made.build()
    yield made
    made.remove()
