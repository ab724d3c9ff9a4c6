# SPDX-License-Identifier: GPL-3.0-or-later
"""The git of this host, with keys and tokens that stand in no file, no argument and no configuration."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Mapping, Optional, Type

from .._core import git as rules
from .._core.errors import DockerVpsError
from .compose import complete

_TOKEN = "DOCKER_VPS_GIT_TOKEN"  # noqa: S105  # the name of a variable


class GitError(DockerVpsError):
    """Git refused."""


@dataclass(frozen=True)
class Access:
    """What servers ask for.

    Attributes:
        key: a private key (its content), or ``key_file``: the path of one on this host.
        submodule_keys: private keys by the paths of repositories, as in acme/ui.
        known_hosts: lines of known_hosts; ACCEPT_NEW; ACCEPT_UNKEPT; or empty for those that the host knows.
        token: for the repository's own server over HTTPS.
    """

    key: str = field(default="", repr=False)
    key_file: str = ""
    submodule_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    known_hosts: str = rules.ACCEPT_NEW
    token: str = field(default="", repr=False)


# A fetch of fewer than 100 objects would write them one by one, the commit first: killed meanwhile, it leaves a commit
# that git has and whose files it has not. A pack is there when it is whole (git-config(1), fetch.unpackLimit).
_WHOLE = ("-c", "fetch.unpackLimit=1")


class Git:
    """Git commands in a directory. What ssh reads is in this process's memory only, as long as the context lasts."""

    def __init__(self, directory: str, url: str, access: Access, within: float) -> None:
        """Take what all commands need.

        Args:
            url: the repository's; the token is given to its server alone.
            within: seconds that a command may take.
        """
        self.directory, self.url, self.access, self.within = directory, url, access, within
        self._open, self._options = ExitStack(), list(_WHOLE)  # type: ExitStack, list[str]
        self._environment: dict[str, str] = {}

    def __enter__(self) -> Git:
        """Make what the commands need.

        Raises:
            GitError: a key is none.
        """
        access = self.access
        key = self._key(access.key) if access.key else access.key_file
        others = {path: self._key(content) for path, content in access.submodule_keys.items()}
        pinned = access.known_hosts not in (rules.ACCEPT_NEW, rules.ACCEPT_UNKEPT, "")
        known_hosts = self._file(access.known_hosts) if pinned else access.known_hosts
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self._environment.update(
            LC_ALL="C",
            GIT_TERMINAL_PROMPT="0",
            GIT_ASKPASS="true",
            GIT_HTTP_LOW_SPEED_LIMIT="1000",
            GIT_HTTP_LOW_SPEED_TIME="30",
            GIT_LFS_SKIP_SMUDGE="1",
            GIT_SSH_COMMAND=f"sh {self._file(rules.ssh(key, others, known_hosts))}",
            GIT_SSH_VARIANT="ssh",
        )
        server = rules.host_of(self.url)
        if access.token and server:
            self._environment[_TOKEN] = access.token
            # Run by a shell; a server that takes tokens takes any name with them, and GitLab's want one.
            helper = f'!f() {{ test "$1" != get || printf "username=x-access-token\\npassword=%s\\n" "${_TOKEN}"; }}; f'
            self._options += ["-c", f"credential.{server}.helper=", "-c", f"credential.{server}.helper={helper}"]
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._open.close()

    def __call__(self, *command: str, given: Optional[str] = None) -> str:
        """Run a command in the directory and return its output.

        Raises:
            GitError: it refuses.
            DockerVpsError: git is not there.
        """
        directory = ["-C", self.directory] if os.path.isdir(self.directory) else []
        try:
            done = complete(["git", *directory, *self._options, *command], self.within, self._environment, given)
        except TimeoutError as error:
            raise GitError(rules.why(f"git {command[0]} {error}")) from error
        if done.returncode:
            raise GitError(rules.why(done.stderr or done.stdout))
        return done.stdout

    def has(self, *command: str) -> bool:
        """Run a command that answers by its exit code."""
        try:
            self(*command)
        except GitError:
            return False
        return True

    def _key(self, content: str) -> str:
        """Return a path of a private key; refuse one that ssh would silently pass over."""
        path = self._file(content)
        if complete(["ssh-keygen", "-y", "-P", "", "-f", path], self.within).returncode:
            raise GitError(rules.NO_KEY)
        return path

    def _file(self, content: str) -> str:
        """Return a path at which programs that we start find a content, as a file with mode 0600."""
        file = self._open.enter_context(os.fdopen(os.memfd_create("git"), "wb"))
        os.fchmod(file.fileno(), 0o600)
        # Editors and vaults take the last end of line away, and ssh does not read a key without it.
        file.write((content.replace("\r", "").strip() + "\n").encode())
        file.flush()
        return f"/proc/{os.getpid()}/fd/{file.fileno()}"
