# SPDX-License-Identifier: GPL-3.0-or-later
"""A restic repository, by the program restic (0.14 and newer): https://restic.readthedocs.io/en/stable/075_scripting.html.

Secrets reach restic by its environment only, and are masked in whatever it says.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Any, Iterable, Iterator, Mapping, Optional, Sequence, Tuple
from urllib.parse import unquote

from .._core.errors import DockerVpsError
from .._core.secrets import SHORTEST, passwords_in, shown
from .files import unstarted
from .lock import Locked
from .restic_output import ABSENT, IN_VAIN, LOCKED, cause, judged, next_step

PATIENCE = 30.0
"""Seconds within which a repository has to answer; restic itself tries for a quarter of an hour."""
_READ = 1 << 20
_BATCH = 1000  # snapshots that one command line names: 65 kB of the 2 MB that Linux takes
_LOOK_AGAIN = 0.5  # seconds, for what a restic that works says meanwhile


@dataclass(frozen=True)
class ResticSnapshot:
    """What one backup left in the repository.

    Attributes:
        name: of the one file in it, which is in no folder; empty when it holds something else.
        host: for whom it was made, as restic knows it.
        tags: ``name=value``.
        touched: whether it was copied, tagged or rewritten since; its id is another one then.
    """

    id: str
    name: str
    host: str
    tags: Tuple[str, ...]
    touched: bool = False


class Restic:
    """A repository."""

    def __init__(
        self,
        repository: str,
        password: str,
        environment: Mapping[str, str],
        options: Mapping[str, str],
        program: str = "restic",
        patience: float = PATIENCE,
    ) -> None:
        self._repository, self._access = repository, [password, *environment.values()]
        self._command = [program, *(f"--option={name}={value}" for name, value in options.items())]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RESTIC_")}
        access = {"RESTIC_REPOSITORY": repository, "RESTIC_PASSWORD": password}
        self._environment = {**inherited, **environment, **access, "LC_ALL": "C", "TZ": "UTC"}
        self._patience = patience

    @property
    def name(self) -> str:
        """What may be shown of the address."""
        return shown(self._repository)

    @property
    def secrets(self) -> Sequence[str]:
        """What may never be shown, the longest first."""
        logins = passwords_in(self._repository)
        hidden = {*self._access, *logins, *map(unquote, logins)}
        return sorted((secret for secret in hidden if len(secret) >= SHORTEST), key=len, reverse=True)

    def exists(self) -> bool:
        """Return whether the repository is there and opens with the password.

        Raises:
            DockerVpsError: it does not, or does not answer.
        """
        code, errors, _unused = self._unlocked(["cat", "config"], timeout=self._patience)
        if code and ABSENT.search(errors):
            return False
        self._check(code, errors, "open")
        return True

    def create(self) -> None:
        """Make the repository.

        Raises:
            DockerVpsError: it cannot be made there.
        """
        self._do("make", "init")

    def snapshots(self) -> Sequence[ResticSnapshot]:
        """Return all that is there, whoever made it.

        Raises:
            DockerVpsError: the repository cannot be read.
        """
        return [_snapshot(row) for row in json.loads(self._do("list", "snapshots", "--json", "--no-lock")) or ()]

    def save(self, name: str, blocks: Iterable[bytes], host: str, time: datetime, tags: Sequence[str]) -> int:
        """Send a file, and return how many bytes of it the repository did not have yet.

        Nothing is kept of one whose blocks end with an exception.

        Args:
            name: without a folder, which restic 0.18.0 cannot store from a stream.
            time: of the snapshot (UTC).

        Raises:
            DockerVpsError: it could not be stored.
        """
        arguments = [f"--stdin-filename={name}", f"--time={time:%Y-%m-%d %H:%M:%S}", f"--host={host}"]
        arguments += [f"--tag={tag}" for tag in tags]
        out = self._do("write to", "backup", "--json", "--quiet", "--stdin", *arguments, blocks=blocks)
        return int(json.loads(out.splitlines()[-1])["data_added"])

    def load(self, snapshot: ResticSnapshot) -> Iterator[bytes]:
        """Yield the blocks of a file; restic verifies them.

        Raises:
            DockerVpsError: it cannot be read to its end.
        """
        arguments = ["dump", snapshot.id, snapshot.name]
        with TemporaryFile() as stderr, self._started(arguments, subprocess.PIPE, stderr) as run:
            _stdin(run).close()
            try:
                stdout: Any = run.stdout
                yield from iter(lambda: stdout.read(_READ), b"")
            except BaseException:
                run.kill()
                raise
            self._check(run.wait(), _text(stderr), f"read {snapshot.name} from")

    def forget(self, snapshots: Sequence[ResticSnapshot]) -> str:
        """Ask for the removal of snapshots, and return what the storage says against it.

        Only a look shows what is still there: restic 0.18 ends with 0 when a server refuses.

        Raises:
            Locked: another job is running.
        """
        against = ""
        for first in range(0, len(snapshots), _BATCH):
            batch = [snapshot.id for snapshot in snapshots[first : first + _BATCH]]
            code, errors, _unused = self._unlocked(["forget", "--quiet", *batch])
            if LOCKED in errors:
                self._check(code, errors, "prune")
            against = against or self._masked(cause(errors))
        return against

    def prune(self) -> None:
        """Remove the data that no snapshot needs.

        Raises:
            DockerVpsError: the storage refuses.
            Locked: another job is running.
        """
        self._do("prune", "prune", "--quiet")

    def check(self, read_data: str) -> None:
        """Verify the repository.

        Args:
            read_data: how much of the data to read as well, as in 5% or 1/7; nothing when empty.

        Raises:
            DockerVpsError: it is damaged.
            Locked: another job is running.
        """
        self._do("verify", "check", "--quiet", *([f"--read-data-subset={read_data}"] if read_data else ()))

    def _do(self, verb: str, *arguments: str, blocks: Iterable[bytes] = ()) -> str:
        code, errors, out = self._run(arguments, blocks) if blocks else self._unlocked(arguments)
        self._check(code, errors, verb)
        return out

    def _unlocked(self, arguments: Sequence[str], timeout: Optional[float] = None) -> Tuple[int, str, str]:
        """Run, and once more if only killed processes of this host had the repository locked."""
        ended = self._run(arguments, timeout=timeout)
        if LOCKED in ended[1] and self._freed():
            return self._run(arguments, timeout=timeout)
        return ended

    def _freed(self) -> bool:
        """Remove the locks that killed processes of this host left, and return whether there were any.

        ``restic unlock`` also removes what other hosts have left for STALE. It is not for us to say that they are dead,
        so with such a lock there nothing is removed.
        """
        locks = [self._run(["cat", "lock", lock_id, "--no-lock"])[2] for lock_id in self._lock_ids()]
        stale = {host for host, is_stale in map(judged, filter(None, locks)) if is_stale}
        return stale == {socket.gethostname()} and self._run(["unlock"])[0] == 0

    def _lock_ids(self) -> Sequence[str]:
        return self._run(["list", "locks", "--no-lock"])[2].split()

    def _run(
        self, arguments: Sequence[str], blocks: Iterable[bytes] = (), timeout: Optional[float] = None
    ) -> Tuple[int, str, str]:
        """Return the exit code, what restic wrote to stderr, and the output."""
        with TemporaryFile() as stdout, TemporaryFile() as stderr, self._started(arguments, stdout, stderr) as run:
            try:
                _feed(_stdin(run), blocks)
                # What was sent is there, and must not be called off because of a lock that cannot be removed.
                stopped = "" if blocks else _watched(run, stderr, timeout)
            except BaseException:
                run.kill()  # at the end of its input it would take what it has for the whole
                raise
            code = run.wait()
            return (code or 1, stopped, "") if stopped else (code, _text(stderr), _text(stdout))

    def _started(self, arguments: Sequence[str], stdout: Any, stderr: Any) -> subprocess.Popen[bytes]:
        command = [*self._command, *arguments]
        try:
            # In a session of its own ssh has no terminal and cannot wait for somebody to type a password.
            # pylint: disable-next=ansible-bad-function
            return subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:
            raise unstarted(command[0], error, "restic") from error

    def _check(self, code: int, errors: str, verb: str) -> None:
        if code == 0:
            return
        why = cause(errors) or f"it ended with {code} and said nothing"
        kind = Locked if LOCKED in errors else DockerVpsError
        raise kind(f"restic cannot {verb} {self.name}: {self._masked(why)}. {next_step(errors)}")

    def _masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def _snapshot(given: Mapping[str, Any]) -> ResticSnapshot:
    paths: Sequence[str] = given.get("paths") or ["/"]
    name = paths[0].lstrip("/") if len(paths) == 1 else "/"
    name = "" if "/" in name else name
    tags = tuple(given.get("tags") or ())
    return ResticSnapshot(given["id"], name, given.get("hostname", ""), tags, touched=bool(given.get("original")))


def _watched(run: subprocess.Popen[bytes], stderr: IO[bytes], timeout: Optional[float]) -> str:
    """Wait for the end, and return what was on stderr when it was stopped: for its slowness, or as it tries in vain."""
    until = time.monotonic() + (timeout or float("inf"))
    while True:
        left = until - time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            run.wait(max(0.0, min(left, _LOOK_AGAIN)))
            return ""
        # Not by the file's position, which is where restic writes.
        errors = os.pread(stderr.fileno(), _READ, 0).decode("utf-8", "replace")
        if left <= 0 or IN_VAIN.search(errors):
            _stop(run)
            return errors or f"no answer within {timeout:.0f} s"


def _stop(run: subprocess.Popen[bytes]) -> None:
    run.send_signal(signal.SIGINT)  # it removes its lock
    try:
        run.wait(10)
    except subprocess.TimeoutExpired:
        run.kill()


def _feed(stdin: IO[bytes], blocks: Iterable[bytes]) -> None:
    try:
        for block in blocks:
            view = memoryview(block)
            while view:
                view = view[stdin.write(view) :]
    except BrokenPipeError:
        pass  # it has ended, and its exit code says why
    stdin.close()


def _stdin(run: subprocess.Popen[bytes]) -> IO[bytes]:
    stdin: Any = run.stdin
    return stdin  # type: ignore[no-any-return]


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
