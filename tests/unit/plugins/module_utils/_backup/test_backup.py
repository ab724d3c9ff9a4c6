# SPDX-License-Identifier: GPL-3.0-or-later
"""How a set is made, what it says about itself, and that a failure leaves nothing and nobody stopped."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup import backup, verify
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.backup import (
    BUSY_TIMEOUT,
    RESERVE,
    Params,
    Query,
    run,
    summary,
    warnings,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.journal import Journal, recover
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._backup.verify import problems
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.data_loss import LossLimits
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineError,
    InvalidInput,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import Uploads, manifest_file
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.text import size
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import archive
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.lock import Locked
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sets import BackupSet, Sets
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes_backup import LABELS, Shop, database, tree_of
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import (
    DATABASE,
    archive_of,
    manifest_of,
    publish,
)

VOLUMES = {"db": "shop-db", "media": "shop-media"}
MEBIBYTE = 1024**2


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def made(shop: Shop, sets: Optional[Sets] = None, check_mode: bool = False, **given: Any) -> dict[str, Any]:
    params = Params("shop", **{"volumes": VOLUMES, **given})
    return run(params, sets or shop.sets, lambda: shop.engine, shop.clock, check_mode)


def nothing_left(shop: Shop) -> bool:
    return os.listdir(shop.sets.directory) == [".lock"]


def opened(shop: Shop, result: dict[str, Any], name: str, into: Path) -> dict[str, bytes]:
    """Return the files in an archive of a set."""
    one = next(one for one in result["set"]["archives"] if one["name"] == name)
    into.mkdir()
    path = os.path.join(result["set"]["directory"], one["file"])
    archive.extract(path, one["compression"], str(into), sha256=one["sha256"], allow_outside_links=True)
    return tree_of(into)


def test_a_set(shop: Shop, tmp_path: Path) -> None:
    result = made(shop, uploads=Query("SELECT 'a.png'", "media"), reason="a try")
    assert result["changed"] is True
    assert result["summary"].startswith(
        f"Set 20260201-020000 of shop: 2 archives, {size(result['set']['bytes'])}, 1 database sound, 1 upload proved, "
        f"in {shop.sets.directory}."
    )
    (one,) = shop.sets.listing().sets
    manifest = one.manifest
    assert (manifest.app, manifest.id, manifest.reason) == ("shop", "20260201-020000", "a try")
    assert (manifest.started, manifest.finished) == ("2026-02-01T02:00:00Z", "2026-02-01T02:00:00Z")
    assert (manifest.consistency, manifest.downtime, manifest.busy_timeout) == ("online", 0.0, BUSY_TIMEOUT)
    assert (manifest.engine, manifest.host) == ("26.1.5", socket.gethostname())
    assert (manifest.release.container, manifest.release.image) == ("app", "app:1")
    assert manifest.uploads == Uploads(1, (), "")
    assert [(a.name, a.volume, a.files, a.driver, dict(a.labels)) for a in manifest.archives] == [
        ("db", "shop-db", 1, "local", LABELS),
        ("media", "shop-media", 1, "local", LABELS),
    ]
    (copied,) = manifest.archives[0].databases
    assert (copied.path, copied.check, copied.journal_mode) == ("payload.db", "sound", "wal")
    assert copied.tables == {"vendors": 3, "media": 1}
    assert manifest.archives[1].databases == ()
    assert result["set"]["bytes"] == sum(a.bytes for a in manifest.archives)
    assert result["set"]["directory"] == shop.sets.directory
    assert result["set"]["verified"] is False
    assert shop.engine.calls == []
    assert opened(shop, result, "media", tmp_path / "media") == {"a.png": b"a" * 1000}
    assert set(opened(shop, result, "db", tmp_path / "db")) == {"payload.db"}
    with closing(sqlite3.connect(tmp_path / "db/payload.db")) as connection:
        assert connection.execute("SELECT count(*) FROM vendors").fetchone() == (3,)
    assert {stat.S_IMODE(path.stat().st_mode) for path in Path(shop.sets.directory).iterdir()} == {0o600}
    assert stat.S_IMODE(os.stat(shop.sets.directory).st_mode) == 0o700


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_each_compression(shop: Shop, tmp_path: Path, compression: str) -> None:
    result = made(shop, compression=compression)
    assert {one["compression"] for one in result["set"]["archives"]} == {compression}
    assert opened(shop, result, "media", tmp_path / "media") == {"a.png": b"a" * 1000}


def test_names_are_checked_first(shop: Shop) -> None:
    with pytest.raises(InvalidInput, match="'manifest' cannot name an archive"):
        made(shop, volumes={"manifest": "shop-db"})
    with pytest.raises(InvalidInput) as caught:
        made(shop, uploads=Query("SELECT 1", "pictures"))
    assert caught.value.message == "uploads.archive is 'pictures', which names no archive of this backup. Correct it."
    assert not os.path.exists(shop.sets.directory)


@pytest.mark.parametrize("there", [False, True])
def test_a_dry_run_writes_nothing(shop: Shop, there: bool) -> None:
    if there:
        shop.sets.prepare()
    result = made(shop, check_mode=True, consistency="stop")
    there_is = occupied(shop.db, shop.media)
    assert result == {
        "changed": True,
        "predicted_bytes": there_is,
        "cautions": [],
        "summary": f"A set of shop would be made: 2 archives, at most {size(there_is)}, in {shop.sets.directory}.",
    }
    assert os.path.exists(shop.sets.directory) == there
    assert not there or os.listdir(shop.sets.directory) == []
    assert shop.engine.calls == []


def test_a_prediction_knows_the_last_set(shop: Shop) -> None:
    last = shop.back_up().manifest
    packed = sum(one.bytes for one in last.archives)
    assert made(shop, check_mode=True)["predicted_bytes"] == packed
    (shop.media / "b.png").write_bytes(bytes(last.archives[1].plain_bytes))
    grown = packed + (shop.media / "b.png").stat().st_blocks * 512
    assert made(shop, check_mode=True)["predicted_bytes"] == grown
    assert made(shop, check_mode=True, compression="none")["predicted_bytes"] == occupied(shop.db, shop.media)
    assert made(shop)["predicted_bytes"] == grown


def occupied(*places: Path) -> int:
    """Return how many bytes files occupy on the disk."""
    return sum(path.stat().st_blocks * 512 for place in places for path in place.iterdir())


class FullSets(Sets):
    """A backup directory on a disk that is nearly full."""

    def free(self) -> int:
        return RESERVE


def test_a_disk_that_is_too_small(shop: Shop) -> None:
    sets = FullSets(shop.sets.directory, "shop")
    with pytest.raises(DockerVpsError) as caught:
        made(shop, sets)
    assert caught.value.message == (
        f"{sets.directory} has 64 MiB free, and the backup needs about 64 MiB. "
        "Remove old sets (⟦play prune⟧), or choose a directory on a larger disk."
    )
    needed = RESERVE + occupied(shop.media) + 2 * occupied(shop.db)
    assert caught.value.evidence == {"free_bytes": RESERVE, "needed_bytes": needed}
    assert nothing_left(shop)


def test_a_volume_that_is_not_there(shop: Shop) -> None:
    with pytest.raises(DockerVpsError) as caught:
        made(shop, volumes={"db": "shop-dbb"})
    assert caught.value.message == (
        "The volume shop-dbb does not exist, so there is nothing to back up. "
        "Deploy the application first, or correct the name (docker volume ls)."
    )


def test_only_all_volumes_together_may_not_be_empty(shop: Shop) -> None:
    for path in shop.db.iterdir():
        path.unlink()
    assert [one["files"] for one in made(shop)["set"]["archives"]] == [0, 1]
    (shop.media / "a.png").unlink()
    with pytest.raises(DockerVpsError, match="There is not one file in shop-db, shop-media: an empty set would push"):
        made(shop)
    assert len(shop.sets.listing().sets) == 1


@pytest.mark.parametrize(("consistency", "halt", "go"), [("stop", "stop", "start"), ("pause", "pause", "unpause")])
def test_whoever_runs_on_the_volumes_is_halted_and_nobody_else(
    shop: Shop, consistency: str, halt: str, go: str
) -> None:
    shop.engine.add_container("backend", "shop-db")
    shop.engine.add_container("frozen", "shop-db", paused=True)
    shop.engine.add_container("idle", "shop-db", running=False)
    shop.engine.add_container("other")
    result = made(shop, consistency=consistency)
    assert shop.engine.calls == [(halt, "APP"), (halt, "BACKEND"), (go, "APP"), (go, "BACKEND")]
    assert result["set"]["downtime"] == 2.0
    assert (result["set"]["started"], result["set"]["finished"]) == ("2026-02-01T02:00:00Z", "2026-02-01T02:00:02Z")


@pytest.mark.parametrize(
    ("consistency", "running", "warning"),
    [
        ("pause", False, "Somebody stopped app while it was paused, so it stays stopped; docker start app starts it."),
        ("pause", True, "Somebody let app run meanwhile, so the data may be of different points in time."),
        ("stop", True, "Somebody let app run meanwhile, so the data may be of different points in time."),
    ],
)
def test_what_a_person_did_meanwhile_stays_and_is_told(
    shop: Shop, consistency: str, running: bool, warning: str
) -> None:
    def meanwhile() -> None:  # when the next one is halted
        shop.engine.containers["APP"]["State"] = {"Running": running, "Paused": False}

    shop.engine.add_container("backend", "shop-db")
    shop.engine.on[consistency, "BACKEND"] = meanwhile
    assert warning in made(shop, consistency=consistency)["set"]["warnings"]
    assert shop.engine.running() == (["APP", "BACKEND"] if running else ["BACKEND"])


def test_nobody_is_unavailable_when_nobody_runs(shop: Shop) -> None:
    shop.engine.containers.clear()
    result = made(shop, consistency="stop")
    assert shop.engine.calls == []
    assert result["set"]["downtime"] == 0.0
    assert result["set"]["release"]["container"] == ""


@pytest.mark.parametrize(("consistency", "halt", "go"), [("stop", "stop", "start"), ("pause", "pause", "unpause")])
@pytest.mark.parametrize("error", [EngineError("The Docker engine refused: no."), KeyboardInterrupt()])
def test_a_failure_lets_everybody_go_on(shop: Shop, consistency: str, halt: str, go: str, error: BaseException) -> None:
    shop.engine.add_container("backend", "shop-db")

    def fail() -> None:
        shop.engine.on.clear()  # the next attempt succeeds
        raise error

    shop.engine.on[halt, "BACKEND"] = fail
    with pytest.raises(type(error)):
        made(shop, consistency=consistency)
    assert shop.engine.running() == ["APP", "BACKEND"]
    assert (go, "APP") in shop.engine.calls
    assert nothing_left(shop)


def test_a_stop_that_a_killed_run_began_is_waited_for(shop: Shop) -> None:
    shop.sets.prepare()
    folder = shop.sets.begin("20260131-020000")
    Journal(folder).write(containers=("APP",))
    recover(shop.sets, folder, lambda: shop.engine, shop.clock)
    assert shop.engine.calls == [("stop", "APP"), ("start", "APP")]


def test_a_freeze_that_a_killed_run_had_ended_needs_no_stop(shop: Shop) -> None:
    shop.sets.prepare()
    folder = shop.sets.begin("20260131-020000")
    Journal(folder).write(containers=("APP",), frozen=True)
    recover(shop.sets, folder, lambda: shop.engine, shop.clock)
    assert shop.engine.calls == [("start", "APP")]


def test_what_a_killed_run_left_is_set_right_first(shop: Shop) -> None:
    shop.sets.prepare()
    folder = Path(shop.sets.begin("20260201-020000"))
    (folder / "db-20260201-020000.tar.gz").write_text("half of it")
    (Path(shop.sets.directory) / "media-20260201-020000.tar.gz").write_text("moved out already")
    result = made(shop)
    files = {one["file"] for one in result["set"]["archives"]} | {f"{name}-20260201-020000.index" for name in VOLUMES}
    assert set(os.listdir(shop.sets.directory)) == {".lock", "manifest-20260201-020000.json", *files}


def test_what_somebody_stopped_during_a_killed_backup_is_told(shop: Shop) -> None:
    stopped = shop.stopped_while_paused()
    result = made(shop)
    assert result["summary"].endswith(f" {stopped}")
    assert result["cautions"] == [stopped]
    assert shop.engine.running() == []


def test_one_at_a_time(shop: Shop) -> None:
    shop.sets.prepare()
    with shop.sets.lock("a backup"), pytest.raises(Locked, match="Cannot begin a backup of shop"):
        made(shop)


@pytest.mark.parametrize("store", ["files", "shared"])
def test_damage_in_the_last_set_does_not_get_into_one_that_reads_everything(shop: Shop, store: str) -> None:
    """An archive that is the same as the last one becomes one more name of its file, but not of a damaged one."""
    shop.back_up(store=store)
    shop.back_up(store=store)
    where = Path(shop.sets.directory)
    for path in [*where.glob("chunks/*")] if store == "shared" else [where / "media-20260201-020100.tar.gz"]:
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert [bool(problems(one, "checksum")) for one in shop.sets.listing().sets] == [True, True]
    shop.back_up(store=store, reread=1)
    healed = store == "shared"
    wrong = [bool(problems(one, "checksum")) for one in shop.sets.listing().sets]
    assert wrong == [False, not healed, not healed]
    shop.back_up(store=store, reread=1)
    assert problems(shop.sets.listing().sets[0], "checksum") == []


def test_a_damaged_database_is_refused(shop: Shop) -> None:
    path = shop.db / "payload.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE big (text)")
        connection.execute("CREATE INDEX of_it ON big (text)")
        connection.executemany("INSERT INTO big VALUES (?)", [(f"{number:0900}",) for number in range(200)])
        connection.commit()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 3 * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(DockerVpsError) as caught:
        made(shop, consistency="stop")
    assert caught.value.message.startswith(
        "The database payload.db in the volume shop-db is damaged, so it was not backed up as if it were good. Found: "
    )
    assert caught.value.message.endswith("Restore the last good set, or repair it with sqlite3's .recover.")
    assert shop.engine.running() == ["APP"]
    assert nothing_left(shop)


def test_a_journal_that_appears_after_the_look_is_not_archived(shop: Shop, tmp_path: Path) -> None:
    (shop.db / "payload.db").unlink()
    database(shop.db / "payload.db", wal=False, media=1)

    def begin_transaction() -> None:
        (shop.db / "payload.db-journal").write_bytes(bytes(512))
        (shop.db / "other-journal").write_bytes(b"no database is beside it")

    shop.engine.on["stop", "APP"] = begin_transaction
    result = made(shop, consistency="stop")
    assert set(opened(shop, result, "db", tmp_path / "db")) == {"payload.db", "other-journal"}


@pytest.mark.parametrize(
    ("query", "named", "missing", "problem"),
    [
        ("SELECT 'a.png' UNION SELECT 'z.png' UNION SELECT NULL", 2, ("z.png",), ""),
        ("SELECT 'a.png' WHERE 0", 0, (), ""),
        ("SELECT name FROM media_files", 0, (), "on payload.db failed: no such table: media_files"),
    ],
)
def test_uploads_are_proved(shop: Shop, query: str, named: int, missing: tuple[str, ...], problem: str) -> None:
    uploads = made(shop, uploads=Query(query, "media"))["set"]["uploads"]
    assert (uploads["named"], uploads["missing"]) == (named, missing)
    assert problem in uploads["problem"]
    assert bool(problem) == bool(uploads["problem"])


def test_names_of_uploads_mean_the_same_however_they_are_written(shop: Shop) -> None:
    (shop.media / "sub").mkdir()
    (shop.media / "sub/b.png").touch()
    odd = ("./a.png", "a.png", "sub//b.png", "sub/../a.png", "", ".", "../a.png")
    query = " UNION ALL ".join(f"SELECT '{one}'" for one in odd)
    uploads = made(shop, uploads=Query(query, "media"))["set"]["uploads"]
    assert uploads == {"named": 3, "missing": ("../a.png",), "problem": ""}


@pytest.mark.parametrize("consistency", ["stop", "online"])
def test_a_query_of_uploads_that_never_ends_keeps_nobody_away(
    shop: Shop, consistency: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = consistency == "stop"
    monkeypatch.setattr(backup, "WITHIN_STOPPED" if stopped else "WITHIN", 1.5)
    for name in ("payload.db", "z.db"):
        with closing(sqlite3.connect(shop.db / name)) as connection:
            endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n AS filename FROM c"
            connection.execute(f"CREATE VIEW endless AS {endless} WHERE n < 0")
    began = time.monotonic()
    result = made(shop, uploads=Query("SELECT filename FROM endless", "media"), consistency=consistency)
    assert time.monotonic() - began < 10
    problem = "The query 'SELECT filename FROM endless' on payload.db takes longer than 1 s. "
    assert result["set"]["uploads"]["problem"].startswith(problem)
    assert shop.engine.running() == ["APP"]


def test_the_first_database_that_knows_the_uploads_names_them(shop: Shop) -> None:
    database(shop.db / "a.db", other=1)
    database(shop.db / "z.db", vendors=5)
    (shop.media / "3").write_text("x")
    result = made(shop, uploads=Query("SELECT count(*) FROM vendors", "media"))
    assert result["set"]["uploads"] == {"named": 1, "missing": (), "problem": ""}


def test_no_database_proves_nothing(shop: Shop) -> None:
    result = made(shop, volumes={"media": "shop-media"}, uploads=Query("SELECT 1", "media"))
    assert result["set"]["uploads"] == {"named": 0, "missing": (), "problem": "there is no database"}
    assert result["set"]["warnings"] == (
        "Nothing proves that all uploads are in the set: there is no database. Where no table names any, set "
        '⟦setting backup_uploads_query ""⟧.',
    )
    assert "0 databases, in" in result["summary"]


def test_what_a_set_cannot_hold_is_told(shop: Shop) -> None:
    os.mkfifo(shop.media / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fsencode(shop.media) + b"/s\xff")
    (shop.media / "out").symlink_to("/etc/passwd")
    result = made(shop, volumes={"media": "shop-media"})
    listener.close()
    (one,) = result["set"]["archives"]
    assert (one["skipped"], one["outside_links"], one["inconsistent"], one["vanished"]) == (("s\\xff",), 1, (), ())
    assert result["set"]["warnings"] == (
        "media: 1 link leads out of the volume; restoring needs allow_outside_links",
        "media: sockets and devices are not in the set: s\\xff",
    )
    assert result["summary"].endswith(
        f"in {shop.sets.directory}. media: 1 link leads out of the volume; restoring needs allow_outside_links. "
        "media: sockets and devices are not in the set: s\\xff."
    )


def test_a_clock_that_stepped_back(shop: Shop) -> None:
    first = shop.back_up().manifest.id
    shop.clock.at = datetime(2026, 1, 31, 2, tzinfo=timezone.utc)
    result = made(shop, volumes={"media": "shop-media"})
    assert result["set"]["id"] == "20260131-020100"
    assert result["set"]["warnings"] == (f"The newest set is dated {first}, later than now: did the clock step back?",)


def test_two_sets_in_a_second_have_different_names(shop: Shop) -> None:
    assert [made(shop)["set"]["id"] for _turn in range(2)] == ["20260201-020000", "20260201-020001"]


def test_warnings() -> None:
    archives = [
        archive_of("db", databases=(replace(DATABASE, warning="an old library"), DATABASE), inconsistent=("a", "b")),
        archive_of("media", outside_links=2),
    ]
    assert list(warnings(archives, Uploads(2, ("x.png", "y.png"), ""))) == [
        "db: payload.db: an old library",
        "db: these changed each time they were read and may be inconsistent: a, b",
        "media: 2 links lead out of the volume; restoring needs allow_outside_links",
        "The database names uploads that are not in the volume: x.png, y.png",
    ]
    assert list(warnings([], Uploads(0, (), "no such table: media"))) == [
        "Nothing proves that all uploads are in the set: no such table: media. Where no table names any, set "
        '⟦setting backup_uploads_query ""⟧.'
    ]


def test_a_summary_is_short() -> None:
    many = manifest_of(uploads=Uploads(3, ("x",), ""), warnings=("Read this.", "word " * 100))
    sentence = summary(BackupSet("/var/backups/shop", many))
    assert sentence.startswith(
        "Set 20260131-020000 of shop: 2 archives, 7 bytes, 1 database sound, 2 uploads proved, in /var/backups/shop."
        " Read this. word word"
    )
    assert sentence.endswith(" word …")
    assert len(sentence) < 340
    assert "proved" not in summary(BackupSet("/x", manifest_of(uploads=Uploads(0, (), "none"))))


@pytest.mark.parametrize(("lost", "what"), [("database", "database"), ("everything", "database"), ("media", "file")])
def test_a_set_without_the_data_of_the_last_one_is_refused(shop: Shop, lost: str, what: str) -> None:
    """It would look good, and push the good ones out."""
    shop.back_up()
    shop.clock.passed += 60
    if lost != "media":
        (shop.db / "payload.db").unlink()
    if lost == "database":
        (shop.db / "other").write_text("x")
    if lost == "media":
        (shop.media / "a.png").unlink()
    with pytest.raises(DockerVpsError, match=f"holds no {what} any more"):
        made(shop)
    with pytest.raises(DockerVpsError, match=f"holds no {what} any more"):
        made(shop, check_mode=True)
    assert made(shop, accept_loss=True)["changed"] is True
    shop.clock.passed += 60
    assert made(shop)["changed"] is True


def emptied(path: Path, table: str, leave: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"DELETE FROM {table} WHERE id > {leave}")


def test_a_loss_of_rows_and_files_is_told_and_the_set_is_made(shop: Shop) -> None:
    database(shop.db / "payload.db", pages=500)
    for number in range(20):
        (shop.media / f"{number}.png").write_bytes(b"x")
    first = shop.back_up().manifest
    assert (first.losses, first.lost_since) == ((), ())
    emptied(shop.db / "payload.db", "pages", 100)
    for number in range(15):
        (shop.media / f"{number}.png").unlink()
    result = made(shop)
    gone = f"Gone since set {first.id}: 400 of 500 rows of pages in payload.db, 15 of 21 files of media."
    assert result["set"]["losses"] == (gone,)
    assert result["set"]["lost_since"] == (first.id,)
    assert result["cautions"][0] == gone
    assert f"{gone} Set {first.id} stays until this is fixed or accepted: ⟦play restore⟧" in result["summary"]
    shop.clock.passed += 60
    assert made(shop)["set"]["lost_since"] == (first.id,)
    shop.clock.passed += 60
    accepted = made(shop, accept_loss=True)
    assert (accepted["set"]["losses"], accepted["set"]["lost_since"], accepted["cautions"]) == ((gone,), (), [])
    assert accepted["summary"].endswith(f"{gone} That was accepted.")
    shop.clock.passed += 60
    assert made(shop)["set"]["losses"] == ()


def test_limits_are_given(shop: Shop) -> None:
    database(shop.db / "payload.db", pages=500, carts=50)
    shop.back_up()
    for table in ("pages", "carts"):
        emptied(shop.db / "payload.db", table, 0)
    losses = made(shop, limits=LossLimits(rows=99, ignore=("carts",)))["set"]["losses"]
    assert losses == ("Gone since set 20260201-020000: 500 of 500 rows of pages in payload.db.",)
    shop.clock.passed += 60
    assert made(shop, limits=LossLimits(rows=100))["set"]["losses"] == ()


def test_a_set_of_the_future_or_without_its_files_is_no_base(shop: Shop) -> None:
    """The clock was wrong for a night, or a disk has lost an archive."""
    database(shop.db / "payload.db", pages=500)
    first = shop.back_up()
    emptied(shop.db / "payload.db", "pages", 0)
    shop.clock.passed += 86400
    shop.back_up(accept_loss=True)
    shop.clock.passed -= 86400
    assert made(shop)["set"]["lost_since"] == (first.manifest.id,)
    os.unlink(first.path(first.manifest.archives[0]))
    shop.clock.passed += 60
    assert made(shop)["set"]["lost_since"] == ()


def test_what_a_replica_keeps_beside_a_database_is_known(shop: Shop) -> None:
    place = shop.db / ".payload.db-litestream/ltx/0"
    place.mkdir(parents=True)
    for number in range(12):
        (place / f"{number}.ltx").touch()
    (db, media) = shop.back_up().manifest.archives
    assert (db.files, db.replica_files, media.replica_files) == (13, 12, 0)
    for path in place.iterdir():
        path.unlink()
    assert shop.back_up().manifest.losses == ()


def test_a_name_of_a_missing_upload_that_is_no_text_can_be_told(shop: Shop) -> None:
    with closing(sqlite3.connect(shop.db / "payload.db")) as connection:
        connection.executescript("CREATE TABLE files (name); INSERT INTO files VALUES (CAST(x'612eff' AS TEXT))")
    result = made(shop, uploads=Query("SELECT name FROM files", "media"))
    assert result["set"]["uploads"]["missing"] == ("a.\\xff",)
    result["summary"].encode()


STORES = pytest.mark.parametrize("store", ["files", "shared"])
LONG_AFTER = datetime(2040, 1, 1, tzinfo=timezone.utc)


@STORES
def test_a_set_of_what_did_not_change_takes_no_room(shop: Shop, tmp_path: Path, store: str) -> None:
    shop.clock.at = LONG_AFTER
    (shop.media / "large.jpg").write_bytes(os.urandom(3 * MEBIBYTE))
    sets = [shop.back_up(store=store) for _turn in range(2)]
    third = made(shop, store=store)
    assert third["new_bytes"] == 0
    total = sum(one["bytes"] for one in third["set"]["archives"])
    assert third["summary"].startswith(
        f"Set 20400101-000200 of shop: 2 archives, {size(total)} (0 bytes new), 1 database"
    )
    inodes = [os.stat(one.path(one.manifest.archives[1])).st_ino for one in (*sets, *shop.sets.listing().sets[:1])]
    assert (len(set(inodes)) == 1) == (store == "files")
    assert [archive.unread for archive in shop.sets.listing().sets[0].manifest.archives] == [2, 2]
    assert opened(shop, third, "media", tmp_path / "media") == tree_of(shop.media)


@STORES
def test_all_is_read_when_that_is_due(shop: Shop, store: str) -> None:
    shop.clock.at = LONG_AFTER
    unread = [shop.back_up(store=store, reread=turns).manifest.archives[1].unread for turns in (2, 2, 2, 1)]
    assert unread == [0, 1, 0, 0]


@STORES
def test_sets_are_listed_twice(shop: Shop, files_opened: list[str], store: str) -> None:
    """At the beginning, and before a set says what it has not and others have: archiving may take hours."""
    shop.clock.at = LONG_AFTER
    manifests = sorted(manifest_file(shop.back_up(store=store).manifest.id) for _turn in range(2))
    files_opened.clear()
    made(shop, store=store)
    assert sorted(file for file in files_opened if file in manifests) == sorted([*manifests, *manifests])


def test_a_set_that_is_brought_while_one_is_made_counts(shop: Shop) -> None:
    shop.clock.at = LONG_AFTER

    def bring(*_arguments: object) -> dict[str, Any]:
        publish(shop.sets, "20410101-000000")
        return {}

    shop.engine.info = bring  # type: ignore[method-assign]
    assert shop.back_up().manifest.after == "20410101-000000"


def test_sets_of_both_stores_lie_side_by_side(shop: Shop, tmp_path: Path) -> None:
    shop.clock.at = LONG_AFTER
    for number, store in enumerate(["files", "shared", "files", "shared"]):
        (shop.media / f"{number}.png").write_bytes(b"x" * number)
        shop.back_up(store=store)
    for number, one in enumerate(reversed(shop.sets.listing().sets)):
        into = tmp_path / str(number)
        assert (
            len(
                opened(
                    shop,
                    {
                        "set": {
                            "archives": [
                                {
                                    "name": one.manifest.archives[1].name,
                                    "file": one.manifest.archives[1].file,
                                    "compression": "gzip",
                                    "sha256": one.manifest.archives[1].sha256,
                                }
                            ],
                            "directory": one.directory,
                        }
                    },
                    "media",
                    into,
                )
            )
            == 2 + number
        )
    assert [problem for one in shop.sets.listing().sets for problem in verify.problems(one, "full")] == []


def test_a_damaged_chunk_is_told_of_every_set_that_has_it_and_mended(shop: Shop) -> None:
    shop.clock.at = LONG_AFTER
    sets = [shop.back_up(store="shared") for _turn in range(2)]
    media = sets[0].index(sets[0].manifest.archives[1])
    assert media is not None
    chunk = max(media.chunks, key=lambda chunk: chunk.plain_bytes)
    path = Path(shop.sets.chunks, chunk.sha256)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    result = verify.run(verify.Params(level="checksum"), shop.sets, shop.clock)
    told = (
        f"The chunk {path}, which sets share, is not what was written. While the data itself is intact, a backup with "
    )
    assert [[problem.startswith(told) for problem in row["problems"]] for row in result["sets"]] == [[True], [True]]
    healed = made(shop, store="shared", reread=1)
    assert healed["new_bytes"] == chunk.bytes
    assert path.read_bytes() == data
    result = verify.run(verify.Params(level="checksum"), shop.sets, shop.clock)
    assert [row["problems"] for row in result["sets"]] == [[], [], []]


def test_a_damaged_archive_is_not_the_source_of_the_next(shop: Shop) -> None:
    shop.clock.at = LONG_AFTER
    (shop.media / "large.jpg").write_bytes(os.urandom(2 * MEBIBYTE))
    first = shop.back_up()
    path = Path(first.path(first.manifest.archives[1]))
    data = bytearray(path.read_bytes())
    data[MEBIBYTE] ^= 1
    path.write_bytes(data)
    (shop.media / "b.png").write_bytes(b"b")
    result = made(shop)
    told = f"media: nothing of the last archive was used, and all was read: {path} is not what was written"
    assert told in result["set"]["warnings"]
    assert verify.problems(shop.sets.listing().sets[0], "full") == []


@STORES
def test_a_set_that_takes_little_room_needs_little(shop: Shop, store: str) -> None:
    shop.clock.at = datetime.now(timezone.utc)
    (shop.media / "large.jpg").write_bytes(os.urandom(3 * MEBIBYTE))
    first = made(shop, store=store, check_mode=True)["predicted_bytes"]
    assert first > 3 * MEBIBYTE
    shop.clock.passed += 1000
    shop.back_up(store=store)
    assert made(shop, store=store, check_mode=True)["predicted_bytes"] == 0
    shop.clock.passed -= 1000  # what is changed now is changed after the set
    (shop.media / "b.png").write_bytes(b"b" * 5000)
    later = time.time() + 2000
    os.utime(shop.media / "b.png", (later, later))
    predicted = made(shop, store=store, check_mode=True)["predicted_bytes"]
    assert (predicted > 3 * MEBIBYTE) == (store == "files")
