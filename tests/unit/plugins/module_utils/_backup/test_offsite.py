# SPDX-License-Identifier: GPL-3.0-or-later
"""Off-site copies: what is sent, fetched and removed, and what is only said in check mode."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import offsite_info, prune
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.offsite import LOCK, Params, run
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import LARGEST
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.retention import Policy
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked, locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.restic import ResticSnapshot
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import FakeWallClock
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import FakeRepository, publish_packed

FIRST, SECOND, THIRD = "20260129-020000", "20260130-020000", "20260131-020000"
FUTURE = "20990101-000000"
MANIFEST_TAGS = ("bytes=1", "facts=ab", "part=db", "part=media")
MEDIA = bytes(range(256)) * 64


class Host:
    """A directory of sets, and runs on it."""

    def __init__(self, place: Path, there: FakeRepository, name: str = "web1") -> None:
        self.there, self.clock, self.name = there, FakeWallClock(), name
        self.sets = Sets(str(place), "shop")

    def back_up(self, *set_ids: str) -> None:
        for set_id in set_ids:
            publish_packed(self.sets, set_id, db=f"database of {set_id}".encode(), media=MEDIA)

    def do(self, state: str = "copied", which: str = "latest", check: bool = False, **more: Any) -> dict[str, Any]:
        return run(Params(state, which, host=self.name, **more), self.sets, self.there, self.clock, check)

    def info(self, **more: Any) -> dict[str, Any]:
        return offsite_info.run(offsite_info.Params(self.sets.app, self.name, **more), self.there)

    def listed(self) -> list[str]:
        return [row["set"] for row in self.info()["sets"]]

    def outcome(self, *arguments: Any, **more: Any) -> list[tuple[str, str]]:
        return [(row["set"], row["status"]) for row in self.do(*arguments, **more)["sets"]]

    def here(self) -> list[str]:
        return [one.manifest.id for one in self.sets.listing().sets]


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
    assert done["summary"].startswith(f"Set {SECOND} of shop on web1 in memory:shop: 16 KiB copied, ")
    again = host.do()
    assert (again["changed"], again["created"]) == (False, False)
    assert again["summary"] == f"Nothing to send: Set {SECOND} of shop on web1 in memory:shop is there already."
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
    again = host.do("copied", "all")
    assert not again["changed"]
    all_ = f"Sets {THIRD}, {SECOND}, {FIRST} of shop on web1 in memory:shop"
    assert again["summary"] == f"Nothing to send: {all_} are there already."


def test_what_a_removal_would_take_away_at_once_is_not_sent(host: Host, tmp_path: Path) -> None:
    """The oldest set in a young directory is kept for being that, and off-site there are older ones."""
    day = [f"{host.clock.utc() - timedelta(days=number):%Y%m%d}-010000" for number in range(41)]
    host.back_up(*day[12:])
    host.do("copied", "all")
    host.do("pruned")
    young = Host(tmp_path / "young", host.there)
    young.back_up(*day[:12])
    prune.run(prune.Params(Policy()), young.sets, lambda: None, young.clock, False)  # type: ignore[arg-type,return-value]
    assert day[11] in young.here()
    done = young.do("copied", "all", only_kept=True)
    assert (done["sets"][-1]["set"], done["sets"][-1]["status"]) == (day[11], "left out")
    assert done["sets"][-1]["why"].startswith("no rule keeps it: daily has its 7 days, the week ")
    assert done["summary"].endswith(f" of it new. Set {day[11]} stays here only: it would be removed there at once.")
    sent = {row["set"] for row in done["sets"] if row["status"] == "sent"}
    assert len(sent) == len(young.here()) - 1
    gone = {row["set"] for row in young.do("pruned")["sets"] if row["status"] == "removed"}
    assert gone
    assert not gone & sent
    again = young.do("copied", "all", only_kept=True)
    assert not again["changed"]
    assert again["summary"].endswith(f"are there already.{done['summary'].partition('of it new.')[2]}")
    assert not young.do("pruned")["changed"]
    assert young.outcome("copied", day[11], only_kept=True) == [(day[11], "sent")]
    young.do("pruned")
    assert (day[11], "sent") in young.outcome("copied", "all")


def test_what_is_held_or_not_whole_is_not_left_out(host: Host) -> None:
    host.back_up(FIRST, SECOND, THIRD)
    host.do("copied", THIRD)
    last = host.sets.find(THIRD, host.clock.utc()).manifest
    host.sets.record(replace(last, losses=("Gone.",), lost_since=(FIRST,)))
    done = host.do("copied", "all", policy=ONE, only_kept=True)
    assert [row["status"] for row in done["sets"]] == ["there", "left out", "sent"]
    os.unlink(f"{host.sets.directory}/db-{SECOND}.tar.gz")
    with pytest.raises(DockerVpsError, match=f"db-{SECOND}.tar.gz cannot be read"):
        host.do("copied", "all", policy=ONE, only_kept=True)


def test_nothing_is_sent_where_all_is_left_out(host: Host) -> None:
    host.back_up(THIRD)
    host.do()
    for path in Path(host.sets.directory).glob(f"*{THIRD}*"):
        path.unlink()
    host.back_up(FIRST, SECOND)
    done = host.do("copied", "all", policy=ONE, only_kept=True)
    assert done["summary"] == (
        f"Nothing to send. Sets {SECOND}, {FIRST} stay here only: they would be removed there at once."
    )


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
    assert done["summary"] == f"Set {FIRST} of shop on web1 in memory:shop would be sent: 16 KiB before deduplication."
    assert not os.path.exists(f"{host.sets.directory}/{LOCK}")


@pytest.mark.parametrize("state", ["fetched", "pruned"])
def test_only_a_copy_makes_a_repository(host: Host, state: str) -> None:
    host.there.there = False
    with pytest.raises(DockerVpsError, match="There is no restic repository at memory:shop.*the first copy makes"):
        host.do(state)
    with pytest.raises(DockerVpsError, match="There is no restic repository at memory:shop"):
        host.info()


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
    assert done["summary"] == f"Set {SECOND} of shop on web1 in memory:shop: 16 KiB fetched into {new.sets.directory}."
    again = new.do("fetched")
    assert not again["changed"]
    assert again["summary"] == f"Nothing to fetch: Set {SECOND} of shop is in {new.sets.directory} already."
    assert new.outcome("fetched", "all") == [(FUTURE, "fetched"), (SECOND, "there"), (FIRST, "fetched")]
    message = f"Nothing to fetch: Sets {FUTURE}, {SECOND}, {FIRST} of shop are in {new.sets.directory} already."
    assert new.do("fetched", "all")["summary"] == message
    assert new.here() == [FUTURE, SECOND, FIRST]


def test_the_latest_is_the_last_made_whatever_the_clock_said(host: Host, tmp_path: Path) -> None:
    host.back_up(SECOND)
    publish_packed(host.sets, FIRST, after=SECOND, db=b"made when the clock was right again", media=MEDIA)
    publish_packed(host.sets, THIRD, consistency="imported", db=b"a database from elsewhere")
    host.do("copied", "all")
    new = lost(host, tmp_path)
    assert new.outcome("fetched") == [(FIRST, "fetched")]
    assert new.listed() == [THIRD, FIRST, SECOND]


def test_a_broken_set_is_fetched_again(host: Host) -> None:
    host.back_up(FIRST)
    host.do()
    Path(host.sets.directory, f"media-{FIRST}.tar.gz").write_bytes(b"cut off")
    assert host.outcome("fetched", FIRST) == [(FIRST, "fetched")]
    assert host.outcome("fetched", FIRST) == [(FIRST, "there")]


@pytest.mark.parametrize(
    ("which", "sent", "why"),
    [
        ("latest", (), "no set 'latest' of shop on web1 in memory:shop; there are: none"),
        ("all", (), "no set 'all' of shop on web1 in memory:shop; there are: none"),
        (THIRD, (SECOND, FIRST), f"no set '{THIRD}' of shop on web1 in memory:shop; there are: {SECOND}, {FIRST}"),
    ],
)
def test_what_is_not_there_cannot_be_fetched(host: Host, which: str, sent: tuple[str, ...], why: str) -> None:
    host.back_up(*sent)
    for set_id in sent:
        host.do("copied", set_id)
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
    for check in (True, False):
        with pytest.raises(DockerVpsError, match=f"has 1 KiB free, and set {FIRST} needs 64 MiB. Remove old sets"):
            new.do("fetched", check=check)
    host.back_up(SECOND)
    host.do("copied", "all")
    with pytest.raises(DockerVpsError, match=f"has 1 KiB free, and sets {SECOND}, {FIRST} need 64 MiB. Remove old"):
        new.do("fetched", "all", check=True)


def test_room_is_looked_for_where_the_directory_will_be(host: Host, tmp_path: Path) -> None:
    new = Sets(str(tmp_path / "not/yet/made"), "shop")
    facts = os.statvfs(tmp_path)
    assert new.free() == pytest.approx(facts.f_bavail * facts.f_frsize, rel=0.1)
    assert not os.path.exists(tmp_path / "not")


@pytest.mark.parametrize("manifest", [b"{}", bytes(LARGEST + 1)])
def test_one_prepared_manifest_stops_no_other_set(host: Host, tmp_path: Path, manifest: bytes) -> None:
    host.back_up(FIRST, SECOND, THIRD)
    host.do("copied", "all")
    for one, _data, at in list(host.there.kept.values()):
        if one.name == "manifest.json" and f"set={SECOND}" in one.tags:
            host.there.kept[one.id] = (one, manifest, at)
    new = lost(host, tmp_path)
    with pytest.raises(DockerVpsError, match=SECOND) as caught:
        new.do("fetched", "all")
    assert FIRST not in caught.value.message
    assert new.here() == [THIRD, FIRST]


def test_the_same_failure_of_all_is_told_once(host: Host, tmp_path: Path) -> None:
    class Away(FakeRepository):
        def load(self, snapshot: ResticSnapshot) -> Iterator[bytes]:
            raise DockerVpsError("restic cannot read it: the server is away. Try again.")

    host.back_up(FIRST, SECOND)
    host.do("copied", "all")
    away, new = Away(), lost(host, tmp_path)
    away.kept, new.there = host.there.kept, away
    with pytest.raises(DockerVpsError, match=r"^restic cannot read it: the server is away\. Try again\.$"):
        new.do("fetched", "all")


def test_the_clock_was_put_back(host: Host, tmp_path: Path) -> None:
    host.back_up(FUTURE)
    host.do("copied", "all")
    with pytest.raises(DockerVpsError, match=rf"Every set of shop on web1 .* is dated later than now.*: {FUTURE}\."):
        lost(host, tmp_path).do("fetched")


ONE = Policy(last=1, daily=0, weekly=0, monthly=0)


def half(host: Host, set_id: str = "20260128-020000") -> None:
    """Leave what a copy that is killed leaves."""
    host.there.save("db.tar", [b"half"], host.name, host.clock.utc(), ["app=shop", f"set={set_id}", "copy=01"])


def test_a_set_is_pruned_as_a_whole_and_what_a_killed_copy_left_with_it(host: Host) -> None:
    host.back_up(FIRST, SECOND, THIRD)
    host.do("copied", "all")
    half(host)
    policy = Policy(last=2, daily=0, weekly=0, monthly=0)
    dry_run = host.do("pruned", check=True, policy=policy)
    assert (dry_run["changed"], len(host.there.kept)) == (True, 10)
    assert dry_run["summary"] == "1 set of shop on web1 in memory:shop would be removed, 2 kept."
    done = host.do("pruned", policy=policy)
    assert [(row["set"], row["status"]) for row in done["sets"]] == [
        (THIRD, "kept"),
        (SECOND, "kept"),
        (FIRST, "removed"),
    ]
    assert "last" in done["sets"][0]["why"]
    assert done["summary"] == "1 set of shop on web1 in memory:shop removed, 2 kept."
    assert host.there.names() == ["db.tar"] * 2 + ["manifest.json"] * 2 + ["media.tar"] * 2
    assert host.here() == [THIRD, SECOND, FIRST]
    assert host.there.prunes == 1
    again = host.do("pruned", policy=policy)
    assert (again["changed"], again["summary"]) == (False, "0 sets of shop on web1 in memory:shop removed, 2 kept.")
    assert host.there.prunes == 1


def test_what_a_killed_removal_left_goes_with_the_next(host: Host) -> None:
    host.back_up(FIRST, SECOND)
    host.do("copied", "all")
    oldest = next(one for one, _unused, _unused in host.there.kept.values() if f"set={FIRST}" in one.tags)
    host.there.forget([oldest])
    assert host.do("pruned", policy=ONE)["changed"]
    assert len(host.there.kept) == 3


@pytest.mark.parametrize("how", ["tagged", "copied to another repository"])
def test_new_ids_lose_no_set(host: Host, how: str) -> None:
    host.back_up(FIRST, SECOND)
    host.do("copied", "all")
    if how == "tagged":
        host.there.change(add=["keep=this"])
    else:
        host.there, before = FakeRepository(), host.there
        before.copy_to(host.there)
    assert host.listed() == [SECOND, FIRST]
    assert host.outcome("pruned", policy=Policy(last=2)) == [(SECOND, "kept"), (FIRST, "kept")]
    assert len(host.there.kept) == 6
    assert host.outcome("copied", "all") == [(SECOND, "there"), (FIRST, "there")]
    assert host.outcome("pruned", policy=ONE) == [(SECOND, "kept"), (FIRST, "removed")]
    assert len(host.there.kept) == 3


@pytest.mark.parametrize("only", ["", "manifest.json", "db.tar"])
def test_nothing_is_removed_where_no_set_is_whole(host: Host, only: str) -> None:
    host.back_up(FIRST, SECOND)
    host.do("copied", "all")
    host.there.change(only=only, tags=("by=hand",))
    for check in (True, False):
        with pytest.raises(
            DockerVpsError, match="Nothing of shop on web1 .* no whole set, but 6 snapshots may be of one"
        ):
            host.do("pruned", policy=ONE, check=check)
    assert len(host.there.kept) == 6
    info = host.info()
    assert info["sets"] == []
    count = 6 if not only else 2
    assert info["unknown"] == count
    assert f" {count} snapshots there may be of sets of shop and make no whole one" in info["summary"]


def test_what_is_not_understood_stays_beside_what_is_removed(host: Host) -> None:
    host.back_up(FIRST)
    host.do("copied", "all")
    host.there.change(only="manifest.json", tags=("by=hand",))  # so the parts of FIRST look like a killed copy's
    host.back_up(SECOND, THIRD)
    for set_id in (SECOND, THIRD):
        host.do("copied", set_id)
    done = host.do("pruned", policy=ONE)
    assert [(row["set"], row["status"]) for row in done["sets"]] == [(THIRD, "kept"), (SECOND, "removed")]
    assert "1 snapshot there may be of sets of shop" in done["summary"]
    assert host.there.names() == ["db.tar"] * 2 + ["manifest.json"] * 2 + ["media.tar"] * 2
    # Sent once more, the set is whole, and its loose parts are of no use.
    assert host.outcome("copied", FIRST) == [(FIRST, "sent")]
    host.do("pruned", policy=Policy(last=2))
    assert host.there.names() == ["db.tar"] * 2 + ["manifest.json"] * 3 + ["media.tar"] * 2


def test_a_killed_copy_alone_is_not_removed(host: Host) -> None:
    half(host)
    with pytest.raises(DockerVpsError, match="no whole set, but 1 snapshot may be of one. .*copy a set before"):
        host.do("pruned")
    host.back_up(FIRST)
    host.do()
    assert host.do("pruned")["changed"]
    assert host.there.names() == ["db.tar", "manifest.json", "media.tar"]


@pytest.mark.parametrize(
    ("why", "step"),
    [
        (
            "unexpected HTTP response (403): 403 Forbidden",
            "as an append-only server does: set ⟦setting backup_offsite_prune false⟧",
        ),
        ("client.RemoveObject: Access Denied.", "or prune on the server"),
        ("connection reset by peer", "Correct what this host may do there"),
    ],
)
def test_a_storage_that_removes_nothing_is_noticed_and_no_data_removed(host: Host, why: str, step: str) -> None:
    host.back_up(FIRST, SECOND)
    host.do("copied", "all")
    host.there.refuses = why
    with pytest.raises(DockerVpsError) as caught:
        host.do("pruned", policy=ONE)
    assert "Of 3 snapshots of shop on web1 in memory:shop that no rule keeps, 3 are still there" in caught.value.message
    assert f"({why}), so no data was removed. " in caught.value.message
    assert step in caught.value.message
    assert host.there.prunes == 0
    assert len(host.listed()) == 2


@pytest.fixture
def two(host: Host, tmp_path: Path) -> Host:
    """Another host with the same application and the same repository."""
    return Host(tmp_path / "two", host.there, "web2")


def test_hosts_do_not_meet_in_a_repository(host: Host, two: Host) -> None:
    host.back_up(FIRST)
    host.do("copied", "all")
    publish_packed(two.sets, FIRST, db=b"of web2", media=b"")
    two.back_up(SECOND, THIRD)
    assert two.outcome("copied", "all") == [(THIRD, "sent"), (SECOND, "sent"), (FIRST, "sent")]
    assert two.outcome("pruned", policy=ONE) == [(THIRD, "kept"), (SECOND, "removed"), (FIRST, "removed")]
    assert host.outcome("pruned", policy=ONE) == [(FIRST, "kept")]
    done = host.info()
    assert (done["host"], done["hosts"]) == ("web1", {"web1": 1, "web2": 1})
    assert done["summary"] == (
        f"1 set of shop on web1 in memory:shop: {FIRST}. Of other hosts there are: web2 (1); "
        "⟦setting backup_offsite_host⟧ says whose sets are meant."
    )


def test_a_new_host_takes_no_others_sets_unless_told(host: Host, two: Host) -> None:
    host.back_up(FIRST)
    host.do()
    for which in ("latest", "all", FIRST):
        with pytest.raises(
            DockerVpsError, match=r"no set .* of shop on web2 .*there are: none. Of other hosts.* web1 .1."
        ):
            two.do("fetched", which)
    two.name = "web1"  # docker_vps_backup_offsite_host
    assert two.outcome("fetched") == [(FIRST, "fetched")]
    two.name = "web2"  # and from then on these are its own sets
    assert two.outcome("copied", "all") == [(FIRST, "sent")]


def test_a_set_is_not_taken_for_another_one_of_the_same_second(host: Host, two: Host) -> None:
    host.back_up(FIRST)
    host.do()
    publish_packed(two.sets, FIRST, db=b"of web2", media=b"")
    before = {path.name: path.read_bytes() for path in Path(two.sets.directory).glob("[!.]*")}
    two.name = "web1"
    for state, why in (("copied", "Two hosts work under one name"), ("fetched", "or fetch into another directory")):
        with pytest.raises(DockerVpsError, match=f"Set {FIRST} of shop on web1 .* is another one than .*{why}"):
            two.do(state, "all")
    assert {path.name: path.read_bytes() for path in Path(two.sets.directory).glob("[!.]*")} == before
    assert len(host.there.kept) == 3


def test_a_mix_of_two_hosts_is_refused(host: Host, two: Host) -> None:
    host.back_up(FIRST, SECOND)
    host.do("copied", "all")
    publish_packed(two.sets, FIRST, db=b"of web2", media=b"")
    two.do()
    for one, data, at in list(host.there.kept.values()):
        host.there.kept[one.id] = (replace(one, host="web1"), data, at)
    for state, which in (("pruned", "latest"), ("fetched", "all"), ("fetched", FIRST)):
        with pytest.raises(DockerVpsError, match=f"different sets {FIRST} of shop on web1 .*restic rewrite --new-host"):
            host.do(state, which, policy=ONE)
    assert len(host.there.kept) == 9
    assert host.listed() == [SECOND, FIRST, FIRST]


def test_a_host_is_named_by_itself_when_nobody_names_it(host: Host) -> None:
    host.name = ""
    host.back_up(FIRST)
    assert host.do()["host"] == socket.gethostname()


def test_thousands_of_sets_are_handled_in_a_moment(host: Host) -> None:
    day = datetime(2010, 1, 1, tzinfo=timezone.utc)
    for number in range(5000):
        set_id = f"{day + timedelta(days=number):%Y%m%d-%H%M%S}"
        tags = ("app=shop", f"set={set_id}", f"copy={number}")
        for name, more in (("db.tar", ()), ("media.tar", ()), ("manifest.json", MANIFEST_TAGS)):
            one = ResticSnapshot(f"{name} {number}", name, "web1", (*tags, *more))
            host.there.kept[one.id] = (one, b"", day)
    began = time.process_time()
    assert len(host.do("pruned", policy=ONE)["sets"]) == 5000
    assert time.process_time() - began < 5
    assert len(host.there.kept) == 3


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
        host.info()


def test_a_copy_does_not_keep_a_backup_waiting(host: Host) -> None:
    host.back_up(FIRST)
    with host.sets.lock("a backup"):
        assert host.do()["changed"]


def test_a_repository_that_somebody_else_has_locked_is_worth_waiting_for(host: Host) -> None:
    class Busy(FakeRepository):
        def save(self, *_unused: Any) -> int:
            raise Locked("restic cannot write to memory:shop: repository is already locked by PID 7 on web2.")

    host.there = Busy()
    host.back_up(FIRST, SECOND)
    with pytest.raises(Locked, match=r"^restic cannot write .* already locked by PID 7 on web2\.$"):
        host.do("copied", "all")


def test_a_set_that_is_damaged_keeps_no_other_one_here(host: Host) -> None:
    host.back_up(FIRST, SECOND)
    archive = next(Path(host.sets.directory).glob(f"db-{SECOND}*"))
    archive.write_bytes(bytes(archive.stat().st_size))
    with pytest.raises(DockerVpsError, match=SECOND):
        host.do("copied", "all")
    assert host.listed() == [FIRST]


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


def test_the_copy_of_the_last_set_before_a_loss_stays(host: Host) -> None:
    host.back_up(FIRST, SECOND, THIRD)
    host.do("copied", "all")
    last = host.sets.find(THIRD, host.clock.utc()).manifest
    host.sets.record(replace(last, losses=("Gone.",), lost_since=(FIRST,)))
    policy = Policy(last=1, daily=0, weekly=0, monthly=0)
    done = host.do("pruned", policy=policy)
    assert [(row["set"], row["status"]) for row in done["sets"]] == [
        (THIRD, "kept"),
        (SECOND, "removed"),
        (FIRST, "kept"),
    ]
    assert done["sets"][2]["why"] == f"the last before a loss that set {THIRD} tells of"
