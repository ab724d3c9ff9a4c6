# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of databases in use are whole, and whoever uses the database notices nothing.

The application is another process, as it is in life: locks of one process do not hold against itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import sqlite3
import stat
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.databases import DAMAGED, NOT_CHECKED, SOUND
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import sqlite
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.examiner import DatabaseFacts, Examiner
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.sqlite import names, rows
from ansible_collections.ptnextjs.docker_vps.tests.unit.databases import far, nameless, unspeakable

MODES = ("wal", "delete")
EXCLUSIVE = "locked.* locking_mode = EXCLUSIVE .* ⟦setting backup_consistency⟧ to stop"


def copy(live: str, target: str, **options: Any) -> DatabaseFacts:
    with Examiner() as examiner:
        return examiner.copy(live, target, **options)


def facts(path: str, wait: float = 5.0) -> DatabaseFacts:
    with Examiner() as examiner:
        return examiner.facts(path, live=True, wait=wait)


# Writes 1, 2, 3, … in transactions of two, with the time of each, until its input ends.
WRITER = """
import select, sqlite3, sys, time
live = sqlite3.connect(sys.argv[1], timeout=5, isolation_level=None)
live.execute("PRAGMA synchronous = OFF")
number = 0
while not select.select([sys.stdin], [], [], 0.002)[0]:
    live.execute("BEGIN")
    for number in (number + 1, number + 2):
        live.execute("INSERT INTO counted VALUES (?, ?)", (number, time.time()))
    live.execute("COMMIT")
    if number == 2:
        print("ready", flush=True)
"""

# Runs statements and stays, with its transaction open.
HOLDER = """
import sqlite3, sys
live = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    live.execute(statement).fetchall()
print("ready", flush=True)
sys.stdin.read()
"""

# What a connection holds from its first read in WAL mode on, without any sidecar yet.
SHARED_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "rb")
fcntl.lockf(file, fcntl.LOCK_SH, 510, 0x40000002)
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def process(code: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"ready\n", other.communicate()[1].decode()
            yield other
            _unused, output = other.communicate(b"")
            assert (other.returncode, output) == (0, b"")
        finally:
            other.kill()


def holding(path: Path, *statements: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    return process(HOLDER, str(path), *statements)


def make(path: Path, mode: str, *statements: str) -> Path:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    for statement in statements or ("CREATE TABLE t (n)", "INSERT INTO t VALUES (1), (2), (3)"):
        connection.execute(statement)
    connection.close()
    return path


def fill(mega: int) -> str:
    return (
        "INSERT INTO filler WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        f"WHERE i < {mega}) SELECT zeroblob(1000000) FROM n"
    )


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def column(path: Path, query: str) -> list[object]:
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        return [row[0] for row in connection.execute(query)]
    finally:
        connection.close()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    return tmp_path / "app"


@pytest.fixture
def stopped(app: Path, tmp_path: Path) -> Path:
    """An application that was stopped before any checkpoint: a database of one page, the rest in its WAL."""
    running = tmp_path / "running"
    running.mkdir()
    make(running / "payload.db", "wal", "PRAGMA user_version = 1")
    connection = sqlite3.connect(running / "payload.db", isolation_level=None)
    connection.execute("CREATE TABLE t (n)")
    connection.execute("INSERT INTO t VALUES (1), (2), (3)")
    for name in listing(running):
        shutil.copy2(running / name, app / name)
    connection.close()
    assert (app / "payload.db").stat().st_size == 4096
    assert listing(app) == ["payload.db", "payload.db-shm", "payload.db-wal"]
    return app / "payload.db"


@pytest.mark.parametrize("mode", MODES)
def test_each_copy_is_one_state_and_the_application_goes_on(app: Path, tmp_path: Path, mode: str) -> None:
    live = make(
        app / "live.db", mode, "CREATE TABLE counted (n INTEGER PRIMARY KEY, at)", "CREATE TABLE filler (b)", fill(12)
    )
    spans = []
    with process(WRITER, str(live)):
        for number in range(4):
            began = time.time()
            found = copy(str(live), str(tmp_path / f"copy{number}"))
            spans.append((began, time.time()))
            assert found.check == SOUND
            assert found.tables["filler"] == 12
            assert (found.lock_seconds == 0.0) == (mode == "wal")
            assert found.lock_seconds < 2
    for number in range(4):
        counted = column(tmp_path / f"copy{number}", "SELECT n FROM counted ORDER BY n")
        assert counted == list(range(1, len(counted) + 1))
        assert len(counted) % 2 == 0
        assert len(counted) >= 2
    written = column(live, "SELECT at FROM counted")
    assert all(any(began < at < ended for at in written) for began, ended in spans)


def test_a_database_that_never_rests_is_copied_in_one_step(app: Path, tmp_path: Path) -> None:
    live = make(app / "live.db", "delete", "CREATE TABLE t (n)", "CREATE TABLE filler (b)", fill(12))
    application = sqlite3.connect(live, timeout=0, isolation_level=None)
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        application.execute("INSERT INTO t VALUES (?)", (len(pauses),))

    found = copy(str(live), str(tmp_path / "copy"), pause=pause)
    application.close()
    assert len(pauses) == 4
    assert found.tables == {"t": 4, "filler": 12}
    assert found.lock_seconds > 0
    assert found.check == SOUND


def test_a_database_at_rest_is_copied_in_steps(app: Path, tmp_path: Path) -> None:
    live = make(app / "live.db", "delete", "CREATE TABLE filler (b)", fill(12))
    pauses: list[float] = []
    copy(str(live), str(tmp_path / "copy"), pause=pauses.append)
    assert len(pauses) == live.stat().st_size // 4096 // 512
    assert set(pauses) == {0.001}
    assert (tmp_path / "copy").stat().st_size == live.stat().st_size


def test_a_commit_under_way_is_waited_for(app: Path, tmp_path: Path) -> None:
    live = make(app / "live.db", "delete")
    application = sqlite3.connect(live, isolation_level=None)
    application.execute("BEGIN EXCLUSIVE")
    application.execute("INSERT INTO t VALUES (4)")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            application.execute("COMMIT")

    assert copy(str(live), str(tmp_path / "copy"), pause=pause).tables == {"t": 4}
    application.close()
    assert pauses == [0.01] * 3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "act",
    [
        lambda live, target: copy(live, target, wait=0.05),
        lambda live, _: facts(live, wait=0.05),
        lambda live, _: names(live, "SELECT n FROM t", wait=0.05),
    ],
)
def test_a_lock_that_stays_is_an_error(app: Path, tmp_path: Path, mode: str, act: Callable[[str, str], object]) -> None:
    live = make(app / "live.db", mode)
    with holding(live, "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"):
        before = contents(app)
        with pytest.raises(DockerVpsError, match=EXCLUSIVE) as failure:
            act(str(live), str(tmp_path / "copy"))
        assert contents(app) == before
    assert str(live) in failure.value.message
    assert not (tmp_path / "copy").exists()


def test_data_that_is_only_in_the_wal_is_copied_and_nothing_changes(stopped: Path, tmp_path: Path) -> None:
    before = contents(stopped.parent)
    found = copy(str(stopped), str(tmp_path / "copy"))
    assert contents(stopped.parent) == before
    assert found.tables == {"t": 3}
    assert column(tmp_path / "copy", "SELECT n FROM t") == [1, 2, 3]
    assert (facts(str(stopped)).tables, names(str(stopped), "SELECT n FROM t")) == ({"t": 3}, {"1", "2", "3"})
    assert contents(stopped.parent) == before


def test_data_in_the_wal_without_its_index(stopped: Path, tmp_path: Path) -> None:
    Path(f"{stopped}-shm").unlink()
    before = contents(stopped.parent)
    assert copy(str(stopped), str(tmp_path / "copy")).tables == {"t": 3}
    assert contents(stopped.parent) == before


def test_a_running_application_keeps_its_sidecars(app: Path, tmp_path: Path) -> None:
    live = make(app / "live.db", "wal")
    with holding(live, "INSERT INTO t VALUES (4)"):
        before = contents(app)
        assert set(before) == {"live.db", "live.db-wal", "live.db-shm"}
        assert copy(str(live), str(tmp_path / "copy")).tables == {"t": 4}
        assert contents(app) == before


@pytest.mark.parametrize("act", [copy, lambda live, _: facts(live), lambda live, _: names(live, "SELECT n FROM t")])
def test_a_clean_stop_in_wal_mode_leaves_no_sidecars_and_neither_do_we(
    app: Path, tmp_path: Path, act: Callable[[str, str], object]
) -> None:
    live = make(app / "live.db", "wal")
    os.utime(app, ns=(1, 10**18))
    before = contents(app)
    assert list(before) == ["live.db"]
    act(str(live), str(tmp_path / "copy"))
    assert contents(app) == before
    assert app.stat().st_mtime_ns == 10**18


def test_sidecars_stay_when_an_application_has_just_opened_the_database(app: Path, tmp_path: Path) -> None:
    live = make(app / "live.db", "wal")
    with process(SHARED_LOCK, str(live)):
        assert copy(str(live), str(tmp_path / "copy")).tables == {"t": 3}
        assert listing(app) == ["live.db", "live.db-shm", "live.db-wal"]
    assert copy(str(live), str(tmp_path / "copy2")).tables == {"t": 3}


def test_a_wal_with_data_is_never_removed(stopped: Path) -> None:
    """An application may have come, written and crashed since the copy began."""
    data = Path(f"{stopped}-wal").read_bytes()
    sqlite._tidy(str(stopped), [f"{stopped}-wal", f"{stopped}-shm"], os.stat(os.path.dirname(str(stopped))))
    assert listing(stopped.parent) == ["payload.db", "payload.db-wal"]
    assert Path(f"{stopped}-wal").read_bytes() == data


def test_a_write_that_a_crash_interrupted(app: Path, tmp_path: Path) -> None:
    live = make(app / "live.db", "delete", "CREATE TABLE filler (b)", fill(1))
    with contextlib.suppress(AssertionError), holding(live, "PRAGMA cache_size = 1", "BEGIN", fill(1)) as application:
        application.kill()
    assert listing(app) == ["live.db", "live.db-journal"]
    before = contents(app)
    with pytest.raises(DockerVpsError, match="a crash interrupted a write to it; start its application once"):
        copy(str(live), str(tmp_path / "copy"))
    assert contents(app) == before
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [b"\xff\xfe.db", "Grüße ?a=b#c%20&mode=rwc.db".encode(), b"a\nb.db"])
def test_any_name_will_do(app: Path, tmp_path: Path, mode: str, name: bytes) -> None:
    os.rename(make(app / "plain.db", mode), os.path.join(os.fsencode(app), name))
    path = os.fsdecode(os.path.join(os.fsencode(app), name))
    copied = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
    assert copy(path, copied).tables == {"t": 3}
    assert os.listdir(os.fsencode(app)) == [name]
    assert sorted(os.listdir(os.fsencode(tmp_path))) == sorted([b"app", name])
    assert names(copied, "SELECT n FROM t") == {"1", "2", "3"}


def test_a_relative_path(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(app / "live.db", "wal")
    monkeypatch.chdir(app)
    assert copy("live.db", "copy.db").tables == {"t": 3}


@pytest.mark.parametrize("mode", MODES)
def test_the_copy_has_owner_mode_and_time_of_the_original(app: Path, tmp_path: Path, mode: str) -> None:
    live = make(app / "live.db", mode)
    live.chmod(0o640)
    owner = (1234, 5678) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(live, *owner)
    os.utime(live, ns=(1, 1_700_000_000_123_456_789))
    umask = os.umask(0)
    try:
        found = copy(str(live), str(tmp_path / "copy"))
    finally:
        os.umask(umask)
    made = (tmp_path / "copy").stat()
    assert (made.st_uid, made.st_gid) == owner
    assert stat.S_IMODE(made.st_mode) == 0o640
    assert made.st_mtime_ns == 1_700_000_000_123_456_789
    assert made.st_size == found.bytes
    assert found == dataclasses.replace(
        facts(str(tmp_path / "copy")), lock_seconds=found.lock_seconds, sqlite_version=found.sqlite_version
    )
    assert listing(tmp_path) == ["app", "copy"]


@pytest.mark.parametrize("mode", MODES)
def test_the_copy_says_which_library_wrote_the_original(app: Path, tmp_path: Path, mode: str) -> None:
    live = make(app / "live.db", mode)
    with contextlib.closing(sqlite3.connect(live)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(live, "r+b") as file:
        file.seek(96)  # https://www.sqlite.org/fileformat2.html#the_database_header
        file.write((3045001).to_bytes(4, "big"))
    assert copy(str(live), str(tmp_path / "copy")).sqlite_version == "3.45.1"
    assert (tmp_path / "copy").read_bytes()[96:100] == (3045001).to_bytes(4, "big")


def test_the_library_that_wrote_last_is_seen_before_its_wal_is_written_back(app: Path, tmp_path: Path) -> None:
    live = make(app / "live.db", "wal")
    with contextlib.closing(sqlite3.connect(live)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(live, "r+b") as file:
        file.seek(96)
        file.write((3045001).to_bytes(4, "big"))
    wal = app / "live.db-wal"
    with contextlib.closing(sqlite3.connect(live, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("PRAGMA cache_spill = 1")
        connection.execute("CREATE TABLE filler (b)")
        connection.execute("PRAGMA wal_checkpoint")  # what follows is written over it
        with open(live, "r+b") as file:
            file.seek(96)
            file.write((3045001).to_bytes(4, "big"))
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO filler VALUES (zeroblob(9000))", [()] * 99)
        assert wal.stat().st_size > 100_000
        assert wrote(live) == 3045001, "it is not committed"
        connection.execute("COMMIT")
        newest = wrote(live)
        assert newest == int("{:d}{:03d}{:03d}".format(*sqlite3.sqlite_version_info))
        copy(str(live), str(tmp_path / "copy"))
        assert (tmp_path / "copy").read_bytes()[96:100] == newest.to_bytes(4, "big")
        kept = wal.read_bytes()
        shutil.copy(live, app / "other.db")
    for content in (*(kept[:length] for length in (0, 31, 40, 5000)), b"x" * 5000):
        (app / "other.db-wal").write_bytes(content)
        assert wrote(app / "other.db") == 3045001


def wrote(path: Path) -> int:
    return sqlite.writer(str(path), sqlite.header(str(path)))


def frames(*pages: tuple[int, int, int], salts: bytes = b"saltsalt", size: int = 512) -> bytes:
    """Return a WAL of pages, each with its number, how many the database has when it commits, and a library."""
    start = struct.pack(">4I", 0x377F0682, 3007000, size, 0) + salts + bytes(8)
    made = [(struct.pack(">2I", page, commits) + salts + bytes(8), library) for page, commits, library in pages]
    return start + b"".join(head + bytes(96) + struct.pack(">I", library) + bytes(412) for head, library in made)


@pytest.mark.parametrize(
    ("wal", "found"),
    [
        (frames((1, 2, 3051003)), 3051003),
        (frames((1, 2, 3051003), (2, 2, 1), (1, 0, 3008000)), 3051003),
        (frames((1, 0, 3051003), (2, 2, 1)), 3051003),
        (frames((1, 0, 3051003), (2, 0, 1)), 0),
        (frames((2, 2, 1)), 0),
        (frames((1, 2, 3051003)) + frames((1, 2, 3008000), salts=b"others'!")[32:], 3051003),
        (frames((0, 2, 1), (1, 2, 3051003)), 0),
        (frames((1, 2, 3051003), size=0), 0),
        (frames((1, 2, 3051003), size=513), 0),
        (frames((1, 2, 3051003))[:50], 0),
    ],
    ids=["one", "later", "commit", "none", "other", "before", "zero", "size", "odd", "cut"],
)
def test_what_a_wal_tells_of_the_first_page(tmp_path: Path, wal: bytes, found: int) -> None:
    path = tmp_path / "x-wal"
    path.write_bytes(wal)
    assert sqlite._writer_in_wal(str(path)) == found


def test_a_wal_that_is_too_long_or_is_no_file_or_begins_anew_meanwhile_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x-wal"
    path.write_bytes(frames((1, 2, 3051003), (2, 2, 1)))
    monkeypatch.setattr(sqlite, "_FRAMES", 2)
    assert sqlite._writer_in_wal(str(path)) == 0
    monkeypatch.setattr(sqlite, "_FRAMES", 3)
    assert sqlite._writer_in_wal(str(path)) == 3051003
    read = os.pread

    def begun_anew(descriptor: int, size: int, at: int) -> bytes:
        if size == 4:
            path.write_bytes(frames((7, 7, 3008000), salts=b"others'!"))
        return read(descriptor, size, at)

    monkeypatch.setattr(os, "pread", begun_anew)
    assert sqlite._writer_in_wal(str(path)) == 0
    path.unlink()
    os.mkfifo(path)
    with open(os.open(path, os.O_RDWR), "rb"):
        assert sqlite._writer_in_wal(str(path)) == 0


def test_the_copy_is_private_while_it_is_made(app: Path, tmp_path: Path) -> None:
    live = make(app / "live.db", "delete", "CREATE TABLE filler (b)", fill(3))
    live.chmod(0o666)
    modes = []
    copy(str(live), str(tmp_path / "copy"), pause=lambda _: modes.append((tmp_path / "copy").stat().st_mode & 0o777))
    assert modes
    assert set(modes) == {0o600}


@pytest.mark.parametrize("mode", MODES)
def test_the_facts(app: Path, mode: str) -> None:
    live = make(
        app / "live.db",
        mode,
        "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name UNIQUE)",
        "INSERT INTO users (name) VALUES ('a'), ('b')",
        'CREATE TABLE "odd ""name""; --" (k PRIMARY KEY) WITHOUT ROWID',
        """INSERT INTO "odd ""name""; --" VALUES (1)""",
        "CREATE VIEW v AS SELECT * FROM users",
        "CREATE TABLE sqlitest (n)",
    )
    data = bytearray(live.read_bytes())
    data[96:100] = (3_045_001).to_bytes(4, "big")
    live.write_bytes(data)
    found = facts(str(live))
    assert found.journal_mode == ("wal" if mode == "wal" else "rollback")
    assert found.sqlite_version == "3.45.1"
    assert found.bytes == live.stat().st_size
    assert found.check == SOUND
    assert found.tables == {"users": 2, 'odd "name"; --': 1, "sqlitest": 0}
    assert found.warning.startswith("SQLite 3.45.1, the library that last wrote") == (mode == "wal")
    assert json.loads(json.dumps(dataclasses.asdict(found)))["tables"]["users"] == 2


def test_virtual_tables_are_copied_and_not_counted(app: Path, tmp_path: Path) -> None:
    try:
        live = make(
            app / "live.db", "wal", "CREATE VIRTUAL TABLE found USING fts5(text)", "INSERT INTO found VALUES ('words')"
        )
    except sqlite3.OperationalError:
        pytest.skip("this SQLite has no FTS5")
    found = copy(str(live), str(tmp_path / "copy"))
    assert "found" not in found.tables
    assert found.tables["found_content"] == 1
    assert names(str(tmp_path / "copy"), "SELECT text FROM found WHERE found MATCH 'words'") == {"words"}


def test_what_only_the_application_can_read_does_no_harm(app: Path, tmp_path: Path) -> None:
    """A virtual table of a module, and an index with a collation, that this SQLite does not have."""
    live = app / "live.db"
    connection = sqlite3.connect(live, isolation_level=None)
    connection.create_collation("theirs", lambda a, b: (a > b) - (a < b))
    connection.execute("CREATE TABLE t (k TEXT COLLATE theirs PRIMARY KEY) WITHOUT ROWID")
    connection.execute("CREATE TABLE u (n)")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "INSERT INTO sqlite_master VALUES ('table', 'vec', 'vec', 0, 'CREATE VIRTUAL TABLE vec USING vec0(x)')"
    )
    connection.close()
    found = copy(str(live), str(tmp_path / "copy"))
    assert (found.check, found.tables, found.uncounted) == (NOT_CHECKED, {"t": 0, "u": 0}, ())
    assert "no such collation sequence: theirs" in found.why


def test_the_fingerprint_is_of_the_schema_alone(app: Path) -> None:
    def schema(name: str, *statements: str) -> str:
        return facts(str(make(app / name, "delete", *statements))).schema

    one = schema("1", "CREATE TABLE a (x,  y)", "CREATE INDEX i ON a (x)", "INSERT INTO a VALUES (1, 2)")
    other = schema(
        "2", "CREATE TABLE z (n)", "DROP TABLE z", "CREATE TABLE a (x,\n y)", "CREATE INDEX i ON a (x)", "ANALYZE"
    )
    less = schema("3", "CREATE TABLE a (x,  y)")
    assert one == other != less
    assert len(one) == 64
    assert int(one, 16)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_schema_and_rows_are_told_sooner_and_nothing_is_left(app: Path, mode: str) -> None:
    path = make(app / "db", mode, "CREATE TABLE a (x)", "CREATE VIEW v AS SELECT 1", "INSERT INTO a VALUES (1), (2)")
    before = contents(app)
    assert sqlite.schema(str(path)) == facts(str(path)).schema
    assert rows(str(path)) == facts(str(path)).tables == {"a": 2}
    assert contents(app) == before


def test_schema_and_rows_while_the_application_has_it_open(app: Path) -> None:
    path = make(app / "db", "wal")
    with holding(path, "CREATE TABLE later (n)", "INSERT INTO t VALUES (4)", "BEGIN", "INSERT INTO t VALUES (5)"):
        assert rows(str(path)) == {"t": 4, "later": 0}
        assert sqlite.schema(str(path)) == facts(str(path)).schema


@pytest.mark.parametrize("more", [0, 1])
def test_the_longest_path_that_sqlite_takes(app: Path, more: int) -> None:
    path = far(app, 504 + more)
    os.symlink(path.parent, app / "short")
    for name in (path, app / "short" / path.name):
        assert sqlite.fits(str(name)) == (not more)
        with pytest.raises(DockerVpsError, match="unable to open") if more else contextlib.nullcontext():
            assert rows(str(name)) == {"t": 3}


def test_a_table_whose_name_is_no_text_is_not_counted(app: Path) -> None:
    path = str(nameless(app / "db"))
    assert sqlite.counted(path) == ({"t": 3}, ["ttt\udcff"])
    with pytest.raises(DockerVpsError, match="SQLite cannot read .*can't encode"), sqlite.at_rest(path) as connection:
        connection.execute('SELECT count(*) FROM "ttt\udcff"')


def test_what_sqlite_says_may_not_be_utf8(app: Path) -> None:
    path = str(unspeakable(app / "db"))
    sqlite.recover_crash(path)
    said = r"malformed database schema \(vvv\\xff\)" if sys.version_info >= (3, 11) else sqlite.KEPT_BACK
    with pytest.raises(DockerVpsError, match=said), sqlite.at_rest(path) as connection:
        connection.execute("SELECT 1 FROM t")


def test_a_failure_without_words_has_a_reason() -> None:
    assert sqlite.message_of(sqlite3.DatabaseError()) == sqlite.KEPT_BACK  # as Python before 3.11 has it


@pytest.mark.parametrize("ask", [sqlite.schema, rows])
def test_what_is_no_database_has_neither(app: Path, ask: Callable[[str], object]) -> None:
    (app / "db").write_bytes(b"x" * 4096)
    with pytest.raises(DockerVpsError, match="does not begin as an SQLite 3 database does"):
        ask(str(app / "db"))


def test_names_are_text_of_the_first_column(app: Path) -> None:
    path = make(
        app / "db",
        "delete",
        "CREATE TABLE t (a, b)",
        "INSERT INTO t VALUES ('x', 1), (NULL, 2), (7, 3), (x'ff2e', 4), ('x', 5)",
    )
    assert names(str(path), "SELECT a, b FROM t") == {"x", "7", os.fsdecode(b"\xff.")}


@pytest.mark.parametrize("ends", ["", " WHERE n < 0"])
def test_a_query_that_never_ends_is_ended(app: Path, ends: str) -> None:
    endless = f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT 1 FROM c) SELECT n FROM c{ends}"
    path = make(app / "db", "delete", f"CREATE VIEW media AS {endless}")
    began = time.monotonic()
    with pytest.raises(DockerVpsError, match="takes longer than 1 s. Correct the query, or what it reads"):
        names(str(path), "SELECT n FROM media", within=1.0)
    assert time.monotonic() - began < 10


def test_a_query_that_names_too_much_is_ended(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(app / "db", "delete", "CREATE TABLE t (a)", "INSERT INTO t VALUES ('x'), (zeroblob(600)), ('y')")
    monkeypatch.setattr(sqlite, "NAMES_BYTES", 800)
    assert len(names(str(path), "SELECT a FROM t")) == 3
    monkeypatch.setattr(sqlite, "NAMES_BYTES", 700)
    with pytest.raises(DockerVpsError, match="names more than .* of paths. Correct the query, or what it reads"):
        names(str(path), "SELECT a FROM t")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT filename FROM media", "no such table: media"),
        ("SELECT filename FROM interrupted", "no such table: interrupted"),
        ("DELETE FROM t", "readonly database"),
        ("CREATE TEMP TABLE x (n)", "readonly database"),
        ("SELECT 1; SELECT 2", r"one statement at a time\. Correct the query\."),
        ("nonsense", "syntax error"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_a_query_that_fails_is_named(app: Path, query: str, message: str, mode: str) -> None:
    path = make(app / "db", mode)
    before = contents(app)
    with pytest.raises(DockerVpsError, match=message) as failure:
        names(str(path), query)
    assert repr(query) in failure.value.message
    assert contents(app) == before


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0", bytes(range(256)) * 16], ids=["empty", "only its beginning", "encrypted"]
)
def test_empty_and_encrypted_files(app: Path, tmp_path: Path, content: bytes) -> None:
    (app / "db").write_bytes(content)
    with pytest.raises(DockerVpsError, match="empty, encrypted or damaged"):
        copy(str(app / "db"), str(tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()
    assert (app / "db").read_bytes() == content


@pytest.mark.parametrize("mode", MODES)
def test_encrypted_behind_a_plain_beginning(app: Path, tmp_path: Path, mode: str) -> None:
    path = make(app / "db", mode)
    data = path.read_bytes()
    path.write_bytes(data[:100] + os.urandom(len(data) - 100))
    found = copy(str(path), str(tmp_path / "copy"))
    assert (found.check, found.tables) == (DAMAGED, {})
    assert listing(app) == ["db"]


def test_damage_is_what_the_check_says(app: Path, tmp_path: Path) -> None:
    path = make(app / "db", "delete", "CREATE TABLE t (n)", "CREATE TABLE u (n)", "INSERT INTO u VALUES (1)")
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xaa" * 4096  # the root of t
    path.write_bytes(data)
    found = copy(str(path), str(tmp_path / "copy"))
    assert found.check == DAMAGED
    assert "btree" in found.why.lower() or "malformed" in found.why
    assert found.tables == {"u": 1}


@pytest.mark.parametrize("kind", ["missing", "link", "directory"])
def test_the_database_is_a_file(app: Path, tmp_path: Path, kind: str) -> None:
    if kind == "link":
        (app / "db").symlink_to(make(app / "other", "delete"))
    elif kind == "directory":
        (app / "db").mkdir()
    with pytest.raises(DockerVpsError, match="The database .* cannot be read: "):
        copy(str(app / "db"), str(tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()


def test_nothing_is_overwritten(app: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("precious")
    with pytest.raises(DockerVpsError, match="The copy .* cannot be made: File exists"):
        copy(str(make(app / "db", "wal")), str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_text() == "precious"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
    ).returncode:
        pytest.skip("may not mount")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk(app: Path, small_disk: Path) -> None:
    live = make(app / "db", "delete", "CREATE TABLE filler (b)", fill(3))
    with pytest.raises(DockerVpsError, match="there is no space for the copy"):
        copy(str(live), str(small_disk / "copy"))
    assert listing(small_disk) == []


def test_a_copy_that_cannot_get_its_owner_is_no_copy(app: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can leave a foreign owner behind")
    live = make(app / "db", "delete")
    os.chown(live, 1234, 5678)
    live.chmod(0o644)
    for folder in (app, *list(app.parents)[:4]):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o011)
    place = app / "place"
    place.mkdir()
    os.chown(place, 65534, 65534)
    os.seteuid(65534)
    try:
        with pytest.raises(DockerVpsError, match="cannot be completed: Operation not permitted"):
            sqlite.copy(str(live), str(place / "copy"))
    finally:
        os.seteuid(0)
    assert listing(place) == []


def test_the_tables_of_litestream_are_no_part_of_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE vendors (id)")
    before = sqlite.schema(str(path))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE _litestream_seq (id)")
    assert sqlite.schema(str(path)) == before
    assert "_litestream_seq" not in facts(str(path)).tables


def test_what_is_no_database_is_left_by_the_recovering_of_a_crash(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("no database")
    sqlite.recover_crash(str(tmp_path / "a.db"))
    assert (tmp_path / "a.db").read_text() == "no database"


def test_counting_rows_ends_in_time(tmp_path: Path) -> None:
    path = tmp_path / "large.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)"
        connection.execute(f"INSERT INTO t {numbers} SELECT zeroblob(900) FROM n")
        connection.commit()
    before = threading.active_count()
    with pytest.raises(DockerVpsError, match="counting its rows takes too long"):
        rows(str(path), within=0.0)
    assert rows(str(path), within=600.0) == {"t": 30000}
    assert threading.active_count() == before
