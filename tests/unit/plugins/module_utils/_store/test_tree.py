# SPDX-License-Identifier: GPL-3.0-or-later
"""A look into a directory counts what is there, opens next to nothing and follows no link."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Callable, Iterator

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.folders import LONGEST
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.tree import Survey, survey
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import hear_of_everything
from hypothesis import given
from hypothesis import strategies as st

EMPTY = Survey(0, 0, 0, (), (), 0, (), (), 0.0, 0)
MAGIC = b"SQLite format 3\0"


def database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (n)")
    connection.commit()
    connection.close()


def test_an_empty_directory(tmp_path: Path) -> None:
    assert survey(str(tmp_path)) == EMPTY


def test_files_and_directories_are_counted_and_hard_links_once(tmp_path: Path) -> None:
    (tmp_path / "media" / "deep").mkdir(parents=True)
    (tmp_path / "media" / "a").write_bytes(b"x" * 1000)
    (tmp_path / "media" / "deep" / "b").write_bytes(b"y" * 24)
    os.link(tmp_path / "media" / "a", tmp_path / "media" / "deep" / "again")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1_000_000)
    found = survey(str(tmp_path))
    assert (found.bytes, found.files, found.directories) == (1_001_024, 4, 2)


def test_what_files_occupy_is_counted_without_their_holes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(200 * 1024**3)
        file.seek(100 * 1024**3)
        file.write(b"x" * 8192)
    os.link(tmp_path / "sparse", tmp_path / "again")
    found = survey(str(tmp_path))
    assert found.bytes == 200 * 1024**3
    assert 8192 <= found.disk <= 64 * 1024


def deep(root: Path, name: str, depth: int) -> str:
    """Make a file below so many directories of 200 bytes, and return its path."""
    descriptor = os.open(root, os.O_RDONLY)
    for _turn in range(depth):
        with suppress(FileExistsError):
            os.mkdir("d" * 200, dir_fd=descriptor)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=descriptor))
    os.close(descriptor)
    return os.path.join(*["d" * 200] * depth, name)


def test_paths_that_the_kernel_takes_only_from_the_directory(tmp_path: Path) -> None:
    low = deep(tmp_path, "n" * 100, 19)
    with pytest.raises(OSError, match="File name too long"):
        os.lstat(tmp_path / ("x" * 200) / low)
    beyond = deep(tmp_path, "file", 30)
    found = survey(str(tmp_path))
    assert (found.files, found.directories) == (1, 19)
    (cut,) = found.too_long
    assert LONGEST < len(cut) <= LONGEST + 256
    assert beyond.startswith(cut)


def test_databases_and_what_lies_beside_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("payload.db", "sub/x.sqlite", "sub/no suffix"):
        database(tmp_path / name)
    for name in ("payload.db-wal", "payload.db-shm", "sub/x.sqlite-journal", "alone-wal", "sub/payload.db-shm"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "sub" / "x.sqlite-wal").mkdir()
    found = survey(str(tmp_path))
    assert found.databases == ("payload.db", "sub/no suffix", "sub/x.sqlite")
    assert found.sidecars == ("payload.db-shm", "payload.db-wal", "sub/x.sqlite-journal")


@pytest.mark.parametrize("flushed", [False, True])
def test_the_journal_of_a_transaction_under_way(tmp_path: Path, flushed: bool) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as database:
        database.execute("PRAGMA cache_size = 1")
        database.execute("CREATE TABLE written (text)")
        database.execute("BEGIN")
        for _number in range(1000 if flushed else 1):
            database.execute("INSERT INTO written VALUES (?)", ("x" * 1000,))
        assert (tmp_path / "a.db-journal").read_bytes().startswith(bytes(8)) != flushed
        found = survey(str(tmp_path))
    assert (found.sidecars, found.lookalikes) == (("a.db-journal",), ())


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (MAGIC + bytes(496), True),
        (MAGIC + bytes(495), False),  # no whole page
        (b"", False),
        (bytes(512), False),
        (b"SQLite format 2\0" + bytes(496), False),
    ],
)
def test_a_database_is_known_by_its_size_and_beginning(tmp_path: Path, content: bytes, wanted: bool) -> None:
    (tmp_path / "file").write_bytes(content)
    assert survey(str(tmp_path)).databases == (("file",) if wanted else ())


@pytest.mark.parametrize("name", ["payload.db", "a.SQLITE3"])
def test_a_database_that_was_cut_off_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(MAGIC + bytes(495))
    assert survey(str(tmp_path)).databases == (name,)


@pytest.mark.parametrize("name", [b"\xff\xfe.db", "Grüße?#%20.db".encode(), b"a\nb.db"])
def test_any_name_will_do(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "made").write_bytes(MAGIC + bytes(496))
    os.rename(tmp_path / "made", os.path.join(os.fsencode(tmp_path), name))
    assert [os.fsencode(path) for path in survey(str(tmp_path)).databases] == [name]


@pytest.mark.parametrize(
    ("target", "outside"),
    [
        ("/etc/passwd", True),
        ("../../x", True),
        ("../../", True),
        ("..", False),  # the root itself
        ("../a/../sub/x", False),
        ("../a/../../x", True),
        ("x", False),
        ("..x/y", False),
        ("../..x", False),
    ],
)
def test_links_are_judged_by_their_text_and_never_followed(tmp_path: Path, target: str, outside: bool) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "link").symlink_to(target)
    assert survey(str(tmp_path)) == Survey(0, 0, 1, (), (), int(outside), (), (), 0.0, 0)


@given(st.lists(st.sampled_from(["..", "a", ".", "b"]), min_size=1, max_size=8))
def test_a_link_leads_out_when_it_ever_climbs_above_the_root(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "sub").mkdir()
    (root / "sub" / "link").symlink_to("/".join(parts))
    depth, lowest = 1, 1
    for part in parts:
        depth += {"..": -1, ".": 0}.get(part, 1)
        lowest = min(lowest, depth)
    assert survey(str(root)).outside_links == (lowest < 0)


def test_sockets_devices_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    server = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(tmp_path)  # the path of a socket is short
    try:
        server.bind("run/s")
    finally:
        os.chdir(here)
        server.close()
    os.mkfifo(tmp_path / "pipe")
    found = survey(str(tmp_path))
    assert (found.sockets, found.devices, found.files) == (("run/s",), (), 0)


def test_devices_are_named(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(tmp_path / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 250))
    except PermissionError:
        pytest.skip("may not make devices")
    assert survey(str(tmp_path)).devices == ("disk", "null")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "other"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False).returncode:
        pytest.skip("may not mount")
    yield place
    subprocess.run(["umount", place], check=True)


def test_other_file_systems_are_not_entered(tmp_path: Path, mounted: Path) -> None:
    (mounted / "file").write_bytes(b"x")
    assert survey(str(tmp_path)) == Survey(0, 0, 1, (), (), 0, (), (), 0.0, 0, mounts=("other",))


def test_the_newest_file_and_those_after_a_time(tmp_path: Path) -> None:
    for name, when in (("a", 1000.0), ("b", 2000.0), ("c", 3000.5)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (when, when))
    assert survey(str(tmp_path)).newest == 3000.5
    assert [survey(str(tmp_path), since=when).newer for when in (999, 1000, 2000, 3000, 3001)] == [3, 2, 1, 1, 0]
    assert survey(str(tmp_path)).newer == 0


def test_what_vanishes_meanwhile_is_left_out(tmp_path: Path) -> None:
    """Directories, files, links and databases come and go while the walk goes on."""
    (tmp_path / "stays").write_bytes(b"x")
    crowd = """
import os, sys
os.chdir(sys.argv[1])
print("ready", flush=True)
while True:
    for number in range(40):
        name = f"d{number}"
        os.mkdir(name)
        with open(name + "/db", "wb") as file:
            file.write(b"SQLite format 3\\0" + bytes(496))
        os.symlink("/", name + "/link")
        os.rename(name, name + "-moved")
        os.symlink("stays", name)
    for number in range(40):
        name = f"d{number}-moved"
        os.unlink(f"d{number}")
        os.unlink(name + "/db")
        os.unlink(name + "/link")
        os.rmdir(name)
"""
    with subprocess.Popen([sys.executable, "-c", crowd, str(tmp_path)], stdout=subprocess.PIPE) as busy:
        try:
            assert busy.stdout is not None
            busy.stdout.readline()
            looks = [survey(str(tmp_path)) for _turn in range(300)]
        finally:
            busy.kill()
    assert all(look.files >= 1 and look.bytes >= 1 for look in looks)
    assert len({look.files for look in looks}) > 1


@pytest.fixture
def on_open() -> Iterator[list[Callable[[str], object]]]:
    """Python says what it is about to open; what is in the list hears it (a hook cannot be removed)."""
    heard: list[Callable[[str], object]] = []

    def hook(event: str, details: tuple[object, ...]) -> None:
        if event == "open":
            for hear in heard:
                hear(str(details[0]))

    hear_of_everything(hook)
    yield heard
    heard.clear()


def test_nothing_is_opened_that_cannot_be_a_database(tmp_path: Path, on_open: list[Callable[[str], object]]) -> None:
    for name, size in (("media", 1000), ("empty", 0), ("page", 4096)):
        (tmp_path / name).write_bytes(b"x" * size)
    opened: list[str] = []
    on_open.append(opened.append)
    survey(str(tmp_path))
    assert opened == [str(tmp_path), "page"]


@pytest.mark.parametrize("becomes", ["nothing", "link", "socket", "pipe"])
def test_a_database_that_is_replaced_at_the_last_moment(
    tmp_path: Path, on_open: list[Callable[[str], object]], becomes: str
) -> None:
    (tmp_path / "other").write_bytes(MAGIC + bytes(497))
    (tmp_path / "db").write_bytes(MAGIC + bytes(496))

    def replace(opened: str) -> None:
        if opened == "db":
            (tmp_path / "db").unlink()
            if becomes == "link":
                (tmp_path / "db").symlink_to("other")
            elif becomes == "socket":
                os.mknod(tmp_path / "db", 0o600 | stat.S_IFSOCK)
            elif becomes == "pipe":
                os.mkfifo(tmp_path / "db")

    on_open.append(replace)
    assert survey(str(tmp_path)).databases == ()


@pytest.mark.parametrize("becomes", ["nothing", "link", "file"])
def test_a_directory_that_is_replaced_at_the_last_moment(
    tmp_path: Path, on_open: list[Callable[[str], object]], becomes: str
) -> None:
    root, away = tmp_path / "root", tmp_path / "away"
    (root / "sub").mkdir(parents=True)
    away.mkdir()
    (away / "secret").touch()

    def replace(opened: str) -> None:
        if opened == str(root / "sub"):
            (root / "sub").rmdir()
            if becomes == "link":
                (root / "sub").symlink_to(away)
            elif becomes == "file":
                (root / "sub").touch()

    on_open.append(replace)
    assert survey(str(root)).files == 0


@pytest.mark.parametrize("kind", ["directory", "database"])
def test_what_may_not_be_read_is_an_error_and_not_left_out(kind: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        hidden = Path(root, "hidden")
        if kind == "directory":
            hidden.mkdir()
        else:
            hidden.write_bytes(MAGIC + bytes(496))
        hidden.chmod(0)
        me = os.geteuid()
        if me == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(DockerVpsError, match="Permission denied .*hidden"):
                survey(root)
        finally:
            os.seteuid(me)


def test_a_crowd_of_files_is_a_matter_of_a_moment(tmp_path: Path) -> None:
    for number in range(5000):
        os.close(os.open(tmp_path / str(number), os.O_CREAT))
    started = time.process_time()
    assert survey(str(tmp_path)).files == 5000
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("kind", ["missing", "file", "link"])
def test_the_root_is_a_directory(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "root"
    if kind == "file":
        root.touch()
    elif kind == "link":
        root.symlink_to(tmp_path)
    with pytest.raises(DockerVpsError, match="cannot be searched: (No such file|Not a directory)") as failure:
        survey(str(root))
    assert str(root) in failure.value.message
    assert "See with ls -l what is there" in failure.value.message


def test_what_litestream_keeps_beside_a_database_is_counted_apart(tmp_path: Path) -> None:
    for name in (".payload.db-litestream/ltx/0/1.ltx", "a/.b.db-litestream/generation", "payload.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("x-litestream/a", ".payload.db-litestreams/a", ".a-litestream"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = survey(str(tmp_path), since=0)
    assert (found.files, found.replica, found.newer) == (6, 2, 4)
