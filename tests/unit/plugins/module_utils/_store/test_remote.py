# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets in a repository: whole or not at all, in both directions."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import BadManifest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.remote import (
    MANIFEST,
    FoundSets,
    Remote,
    fetch,
    fingerprint,
    look,
    plain_bytes,
    send,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.restic import ResticSnapshot
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import FakeRepository, publish_packed
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import SET_ID

HOST = "web1"
LATER = "20260201-020000"
TIME = datetime(2026, 1, 31, 2, tzinfo=timezone.utc)
DATA = {"db": b"tar of the database", "media": b"tar of the media"}


@pytest.fixture
def sets(tmp_path: Path) -> Sets:
    return Sets(str(tmp_path / "backups"), "shop")


@pytest.fixture
def there() -> FakeRepository:
    return FakeRepository()


def only(there: FakeRepository) -> Remote:
    found = look(there, "shop")
    (one,) = found.sets
    assert not found.leftovers
    assert not found.unknown
    return one


def send_one(sets: Sets, there: FakeRepository, set_id: str = SET_ID) -> BackupSet:
    one = publish_packed(sets, set_id, **DATA)
    send(one, there, "shop", HOST)
    return one


def files(sets: Sets) -> list[str]:
    return sorted(name for name in os.listdir(sets.directory) if not name.startswith(".lock"))


def test_a_set_is_sent_unpacked_at_its_own_time_and_its_manifest_last(sets: Sets, there: FakeRepository) -> None:
    one = publish_packed(sets, **DATA)
    added = send(one, there, "shop", HOST)
    kept = list(there.kept.values())
    assert [(snapshot.name, data) for snapshot, data, _unused in kept[:2]] == [
        ("db.tar", DATA["db"]),
        ("media.tar", DATA["media"]),
    ]
    assert kept[2][0].name == MANIFEST
    assert kept[2][1] == Path(sets.directory, f"manifest-{SET_ID}.json").read_bytes()
    assert {time for _unused, _unused, time in kept} == {datetime(2026, 1, 31, 2, tzinfo=timezone.utc)}
    assert added == plain_bytes(one) + len(kept[2][1]) == sum(map(len, DATA.values())) + len(kept[2][1])
    assert {snapshot.host for snapshot, _unused, _unused in kept} == {HOST}
    *common, copy = kept[0][0].tags
    assert (common, copy[:5], len(copy)) == (["app=shop", f"set={SET_ID}"], "copy=", 21)
    assert kept[2][0].tags[:3] == (*common, copy)
    assert kept[2][0].tags[3:] == (
        "bytes=35",
        f"facts={fingerprint(one.manifest)}",
        "part=db",
        "part=media",
        "consistency=online",
    )


def test_what_is_there_is_found_as_sets_newest_first(sets: Sets, there: FakeRepository) -> None:
    for set_id in (LATER, SET_ID):
        send_one(sets, there, set_id)
    found = look(there, "shop")
    assert [(one.host, one.id, sorted(one.archives), one.bytes) for one in found.sets] == [
        (HOST, LATER, ["db", "media"], 35),
        (HOST, SET_ID, ["db", "media"], 35),
    ]
    assert sorted(one.name for one in found.sets[0].snapshots) == ["db.tar", MANIFEST, "media.tar"]
    assert look(there, "other") == FoundSets([], [], [])


def test_what_was_cut_off_or_half_removed_is_a_leftover(sets: Sets, there: FakeRepository) -> None:
    there.save("db.tar", [b"tar of"], HOST, TIME, ["app=shop", f"set={SET_ID}", "copy=01"])
    (left,) = look(there, "shop").leftovers
    assert (left.host, left.id, [one.name for one in left.snapshots]) == (HOST, SET_ID, ["db.tar"])
    send_one(sets, there)
    found = look(there, "shop")
    assert (len(found.sets), found.leftovers, found.unknown) == (1, [left], [])
    there.forget([found.sets[0].archives["media"]])
    found = look(there, "shop")
    assert not found.sets
    assert [sorted(one.name for one in left.snapshots) for left in found.leftovers] == [
        ["db.tar"],
        ["db.tar", MANIFEST],
    ]


def test_what_others_keep_in_the_repository_is_none_of_ours(sets: Sets, there: FakeRepository) -> None:
    there.save("theirs.sql", [b"of somebody else"], HOST, TIME, [])
    there.save("theirs.tar", [b"of somebody else"], HOST, TIME, ["daily"])
    there.save("", [b"a whole folder"], HOST, TIME, ["app=shop"])
    there.change(only="theirs.sql", add=["keep"])
    there.save("db.tar", [b"another application"], HOST, TIME, ["app=blog", f"set={SET_ID}", "copy=01"])
    assert look(there, "shop") == FoundSets([], [], [])


def test_sets_of_two_hosts_in_the_same_second_are_two(sets: Sets, there: FakeRepository) -> None:
    one = publish_packed(sets, **DATA)
    send(one, there, "shop", HOST)
    send(one, there, "shop", "web2")
    assert [(each.host, each.id, len(each.snapshots)) for each in look(there, "shop").sets] == [
        ("web2", SET_ID, 3),
        (HOST, SET_ID, 3),
    ]


CHANGES = {
    "tag --add": lambda there: there.change(add=["by=hand"]),
    "tag --add to one": lambda there: there.change(only="db.tar", add=["by=hand"]),
    "tag, then rewrite": lambda there: (there.change(add=["by=hand"]), there.change()),
    "rewrite without --forget": lambda there: there.copy_to(there),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_set_whose_snapshots_have_new_ids_is_the_same_set(
    sets: Sets, there: FakeRepository, tmp_path: Path, change: Callable[[FakeRepository], object]
) -> None:
    send_one(sets, there)
    before = only(there)
    change(there)
    after = only(there)
    assert (after.id, after.facts, sorted(after.archives)) == (SET_ID, before.facts, ["db", "media"])
    assert {one.id for one in after.snapshots} == set(there.kept)
    new = Sets(str(tmp_path / "new"), "shop")
    new.prepare()
    fetch(after, there, new)
    assert not new.listing().sets[0].absent()


def test_copies_of_a_repository_are_found(sets: Sets, there: FakeRepository) -> None:
    send_one(sets, there)
    other = FakeRepository()
    there.copy_to(other)
    assert sorted(only(other).archives) == ["db", "media"]
    send(sets.listing().sets[0], other, "shop", HOST)  # and the same set once more
    assert {one.id for one in only(other).snapshots} == set(other.kept)


@pytest.mark.parametrize("file", [MANIFEST, "db.tar"])
@pytest.mark.parametrize(
    "changes",
    [
        {"tags": ()},
        {"tags": ("app=shop",)},
        {"tags": ("app=shop", f"set={SET_ID}", f"set={LATER}", "copy=01")},
        {"tags": ("app=shop", "set=yesterday", "copy=01")},
        {"tags": ("app=shop", f"set={SET_ID}", "copy=01", "bytes=-1", "facts=ab", "part=db")},
        {"host": "web2"},
    ],
    ids=lambda changes: " ".join(changes.get("tags", ["another host"])) or "no tags",
)
def test_what_somebody_has_changed_is_not_understood(
    sets: Sets, there: FakeRepository, file: str, changes: Mapping[str, Any]
) -> None:
    send_one(sets, there)
    there.change(only=file, **changes)
    found = look(there, "shop")
    assert not found.sets
    assert file in {one.name for one in found.unknown}
    assert sum(len(left.snapshots) for left in found.leftovers) + len(found.unknown) == 3


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "is damaged, so set 20260131-020000 was not sent"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "is damaged, so .* ends too early"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:4] + b"1234" + path.read_bytes()[8:]),
            "is damaged, so .* Its sha256 is not that of the manifest",
        ),
        (lambda path: path.unlink(), "cannot be read: No such file or directory, so nothing of set"),
    ],
    ids=["longer", "shorter", "another-time", "gone"],
)
def test_a_damaged_set_is_not_sent(sets: Sets, there: FakeRepository, spoil: object, why: str) -> None:
    one = publish_packed(sets, **DATA)
    spoil(Path(one.path(one.manifest.archives[1])))  # type: ignore[operator]
    with pytest.raises(DockerVpsError, match=f"media-{SET_ID}.tar.gz {why}.* Make a new backup"):
        send(one, there, "shop", HOST)
    assert MANIFEST not in there.names()
    assert look(there, "shop").sets == []


def test_a_set_that_is_pruned_while_it_is_sent_is_sent_whole(sets: Sets) -> None:
    class Slow(FakeRepository):
        def save(self, name, blocks, host, time, tags):  # type: ignore[no-untyped-def]
            if name == "db.tar":
                sets.remove([one])
            return super().save(name, blocks, host, time, tags)

    there = Slow()
    one = publish_packed(sets, **DATA)
    send(one, there, "shop", HOST)
    assert there.names() == ["db.tar", MANIFEST, "media.tar"]


def test_a_set_comes_back_as_any_other(sets: Sets, there: FakeRepository, tmp_path: Path) -> None:
    sent = send_one(sets, there)
    new = Sets(str(tmp_path / "new"), "shop")
    new.prepare()
    fetched = fetch(only(there), there, new)
    assert files(new) == [f"db-{SET_ID}.tar", f"manifest-{SET_ID}.json", f"media-{SET_ID}.tar"]
    (one,) = new.listing().sets
    assert one == fetched
    assert not one.absent()
    for archive, before in zip(one.manifest.archives, sent.manifest.archives):
        data = Path(one.path(archive)).read_bytes()
        assert data == DATA[archive.name]
        assert os.stat(one.path(archive)).st_mode & 0o777 == 0o600
        assert (archive.sha256, archive.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        assert (archive.volume, archive.databases, archive.labels) == (before.volume, before.databases, before.labels)
    assert one.manifest.release == sent.manifest.release


def test_it_takes_the_place_of_a_broken_one(sets: Sets, there: FakeRepository) -> None:
    sent = send_one(sets, there)
    Path(sent.path(sent.manifest.archives[0])).unlink()
    fetch(only(there), there, sets)
    assert files(sets) == [f"db-{SET_ID}.tar", f"manifest-{SET_ID}.json", f"media-{SET_ID}.tar"]
    # A set that came back can be sent elsewhere, and come back from there, too.
    other = FakeRepository()
    send(sets.listing().sets[0], other, "shop", HOST)
    fetch(only(other), other, sets)
    assert not sets.listing().sets[0].absent()


def test_what_a_killed_fetch_left_is_thrown_away(sets: Sets, there: FakeRepository) -> None:
    send_one(sets, there)
    left = Path(sets.begin(f"{SET_ID}-fetched", ".restore-"))
    (left / f"db-{SET_ID}.tar").write_bytes(b"half")
    fetch(only(there), there, sets)
    assert sets.leftovers() == []


class Lossy(FakeRepository):
    """Loses the end of the archive media."""

    def load(self, snapshot: ResticSnapshot) -> Iterator[bytes]:
        if snapshot.name == "media.tar":
            return iter([b"tar of"])
        return super().load(snapshot)


def test_a_fetch_that_fails_leaves_all_as_it_was(sets: Sets) -> None:
    there = Lossy()
    sent = send_one(sets, there)
    Path(sets.directory, f"manifest-{SET_ID}.json").unlink()
    with pytest.raises(
        DockerVpsError, match=r"archive media of set 20260131-020000 in memory:shop does not have the 16 bytes"
    ):
        fetch(only(there), there, sets)
    assert files(sets) == [archive.file for archive in sent.manifest.archives]


def test_an_archive_that_is_longer_than_its_manifest_says_fills_no_disk(sets: Sets, there: FakeRepository) -> None:
    read = 0

    def endless(_snapshot: ResticSnapshot) -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield bytes(10)

    send_one(sets, there)
    one = only(there)

    class Endless(FakeRepository):
        def load(self, snapshot: ResticSnapshot) -> Iterator[bytes]:
            return super().load(snapshot) if snapshot.name == MANIFEST else endless(snapshot)

    bomb = Endless()
    bomb.kept = there.kept
    with pytest.raises(DockerVpsError, match="does not have the 19 bytes that its manifest says"):
        fetch(one, bomb, sets)
    assert read == 2


def test_an_endless_manifest_is_read_to_its_bound(sets: Sets, there: FakeRepository) -> None:
    send_one(sets, there)
    one, read = only(there), 0

    class Endless(FakeRepository):
        def load(self, snapshot: ResticSnapshot) -> Iterator[bytes]:
            nonlocal read
            while True:
                read += 1
                yield bytes(1 << 20)

    with pytest.raises(
        DockerVpsError, match=f"^The manifest of set {SET_ID} in memory:shop has more than 33554432 bytes"
    ):
        fetch(one, Endless(), sets)
    assert read == 33
    assert sets.leftovers() == []


def test_a_manifest_is_not_believed(sets: Sets, there: FakeRepository) -> None:
    send_one(sets, there)
    one = only(there)
    snapshot, data, time = there.kept[one.manifest.id]
    there.kept[one.manifest.id] = (snapshot, b"{}", time)
    with pytest.raises(BadManifest, match=f"manifest-{SET_ID}.json is not the manifest"):
        fetch(one, there, sets)
    given = json.loads(data)
    del given["archives"][0]
    there.kept[one.manifest.id] = (snapshot, json.dumps(given).encode(), time)
    with pytest.raises(DockerVpsError, match="is not what its manifest describes"):
        fetch(one, there, sets)
    assert sets.leftovers() == []
