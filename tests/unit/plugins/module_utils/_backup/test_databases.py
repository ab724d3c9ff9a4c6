# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of databases in volumes, from the backup to the restored bytes."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import restore
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.databases import (
    WantedDatabase,
    examined,
    found,
    refuse_closed,
    schemas,
    why_unused,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.databases import DAMAGED, NOT_CHECKED, SOUND
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import archive, tree
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.examiner import (
    DatabaseFacts,
    ExaminationLimits,
    Examiner,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet
from ansible_collections.ptnextjs.docker_vps.tests.unit.databases import (
    UNCHECKABLE,
    costly,
    far,
    filled,
    long_winded,
    nameless,
    overwritten,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FakeClock
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import Shop, database, tree_of

JOURNAL = bytes.fromhex("d9d505f920a163d7")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def restored(one: BackupSet, number: int, into: Path) -> dict[str, bytes]:
    """Return the files of an archive, restored."""
    recorded = one.manifest.archives[number]
    into.mkdir()
    archive.extract(one.path(recorded), recorded.compression, str(into), sha256=recorded.sha256)
    return tree_of(into)


def warned(one: BackupSet) -> str:
    return "\n".join(one.manifest.warnings)


@pytest.mark.parametrize("kind", UNCHECKABLE)
def test_an_own_database_that_cannot_be_checked_is_backed_up(shop: Shop, kind: str) -> None:
    UNCHECKABLE[kind](shop.db / "other.db")
    one = shop.back_up()
    (recorded,) = (each for each in one.manifest.archives[0].databases if each.path == "other.db")
    assert (recorded.check, recorded.tables["t"]) == (NOT_CHECKED, 3)
    assert f"db: the database other.db was not checked: {recorded.why}" in one.manifest.warnings


@pytest.mark.parametrize("kind", UNCHECKABLE)
def test_an_own_database_with_an_overwritten_page_is_refused_whatever_its_schema(shop: Shop, kind: str) -> None:
    overwritten(UNCHECKABLE[kind](shop.db / "other.db"))
    with pytest.raises(DockerVpsError, match="The database other.db in the volume shop-db is damaged"):
        shop.back_up()


def test_a_damaged_database_that_somebody_uploaded_is_a_warning(shop: Shop, tmp_path: Path) -> None:
    overwritten(filled(shop.media / "map.gpkg"))
    cut = filled(shop.media / "cut.db")
    cut.write_bytes(cut.read_bytes()[:6000])
    before = tree_of(shop.media)
    one = shop.back_up()
    assert {each.path: each.check for each in one.manifest.archives[1].foreign} == {
        "map.gpkg": DAMAGED,
        "cut.db": DAMAGED,
    }
    assert one.manifest.archives[1].databases == ()
    assert "media: archived as they are, databases that are none of the application's, damaged: cut.db (" in warned(one)
    assert restored(one, 1, tmp_path / "out") == before


def test_nothing_in_an_upload_makes_a_set_unreadable(shop: Shop) -> None:
    nameless(shop.media / "odd.db")
    long_winded(shop.media / "long.db")
    recorded = {each.path: (each.check, each.why) for each in shop.back_up().manifest.archives[1].foreign}
    assert recorded["odd.db"] == (SOUND, "some rows break rules of their tables: NULL value in ttt\\xff.n")
    assert (recorded["long.db"][0], len(recorded["long.db"][1]) < 2100) == (DAMAGED, True)


def test_uploads_come_back_with_what_lies_beside_them(shop: Shop, tmp_path: Path) -> None:
    with closing(sqlite3.connect(shop.media / "phone.db", isolation_level=None)) as phone:
        phone.execute("PRAGMA journal_mode = WAL")
        phone.execute("CREATE TABLE t (n)")
        for name in ("phone.db", "phone.db-wal", "phone.db-shm"):
            (shop.media / f"copy-of-{name}").write_bytes((shop.media / name).read_bytes())
    filled(shop.media / "report.db")
    (shop.media / "report.db-journal").write_text("Monday: rain\n")
    before, times = tree_of(shop.media), shop.media.stat().st_mtime_ns
    one = shop.back_up()
    assert restored(one, 1, tmp_path / "out") == before
    assert tree_of(shop.media) == before
    assert shop.media.stat().st_mtime_ns == times
    recorded = {each.path: (each.check, each.why) for each in one.manifest.archives[1].foreign}
    assert recorded["report.db"] == (SOUND, "")
    assert recorded["copy-of-phone.db"] == (NOT_CHECKED, "a part of it is in the file of SQLite beside it")


def test_an_upload_that_is_costly_to_examine_is_not_examined_for_long(shop: Shop) -> None:
    costly(shop.media / "bomb.db")
    one = shop.back_up()
    (recorded,) = one.manifest.archives[1].foreign
    assert recorded.check == NOT_CHECKED
    assert "media: archived as they are, databases that are none of the application's, not checked: bomb.db" in warned(
        one
    )


def test_the_time_for_all_uploads_is_bounded(shop: Shop) -> None:
    for number in range(3):
        filled(shop.media / f"{number}.db")
    times = iter([0.0, 58.0, 59.0])
    clock = FakeClock()
    clock.now = lambda: next(times, 60.0)  # type: ignore[method-assign]
    seconds = []

    class Patient(Examiner):
        """One that takes the time that it needs, on a machine that is busy, too."""

        def facts(self, path: str, **limited: Any) -> DatabaseFacts:
            seconds.append(limited["limits"].seconds)
            return super().facts(path, limits=ExaminationLimits(60.0, limited["limits"].memory))

    with Patient() as examiner:
        found = list(examined(str(shop.media), ["0.db", "1.db", "gone.db", "2.db"], examiner, clock, 60.0))
    assert [(one.path, one.check) for one in found] == [
        ("0.db", SOUND),
        ("1.db", SOUND),
        ("2.db", NOT_CHECKED),
    ]
    assert seconds == [5.0, 2.0]
    assert found[-1].why == "60 seconds did not suffice for so many databases"


def test_the_database_that_is_named_is_the_applications_wherever_it_lies(shop: Shop) -> None:
    overwritten(filled(shop.media / "data.db"))
    with pytest.raises(DockerVpsError, match="data.db in the volume shop-media is damaged"):
        shop.back_up(database="media/data.db")


@pytest.mark.parametrize("named", [True, False])
def test_a_database_lower_down_than_sqlite_takes_paths_is_archived_as_it_is(
    shop: Shop, tmp_path: Path, named: bool
) -> None:
    path = far(shop.db, 505)
    name = str(path.relative_to(shop.db))
    assert len(name) < 504
    if named:
        shop.back_up()
        (shop.db / "payload.db").unlink()  # that there is no other is no loss of the database
    one = shop.back_up(database=f"db/{name}" if named else "")
    why = "its path on this host has more than 504 bytes, which SQLite does not open"
    assert [(each.path, each.check, each.why) for each in one.manifest.archives[0].foreign] == [
        (name, NOT_CHECKED, why)
    ]
    assert f"{name[:200]}… ({why})" in warned(one)
    assert (f"the path of {name}, which DATABASE_URI names, has more than 504 bytes" in warned(one)) == named
    assert "there is no database" not in warned(one)
    assert restored(one, 0, tmp_path / "out")[name] == path.read_bytes()


def test_what_is_restored_lower_down_than_sqlite_takes_paths_is_not_checked(shop: Shop) -> None:
    far(shop.db, 504)
    one = shop.back_up()
    assert {each.check for each in one.manifest.archives[0].databases} == {SOUND}
    result = restore.run(restore.Params("shop", stop_app=True), shop.sets, lambda: shop.engine, shop.clock, False)
    (note,) = result["notes"]
    assert "was not checked: its path on this host has more than 504 bytes" in note


def test_a_text_with_the_name_of_a_journal_stops_nothing(shop: Shop, tmp_path: Path) -> None:
    filled(shop.db / "report.db")
    (shop.db / "report.db-journal").write_text("Monday: rain\n")
    one = shop.back_up()
    assert [(each.path, each.check) for each in one.manifest.archives[0].databases] == [
        ("payload.db", SOUND),
        ("report.db", SOUND),
    ]
    assert restored(one, 0, tmp_path / "out")["report.db-journal"] == b"Monday: rain\n"


@pytest.mark.parametrize("beside", ["-wal", "-journal"])
def test_an_encrypted_database_is_refused_while_the_application_runs(shop: Shop, tmp_path: Path, beside: str) -> None:
    (shop.db / "secret.db").write_bytes(os.urandom(8192))
    start = bytes.fromhex("377f0682") if beside == "-wal" else JOURNAL
    (shop.db / f"secret.db{beside}").write_bytes(start + os.urandom(4000))
    with pytest.raises(DockerVpsError, match="secret.db .* is encrypted.* Set ⟦setting backup_consistency⟧ to stop"):
        shop.back_up()
    before = tree_of(shop.db)
    one = shop.back_up(consistency="stop")
    (recorded,) = (each for each in one.manifest.archives[0].databases if each.path == "secret.db")
    assert (recorded.check, recorded.why, recorded.journal_mode) == (
        NOT_CHECKED,
        "it is encrypted, so only its application can read it",
        "",
    )
    out = restored(one, 0, tmp_path / "out")
    assert all(out[name] == before[name] for name in ("secret.db", f"secret.db{beside}"))


@pytest.mark.parametrize("consistency", ["online", "pause", "stop"])
@pytest.mark.parametrize("beside", ["", "-wal"])
def test_a_database_without_its_first_page_is_damaged_and_not_encrypted(
    shop: Shop, consistency: str, beside: str
) -> None:
    data = (shop.db / "payload.db").read_bytes()
    (shop.db / "payload.db").write_bytes(bytes(4096) + data[4096:])
    (shop.db / "payload.db-wal").unlink(missing_ok=True)
    if beside:
        (shop.db / "payload.db-wal").write_bytes(bytes.fromhex("377f0682") + bytes(28))
    with pytest.raises(DockerVpsError, match="The database payload.db in the volume shop-db is damaged, .*noise"):
        shop.back_up(consistency=consistency, database="db/payload.db")
    assert shop.sets.listing().sets == []


@pytest.mark.parametrize("database", ["", "db/new.db"])
def test_a_new_database_whose_first_write_is_under_way_is_half_written(shop: Shop, database: str) -> None:
    with closing(sqlite3.connect(shop.db / "new.db", isolation_level=None)) as live:
        live.execute("PRAGMA cache_size = 1")
        live.execute("BEGIN")
        live.execute("CREATE TABLE t (n)")
        live.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 1000)
        assert (shop.db / "new.db").read_bytes()[:100] == bytes(100)
        with pytest.raises(DockerVpsError, match=r"new\.db in the volume shop-db is half-written: .* Try again"):
            shop.back_up(database=database)
        live.execute("COMMIT")
    assert {each.path for each in shop.back_up().manifest.archives[0].databases} == {"payload.db", "new.db"}


def test_a_database_that_is_made_while_it_is_looked_at_is_no_damage(shop: Shop) -> None:
    nothing = tree.survey(str(shop.media))
    wanted = WantedDatabase("db", "db/payload.db", "online")
    there = found("db", str(shop.db), nothing, wanted)
    with pytest.raises(DockerVpsError, match="payload.db in the volume v was created or repaired while .* Try again"):
        refuse_closed("v", str(shop.db), there, wanted)


def test_the_named_database_is_refused_also_when_it_is_idle(shop: Shop) -> None:
    (shop.db / "secret.db").write_bytes(os.urandom(8192))
    with pytest.raises(DockerVpsError, match="secret.db .* is encrypted"):
        shop.back_up(database="db/secret.db")
    recorded = shop.back_up(database="db/secret.db", consistency="pause").manifest.archives[0].databases
    assert {each.path: each.check for each in recorded} == {"payload.db": SOUND, "secret.db": NOT_CHECKED}


def test_what_may_be_encrypted_is_a_caution(shop: Shop) -> None:
    (shop.db / "secret.db").write_bytes(os.urandom(8192))
    assert "db: secret.db looks like an encrypted database" in warned(shop.back_up())
    assert "looks like" not in warned(shop.back_up(consistency="stop"))


@pytest.mark.parametrize("there", [True, False])
def test_a_named_database_that_is_empty_or_absent_is_said(shop: Shop, there: bool) -> None:
    if there:
        (shop.db / "app.db").write_bytes(b"")
    one = shop.back_up(database="db/app.db")
    assert "db: there is no database app.db, or an empty one, and DATABASE_URI names it" in one.manifest.warnings


def test_a_named_database_needs_an_archive(shop: Shop) -> None:
    with pytest.raises(InvalidInput, match="must be <archive>/<path>, such as db/payload.db"):
        shop.back_up(database="/data/payload.db")


def test_a_second_name_of_a_live_database_leaves_nothing_beside_it(shop: Shop, tmp_path: Path) -> None:
    with closing(sqlite3.connect(shop.db / "payload.db", isolation_level=None)) as live:
        live.execute("INSERT INTO vendors DEFAULT VALUES")
        os.link(shop.db / "payload.db", shop.db / "a-payload.db.bak")
        before = sorted(os.listdir(shop.db))
        one = shop.back_up()
        assert sorted(os.listdir(shop.db)) == before
    (recorded,) = one.manifest.archives[0].databases
    assert (recorded.path, recorded.tables["vendors"]) == ("payload.db", 4)
    restored(one, 0, tmp_path / "out")
    names = [tmp_path / "out" / name for name in ("payload.db", "a-payload.db.bak")]
    assert len({path.stat().st_ino for path in names}) == 1
    with closing(sqlite3.connect(names[0])) as copy:
        assert copy.execute("SELECT count(*) FROM vendors").fetchone() == (4,)


def test_a_database_that_is_written_all_the_time_is_said(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = shop.clock.sleep

    def sleep(seconds: float) -> None:
        asleep(seconds)
        os.utime(shop.db / "payload.db")

    monkeypatch.setattr(shop.clock, "sleep", sleep)
    os.utime(shop.db / "payload.db")
    one = shop.back_up()
    assert not one.manifest.archives[0].databases[0].quiet
    assert "db: the database payload.db was written all the time" in warned(one)
    assert shop.back_up(consistency="stop").manifest.archives[0].databases[0].quiet


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "it is not there"),
        (b"", "it is empty"),
        (bytes(range(1, 255)) * 16, ""),  # as of an encrypted one
        (b"SQLite", ""),
    ],
)
def test_why_a_database_holds_nothing(tmp_path: Path, content: bytes | None, why: str) -> None:
    if content is not None:
        (tmp_path / "payload.db").write_bytes(content)
    assert why_unused(str(tmp_path), "payload.db", schemas(str(tmp_path))) == why


@pytest.mark.parametrize(
    ("leads", "why"),
    [("../payload.db", "it has no table"), ("../gone.db", "it is not there"), ("/data/payload.db", "")],
)
def test_a_link_to_a_database_is_followed_within_its_volume(tmp_path: Path, leads: str, why: str) -> None:
    with closing(sqlite3.connect(tmp_path / "payload.db")) as connection:
        connection.execute("PRAGMA user_version = 1")
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "shop.db").symlink_to(leads)
    assert why_unused(str(tmp_path), "live/shop.db", schemas(str(tmp_path))) == why


def test_schemas_of_what_cannot_be_read(tmp_path: Path) -> None:
    database(tmp_path / "a.db", vendors=1)
    (tmp_path / "b.db").write_bytes((tmp_path / "a.db").read_bytes()[:100] + b"garbage" * 1000)
    found = schemas(str(tmp_path))
    assert len(found["a.db"]) == 64
    assert "it is damaged; restore it, or leave it out" in found["b.db"]
