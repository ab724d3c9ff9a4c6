# SPDX-License-Identifier: GPL-3.0-or-later
"""What real volumes hold, one function for each kind, and what has to become of it in a backup.

A kind says what is right from how it was made, never by asking the product. Everything random comes from the chance
that it is given, so a seed makes the same volumes again.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import stat
import struct
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Mapping, Optional

MODES = ("delete", "truncate", "persist", "wal", "wal")
ENDINGS = (".db", ".sqlite", ".sqlite3", ".db3", ".gpkg", "")
ODD = (
    b"plain",
    b"new\nline",
    b"\xff\xfe not UTF-8",
    "Grüße".encode(),
    b" spaces ",
    b"-dash",
    b"--checkpoint=1",
    b"*?[a]",
    b"a?mode=rw#b%41&c",
    b"back\\slash\\n",
    b"tab\tbell\a",
    b"n" * 200,
)
LONGEST = 4000  # bytes of a path that docs/backup.md promises
WAL_MAGIC = b"\x37\x7f\x06\x82"


class Held:
    """A process that has something open, as an application does."""

    def __init__(self, use: Callable[[], Any]) -> None:
        """Start it; ``use`` returns what stays open, which is closed at the end."""
        ready, write_end = os.pipe()
        waiting, self._let_go = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            try:
                os.close(self._let_go)
                os.close(ready)
                kept = use()
                os.write(write_end, b"r")
                os.read(waiting, 1)
                kept.close()
            finally:
                os._exit(0)
        os.close(write_end)
        os.close(waiting)
        answer = os.read(ready, 1)
        os.close(ready)
        assert answer == b"r", "the process that holds a database ended early"

    def close(self) -> None:
        """Let it close what it has open, and end."""
        process, self._process = self._process, 0
        if process:
            with suppress(BrokenPipeError):  # it was killed
                os.write(self._let_go, b"x")  # not only closed: processes that were made later have it open as well
            os.close(self._let_go)
            os.waitpid(process, 0)

    def kill(self) -> None:
        """End it at once."""
        os.kill(self._process, signal.SIGKILL)
        self.close()


@dataclass
class Volume:
    """A directory in the making, and what has to become of what is in it; paths are relative to it.

    Attributes:
        own: whether databases in it are the application's.
        stops: whether the application is stopped for the backup.
        content: the application's databases, which come back by content; the other name is whose content it is.
        dropped: what no archive holds.
        named: what a warning has to name.
        unchecked: databases of the application that no check can vouch for.
        unclear: those that may be called sound or not checked, according to the version of SQLite.
        refused: what the sentence of a refusal has to say, by the database that is the reason.
        outside: symbolic links that lead out.
        moving: files that an application changes when it is stopped.
        held: processes that use something.
    """

    root: Path
    own: bool
    stops: bool
    content: dict[str, str] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    unchecked: set[str] = field(default_factory=set)
    unclear: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    outside: int = 0
    moving: set[str] = field(default_factory=set)
    held: list[Held] = field(default_factory=list)
    count: int = 0

    def place(self, chance: random.Random, ending: Optional[str] = None) -> Path:
        """Return a path where nothing is yet, in a folder that exists."""
        self.count += 1
        ending = chance.choice(ENDINGS) if ending is None else ending
        name = b"%d-" % self.count if chance.random() < 0.5 else b""
        folder = self.root if name else self.root / f"folder {self.count}"
        folder.mkdir(exist_ok=True)
        return folder / (os.fsdecode(name + chance.choice(ODD)) + ending)

    def path(self, path: Path) -> str:
        """Return a path relative to the volume."""
        return os.path.relpath(path, self.root)

    def database(self, path: Path) -> None:
        """Expect a database to come back: by content when it is the application's, and otherwise as it is."""
        if self.own:
            self.content[self.path(path)] = self.path(path)
            self.dropped |= {self.path(path) + suffix for suffix in ("-wal", "-shm", "-journal")}

    def close(self) -> None:
        """Let everybody go who uses something."""
        for one in self.held:
            one.close()


def slug(value: Any) -> str:
    """A function that an application brings, and this host's SQLite does not know."""
    return str(value).lower().replace(" ", "-")


def prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Give a connection what the application brings."""
    connection.create_function("slug", 1, slug, deterministic=True)
    connection.create_collation("german", lambda a, b: (a.lower() > b.lower()) - (a.lower() < b.lower()))
    return connection


def value(chance: random.Random) -> Any:
    """Return something that a column can hold."""
    return chance.choice(
        (
            None,
            chance.randrange(-(2**63), 2**63),
            2**53 + chance.randrange(9),
            chance.uniform(-1e300, 1e300),
            "Grüße 🎉 " * chance.randrange(40),
            "nul\0in text",
            chance.randbytes(chance.choice((0, 1, 700, 9000))),
        )
    )


def rows(connection: sqlite3.Connection, chance: random.Random, table: str, many: Optional[int] = None) -> None:
    """Make an ordinary table with an index and rows."""
    quoted = '"' + table.replace('"', '""') + '"'
    without = chance.random() < 0.2
    key = "id INTEGER PRIMARY KEY" if not without else "id INTEGER PRIMARY KEY NOT NULL"
    connection.execute(f"CREATE TABLE {quoted} ({key}, a, b TEXT){' WITHOUT ROWID' if without else ''}")
    if chance.random() < 0.5:
        connection.execute(f'CREATE INDEX "index of {chance.randrange(10**9)}" ON {quoted} (a, b)')
    number = chance.choice((0, 1, 30, 300)) if many is None else many
    ids = chance.sample(range(10 * number + 1), number)
    connection.executemany(
        f"INSERT INTO {quoted} VALUES (?, ?, ?)", ((one, value(chance), value(chance)) for one in ids)
    )


def connected(path: Path, chance: random.Random, mode: Optional[str] = None) -> sqlite3.Connection:
    """Make a database of some page size, encoding, vacuum and journal mode."""
    connection = prepared(sqlite3.connect(path, isolation_level=None))
    connection.execute(f"PRAGMA page_size = {2 ** chance.randrange(9, 17)}")
    connection.execute(f"PRAGMA encoding = '{chance.choice(('UTF-8', 'UTF-8', 'UTF-16le', 'UTF-16be'))}'")
    connection.execute(f"PRAGMA auto_vacuum = {chance.randrange(3)}")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(f"PRAGMA journal_mode = {mode or chance.choice(MODES)}")
    connection.execute(f"PRAGMA user_version = {chance.randrange(2**31)}")
    connection.execute(f"PRAGMA application_id = {chance.randrange(2**31)}")
    return connection


def filled(connection: sqlite3.Connection, chance: random.Random, many: Optional[int] = None) -> sqlite3.Connection:
    """Write tables in one transaction, and remove some rows again, so that there are free pages."""
    connection.execute("BEGIN")
    for number in range(chance.randrange(1, 5)):
        table = chance.choice(('quo"ted', "vendors", "Größe", "select", "a b")) + str(number)
        rows(connection, chance, table, many)
        if chance.random() < 0.3:
            connection.execute('DELETE FROM "{}" WHERE id % 3 = 0'.format(table.replace('"', '""')))
    connection.execute("COMMIT")
    return connection


def aged(path: Path, chance: random.Random) -> None:
    """Give a file, and the journal that may be beside it, a time, a mode and an owner."""
    if chance.random() < 0.5:
        mode, modified = chance.choice((0o600, 0o644, 0o660, 0o444)), chance.randrange(10**18, 17 * 10**17)
        for one in (path, Path(f"{path}-journal")):
            if one.exists():
                os.chmod(one, mode)
                if os.geteuid() == 0:
                    os.chown(one, 1000, 1001)
                os.utime(one, ns=(1, modified))


# Databases


def sound(volume: Volume, chance: random.Random) -> Path:
    """A database at rest, of any page size, encoding and journal mode."""
    path = volume.place(chance)
    with closing(connected(path, chance)) as connection:
        filled(connection, chance)
    aged(path, chance)
    volume.database(path)
    return path


def in_use(volume: Volume, chance: random.Random) -> Path:
    """A database in WAL mode that a process has open, with rows that only its log holds."""
    path, seed = volume.place(chance), chance.random()

    def use() -> sqlite3.Connection:
        own = random.Random(seed)
        connection = connected(path, own, "wal")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        filled(connection, own)
        if own.random() < 0.5:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        rows(connection, own, "only in the log", 40)
        return connection

    volume.held.append(Held(use))
    volume.database(path)
    if volume.stops:
        volume.moving |= {volume.path(path) + suffix for suffix in ("", "-wal", "-shm")}
    return path


def killed(volume: Volume, chance: random.Random) -> Path:
    """A database whose process was killed: rows are in a log that nobody has open."""
    path = in_use(volume, chance)
    volume.held.pop().kill()
    if chance.random() < 0.5:
        os.unlink(f"{path}-shm")
    return path


def hot_journal(volume: Volume, chance: random.Random) -> Path:
    """A database whose process was killed within a transaction that had reached the file."""
    path, seed = volume.place(chance), chance.random()

    def use() -> sqlite3.Connection:
        own = random.Random(seed)
        connection = filled(connected(path, own, "delete"), own, 300)
        connection.execute("PRAGMA synchronous = FULL")  # or the journal does not count yet
        connection.execute("PRAGMA cache_size = 2")
        connection.execute("BEGIN IMMEDIATE")
        rows(connection, own, "never committed", 400)
        return connection

    held = Held(use)
    held.kill()
    assert Path(f"{path}-journal").read_bytes()[:8] == b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
    volume.database(path)
    if volume.own:
        volume.refused[volume.path(path)] = "crash interrupted a write"
    return path


def linked(volume: Volume, chance: random.Random) -> Path:
    """A second name of a database, as a careless copy makes it."""
    path = chance.choice((sound, in_use, killed))(volume, chance)
    other = path.with_name(f"{volume.count}-copy.bak")
    os.link(path, other)
    if volume.own:
        volume.content[volume.path(other)] = volume.path(path)
    if volume.path(path) in volume.moving:
        volume.moving.add(volume.path(other))
    return path


def symlinked(volume: Volume, chance: random.Random) -> Path:
    """A symbolic link to a database."""
    path = sound(volume, chance)
    path.with_name(f"{volume.count}-latest.db").symlink_to(path.name)
    return path


def with_indices_of_words(volume: Volume, chance: random.Random) -> Path:
    """Virtual tables that this host knows."""
    path = volume.place(chance)
    with closing(connected(path, chance)) as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5(title, body)")
        connection.execute("CREATE VIRTUAL TABLE places USING rtree(id, x0, x1)")
        many = range(chance.randrange(1, 60))
        connection.executemany("INSERT INTO words VALUES (?, ?)", ((f"title {n}", "word " * n) for n in many))
        connection.executemany("INSERT INTO places VALUES (?, ?, ?)", ((n, n, n + 1) for n in many))
        filled(connection, chance)
    volume.database(path)
    return path


def with_foreign_words(volume: Volume, chance: random.Random) -> Path:
    """A database that this host's SQLite cannot understand as a whole, although nothing is wrong with it."""
    path = volume.place(chance)
    with closing(connected(path, chance)) as connection:
        filled(connection, chance)
        brought = chance.choice((newer_view, newer_trigger, function, collation, tokenizer, module))
        brought(connection)
    volume.database(path)
    if volume.own:
        # The pages of an index of words are those of ordinary tables: only SQLite since 3.44 looks further.
        (volume.unclear if brought in (tokenizer, module) else volume.unchecked).add(volume.path(path))
    return path


def written_schema(connection: sqlite3.Connection, kind: str, name: str, sql: str) -> None:
    """Write an object into the schema that this SQLite cannot parse."""
    connection.execute("PRAGMA writable_schema = ON")
    table = name if kind == "view" else "base"
    connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, 0, ?)", (kind, name, table, sql))
    connection.execute("PRAGMA writable_schema = OFF")


def newer_view(connection: sqlite3.Connection) -> None:
    """A view in SQL of a later version."""
    written_schema(connection, "view", "newer", "CREATE VIEW newer AS SELECT 1 ->>> 2 OF THE FUTURE")


def newer_trigger(connection: sqlite3.Connection) -> None:
    """A trigger in SQL of a later version."""
    connection.execute("CREATE TABLE base (a)")
    written_schema(connection, "trigger", "newer", "CREATE TRIGGER newer AFTER INSERT ON base DO THE FUTURE; END")


def function(connection: sqlite3.Connection) -> None:
    """A generated column by a function of the application."""
    connection.execute("CREATE TABLE posts (title TEXT, slug TEXT GENERATED ALWAYS AS (slug(title)) STORED)")
    connection.execute("CREATE INDEX by_slug ON posts (slug(title))")
    connection.execute("INSERT INTO posts (title) VALUES ('A Title')")


def collation(connection: sqlite3.Connection) -> None:
    """An order of the application."""
    connection.execute("CREATE TABLE people (name TEXT COLLATE german)")
    connection.execute("CREATE INDEX by_name ON people (name)")
    connection.executemany("INSERT INTO people VALUES (?)", (("b",), ("A",), ("c",)))


def tokenizer(connection: sqlite3.Connection) -> None:
    """An index of words by a tokenizer of the application."""
    connection.execute("CREATE VIRTUAL TABLE found USING fts5(body)")
    connection.execute("INSERT INTO found VALUES ('some words')")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "UPDATE sqlite_master SET sql = replace(sql, '(body)', '(body, tokenize=snowball)') WHERE name = 'found'"
    )
    connection.execute("PRAGMA writable_schema = OFF")


def module(connection: sqlite3.Connection) -> None:
    """A virtual table of a module of the application."""
    written_schema(connection, "table", "vectors", "CREATE VIRTUAL TABLE vectors USING vec0(embedding float[4])")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_master SET tbl_name = name WHERE name = 'vectors'")


def broken_rules(volume: Volume, chance: random.Random) -> Path:
    """Rows that break a rule of their table: the pages are whole."""
    path = volume.place(chance)
    with closing(connected(path, chance)) as connection:
        connection.execute("CREATE TABLE aged (age INTEGER CHECK (age > 0))")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("INSERT INTO aged VALUES (-1)")
        filled(connection, chance)
    volume.database(path)
    return path


def damaged(volume: Volume, chance: random.Random) -> Path:
    """A database with one page overwritten, or cut off."""
    path = volume.place(chance)
    with closing(connected(path, chance, chance.choice(("delete", "wal")))) as connection:
        filled(connection, chance, 300)
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        roots = connection.execute("SELECT rootpage FROM sqlite_master WHERE type = 'table'").fetchall()
    if chance.random() < 0.5:
        with path.open("r+b") as file:
            file.seek((chance.choice(roots)[0] - 1) * size)
            file.write(chance.randbytes(size))
    else:
        os.truncate(path, max(size, path.stat().st_size // 2 // size * size))
    if volume.own:
        volume.refused[volume.path(path)] = "damaged"
    else:
        volume.named.add(volume.path(path))
    return path


def encrypted(volume: Volume, chance: random.Random) -> Path:
    """A database that only its application can read, with its log."""
    path = volume.place(chance, ".db")
    path.write_bytes(chance.randbytes(4096 * chance.randrange(3, 9)))
    header = struct.pack(">4sIII", WAL_MAGIC, 3007000, 4096, 0) + chance.randbytes(16)
    Path(f"{path}-wal").write_bytes(header + chance.randbytes(24 + 4096))
    Path(f"{path}-shm").write_bytes(bytes(32768))
    if volume.own and not volume.stops:
        volume.refused[volume.path(path)] = "setting backup_consistency"
    return path


def empty(volume: Volume, chance: random.Random) -> Path:
    """A database into which nothing has been written."""
    path = volume.place(chance, ".db")
    path.touch()
    return path


def tenants(volume: Volume, chance: random.Random) -> Path:
    """A database for each of many tenants."""
    first = sound(volume, chance)
    folder = first.with_name(f"{volume.count} tenants")
    folder.mkdir()
    start = first.read_bytes()
    for number in range(chance.choice((20, 80))):
        other = folder / f"{number}.db"
        other.write_bytes(start)
        if volume.own:
            volume.content[volume.path(other)] = volume.path(other)
    return first


def far_down(volume: Volume, chance: random.Random) -> Path:
    """A file like a database, lower down than SQLite takes paths, so that no application has one there."""
    path = volume.place(chance).parent.joinpath(*["d" * 180] * 5, f"{volume.count}.db")
    path.parent.mkdir(parents=True, exist_ok=True)
    made = volume.root / "to move"
    with closing(connected(made, chance, "delete")) as connection:
        filled(connection, chance)
    made.rename(path)
    if volume.own:
        volume.named.add(volume.path(path))
    return path


# Uploads, and other files


def text_beside(volume: Volume, chance: random.Random) -> Path:
    """A text that has the name of a journal."""
    path = volume.place(chance, ".db")
    with closing(connected(path, chance, "delete")) as connection:
        filled(connection, chance)
    Path(f"{path}-{chance.choice(('journal', 'wal', 'shm'))}").write_text("What I did today.\n" * 40)
    return path


def files(volume: Volume, chance: random.Random) -> Path:
    """Files of many names, sizes, times, modes and owners."""
    for _turn in range(chance.choice((1, 5, 60))):
        path = volume.place(chance, chance.choice((".png", "", ".db-wal", ".txt")))
        path.write_bytes(chance.randbytes(chance.choice((0, 1, 511, 512, 513, 20_000))))
        aged(path, chance)
    return path


def huge_count(volume: Volume, chance: random.Random) -> Path:
    """Very many files in one folder."""
    folder = volume.place(chance, "")
    folder.mkdir()
    for number in range(1500):
        (folder / str(number)).write_bytes(b"%d" % number)
    return folder


def sparse(volume: Volume, chance: random.Random) -> Path:
    """A file that is far larger than the space that it takes."""
    path = volume.place(chance, chance.choice((".mdb", ".db", "")))
    with path.open("wb") as file:
        for _turn in range(chance.randrange(4)):
            file.seek(chance.randrange(2**28))
            file.write(chance.randbytes(chance.choice((1, 4096, 70_000))))
        file.truncate(2**28 + chance.randrange(9000))
    return path


def hard_links(volume: Volume, chance: random.Random) -> Path:
    """A file with several names."""
    path = volume.place(chance, ".png")
    path.write_bytes(chance.randbytes(3000))
    for _turn in range(chance.randrange(1, 4)):
        os.link(path, volume.place(chance, ".link"))
    return path


def links(volume: Volume, chance: random.Random) -> Path:
    """Symbolic links to what is there, what is not, and what is elsewhere."""
    path = volume.place(chance, ".to")
    target = chance.choice(("nowhere", ".", "a/../b", "/etc/hostname", "../" * 30 + "etc"))
    path.symlink_to(target)
    volume.outside += target.startswith(("/", ".."))
    return path


def folders(volume: Volume, chance: random.Random) -> Path:
    """Deep and empty folders."""
    deep = volume.place(chance, "").joinpath(*[chance.choice(("d" * 100, "e", "ü"))] * chance.randrange(1, 12))
    deep.mkdir(parents=True)
    (deep / "at the bottom").write_bytes(b"x")
    bare = volume.place(chance, "")
    bare.mkdir()
    os.chmod(bare, chance.choice((0o2755, 0o700, 0o1777)))
    os.utime(bare, ns=(1, chance.randrange(10**18)))
    return deep


def too_deep(volume: Volume, chance: random.Random) -> Path:
    """A file whose path is longer than a system call takes one, and so than an archive holds one."""
    top = volume.place(chance, "")
    top.mkdir()
    path, at, left_out = volume.path(top), os.open(top, os.O_RDONLY), list[str]()
    for _turn in range(18):
        os.mkdir("p" * 250, dir_fd=at)
        below = os.open("p" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        path, at = f"{path}/{'p' * 250}", below
        left_out += [path] if len(os.fsencode(path)) > LONGEST else []
    os.close(os.open("at the bottom", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    volume.dropped |= {*left_out, f"{path}/at the bottom"}
    volume.named.add(volume.path(top))
    return top


def notes(volume: Volume, chance: random.Random) -> Path:
    """Extended attributes, an access list, a capability."""
    path = volume.place(chance, ".noted")
    path.write_bytes(b"x")
    entries = ((1, 6, 2**32 - 1), (2, 4, 1234), (4, 4, 2**32 - 1), (16, 6, 2**32 - 1), (32, 0, 2**32 - 1))
    wanted: Mapping[str, bytes] = {
        "user.note": chance.randbytes(30),
        "user.empty": b"",
        "system.posix_acl_access": struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries),
        "security.capability": struct.pack("<IIIII", 0x02000001, 0x400, 0, 0, 0),
        "trusted.note": b"of root",
    }
    for name, data in wanted.items():
        with suppress(OSError):  # what this user or file system cannot have
            os.setxattr(path, name, data)
    return path


def specials(volume: Volume, chance: random.Random) -> Path:
    """Pipes, sockets and devices."""
    pipe = volume.place(chance, ".pipe")
    os.mkfifo(pipe)
    bound = volume.root / f"{volume.count} socket"
    listener = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(volume.root)  # the path of a socket must be short
    try:
        listener.bind(bound.name)
    finally:
        os.chdir(here)
        listener.close()
    gone = [bound]
    if os.geteuid() == 0:
        gone.append(volume.root / f"{volume.count} device")
        with suppress(OSError):
            os.mknod(gone[-1], stat.S_IFCHR | 0o600, os.makedev(1, 3))
    volume.dropped |= {volume.path(one) for one in gone}
    volume.named |= {volume.path(one) for one in gone if os.path.lexists(one)}
    return pipe


Kind = Callable[[Volume, random.Random], Path]
DATABASES: tuple[Kind, ...] = (
    sound, in_use, killed, hot_journal, linked, symlinked, with_indices_of_words, with_foreign_words, broken_rules,
    damaged, encrypted, empty, tenants, far_down,
)  # fmt: skip
FILES: tuple[Kind, ...] = (
    files, files, huge_count, sparse, hard_links, links, folders, too_deep, notes, specials,
)  # fmt: skip
UPLOADS: tuple[Kind, ...] = (text_beside,)
KINDS: Mapping[str, Kind] = {kind.__name__: kind for kind in (*DATABASES, *FILES, *UPLOADS)}
STOPPING = {"hot_journal", "damaged", "encrypted"}
"""Kinds that stop a backup when they are the application's, so only some volumes have one."""
