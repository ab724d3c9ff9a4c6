# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules for backups read what they have in common."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.backups import sets_of, volumes_of


@pytest.mark.parametrize(("directory", "found"), [(None, "/var/backups/shop"), ("/srv/backups", "/srv/backups")])
def test_the_directory(directory: Any, found: str) -> None:
    sets = sets_of({"app": "shop", "directory": directory})
    assert (sets.app, sets.directory) == ("shop", found)


def test_the_volumes() -> None:
    assert volumes_of({"db": "shop-db", 1: "one"}) == {"db": "shop-db", "1": "one"}
    with pytest.raises(InvalidInput) as caught:
        volumes_of({})
    assert caught.value.message == "volumes must name at least one volume, as in {db: ptnextjs-db}."


@pytest.mark.parametrize(("volume", "shown"), [("", "''"), (None, "None"), (7, "7"), (["x"], "['x']")])
def test_a_volume_without_a_name(volume: Any, shown: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        volumes_of({"db": "shop-db", "media": volume})
    assert caught.value.message == f"volumes.media must be the name of a volume, but is {shown}."
