# SPDX-License-Identifier: GPL-3.0-or-later
"""A restic repository, by the program restic (0.14 and newer): https://restic.readthedocs.io/en/stable/075_scripting.html.

Secrets reach restic by its environment only, and are masked in whatever it says.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Any, Iterable, Iterator, Mapping, Optional, Sequence, Tuple
from urllib.parse import unquote

from .._core.errors import DockerVpsError
from .._core.secrets import SHORTEST

PATIENCE = 30.0
"""Seconds within which a repository has to answer; restic itself tries for a quarter of an hour."""
_READ = 1 << 20
_LOGIN = re.compile(r"(://[^/@:]*:)(.*)@")
_ABSENT = re.compile(r"unable to open config file: .*(?:does not exist|no such file)")
_NOISE = re.compile(r"^(?:Fatal: )+|^.*returned error, retrying after [^:]*: ")
_TELLING = ("subprocess ssh", "unable to create lock", "Fatal")
_NEXT_STEPS = (
    ("wrong password", "Give the password with which the repository was made; without it nobody can read the copies."),
    ("already locked", "Wait for that process; if it is gone, remove its lock with: restic unlock."),
    ("Host key verification failed", "Put the server's host key into known_hosts of the user who runs this."),
    ("Permission denied", "Correct the credentials: the user, the key or password, and what they may write."),
    ("401 Unauthorized", "Correct the user and the password in the repository's URL."),
    ("403 Forbidden", "Correct the credentials; a server in append-only mode forbids pruning on purpose."),
    ("contains errors", "Follow what restic says, and copy the sets to a new repository meanwhile."),
    ("", "Is the storage up, and does this host reach it?"),
)


@dataclass(frozen=True)
class Snapshot:
    """One file in the repository: the snapshot's id, the file's name, and its tags (``name=value``)."""

    id: str
    name: str
    tags: Tuple[str, ...]


@dataclass(frozen=True)
class Saved:
    """What was sent: the snapshot's id, perhaps shortened, and how many bytes the repository did not have yet."""

    id: str
    added: int


class Restic:
    """A repository. ``name`` is what may be shown of its address, ``secrets`` what never may."""

    def __init__(
        self,
        repository: str,
        password: str,
        environment: Mapping[str, str],
        options: Mapping[str, str],
        program: str = "restic",
        patience: float = PATIENCE,
    ) -> None:
        login = _LOGIN.search(repository)
        hidden = [password, *environment.values(), *((login[2], unquote(login[2])) if login else ())]
        self.name = _LOGIN.sub(r"\1***@", repository)
        self.secrets = sorted({one for one in hidden if len(one) >= SHORTEST}, key=len, reverse=True)
        self._command = [program, *(f"--option={name}={value}" for name, value in options.items())]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RESTIC_")}
        access = {"RESTIC_REPOSITORY": repository, "RESTIC_PASSWORD": password}
        self._environment = {**inherited, **environment, **access, "LC_ALL": "C", "TZ": "UTC"}
        self._patience = patience

    def exists(self) -> bool:
        """Return whether the repository is there and opens with the password.

        Raises:
            DockerVpsError: it does not, or does not answer.
        """
        code, said, _unused = self._run(["cat", "config"], timeout=self._patience)
        if code and _ABSENT.search(said):
            return False
        self._check(code, said, "open")
        return True

    def create(self) -> None:
        """Make the repository.

        Raises:
            DockerVpsError: it cannot be made there.
        """
        self._do("make", "init")

    def snapshots(self, app: str) -> Sequence[Snapshot]:
        """Return what is there of an application.

        Raises:
            DockerVpsError: the repository cannot be read.
        """
        out = self._do("list", "snapshots", "--json", "--no-lock", f"--host={app}", f"--tag=app={app}")
        return [Snapshot(one["id"], one["paths"][0].lstrip("/"), tuple(one["tags"])) for one in json.loads(out) or ()]

    def save(self, name: str, blocks: Iterable[bytes], app: str, time: datetime, tags: Sequence[str]) -> Saved:
        """Send a file. Nothing is kept of one whose blocks end with an exception.

        Args:
            name: without a folder, which restic 0.18.0 cannot store from a stream.
            time: of the snapshot (UTC).

        Raises:
            DockerVpsError: it could not be stored.
        """
        arguments = [f"--stdin-filename={name}", f"--time={time:%Y-%m-%d %H:%M:%S}", f"--host={app}"]
        arguments += [f"--tag={tag}" for tag in (f"app={app}", *tags)]
        out = self._do("write to", "backup", "--json", "--quiet", "--stdin", *arguments, blocks=blocks)
        summary = json.loads(out.splitlines()[-1])
        return Saved(summary["snapshot_id"], summary["data_added"])

    def load(self, snapshot: Snapshot) -> Iterator[bytes]:
        """Yield the blocks of a file; restic verifies them.

        Raises:
            DockerVpsError: it cannot be read to its end.
        """
        with TemporaryFile() as said, self._started(["dump", snapshot.id, snapshot.name], subprocess.PIPE, said) as run:
            _stdin(run).close()
            try:
                out: Any = run.stdout
                yield from iter(lambda: out.read(_READ), b"")
            except BaseException:
                run.kill()
                raise
            self._check(run.wait(), _text(said), f"read {snapshot.name} from")

    def forget(self, snapshots: Sequence[Snapshot]) -> None:
        """Remove snapshots, and the data that no other one needs.

        Raises:
            DockerVpsError: the storage refuses, or somebody else is at work.
        """
        self._do("prune", "forget", "--prune", "--quiet", *(one.id for one in snapshots))

    def check(self, read_data: str) -> None:
        """Verify the repository.

        Args:
            read_data: how much of the data to read as well, as in 5% or 1/7; nothing when empty.

        Raises:
            DockerVpsError: it is damaged, or somebody else is at work.
        """
        self._do("verify", "check", "--quiet", *([f"--read-data-subset={read_data}"] if read_data else ()))

    def _do(self, verb: str, *arguments: str, blocks: Iterable[bytes] = ()) -> str:
        code, said, out = self._run(arguments, blocks)
        self._check(code, said, verb)
        return out

    def _run(
        self, arguments: Sequence[str], blocks: Iterable[bytes] = (), timeout: Optional[float] = None
    ) -> Tuple[int, str, str]:
        """Return the exit code, what was said about it, and the output."""
        with TemporaryFile() as out, TemporaryFile() as said, self._started(arguments, out, said) as run:
            try:
                _feed(_stdin(run), blocks)
                run.wait(timeout)
            except subprocess.TimeoutExpired:
                run.kill()
                said.write(b"" if said.tell() else f"no answer within {timeout:.0f} s\n".encode())
            except BaseException:
                run.kill()  # at the end of its input it would take what it has for the whole
                raise
            return run.wait(), _text(said), _text(out)

    def _started(self, arguments: Sequence[str], out: Any, said: Any) -> subprocess.Popen[bytes]:
        command = [*self._command, *arguments]
        try:
            # In a session of its own ssh has no terminal and cannot wait for somebody to type a password.
            return subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=said,
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:
            raise DockerVpsError(
                f"{command[0]} cannot be run on this host: {error.strerror}. Install it: apt-get install restic."
            ) from error

    def _check(self, code: int, said: str, verb: str) -> None:
        if code == 0:
            return
        cause = _cause(said) or f"it ended with {code} and said nothing"
        step = next(step for sign, step in _NEXT_STEPS if sign in said)
        raise DockerVpsError(f"restic cannot {verb} {self.name}: {self._masked(cause)}. {step}")

    def _masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


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


def _cause(said: str) -> str:
    """Return the line that tells most, without what it is wrapped in."""
    lines = [line for one in said.splitlines() for line in _plain(one).splitlines() if line.strip()]
    # Of Go's stack traces every second line is indented, and tells where the one before it is.
    lines = [line for line, after in zip(lines, [*lines[1:], ""]) if "\t" not in (line[:1], after[:1])]
    for sign in _TELLING:
        lines = [line for line in lines if line.startswith(sign)] or lines
    return _NOISE.sub("", lines[-1]).strip().rstrip(".") if lines else ""


def _plain(line: str) -> str:
    """Return the message of a line, which newer versions wrap in JSON when they answer in JSON."""
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line
