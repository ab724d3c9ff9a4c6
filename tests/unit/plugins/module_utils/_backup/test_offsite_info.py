# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of the sets off-site, and that nothing is changed for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import offsite
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.offsite_info import Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeWallClock
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import FakeRepository, publish_packed

FIRST, SECOND = "20260129-020000", "20260130-020000"


@pytest.fixture
def there() -> FakeRepository:
    return FakeRepository()


def info(there: FakeRepository, **more: Any) -> dict[str, Any]:
    return run(Params("shop", "web1", **more), there)


def copy(place: Path, there: FakeRepository, *set_ids: str) -> None:
    sets = Sets(str(place), "shop")
    for set_id in set_ids:
        publish_packed(sets, set_id, db=b"database", media=b"")
    offsite.run(offsite.Params(which="all", host="web1"), sets, there, FakeWallClock(), False)


def test_what_is_there_is_listed(tmp_path: Path, there: FakeRepository) -> None:
    assert info(there)["summary"] == "0 sets of shop on web1 in memory:shop."
    copy(tmp_path, there, FIRST, SECOND)
    before = dict(there.kept)
    done = info(there)
    assert [(row["set"], row["archives"]) for row in done["sets"]] == [
        (SECOND, ["db", "media"]),
        (FIRST, ["db", "media"]),
    ]
    assert done["summary"] == f"2 sets of shop on web1 in memory:shop: {SECOND}, {FIRST}."
    assert not done["changed"]
    assert (there.kept, there.checks) == (before, [])


def test_the_repository_is_verified(tmp_path: Path, there: FakeRepository) -> None:
    copy(tmp_path, there, FIRST)
    done = info(there, verify=True)
    assert done["summary"] == "1 set of shop on web1 in memory:shop: restic read no data, no error."
    assert info(there, verify=True, read_data="5%")["summary"].endswith("restic read 5% data, no error.")
    assert there.checks == ["", "5%"]


@pytest.mark.parametrize("verify", [False, True])
def test_a_repository_that_is_not_there_is_not_made(there: FakeRepository, verify: bool) -> None:
    there.there = False
    with pytest.raises(DockerVpsError, match="There is no restic repository at memory:shop.*the first copy makes"):
        info(there, verify=verify)
    assert not there.there


@pytest.mark.parametrize("name", ["web 1", "a,b", "x" * 256, "a\nb"])
@pytest.mark.parametrize("params", [lambda host: Params("shop", host), lambda host: offsite.Params(host=host)])
def test_a_name_that_no_host_has(params: Any, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name of a host.*⟦setting backup_offsite_host⟧"):
        params(name)
