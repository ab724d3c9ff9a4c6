# SPDX-License-Identifier: GPL-3.0-or-later
"""Off-site copies: what is sent, fetched and removed, and what is only said in check mode."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.retention import Policy
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._job.offsite import LOCK, Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked, locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeWallClock
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import FakeRepository, publish_packed

FIRST, SECOND, THIRD = "20260129-020000", "20260130-020000", "20260131-020000"
FUTURE = "20990101-000000"
MEDIA = bytes(range(256)) * 64


class Host:
    """A directory of sets, and runs on it."""

    def __init__(self, place: Path, there: FakeRepository) -> None:
        self.there, self.clock = there, FakeWallClock()
        self.sets = Sets(str(place), "shop")

    def back_up(self, *stamps: str) -> None:
        for stamp in stamps:
            publish_packed(self.sets, stamp, db=f"database of {stamp}".encode(), media=MEDIA)

    def do(self, state: str = "copied", which: str = "latest", check: bool = False, **more: Any) -> dict[str, Any]:
        return run(Params(state, which, **more), self.sets, self.there, self.clock, check)

    def outcome(self, *arguments: Any, **more: Any) -> list[tuple[str, str]]:
        return [(row["set"], row["status"]) for row in self.do(*arguments, **more)["sets"]]

    def here(self) -> list[str]:
        return [one.manifest.stamp for one in self.sets.listing().sets]


@pytest.fixture
def there() -> FakeRepository:
    return FakeRepository()


@pytest.fixture
def host(tmp_path: Path, there: FakeRepository) -> Host:
    return Host(tmp_path / "backups", there)


def test_the_newest_set_is_copied_once(host: Host) -> None:
    host.back_up(FIRST, SECOND)
    host.there.there = False
    done = host.do()
    (row,) = done["sets"]
    manifest = len(Path(host.sets.directory, f"manifest-{SECOND}.json").read_bytes())
    total = len(MEDIA) + len(f"database of {SECOND}")
    assert row == {
        "set": SECOND,
        "status": "sent",
        "why": "",
        "archives": ["db", "media"],
        "bytes": total,
        "added": total + manifest,
        "seconds": 0.0,
    }
    assert (done["changed"], done["created"], done["repository"]) == (True, True, "memory:shop")
    assert done["summary"].startswith(f"Set {SECOND} of shop in memory:shop: 16 KiB copied, ")
    again = host.do()
    assert (again["changed"], again["created"]) == (False, False)
    assert again["summary"] == f"Nothing to send: Set {SECOND} of shop in memory:shop is there already."
    assert len(host.there.kept) == 3


def test_all_sets_are_caught_up_with_and_unchanged_media_are_sent_once(host: Host) -> None:
    host.back_up(FIRST)
    host.do()
    host.back_up(SECOND, THIRD)
    done = host.do("copied", "all")
    assert [(row["set"], row["status"]) for row in done["sets"]] == [
        (THIRD, "sent"),
        (SECOND, "sent"),
        (FIRST, "there"),
    ]
    assert all(row["added"] < len(MEDIA) for row in done["sets"][:2])
    assert done["summary"].startswith(f"Sets {THIRD}, {SECOND} of shop")
    assert not host.do("copied", "all")["changed"]


def test_one_set_is_copied_by_its_name_or_path(host: Host) -> None:
    host.back_up(FIRST, SECOND, THIRD)
    assert host.outcome("copied", FIRST) == [(FIRST, "sent")]
    assert host.outcome("copied", f"{host.sets.directory}/manifest-{SECOND}.json") == [(SECOND, "sent")]


def test_a_set_of_another_application_is_refused(host: Host, tmp_path: Path) -> None:
    publish_packed(Sets(str(tmp_path / "x"), "blog"), FIRST, db=b"x")
    with pytest.raises(InvalidInput, match=f"Set {FIRST} is of blog, not of shop; name the right app"):
        host.do("copied", str(tmp_path / f"x/manifest-{FIRST}.json"))


@pytest.mark.parametrize("which", ["latest", "all"])
def test_nothing_to_copy_is_a_failure(host: Host, which: str) -> None:
    with pytest.raises(DockerVpsError, match="There is no backup set of shop in"):
        host.do("copied", which)


def test_check_mode_sends_nothing_and_says_what(host: Host) -> None:
    host.back_up(FIRST)
    host.there.there = False
    done = host.do(check=True)
    assert (done["changed"], done["created"], host.there.there) == (True, True, False)
    assert [(row["status"], row["added"]) for row in done["sets"]] == [("sent", 0)]
    assert done["summary"] == f"Set {FIRST} of shop in memory:shop would be sent: 16 KiB before deduplication."
    assert not os.path.exists(f"{host.sets.directory}/{LOCK}")


@pytest.mark.parametrize("state", ["fetched", "listed", "pruned", "checked"])
def test_only_a_copy_makes_a_repository(host: Host, state: str) -> None:
    host.there.there = False
    with pytest.raises(DockerVpsError, match="There is no restic repository at memory:shop.*the first copy makes"):
        host.do(state)


def lost(host: Host, place: Path) -> Host:
    return Host(place / "new", host.there)


def test_sets_come_back_after_the_loss_of_the_host(host: Host, tmp_path: Path) -> None:
    host.back_up(FIRST, SECOND, FUTURE)
    host.do("copied", "all")
    new = lost(host, tmp_path)
    assert new.do("fetched", check=True)["summary"].endswith(f"would be fetched into {new.sets.directory}.")
    assert not os.path.exists(new.sets.directory)
    done = new.do("fetched")
    assert (done["changed"], new.here()) == (True, [SECOND])
    assert done["summary"] == f"Set {SECOND} of shop in memory:shop: 16 KiB fetched into {new.sets.directory}."
    again = new.do("fetched")
    assert not again["changed"]
    assert again["summary"] == f"Nothing to fetch: Set {SECOND} of shop is in {new.sets.directory} already."
    assert new.outcome("fetched", "all") == [(FUTURE, "fetched"), (SECOND, "there"), (FIRST, "fetched")]
    assert new.here() == [FUTURE, SECOND, FIRST]


def test_a_broken_set_is_fetched_again(host: Host) -> None:
    host.back_up(FIRST)
    host.do()
    Path(host.sets.directory, f"media-{FIRST}.tar.gz").write_bytes(b"cut off")
    assert host.outcome("fetched", FIRST) == [(FIRST, "fetched")]
    assert host.outcome("fetched", FIRST) == [(FIRST, "there")]


@pytest.mark.parametrize(
    ("which", "sent", "why"),
    [
        ("latest", (), "no set 'latest' of shop in memory:shop; there are: none"),
        ("all", (), "no set 'all' of shop in memory:shop; there are: none"),
        (THIRD, (SECOND, FIRST), f"no set '{THIRD}' of shop in memory:shop; there are: {SECOND}, {FIRST}"),
    ],
)
def test_what_is_not_there_cannot_be_fetched(host: Host, which: str, sent: tuple[str, ...], why: str) -> None:
    host.back_up(*sent)
    for stamp in sent:
        host.do("copied", stamp)
    with pytest.raises(DockerVpsError, match=why):
        host.do("fetched", which)


def test_a_full_disk_is_noticed_before_the_fetch(host: Host, tmp_path: Path) -> None:
    class Full(Sets):
        def free(self) -> int:
            return 1024

    host.back_up(FIRST)
    host.do()
    new = lost(host, tmp_path)
    new.sets = Full(new.sets.directory, "shop")
    with pytest.raises(DockerVpsError, match="has 1 KiB free, and set 20260129-020000 needs 64 MiB. Remove old sets"):
        new.do("fetched")


def test_what_is_there_is_listed(host: Host) -> None:
    assert host.do("listed")["summary"] == "0 sets of shop in memory:shop."
    host.back_up(FIRST, SECOND)
    host.do("copied", "all")
    done = host.do("listed")
    assert [(row["set"], row["status"], row["archives"]) for row in done["sets"]] == [
        (SECOND, "there", ["db", "media"]),
        (FIRST, "there", ["db", "media"]),
    ]
    assert done["summary"] == f"2 sets of shop in memory:shop: {SECOND}, {FIRST}."
    assert not done["changed"]


def test_a_set_is_pruned_as_a_whole_and_strays_with_it(host: Host) -> None:
    host.back_up(FIRST, SECOND, THIRD)
    host.do("copied", "all")
    host.there.save("db.tar", [b"half"], "shop", host.clock.utc(), ["set=20260128-020000"])
    policy = Policy(last=2, daily=0, weekly=0, monthly=0)
    rehearsed = host.do("pruned", check=True, policy=policy)
    assert (rehearsed["changed"], len(host.there.kept)) == (True, 10)
    assert rehearsed["summary"] == "1 set of shop in memory:shop would be removed, 2 kept."
    done = host.do("pruned", policy=policy)
    assert [(row["set"], row["status"]) for row in done["sets"]] == [
        (THIRD, "kept"),
        (SECOND, "kept"),
        (FIRST, "removed"),
    ]
    assert "last" in done["sets"][0]["why"]
    assert done["summary"] == "1 set of shop in memory:shop removed, 2 kept."
    assert host.there.names() == ["db.tar"] * 2 + ["manifest.json"] * 2 + ["media.tar"] * 2
    assert host.here() == [THIRD, SECOND, FIRST]
    again = host.do("pruned", policy=policy)
    assert (again["changed"], again["summary"]) == (False, "0 sets of shop in memory:shop removed, 2 kept.")


def test_the_repository_is_verified(host: Host) -> None:
    host.back_up(FIRST)
    host.do()
    assert host.do("checked")["summary"] == "1 set of shop in memory:shop: restic read no data, no error."
    assert host.do("checked", read_data="5%")["summary"].endswith("restic read 5% data, no error.")
    assert host.there.checks == ["", "5%"]


@pytest.mark.parametrize(
    ("state", "lock", "what"),
    [
        ("copied", LOCK, "off-site work on the sets of shop"),
        ("pruned", LOCK, "off-site work on the sets of shop"),
        ("fetched", ".lock", "a fetch of a set of shop"),
    ],
)
def test_one_at_a_time(host: Host, state: str, lock: Optional[str], what: str) -> None:
    host.back_up(FIRST)
    host.do()
    with locked(f"{host.sets.directory}/{lock}", "something"), pytest.raises(Locked, match=f"Cannot begin {what}"):
        host.do(state)
    with locked(f"{host.sets.directory}/{lock}", "something"):
        host.do(state, check=True)
        host.do("listed")


def test_a_copy_does_not_keep_a_backup_waiting(host: Host) -> None:
    host.back_up(FIRST)
    with host.sets.lock("a backup"):
        assert host.do()["changed"]


def test_a_set_that_is_damaged_keeps_no_other_one_here(host: Host) -> None:
    host.back_up(FIRST, SECOND)
    archive = next(Path(host.sets.directory).glob(f"db-{SECOND}*"))
    archive.write_bytes(bytes(archive.stat().st_size))
    with pytest.raises(DockerVpsError, match=SECOND):
        host.do("copied", "all")
    assert host.outcome("listed") == [(FIRST, "there")]


def test_a_set_that_has_rotted_here_is_fetched_again(host: Host) -> None:
    host.back_up(FIRST)
    host.do()
    archive = next(Path(host.sets.directory).glob(f"db-{FIRST}*"))
    content = bytearray(archive.read_bytes())
    content[20] ^= 1
    archive.write_bytes(content)
    assert host.outcome("fetched") == [(FIRST, "fetched")]
    assert host.outcome("fetched") == [(FIRST, "there")]


def test_a_set_of_the_database_alone_pushes_no_full_one_out(host: Host) -> None:
    host.back_up(FIRST)
    afternoon = FIRST[:9] + "235900"
    publish_packed(host.sets, afternoon, db=b"x")
    host.do("copied", "all")
    kept = host.outcome("pruned", policy=Policy(daily=1, weekly=0, monthly=0))
    assert kept == [(afternoon, "kept"), (FIRST, "kept")]
