# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the integration tests: the stand-in application on this machine's engine."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import plays
import pytest
from lab import STANDIN, App, MakeApp

plays.forking = True

# The engine asks sooner than by default, since tests wait for what it says.
DEFAULTS = {"docker_vps_source_path": str(STANDIN), "docker_vps_health_start_interval": "500ms"}

# Files that take minutes, the longest first, but for those that build nothing: a host builds one image at a time, and
# the acceptance tests begin with a long build. Workers take whole files in this order, so that none is left with a long
# one when the others have ended. pytest-xdist would go by the number of a file's tests, which says nothing here.
LONGEST = (
    "test_offsite",
    "test_replica",
    "test_backup",
    "test_reverse_proxy",
    "test_lifecycle",
    "test_update",
    "test_lock_hooks",
    "test_image",
    "test_own_dockerfile",
    "test_image_transfer",
    "test_package_managers",
    "test_update_faults",
    "test_new_site",
    "test_failures",
    "test_own_image",
    "test_migration",
    "test_deploy",
    "test_strings",
    "test_registry",
    "test_schedule",
    "test_small_engine",
    "test_proxies",
    "test_restore",
    "test_backup_store",
    "test_sbom",
    "test_logs",
    "test_git",
    "test_drill",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the longest files to the front; other tests of the same run stay where they are."""
    here = {item.path.stem for item in items if item.path.parent == Path(__file__).parent}
    turn = {name: number for number, name in enumerate([*LONGEST, *sorted(here - set(LONGEST))])}
    items.sort(key=lambda item: turn[item.path.stem] if item.path.parent == Path(__file__).parent else len(turn))


@pytest.fixture(scope="module")
def make_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeApp]:
    """Make applications that are removed with all their data after the module."""
    made: list[App] = []

    def make(name: str, **variables: object) -> App:
        app = App(name, tmp_path_factory.mktemp(name), **{**DEFAULTS, **variables})
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
