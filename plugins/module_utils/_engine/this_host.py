# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that a module runs on: plugins of the docker command, disk, clock, files."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from typing import Optional, Sequence

from .sdk import SDK_MISSING, sdk_fault


class ThisHost:
    """The host that the module runs on."""

    python = sys.executable
    sdk = SDK_MISSING is None

    def sdk_fault(self) -> str:
        """Return why the Docker SDK cannot reach any engine, with what it consists of; empty when it can."""
        return sdk_fault()

    def absent(self, commands: Sequence[str]) -> list[str]:
        """Return those of the commands that are not there."""
        return [command for command in commands if not shutil.which(command)]

    def plugin_versions(self, plugins: Sequence[str]) -> list[str]:
        """Return the versions of plugins of the docker command, empty for each that there is not."""
        # Started together, since each takes a moment.
        return [_version(_end(answer)) for answer in [_start(plugin, "version") for plugin in plugins]]

    def disk_free(self, path: str) -> Optional[int]:
        """Return the free bytes on the file system of a directory, None when it is not here.

        Only what an unprivileged process may use counts as free.
        """
        try:
            facts = os.statvfs(path)
        except OSError:
            return None
        return facts.f_bavail * facts.f_frsize

    def time(self) -> float:
        """Return seconds since 1970."""
        return time.time()

    def file(self, path: str) -> Optional[tuple[str, str]]:
        """Return the SHA-256 (hexadecimal) and the mode (as in ``0640``) of a file, None when there is none."""
        try:
            with open(path, "rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                return hashlib.sha256(file.read()).hexdigest(), f"{mode:04o}"
        except OSError:
            return None

    def compose_owner(self, path: str) -> str:
        """Return the project of a Compose file that the role stack has written, empty of any other and of none."""
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                found = re.match(r"# Written by ptnextjs\.docker_vps.*\nname: \"?([^\"\s]+)", file.read(4096))
        except OSError:
            return ""
        return found[1] if found else ""

    def matches(self, pattern: str) -> list[str]:
        """Return the paths that a pattern matches, which stands in their last part."""
        folder, name = os.path.split(pattern)
        return sorted(glob.glob(os.path.join(glob.escape(folder), name)))


def _start(*arguments: str) -> Optional[subprocess.Popen[str]]:
    try:
        # pylint: disable-next=ansible-bad-function
        return subprocess.Popen(
            ["docker", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    except OSError:
        return None


def _end(process: Optional[subprocess.Popen[str]], seconds: float = 30) -> str:
    """Return the output of a command, empty when it failed or did not end in time."""
    if process is None:
        return ""
    try:
        output, _unused = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with what it started, which may hold the pipe
        process.communicate()
        return ""
    return "" if process.returncode else output


def _version(output: str) -> str:
    fields = (field.lstrip("v") for field in output.split())
    return next((field for field in fields if field[:1].isdigit()), "")
