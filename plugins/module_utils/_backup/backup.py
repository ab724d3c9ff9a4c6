# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one backup set: databases first, then everything else, then the proof, then visible."""

from __future__ import annotations

import hashlib
import math
import os
import socket
import textwrap
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence

from .._core import archive_index, data_loss
from .._core.archive_index import FILES, REREAD, SHARED
from .._core.clock import WallClock
from .._core.data_loss import LossLimits
from .._core.databases import stops, tally
from .._core.errors import DockerVpsError, InvalidInput
from .._core.manifest import (
    FORMAT,
    TOOL_VERSION,
    Archive,
    Database,
    Manifest,
    Uploads,
    archive_file,
    check_names,
    index_file,
)
from .._core.remedies import play, setting
from .._core.text import counted, shown, size
from .._engine.port import EnginePort
from .._store import archive, files, tree
from .._store.examiner import Examiner
from .._store.folders import LONGEST
from .._store.packed import LARGEST_INDEX
from .._store.place import few
from .._store.progress_file import begin_step
from .._store.quiet import quiet
from .._store.runs import FRESH
from .._store.sets import BackupSet, Listing, Sets
from . import databases
from .journal import Journal, go_on, recover_all, recovering
from .places import holding_sets, why_not
from .uploads import WITHIN, WITHIN_STOPPED, uploads_named
from .volumes import Volume, refuse_vanishing, release_of, running, volume_of

BUSY_TIMEOUT = 5.0  # seconds that a copy waits for a lock of the application
QUIET_WITHIN = 5.0  # seconds that a backup waits for times at which the application does not write
SHORT = 200  # characters of a warning that a summary shows
RESERVE = 64 * 1024**2  # bytes that stay free beside a set


@dataclass(frozen=True)
class Query:
    """Which uploads have to be in which archive: the first column of a query on the databases of the set."""

    query: str
    archive: str


@dataclass(frozen=True)
class Params:
    """What to back up.

    Attributes:
        volumes: the names of archives and their volumes, in the order to archive them; the first is of the databases.
        database: what DATABASE_URI names, as archive/path; empty when that is not known.
    """

    app: str
    volumes: Mapping[str, str]
    compression: str = "gzip"
    store: str = FILES
    reread: int = REREAD
    consistency: str = "online"
    uploads: Optional[Query] = None
    reason: str = ""
    accept_loss: bool = False
    limits: LossLimits = field(default_factory=LossLimits)
    database: str = ""

    @property
    def wanted(self) -> databases.WantedDatabase:
        """What is known about the application."""
        return databases.WantedDatabase(next(iter(self.volumes)), self.database, self.consistency)


def run(
    params: Params, sets: Sets, connect: Callable[[], EnginePort], clock: WallClock, check_mode: bool
) -> dict[str, Any]:
    """Make a set and return it with what it says about itself.

    Raises:
        DockerVpsError: the set could not be made; nothing of it is left, and the application runs as before.
    """
    _refuse_wrong(params)
    engine = connect()
    if check_mode:
        here = sets.listing()
        predicted = _predicted(here, params, _looked_at(params, sets, here, engine, clock.utc()))
        return {
            "changed": True,
            "predicted_bytes": predicted,
            "cautions": [],
            "summary": _dry_run_summary(params, sets, predicted),
        }
    sets.prepare()
    with sets.lock("a backup"):
        heard = recover_all(sets, connect, clock)
        here = sets.listing()
        sources = _looked_at(params, sets, here, engine, clock.utc())
        predicted = _predicted(here, params, sources)
        set_id = sets.next_id(clock)
        folder = sets.workspace(set_id)
        with recovering(sets, folder, connect, clock):
            sets.begin(set_id)
            with Examiner() as examiner:
                making = _Making(params, sets, here, engine, clock, folder, set_id, sources, examiner)
                made = making.run()
    cautions = data_loss.loss_sentences(made.manifest) if made.manifest.lost_since else []
    return {
        "changed": True,
        "predicted_bytes": predicted,
        "new_bytes": making.new_bytes,
        **result_of(made),
        "cautions": [*heard, *cautions],
        "summary": " ".join([summary(made, making.new_bytes), *heard]),
    }


def _refuse_wrong(params: Params) -> None:
    check_names(list(params.volumes))
    if params.uploads and params.uploads.archive not in params.volumes:
        raise InvalidInput(
            f"uploads.archive is {params.uploads.archive!r}, which names no archive of this backup. Correct it."
        )
    if params.database and not all(params.database.partition("/")):
        raise InvalidInput(f"database is {params.database!r}, but must be <archive>/<path>, such as db/payload.db.")


def result_of(backup_set: BackupSet) -> dict[str, Any]:
    """Return a set as modules return it."""
    return {
        "set": {
            **asdict(backup_set.manifest),
            "directory": backup_set.directory,
            "bytes": sum(archive.bytes for archive in backup_set.manifest.archives),
            "verified": backup_set.manifest.verified,
        }
    }


def summary(made: BackupSet, new: Optional[int] = None) -> str:
    """Return a set in one sentence, with its warnings in short; ``new`` bytes of it took space."""
    manifest = made.manifest
    bytes_ = sum(archive.bytes for archive in manifest.archives)
    parts = [
        counted(len(manifest.archives), "archive"),
        size(bytes_) if new in (None, bytes_) else f"{size(bytes_)} ({size(new or 0)} new)",
        tally(check for archive in manifest.archives for check in archive.checks),
    ]
    if manifest.uploads.named and not manifest.uploads.problem:
        parts.append(counted(manifest.uploads.named - len(manifest.uploads.missing), "upload") + " proved")
    cautions = [textwrap.shorten(warning, SHORT, placeholder=" …") for warning in manifest.warnings]
    cautions += data_loss.loss_sentences(manifest)
    parts[-1] += f", in {made.directory}"
    sentences = [f"Set {manifest.id} of {manifest.app}: {', '.join(parts)}", *cautions]
    return " ".join(sentence if sentence.endswith((".", "…")) else f"{sentence}." for sentence in sentences)


def _dry_run_summary(params: Params, sets: Sets, predicted: int) -> str:
    archives = counted(len(params.volumes), "archive")
    return f"A set of {params.app} would be made: {archives}, at most {size(predicted)}, in {sets.directory}."


@dataclass(frozen=True)
class _Source:
    """A volume to archive, and what is in it."""

    volume: Volume
    survey: tree.Survey
    databases: databases.FoundDatabases


def _looked_at(params: Params, sets: Sets, here: Listing, engine: EnginePort, now: datetime) -> dict[str, _Source]:
    """Return the volumes, after checking that a set of them makes sense and has space."""
    sources = {}
    since = min((backup_set.time.timestamp() for backup_set in here.sets[:1]), default=math.inf) - FRESH
    for name, volume in params.volumes.items():
        found = volume_of(engine, volume)
        if found is None:
            raise DockerVpsError(
                f"The volume {volume} does not exist, so there is nothing to back up. "
                "Deploy the application first, or correct the name (docker volume ls)."
            )
        inside = holding_sets(volume, found.root, sets.directory)
        if inside:
            raise DockerVpsError(inside)
        survey = tree.survey(found.root, since)
        found_databases = databases.found(name, found.root, survey, params.wanted)
        databases.refuse_closed(volume, found.root, found_databases, params.wanted)
        sources[name] = _Source(found, survey, found_databases)
    if params.consistency == "stop":
        refuse_vanishing(running(engine, params.volumes.values()))
    if all(source.survey.files == 0 for source in sources.values()):
        raise DockerVpsError(
            f"There is not one file in {', '.join(params.volumes.values())}: an empty set would push out good ones. "
            f"Has the data been lost? {play('restore')} brings back the last set."
        )
    if not params.accept_loss:
        _check_losses(here.earlier(now), sources)
    if os.path.isdir(sets.directory):
        _check_room(sets, here, params, sources)
    return sources


def _check_losses(earlier: Sequence[Manifest], sources: Mapping[str, _Source]) -> None:
    """Refuse a set that would stand for good ones although all databases or files of a volume are gone."""
    for name, source in sources.items():
        before = next((archive for _unused, archive in data_loss.holders(name, earlier)), None)
        now, found_databases = source.survey, source.databases
        left = found_databases.own or found_databases.sealed or found_databases.distant
        gone = before and ((before.databases and not left) or (before.files and not now.files))
        if before and gone:
            what = "database" if before.databases else "file"
            raise DockerVpsError(
                f"The volume {source.volume.name} holds no {what} any more, and {before.file} does: a new set would "
                f"push out good ones. Has the data been lost? {data_loss.NEXT_STEP[0].upper()}{data_loss.NEXT_STEP[1:]}"
            )


def _predicted(here: Listing, params: Params, sources: Mapping[str, _Source]) -> int:
    """Return how much space a set will take at most, in bytes, as far as the last one of the same kind tells.

    A volume that has grown is counted as if the growth could not be compressed.
    """
    last = {archive.name: archive for backup_set in here.sets[:1] for archive in backup_set.manifest.archives}
    return sum(_predicted_of(params, last.get(name), source.survey) for name, source in sources.items())


def _predicted_of(params: Params, before: Optional[Archive], now: tree.Survey) -> int:
    if not before or before.compression != params.compression:
        return now.disk
    alike = before.index and before.shared == (params.store == SHARED)
    grown = max(0, now.disk - before.space)
    if alike and params.store == SHARED:
        return min(now.disk, max(now.changed_disk, grown))
    same = (now.changed_disk, now.disk, now.files) == (0, before.disk_bytes, before.files)
    if alike and same and before.unread + 1 < params.reread:  # else all is written before it is seen to be the same
        return 0
    return before.bytes + grown


def _check_room(sets: Sets, here: Listing, params: Params, sources: Mapping[str, _Source]) -> None:
    copies = sum(
        os.stat(os.path.join(source.volume.root, path)).st_blocks * 512
        for source in sources.values()
        for path in source.databases.own
    )
    needed, free = _predicted(here, params, sources) + copies + RESERVE, sets.free()
    if free < needed:
        raise DockerVpsError(
            f"{sets.directory} has {free // 1024**2} MiB free, and the backup needs about {needed // 1024**2} MiB. "
            f"Remove old sets ({play('prune')}), or choose a directory on a larger disk.",
            free_bytes=free,
            needed_bytes=needed,
        )


class _Making:
    """A set in the making."""

    def __init__(
        self,
        params: Params,
        sets: Sets,
        here: Listing,
        engine: EnginePort,
        clock: WallClock,
        folder: str,
        set_id: str,
        sources: Mapping[str, _Source],
        examiner: Examiner,
    ) -> None:
        self.params, self.sets, self.here, self.engine, self.clock = params, sets, here, engine, clock
        self.folder, self.set_id, self.sources, self.examiner = folder, set_id, sources, examiner
        self.journal = Journal(folder)
        self.new_bytes = 0
        self.meanwhile: list[str] = []
        self.copies: dict[str, dict[str, str]] = {name: {} for name in sources}
        self.databases: dict[str, list[Database]] = {name: [] for name in sources}

    def run(self) -> BackupSet:
        """Make it."""
        started = self.clock.utc()
        # Asked before anything is copied: without halting, the engine may then go away, and the set is still made.
        release = release_of(self.engine, self.params.volumes.values())
        engine = str(self.engine.info().get("ServerVersion", ""))
        one_way = tuple(self.one_way())
        halted = self.halt()
        quiet_until = self.clock.now() + QUIET_WITHIN
        for name, source in self.sources.items():
            self.copy_databases(name, source, quiet_until)
        uploads = self.uploads()
        missing: Sequence[str] = ()
        archives = []
        for name, source in self.sources.items():
            proof = self.params.uploads and self.params.uploads.archive == name
            archive_, absent = self.archive(name, source, uploads.missing if proof else ())
            archives.append(archive_)
            missing = absent if proof else missing
        downtime = self.go_on(halted)
        archives = self.foreign(archives)
        # Listed again: archiving takes long, and sets may have been brought here, or been damaged, meanwhile.
        here = self.sets.listing()
        after = here.after(self.set_id)
        uploads = replace(uploads, missing=tuple(sorted(map(shown, missing))))
        lost = data_loss.lost(archives, here.earlier(started), self.params.limits)
        manifest = Manifest(
            format=FORMAT,
            app=self.params.app,
            id=self.set_id,
            started=_iso(started),
            finished=_iso(self.clock.utc()),
            reason=self.params.reason,
            consistency=self.params.consistency,
            busy_timeout=BUSY_TIMEOUT,
            downtime=downtime,
            release=release,
            engine=engine,
            host=socket.gethostname(),
            tool_version=TOOL_VERSION,
            archives=tuple(archives),
            uploads=uploads,
            warnings=(
                *self.meanwhile,
                *self.cautions(),
                *warnings(archives, uploads),
                *self.left_out(archives),
                *one_way,
                *clock_warning(after),
            ),
            after=after,
            losses=tuple(lost.values()),
            lost_since=() if self.params.accept_loss else tuple(lost),
        )
        return self.sets.publish(self.folder, manifest)

    def halt(self) -> float:
        """Pause or stop who uses the volumes, if wanted, and return when that began."""
        began = self.clock.now()
        if self.params.consistency == "online":
            return began
        users = running(self.engine, self.params.volumes.values())
        containers = tuple(container["Id"] for container in users if not container["State"]["Paused"])
        self.journal = self.journal.write(containers=containers, frozen=self.params.consistency == "pause")
        for container_id in containers:
            if self.params.consistency == "pause":
                self.engine.pause(container_id)
            else:
                self.engine.stop(container_id)
        return began

    def go_on(self, halted: float) -> float:
        """Let them go on, and return for how many seconds they could not."""
        if not self.journal.containers:
            return 0.0
        meanwhile = go_on(self.engine, self.journal.containers, self.journal.frozen)
        self.meanwhile += [*meanwhile.stopped, *meanwhile.let_run]
        self.journal = self.journal.write(containers=())
        return round(self.clock.now() - halted, 3)

    def copy_databases(self, name: str, source: _Source, quiet_until: float) -> None:
        """Copy the application's databases in a volume, and refuse damaged ones."""
        root, found_databases = source.volume.root, source.databases
        self.databases[name] += [databases.sealed(root, path) for path in found_databases.sealed]
        for path in found_databases.own:
            copy = os.path.join(self.folder, f"copy-{name}-{len(self.copies[name])}")
            begin_step(f"{shown(path)} is copied")
            lull = self.params.consistency != "online" or quiet(os.path.join(root, path), quiet_until, self.clock)
            facts = self.examiner.copy(os.path.join(root, path), copy, wait=BUSY_TIMEOUT)
            if stops(True, facts.check):
                raise DockerVpsError(
                    f"The database {shown(path)} in the volume {source.volume.name} is damaged, so it was not "
                    f"backed up as if it were good. Found: {facts.why}. Restore the last good set, or repair it with "
                    "sqlite3's .recover."
                )
            self.copies[name][path] = copy
            self.databases[name].append(Database(path=shown(path), **asdict(facts), quiet=lull))

    def foreign(self, archives: Sequence[Archive]) -> list[Archive]:
        """Look at the databases that are none of the application's."""
        until = self.clock.now() + databases.FOREIGN_SECONDS
        return [
            replace(
                archive, foreign=tuple(databases.examined(source.volume.root, paths, self.examiner, self.clock, until))
            )
            for archive in archives
            for source in (self.sources[archive.name],)
            for paths in (source.databases.foreign,)
        ]

    def uploads(self) -> Uploads:
        """Return the uploads that the copied databases name, as missing until they are found."""
        if self.params.uploads is None:
            return Uploads(0, (), "")
        copies = [(shown(path), copy) for some in self.copies.values() for path, copy in some.items()]
        within = WITHIN_STOPPED if self.journal.containers else WITHIN
        try:
            named = sorted(uploads_named(self.params.uploads.query, copies, within))
        except DockerVpsError as error:
            return Uploads(0, (), error.message)
        return Uploads(len(named), tuple(named), "")

    def archive(self, name: str, source: _Source, wanted: Sequence[str]) -> tuple[Archive, Sequence[str]]:
        """Archive a volume, and return which of the wanted files are not in it."""
        file = archive_file(name, self.set_id, self.params.compression)
        survey, found_databases = source.survey, source.databases
        copies = self.copies[name]
        shared = self.params.store == SHARED
        earlier = self.here.last_archive(name, source.volume.name, self.params.compression, shared)
        written = archive.write(
            os.path.join(self.folder, file),
            source.volume.root,
            self.params.compression,
            instead={**copies, **{path: copies[used] for path, used in found_databases.names.items()}},
            leave_out=[*found_databases.beside, *survey.sockets, *survey.devices, *survey.too_long],
            wanted=wanted,
            expected=survey.disk,
            earlier=earlier,
            trust=self.params.reread - 1,
            shared=self.sets.chunks if shared else "",
            now=self.clock.utc().timestamp(),
        )
        if written.useless:
            self.meanwhile.append(f"{name}: nothing of the last archive was used, and all was read: {written.useless}")
        self.new_bytes += written.new_bytes
        index = archive_index.write(written.index)
        if len(index) > LARGEST_INDEX:
            raise DockerVpsError(
                f"The index of {source.volume.name} would have {len(index)} bytes, and {LARGEST_INDEX} are the most: "
                "there are too many files. Divide them between several volumes."
            )
        index_sha256 = hashlib.sha256(index.encode()).hexdigest()
        files.replace(os.path.join(self.folder, index_file(name, self.set_id)), files.own(index))
        databases.refuse_journals(source.volume.root, found_databases)
        made = Archive(
            name=name,
            volume=source.volume.name,
            file=index_file(name, self.set_id) if shared else file,
            compression=self.params.compression,
            sha256=index_sha256 if shared else written.sha256,
            bytes=written.bytes,
            plain_bytes=written.plain_bytes,
            files=written.files,
            driver=source.volume.driver,
            labels=source.volume.labels,
            databases=tuple(self.databases[name]),
            inconsistent=tuple(map(shown, written.inconsistent)),
            vanished=tuple(map(shown, written.vanished)),
            skipped=tuple(sorted(map(shown, {*survey.left_out, *written.skipped}))),
            outside_links=survey.outside_links,
            disk_bytes=survey.disk,
            options=source.volume.options,
            replica_files=survey.replica,
            index=index_sha256,
            unread=written.unread,
        )
        return made, written.missing

    def one_way(self) -> Iterator[str]:
        """Yield why volumes could not take the set back."""
        places = {source.volume.name: source.volume.root for source in self.sources.values()}
        for name, source in self.sources.items():
            why = why_not(source.volume.name, places, self.sets.directory, self.engine)
            if why:
                yield f"{name}: as it is now, the set could not be restored into {source.volume.name}. {why}"

    def left_out(self, archives: Sequence[Archive]) -> Iterator[str]:
        """Yield what is not in the set because of what it is, or where it is."""
        for entry in archives:
            survey = self.sources[entry.name].survey
            mounts, too_long = (list(map(shown, paths)) for paths in (survey.mounts, survey.too_long))
            nodes = [path for path in entry.skipped if path not in {*mounts, *too_long}]
            if nodes:
                yield f"{entry.name}: sockets and devices are not in the set: {', '.join(nodes)}"
            if mounts:
                yield f"{entry.name}: other file systems are mounted there, which are not in the set: {few(mounts)}"
            if too_long:
                yield (
                    f"{entry.name}: GNU tar could not restore paths of more than {LONGEST} bytes, so these are not in "
                    f"the set: {few(too_long)}"
                )

    def cautions(self) -> Iterator[str]:
        """Yield what may be wrong with the databases."""
        for name, source in self.sources.items():
            yield from databases.cautions(name, source.databases, source.survey, self.params.wanted)


def clock_warning(after: str) -> list[str]:
    """Return a warning when there is a set dated later than a new one; see Manifest.after."""
    return [f"The newest set is dated {after}, later than now: did the clock step back?"] if after else []


def warnings(archives: Sequence[Archive], uploads: Uploads) -> Iterator[str]:
    """Yield what whoever relies on a set should know."""
    for entry in archives:
        yield from databases.warnings(entry)
        if entry.inconsistent:
            names = ", ".join(entry.inconsistent)
            yield f"{entry.name}: these changed each time they were read and may be inconsistent: {names}"
        if entry.outside_links:
            links = "1 link leads" if entry.outside_links == 1 else f"{entry.outside_links} links lead"
            yield f"{entry.name}: {links} out of the volume; restoring needs allow_outside_links"
    if uploads.missing:
        yield f"The database names uploads that are not in the volume: {', '.join(uploads.missing)}"
    if uploads.problem:
        none = setting("backup_uploads_query", '""')
        why = uploads.problem.rstrip(".")
        yield f"Nothing proves that all uploads are in the set: {why}. Where no table names any, set {none}."


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
