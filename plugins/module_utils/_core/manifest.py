# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup set is called and what its manifest says.

A set is one file per volume and a manifest, under one timestamp (UTC), in one directory:
``db-20260131-020000.tar.gz``, ``media-20260131-020000.tar.gz``, ``manifest-20260131-020000.json``.
The manifest is published last: a set is there when its manifest is there.
"""

from __future__ import annotations

import json
import math
import posixpath
import re
from dataclasses import MISSING, asdict, dataclass, field, fields
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from sys import intern
from typing import Any, Callable, Collection, Mapping, Optional, Sequence, Tuple, Type, TypeVar, cast

from .databases import CHECKS
from .errors import DockerVpsError, InvalidInput

T = TypeVar("T")

FORMAT = 1
IMPORTED = "imported"
"""The consistency of a set that was not made of live volumes; the others are online, pause and stop."""
TOOL_VERSION = "0.1.0"
ID_FORMAT = "%Y%m%d-%H%M%S"
SUFFIXES: Mapping[str, str] = {"gzip": ".tar.gz", "zstd": ".tar.zst", "none": ".tar"}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*(-[A-Za-z0-9_.]+)*")
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # as Docker has it
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9]{8}-[0-9]{6}")
_MANIFEST = re.compile(r"manifest-([0-9]{8}-[0-9]{6})\.json")
_ARCHIVE = re.compile(r".+-([0-9]{8}-[0-9]{6})(\.tar(\.gz|\.zst)?|\.index)")


LARGEST = 32 * 1024**2
"""Bytes of a manifest. One of 9,000 databases with 40 tables each takes half of it."""
_LONGEST_NUMBER = 19  # digits; 2**63 has as many
_MUCH = 1 << 16  # characters
_TOO_MANY = 1 << 63
_LONGEST_REASON = 300  # characters of a value that are shown


class BadManifest(DockerVpsError):
    """A manifest that cannot be used."""


@dataclass(frozen=True)
class Database:
    """A database of the application in an archive.

    Attributes:
        path: in the volume.
        journal_mode: wal or rollback; empty when that is not known.
        sqlite_version: of the SQLite library that last wrote it; empty when that is not known.
        check: sound, damaged or not checked; ``why`` is what was found, or the reason.
        tables: rows by ordinary table; ``uncounted`` are those that are there as well.
        lock_seconds: how long the copy kept writers waiting at most, in seconds.
        warning: a known bug of that library that loses data.
        quiet: whether nobody was writing when it was copied, or just before.
    """

    path: str
    journal_mode: str
    sqlite_version: str
    bytes: int
    check: str
    schema: str
    tables: Mapping[str, int]
    lock_seconds: float
    warning: str
    why: str = ""
    uncounted: tuple[str, ...] = ()
    quiet: bool = True


@dataclass(frozen=True)
class Foreign:
    """A database that somebody put into a volume, archived byte for byte; see ``Database`` for ``check``, ``why``."""

    path: str
    bytes: int
    check: str
    why: str


@dataclass(frozen=True)
class Archive:
    """One volume of a set; sizes in bytes, ``plain_bytes`` before compression.

    ``file`` is the archive, and ``sha256`` its digest (hexadecimal); or its index, when its content is in chunks that
    archives share. ``bytes`` are those of the content, shared or not.

    ``disk_bytes`` is what its files occupied on the disk, 0 when that is not known. ``options`` are those of the
    volume's driver.
    ``replica_files`` of the files are what a replica keeps beside a database, and come and go. ``index`` is the digest
    (hexadecimal) of the archive's index, from which the next archive is made; empty when there is none. ``unread``
    is how many archives, with this one, were made since the whole content was read.
    """

    name: str
    volume: str
    file: str
    compression: str
    sha256: str
    bytes: int
    plain_bytes: int
    files: int
    driver: str
    labels: Mapping[str, str]
    databases: tuple[Database, ...]
    inconsistent: tuple[str, ...]
    vanished: tuple[str, ...]
    skipped: tuple[str, ...]
    outside_links: int
    disk_bytes: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    replica_files: int = 0
    foreign: tuple[Foreign, ...] = ()
    index: str = ""
    unread: int = 0

    @property
    def shared(self) -> bool:
        """Whether its content is in chunks that archives share."""
        return is_index(self.file)

    @property
    def space(self) -> int:
        """How many bytes its files need on a disk; sparse ones need less than they seem to hold."""
        return self.disk_bytes or self.plain_bytes

    @property
    def checks(self) -> tuple[str, ...]:
        """The results of the checks of the application's databases."""
        return tuple(database.check for database in self.databases)


@dataclass(frozen=True)
class ReleaseOfSet:
    """What ran when the set was made; empty strings when nothing did."""

    container: str
    image: str
    image_id: str
    revision: str
    release: str


@dataclass(frozen=True)
class Uploads:
    """The proof that every upload the database names is in the archive; ``problem`` is why there is no proof."""

    named: int
    missing: tuple[str, ...]
    problem: str


@dataclass(frozen=True)
class DrillResult:
    """The result of one restore drill; ``at`` is UTC, ``seconds`` how long it took.

    ``recovery`` is how many seconds passed from the beginning of the restore until the application was healthy, a
    measured recovery time; 0 when it was not, or when a version made the drill that did not measure it.
    """

    at: str
    passed: bool
    reason: str
    image: str
    seconds: float
    recovery: float = 0.0


@dataclass(frozen=True)
class Manifest:
    """Everything known about a set. ``downtime`` is for how many seconds the application was paused or stopped.

    ``after`` is empty, or the latest timestamp of sets that were there when this one was made although they are dated
    later: the clock had been wrong.

    ``losses`` say what earlier sets have and this one has not, and ``lost_since`` are the timestamps of these sets,
    which have to stay; none when the loss was accepted.
    """

    format: int
    app: str
    id: str
    started: str
    finished: str
    reason: str
    consistency: str
    busy_timeout: float
    downtime: float
    release: ReleaseOfSet
    engine: str
    host: str
    tool_version: str
    archives: tuple[Archive, ...]
    uploads: Uploads
    warnings: tuple[str, ...]
    drills: tuple[DrillResult, ...] = ()
    after: str = ""
    losses: tuple[str, ...] = ()
    lost_since: tuple[str, ...] = ()

    @property
    def made(self) -> tuple[str, bool, str]:
        """By this, sets are in the order in which they were made, whatever the clock showed."""
        return made(self.id, self.after)

    @property
    def verified(self) -> bool:
        """Whether the last drill of this set passed."""
        return bool(self.drills) and self.drills[-1].passed

    @property
    def schema(self) -> str:
        """One fingerprint over the schemas of all databases, empty without any."""
        return "+".join(database.schema for archive in self.archives for database in archive.databases)


def made(set_id: str, after: str) -> tuple[str, bool, str]:
    """Return when a set was made, for comparison with others; see Manifest.after."""
    return max(set_id, after), bool(after), set_id


def manifest_file(set_id: str) -> str:
    """Return the name of a manifest."""
    return f"manifest-{set_id}.json"


def archive_file(name: str, set_id: str, compression: str) -> str:
    """Return the name of an archive."""
    return f"{name}-{set_id}{SUFFIXES[compression]}"


def index_file(name: str, set_id: str) -> str:
    """Return the name of an archive's index."""
    return f"{name}-{set_id}.index"


def is_index(path: str) -> bool:
    """Return whether a file of an archive is its index, so that its content is in chunks that archives share."""
    return path.endswith(".index")


def id_of(file: str, kind: str = "manifest") -> Optional[str]:
    """Return the timestamp in the name of a manifest, or of an archive or its index; None when the name is another."""
    found = (_MANIFEST if kind == "manifest" else _ARCHIVE).fullmatch(file)
    return found.group(1) if found else None


def time_of(set_id: str) -> datetime:
    """Return a timestamp's time (UTC).

    Raises:
        InvalidInput: it is not one.
    """
    try:
        if not _ID.fullmatch(set_id):
            raise ValueError(set_id)
        day, time = int(set_id[:8]), int(set_id[9:])  # strptime takes ten times as long
        parts = day // 10000, day // 100 % 100, day % 100, time // 10000, time // 100 % 100, time % 100
        return datetime(*parts, tzinfo=timezone.utc)
    except ValueError as error:
        raise InvalidInput(f"{set_id!r:.60} is not the timestamp of a set; expected YYYYMMDD-HHMMSS (UTC).") from error


def new_id(now: datetime, taken: Collection[str]) -> str:
    """Return the timestamp for a set that begins now (UTC); a second or more later when it is taken."""
    while now.strftime(ID_FORMAT) in taken:
        now += timedelta(seconds=1)
    return now.strftime(ID_FORMAT)


def upload_path(name: str) -> str:
    """Return the path in its volume of an upload that a row names, as archives have it; empty when it names none.

    A path that leads out of the volume remains one: ``../a.png`` or ``/a.png``.
    """
    if "\0" in name:
        return name  # of no file, and some versions of Python would cut it off there
    path = posixpath.normpath(name)
    return "" if path == "." else path


def check_names(names: Collection[str]) -> None:
    """Refuse names of archives that could be confused with each other, or with other files.

    Raises:
        InvalidInput: which, and why.
    """
    for name in names:
        if not _NAME.fullmatch(name) or name == "manifest":
            raise InvalidInput(f"{name!r} cannot name an archive: use letters, digits, _ and ., but not 'manifest'.")
    if len(set(names)) != len(names):
        raise InvalidInput(f"The archives need different names, but are {', '.join(names)}.")


def write(manifest: Manifest) -> str:
    """Return a manifest as JSON, from which it can be read back.

    Raises:
        BadManifest: it could not be.
    """
    text, file = json.dumps(asdict(manifest), indent=2) + "\n", manifest_file(manifest.id)
    try:
        if len(text) > LARGEST:
            raise ValueError(f"it has {len(text)} bytes, and {LARGEST} are the most")
        _parsed(text, file)
    except _UNREADABLE as error:
        raise BadManifest(
            f"{file} could not be read back, so it was not written: {_why(error)}. "
            "Look in the volumes for names that are not valid UTF-8 or very long, and report this."
        ) from error
    return text


def parse(text: str, file: str) -> Manifest:
    """Read a manifest that is in a file of this name.

    Raises:
        BadManifest: it is not one, or contradicts its file's name; it may come from anywhere, so nothing is believed.
    """
    try:
        return _parsed(text, file)
    except _UNREADABLE as error:
        raise BadManifest(
            f"{file} is not the manifest of a backup set: {_why(error)}. Restore it from another copy of the set."
        ) from error


_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError, InvalidInput)


def _parsed(text: str, file: str) -> Manifest:
    given = _json(text)
    if given["format"] != FORMAT:
        raise ValueError(f"its format is {given['format']!r:.40}, and this version reads {FORMAT}")
    manifest = _built(
        Manifest,
        given,
        release=_built(ReleaseOfSet, given["release"]),
        archives=tuple(_archive(archive) for archive in given["archives"]),
        uploads=_built(Uploads, given["uploads"]),
        drills=tuple(_built(DrillResult, drill) for drill in given.get("drills", ())),
    )
    _consistent(manifest, file)
    return manifest


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, KeyError):
        return f"{error!s:.200} is missing"
    return f"{error}"[:_LONGEST_REASON] or type(error).__name__


def _json(text: str) -> Any:
    """Read JSON in which nothing can be understood in two ways, and nothing costs much."""
    whole = _int if len(text) > _MUCH else None  # a number of a million digits takes minutes; a shorter one does not
    given = json.loads(
        text, object_pairs_hook=_object, parse_int=whole, parse_float=_float, parse_constant=_refuse_constant
    )
    if "\\ud" in text.lower():  # half of a letter beyond 16 bits cannot be written anywhere
        json.dumps(given, ensure_ascii=False).encode()
    return given


def _object(pairs: Sequence[Tuple[str, Any]]) -> Mapping[str, Any]:
    found = {intern(name): value for name, value in pairs}  # the names of tables are the same in thousands of sets
    if len(found) != len(pairs):
        names = [name for name, _unused in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r:.60} stands in it twice")
    return found


def _int(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f"{digits[:_LONGEST_NUMBER]}… is too large a number")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:_LONGEST_NUMBER]} is too large a number")
    return number


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _consistent(manifest: Manifest, file: str) -> None:
    time_of(manifest.id)
    if file != manifest_file(manifest.id):
        raise ValueError(f"it belongs to {manifest.id:.40}")
    if manifest.after:
        time_of(manifest.after)
    check_names([archive.name for archive in manifest.archives])
    for archive in manifest.archives:
        shared = archive.file == index_file(archive.name, manifest.id) and archive.sha256 == archive.index
        if not shared and archive.file != archive_file(archive.name, manifest.id, archive.compression):
            raise ValueError(f"it names the file {archive.file!r:.200}")
        if not _VOLUME.fullmatch(archive.volume):
            raise ValueError(f"{archive.volume!r:.200} cannot be the name of a volume")
        if not _SHA256.fullmatch(archive.sha256):
            raise ValueError(f"the sha256 of {archive.file} is {archive.sha256!r:.80}")
        if archive.index and not _SHA256.fullmatch(archive.index):
            raise ValueError(f"the sha256 of the index of {archive.file} is {archive.index!r:.80}")


def _archive(given: Mapping[str, Any]) -> Archive:
    databases = tuple(_built(Database, database) for database in given["databases"])
    foreign = tuple(_built(Foreign, database) for database in given.get("foreign", ()))
    for check in (*(database.check for database in databases), *(database.check for database in foreign)):
        if check not in CHECKS:
            raise ValueError(f"the check of a database is {check!r:.80}")
    return _built(Archive, given, databases=databases, foreign=foreign)


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _TOO_MANY


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and set(map(type, value)) <= {str}


def _are_counts(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    counts = value.values()
    return set(map(type, counts)) <= {int} and min(counts, default=0) >= 0 and max(counts, default=0) < _TOO_MANY


# What the annotations of the classes above mean for a value of JSON. No number of a manifest is below zero.
_JSON: Mapping[str, Callable[[Any], bool]] = {
    "str": _is_string,
    "int": _is_count,
    "float": lambda value: _is_count(value) or (isinstance(value, float) and value >= 0),
    "bool": lambda value: isinstance(value, bool),
    "tuple[str, ...]": _is_strings,
    "Mapping[str, str]": lambda value: isinstance(value, dict) and set(map(type, value.values())) <= {str},
    "Mapping[str, int]": _are_counts,
}


@lru_cache(maxsize=None)
def _fields(kind: Type[Any]) -> Sequence[Tuple[str, Optional[Callable[[Any], bool]], bool]]:
    """Return the fields of a class: name, what is right for it, and whether it may be missing."""
    return [
        (field.name, _JSON.get(str(field.type)), (field.default, field.default_factory) != (MISSING, MISSING))
        for field in fields(kind)
    ]


def _built(kind: Type[T], given: Mapping[str, Any], **ready: Any) -> T:
    """Return a dataclass of a JSON object: each field is of its type, and is there unless it has a default.

    Unknown ones are passed over, so that an earlier version and a later one read each other's manifests.
    """
    values = dict(ready)
    for name, right, optional in _fields(cast(Any, kind)):
        if name in ready or (optional and name not in given):
            continue
        value = given[name]
        if not right or not right(value):
            raise ValueError(f"{name} is {value!r:.{_LONGEST_REASON}}")
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)
