# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the backup sets of an app: what they are, and what is wrong with them. Nothing is changed."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence, Set, Tuple

from .._core.clock import WallClock
from .._core.data_loss import loss_sentences, unaccepted
from .._core.databases import CHECKS, DAMAGED, NOT_CHECKED, SIDECARS, comparable, other_rows, tally
from .._core.errors import DockerVpsError
from .._core.manifest import Archive, Database
from .._core.tar_members import HARD_LINK, Member, plain
from .._core.text import counted, listed, shown, size
from .._store import archive, tree
from .._store.examiner import Examiner
from .._store.files import SCRATCH
from .._store.packed import digest_of
from .._store.references import References
from .._store.sets import BackupSet, Sets
from . import job_history

LEVELS = ("exists", "checksum", "full")
ISO = "%Y-%m-%dT%H:%M:%SZ"


Finding = Tuple[bool, str]
"""Whether it is a problem of a set, and what was found."""


@dataclass(frozen=True)
class Difference:
    """What a restored volume has otherwise than its manifest says.

    ``lost`` is whether something is lost, ``uncounted`` whether the rows of a database could not be compared.
    """

    lost: bool
    sentence: str
    uncounted: bool = False


@dataclass(frozen=True)
class Params:
    """What to look at: all sets, or the one that ``which`` names; and how closely, one of LEVELS."""

    which: str = ""
    level: str = "exists"
    fail_on_problems: bool = False


def run(params: Params, sets: Sets, clock: WallClock) -> dict[str, Any]:
    """Return what there is, newest first.

    Raises:
        DockerVpsError: the directory or the set wanted cannot be read; or there are problems, and that is a failure.
    """
    now = clock.utc()
    here = sets.listing()
    looked_at = [sets.find(params.which, now)] if params.which else here.sets
    past = [backup_set.manifest for backup_set in here.sets if backup_set.time <= now]
    held = sets.held(past)
    references = References()
    rows = [
        _row(backup_set, findings(backup_set, params.level, references), held.get(backup_set.manifest.id, ""), now)
        for backup_set in looked_at
    ]
    result = {
        "changed": False,
        "directory": sets.directory,
        "sets": rows,
        "unreadable": list(here.unreadable),
        "orphaned": list(here.orphaned),
        "newest_good": _newest_good(rows),
        "last_verified": _last_verified(looked_at, now),
        "cautions": [" ".join(loss_sentences(manifest)) for manifest in unaccepted(past)],
        "runs": {job: asdict(last) for job, last in job_history.read(sets.directory).items()},
    }
    result["summary"] = list(_summary(sets, result))
    wrong = [f"{row['id']}: {_joined(row['problems'])}" for row in rows if row["problems"]] + list(here.unreadable)
    if wrong and params.fail_on_problems:
        raise DockerVpsError(
            f"Backups of {sets.app} in {sets.directory} cannot be relied on, so make a new one or bring back another "
            f"copy: {' | '.join(wrong)}",
            **result,
        )
    return result


def problems(backup_set: BackupSet, level: str, references: Optional[References] = None) -> list[str]:
    """Return what is wrong with a set, as far as a level looks; see findings."""
    return [finding for is_wrong, finding in findings(backup_set, level, references) if is_wrong]


def findings(backup_set: BackupSet, level: str, references: Optional[References] = None) -> list[Finding]:
    """Return what is wrong with a set, and what could not be determined, as far as a level looks.

    ``exists`` looks at files and their sizes, ``checksum`` reads every file, and ``full`` judges every member of
    every archive too, and opens every database. But for ``full``, what several sets have is checked once:
    ``references`` are what was found already, to which is added what is.
    """
    references = references or References()
    found = [(True, absent) for absent in backup_set.absent(references)]
    if found or level == "exists":
        return found
    look = partial(_checksum, proven=references.proven) if level == "checksum" else _full
    for each in backup_set.manifest.archives:
        try:
            found += look(backup_set.path(each), each)
        except DockerVpsError as error:
            found.append((True, error.message))
    return found


def compared(recorded: Archive, root: str) -> Iterator[Difference]:
    """Yield how a restored volume that may be in use differs from its manifest."""
    survey = tree.survey(root)
    paths = {shown(path): path for path in survey.databases}
    beside = {database.path + suffix for database in recorded.databases for suffix in SIDECARS}
    count = survey.files - len(beside & {*map(shown, survey.sidecars)})
    # What the application keeps beside an encrypted database comes and goes.
    some = len(SIDECARS) * sum(not database.journal_mode for database in recorded.databases)
    if not recorded.files - some <= count <= recorded.files + some:
        sentence = f"{recorded.name} has {counted(count, 'file')}, and the manifest says {recorded.files}"
        yield Difference(count < recorded.files, sentence)
    with Examiner() as examiner:
        for database in recorded.databases:
            if database.path in paths:
                yield from _compared(database, os.path.join(root, paths[database.path]), examiner)
            elif database.journal_mode or not os.path.isfile(os.path.join(root, database.path)):
                yield Difference(True, f"{recorded.name} has no database {database.path}")


def _compared(recorded: Database, path: str, examiner: Examiner) -> Iterator[Difference]:
    facts = examiner.facts(path, live=True)
    if facts.check == DAMAGED:
        yield Difference(True, f"the database {recorded.path} is damaged: {facts.why}")
    elif facts.check == NOT_CHECKED:
        sentence = f"the database {recorded.path} was not checked: {facts.why}"
        yield Difference(False, sentence, uncounted=not facts.schema)
    elif facts.why:
        yield Difference(False, f"the database {recorded.path} is sound, but {facts.why}")
    yield from _tables(recorded.path, *comparable(recorded, facts))


def _tables(path: str, recorded: Mapping[str, int], now: Mapping[str, int]) -> Iterator[Difference]:
    for table in sorted({*recorded, *now}):
        before, after = recorded.get(table), now.get(table)
        if after is None:
            yield Difference(True, f"the table {table} of {path} is missing")
        elif before is None:
            yield Difference(False, f"the table {table} of {path} is new")
        elif before != after:
            sentence = f"the table {table} of {path} has {counted(after, 'row')}, and the manifest says {before}"
            yield Difference(after < before, sentence)


def _checksum(path: str, recorded: Archive, proven: Set[str]) -> Iterator[Finding]:
    try:
        facts = os.stat(path)
        one_file = f"{facts.st_dev} {facts.st_ino} {recorded.sha256}"
        if one_file in proven:
            return
        sha256 = digest_of(path, proven)
    except OSError as error:
        raise DockerVpsError(f"{recorded.file} cannot be read: {error.strerror}") from error
    if sha256 != recorded.sha256:
        yield True, f"{recorded.file} has the SHA-256 {sha256}, and the manifest says {recorded.sha256}"
    else:
        proven.add(one_file)


def _full(path: str, recorded: Archive) -> Iterator[Finding]:
    archive.examine(
        path,
        recorded.compression,
        sha256=recorded.sha256,
        plain_bytes=recorded.plain_bytes,
        allow_outside_links=recorded.outside_links > 0,
    )
    if recorded.databases:
        try:
            with tempfile.TemporaryDirectory(
                prefix="docker-vps-verify-", dir=SCRATCH
            ) as scratch, Examiner() as examiner:
                copies = _unpacked(path, recorded, scratch)
                for database in recorded.databases:
                    yield from _differences(recorded.file, database, copies.get(database.path), examiner)
        except OSError as error:
            raise DockerVpsError(
                f"The databases of {recorded.file} could not be checked in {SCRATCH}: {error.strerror or error}"
            ) from error


def _unpacked(path: str, recorded: Archive, scratch: str) -> Mapping[str, str]:
    """Return copies of the databases in an archive that was examined; the last of several members wins."""
    most = {database.path: database.bytes for database in recorded.databases}
    chosen = _taken(path, recorded, scratch, most)
    if chosen.targets:
        chosen = _taken(path, recorded, scratch, {**chosen.targets, **most})
    return {name: os.path.join(scratch, chosen.places[name]) for name in most if name in chosen.places}


def _taken(path: str, recorded: Archive, scratch: str, most: Mapping[str, int]) -> _Databases:
    chosen = _Databases(recorded.file, most)
    archive.extract_content(
        path,
        recorded.compression,
        scratch,
        chosen,
        allow_outside_links=recorded.outside_links > 0,
    )
    for name, place in chosen.places.items():
        chosen.refuse_larger(name, os.path.getsize(os.path.join(scratch, place)))  # with the holes of a sparse file
    return chosen


class _Databases:
    """Chooses the databases in an archive: ``places`` is where they are in it, by the names of a manifest.

    One that is a further name (hard link) of a member has the content of that one, which came before it. When that was
    not chosen, ``targets`` says how many bytes it may have.
    """

    def __init__(self, file: str, most: Mapping[str, int]) -> None:
        self.file, self.most = file, most
        self.places: Dict[str, str] = {}
        self.targets: Dict[str, int] = {}

    def __call__(self, member: Member) -> bool:
        name = shown(plain(member.name))
        if not member.is_file or name not in self.most:
            return False
        if member.kind == HARD_LINK:
            target = shown(plain(member.link))
            if target not in self.places:
                self.targets[target] = self.most[name]
                return False
        self.refuse_larger(name, member.size)
        self.places[name] = plain(member.name)
        return True

    def refuse_larger(self, name: str, size: int) -> None:
        """Refuse what would take more space than the manifest says.

        Raises:
            DockerVpsError: it has more bytes.
        """
        if size > self.most[name]:
            raise DockerVpsError(f"{self.file} has more bytes in {name} than the manifest says")


def _differences(file: str, recorded: Database, copy: Optional[str], examiner: Examiner) -> Iterator[Finding]:
    if copy is None:
        yield True, f"{file} has no database {recorded.path}, and the manifest names it"
    elif recorded.journal_mode:  # others are encrypted, and the archive's checksum is all there is to compare
        facts = examiner.facts(copy)
        wrong = other_rows(recorded, facts)
        if facts.check == DAMAGED:
            yield True, f"The database {recorded.path} in {file} is damaged: {facts.why}"
        elif wrong:
            rows = [f"{table} {facts.tables.get(table)}, not {recorded.tables.get(table)}" for table in wrong]
            yield (
                True,
                f"The database {recorded.path} in {file} has other rows than the manifest says: {', '.join(rows)}",
            )
        if facts.check == NOT_CHECKED:
            yield False, f"The database {recorded.path} in {file} was not checked: {facts.why}"


def _row(backup_set: BackupSet, found: Sequence[Finding], held: str, now: datetime) -> dict[str, Any]:
    manifest = backup_set.manifest
    checks = [check for each in manifest.archives for check in each.checks]
    return {
        "id": manifest.id,
        "time": backup_set.time.strftime(ISO),
        "age": int((now - backup_set.time).total_seconds()),
        "reason": manifest.reason,
        "consistency": manifest.consistency,
        "release": manifest.release.release,
        "revision": manifest.release.revision,
        "image": manifest.release.image,
        "bytes": sum(each.bytes for each in manifest.archives),
        "files": sum(each.files for each in manifest.archives),
        "archives": [each.file for each in manifest.archives],
        "databases": [
            {
                "archive": each.name,
                "path": database.path,
                "check": database.check,
                "why": database.why,
                "tables": dict(database.tables),
            }
            for each in manifest.archives
            for database in each.databases
        ],
        "uploads_missing": list(manifest.uploads.missing),
        "losses": list(manifest.losses),
        "held": held,
        "checks": {check: checks.count(check) for check in CHECKS},
        "warnings": list(manifest.warnings),
        "verified": manifest.verified,
        "last_drill": asdict(manifest.drills[-1]) if manifest.drills else {},
        "problems": [finding for is_wrong, finding in found if is_wrong],
        "notes": [finding for is_wrong, finding in found if not is_wrong],
    }


def _newest_good(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the newest set that is not dated later than now and has no problem."""
    good = [row for row in rows if not row["problems"] and row["age"] >= 0]
    return {key: good[0][key] for key in ("id", "age")} if good else {}


def _last_verified(looked_at: Sequence[BackupSet], now: datetime) -> dict[str, Any]:
    """Return which set a drill proved last, and how long ago in seconds."""
    drills = [
        (_parsed(proof.at), backup_set)
        for backup_set in looked_at
        for proof in backup_set.manifest.drills
        if proof.passed
    ]
    dated = [(at, backup_set.manifest.id) for at, backup_set in drills if at]
    if not dated:
        return {}
    at, set_id = max(dated)
    return {"id": set_id, "at": at.strftime(ISO), "age": int((now - at).total_seconds())}


def _parsed(at: str) -> Optional[datetime]:
    try:
        return datetime.strptime(at, "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None  # from a manifest that somebody has edited


def _summary(sets: Sets, result: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line per set, and what else there is to know."""
    if not result["sets"]:
        yield f"There is no backup set of {sets.app} in {sets.directory}."
    for row in result["sets"]:
        rows = sum(sum(database["tables"].values()) for database in row["databases"])
        facts = [
            _ago(row["age"]),
            size(row["bytes"]),
            f"files: {row['files']}",
            tally(database["check"] for database in row["databases"]),
            f"rows in databases: {rows}",
            f"of {row['image'] or 'no image'}",
            "verified by a drill" if row["verified"] else "not verified by a drill",
            *([row["reason"]] if row["reason"] else []),
            *(["kept as " + row["held"]] if row["held"] else []),
        ]
        wrong = f"; WRONG: {_joined(row['problems'])}" if row["problems"] else ""
        yield "; ".join([f"{row['id']}: {', '.join(facts)}{wrong}", *row["notes"]])
    verified = result["last_verified"]
    yield (
        f"Last verified by a drill: {verified['id']}, {_ago(verified['age'])}."
        if verified
        else "No set was ever verified by a drill."
    )
    yield from (f"Lost: {caution}" for caution in result["cautions"])
    yield from _missing_uploads(result["sets"])
    yield from (f"Unreadable: {problem}" for problem in result["unreadable"])
    yield from (f"Without a manifest: {file}" for file in result["orphaned"])
    for job, last in result["runs"].items():
        yield f"Last {job} at {last['at']} {'succeeded' if last['success'] else 'FAILED'}: {last['message']}"


def _joined(problems: Sequence[str]) -> str:
    """Return problems as one sentence; some end with a full stop."""
    return "; ".join(problem.rstrip(".") for problem in problems)


def _missing_uploads(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line when the last set proved that uploads are missing."""
    last = next((row for row in rows if row["age"] >= 0), None)
    names = last["uploads_missing"] if last else ()
    if last and names:
        number = counted(len(names), "upload")
        yield f"The database of set {last['id']} names {number} that its volume did not have: {listed(names)}."


def _ago(seconds: int) -> str:
    """Return an age in seconds for people."""
    if seconds < 0:
        return "dated in the future"
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{counted(seconds, 'second')} ago"
