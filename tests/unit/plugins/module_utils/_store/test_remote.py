# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets in a repository: whole or not at all, in both directions."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.catalog import BadManifest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.remote import (
    MANIFEST,
    Remote,
    fetch,
    plain_bytes,
    send,
    sets_in,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.restic import Snapshot
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_repository import FakeRepository, publish_packed
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import STAMP

LATER = "20260201-020000"
DATA = {"db": b"tar of the database", "media": b"tar of the media"}


@pytest.fixture
def sets(tmp_path: Path) -> Sets:
    return Sets(str(tmp_path / "backups"), "shop")


@pytest.fixture
def there() -> FakeRepository:
    return FakeRepository()


def only(there: FakeRepository) -> Remote:
    (one,), strays = sets_in(there, "shop")
    assert not strays
    return one


def send_one(sets: Sets, there: FakeRepository, stamp: str = STAMP) -> BackupSet:
    one = publish_packed(sets, stamp, **DATA)
    send(one, there, "shop")
    return one


def files(sets: Sets) -> list[str]:
    return sorted(name for name in os.listdir(sets.directory) if not name.startswith(".lock"))


def test_a_set_is_sent_unpacked_at_its_own_time_and_its_manifest_last(sets: Sets, there: FakeRepository) -> None:
    one = publish_packed(sets, **DATA)
    added = send(one, there, "shop")
    kept = list(there.kept.values())
    assert [(snapshot.name, data) for snapshot, data, _unused in kept[:2]] == [
        ("db.tar", DATA["db"]),
        ("media.tar", DATA["media"]),
    ]
    assert kept[2][0].name == MANIFEST
    assert kept[2][1] == Path(sets.directory, f"manifest-{STAMP}.json").read_bytes()
    assert {time for _unused, _unused, time in kept} == {datetime(2026, 1, 31, 2, tzinfo=timezone.utc)}
    assert added == plain_bytes(one) + len(kept[2][1]) == sum(map(len, DATA.values())) + len(kept[2][1])
    assert kept[0][0].tags == ("app=shop", f"set={STAMP}")


def test_what_is_there_is_found_as_sets_newest_first(sets: Sets, there: FakeRepository) -> None:
    for stamp in (LATER, STAMP):
        send_one(sets, there, stamp)
    found, strays = sets_in(there, "shop")
    assert [(one.stamp, sorted(one.archives), one.bytes) for one in found] == [
        (LATER, ["db", "media"], 35),
        (STAMP, ["db", "media"], 35),
    ]
    assert strays == []
    assert sorted(one.name for one in found[0].snapshots) == ["db.tar", MANIFEST, "media.tar"]
    assert sets_in(there, "other") == ([], [])


def test_what_belongs_to_no_whole_set_is_a_stray(sets: Sets, there: FakeRepository) -> None:
    time = datetime(2026, 1, 31, 2, tzinfo=timezone.utc)
    cut_off = there.save("db.tar", [b"tar of"], "shop", time, [f"set={STAMP}"])
    assert [one.name for one in sets_in(there, "shop")[1]] == ["db.tar"]
    send_one(sets, there)
    there.save("theirs.sql", [b"of somebody else"], "shop", time, [])
    (one,), strays = sets_in(there, "shop")
    assert [stray.id[:8] for stray in strays] == [cut_off.id]
    there.forget([one.archives["media"]])
    found, strays = sets_in(there, "shop")
    assert not found
    assert sorted(stray.name for stray in strays) == ["db.tar", "db.tar", MANIFEST]


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
    with pytest.raises(DockerVpsError, match=f"media-{STAMP}.tar.gz {why}.* Make a new backup"):
        send(one, there, "shop")
    assert MANIFEST not in there.names()
    assert sets_in(there, "shop")[0] == []


def test_a_set_that_is_pruned_while_it_is_sent_is_sent_whole(sets: Sets) -> None:
    class Slow(FakeRepository):
        def save(self, name, blocks, app, time, tags):  # type: ignore[no-untyped-def]
            if name == "db.tar":
                sets.remove([one])
            return super().save(name, blocks, app, time, tags)

    there = Slow()
    one = publish_packed(sets, **DATA)
    send(one, there, "shop")
    assert there.names() == ["db.tar", MANIFEST, "media.tar"]


def test_a_set_comes_back_as_any_other(sets: Sets, there: FakeRepository, tmp_path: Path) -> None:
    sent = send_one(sets, there)
    new = Sets(str(tmp_path / "new"), "shop")
    new.prepare()
    fetched = fetch(only(there), there, new)
    assert files(new) == [f"db-{STAMP}.tar", f"manifest-{STAMP}.json", f"media-{STAMP}.tar"]
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
    assert files(sets) == [f"db-{STAMP}.tar", f"manifest-{STAMP}.json", f"media-{STAMP}.tar"]
    # A set that came back can be sent elsewhere, and come back from there, too.
    other = FakeRepository()
    send(sets.listing().sets[0], other, "shop")
    fetch(only(other), other, sets)
    assert not sets.listing().sets[0].absent()


def test_what_a_killed_fetch_left_is_thrown_away(sets: Sets, there: FakeRepository) -> None:
    send_one(sets, there)
    left = Path(sets.begin(f"{STAMP}-fetched", ".restore-"))
    (left / f"db-{STAMP}.tar").write_bytes(b"half")
    fetch(only(there), there, sets)
    assert sets.leftovers() == []


class Lossy(FakeRepository):
    """Loses the end of the archive media."""

    def load(self, snapshot: Snapshot) -> Iterator[bytes]:
        if snapshot.name == "media.tar":
            return iter([b"tar of"])
        return super().load(snapshot)


def test_a_fetch_that_fails_leaves_all_as_it_was(sets: Sets) -> None:
    there = Lossy()
    sent = send_one(sets, there)
    Path(sets.directory, f"manifest-{STAMP}.json").unlink()
    with pytest.raises(DockerVpsError, match=r"archive media of set 20260131-020000 in memory:shop has 6 bytes, .* 16"):
        fetch(only(there), there, sets)
    assert files(sets) == [archive.file for archive in sent.manifest.archives]


def test_a_manifest_is_not_believed(sets: Sets, there: FakeRepository) -> None:
    send_one(sets, there)
    one = only(there)
    snapshot, data, time = there.kept[one.manifest.id]
    there.kept[one.manifest.id] = (snapshot, b"{}", time)
    with pytest.raises(BadManifest, match=f"manifest-{STAMP}.json is not the manifest"):
        fetch(one, there, sets)
    given = json.loads(data)
    del given["archives"][0]
    there.kept[one.manifest.id] = (snapshot, json.dumps(given).encode(), time)
    with pytest.raises(DockerVpsError, match="has other archives than its manifest says"):
        fetch(one, there, sets)
    assert sets.leftovers() == []
