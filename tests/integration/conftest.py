# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the integration tests: the stand-in application on this machine's engine."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest
from lab import STANDIN, App, MakeApp


@pytest.fixture(scope="module")
def make_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeApp]:
    """Make applications that are removed with all their data after the module."""
    made: list[App] = []

    def make(name: str, **words: object) -> App:
        app = App(name, tmp_path_factory.mktemp(name), **{"docker_vps_source_path": str(STANDIN), **words})
        app.remove()
        made.append(app)
        return app

    yield make
    for app in made:
        app.remove()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A place for a copy of an application's sources."""
    return tmp_path / "sources"
