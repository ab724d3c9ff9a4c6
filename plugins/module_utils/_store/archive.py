# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole trees in one archive file, and back, with everything that belongs to them.

GNU tar reads and writes the trees; what passes between it and the file is compressed, hashed and judged here, block by
block. An unchanged tree gives the same bytes again. Any ``tar`` opens the archive.

An archive is written in passes, because an application may write while its files are read: the tree, the files given
instead of others, and what changed meanwhile. For whoever restores it the later member wins. Each pass ends with the
root directory once more.

Of the tree, GNU tar is given the names of what may have changed since the archive before; the rest is taken from there,
see _core.archive_index. Between the runs it is given the root once more, which is not kept: so what it writes tells
where one ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import subprocess
import time
from collections import deque
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from io import BytesIO
from itertools import repeat
from tempfile import TemporaryDirectory, TemporaryFile
from typing import BinaryIO, Callable, Collection, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple, cast

from .._core.archive_index import Chunk, Index, Run
from .._core.errors import DockerVpsError
from .._core.tar_members import BLOCK, Damaged, Examined, Member, every, parents, plain, unquoted, walk
from .._core.tar_stream import Splitter
from .archive_file import ArchiveFile, Chunks, Earlier, NewChunks, Target, Unusable
from .compression import Compressor, Data, Decompressed, Packed
from .files import refused, sync_file_system, unstarted
from .folders import folders
from .packed import CHUNKS, opened
from .progress_file import begin_step
from .runs import Planned, exchanged, linked_to, planned

ROUNDS = 3
"""How often what changed is read again."""
_READ = 1 << 20
_RECORD = 1 << 19
"""Bytes that GNU tar reads or writes at once; the end of a pass is padded to it with zeros."""
_SHOWN = 5
_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", 1031)  # Python names it since 3.10.

# ACLs are extended attributes like others (system.posix_acl_*). With --acls, tar would ask for each file a second time.
_EVERYTHING = ("--numeric-owner", "--xattrs", "--xattrs-include=*", f"--blocking-factor={_RECORD // BLOCK}")
# Sparse format 0.0 because the names of the others hold tar's process number. Deeper mounts are not followed.
_CREATE = (
    *("--create", "--file=-", "--format=posix", "--sparse", "--sparse-version=0.0", "--no-recursion"),
    *("--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f", "--no-unquote"),
    *("--quoting-style=escape", "--quote-chars= :", *_EVERYTHING),
)
_EXTRACT = ("--extract", "--file=-", "--preserve-permissions", "--same-owner", "--delay-directory-restore")
_EXTRACT_CONTENT = ("--extract", "--file=-", "--no-same-permissions", "--no-same-owner")

_NO_SYMBOLIC_LINKS = (
    *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
    'mount --bind "$0" "$0" && mount -o remount,bind,nosymfollow "$0" && exec "$@"',
)
_NOTICE = re.compile(
    rb"tar: (?P<name>.+): (?:"
    rb"(?P<changed>file changed as we read it|File shrank by \d+ bytes?; padding with zeros)|"
    rb"(?P<vanished>File removed before we read it|"
    rb"Cannot (?:stat|open): (?:No such file or directory|Not a directory|Too many levels of symbolic links))|"
    rb"(?P<skipped>.*\bignored|file is on a different filesystem; not dumped))\n"
)
_FOLLOWS = b"tar: Exiting with failure status due to previous errors\n"


@dataclass(frozen=True)
class Written:
    """What went into an archive; paths are relative to the tree.

    ``sha256`` (hexadecimal) and ``bytes`` are those of the file, ``plain_bytes`` of the tar archive in it. ``files``
    counts names of regular files, ``members`` everything, also what is repeated. ``inconsistent`` changed whenever it
    was read, ``vanished`` was gone when it was to be read, ``skipped`` cannot be archived (sockets) or is a mount,
    ``missing`` was wanted and is not there. ``new_bytes`` take space beside that of earlier archives.
    ``unread`` counts as in ``Earlier``; ``useless`` is why the earlier one was of no use.
    """

    sha256: str
    bytes: int
    plain_bytes: int
    files: int
    members: int
    inconsistent: Tuple[str, ...]
    vanished: Tuple[str, ...]
    skipped: Tuple[str, ...]
    missing: Tuple[str, ...]
    index: Index
    new_bytes: int
    unread: int
    useless: str = ""


def write(
    target: str,
    root: str,
    kind: str,
    *,
    instead: Mapping[str, str],
    leave_out: Sequence[str],
    wanted: Collection[str] = (),
    expected: int = 0,
    threads: Optional[int] = None,
    earlier: Optional[Earlier] = None,
    trust: int = 0,
    shared: str = "",
    now: Optional[float] = None,
) -> Written:
    """Write a tree into a new file (mode 0600), durable when this returns.

    Args:
        target: the file; there must be none.
        root: the directory.
        kind: gzip, zstd or none.
        instead: paths in the tree, and the files that are archived in their place.
        leave_out: paths in the tree that are not archived, with all below them.
        wanted: paths of regular files that should be there; see ``Written.missing``.
        expected: about how many bytes the tree has, for who follows the progress.
        threads: how many compress; None is one per processor.
        earlier: an archive of the same tree, with the same kind of compression.
        trust: after how many archives that rely on earlier ones the whole content is read; 0 is each time.
        shared: a folder where chunks of other archives are. Then chunks that are not there are written into files of a
            folder ``chunks`` beside the target, which itself is not written.
        now: the time, in seconds since the epoch; None is that of the system.

    Raises:
        DockerVpsError: it cannot be done; no file is left.
    """
    begin_step(f"{os.path.basename(target)} is written", expected)
    now = time.time() if now is None else now
    job = _Job(target, os.path.abspath(root), kind, instead, leave_out, wanted, threads, shared, now)
    useless = ""
    try:
        if earlier and earlier.index.compression == kind:
            try:
                with nullcontext() if shared else Chunks.of(earlier) as chunks:
                    return _written(job, earlier if earlier.unread < trust else None, chunks)
            except Unusable as error:
                useless = error.message
        return replace(_written(job, None, None), useless=useless)
    except OSError as error:
        raise refused(f"The archive {target} of {root} cannot be written", error, target) from error


@dataclass(frozen=True)
class _Job:
    """What ``write`` was asked for."""

    target: str
    root: str
    kind: str
    instead: Mapping[str, str]
    leave_out: Sequence[str]
    wanted: Collection[str]
    threads: Optional[int]
    shared: str
    now: float

    @property
    def left_out(self) -> Set[str]:
        """What is not read in the tree."""
        return {plain(path) for path in (*self.leave_out, *self.instead)}


def _written(job: _Job, earlier: Optional[Earlier], chunks: Optional[Chunks]) -> Written:
    """Write an archive with what an earlier one has as well; ``chunks`` are those of its file, if it has one."""
    # Beside the target, where whoever cleans up after a kill finds it.
    with TemporaryDirectory(dir=os.path.dirname(os.path.abspath(job.target))) as scratch:
        missing = set(job.wanted)
        plan = _planned(job, scratch, missing, earlier)
        file: Target
        if job.shared:
            file = NewChunks(os.path.join(os.path.dirname(job.target), CHUNKS), job.shared, read=not earlier)
        else:
            file = ArchiveFile(job.target, chunks, follow=bool(earlier) and None not in plan.kept)
        runs = _Runs(file)
        try:
            with Compressor(runs.take, job.kind, job.threads) as out:
                passes = _Passes(job.root, out, file, runs, scratch)
                passes.tree(plan)
                if job.instead:
                    passes.replacements(job.instead)
                for _round in range(ROUNDS):
                    passes.changed_files(job.left_out)
                passes.end()
            begin_step(f"{os.path.basename(job.target)} is flushed to the disk")
            file.close()
        except BaseException:
            file.discard()
            raise
    # Then the times of files do not tell whether what was read of them is theirs.
    doubtful = bool(passes.vanished) or exchanged(job.root, plan.directories)
    unsure = {run.key for run in plan.made} if doubtful else set()
    return Written(
        sha256=file.sha256,
        bytes=file.bytes,
        plain_bytes=out.plain_bytes,
        files=passes.files,
        members=passes.members,
        inconsistent=tuple(sorted(passes.inconsistent)),
        vanished=tuple(sorted(passes.vanished)),
        skipped=tuple(sorted(passes.skipped.union(plan.mounts))),
        missing=tuple(sorted((missing | passes.vanished.intersection(job.wanted)) - job.instead.keys())),
        index=Index(job.kind, tuple(replace(run, key="") if run.key in unsure else run for run in runs.done)),
        unread=earlier.unread + 1 if earlier else 0,
        new_bytes=file.new_bytes,
    )


def examine(
    path: str,
    kind: str,
    *,
    sha256: Optional[str] = None,
    plain_bytes: Optional[int] = None,
    allow_outside_links: bool = False,
) -> Examined:
    """Read a whole archive and judge every member.

    Args:
        path: the file.
        kind: gzip, zstd or none.
        sha256: the digest (hexadecimal) that it should have.
        plain_bytes: the size that the tar archive in it has at most; little beyond it is read.
        allow_outside_links: symbolic links out of the tree are no reason to refuse it.

    Raises:
        Damaged: it is not what was written, or has members that may not be restored.
        DockerVpsError: it cannot be read.
    """
    return _read(path, kind, sha256, plain_bytes, allow_outside_links, lambda _data: None)


def extract(
    path: str,
    kind: str,
    into: str,
    *,
    sha256: Optional[str] = None,
    plain_bytes: Optional[int] = None,
    allow_outside_links: bool = False,
) -> Examined:
    """Restore an archive into an empty directory, durable when this returns; arguments as of ``examine``.

    GNU tar is given a member only after it was judged. When this raises, throw the directory away.

    Raises:
        Damaged: see ``examine``.
        DockerVpsError: it cannot be read, or GNU tar cannot restore it.
    """
    examined = _extracted(
        path,
        into,
        (*_EXTRACT, *_EVERYTHING),
        lambda sink: _read(path, kind, sha256, plain_bytes, allow_outside_links, sink),
    )
    begin_step("what was unpacked is flushed to the disk")
    try:
        sync_file_system(into)
    except OSError as error:
        raise DockerVpsError(
            f"{into} is restored, but may not last: {error.strerror}. Fix that, and run it again."
        ) from error
    return examined


def extract_content(
    path: str, kind: str, into: str, chosen: Callable[[Member], bool], *, allow_outside_links: bool
) -> None:
    """Restore what some members of an archive hold into a directory; arguments as of ``examine``.

    Args:
        chosen: whether a member is restored; asked about one after the other, and may raise.

    Raises:
        Damaged: see ``examine``.
        DockerVpsError: see ``extract``.
    """
    _extracted(
        path,
        into,
        _EXTRACT_CONTENT,
        lambda sink: _read(path, kind, None, None, allow_outside_links, sink, chosen),
    )


def _extracted(
    path: str, into: str, arguments: Sequence[str], read: Callable[[Callable[[Data], object]], Examined]
) -> Examined:
    """Have GNU tar restore what is read."""
    with _tar((*arguments, f"--directory={into}"), stdin=subprocess.PIPE) as (tar, complaints):
        examined = None
        with suppress(BrokenPipeError):  # GNU tar gave up, and says why.
            examined = read(_pipe(tar.stdin).write)
            _pipe(tar.stdin).close()
        if tar.wait() or not examined:
            raise DockerVpsError(
                f"{path} cannot be restored into {into}: {_last_lines(complaints)}. Fix that, and run it again."
            )
    return examined


@dataclass(frozen=True)
class _Plan:
    """The runs of a tree, and a file with the names of all members.

    ``kept`` are the runs of the earlier archive that take their place, None where there is none. ``mounts`` are the
    directories on other file systems, of which nothing is archived; for ``directories`` see ``runs.exchanged``.
    """

    runs: Sequence[Planned]
    kept: Sequence[Optional[Run]]
    names: str
    directories: bytes
    mounts: Collection[str]

    @property
    def made(self) -> List[Planned]:
        """The runs that are read."""
        return [run for run, kept in zip(self.runs, self.kept) if not kept]


def _planned(job: _Job, scratch: str, wanted: Set[str], earlier: Optional[Earlier]) -> _Plan:
    path = os.path.join(scratch, "names")
    mounts: Set[str] = set()
    directories = BytesIO()
    with open(path, "wb") as names:
        try:
            runs = planned(job.root, job.left_out, names, directories, job.now, wanted, mounts.add)
        except OSError as error:
            raise refused(f"{job.root} cannot be archived", error) from error
    known = earlier.index.by_key if earlier else {}
    again = linked_to(runs, [number for number, run in enumerate(runs) if run.key not in known])
    kept = [None if number in again else known[run.key] for number, run in enumerate(runs)]
    return _Plan(runs, kept, path, directories.getvalue(), mounts)


class _Runs:
    """Takes the chunks of an archive, and tells them apart by runs."""

    def __init__(self, file: Target) -> None:
        self.done: List[Run] = []
        self._file = file
        self._chunks: List[Chunk] = []

    def take(self, packed: Packed) -> None:
        """Take a chunk."""
        self._file.take(packed)
        self._chunks.append(Chunk(packed.sha256, packed.bytes, packed.plain_bytes))

    def end(self, key: str, files: int = 0, members: int = 0) -> None:
        """End a run."""
        if self._chunks:
            self.done.append(Run(key, files, members, tuple(self._chunks)))
            self._chunks = []


class _Passes:
    """The runs of GNU tar that make one archive, and what they printed."""

    def __init__(self, root: str, out: Compressor, file: Target, runs: _Runs, scratch: str) -> None:
        self.files = 0
        self.members = 0
        self.inconsistent: Set[str] = set()
        self.vanished: Set[str] = set()
        self.skipped: Set[str] = set()
        self._root = root
        self._out = out
        self._file = file
        self._runs = runs
        self._scratch = scratch

    def tree(self, plan: _Plan) -> None:
        """Archive the tree, of which GNU tar reads what may have changed."""
        listed = os.path.join(self._scratch, "listed")
        with open(plan.names, "rb") as names, open(listed, "wb") as file:
            file.write(b".\0.\0")
            for run in plan.made:
                names.seek(run.start)
                file.write(names.read(run.end - run.start))
                file.write(b".\0")
        notices = self._run(["--null", f"--files-from={listed}"], self._roots(plan))
        self.inconsistent, self.vanished, self.skipped = notices["changed"], notices["vanished"], notices["skipped"]

    def _roots(self, plan: _Plan) -> Iterator[bool]:
        """Put the runs of the earlier archive where they belong, and yield whether the root that came is kept."""
        yield True
        self._end_run()
        for run, kept in zip(plan.runs, plan.kept):
            if kept:
                for chunk in kept.chunks:
                    self._out.insert(self._file.fetch, chunk)
                self._out.then(partial(self._runs.end, kept.key, kept.files, kept.members))
                self.files += kept.files
                self.members += kept.members
            else:
                yield False
                self._end_run(run.key)
        yield False
        yield True

    def replacements(self, instead: Mapping[str, str]) -> None:
        """Archive links to the files, as if the links were these files."""
        links = os.path.join(self._scratch, "links")
        for path, file in instead.items():
            link = os.path.join(links, path)
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink(os.path.abspath(file), link)
        notices = self._run(["--dereference", *self._only(links, instead)])
        if any(notices.values()):
            names = ", ".join(sorted(set().union(*notices.values())))
            raise DockerVpsError(f"The copy of {names} changed while it was archived. Run the backup again.")

    def changed_files(self, left_out: Set[str]) -> None:
        """Read again what changed, with all its names: a hard link to it must not keep what was read before."""
        facts = {path: _facts(self._root, path) for path in self.inconsistent}
        again = {path for path, about in facts.items() if about}
        linked = {about.st_ino for about in facts.values() if about and about.st_nlink > 1}
        if linked:
            names = _names_of(self._root, linked)
            again |= {path for path in names if left_out.isdisjoint({path, *parents(path)})}
        self.inconsistent -= again
        if again:
            files = self.files
            notices = self._run(["--pax-option=comment:=again", *self._only(self._root, again)])
            self.files = files
            self.inconsistent |= notices["changed"] | notices["vanished"]

    def end(self) -> None:
        """Write two blocks of zeros, and fill a record of the usual size."""
        self._out.write(bytes(2 * BLOCK + -(self._out.plain_bytes + 2 * BLOCK) % (20 * BLOCK)))
        self._out.end_chunk()
        self._out.then(partial(self._runs.end, ""))

    def _only(self, directory: str, paths: Collection[str]) -> List[str]:
        listed = os.path.join(self._scratch, "listed")
        with open(listed, "wb") as file:
            file.writelines(b"./" + os.fsencode(path) + b"\0" for path in sorted(paths))
        return [f"--directory={directory}", "--null", f"--files-from={listed}"]

    def _run(self, arguments: Sequence[str], roots: Optional[Iterator[bool]] = None) -> Dict[str, Set[str]]:
        """Archive what the arguments say, and the root once more; ``roots`` says of each root whether it is kept."""
        roots = roots or repeat(True)
        self._stream = Splitter(self._out, partial(next, roots))
        closing = (f"--directory={self._root}", ".")
        arguments = [*_CREATE, f"--directory={self._root}", *arguments, *closing]
        with _tar(arguments, stdout=subprocess.PIPE, before=_shield(self._root)) as (tar, complaints):
            for data in iter(lambda: _pipe(tar.stdout).read(self._stream.wanted), b""):
                self._stream.feed(data)
            status = tar.wait()
            notices = self._notices(complaints)
            if status not in (0, 1, 2) or notices["other"]:
                raise DockerVpsError(f"{self._root} cannot be archived: {_last_lines(complaints)}.")
            self._stream.end()
        self._end_run()
        return notices

    def _end_run(self, key: str = "") -> None:
        files, members = self._stream.files, self._stream.members
        self._stream.files = self._stream.members = 0
        self._out.end_chunk()
        self._out.then(partial(self._runs.end, key, files, members))
        self.files += files
        self.members += members

    def _notices(self, complaints: BinaryIO) -> Dict[str, Set[str]]:
        notices: Dict[str, Set[str]] = {"changed": set(), "vanished": set(), "skipped": set(), "other": set()}
        complaints.seek(0)
        for line in complaints:
            notice = _NOTICE.fullmatch(line)
            if notice:
                notices[str(notice.lastgroup)].add(plain(unquoted(notice["name"])))
            elif line != _FOLLOWS:
                notices["other"].add(unquoted(line))
        # That names came and went in a directory does not make it inconsistent.
        notices["changed"] = {path for path in notices["changed"] if not _is_directory(self._root, path)}
        return notices


def _read(
    path: str,
    kind: str,
    sha256: Optional[str],
    plain_bytes: Optional[int],
    outside: bool,
    sink: Callable[[Data], object],
    chosen: Callable[[Member], bool] = every,
) -> Examined:
    begin_step(f"{os.path.basename(path)} is read", plain_bytes or 0)
    try:
        with opened(path) as source:
            stream = Decompressed(source, kind)

            def read(size: int) -> bytes:
                data = stream.read(size)
                if plain_bytes is not None and stream.plain_bytes > plain_bytes:
                    raise Damaged(f"It holds more than the {plain_bytes} bytes that its manifest says.")
                return data

            try:
                examined = walk(read, outside, sink, chosen)
            except Damaged as error:
                raise Damaged(f"{path}: {error.message}") from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise refused(f"The archive {path} cannot be read", error) from error
    if sha256 and source.sha256 != sha256:
        raise Damaged(f"{path} has the SHA-256 {source.sha256}, not {sha256}: it is not the file that was written.")
    return examined


@contextmanager
def _tar(
    arguments: Sequence[str],
    stdin: Optional[int] = None,
    stdout: Optional[int] = None,
    before: Sequence[str] = (),
) -> Iterator[Tuple[subprocess.Popen[bytes], BinaryIO]]:
    """Run GNU tar; gives the process, which never outlives the context, and the file with its messages."""
    environment = {name: value for name, value in os.environ.items() if name != "TAR_OPTIONS"}
    environment["LC_ALL"] = "C"
    with TemporaryFile() as complaints:
        try:
            # pylint: disable-next=ansible-bad-function
            tar = subprocess.Popen(
                [*before, "tar", *arguments],
                bufsize=_READ,
                stdin=stdin,
                stdout=stdout,
                stderr=complaints,
                env=environment,
            )
        except OSError as error:
            raise unstarted("GNU tar", error, "tar") from error
        pipe = _pipe(tar.stdin or tar.stdout)
        try:
            with suppress(OSError):  # Larger pipes mean fewer switches between processes; the host may forbid them.
                fcntl.fcntl(pipe.fileno(), _SET_PIPE_SIZE, _READ)
            yield tar, complaints
        finally:
            tar.kill()
            with suppress(OSError):
                pipe.close()
            tar.wait()


@lru_cache(maxsize=8)
def _shield(root: str) -> Tuple[str, ...]:
    """Return the beginning of a command that follows no symbolic link in a tree; empty where there is no such thing.

    GNU tar, which is given names, would follow one that takes the place of a directory meanwhile, and so could archive
    what is elsewhere. Linux 5.10 and util-linux 2.37 can forbid that for a mount, which only this command has.
    """
    command = (*_NO_SYMBOLIC_LINKS, root)
    try:
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run([*command, "tar", "--version"], capture_output=True, check=False)
    except OSError:
        return ()
    return () if done.returncode else command


def _pipe(stream: object) -> BinaryIO:
    return cast(BinaryIO, stream)


def _last_lines(complaints: BinaryIO) -> str:
    complaints.seek(0)
    lines = [unquoted(line).strip() for line in deque(complaints, _SHOWN) if line != _FOLLOWS]
    return "; ".join(lines).rstrip(".") or "tar was stopped with no output"


def _facts(root: str, path: str) -> Optional[os.stat_result]:
    """Return the facts of what is at a path in a tree; the whole path may be longer than the kernel takes."""
    try:
        top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return os.lstat(path or ".", dir_fd=top)
        finally:
            os.close(top)
    except OSError:
        return None


def _is_directory(root: str, path: str) -> bool:
    facts = _facts(root, path)
    return facts is not None and stat.S_ISDIR(facts.st_mode)


def _names_of(root: str, inodes: Set[int]) -> Iterator[str]:
    for folder, descriptor in folders(root):
        with os.scandir(descriptor) as entries:
            yield from (os.path.join(folder, entry.name) for entry in entries if entry.inode() in inodes)
