# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of this host: ``docker compose``, for what the engine's API does not offer, and people's own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from typing import Mapping, Optional, Sequence

from .._core.errors import DockerVpsError, EngineError

COMPOSE_ENDS_WITHIN = 120  # seconds
LAST_LINES = 20  # of a failed command's output
# Compose writes these into JSON as they are. When it reads that as YAML, it refuses some and takes others for ends of
# lines: https://yaml.org/spec/1.2.2/#51-character-set
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class Compose:
    """Commands that talk to the engine at an address."""

    def __init__(self, address: str) -> None:
        self._environment = {**os.environ, "DOCKER_HOST": address}

    def create(self, project: str, directory: str, definitions: Sequence[str]) -> None:
        """Have Compose create the containers of a project and what they need, and start nothing.

        Args:
            directory: what relative paths in the definitions are relative to.
            definitions: files; later ones override earlier ones.

        Raises:
            EngineError: Compose refuses.
        """
        self._compose(project, directory, definitions, "create", "--no-build", "--pull", "never")

    def up(self, project: str, directory: str, definition: str, recreate: bool = False) -> None:
        """Have Compose bring a project up as its definition says.

        Args:
            recreate: whether containers that are there are made recreate, too.

        Raises:
            EngineError: Compose refuses.
        """
        how = ("--force-recreate",) if recreate else ()
        self._compose(project, directory, [definition], "up", "--detach", "--no-build", "--pull", "never", *how)

    def config_hash(self, project: str, directory: str, definition: str, service: str) -> str:
        """Return the hash by which Compose tells whether a container is as its definition says.

        Raises:
            EngineError: Compose refuses.
        """
        # Resolved first, because "config --hash" leaves out what an env file says, and "up" does not.
        resolved = self._compose(project, directory, [definition], "config", "--format", "json")
        given = _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", resolved)
        return self._compose(project, directory, ["-"], "config", "--hash", service, given=given).split()[-1]

    def execute(self, container: str, command: Sequence[str], within: float) -> None:
        """Run a command in a container.

        Raises:
            DockerVpsError: it fails, or does not end in time; the message has the end of its output.
        """
        run(["docker", "exec", container, *command], within, self._environment)

    def here(self, command: Sequence[str], within: float) -> None:
        """Run a command on this host.

        Raises:
            DockerVpsError: it cannot be run, fails, or does not end in time.
        """
        run(command, within, self._environment)

    def _compose(
        self, project: str, directory: str, definitions: Sequence[str], *command: str, given: Optional[str] = None
    ) -> str:
        options = ["--ansi", "never", "--progress", "plain", "--project-name", project]
        options += ["--project-directory", directory]
        options += [part for definition in definitions for part in ("--file", definition)]
        try:
            return run(["docker", "compose", *options, *command], COMPOSE_ENDS_WITHIN, self._environment, given)
        except DockerVpsError as error:
            raise EngineError(f"Compose could not do it. {error.message}") from error


def run(
    command: Sequence[str],
    within: float,
    environment: Optional[Mapping[str, str]] = None,
    given: Optional[str] = None,
) -> str:
    """Run a command without a shell and return its output.

    Args:
        within: seconds after which it is killed, with all that it started.
        given: what it reads from its standard input; nothing when None.

    Raises:
        DockerVpsError: it cannot be run, fails, or does not end in time.
    """
    shown = " ".join(command[:2])
    try:
        done = complete(command, within, environment, given)
    except TimeoutError as error:
        raise DockerVpsError(f"The command {shown} {error}.") from error
    if done.returncode:
        output = "\n".join([line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-LAST_LINES:])
        raise DockerVpsError(f"The command {shown} ended with code {done.returncode}: {output or 'no output'}")
    return done.stdout


def complete(
    command: Sequence[str],
    within: float,
    environment: Optional[Mapping[str, str]] = None,
    given: Optional[str] = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command as ``run`` does, and return how it ended.

    Raises:
        DockerVpsError: it cannot be run.
        TimeoutError: it did not end in time.
    """
    try:
        # pylint: disable-next=ansible-bad-function
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        named = " ".join(command[:2])
        raise DockerVpsError(f"The command {named} cannot be run: {error.strerror}. Is it installed?") from error
    try:
        out, err = process.communicate(given, timeout=within)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise TimeoutError(f"did not end within {within:g} s") from error
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)
